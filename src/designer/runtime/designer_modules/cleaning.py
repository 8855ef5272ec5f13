"""Clean Missing Data: replaces missing values, or removes the rows or columns that have some.

https://learn.microsoft.com/azure/machine-learning/component-reference/clean-missing-data
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd

from . import columns
from .dataset import Dataset, type_of
from .errors import ModuleError
from .fitted import ColumnRemoval, Replacement, RowRemoval, Transformation
from .values import chosen, numbers, within

REMOVE_ROWS, REMOVE_COLUMNS, SUBSTITUTE = "Remove entire row", "Remove entire column", "Custom substitution value"
REMOVE, PROPAGATE = "Remove", "Propagate"


def clean_missing_data(
    dataset: Dataset,
    columns_to_be_cleaned: str = "all",
    minimum_missing_value_ratio: float = 0.0,
    maximum_missing_value_ratio: float = 1.0,
    cleaning_mode: str = SUBSTITUTE,
    replacement_value: str = "0",
    generate_missing_value_indicator_column: bool = False,
    cols_with_all_missing_values: str = REMOVE,
) -> tuple[Dataset, Transformation]:
    """Clean the selected columns whose ratio of missing values is within the bounds; return what does so to others.

    Raises:
        ModuleError: the mode is not for a column's type, or the replacement is not of it.
    """
    within("minimum_missing_value_ratio", minimum_missing_value_ratio, 0, 1)
    within("maximum_missing_value_ratio", maximum_missing_value_ratio, minimum_missing_value_ratio, 1)
    names = columns.at_least_one(columns_to_be_cleaned, columns.select(dataset, columns_to_be_cleaned))
    missing = {name: float(dataset.frame[name].isna().mean()) for name in names}  # NaN where there are no rows
    met = [name for name in names if minimum_missing_value_ratio <= missing[name] <= maximum_missing_value_ratio]
    fits: dict[str, Callable[[], Transformation]] = {
        REMOVE_ROWS: lambda: RowRemoval(met, generate_missing_value_indicator_column),
        REMOVE_COLUMNS: lambda: ColumnRemoval([name for name in met if missing[name] > 0]),
    }
    all_missing = chosen("cols_with_all_missing_values", cols_with_all_missing_values, {REMOVE: True, PROPAGATE: False})
    for mode, value_for in _values(replacement_value).items():
        empty = [name for name in met if missing[name] == 1 and mode != SUBSTITUTE]
        fits[mode] = partial(
            _replacement, dataset, met, empty, value_for, all_missing, generate_missing_value_indicator_column
        )
    transformation = chosen("cleaning_mode", cleaning_mode, fits)()
    return transformation.apply(dataset), transformation


def _replacement(
    dataset: Dataset,
    names: Sequence[str],
    empty: Sequence[str],
    value_for: Callable[[pd.Series], Any],
    removes_empty: bool,
    indicators: bool,
) -> Replacement:
    values = {name: value_for(dataset.frame[name]) for name in names if name not in empty}
    return Replacement(values, indicators, empty if removes_empty else ())


def _values(replacement: str) -> dict[str, Callable[[pd.Series], Any]]:
    return {
        SUBSTITUTE: lambda column: _substitute(column, replacement),
        "Replace with mean": _mean,
        "Replace with median": _median,
        "Replace with mode": _mode,
    }


_READERS: dict[str, Callable[[str], Any]] = {
    "Integer": int,
    "Double": float,
    "Boolean": lambda text: {"true": True, "1": True, "false": False, "0": False}[text.lower()],
    "String": str,
    "Categorical": str,
}


def _substitute(column: pd.Series, replacement: str) -> Any:
    kind = type_of(column)
    if kind == "Categorical" and column.cat.categories.dtype.kind in "iuf":
        kind = "Double"
    if kind not in _READERS:
        raise ModuleError(17, f"A column of type {kind} takes no replacement value.", column=str(column.name))
    try:
        return _READERS[kind](replacement)
    except (ValueError, KeyError):
        raise ModuleError(
            17, f"Replacement value {replacement!r} is not of the column's type, {kind}.", column=str(column.name)
        ) from None


def _only(column: pd.Series, mode: str, *types: str) -> None:
    kind = type_of(column)
    if kind not in types:
        reason = f"{mode} is for columns of type {', '.join(types)}; this is {kind}."
        raise ModuleError(17, reason, column=str(column.name))


def _mean(column: pd.Series) -> Any:
    _only(column, "Replace with mean", "Integer", "Double", "Boolean")
    if type_of(column) == "Boolean":
        return bool(column.mean() >= 0.5)
    numbers(column)
    return float(column.mean())


def _median(column: pd.Series) -> float:
    _only(column, "Replace with median", "Integer", "Double")
    numbers(column)
    return float(column.median())


def _mode(column: pd.Series) -> Any:
    """Return the most frequent value, the smallest of several; of text, too, where Microsoft's refuses it."""
    _only(column, "Replace with mode", "Integer", "Double", "Boolean", "Categorical", "String")
    value = column.mode().iloc[0]
    return value.item() if hasattr(value, "item") else value
