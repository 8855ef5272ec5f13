"""What a model learns from, as numbers: columns become a matrix, the same at training and at scoring.

A number stays one, a Boolean is 0 or 1, a text or category is one column for each value that was there at training,
with a 1 where it is the row's. What cannot be such a number is an error that names column, row and value: a missing
value, an infinity, another type, a category that was not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
import pandas as pd

from .dataset import type_of
from .errors import ModuleError

NUMBERS = ("Integer", "Double")
CATEGORIES = ("Categorical", "String")
MOST_CATEGORIES = 1000  # of one column: a column with more is an identifier, and costs memory (Error 0014)
Rows = Sequence[int] | np.ndarray
MISSING, WRONG_TYPE, INFINITE, UNSEEN = 3, 16, 33, 18  # the Designer's errors


@dataclass(frozen=True)
class Feature:
    """A column that a model learned from: its type at training, and the categories that were there then."""

    name: str
    type: str
    categories: tuple[Any, ...] = ()

    @classmethod
    def of(cls, column: pd.Series) -> Feature:
        """Return what is to be remembered of a column of the training data.

        Raises:
            ModuleError: it is of a type that no number can stand for, or has too many categories.
        """
        kind = type_of(column)
        if kind not in (*NUMBERS, *CATEGORIES, "Boolean"):
            reason = f"A model cannot learn from a column of type {kind}; make numbers of it, or take it out."
            raise ModuleError(17, reason, column=str(column.name))
        if kind not in CATEGORIES:
            return cls(str(column.name), kind)
        return cls(str(column.name), kind, _categories(column))

    @property
    def width(self) -> int:
        """How many columns of the matrix it takes."""
        return len(self.categories) if self.type in CATEGORIES else 1

    @property
    def kinds(self) -> str:
        """The kinds of NumPy's types that a column of numbers or Booleans may have."""
        return "b" if self.type == "Boolean" else "iuf"

    @cached_property
    def _places(self) -> dict[Any, int]:
        return {category: place for place, category in enumerate(self.categories)}

    def write(self, column: pd.Series, matrix: np.ndarray) -> None:
        """Write a column's numbers into its part of the matrix, which is all zeros.

        Raises:
            ModuleError: a value is missing, infinite, of another type, or a category that was not there at training;
                its row is the place in the column.
        """
        if self.type in CATEGORIES:
            self._write_categories(column.tolist(), matrix)
        else:
            matrix[:, 0] = self._numbers(column)

    def _numbers(self, column: pd.Series) -> np.ndarray:
        if column.dtype.kind == "O":
            column = column.infer_objects()
        if column.dtype.kind not in self.kinds:
            raise self._refusal(column.tolist(), self._is_mistyped)
        values: np.ndarray = column.to_numpy(dtype=float, na_value=np.nan)
        if not np.isfinite(values).all():
            raise self._refusal(column.tolist(), lambda value: not np.isfinite(value))
        return values

    def _write_categories(self, values: list[Any], matrix: np.ndarray) -> None:
        try:
            places = np.array([self._places[value] for value in values], dtype=int)
        except (KeyError, TypeError):  # unseen; a list, which is in no dictionary
            raise self._refusal(values, lambda value: value not in self.categories) from None
        matrix[np.arange(len(values)), places] = 1

    def _is_mistyped(self, value: Any) -> bool:
        is_boolean = isinstance(value, bool | np.bool_)
        if self.type == "Boolean":
            return not is_boolean
        return is_boolean or not isinstance(value, int | float | np.number)

    def _refusal(self, values: list[Any], is_wrong: Callable[[Any], bool]) -> ModuleError:
        row = next(row for row, value in enumerate(values) if _is_missing(value) or is_wrong(value))
        code, reason = self._reason(values[row])
        return ModuleError(code, reason, column=self.name, row=row)

    def _reason(self, value: Any) -> tuple[int, str]:
        if _is_missing(value):
            return MISSING, "The value is missing; clean missing data before the model is asked."
        if self.type in CATEGORIES:
            known = ", ".join(repr(one) for one in self.categories[:10]) + (" ..." if self.width > 10 else "")
            return UNSEEN, f"{value!r} is a category that the model was not trained with; it knows: {known}."
        if self._is_mistyped(value):
            return WRONG_TYPE, f"{value!r} is no {'Boolean' if self.type == 'Boolean' else 'number'}, as at training."
        return INFINITE, f"{value!r} is not finite."


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def _categories(column: pd.Series) -> tuple[Any, ...]:
    is_declared = isinstance(column.dtype, pd.CategoricalDtype)
    found = column.cat.categories.tolist() if is_declared else column.dropna().unique().tolist()
    if len(found) > MOST_CATEGORIES:
        reason = (
            f"The column has {len(found)} different values, more than {MOST_CATEGORIES}: an identifier or a text. "
            "Take it out, or clear it as a feature with Edit Metadata."
        )
        raise ModuleError(14, reason, column=str(column.name))
    try:
        return tuple(found if is_declared else sorted(found))
    except TypeError:
        reason = "The column holds values of several types; make them one with Edit Metadata."
        raise ModuleError(45, reason, column=str(column.name)) from None


