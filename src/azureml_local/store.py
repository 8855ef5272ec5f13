"""The resource store: every resource of every kind in one SQLite table, plus secrets, operations and log events.

A change is on disk before the call returns (WAL with ``synchronous=FULL``), so what a client was told is there after
a crash. Bodies are JSON and keep every member that was sent, used here or not.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from azureml_local.http.errors import NO_SPACE, is_out_of_space

logger = logging.getLogger(__name__)

WRITE_AGAIN_AFTER = 1.0  # seconds, where the disk was full
# MIGRATIONS[n - 1] brings a file of layout n to layout n + 1; TABLES is the newest. Never change one that was released.
OUTBOX = """
CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    writer TEXT NOT NULL,          -- the run of the service that wrote it; its sequences only grow
    log_workspace TEXT NOT NULL,   -- the guid (customerId) of the Log Analytics workspace that it is for
    category TEXT NOT NULL,
    generated_at TEXT NOT NULL,
    record TEXT NOT NULL           -- its columns, as JSON
);
"""
MIGRATIONS: tuple[str, ...] = (OUTBOX,)
TABLES = f"""
CREATE TABLE resources (
    key TEXT PRIMARY KEY,          -- the id in lower case
    id TEXT NOT NULL,
    type TEXT NOT NULL,            -- e.g. workspaces/onlineEndpoints
    parent TEXT NOT NULL,          -- the parent's key, '' for a root
    body TEXT NOT NULL,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL,
    modified_at TEXT NOT NULL,
    modified_by TEXT NOT NULL,
    sequence INTEGER NOT NULL      -- order of creation: time stamps can be equal
);
CREATE INDEX resources_by_parent ON resources (type, parent, sequence);
CREATE TABLE secrets (
    key TEXT PRIMARY KEY REFERENCES resources (key) ON DELETE CASCADE,
    body TEXT NOT NULL
);
CREATE TABLE operations (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    resource TEXT NOT NULL,        -- the resource's key
    status TEXT NOT NULL,
    error TEXT,
    started_at TEXT NOT NULL,
    ended_at TEXT
);
{OUTBOX}
"""
# Kinds whose systemData has three members on Azure, not six.
SHORT_SYSTEM_DATA = frozenset(
    f"workspaces/{kind}{part}" for kind in ("onlineEndpoints", "batchEndpoints") for part in ("", "/deployments")
)
# The same, with another three.
CREATION_ONLY = frozenset(("workspaces/jobs",))
NO_SYSTEM_DATA = frozenset(("workspaces/computes",))


class StoreError(Exception):
    """The database cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Resource:
    """A stored resource: its exact id, its kind, and its body without ``id``, ``name``, ``type``, ``systemData``.

    ``sequence`` grows with each resource that is created.
    """

    id: str
    type: str
    body: dict[str, Any]
    created_at: str
    created_by: str
    modified_at: str
    modified_by: str
    sequence: int

    @property
    def key(self) -> str:
        """The id as it is compared."""
        return self.id.lower()

    @property
    def name(self) -> str:
        """The id's last segment."""
        return self.id.rpartition("/")[2]

    @property
    def properties(self) -> dict[str, Any]:
        """The body's ``properties``; empty where it has none."""
        properties: dict[str, Any] = self.body.get("properties") or {}
        return properties

    def with_properties(self, **changes: Any) -> Resource:
        """Return a copy in which ``properties`` is updated."""
        return replace(self, body={**self.body, "properties": {**self.properties, **changes}})

    def to_json(self) -> dict[str, Any]:
        """Return the resource as Azure answers it."""
        shown = {
            "id": self.id,
            "name": self.name,
            "type": f"Microsoft.MachineLearningServices/{self.type}",
            **self.body,
        }
        return shown if self.type in NO_SYSTEM_DATA else {**shown, "systemData": self._system_data()}

    def _system_data(self) -> dict[str, str]:
        if self.type in CREATION_ONLY:
            return {"createdAt": self.created_at, "createdBy": self.created_by, "createdByType": "Application"}
        data = {"createdAt": self.created_at, "createdBy": self.created_by, "lastModifiedAt": self.modified_at}
        if self.type not in SHORT_SYSTEM_DATA:
            data |= {
                "createdByType": "Application",
                "lastModifiedBy": self.modified_by,
                "lastModifiedByType": "Application",
            }
        return data


