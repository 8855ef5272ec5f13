"""What a component, or a pipeline, takes and gives: its declared inputs and outputs, and which values fit them.

https://learn.microsoft.com/azure/machine-learning/reference-yaml-component-command
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from azureml_local.arm.jobs.job_specs import LITERAL, MODELS

FILE, FOLDER = "uri_file", "uri_folder"
DATA = (FILE, FOLDER, "mltable", *MODELS)
TRUE, FALSE = ("true", "1"), ("false", "0")


class InterfaceError(ValueError):
    """A value does not fit; the message says why, and what would."""


@dataclass(frozen=True)
class Input:
    """A declared input.

    Args:
        kind: its type, in lower case.
        optional: it may be left out.
        default: the literal that it has where it is left out.
        mode: how data reaches the job, in the words of YAML.
        enum: the values that it may have; none for any.
        least: its smallest value.
        most: its largest value.
    """

    kind: str
    optional: bool = False
    default: str | None = None
    mode: str | None = None
    enum: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None

    @property
    def is_data(self) -> bool:
        """Whether it takes data, not a literal."""
        return self.kind in DATA

    @property
    def is_required(self) -> bool:
        """Whether it has to be given."""
        return not self.optional and self.default is None


def inputs_of(spec: Mapping[str, Any]) -> dict[str, Input]:
    """Return the inputs that a component's specification declares; members of a group by ``group.member``."""
    declared: dict[str, Input] = {}
    for name, sent in (spec.get("inputs") or {}).items():
        given = sent or {}
        if str(given.get("type", "")).lower() == "group":
            members = inputs_of({"inputs": given.get("values")})
            optional = truth(given.get("optional"))
            declared |= {
                f"{name}.{member}": Input(**{**vars(one), "optional": one.optional or optional})
                for member, one in members.items()
            }
        else:
            declared[name] = _input(given)
    return declared


def outputs_of(spec: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the outputs that a component's specification declares: ``type`` and ``mode`` of each."""
    return {
        name: {"type": str(given.get("type") or FOLDER).lower(), "mode": given.get("mode")}
        for name, given in ((name, sent or {}) for name, sent in (spec.get("outputs") or {}).items())
    }


def truth(value: Any) -> bool:
    """Return what a flag of a specification says, whose values may be text."""
    return value is True or str(value).lower() in TRUE


def _input(given: Mapping[str, Any]) -> Input:
    default = given.get("default")
    return Input(
        kind=str(given.get("type") or "").lower(),
        optional=truth(given.get("optional")),
        default=None if default is None else str(default),
        mode=given.get("mode"),
        enum=tuple(str(one) for one in given.get("enum") or ()),
        least=_bound("min", given.get("min")),
        most=_bound("max", given.get("max")),
    )


def _bound(name: str, value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (ValueError, OverflowError) as error:
        shown = str(value)[:60]
        raise InterfaceError(f"its component's '{name}' is '{shown}', which is no number of 64 bits") from error


def require_kind(declared: Input, given: str) -> None:
    """Raise where data or a literal is given for the other.

    Any data can be given for any other: Microsoft's examples give files, and models, to inputs that are folders
    (azureml-examples, sdk/python/foundation-models/benchmarking/evaluation_pipelines).

    Args:
        declared: the input.
        given: a kind of data, or ``literal``.
    """
    if declared.is_data != (given.lower() != LITERAL):
        what = "a value" if given.lower() == LITERAL else f"data of the type {given}"
        raise InterfaceError(f"its type is {declared.kind}, and it was given {what}")


def require_literal(declared: Input, value: str) -> None:
    """Raise where a literal is none of the declared type, or outside of what is declared for it."""
    number = _number(declared.kind, value)
    if declared.enum and value not in declared.enum:
        raise InterfaceError(f"'{value}' is none of its values: {', '.join(declared.enum)}")
    if declared.least is not None and number < declared.least:
        raise InterfaceError(f"{value} is less than its minimum, {declared.least:g}")
    if declared.most is not None and number > declared.most:
        raise InterfaceError(f"{value} is more than its maximum, {declared.most:g}")


def _number(kind: str, value: str) -> float:
    """Return the number that a literal is, NaN where its type is none of numbers. Raises where it is none."""
    if kind == "boolean" and value.lower() not in (*TRUE, *FALSE):
        raise InterfaceError(f"'{value}' is no boolean: it must be true or false")
    read = NUMBERS.get(kind)
    try:
        return read(value) if read else math.nan
    except ValueError as error:
        raise InterfaceError(f"'{value}' is no {kind}") from error


NUMBERS: Mapping[str, Callable[[str], float]] = {"integer": int, "number": float}
