"""GlobalParameters: what a caller may set of a graph, held against what was declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .refusals import Problem, RequestError, problem
from .values import Column, shown

# The types of columns that have the same values as those of parameters; and what Python makes of them.
TYPES = {
    "string": ("String", str),
    "integer": ("Integer", int),
    "number": ("Double", float),
    "boolean": ("Boolean", bool),
}


def judged(declared: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a request, which a graph may be run with.

    Args:
        declared: the graph's parameters: ``type``, ``default``, and ``enum``, ``min`` and ``max`` where they have such;
            ``optional`` where a component can do without.
        given: the request's.

    Raises:
        RequestError: one is unknown, of another type or out of bounds, or one without a default is missing.
    """
    problems = [found for name, value in given.items() if (found := _problem(declared, name, value))]
    problems += [
        problem("The parameter has no default, and is missing.", parameter=name)
        for name, one in declared.items()
        if one.get("default") is None and not one.get("optional") and name not in given
    ]
    if problems:
        raise RequestError(problems)
    return {name: TYPES[declared[name]["type"]][1](value) for name, value in given.items()}


def _problem(declared: Mapping[str, Mapping[str, Any]], name: str, value: Any) -> Problem | None:
    if name not in declared:
        known = f"it has: {', '.join(declared)}" if declared else "it has none"
        return problem(f"The graph has no such parameter; {known}.", parameter=name)
    reason = Column(name, TYPES[declared[name]["type"]][0]).refusal(value) or _out_of_bounds(declared[name], value)
    return problem(reason, parameter=name) if reason else None


def _out_of_bounds(declared: Mapping[str, Any], value: Any) -> str | None:
    if declared.get("enum") and value not in declared["enum"]:
        return f"{shown(value)} is none of: {', '.join(map(str, declared['enum']))}."
    if declared.get("min") is not None and value < declared["min"]:
        return f"{shown(value)} is less than {declared['min']}."
    if declared.get("max") is not None and value > declared["max"]:
        return f"{shown(value)} is more than {declared['max']}."
    return None