@dataclass(frozen=True)
class Condition:
    """What a query asks of each resource: an SQL expression over its row, and the values of its ``?``."""

    sql: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Order:
    """An order of resources: by a column, then by their creation; ``descending`` turns both round."""

    column: str = "sequence"
    descending: bool = False


@dataclass(frozen=True)
class StoredOperation:
    """A long-running operation: InProgress until it has ended with Succeeded, Failed or Canceled."""

    id: str
    kind: str
    resource: str
    status: str
    error: dict[str, Any] | None
    started_at: str
    ended_at: str | None


@dataclass(frozen=True)
class LogEvent:
    """An event that waits for the log store; ``record`` is the JSON of its columns."""

    sequence: int
    writer: str
    category: str
    record: str


def timestamp(days_ago: float = 0) -> str:
    """Return the present time, or an earlier one, as Azure writes it, e.g. ``2026-11-22T13:20:30.123456Z``."""
    then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days_ago)
    return then.isoformat(timespec="microseconds").replace("+00:00", "Z")


async def once_written(write: Callable[[], object], what: str) -> None:
    """Write as soon as it can be written: what has ended has ended, whether the disk is full or not.

    Args:
        write: writes into the store, in one transaction.
        what: it writes, for the log.
    """
    while True:
        try:
            write()
            return
        except sqlite3.OperationalError as failure:
            logger.error("%s cannot be written: %s", what, failure)
            await asyncio.sleep(WRITE_AGAIN_AFTER)


