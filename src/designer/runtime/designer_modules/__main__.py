"""Runs one component as a step of a pipeline.

    python -m designer_modules transformations.select_columns_in_dataset --dataset IN --select_columns all \\
        --results_dataset OUT

What the function does not take is an output, in the order of the component's output ports. A parameter whose text
may hold quotes or lines comes by a here-document, through standard input or another file: ``--data /dev/fd/0``,
``--regular_expression /dev/fd/3``. A sole ``-`` is a text like any other: a column may be called so.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from . import registry
from .errors import ModuleError

HERE_DOCUMENT = re.compile(r"/dev/fd/\d+")


def main(arguments: Sequence[str]) -> None:
    """Read the inputs, call the component, write its outputs."""
    name, *rest = arguments
    function = registry.find(name)
    given = dict(zip((option.removeprefix("--") for option in rest[::2]), rest[1::2], strict=True))
    inputs = registry.inputs_of(function)
    texts = {key: _text(value) for key, value in given.items()}
    values = {key: inputs[key].read(text) for key, text in texts.items() if key in inputs}
    folders = [Path(text) for key, text in texts.items() if key not in inputs]
    for result, folder in zip(registry.call(function, values), folders, strict=True):
        result.save(folder)


def _text(value: str) -> str:
    """Return a value's text; a here-document's without the line break at its end."""
    is_file = HERE_DOCUMENT.fullmatch(value)
    return Path(value).read_text(encoding="utf-8").removesuffix("\n") if is_file else value


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ModuleError as error:
        sys.exit(f"{sys.argv[1]}: {error}")
