"""Components that put two datasets together: Join Data, Add Columns, Add Rows.

https://learn.microsoft.com/azure/machine-learning/component-reference/join-data, add-columns, add-rows
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

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
    keys = _keys(dataset1, join_key_columns_for_l, "dataset1"), _keys(dataset2, join_key_columns_for_r, "dataset2")
    _fit(dataset1.frame, dataset2.frame, *keys)
    left = dataset1.frame.reset_index(drop=True)
    right = _with_other_names(dataset2.frame, left.columns)
    right_keys = [right.columns[dataset2.frame.columns.get_loc(name)] for name in keys[1]]
    on = [f"\0{place}" for place in range(len(keys[0]))]  # names that no column has
    left_on = _matched(left, keys[0], on, match_case)
    right_on = _matched(right, right_keys, on, match_case)
    if how == "semi":
        found = left_on[on].reset_index(names="\0row").merge(right_on[on].dropna().drop_duplicates(), on=on)["\0row"]
        return dataset1.with_frame(left.iloc[sorted(found)].reset_index(drop=True))
    partners = right_on.dropna(subset=on)
    joined = left_on.merge(partners, how=how, on=on, sort=False)
    if how == "outer":
        joined = pd.concat([joined, right_on[right_on[on].isna().any(axis=1)]], ignore_index=True)
    dropped = [*on, *(() if keep_right_key_columns_in_joined_table else right_keys)]
    roles = {**{name: role for name, role in dataset2.roles.items() if name in right.columns}, **dataset1.roles}
    return Dataset(joined.drop(columns=dropped), roles, dataset1.properties)


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


def _with_other_names(right: pd.DataFrame, taken: pd.Index) -> pd.DataFrame:
    names = set(taken)
    new = []
    for name in right.columns:
        number, free = 2, name
        while free in names:
            number, free = number + 1, f"{name} ({number})"
        names.add(free)
        new.append(free)
    return right.set_axis(new, axis="columns")


def _matched(frame: pd.DataFrame, keys: Sequence[str], on: Sequence[str], match_case: bool) -> pd.DataFrame:
    """Return a table with its keys once more, as they are compared."""
    new = {}
    for name, place in zip(keys, on, strict=True):
        key = frame[name]
        if isinstance(key.dtype, pd.CategoricalDtype):
            key = key.astype(key.cat.categories.dtype) if key.notna().all() else key.astype(object)
        new[place] = key.str.lower() if type_of(key) == "String" and not match_case else key
    return frame.assign(**new)


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
