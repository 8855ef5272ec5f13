"""A dataset: a table that knows what its columns are for. In a folder, it is ``data.parquet`` and ``schema.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from .errors import ModuleError

DATA, SCHEMA = "data.parquet", "schema.json"
LABEL = "label"  # the role of the column that a model learns to predict


@dataclass(frozen=True)
class Dataset:
    """A table and the roles of its columns.

    Args:
        frame: the table. A categorical column (``CategoricalDtype``) knows its categories.
        roles: what a column is for, by its name; most have no role. It may name a column that is not there: a web
            service's caller, who wants to know the label, does not send it.
        properties: what else is known of it, as JSON values, e.g. which classes a scored dataset's model knows.

    Raises:
        ModuleError: two columns have one name, or a name is no text.
    """

    frame: pd.DataFrame
    roles: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = self.frame.columns
        if not names.is_unique:
            twice = names[names.duplicated()][0]
            raise ModuleError(28, f"There are two columns {twice!r}; give each a name of its own.", column=str(twice))
        if wrong := [name for name in names if not isinstance(name, str)]:
            raise ModuleError(155, f"A column's name must be text; {wrong[0]!r} is none.")

    def with_frame(self, frame: pd.DataFrame) -> Dataset:
        """Return the dataset with another table, for whose columns the roles still hold."""
        return replace(self, frame=frame)

    def with_label(self, name: str) -> Dataset:
        """Return the dataset with a column, which need not be there, as its only label."""
        roles = {other: role for other, role in self.roles.items() if role != LABEL}
        return replace(self, roles={**roles, name: LABEL})

    @property
    def label(self) -> str | None:
        """The name of the label column, if one has that role."""
        return next((name for name, role in self.roles.items() if role == LABEL), None)

    def column(self, name: str) -> pd.Series:
        """Return a column.

        Raises:
            ModuleError: it is not there.
        """
        if name not in self.frame.columns:
            there = ", ".join(self.frame.columns)
            raise ModuleError(1, f"Column {name!r} is not there; there are: {there}.", column=name)
        return self.frame[name]

    def save(self, folder: Path) -> None:
        """Write it into a folder.

        Raises:
            ModuleError: a column has values of several types.
        """
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self.frame.to_parquet(folder / DATA, index=False)
        except (ValueError, TypeError) as error:  # Arrow's errors are such
            raise _mixed(self.frame, error) from None
        (folder / SCHEMA).write_text(json.dumps(self.schema(), indent=1, default=str), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Dataset:
        """Read it from a folder that ``save`` has written.

        Raises:
            ModuleError: the folder holds something else, e.g. CSV files.
        """
        if not (folder / SCHEMA).is_file():
            raise ModuleError(18, "This folder is no dataset of the Designer; read its files with Import Data first.")
        schema = json.loads((folder / SCHEMA).read_text(encoding="utf-8"))
        frame = _categorized(pd.read_parquet(folder / DATA), schema)
        return cls(frame, roles_of(schema), schema.get("properties", {}))

    def schema(self) -> dict[str, Any]:
        """Return what its columns are: name, type, role, categories; and which column the label is, also if absent."""
        columns = [_described(self.frame[name], self.roles.get(name)) for name in self.frame.columns]
        absent = {name: role for name, role in self.roles.items() if name not in self.frame.columns}
        return {"columns": columns, "properties": dict(self.properties), **({"absent": absent} if absent else {})}


def _mixed(frame: pd.DataFrame, error: Exception) -> ModuleError:
    """Return what is wrong with a table that cannot be written: the first value of another type than those before."""
    for name in frame.select_dtypes(object).columns:
        types = [
            (row, type(value))
            for row, value in enumerate(frame[name])
            if not pd.api.types.is_scalar(value) or pd.notna(value)
        ]
        other = next(((row, kind) for row, kind in types if kind is not types[0][1]), None)
        if other:
            row, kind = other
            value = frame[name].iloc[row]
            reason = f"{value!r} is {kind.__name__}, where the values before are {types[0][1].__name__}."
            return ModuleError(45, reason, column=name, row=row)
    return ModuleError(45, f"The table cannot be kept: {error}.")


def roles_of(schema: Mapping[str, Any]) -> dict[str, str]:
    """Return the roles of columns that a schema says."""
    there: dict[str, str] = {column["name"]: column["role"] for column in schema["columns"] if column.get("role")}
    return {**there, **schema.get("absent", {})}


def _categorized(frame: pd.DataFrame, schema: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table with the categories of its columns: a Parquet file has those of texts only, if it has a row."""
    known = {column["name"]: column["categories"] for column in schema["columns"] if "categories" in column}
    for name, categories in known.items():
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype) and column.cat.categories.tolist() == categories:
            continue
        is_time = pd.api.types.is_datetime64_any_dtype(column.dtype)
        values = pd.DatetimeIndex(categories, dtype=column.dtype) if is_time else pd.Index(categories)
        frame[name] = pd.Categorical(column, values)
    return frame


def _described(column: pd.Series, role: str | None) -> dict[str, Any]:
    described: dict[str, Any] = {"name": column.name, "type": type_of(column)}
    if role:
        described["role"] = role
    if isinstance(column.dtype, pd.CategoricalDtype):
        described["categories"] = column.cat.categories.tolist()
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        described["time_zone"] = str(column.dtype.tz)
    return described


def type_of(column: pd.Series) -> str:
    """Return a column's type: ``Integer``, ``Double``, ``Boolean``, ``DateTime``, ``Categorical`` or ``String``."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "Categorical"
    checks = {
        "Boolean": pd.api.types.is_bool_dtype,
        "Integer": pd.api.types.is_integer_dtype,
        "Double": pd.api.types.is_float_dtype,
        "DateTime": pd.api.types.is_datetime64_any_dtype,
    }
    return next((name for name, check in checks.items() if check(column.dtype)), "String")
