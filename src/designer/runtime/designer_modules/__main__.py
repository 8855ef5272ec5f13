"""Runs one component as a step of a pipeline.

    python -m designer_modules transformations.select_columns_in_dataset --dataset IN --select_columns all \\
        --results_dataset OUT

What the function does not take is an output, in the order of the component's output ports. A parameter whose text
may hold quotes comes through standard input: ``--sql_query -``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from . import registry
from .errors import ModuleError

STANDARD_INPUT = "-"


def main(arguments: Sequence[str]) -> None:
    """Read the inputs, call the component, write its outputs."""
    name, *rest = arguments
    function = registry.find(name)
    given = dict(zip((option.removeprefix("--") for option in rest[::2]), rest[1::2], strict=True))
    inputs = registry.inputs_of(function)
    texts = {key: sys.stdin.read() if value == STANDARD_INPUT else value for key, value in given.items()}
    values = {key: inputs[key].read(text) for key, text in texts.items() if key in inputs}
    folders = [Path(text) for key, text in texts.items() if key not in inputs]
    for result, folder in zip(registry.call(function, values), folders, strict=True):
        result.save(folder)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ModuleError as error:
        sys.exit(f"{sys.argv[1]}: {error}")
