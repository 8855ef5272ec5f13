"""What you have done, in a SQLite file of your own. A lesson goes on without it where it cannot be used."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

VARIABLE = "AZUREML_WORKBOOK_PROGRESS"
VERSION = 3  # 2 has the best results, too; 3 the tries that were refused
BUSY_SECONDS = 15.0  # how long other notebooks' writes are waited for; 2 were too few on a machine with a slow disk
TIME = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')"
NOW = f"at TEXT NOT NULL DEFAULT ({TIME})"
# One transaction: a notebook that begins at the same time waits for one write, not for three.
PREPARE = f"""BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS done (lesson TEXT NOT NULL, item TEXT NOT NULL, {NOW},
    PRIMARY KEY (lesson, item)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS best (lesson TEXT PRIMARY KEY, points INTEGER NOT NULL, most INTEGER NOT NULL, {NOW});
CREATE TABLE IF NOT EXISTS refused (lesson TEXT NOT NULL, item TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 1,
    since TEXT NOT NULL DEFAULT ({TIME}), {NOW}, PRIMARY KEY (lesson, item)) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
COMMIT"""
# In one statement, so that of two notebooks that write at once the better result stays.
BETTER = (
    "INSERT INTO best (lesson, points, most) VALUES (?, ?, ?) ON CONFLICT (lesson) DO UPDATE SET"
    " points = excluded.points, most = excluded.most, at = excluded.at"
    " WHERE excluded.points * best.most > best.points * excluded.most"
)
# What is done once stays done: a later wrong answer is no try that somebody could be stuck in.
REFUSE = (
    "INSERT INTO refused (lesson, item) SELECT ?1, ?2"
    " WHERE NOT EXISTS (SELECT * FROM done WHERE lesson = ?1 AND item = ?2)"
    " ON CONFLICT (lesson, item) DO UPDATE SET tries = tries + 1, at = excluded.at"
)

T = TypeVar("T")


@dataclass(frozen=True)
class Tries:
    """How often an answer was refused; the first time and the last, in UTC, such as ``2026-03-02T10:12:00Z``."""

    refused: int
    since: str
    at: str


@dataclass(frozen=True)
class Kept:
    """What is done, as pairs of a lesson's id and an item; each lesson's best result, of how many points; tries.

    ``tries`` has the items of which an answer was refused before one was right.
    """

    done: set[tuple[str, str]]
    best: dict[str, tuple[int, int]]
    tries: dict[tuple[str, str], Tries] = field(default_factory=dict)


def location() -> Path:
    """Return the file: what ``AZUREML_WORKBOOK_PROGRESS`` names, else one where this system keeps a user's data."""
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_data_path("azureml-workbook") / "progress.db"


def note(lesson: str, items: Iterable[str]) -> None:
    """Note that these items of a lesson are done: names of exercises, ``quiz 1`` to ``quiz 5``."""
    rows = [(lesson, item) for item in items]
    if rows:
        _use(lambda file: file.executemany("INSERT OR IGNORE INTO done (lesson, item) VALUES (?, ?)", rows), None)


def note_refused(lesson: str, items: Iterable[str]) -> None:
    """Note that an answer to each of these items of a lesson was refused, unless the item is done already."""
    rows = [(lesson, item) for item in items]
    if rows:
        _use(lambda file: file.executemany(REFUSE, rows), None)


def note_best(lesson: str, points: int, most: int) -> None:
    """Note a result of so many points out of ``most``, if it is the best one of this lesson."""
    _use(lambda file: file.execute(BETTER, (lesson, points, most)), None)


def kept() -> Kept:
    """Return all that is kept; nothing where the file cannot be used."""
    return _use(_read, Kept(set(), {}))


def _read(file: sqlite3.Connection) -> Kept:
    results = file.execute("SELECT lesson, points, most FROM best")
    best = {lesson: (points, most) for lesson, points, most in results}
    refused = file.execute("SELECT lesson, item, tries, since, at FROM refused")
    tries = {(lesson, item): Tries(*row) for lesson, item, *row in refused}
    return Kept(set(file.execute("SELECT lesson, item FROM done")), best, tries)


def _use(action: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
    """Return what ``action`` returns; ``otherwise`` where the file cannot be used, which is said."""
    path = location()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as file, file:
            _prepare(file)
            return action(file)
    except (OSError, sqlite3.Error) as error:
        print(
            f"Your progress was not read or kept: {path}: {error}. The lesson goes on without it. Move that file away "
            f"to begin a new one, or name another in the environment variable {VARIABLE}.",
            file=sys.stderr,
        )
        return otherwise


def _prepare(file: sqlite3.Connection) -> None:
    version = file.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise sqlite3.DatabaseError(f"it was written by a newer version of the course (format {version})")
    if version < VERSION:
        file.executescript(PREPARE)
