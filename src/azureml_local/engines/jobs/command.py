"""A job's command: what its placeholders stand for.

https://learn.microsoft.com/azure/machine-learning/reference-yaml-core-syntax#binding-inputs-and-outputs-between-steps-in-a-pipeline-job
The text is put in as it is, without quotes, and by the shell that runs the command taken for what it then is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

PLACEHOLDER = re.compile(r"\$\{\{\s*((?:inputs|outputs)(?:\.[A-Za-z_][A-Za-z0-9_]*)+)\s*\}\}")
OPTIONAL = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)


def fill_in(command: str, values: Mapping[str, str]) -> str:
    """Return a command with values in place of its placeholders.

    A part in ``$[[…]]`` is left out where an input in it has no value; elsewhere such an input stands for nothing.

    Args:
        command: as submitted.
        values: by ``inputs.<name>`` and ``outputs.<name>``.
    """

    def optional(part: re.Match[str]) -> str:
        return part[1] if all(name in values for name in PLACEHOLDER.findall(part[1])) else ""

    return PLACEHOLDER.sub(lambda found: values.get(found[1], ""), OPTIONAL.sub(optional, command))
