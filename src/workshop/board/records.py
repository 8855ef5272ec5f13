"""What the board has heard, in SQLite: a board that starts again knows all that the one before it knew."""

from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workshop.board import reports
from workshop.board.reports import Report
from workshop.board.stuck import Asked

VERSION = 1
PREPARE = f"""PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS reports (user TEXT PRIMARY KEY, report TEXT NOT NULL, at TEXT NOT NULL, advanced TEXT);
CREATE TABLE IF NOT EXISTS asked (user TEXT PRIMARY KEY, text TEXT NOT NULL, since TEXT NOT NULL,
    may_open INTEGER NOT NULL, coming INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT, text TEXT NOT NULL,
    at TEXT NOT NULL);
PRAGMA user_version = {VERSION};"""
KEPT_NOTES = 50  # what a server that comes late is told


@dataclass(frozen=True)
class Heard:
    """A learner's last report, when it came, and when one last had something new that was done."""

    report: Report
    at: datetime
    advanced: datetime | None


@dataclass(frozen=True)
class Note:
    """A note from the trainer; ``user`` is None for all."""

    id: int
    user: str | None
    text: str
    at: datetime


class Records:
    """The board's database. Only the board's one thread uses it."""

    def __init__(self, path: Path) -> None:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript(PREPARE)
        self.heard = dict(map(_heard, self._database.execute("SELECT user, report, at, advanced FROM reports")))
        self.asked = dict(map(_asked, self._database.execute("SELECT user, text, since, may_open, coming FROM asked")))

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def hear(self, user: str, report: Report, now: datetime) -> None:
        """Keep a learner's report."""
        before = self.heard.get(user)
        known = before.report.done if before else frozenset()
        advanced = before.advanced if before else None
        if before and report.done - known:
            advanced = now
        self.heard[user] = Heard(report, now, advanced)
        row = (
            user,
            json.dumps(reports.to_document(report)),
            reports.written(now),
            advanced and reports.written(advanced),
        )
        self._database.execute("INSERT OR REPLACE INTO reports VALUES (?, ?, ?, ?)", row)

    def ask(self, user: str, asked: Asked) -> None:
        """Keep that a learner asks for the trainer."""
        self.asked[user] = asked
        row = (user, asked.text, reports.written(asked.since), asked.may_open, asked.coming)
        self._database.execute("INSERT OR REPLACE INTO asked VALUES (?, ?, ?, ?, ?)", row)

    def answer(self, user: str) -> Asked | None:
        """Forget that a learner asked, and return what was asked; None where nothing was."""
        self._database.execute("DELETE FROM asked WHERE user = ?", (user,))
        return self.asked.pop(user, None)

    def note(self, text: str, user: str | None, now: datetime) -> Note:
        """Keep a note to one learner, or to all."""
        row = (user, text, reports.written(now))
        number = self._database.execute("INSERT INTO notes (user, text, at) VALUES (?, ?, ?)", row).lastrowid
        assert number is not None  # noqa: S101 - it was an INSERT
        return Note(number, user, text, now)

    def notes(self, user: str, after: int = 0) -> list[Note]:
        """Return the last notes to a learner or to all, the oldest first; those only whose id is above ``after``."""
        return self._notes("(user IS NULL OR user = ?)", user, after)

    def all_notes(self) -> list[Note]:
        """Return the last notes to whomever, the oldest first."""
        return self._notes("? = ''", "", 0)

    def _notes(self, condition: str, user: str, after: int) -> list[Note]:
        rows = self._database.execute(
            f"SELECT id, user, text, at FROM notes WHERE {condition} AND id > ? ORDER BY id DESC LIMIT ?",  # noqa: S608
            (user, after, KEPT_NOTES),
        )
        return [Note(number, to, text, _time(at)) for number, to, text, at in reversed(rows.fetchall())]


def _heard(row: tuple[str, str, str, str | None]) -> tuple[str, Heard]:
    user, report, at, advanced = row
    then = _time(at)
    return user, Heard(reports.from_document(json.loads(report), then), then, _time(advanced) if advanced else None)


def _asked(row: tuple[str, str, str, int, int]) -> tuple[str, Asked]:
    user, text, since, may_open, coming = row
    return user, Asked(text, _time(since), bool(may_open), bool(coming))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
