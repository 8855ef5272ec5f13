"""Execute SQL Transformation: queries up to three datasets with SQL, by DuckDB in memory.

https://learn.microsoft.com/azure/machine-learning/component-reference/apply-sql-transformation; Microsoft's
runs SQLite.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import accumulate

import duckdb
import pandas as pd

from .column_types import known
from .dataset import Dataset
from .errors import ModuleError
from .values import naming_absent_label, with_columns

# A query sees its tables only: no file, no address, no variable of this program; and cannot change that.
# With one thread rows come in the same order each time: with more, a join mixes those of a request, and what is split.
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "lock_configuration": "true",
    "threads": 1,
}
_SELECTING = (duckdb.StatementType.SELECT, duckdb.StatementType.MULTI)  # the latter e.g. PIVOT
_LINE = re.compile(r"LINE (\d+):")


def execute_sql_transformation(
    t1: Dataset, sql_query_script: str = "select * from t1", t2: Dataset | None = None, t3: Dataset | None = None
) -> Dataset:
    """Return what the last statement of a script selects from the tables t1, t2 and t3.

    Raises:
        ModuleError: DuckDB refuses a statement, with the line of the script; or the last one selects nothing.
    """
    tables = {"t1": t1, "t2": t2, "t3": t3}
    frames = {name: table.frame for name, table in tables.items() if table is not None}
    with naming_absent_label(t1):
        return Dataset(known(_without_order(_queried(sql_query_script, frames))), t1.roles)


def _queried(script: str, frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    try:
        statements = _shared().extract_statements(script)
    except duckdb.Error as error:
        raise ModuleError(69, str(error).strip()) from error
    if not statements or statements[-1].type not in _SELECTING:
        raise ModuleError(69, "The last statement must select rows, e.g. select * from t1.")
    lines = accumulate((statement.query.count("\n") for statement in statements), initial=0)
    only_selects = all(statement.type == duckdb.StatementType.SELECT for statement in statements)
    with _connection(shared=only_selects) as connection:
        for name, frame in frames.items():
            connection.register(name, frame)
        for statement, before in zip(statements, lines, strict=False):
            try:
                result = connection.execute(statement)
            except duckdb.Error as error:
                raise ModuleError(69, _placed(str(error).strip(), statement.query, before)) from error
        return result.df()


def _placed(message: str, statement: str, before: int) -> str:
    """Return DuckDB's message with the line of the script, where it counts those of a statement."""
    if _LINE.search(message):
        return _LINE.sub(lambda match: f"LINE {int(match[1]) + before}:", message)
    blank = len(statement) - len(statement.lstrip())
    return f"{message} (statement that begins in LINE {before + statement[:blank].count(chr(10)) + 1})"


@cache
def _shared() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config=_SETTINGS)


@contextmanager
def _connection(*, shared: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection; to the database of all those that cannot leave anything in it, or to a new one."""
    connection = _shared().cursor() if shared else duckdb.connect(":memory:", config=_SETTINGS)
    try:
        yield connection
    finally:
        connection.close()


def _without_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose categories have no order, as those that it was made of: DuckDB's enumerations have one."""
    ordered = [name for name in frame.columns if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    return with_columns(frame, {name: frame[name].cat.as_unordered() for name in ordered}) if ordered else frame
