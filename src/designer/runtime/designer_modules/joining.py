"""Components that put two datasets together: Join Data, Add Columns, Add Rows.

https://learn.microsoft.com/azure/machine-learning/component-reference/join-data, add-columns, add-rows
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import columns
from .dataset import Dataset, type_of
from .errors import ModuleError
from .values import chosen

INNER, LEFT, FULL, SEMI = "Inner Join", "Left Outer Join", "Full Outer Join", "Left Semi-Join"


def join_data(
    dataset1: Dataset,
    dataset2: Dataset,
    join_key_columns_for_l: str,
    join_key_columns_for_r: str,
    match_case: bool = True,
    join_type: str = INNER,
    keep_right_key_columns_in_joined_table: bool = True,
) -> Dataset:
    """Join the rows whose keys are equal. A row that misses a key has no partner, as in a database.

    A column of the right dataset whose name the left one has, too, is called e.g. ``year (2)``.

    Raises:
        ModuleError: a key is not there, there are other than as many on both sides, or their types differ.
    """
    how = chosen("join_type", join_type, {INNER: "inner", LEFT: "left", FULL: "outer", SEMI: "semi"})
    left_keys = _keys(dataset1, join_key_columns_for_l, "dataset1")
    right_keys = _keys(dataset2, join_key_columns_for_r, "dataset2")
    _fit(dataset1.frame, dataset2.frame, left_keys, right_keys)
    names = _other_names(dataset2.frame.columns, dataset1.frame.columns)
    on = _compared(dataset1.frame, left_keys, dataset2.frame, right_keys, match_case)
    if how == "semi":
        return dataset1.with_frame(dataset1.frame[_have_partners(*on)].reset_index(drop=True))
    joined = _merged(dataset1.frame, dataset2.frame.rename(columns=names), on, how)
    if not keep_right_key_columns_in_joined_table:
        joined = joined.drop(columns=[names[name] for name in right_keys])
    roles = {name: role for name, role in dataset2.roles.items() if names.get(name) == name}
    return Dataset(joined, {**roles, **dataset1.roles}, dataset1.properties)


def _keys(dataset: Dataset, selection: str, port: str) -> list[str]:
    try:
        return list(columns.at_least_one(selection, columns.select(dataset, selection)))
    except ModuleError as error:
        raise ModuleError(error.code, error.reason, column=error.column, port=port) from None


def _fit(left: pd.DataFrame, right: pd.DataFrame, left_keys: Sequence[str], right_keys: Sequence[str]) -> None:
    if len(left_keys) != len(right_keys):
        raise ModuleError(
            154, f"There are {len(left_keys)} key columns on the left, and {len(right_keys)} on the right."
        )
    for name, other in zip(left_keys, right_keys, strict=True):
        if _family(left[name]) != _family(right[other]):
            raise ModuleError(
                154,
                f"{type_of(left[name])} cannot be joined with {type_of(right[other])}, column {other!r}.",
                column=name,
            )


def _family(column: pd.Series) -> str:
    """Return the name of the types with which a column's can be compared."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = pd.Series(column.cat.categories)
    return {"Integer": "Double"}.get(type_of(column), type_of(column))


def _other_names(names: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    """Return what the right columns are called in the joined table."""
    used = set(taken)
    new = {}
    for name in names:
        number, free = 2, name
        while free in used:
            number, free = number + 1, f"{name} ({number})"
        used.add(free)
        new[name] = free
    return new


def _compared(
    left: pd.DataFrame, left_keys: Sequence[str], right: pd.DataFrame, right_keys: Sequence[str], match_case: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the keys of both tables as they are compared, under names that no column has."""
    pairs = [(left[name], right[other]) for name, other in zip(left_keys, right_keys, strict=True)]
    compared = [_alike(_plain(first, match_case), _plain(second, match_case)) for first, second in pairs]
    tables = ({f"\0{place}": pair[side].array for place, pair in enumerate(compared)} for side in (0, 1))
    first, second = (pd.DataFrame(table) for table in tables)
    return first, second


def _plain(key: pd.Series, match_case: bool) -> pd.Series:
    if isinstance(key.dtype, pd.CategoricalDtype):
        key = key.astype(object).infer_objects()
    return key.str.lower() if type_of(key) == "String" and not match_case else key


def _alike(first: pd.Series, second: pd.Series) -> tuple[pd.Series, pd.Series]:
    if first.dtype != second.dtype and _family(first) == "Double":
        return first.astype("Float64"), second.astype("Float64")
    return first, second


def _have_partners(left: pd.DataFrame, right: pd.DataFrame) -> NDArray[np.bool_]:
    on = list(left.columns)
    merged = left.merge(right.dropna().drop_duplicates(), how="left", on=on, indicator="\0found")
    return np.asarray(merged["\0found"] == "both")


def _merged(left: pd.DataFrame, right: pd.DataFrame, keys: tuple[pd.DataFrame, pd.DataFrame], how: str) -> pd.DataFrame:
    on = list(keys[0].columns)
    left, right = (
        pd.concat([table.reset_index(drop=True), key], axis="columns")
        for table, key in zip((left, right), keys, strict=True)
    )
    lonely = right[on].isna().any(axis="columns")
    joined = left.merge(right[~lonely], how=how, on=on)
    if how == "outer":
        joined = pd.concat([joined, right[lonely]], ignore_index=True)
    return joined.drop(columns=on)


def add_columns(dataset1: Dataset, dataset2: Dataset) -> Dataset:
    """Put the columns of two datasets beside each other; the shorter one misses values below its end.

    Columns of one name get ``_1`` and ``_2``.
    """
    both = set(dataset1.frame.columns) & set(dataset2.frame.columns)
    parts: list[pd.DataFrame] = []
    roles: dict[str, str] = {}
    for number, dataset in ((1, dataset1), (2, dataset2)):
        renaming = {name: f"{name}_{number}" for name in both}
        parts.append(dataset.frame.rename(columns=renaming).reset_index(drop=True))
        roles |= {renaming.get(name, name): role for name, role in dataset.roles.items()}
    return Dataset(pd.concat(parts, axis="columns"), roles, dataset1.properties)


def add_rows(dataset1: Dataset, dataset2: Dataset) -> Dataset:
    """Put the rows of the second dataset below those of the first.

    Raises:
        ModuleError: they have different columns, or columns of different types.
    """
    first, second = dataset1.frame, dataset2.frame
    if list(first.columns) != list(second.columns):
        raise ModuleError(
            10, f"The datasets have different columns: {', '.join(first.columns)}; {', '.join(second.columns)}."
        )
    for name in first.columns:
        if _family(first[name]) != _family(second[name]):
            raise ModuleError(
                16,
                f"The column is {type_of(first[name])} in dataset1, {type_of(second[name])} in dataset2.",
                column=name,
            )
    return dataset1.with_frame(pd.concat([_same(first, second), _same(second, first)], ignore_index=True))


def _same(frame: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose categorical columns have the categories of another one's, too."""
    mixed = {
        name: pd.api.types.union_categoricals([first.astype("category"), other[name].astype("category")]).dtype
        for name, first in frame.items()
        if isinstance(first.dtype, pd.CategoricalDtype)
    }
    return frame.astype(mixed) if mixed else frame
