"""References: ``${{parent.inputs.x}}``, ``${{parent.jobs.y.outputs.z}}`` and ``${{parent.outputs.w}}``.

https://learn.microsoft.com/azure/machine-learning/reference-yaml-core-syntax
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_REFERENCE = re.compile(r"\$\{\{\s*(parent\.[^}]*?)\s*\}\}")
_INPUT = re.compile(r"parent\.inputs\.(?P<name>.+)")
_STEP_OUTPUT = re.compile(r"parent\.jobs\.(?P<step>[^.]+)\.outputs\.(?P<name>.+)")
_OUTPUT = re.compile(r"parent\.outputs\.(?P<name>.+)")


@dataclass(frozen=True)
class Input:
    """An input of the pipeline."""

    name: str


@dataclass(frozen=True)
class StepOutput:
    """An output of another step."""

    step: str
    name: str


@dataclass(frozen=True)
class Output:
    """An output of the pipeline."""

    name: str


@dataclass(frozen=True)
class Unknown:
    """What looks like a reference, and is none that there is."""

    text: str


Reference = Input | StepOutput | Output | Unknown


def parse(value: Any) -> Reference | None:
    """Return what a value refers to, where it is nothing but a reference."""
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return _read(found[1]) if found else None


def within(value: Any) -> Iterator[Reference]:
    """Find every reference in a value, in the lists and mappings of which it may consist."""
    if isinstance(value, str):
        yield from (_read(found[1]) for found in _REFERENCE.finditer(value))
    elif isinstance(value, dict):
        for item in value.values():
            yield from within(item)
    elif isinstance(value, list):
        for item in value:
            yield from within(item)


def replaced(value: Any, by: Callable[[Reference], str]) -> Any:
    """Return a value, of the same shape, in which a text stands for each reference."""
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: by(_read(found[1])), value)
    if isinstance(value, dict):
        return {key: replaced(item, by) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, by) for item in value]
    return value


def _read(text: str) -> Reference:
    if found := _INPUT.fullmatch(text):
        return Input(found["name"])
    if found := _STEP_OUTPUT.fullmatch(text):
        return StepOutput(found["step"], found["name"])
    if found := _OUTPUT.fullmatch(text):
        return Output(found["name"])
    return Unknown(text)
