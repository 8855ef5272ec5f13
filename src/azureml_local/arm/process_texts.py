"""What a user gives for a process: its command and its variables. No process can have all that a JSON text can hold.

https://man7.org/linux/man-pages/man2/execve.2.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TextError(Exception):
    """No process can be handed this; the message names it."""


def environment_variables(sent: Mapping[str, Any]) -> dict[str, str]:
    """Return the ``environmentVariables`` of a resource's properties; those without a value are left out.

    Raises:
        TextError: one of them is none that a process can have.
    """
    given = sent.get("environmentVariables") or {}
    variables = {name: str(value) for name, value in given.items() if value is not None}
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name + value:
            raise TextError(
                f"environmentVariables: no process can have the variable {name!r}. Its name must be text without '=', "
                "and neither name nor value may hold the character NUL."
            )
    return variables


def require_text(text: str, where: str) -> str:
    """Return a text that is handed to a process. Raises TextError where it cannot be."""
    if "\0" in text:
        raise TextError(f"{where} holds the character NUL, which nothing that is handed to a process can.")
    return text
