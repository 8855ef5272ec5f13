"""Which series of a metric are wanted: ``$filter`` of a query of metrics.

https://learn.microsoft.com/rest/api/monitor/metrics/list: conditions on dimensions, joined by ``and``; several values
of one dimension by ``or``, which binds tighter. ``*`` is any value. Every dimension that is named is told apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

CONDITION = re.compile(r"\s*(?P<name>[\w.]+)\s+(?P<operator>eq|ne|sw)\s+'(?P<value>(?:[^']|'')*)'\s*", re.IGNORECASE)
JOINT = re.compile(r"(and|or)\b", re.IGNORECASE)
ANY = "*"


@dataclass(frozen=True)
class Condition:
    """What a dimension's value must be: one of ``values``, none of them, or begin with one; in any case."""

    operator: str
    values: tuple[str, ...]

    def holds(self, value: str) -> bool:
        """Say whether a value is such a one."""
        value = value.lower()
        if self.operator == "sw":
            return any(value.startswith(one) for one in self.values)
        is_one = ANY in self.values or value in self.values
        return is_one if self.operator == "eq" else not is_one


Conditions = Mapping[str, Condition]  # by the names of dimensions in lower case


def matches(conditions: Conditions, dimensions: Mapping[str, str]) -> bool:
    """Say whether a series' dimensions fulfil all conditions; one that it lacks has no value."""
    values = {name.lower(): value for name, value in dimensions.items()}
    return all(condition.holds(values.get(name, "")) for name, condition in conditions.items())


def parse(text: str) -> Conditions:
    """Return the conditions of a ``$filter``. Raises ValueError where it is none; the message says what is wrong."""
    found: dict[str, Condition] = {}
    joint, rest = "and", text.replace("(", " ").replace(")", " ")
    last = ""
    while True:
        match = CONDITION.match(rest)
        if match is None:
            raise ValueError(f"'{rest.strip()[:100]}' is no condition such as deployment eq 'blue'")
        name, operator = match["name"].lower(), match["operator"].lower()
        value = match["value"].replace("''", "'").lower()
        if joint == "and" and name in found:
            raise ValueError(f"'{match['name']}' has two conditions that are joined by 'and'")
        if joint == "or" and (name != last or found[name].operator != operator):
            raise ValueError("'or' can join values of one dimension only")
        found[name] = Condition(operator, (*(found[name].values if name in found else ()), value))
        last, rest = name, rest[match.end() :]
        if not rest:
            return found
        join = JOINT.match(rest)
        if join is None:
            raise ValueError(f"'{rest.strip()[:100]}' follows a condition; 'and' or 'or' must")
        joint, rest = join[1].lower(), rest[join.end() :]
