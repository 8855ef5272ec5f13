"""What was measured, minute by minute of the service's clock, in a SQLite file of its own.

A row holds what one series (a metric of a resource, with the values of its dimensions) was in one minute. Rows are kept
for a week of that clock, also over a restart; what was measured in a minute that a kill cut off is lost. The file holds
nothing that could not be measured again: one that is damaged is moved aside, and another begun.
"""

from __future__ import annotations

import datetime
import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from azureml_local import clock

logger = logging.getLogger(__name__)

MINUTE = 60.0  # of the service's clock; the grain of every metric
KEPT = 7 * 24 * 3600.0  # seconds of the service's clock
CLEAN_UP_EVERY = 240  # writes
TABLE = """
CREATE TABLE IF NOT EXISTS metrics (
    resource TEXT NOT NULL,        -- its id in lower case
    metric TEXT NOT NULL,
    dimensions TEXT NOT NULL,      -- their values by their names, as JSON with sorted keys
    start REAL NOT NULL,           -- of the minute, in seconds since 1970
    count REAL NOT NULL,
    total REAL NOT NULL,
    minimum REAL NOT NULL,
    maximum REAL NOT NULL,
    PRIMARY KEY (resource, metric, start, dimensions)
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a series was in some time: how many values it had, their sum, the smallest and the greatest."""

    count: float
    total: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, value: float) -> Sample:
        """Return the sample of a single value."""
        return cls(1, value, value, value)


@dataclass(frozen=True, slots=True)
class Row:
    """A sample of a series: of the resource with the id, and of the values of the metric's dimensions."""

    resource: str
    metric: str
    dimensions: Mapping[str, str]
    sample: Sample


@dataclass(frozen=True, slots=True)
class Point:
    """A series in one minute, which began at ``start`` (seconds since 1970)."""

    start: float
    dimensions: Mapping[str, str]
    sample: Sample


class MetricStore:
    """The file in ``folder``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._path = folder / "metrics.db"
        self._db = self._opened()
        self._writes = 0

    def write(self, start: float, rows: Iterable[Row]) -> None:
        """Keep what was measured in the minute that began at ``start``; where the disk is full, it is lost."""
        values = [
            (
                row.resource.lower(),
                row.metric,
                json.dumps(row.dimensions, sort_keys=True),
                start,
                row.sample.count,
                row.sample.total,
                row.sample.minimum,
                row.sample.maximum,
            )
            for row in rows
        ]
        try:
            with self._db:
                self._db.executemany("INSERT OR REPLACE INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
                if self._writes % CLEAN_UP_EVERY == 0:
                    self._db.execute("DELETE FROM metrics WHERE start < ?", (start - clock.real_seconds(KEPT),))
        except sqlite3.Error as error:
            logger.error("what was measured from %s on cannot be kept: %s", _time(start), error)
        self._writes += 1

    def read(self, resource: str, metric: str, start: float, end: float) -> list[Point]:
        """Return what a metric of a resource was in the minutes that began from ``start`` on and before ``end``."""
        rows = self._db.execute(
            "SELECT start, dimensions, count, total, minimum, maximum FROM metrics "
            "WHERE resource = ? AND metric = ? AND start >= ? AND start < ? ORDER BY start, dimensions",
            (resource.lower(), metric, start, end),
        )
        return [Point(began, json.loads(dimensions), Sample(*values)) for began, dimensions, *values in rows]

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _opened(self) -> sqlite3.Connection:
        try:
            return _open(self._path)
        except sqlite3.DatabaseError as error:
            aside = self._path.with_name(f"{self._path.name}.damaged")
            logger.error("%s cannot be read (%s): it is moved to %s, and another begun", self._path, error, aside)
            for journal in ("-wal", "-shm"):
                self._path.with_name(self._path.name + journal).unlink(missing_ok=True)
            self._path.replace(aside)
            return _open(self._path)


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    path.chmod(0o600)
    # What is lost with the power is a minute or two of measurements: not worth waiting for the disk each minute.
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = OFF")
    database.execute(TABLE)
    return database


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()
