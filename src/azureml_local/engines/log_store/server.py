"""The log store's process: alone it opens the DuckDB file, and answers the service on a Unix socket.

Run as ``python -m azureml_local.engines.log_store.server FILE SOCKET``. The first line of its output is
``READY``, or says why it cannot begin. Requests are JSON by POST: ``/append``, ``/retain``, ``/query`` (in SQL, of the
service's own), ``/kusto`` (a stranger's; see :mod:`azureml_local.engines.log_store.kusto`).

An event is stored once, however often it is sent: together with the events of a writer, the highest of their sequence
numbers is written, and what comes with a number that is not higher is left out.
"""

from __future__ import annotations

import datetime
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

import duckdb

from azureml_local.engines.log_store import READY, AnswerableError
from azureml_local.engines.log_store.macros import MACROS
from azureml_local.engines.log_store.tables import TABLES, Columns

DUCKDB_TYPES = {"string": "VARCHAR", "int": "INTEGER", "real": "DOUBLE", "datetime": "TIMESTAMP", "bool": "BOOLEAN"}
# What a query may not do: read and write files, load what is not there, take the machine's memory or all of its cores.
CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "lock_configuration": True,
    "memory_limit": "512MB",
    "max_temp_directory_size": "1GB",
    "threads": 2,
}
Event = tuple[str, int, str, dict[str, Any]]  # writer, sequence, category, record


class LogFile:
    """The DuckDB file. Raises duckdb.Error where it is none, is damaged, or is open in another process."""

    def __init__(self, path: Path) -> None:
        self._db = duckdb.connect(str(path), config=CONFIG)
        self._writing = threading.Lock()
        self._db.execute("CREATE SCHEMA IF NOT EXISTS intake")
        self._db.execute("CREATE TABLE IF NOT EXISTS intake.received (writer VARCHAR PRIMARY KEY, sequence BIGINT)")
        for macro in MACROS:
            self._db.execute(f"CREATE OR REPLACE MACRO {macro}")
        for table, columns in TABLES.items():
            typed = {name: f'"{name}" {DUCKDB_TYPES[kind]}' for name, kind in columns.items()}
            self._db.execute(f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(typed.values())})")
            known = self._db.execute(
                "SELECT column_name FROM duckdb_columns() WHERE table_name = ?", [table]
            ).fetchall()
            for column in set(typed) - {name for (name,) in known}:  # of a later version of the table
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {typed[column]}")

    def close(self) -> None:
        """Bring the file up to date and close it."""
        self._db.close()

    def append(self, events: Sequence[Event]) -> None:
        """Store events, those that are new, all or none. A string that an event lacks is empty, as in Kusto."""
        with self._writing, self._db.cursor() as db:
            received = dict(db.execute("SELECT writer, sequence FROM intake.received").fetchall())
            records: dict[str, list[dict[str, Any]]] = {}
            for writer, sequence, table, record in events:
                if sequence > received.get(writer, 0):
                    received[writer] = sequence
                    records.setdefault(table, []).append(record)
            db.begin()
            for table, new in records.items():
                shape, empty = _shape(TABLES[table])
                rows = json.dumps([empty | record for record in new])
                # DuckDB parses them ten times as fast as executemany() binds them.
                insert = f"INSERT INTO {table} BY NAME SELECT unnest(from_json(?, ?), max_depth := 2)"
                db.execute(insert, [rows, shape])
            for writer in {writer for writer, *_ in events}:
                db.execute("INSERT OR REPLACE INTO intake.received VALUES (?, ?)", [writer, received[writer]])
            db.commit()

    def retain(self, days: Mapping[str, int]) -> None:
        """Delete what is older than its workspace keeps, and what no workspace keeps.

        Args:
            days: how long each workspace keeps its records, by its guid.
        """
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        oldest = {workspace: (now - datetime.timedelta(days=kept)).isoformat() for workspace, kept in days.items()}
        kept = "TimeGenerated >= CAST(json_extract_string(?, concat('$.\"', TenantId, '\"')) AS TIMESTAMP)"
        with self._writing, self._db.cursor() as db:
            for table in TABLES:
                db.execute(f"DELETE FROM {table} WHERE NOT coalesce({kept}, false)", [json.dumps(oldest)])  # noqa: S608

    def query(self, sql: str, parameters: Sequence[Any]) -> dict[str, Any]:
        """Return the result of one SQL query: its ``columns`` by name, and its ``rows``."""
        with self._db.cursor() as db:
            db.execute(sql, parameters)
            return {"columns": [name for name, *_ in db.description or ()], "rows": db.fetchall()}

    def kusto(self, request: Mapping[str, Any]) -> str:
        """Return the answer to a Kusto query, as Azure writes it. Raises AnswerableError."""
        from azureml_local.engines.log_store.kusto import execution

        with self._db.cursor() as db:
            return execution.run(db, execution.Request(**request))


def _shape(columns: Columns) -> tuple[str, dict[str, str]]:
    """Return the columns as DuckDB's ``from_json`` wants them, and a record of empty strings."""
    shape = [{name: DUCKDB_TYPES[kind] for name, kind in columns.items()}]
    return json.dumps(shape), {name: "" for name, kind in columns.items() if kind == "string"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            status, answer = 200, self.server.actions[self.path](body)
        except AnswerableError as error:
            status, answer = error.status, error.body
        except duckdb.Error as error:
            status, answer = 500, {"error": _sentence(error)}
        content = (answer if isinstance(answer, str) else json.dumps(answer, default=_json)).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing of requests: they are the service's own."""


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: Path, actions: Mapping[str, Callable[[Any], Any]]) -> None:
        super().__init__(str(address), _Handler)
        self.actions = actions


def _json(value: Any) -> str:
    """Return a value that JSON has no type for: times as Azure writes them, in UTC."""
    return f"{value.isoformat()}Z" if isinstance(value, datetime.datetime) else str(value)


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split())


def main() -> int:
    """Answer until SIGTERM; return an exit status."""
    file, address = map(Path, sys.argv[1:])
    os.umask(0o077)
    os.environ["TZ"] = "UTC"  # Kusto knows no other zone
    time.tzset()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        log = LogFile(file)
    except duckdb.Error as error:
        print(_sentence(error), flush=True)
        return 1
    try:
        address.unlink(missing_ok=True)
        actions: Mapping[str, Callable[[Any], Any]]
        actions = {
            "/append": log.append,
            "/retain": log.retain,
            "/query": lambda body: log.query(*body),
            "/kusto": log.kusto,
        }
        server = _Server(address, actions)
        print(READY, flush=True)
        server.serve_forever()
    finally:
        address.unlink(missing_ok=True)
        log.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
