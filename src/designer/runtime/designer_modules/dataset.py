"""A dataset: a table that knows what its columns are for. In a folder, it is ``data.parquet`` and ``schema.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

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
    """

    frame: pd.DataFrame
    roles: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)

    def with_frame(self, frame: pd.DataFrame) -> Dataset:
        """Return the dataset with another table, for whose columns the roles still hold."""
        return replace(self, frame=frame)

    @property
    def label(self) -> str | None:
        """The name of the label column, if one has that role."""
        return next((name for name, role in self.roles.items() if role == LABEL), None)

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self.frame.to_parquet(folder / DATA, index=False)
        (folder / SCHEMA).write_text(json.dumps(self.schema(), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Dataset:
        """Read it from a folder that ``save`` has written."""
        schema = json.loads((folder / SCHEMA).read_text(encoding="utf-8"))
        frame = pd.read_parquet(folder / DATA)
        roles = {column["name"]: column["role"] for column in schema["columns"] if column.get("role")}
        return cls(frame, roles, schema.get("properties", {}))

    def schema(self) -> dict[str, Any]:
        """Return what its columns are: name, type, role, categories."""
        columns = [_described(self.frame[name], self.roles.get(name)) for name in self.frame.columns]
        return {"columns": columns, "properties": dict(self.properties)}


def _described(column: pd.Series, role: str | None) -> dict[str, Any]:
    described: dict[str, Any] = {"name": column.name, "type": type_of(column)}
    if role:
        described["role"] = role
    if isinstance(column.dtype, pd.CategoricalDtype):
        described["categories"] = column.cat.categories.tolist()
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
