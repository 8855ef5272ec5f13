"""The room as the trainer sees it: what is known of each seat, put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from workshop.board import stuck
from workshop.board.hub import Server
from workshop.board.lessons import Course, Lesson
from workshop.board.machine import Load
from workshop.board.records import Heard, Records
from workshop.board.reports import Report, written
from workshop.board.stuck import Reason, Situation
from workshop.seats import Seat
from workshop.streams import Changes


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


@dataclass
class Room:
    """All that is known of the room.

    Attributes:
        seats: returns the taken seats.
        learners: returns how many seats there are: more can be added while the board runs.
        course: its lessons; none until they are read.
        streams: how many connections each learner's server has to the board.
        servers: of each user, by the hub; None while the hub is away.
        memory, disks: bytes in memory, and per cent of an own disk, of each user, where they are known.
        doing: what the board is about to do for a user, in words.
        failed: what it could not do, in words.
    """

    records: Records
    seats: Callable[[], list[Seat]]
    learners: Callable[[], int]
    course: Course = field(default_factory=lambda: Course(()))
    changes: Changes = field(default_factory=Changes)
    streams: Counter[str] = field(default_factory=Counter)
    servers: dict[str, Server] | None = None
    load: Load | None = None
    memory: dict[str, int] = field(default_factory=dict)
    disks: dict[str, float | None] = field(default_factory=dict)
    doing: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def users(self) -> list[str]:
        """Return the users that have a seat."""
        return [seat.user for seat in self.seats()]

    def snapshot(self, at: datetime) -> dict[str, Any]:
        """Return all that the page shows, as JSON has it."""
        return {
            "at": written(at),
            "learners": self.learners(),
            "lessons": [{"path": lesson.path, "title": lesson.title} for lesson in self.course.lessons],
            "hub": self.servers is not None,
            "load": asdict(self.load) if self.load else None,
            "seats": [self._seat(seat, at) for seat in self.seats()],
            "notes": [
                {"text": note.text, "to": note.user, "at": written(note.at)} for note in self.records.all_notes()[-5:]
            ],
        }

    def _seat(self, seat: Seat, at: datetime) -> dict[str, Any]:
        heard = self.records.heard.get(seat.user)
        report = heard.report if heard else Report()
        lesson = self.course.of(report.notebook)
        asked = self.records.asked.get(seat.user)
        reasons = stuck.reasons(self._situation(seat.user, report, lesson, heard), at)
        if failure := self.failed.get(seat.user):
            reasons = [*reasons, Reason("failed", failure, None)]
        return {
            "user": seat.user,
            "number": seat.number,
            "name": seat.name,
            "state": self._state(seat.user, report, lesson, reasons),
            "reasons": [_shown(reason) for reason in reasons],
            "lesson": self._lesson(report, lesson),
            "finished": self.course.finished(report.done),
            "refused": sum(each.tries for each in report.refused if (each.lesson, each.item) not in report.done),
            "cell": {"state": report.cell.state, "at": written(report.cell.at)} if report.cell else None,
            "active": _last(heard),
            "memory": self.memory.get(seat.user),
            "asked": asked is not None,
            "coming": asked is not None and asked.coming,
            "may_open": asked is not None and asked.may_open,
            "doing": self.doing.get(seat.user, ""),
        }

    def _situation(self, user: str, report: Report, lesson: Lesson | None, heard: Heard | None) -> Situation:
        return Situation(
            report,
            lesson.id if lesson else "",
            self.records.asked.get(user),
            heard.advanced if heard else None,
            self.disks.get(user),
            self._runs(user),
        )

    def _runs(self, user: str) -> bool:
        """Whether a server runs: it is connected, or the hub says so."""
        return self.streams[user] > 0 or (self.servers or {}).get(user, Server()).running

    def _state(self, user: str, report: Report, lesson: Lesson | None, reasons: list[Reason]) -> str:
        if user in self.doing:
            return "doing"
        if reasons:
            return "asked" if reasons[0].rule == "asked" else "stuck"
        if not self._runs(user):
            return "starting" if (self.servers or {}).get(user, Server()).pending == "spawn" else "stopped"
        if not self.streams[user]:
            return "silent"
        if lesson and self.course.done_in(lesson, report.done) == len(lesson.items):
            return "finished"
        return "working"

    def _lesson(self, report: Report, lesson: Lesson | None) -> dict[str, Any] | None:
        if lesson is None:
            return {"title": report.notebook, "path": report.notebook, "done": 0, "of": 0} if report.notebook else None
        done = self.course.done_in(lesson, report.done)
        return {"title": lesson.title, "path": report.notebook, "done": done, "of": len(lesson.items)}


def _shown(reason: Reason) -> dict[str, Any]:
    return {"rule": reason.rule, "text": reason.text, "since": reason.since and written(reason.since)}


def _last(heard: Heard | None) -> str | None:
    """When the learner last did something that shows."""
    if heard is None:
        return None
    times = [each.at for each in heard.report.refused]
    times += [heard.report.cell.at] if heard.report.cell else []
    times += [heard.advanced] if heard.advanced else []
    return written(max(times)) if times else None
