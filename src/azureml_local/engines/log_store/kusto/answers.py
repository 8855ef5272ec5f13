"""The result of a query as Azure's REST API writes it.

https://learn.microsoft.com/azure/azure-monitor/logs/api/response-format
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb

# https://learn.microsoft.com/azure/azure-monitor/logs/api/timeouts and /service-limits: what one answer holds.
MOST_ROWS = 500_000
MOST_BYTES = 64 * 1024 * 1024
ROWS_AT_ONCE = 2000
KUSTO_TYPES = {
    "BOOLEAN": "bool",
    "TINYINT": "int",
    "UTINYINT": "int",
    "SMALLINT": "int",
    "USMALLINT": "int",
    "INTEGER": "int",
    "UINTEGER": "long",
    "BIGINT": "long",
    "UBIGINT": "long",
    "HUGEINT": "long",
    "FLOAT": "real",
    "DOUBLE": "real",
    "VARCHAR": "string",
    "DATE": "datetime",
    "TIMESTAMP": "datetime",
    "TIMESTAMP WITH TIME ZONE": "datetime",
    "INTERVAL": "timespan",
    "UUID": "guid",
    "JSON": "dynamic",
    "NULL": "string",
    '"NULL"': "string",
}
TOO_MUCH = -2133196797  # 0x80DA0003, E_QUERY_RESULT_SET_TOO_LARGE


def kusto_type(duckdb_type: str) -> str:
    """Return Kusto's name of a type of DuckDB's; what is neither scalar nor known there is ``dynamic``."""
    if duckdb_type.startswith("DECIMAL"):
        return "decimal"
    return KUSTO_TYPES.get(duckdb_type, "dynamic")


class Answer:
    """The rows of a result, taken from DuckDB until there is no more, or until there is more than Azure returns.

    ``columns`` is a list of names and Kusto's types; ``rows`` is JSON text, ``size`` its length in bytes.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection) -> None:
        self.columns = [{"name": name, "type": kusto_type(str(kind))} for name, kind, *_ in db.description or ()]
        self.rows: list[str] = []
        self.size = 0
        self.limit: str | None = None  # which one was reached
        kinds = [column["type"] for column in self.columns]
        for row in _all(db):
            line = json.dumps([_value(kind, one) for kind, one in zip(kinds, row, strict=True)], ensure_ascii=False)
            self.size += len(line)
            if len(self.rows) == MOST_ROWS or self.size > MOST_BYTES:
                self.limit = f"{MOST_ROWS} records" if len(self.rows) == MOST_ROWS else f"{MOST_BYTES} bytes"
                break
            self.rows.append(line)

    def body(self, *, seconds: float, render: dict[str, Any] | None, statistics: bool) -> str:
        """Return the answer's whole body.

        Args:
            seconds: how long the query took.
            render: how it is to be drawn; None where nobody has asked for that.
            statistics: what the query took is told, too.
        """
        table = f'{{"name": "PrimaryResult", "columns": {json.dumps(self.columns)}, "rows": [{",".join(self.rows)}]}}'
        more: dict[str, Any] = {}
        if statistics:
            more["statistics"] = self._statistics(seconds)
        if render:
            more["render"] = render
        if self.limit:
            more["error"] = _partial(self.limit)
        rest = "".join(f", {json.dumps(name)}: {json.dumps(value)}" for name, value in more.items())
        return f'{{"tables": [{table}]{rest}}}'

    def _statistics(self, seconds: float) -> dict[str, Any]:
        size = {"tableRowCount": len(self.rows), "tableSize": self.size}
        return {"query": {"executionTime": seconds, "datasetStatistics": [size]}}


def _all(db: duckdb.DuckDBPyConnection) -> Iterator[Sequence[Any]]:
    while rows := db.fetchmany(ROWS_AT_ONCE):
        yield from rows


def _partial(limit: str) -> dict[str, Any]:
    """Return the error of an answer that is not whole: https://learn.microsoft.com/azure/azure-monitor/logs/api/errors."""
    message = (
        f"The results of this query exceed the set limit of {limit}, so not all records were returned "
        "(E_QUERY_RESULT_SET_TOO_LARGE, 0x80DA0003)."
    )
    inner = {"code": str(TOO_MUCH), "message": message, "severity": 2, "severityName": "Error"}
    engine = "Something went wrong processing your query on the server."
    return {
        "code": "PartialError",
        "message": "There were some errors when processing your query.",
        "details": [{"code": "EngineError", "message": engine, "innererror": inner}],
    }


def _value(kind: str, value: Any) -> Any:
    if value is None:
        return "" if kind == "string" else None  # a string is never null in Kusto
    if kind == "datetime":
        return _datetime(value)
    if kind == "timespan":
        return _timespan(value)
    if kind == "real":
        return value if math.isfinite(value) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    if kind == "dynamic":
        return value if isinstance(value, str) else json.dumps(value, default=_plain)
    return str(value) if kind in ("guid", "decimal", "string") else value


def _datetime(value: Any) -> str | None:
    if isinstance(value, str):  # beyond the year 9999: as in Kusto, no time
        return None
    return str(_plain(value)) if isinstance(value, datetime.datetime) else f"{value}T00:00:00Z"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return f"{value.replace(tzinfo=None).isoformat()}Z"
    if isinstance(value, datetime.timedelta):
        return _timespan(value)
    return float(value) if isinstance(value, decimal.Decimal) else str(value)


def _timespan(value: datetime.timedelta) -> str:
    """Return a span as .NET writes it: ``[-][d.]hh:mm:ss[.fffffff]``."""
    total = abs(value)
    hours, rest = divmod(total.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    days = f"{total.days}." if total.days else ""
    fraction = f".{total.microseconds * 10:07d}" if total.microseconds else ""
    return f"{'-' if value < datetime.timedelta(0) else ''}{days}{hours:02d}:{minutes:02d}:{seconds:02d}{fraction}"