class Store:
    """The resources of one state folder.

    Raises:
        StoreError: the file is no database of this version.
    """

    def __init__(self, path: Path) -> None:
        self._after_commit: list[Callable[[], None]] = []
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
        except sqlite3.Error as error:
            raise StoreError(f"{path} cannot be opened ({error}). Make it a file that you may write.") from error
        try:
            self._open(path)
        except BaseException:
            self._db.close()
            raise

    def _open(self, path: Path) -> None:
        try:
            path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            (state,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                raise sqlite3.DatabaseError(state)
            self._bring_up_to_date(path)
            # Counted here from now on: to ask for it at each write would mean to look at every resource.
            (self._sequence,) = self._db.execute("SELECT COALESCE(MAX(sequence), 0) FROM resources").fetchone()
        except sqlite3.DatabaseError as error:
            if is_out_of_space(error):
                raise StoreError(f"{path} cannot be written: {NO_SPACE}") from error
            raise StoreError(
                f"{path} cannot be read ({error}). Put a copy of it back, or begin anew with azureml-local reset, "
                "which deletes everything."
            ) from error

    def _bring_up_to_date(self, path: Path) -> None:
        """Make the tables, or migrate those of an older version, of which a copy is kept beside."""
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        newest = len(MIGRATIONS) + 1
        if version > newest:
            raise StoreError(
                f"{path} was written by a newer version of the service (layout {version}, this one reads {newest}). "
                "Use that version, or set AZUREML_LOCAL_HOME to a new folder."
            )
        if version == newest:
            return
        if version > 0:
            self._copy(path.with_name(f"{path.name}.layout{version}"))
        script = " ".join(MIGRATIONS[version - 1 :]) if version else TABLES
        try:
            self._db.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {newest}; COMMIT;")
        except sqlite3.DatabaseError:
            self._roll_back()
            raise

    def _copy(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        copy = sqlite3.connect(path)
        self._db.backup(copy)
        copy.close()

    @property
    def changes(self) -> int:
        """How many rows were written since the database was opened: where it is the same, so is all that is stored."""
        return self._db.total_changes

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the changes inside all happen, or none. One inside another is a part of it."""
        if self._db.in_transaction:
            yield
            return
        self._after_commit.clear()
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        callbacks, self._after_commit = self._after_commit, []  # one of them may open a transaction
        for callback in callbacks:
            callback()

    def _roll_back(self) -> None:
        if self._db.in_transaction:  # not where SQLite has done it by itself, as it does on a full disk
            self._db.execute("ROLLBACK")

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once the changes of the present transaction are on disk; at once outside of one."""
        if self._db.in_transaction:
            self._after_commit.append(callback)
        else:
            callback()

    # --- resources ---

    def get(self, resource_id: str) -> Resource | None:
        """Return a resource by its id in any case, or None."""
        row = self._db.execute(f"{_SELECT} WHERE key = ?", (resource_id.lower(),)).fetchone()
        return _resource(row) if row else None

    def children(self, resource_type: str, parent_id: str) -> list[Resource]:
        """Return the resources of a kind under a parent, in order of creation."""
        return self.select(resource_type, parent_id)

    def all_of(self, resource_type: str) -> list[Resource]:
        """Return every resource of a kind, in order of creation."""
        return self.select(resource_type)

    def select(
        self,
        resource_type: str,
        parent_id: str | None = None,
        conditions: Sequence[Condition] = (),
        order: Order = Order(),
        after: tuple[Any, int] | None = None,
        offset: int = 0,
        limit: int = -1,
    ) -> list[Resource]:
        """Return resources of a kind; no more of them are read than are returned.

        Args:
            resource_type: their kind.
            parent_id: what they lie in; None for anywhere.
            conditions: what each must fulfil.
            order: their order.
            after: the order's column and the ``sequence`` of a resource that those before the wanted ones end with.
            offset: how many are left out then.
            limit: how many are returned at most; -1 for all.
        """
        asked = [Condition("type = ?", (resource_type,)), *conditions]
        if parent_id is not None:
            asked.insert(1, Condition("parent = ?", (parent_id.lower(),)))
        columns = list(dict.fromkeys((order.column, "sequence")))
        if after is not None:
            places = f"({', '.join(columns)}) {'<' if order.descending else '>'} ({', '.join('?' * len(columns))})"
            asked.append(Condition(places, after[-len(columns) :]))
        direction = "DESC" if order.descending else "ASC"
        rows = self._db.execute(
            f"{_SELECT} WHERE {' AND '.join(one.sql for one in asked)} "
            f"ORDER BY {', '.join(f'{column} {direction}' for column in columns)} LIMIT ? OFFSET ?",
            (*(value for one in asked for value in one.values), limit, offset),
        )
        return [_resource(row) for row in rows]

    def put(
        self, resource_id: str, resource_type: str, parent_id: str, body: dict[str, Any], principal: str
    ) -> Resource:
        """Create a resource, or replace its body; an existing one keeps the id as it was first written."""
        now = timestamp()
        self._sequence += 1
        self._db.execute(
            "INSERT INTO resources VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
            "body = excluded.body, modified_at = excluded.modified_at, modified_by = excluded.modified_by",
            (
                resource_id.lower(),
                resource_id,
                resource_type,
                parent_id.lower(),
                json.dumps(body),
                now,
                principal,
                now,
                principal,
                self._sequence,
            ),
        )
        stored = self.get(resource_id)
        assert stored is not None  # noqa: S101 - it was written above
        return stored

    def save(self, resource: Resource) -> None:
        """Write a resource's changed body; a resource that was deleted in the meantime stays deleted."""
        self._db.execute("UPDATE resources SET body = ? WHERE key = ?", (json.dumps(resource.body), resource.key))

    def delete(self, resource_id: str) -> None:
        """Delete a resource and everything below it, secrets included."""
        key = resource_id.lower()
        # What begins with "key/" lies between that and "key0": 0 follows / in ASCII. So the index of the keys is used.
        self._db.execute(
            "DELETE FROM resources WHERE key = ? OR (key > ? AND key < ?)",
            (key, f"{key}/", f"{key}{chr(ord('/') + 1)}"),
        )

    # --- secrets ---

    def put_secret(self, resource_id: str, secret: dict[str, Any]) -> None:
        """Keep a resource's secret, beside its body and never in it."""
        self._db.execute(
            "INSERT INTO secrets VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET body = excluded.body",
            (resource_id.lower(), json.dumps(secret)),
        )

    def get_secret(self, resource_id: str) -> dict[str, Any] | None:
        """Return a resource's secret, or None."""
        row = self._db.execute("SELECT body FROM secrets WHERE key = ?", (resource_id.lower(),)).fetchone()
        return json.loads(row[0]) if row else None

    # --- operations ---

    def put_operation(self, operation: StoredOperation) -> None:
        """Write an operation."""
        self._db.execute(
            "INSERT OR REPLACE INTO operations VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                operation.id,
                operation.kind,
                operation.resource,
                operation.status,
                json.dumps(operation.error) if operation.error else None,
                operation.started_at,
                operation.ended_at,
            ),
        )

    def get_operation(self, operation_id: str) -> StoredOperation | None:
        """Return an operation, or None."""
        row = self._db.execute("SELECT * FROM operations WHERE id = ?", (operation_id,)).fetchone()
        return _operation(row) if row else None

    def unfinished_operations(self) -> list[StoredOperation]:
        """Return the operations that have not ended, oldest first."""
        rows = self._db.execute("SELECT * FROM operations WHERE status = 'InProgress' ORDER BY rowid")
        return [_operation(row) for row in rows]

    # --- events on their way to the log store ---

    def put_event(self, writer: str, log_workspace: str, category: str, generated_at: str, record: str) -> None:
        """Write an event that waits for the log store; one in a transaction is there if, and only if, all of it is."""
        self._db.execute(
            "INSERT INTO outbox (writer, log_workspace, category, generated_at, record) VALUES (?, ?, ?, ?, ?)",
            (writer, log_workspace, category, generated_at, record),
        )

    def waiting_events(self, most: int) -> list[LogEvent]:
        """Return the oldest events that wait."""
        rows = self._db.execute(
            "SELECT sequence, writer, category, record FROM outbox ORDER BY sequence LIMIT ?", (most,)
        )
        return [LogEvent(*row) for row in rows]

    def delete_events(self, last: int) -> None:
        """Delete the waiting events up to a sequence: the log store has them."""
        self._db.execute("DELETE FROM outbox WHERE sequence <= ?", (last,))

    def delete_outdated_events(self, retention: Mapping[str, int]) -> None:
        """Delete the waiting events that are older than the retention (days) of the workspace that they are for.

        Args:
            retention: by the workspaces' guids; what waits for another workspace is deleted, too.
        """
        keeps = "SELECT 1 FROM json_each(?) WHERE key = log_workspace AND generated_at >= value"
        oldest = json.dumps({workspace: timestamp(days) for workspace, days in retention.items()})
        self._db.execute(f"DELETE FROM outbox WHERE NOT EXISTS ({keeps})", (oldest,))  # noqa: S608 - no input in it


_SELECT = "SELECT id, type, body, created_at, created_by, modified_at, modified_by, sequence FROM resources"


def _resource(row: tuple[Any, ...]) -> Resource:
    resource_id, resource_type, body, *rest = row
    return Resource(resource_id, resource_type, json.loads(body), *rest)


def _operation(row: tuple[Any, ...]) -> StoredOperation:
    operation_id, kind, resource, status, error, started_at, ended_at = row
    return StoredOperation(
        operation_id, kind, resource, status, json.loads(error) if error else None, started_at, ended_at
    )
