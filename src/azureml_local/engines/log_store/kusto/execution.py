"""Runs a query on a connection that sees what the caller may see, cannot write, and is interrupted in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from azureml_local.engines.log_store.kusto import errors
from azureml_local.engines.log_store.kusto.answers import Answer
from azureml_local.engines.log_store.kusto.translation import Translated, translate
from azureml_local.engines.log_store.tables import TABLES


@dataclass(frozen=True)
class Request:
    """A query, and what it may see.

    ``workspaces`` are guids of Log Analytics workspaces; ``resource`` is an id in lower case, whose rows and those of
    what lies below it are seen (None for all); ``begin`` and ``end`` are ISO 8601 text in UTC, or None. ``seconds`` is
    how long it may take.
    """

    text: str
    workspaces: Sequence[str]
    resource: str | None = None
    begin: str | None = None
    end: str | None = None
    seconds: float = 180.0
    statistics: bool = False
    render: bool = False


def run(db: duckdb.DuckDBPyConnection, request: Request) -> str:
    """Return a query's answer, as Azure's REST API writes it. Raises KustoError.

    Args:
        db: a connection that nobody else uses.
        request: what is asked.
    """
    began = time.monotonic()
    translated = translate(request.text)
    _make_views(db, request, translated.tables)
    db.execute("BEGIN TRANSACTION READ ONLY")
    with _interrupted_after(db, request.seconds):
        try:
            db.execute(_only_select(db, translated))
            answer = Answer(db)
        except duckdb.InterruptException as error:
            raise errors.timed_out(request.seconds) from error
        except duckdb.Error as error:
            raise errors.of_execution(error, translated.operator_of) from error
        except (ValueError, OverflowError, TypeError) as error:  # a value that Python cannot hold, as the year 10000
            raise errors.semantic("SEM0001", f"A value of the result is out of range: {error}") from error
    render = translated.render if request.render else None
    return answer.body(seconds=time.monotonic() - began, render=render, statistics=request.statistics)


def _make_views(db: duckdb.DuckDBPyConnection, request: Request, tables: Iterable[str]) -> None:
    """Make a view of the rows of each of these tables that are in a request's scope."""
    ((catalog,),) = db.execute("SELECT current_database()").fetchall()
    for table in tables:
        columns = ", ".join(f'"{name}"' for name in TABLES[table])
        rows = f'SELECT {columns} FROM "{catalog}".main."{table}" WHERE {_conditions(table, request)}'  # noqa: S608
        db.execute(f'CREATE TEMP VIEW "{table}" AS {rows}')


def _conditions(table: str, request: Request) -> str:
    """Return what a row of a request's scope fulfils, as SQL; its values are quoted, for a view takes no parameters."""
    conditions = [f"TenantId IN ({', '.join(map(_quoted, request.workspaces))})" if request.workspaces else "false"]
    if request.begin:
        conditions.append(f"TimeGenerated >= TIMESTAMP {_quoted(request.begin)}")
    if request.end:
        conditions.append(f"TimeGenerated < TIMESTAMP {_quoted(request.end)}")
    if request.resource:
        conditions.append(_of_resource(table, request.resource))
    return " AND ".join(conditions)


def _of_resource(table: str, resource: str) -> str:
    if "_ResourceId" not in TABLES[table]:
        return "false"
    return f"(_ResourceId = {_quoted(resource)} OR starts_with(_ResourceId, {_quoted(resource + '/')}))"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _only_select(db: duckdb.DuckDBPyConnection, translated: Translated) -> duckdb.Statement:
    (statement,) = db.extract_statements(translated.sql)
    if statement.type != duckdb.StatementType.SELECT:
        raise errors.semantic("SEM0001", "The text is no query.")
    return statement


@contextmanager
def _interrupted_after(db: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, db.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
