"""The values of a column in a request, held against the column's type, and made into what a frame holds.

A value that is missing is ``null``, or ``{"isNan": true}`` as the Designer's retired engine took it. ``NaN`` and
``Infinity`` are no JSON (RFC 8259, section 6), though Python's writer makes them: they are refused, as is a number that
is too large for its type.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

MISSING = {"isNan": True}
LARGEST, SMALLEST = np.iinfo(np.int64).max, np.iinfo(np.int64).min
SHOWN = 40  # characters of a value, and categories of a column, that a message shows


@dataclass(frozen=True)
class NotJson:
    """``NaN``, ``Infinity`` or ``-Infinity`` in a request."""

    name: str


def shown(value: Any) -> str:
    """Return a value as a message shows it: as it was sent, cut where it is long."""
    text = value.name if isinstance(value, NotJson) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


@dataclass(frozen=True)
class Column:
    """A column that a request has to bring: its name and type; the categories or time zone that it has, if any."""

    name: str
    type_name: str
    categories: tuple[Any, ...] = ()
    time_zone: str | None = None

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Column:
        """Return the column that a dataset's schema describes."""
        categories = tuple(described.get("categories", ()))
        return cls(described["name"], described["type"], categories, described.get("time_zone"))

    def read(self, values: list[Any]) -> Any:
        """Return the values as an array for a frame.

        Raises:
            ValueError: one of them is not of the column's type: its row and the reason are the arguments.
        """
        kinds = set(map(type, values))
        if dict in kinds:
            values = [None if value == MISSING else value for value in values]
            kinds = set(map(type, values))
        kind = _KINDS[self.type_name]
        try:
            if kinds <= kind.types | self._category_types:
                return kind.make(self, values)
        except (ValueError, OverflowError, KeyError):
            pass  # which value it was, and why, is found out below
        for row, value in enumerate(values):
            if value is not None and (reason := self.refusal(value)):
                raise ValueError(row, reason)
        return kind.make(self, values)

    def refusal(self, value: Any) -> str | None:
        """Return why a value, one that is not missing, is none of this column's; None where it is."""
        if isinstance(value, NotJson):
            return f"{value.name} is no value in JSON; where a value is missing, send null."
        return _KINDS[self.type_name].refuse(self, value)

    @cached_property
    def _category_types(self) -> set[type]:
        return set(map(type, self.categories))

    @cached_property
    def codes(self) -> Mapping[Any, int]:
        """The number of each category."""
        return {category: code for code, category in enumerate(self.categories)} | {None: -1}

    @cached_property
    def dtype(self) -> pd.CategoricalDtype:
        """The type of a frame's column with these categories."""
        return pd.CategoricalDtype(list(self.categories))


@dataclass(frozen=True)
class _Kind:
    """How values of one type are judged and made.

    Args:
        types: Python's types of values that can be made without judging each.
        refuse: says why a value is wrong, or None.
        make: makes the array; raises where a value is wrong all the same.
    """

    types: frozenset[type]
    refuse: Callable[[Column, Any], str | None]
    make: Callable[[Column, list[Any]], Any]


def _no_integer(_: Column, value: Any) -> str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 3.0 is what some clients write for 3
    if not isinstance(value, int) or isinstance(value, bool):
        return f"{shown(value)} is no whole number."
    return None if SMALLEST <= value <= LARGEST else f"{shown(value)} is too large for a whole number of 64 bits."


def _no_double(_: Column, value: Any) -> str | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return f"{shown(value)} is no number."
    try:
        return None if math.isfinite(value) else "The number is too large for 64 bits."
    except OverflowError:
        return f"{shown(value)} is too large for a number of 64 bits."


def _no_boolean(_: Column, value: Any) -> str | None:
    return None if isinstance(value, bool) else f"{shown(value)} is neither true nor false."


def _no_string(_: Column, value: Any) -> str | None:
    return None if isinstance(value, str) else f"{shown(value)} is no text."


def _no_time(_: Column, value: Any) -> str | None:
    try:
        _time(value)
    except (TypeError, ValueError, OverflowError):
        return f"{shown(value)} is no time as ISO 8601 writes it, e.g. 2013-07-04T09:30:00."
    return None


def _no_category(column: Column, value: Any) -> str | None:
    if any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in column.categories):
        return None
    some = ", ".join(shown(one) for one in column.categories[:SHOWN])
    more = f" and {len(column.categories) - SHOWN} more" if len(column.categories) > SHOWN else ""
    return f"{shown(value)} is none of the categories: {some}{more}."


def _doubles(_: Column, values: list[Any]) -> Any:
    """Floating-point numbers; null becomes NaN."""
    numbers = np.array(values, dtype=np.float64)
    if np.isinf(numbers).any():
        raise OverflowError
    return numbers


def _integers(_: Column, values: list[Any]) -> Any:
    """Whole numbers also where one is missing: the others are not to become 1.0, nor lose digits, because of it."""
    return pd.array(values, dtype="Int64") if None in values else np.array(values, dtype=np.int64)


def _booleans(_: Column, values: list[Any]) -> Any:
    return pd.array(values, dtype="boolean") if None in values else np.array(values, dtype=np.bool_)


def _strings(_: Column, values: list[Any]) -> Any:
    return pd.array(values, dtype="str")


def _times(column: Column, values: list[Any]) -> Any:
    """Times in the column's zone. Those that name none are in UTC; a column without a zone has UTC's times."""
    times = np.array([None if value is None else _time(value) for value in values], dtype="datetime64[us]")
    return pd.DatetimeIndex(times, tz="UTC").tz_convert(column.time_zone) if column.time_zone else times


def _time(value: str) -> datetime:
    time = datetime.fromisoformat(value)
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time


def _categories(column: Column, values: list[Any]) -> Any:
    return pd.Categorical.from_codes([column.codes[value] for value in values], dtype=column.dtype)


_NONE = type(None)
_KINDS: dict[str, _Kind] = {
    "Integer": _Kind(frozenset({int}), _no_integer, _integers),
    "Double": _Kind(frozenset({int, float, _NONE}), _no_double, _doubles),
    "Boolean": _Kind(frozenset({bool, _NONE}), _no_boolean, _booleans),
    "String": _Kind(frozenset({str, _NONE}), _no_string, _strings),
    "DateTime": _Kind(frozenset({str, _NONE}), _no_time, _times),
    "Categorical": _Kind(frozenset({_NONE}), _no_category, _categories),
}
