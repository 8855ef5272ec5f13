"""Literals, which YAML and Azure's answers have as text or as what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# A job of @dsl.pipeline has 1 and 0: azure-ai-ml writes a step's Booleans as the first kind of number that they fit.
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_READERS: Mapping[str, Callable[[str], Any]] = {
    "integer": int,
    "number": float,
    "boolean": lambda text: _BOOLEANS[text.lower()],
    "string": str,
}


def literal(value: Any, wanted: str) -> Any:
    """Return a literal as its type (Azure's name of it) has it; as it is where it is none of that type."""
    try:
        return _READERS[wanted](str(value))
    except (ValueError, KeyError):
        return value
