"""The values of columns: whether they are what a component needs, and if not, which of them is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .dataset import Dataset
from .errors import ModuleError

Choice = TypeVar("Choice")


def chosen(parameter: str, value: str, choices: Mapping[str, Choice]) -> Choice:
    """Return what a parameter's value stands for.

    Raises:
        ModuleError: it is none of the choices.
    """
    if value not in choices:
        raise ModuleError(8, f"{parameter} is {value!r}; it must be one of: {', '.join(choices)}.")
    return choices[value]


def within(parameter: str, value: float, lowest: float, highest: float) -> None:
    """Check a number.

    Raises:
        ModuleError: it is not between these two.
    """
    if not lowest <= value <= highest:
        raise ModuleError(8, f"{parameter} is {value}; it must be from {lowest} to {highest}.")


def with_columns(frame: pd.DataFrame, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table with other values in these columns, which are added where they are not there.

    One new table, and one look at each column: for one row, pandas takes several times as long to set them in a copy.
    Nor can ``assign`` take a column that is called ``self``.
    """
    new = {name: getattr(column, "array", column) for name, column in columns.items()}
    return pd.DataFrame({name: column.array for name, column in frame.items()} | new, copy=False)


@contextmanager
def naming_absent_label(dataset: Dataset | None) -> Iterator[None]:
    """Let a script's error say, where it is about a label that is not there, that a web service is not sent it."""
    try:
        yield
    except ModuleError as error:
        label = None if dataset is None or dataset.label in dataset.frame.columns else dataset.label
        if label is not None and label in error.reason:
            error.reason += f" The label, {label!r}, is not there: a web service is not sent it; do without it."
        raise


def numbers(column: pd.Series) -> NDArray[np.float64]:
    """Return a column's numbers; NaN where one is missing.

    Raises:
        ModuleError: a value is none, or infinite.
    """
    found = _numbers(column)
    if not np.isfinite(found).all() and np.isinf(found).any():
        row = int(np.flatnonzero(np.isinf(found))[0])
        raise ModuleError(33, f"The value is infinite ({found[row]}).", column=str(column.name), row=row)
    return found


def _numbers(column: pd.Series) -> NDArray[np.float64]:
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiu":
        return np.asarray(column.to_numpy(), dtype=np.float64)
    if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype.kind == "M":
        raise ModuleError(17, f"The column must be numeric; it is {column.dtype}.", column=str(column.name))
    refuse_first(column, [isinstance(value, str) for value in column], 17, "is no number but text; see Edit Metadata")
    return np.asarray(pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan))


def refuse_first(column: pd.Series, wrong: Any, code: int, reason: str) -> None:
    """Refuse the first value that is marked as wrong, if one is.

    Raises:
        ModuleError: one is; it names the column, the row and the value.
    """
    rows = np.flatnonzero(np.asarray(wrong, dtype=bool))
    if len(rows):
        refuse(column, int(rows[0]), code, reason)


def refuse(column: pd.Series, row: int, code: int, reason: str) -> NoReturn:
    """Refuse a value of a column."""
    value = column.iloc[row]
    value = value.item() if isinstance(value, np.generic) else value
    raise ModuleError(code, f"{value!r} {reason}.", column=str(column.name), row=row)
