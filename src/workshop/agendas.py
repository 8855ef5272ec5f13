"""Agendas for a room: what ``agendas.yml`` plans, with the minutes of ``course.yml`` and the time of day of each row.

``python -m workshop agenda half-day --start 13:30`` prints one; ``--write`` brings the instructor guide up to date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from course.catalogue import Lesson, find
from workshop.folder import WORKBOOK

FILE = Path(__file__).with_name("agendas.yml")
GUIDE = WORKBOOK / "docs" / "instructor-guide.md"
BEGIN = "<!-- agendas: python -m workshop agenda --write -->\n"
END = "<!-- end of agendas -->\n"
# What the guide calls the kinds of rows.
KINDS = {"lesson": "lesson", "say": "talk", "show": "demo", "catch_up": "catch up", "break": "break"}


@dataclass(frozen=True)
class LeaveOut:
    """When the trainer is late: in which turn a row goes, what is done in its place, and the minutes of that."""

    turn: int
    instead: str
    minutes: int


@dataclass(frozen=True)
class Row:
    """A row: ``lesson`` is the one that the room does, ``of`` those of which the trainer shows something."""

    kind: str
    text: str
    minutes: int
    lesson: Lesson | None = None
    of: Sequence[Lesson] = ()
    leave_out: LeaveOut | None = None

    @property
    def saves(self) -> int:
        """The minutes that leaving it out saves."""
        return self.minutes - self.leave_out.minutes if self.leave_out else 0


@dataclass(frozen=True)
class Day:
    """A day of an agenda: when it starts, such as ``09:00``, and its rows in order."""

    starts: str
    rows: Sequence[Row]

    @property
    def minutes(self) -> int:
        """How long it is, breaks included."""
        return sum(row.minutes for row in self.rows)

    def times(self, starts: str | None = None) -> Iterator[tuple[str, Row]]:
        """Each row with the time of day at which it begins; ``starts`` moves the whole day."""
        passed = 0
        for row in self.rows:
            yield _later(starts or self.starts, passed), row
            passed += row.minutes

    def ends(self, starts: str | None = None) -> str:
        """The time of day at which it ends."""
        return _later(starts or self.starts, self.minutes)


def _later(time_of_day: str, minutes: int) -> str:
    return f"{datetime.strptime(time_of_day, '%H:%M') + timedelta(minutes=minutes):%H:%M}"


@dataclass(frozen=True)
class Agenda:
    """An agenda: its name on the command line, its title, what the room will have done, and its days."""

    name: str
    title: str
    aim: str
    days: Sequence[Day]


def read(lessons: Sequence[Lesson], file: Path = FILE) -> list[Agenda]:
    """The agendas of the file.

    Raises KeyError for a lesson that the course does not have.
    """
    known = {lesson.id: lesson for lesson in lessons}
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    return [
        Agenda(
            fields["name"],
            fields["title"],
            fields["aim"],
            [Day(day["starts"], [_row(row, known) for row in day["rows"]]) for day in fields["days"]],
        )
        for fields in document["agendas"]
    ]


def _row(fields: Mapping[str, Any], lessons: Mapping[str, Lesson]) -> Row:
    leave_out = LeaveOut(**fields["leave_out"]) if "leave_out" in fields else None
    kind = next(kind for kind in KINDS if kind in fields)
    if kind == "lesson":
        lesson = lessons[fields[kind]]
        return Row(kind, lesson.title, lesson.minutes, lesson, leave_out=leave_out)
    return Row(kind, fields[kind], fields["minutes"], None, [lessons[name] for name in fields.get("of", ())], leave_out)


def markdown(agenda: Agenda, starts: str | None = None, folder: str = "../") -> str:
    """The agenda as Markdown: for each day a table, and what to leave out when late. ``folder`` leads to the root."""
    parts = [f"### {agenda.title}\n\n{agenda.aim}\n"]
    for number, day in enumerate(agenda.days, 1):
        head = [f"#### {agenda.title}: day {number}\n"] if len(agenda.days) > 1 else []
        parts += [*head, _table(day, starts, folder), _left_out(day)]
    return "\n".join(parts)


def _table(day: Day, starts: str | None, folder: str) -> str:
    rows = [f"| {at} | {row.minutes} | {KINDS[row.kind]} | {_what(row, folder)} |\n" for at, row in day.times(starts)]
    return "| from | minutes | | |\n|---|---|---|---|\n" + "".join(rows) + f"| {day.ends(starts)} | | end | |\n"


def _what(row: Row, folder: str) -> str:
    if row.lesson:
        return _link(row.lesson, folder)
    shown = " and ".join(_link(lesson, folder) for lesson in row.of)
    return f"{row.text} (from {shown})" if shown else row.text


def _link(lesson: Lesson, folder: str) -> str:
    return f"[{lesson.title}]({folder}{lesson.path.relative_to(WORKBOOK).as_posix()})"


def _left_out(day: Day) -> str:
    rows = sorted((row.leave_out.turn, row.text, row.saves, row.leave_out.instead) for row in day.rows if row.leave_out)
    lines = [f"{turn}. **{text}** saves {saves} minutes. {instead}.\n" for turn, text, saves, instead in rows]
    return "When you are late, leave out, in this order:\n\n" + "".join(lines)


def with_agendas(text: str, agendas: Sequence[Agenda]) -> str:
    """The guide's ``text`` with the agendas between its two marks.

    Raises ValueError where a mark is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{GUIDE.name} needs the lines {BEGIN.strip()} and {END.strip()}")
    return f"{before}{begin}\n{chr(10).join(markdown(agenda) for agenda in agendas)}\n{end}{after}"


def _time_of_day(text: str) -> str:
    try:
        return f"{datetime.strptime(text, '%H:%M'):%H:%M}"
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is no time of day; right is one such as 13:30') from None


def main(arguments: Sequence[str]) -> int:
    """Print an agenda, or all; with ``--write`` bring the guide up to date. Returns the exit status."""
    agendas = read(find(WORKBOOK / "notebooks"))
    parser = argparse.ArgumentParser(prog="python -m workshop agenda", description="Print an agenda, in Markdown.")
    parser.add_argument("name", nargs="?", choices=[agenda.name for agenda in agendas], help="which; default: all")
    parser.add_argument("--start", type=_time_of_day, help="when each day starts, such as 13:30")
    parser.add_argument("--write", action="store_true", help="write them into docs/instructor-guide.md")
    options = parser.parse_args(arguments)
    if options.write:
        GUIDE.write_text(with_agendas(GUIDE.read_text(encoding="utf-8"), agendas), encoding="utf-8")
        return 0
    chosen = [agenda for agenda in agendas if options.name in (None, agenda.name)]
    print("\n".join(markdown(agenda, options.start, "") for agenda in chosen))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