@contextmanager
def rows_in_dataset(rows: Rows | None) -> Iterator[None]:
    """Let errors tell of rows by the numbers that they have in the dataset that they are a part of."""
    try:
        yield
    except ModuleError as error:
        if rows is not None and error.row is not None:
            error.row = int(rows[error.row])
        raise


@dataclass(frozen=True)
class Features:
    """The columns that a model learned from, in their order."""

    columns: tuple[Feature, ...]

    @classmethod
    def of(cls, frame: pd.DataFrame, names: Iterable[str]) -> Features:
        """Return what is to be remembered of columns of the training data."""
        return cls(tuple(Feature.of(frame[name]) for name in names))

    @classmethod
    def from_json(cls, described: list[dict[str, Any]]) -> Features:
        """Read what ``as_json`` gave."""
        return cls(tuple(Feature(one["name"], one["type"], tuple(one["categories"])) for one in described))

    def as_json(self) -> list[dict[str, Any]]:
        """Return it as JSON values."""
        return [asdict(one) for one in self.columns]

    @cached_property
    def names(self) -> list[str]:
        """The columns' names."""
        return [one.name for one in self.columns]

    @cached_property
    def _parts(self) -> list[tuple[Feature, slice]]:
        """Each feature, and its part of the matrix."""
        ends = accumulate(one.width for one in self.columns)
        return [(one, slice(end - one.width, end)) for one, end in zip(self.columns, ends, strict=True)]

    @cached_property
    def _categories(self) -> list[tuple[Feature, slice]]:
        return [(one, part) for one, part in self._parts if one.type in CATEGORIES]

    @cached_property
    def _numbers(self) -> list[tuple[Feature, int]]:
        """Each feature that is one column of the matrix, and that column."""
        return [(one, part.start) for one, part in self._parts if one.type not in CATEGORIES]

    def matrix(self, frame: pd.DataFrame, rows: Rows | None = None) -> np.ndarray:
        """Return the features of a table: shape (rows, columns of the matrix).

        Args:
            frame: the table.
            rows: the numbers that its rows have in the dataset that it is a part of.

        Raises:
            ModuleError: a column is not there, or a value cannot be used.
        """
        there = set(frame.columns.tolist())
        if missing := [name for name in self.names if name not in there]:
            reason = f"The model was trained with {', '.join(map(repr, missing))}, which the data does not have."
            raise ModuleError(1, reason, column=missing[0])
        matrix = np.zeros((len(frame), sum(one.width for one in self.columns)))
        for feature, part in self._categories if self._write_numbers(frame, matrix) else self._parts:
            with rows_in_dataset(rows):
                feature.write(frame[feature.name], matrix[:, part])
        return matrix

    def _write_numbers(self, frame: pd.DataFrame, matrix: np.ndarray) -> bool:
        """Write numbers and Booleans at once, if they can be: a hundred columns one by one take 20 times as long."""
        numbers = frame[[one.name for one, _ in self._numbers]]
        kinds = [dtype.kind for dtype in numbers.dtypes]
        if not all(kind in one.kinds for kind, (one, _) in zip(kinds, self._numbers, strict=True)):
            return False
        values = numbers.to_numpy(dtype=float, na_value=np.nan)
        matrix[:, [column for _, column in self._numbers]] = values
        return bool(np.isfinite(values).all())
