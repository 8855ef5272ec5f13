"""What a web service's inputs must bring, and what is done with what they bring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..dataset import Dataset, roles_of
from ..errors import ModuleError
from .refusals import Problem, RequestError, problem
from .requests import Table
from .values import Column

MOST_NAMES = 30  # columns that a message lists


@dataclass(frozen=True)
class TableSchema:
    """The columns of an input for tables.

    Args:
        name: the input's.
        columns: in the order that the graph gets them in, whatever their order in a request.
        optional: columns that may be left out: the label, which a caller wants to know.
        roles: the columns' roles, e.g. which one is the label.
        properties: what else is known of the dataset.
    """

    name: str
    columns: tuple[Column, ...]
    optional: frozenset[str]
    roles: Mapping[str, str]
    properties: Mapping[str, Any]

    @classmethod
    def of(cls, name: str, described: Mapping[str, Any]) -> TableSchema:
        """Return the schema of an input as ``graph.json`` describes it."""
        columns = described["schema"]["columns"]
        return cls(
            name,
            tuple(map(Column.of, columns)),
            frozenset(described.get("optional", ())),
            roles_of(described["schema"]),
            described["schema"].get("properties", {}),
        )

    def read(self, table: Table) -> Dataset:
        """Return a request's rows as a dataset.

        Raises:
            RequestError: a column is missing or unknown, or a value is not of its column's type. Each such column is
                named, with the first row where it is wrong.
        """
        problems = [*self._missing(table), *self._extra(table)]
        made = {}
        for column in self.columns:
            if column.name in table.columns:
                try:
                    made[column.name] = column.read(table.columns[column.name])
                except ValueError as error:
                    row, reason = error.args
                    problems.append(problem(reason, input=self.name, column=column.name, row=row))
        if problems:
            raise RequestError(problems)
        return Dataset(pd.DataFrame(made, copy=False), self.roles, self.properties)

    def _missing(self, table: Table) -> list[Problem]:
        missing = [one for one in self.columns if one.name not in table.columns and one.name not in self.optional]
        return [
            problem(f"The column is missing; its type is {one.type_name}.", input=self.name, column=one.name)
            for one in missing
        ]

    def _extra(self, table: Table) -> list[Problem]:
        known = [one.name for one in self.columns]
        names = ", ".join(known[:MOST_NAMES]) + (", ..." if len(known) > MOST_NAMES else "")
        reason = f"The input has no such column; it has: {names}."
        return [problem(reason, input=self.name, column=name) for name in table.columns if name not in known]


@dataclass(frozen=True)
class ImageSchema:
    """An input for images: what a row has to be, the image directory itself says."""

    name: str

    @classmethod
    def of(cls, name: str, _: Mapping[str, Any]) -> ImageSchema:
        """Return the schema of an input as ``graph.json`` describes it."""
        return cls(name)

    def read(self, table: Table) -> Any:
        """Return a request's rows as an image directory.

        Raises:
            RequestError: a row is wrong.
        """
        from ..images.directory import ImageDirectory  # imports Pillow, which services of tables need not have

        try:
            return ImageDirectory.from_rows(table.rows())
        except ModuleError as error:
            raise RequestError([problem(error.reason, input=self.name, column=error.column, row=error.row)]) from error


def schema_of(name: str, described: Mapping[str, Any]) -> TableSchema | ImageSchema:
    """Return the schema of an input as ``graph.json`` describes it."""
    kind = ImageSchema if described["schema"].get("type") == "ImageDirectory" else TableSchema
    return kind.of(name, described)
