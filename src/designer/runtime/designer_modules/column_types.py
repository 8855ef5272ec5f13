"""The types that a dataset's columns have: what comes in from elsewhere is made one of them, or refused.

Files, SQL and scripts know more types than a dataset: what is the same value in one of its own becomes such a value
(a decimal number, a date, a time in a zone, texts in a column of any objects); what is none, e.g. a list, is refused.
Without this, it would be taken for text, or fail as the dataset is written, far from where it came from.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from .errors import ModuleError

WRONG_TYPE = 17  # the Designer's error for a column whose type is not supported


def known(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose columns are numbers, Booleans, texts, times without a zone, or categories of such.

    Times that name their zone are turned into UTC, as a web service turns those of a request.

    Raises:
        ModuleError: a column holds something else, or values of several types.
    """
    columns = [(name, column, _known(column)) for name, column in frame.items()]
    if all(made is column for _, column, made in columns) or not frame.columns.is_unique:
        return frame  # of two columns with one name, Dataset tells
    return pd.DataFrame({name: made for name, _, made in columns})


def _known(column: pd.Series) -> pd.Series:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _with_known_categories(column)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return _without_zone(column)
    if pd.api.types.is_object_dtype(dtype):
        return _of_objects(column)
    if dtype.kind not in "biufM" and not pd.api.types.is_string_dtype(dtype):
        raise ModuleError(WRONG_TYPE, f"The column is of type {dtype}; {_RIGHT}", column=str(column.name))
    return column


def _with_known_categories(column: pd.Series) -> pd.Series:
    before = column.cat.categories
    after = pd.Index(_known(pd.Series(before, name=column.name)))
    if after.dtype.kind == "M":
        raise ModuleError(WRONG_TYPE, "Times cannot be categories; make them text first.", column=str(column.name))
    return column if after.dtype == before.dtype else column.cat.rename_categories(after)


def _without_zone(column: pd.Series) -> pd.Series:
    return pd.to_datetime(column, utc=True).dt.tz_localize(None)


def _of_objects(column: pd.Series) -> pd.Series:
    """Return a column of Python's objects as the type that all of them have."""
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind not in _MAKERS:
        values = column.dropna()
        types = ", ".join(sorted({type(value).__name__ for value in values}))
        raise ModuleError(WRONG_TYPE, f"The column holds values of type {types}; {_RIGHT}", column=str(column.name))
    try:
        return _MAKERS[kind](column)
    except (ValueError, OverflowError, TypeError) as error:
        raise ModuleError(WRONG_TYPE, f"The column cannot be read: {error}", column=str(column.name)) from error


_RIGHT = "it must hold numbers, Booleans, texts, or times, and of one kind only."

# What becomes of a column of objects, by what pandas finds that all of them are.
_MAKERS: dict[str, Callable[[pd.Series], pd.Series]] = {
    "string": lambda column: column.astype("str"),
    "boolean": lambda column: column.astype("boolean"),
    "integer": lambda column: column.astype("Int64"),
    "floating": lambda column: column.astype("float64"),
    "mixed-integer-float": lambda column: column.astype("float64"),
    "decimal": lambda column: column.astype("float64"),
    "date": _without_zone,
    "datetime": _without_zone,
    "datetime64": _without_zone,
    "empty": lambda column: column,
}
