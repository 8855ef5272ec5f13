"""What has become of each mini-batch of a job: one SQLite database in the job's folder, which its nodes share.

A mini-batch's rows and its state are written in one transaction. So whatever ends meanwhile, a worker, a node or the
service, a further attempt goes on where the last one was, and no row is there twice.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "mini-batches.db"
PENDING, PICKED, DONE, FAILED = range(4)
WAITS_FOR_LOCK = 60.0  # seconds: another node's transaction takes a fraction of one
CREATED, PLANNED = 1, 2  # versions of the database, as a job goes on
SCHEMA = """
CREATE TABLE mini_batch (
    id INTEGER PRIMARY KEY,
    detail TEXT NOT NULL,    -- JSON: what it holds
    items INTEGER,           -- how many; NULL until somebody has looked
    state INTEGER NOT NULL,
    tries INTEGER NOT NULL   -- that have ended
);
CREATE INDEX pending ON mini_batch (id) WHERE state = 0;
CREATE TABLE result (mini_batch INTEGER PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE try (
    mini_batch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    node INTEGER NOT NULL,
    process TEXT NOT NULL,
    started_at REAL NOT NULL,
    items INTEGER,
    succeeded INTEGER NOT NULL,
    elapsed REAL NOT NULL,
    process_seconds REAL,
    run_seconds REAL,
    status TEXT NOT NULL,
    error TEXT
);
CREATE TABLE process (node INTEGER PRIMARY KEY, started INTEGER NOT NULL);
CREATE TABLE tally (
    total INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    done INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    items INTEGER NOT NULL,
    succeeded_items INTEGER NOT NULL,
    failed_items INTEGER NOT NULL
);
"""


@dataclass(frozen=True)
class MiniBatch:
    """A mini-batch that a worker is to process.

    Args:
        id: counts them, from 0.
        detail: what it holds, as :mod:`~azureml_local.engines.jobs.parallel.splitting` says it.
        items: how many files or rows; None where nobody has looked yet.
        tries: that have ended.
    """

    id: int
    detail: Mapping[str, Any]
    items: int | None
    tries: int

    @property
    def is_table(self) -> bool:
        """Whether it holds rows, and not files."""
        return "parts" in self.detail


@dataclass(frozen=True)
class Try:
    """How a try at a mini-batch ended.

    Args:
        node: where.
        process: the name of the worker process.
        started_at: in seconds since 1970.
        elapsed: seconds.
        status: Azure's word, such as RUN_DONE.
        items: how many the mini-batch has; None where the script did not come to see them.
        succeeded: how many of them did.
        rows: what is appended to the output.
        error: why it failed; None where it did not.
        process_seconds: of the processor.
        run_seconds: that ``run`` took.
    """

    node: int
    process: str
    started_at: float
    elapsed: float
    status: str
    items: int | None = None
    succeeded: int = 0
    rows: bytes = b""
    error: str | None = None
    process_seconds: float | None = None
    run_seconds: float | None = None


@dataclass(frozen=True)
class Tally:
    """How many mini-batches and items of a job are where; items are counted as their mini-batch ends."""

    total: int
    pending: int
    done: int
    failed: int
    items: int
    succeeded_items: int
    failed_items: int

    @property
    def finished(self) -> int:
        """How many mini-batches have ended."""
        return self.done + self.failed


class Ledger:
    """The mini-batches of a job, as one node uses them. Every method is one transaction.

    Args:
        folder: the job's.
    """

    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(
            folder / FILE, timeout=WAITS_FOR_LOCK, isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")  # what a power cut takes away is processed again
        if self._version() < CREATED:
            with self._transaction():
                self._create()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def is_planned(self) -> bool:
        """Whether the job's mini-batches are known."""
        return self._version() == PLANNED

    def plan(self, mini_batches: Iterable[tuple[Mapping[str, Any], int | None]]) -> None:
        """Write down the mini-batches: all or, where making them fails, none."""
        with self._transaction():
            self._database.executemany(
                "INSERT INTO mini_batch VALUES (?, ?, ?, 0, 0)",
                (
                    (number, json.dumps(detail, separators=(",", ":")), items)
                    for number, (detail, items) in enumerate(mini_batches)
                ),
            )
            self._database.execute("INSERT INTO tally SELECT count(*), count(*), 0, 0, 0, 0, 0 FROM mini_batch")
            self._database.execute(f"PRAGMA user_version = {PLANNED}")

    def begin_attempt(self) -> None:
        """Give back what the nodes of a former attempt had picked. None of them runs any more."""
        with self._transaction():
            self._give_back("state = ?", PICKED)

    def release(self, mini_batch: MiniBatch) -> None:
        """Give back a mini-batch that no worker has begun with."""
        with self._transaction():
            self._give_back("id = ?", mini_batch.id)

    def new_process(self, node: int) -> int:
        """Return a number that no process of this node has had before, from 0."""
        with self._transaction():
            (number,) = self._database.execute(
                "INSERT INTO process VALUES (?, 1) ON CONFLICT DO UPDATE SET started = started + 1 RETURNING started",
                (node,),
            ).fetchone()
        return int(number) - 1

    def copy_to(self, target: Path) -> None:
        """Write the database, as it stands now, into a new file."""
        copy = sqlite3.connect(target)
        try:
            self._database.backup(copy)
        finally:
            copy.close()

    def pick(self) -> MiniBatch | None:
        """Return the next mini-batch to process, which nobody else is given; None where there is none."""
        with self._transaction():
            return self._pick()

    def settle(self, mini_batch: MiniBatch, tried: Try, *, again: bool) -> tuple[Tally, MiniBatch | None]:
        """Write down how a try ended; return how the job stands, and the next mini-batch for that worker.

        Args:
            mini_batch: which.
            tried: how.
            again: it is to be tried again.
        """
        with self._transaction():
            self._database.execute(
                "INSERT INTO try VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    mini_batch.id,
                    mini_batch.tries + 1,
                    tried.node,
                    tried.process,
                    tried.started_at,
                    tried.items,
                    tried.succeeded,
                    tried.elapsed,
                    tried.process_seconds,
                    tried.run_seconds,
                    tried.status,
                    tried.error,
                ),
            )
            state = PENDING if again else FAILED if tried.error else DONE
            items = mini_batch.items if tried.items is None else tried.items
            self._database.execute(
                "UPDATE mini_batch SET state = ?, tries = tries + 1, items = ? WHERE id = ?",
                (state, items, mini_batch.id),
            )
            if again:
                self._database.execute("UPDATE tally SET pending = pending + 1")
            else:
                self._count(tried, 1 if items is None else items)
            if tried.rows and not again:
                self._database.execute("INSERT INTO result VALUES (?, ?)", (mini_batch.id, tried.rows))
            following = self._pick()
            return self._tally(), following

    def items(self) -> int | None:
        """Return how many items all mini-batches have; None where that is not known of each."""
        unknown, items = self._database.execute("SELECT sum(items IS NULL), sum(items) FROM mini_batch").fetchone()
        return None if unknown else int(items or 0)

    def tally(self) -> Tally:
        """Return how the job stands."""
        return self._tally()

    def rows(self) -> Iterator[bytes]:
        """Yield what is appended to the output, in the order of the mini-batches."""
        for (content,) in self._database.execute("SELECT content FROM result ORDER BY mini_batch"):
            yield content

    def tries(self) -> Iterator[sqlite3.Row]:
        """Yield every try that has ended, with the ``detail`` of its mini-batch, in the order of their ends."""
        cursor = self._database.cursor()
        cursor.row_factory = sqlite3.Row
        yield from cursor.execute(
            "SELECT try.*, detail FROM try JOIN mini_batch ON mini_batch.id = mini_batch ORDER BY try.rowid"
        )

    def errors(self, most: int) -> list[tuple[str, int]]:
        """Return the errors of tries, and how many have failed so: the most frequent ones first."""
        return self._database.execute(
            "SELECT error, count(*) FROM try WHERE error IS NOT NULL GROUP BY error "
            "ORDER BY count(*) DESC, min(rowid) LIMIT ?",
            (most,),
        ).fetchall()

    def _version(self) -> int:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        return int(version)

    def _create(self) -> None:
        if self._version() < CREATED:  # another node may have been faster
            for statement in SCHEMA.split(";\n"):
                self._database.execute(statement)
            self._database.execute(f"PRAGMA user_version = {CREATED}")

    def _give_back(self, which: str, value: int) -> None:
        changed = self._database.execute(f"UPDATE mini_batch SET state = {PENDING} WHERE {which}", (value,)).rowcount  # noqa: S608 - ours
        self._database.execute("UPDATE tally SET pending = pending + ?", (changed,))

    def _pick(self) -> MiniBatch | None:
        found = self._database.execute(
            f"UPDATE mini_batch SET state = {PICKED} WHERE id = (SELECT id FROM mini_batch WHERE state = {PENDING} "  # noqa: S608 - ours
            "ORDER BY id LIMIT 1) RETURNING id, detail, items, tries"
        ).fetchone()
        if found is None:
            return None
        self._database.execute("UPDATE tally SET pending = pending - 1")
        number, detail, items, tries = found
        return MiniBatch(number, json.loads(detail), items, tries)

    def _count(self, tried: Try, items: int) -> None:
        """Count a mini-batch that has ended. More rows than items are as good as as many."""
        succeeded = min(tried.succeeded, items)
        self._database.execute(
            "UPDATE tally SET done = done + ?, failed = failed + ?, items = items + ?, "
            "succeeded_items = succeeded_items + ?, failed_items = failed_items + ?",
            (not tried.error, bool(tried.error), items, succeeded, items - succeeded),
        )

    def _tally(self) -> Tally:
        return Tally(*self._database.execute("SELECT * FROM tally").fetchone())

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
