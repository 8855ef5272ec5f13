"""Edit Metadata: what columns are: their type, whether they are categories, what they are for, their names.

https://learn.microsoft.com/azure/machine-learning/component-reference/edit-metadata
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from . import columns
from .dataset import LABEL, Dataset, type_of
from .errors import ModuleError
from .values import chosen, refuse_first, with_columns

UNCHANGED, NOT_A_FEATURE, SCORED = "Unchanged", "not_a_feature", "scored"


def edit_metadata(
    dataset: Dataset,
    column: str,
    data_type: str = UNCHANGED,
    date_time_format: str = "",
    categorical: str = UNCHANGED,
    fields: str = UNCHANGED,
    new_column_names: str = "",
) -> Dataset:
    """Change what the selected columns are.

    Args:
        dataset: the dataset.
        column: the columns.
        data_type: ``String``, ``Integer``, ``Double``, ``Boolean`` or ``DateTime``. Numbers are seconds since 1970
            where they become times, and the other way round.
        date_time_format: how texts say times, as Python's ``strptime`` has it; ISO 8601 if empty.
        categorical: ``Categorical`` or ``NonCategorical``.
        fields: ``Features``, ``Labels``, ``Clear feature``, ``Clear label`` or ``Clear score``.
        new_column_names: one for each column, separated by commas, or as a JSON list.

    Raises:
        ModuleError: a value is not of the type; there are other than as many names as columns; several labels.
    """
    convert = chosen("data_type", data_type, _CONVERSIONS)
    categorize = chosen("categorical", categorical, _CATEGORIES)
    names = columns.at_least_one(column, columns.select(dataset, column, with_absent_label=True))
    there = [name for name in names if name in dataset.frame.columns]
    changed = {name: categorize(convert(dataset.frame[name], date_time_format)) for name in there}
    edited = Dataset(with_columns(dataset.frame, changed), _roles(dataset, names, fields), dataset.properties)
    return _renamed(edited, names, new_column_names) if new_column_names.strip() else edited


def _roles(dataset: Dataset, names: Sequence[str], fields: str) -> dict[str, str]:
    roles = dict(dataset.roles)
    change = chosen("fields", fields, _ROLES)
    if fields == "Labels":
        if len(names) > 1:
            raise ModuleError(37, f"One column can be the label; {', '.join(names)} are selected.")
        roles = {name: role for name, role in roles.items() if role != LABEL}
    for name in names:
        role = change(roles.pop(name, None))
        if role is not None:
            roles[name] = role
    return roles


def _cleared(role: str) -> Callable[[str | None], str | None]:
    return lambda before: None if before is not None and before.startswith(role) else before


_ROLES: dict[str, Callable[[str | None], str | None]] = {
    UNCHANGED: lambda role: role,
    "Features": lambda role: None,
    "Labels": lambda role: LABEL,
    "Clear feature": lambda role: role or NOT_A_FEATURE,
    "Clear label": _cleared(LABEL),
    "Clear score": _cleared(SCORED),
}


def _renamed(dataset: Dataset, names: Sequence[str], new_column_names: str) -> Dataset:
    new = columns.listed(new_column_names)
    if len(new) != len(names):
        raise ModuleError(
            7, f"new_column_names has {len(new)} names; {len(names)} columns are selected: {', '.join(names)}."
        )
    if not all(new):
        raise ModuleError(3, "A new column name is empty.")
    renaming = dict(zip(names, new, strict=True))
    roles = {renaming.get(name, name): role for name, role in dataset.roles.items()}
    return Dataset(dataset.frame.rename(columns=renaming), roles, dataset.properties)


def _to_string(column: pd.Series, _: str) -> pd.Series:
    texts = column.astype(object).where(column.notna(), None)
    return texts.map(str, na_action="ignore").astype("str")


def _to_double(column: pd.Series, _: str) -> pd.Series:
    if type_of(column) == "DateTime":
        return _seconds(column)
    values = _uncategorized(column)
    numbers = pd.to_numeric(values, errors="coerce")
    refuse_first(column, numbers.isna() & values.notna(), 42, "cannot be converted to a number")
    return numbers.astype("Float64").astype("float64") if numbers.dtype.kind != "f" else numbers.astype("float64")


def _to_integer(column: pd.Series, unused: str) -> pd.Series:
    numbers = _to_double(column, unused)
    refuse_first(column, (numbers % 1 != 0) & numbers.notna(), 42, "cannot be converted to a whole number")
    return numbers.astype("Int64" if numbers.isna().any() else "int64")


_TRUTHS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


def _to_boolean(column: pd.Series, unused: str) -> pd.Series:
    truths = _to_string(column, unused).str.lower().map(_TRUTHS)
    refuse_first(column, truths.isna() & column.notna(), 42, "is neither true nor false (nor 1 nor 0)")
    return truths.astype("boolean" if truths.isna().any() else "bool")


def _to_date_time(column: pd.Series, format: str) -> pd.Series:
    values = _uncategorized(column)
    if type_of(values) in columns.NUMERIC:
        return pd.to_datetime(values, unit="s")
    times = pd.to_datetime(values, format=format or "ISO8601", errors="coerce")
    refuse_first(column, times.isna() & values.notna(), 42, f"is no time of the format {format or 'ISO 8601'}")
    return times


def _seconds(column: pd.Series) -> pd.Series:
    return (column - pd.Timestamp(0, tz=column.dt.tz)) / np.timedelta64(1, "s")


def _uncategorized(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.astype(column.cat.categories.dtype if column.notna().all() else object).infer_objects()
    return column


_CONVERSIONS: dict[str, Callable[[pd.Series, str], pd.Series]] = {
    UNCHANGED: lambda column, _: column,
    "String": _to_string,
    "Integer": _to_integer,
    "Double": _to_double,
    "Boolean": _to_boolean,
    "DateTime": _to_date_time,
}


def _categorized(column: pd.Series) -> pd.Series:
    if type_of(column) == "DateTime":
        raise ModuleError(17, "Times cannot be categories; make them String first.", column=str(column.name))
    return column.astype("category")


_CATEGORIES: dict[str, Callable[[pd.Series], Any]] = {
    UNCHANGED: lambda column: column,
    "Categorical": _categorized,
    "NonCategorical": _uncategorized,
}
