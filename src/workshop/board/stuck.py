"""Who needs the trainer, by rules that are simple enough for the board to say which one holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from workshop.board.reports import Report

TRIES = 3  # refused answers to one exercise
QUIET = timedelta(minutes=10)  # without anything after a cell that failed
LONG = timedelta(minutes=10)  # one cell; of the course's own, none takes three
FULL = 95  # per cent of a learner's disk


@dataclass(frozen=True)
class Asked:
    """A learner has asked for the trainer: what about, since when, and whether the trainer has answered "coming"."""

    text: str
    since: datetime
    may_open: bool = False
    coming: bool = False


@dataclass(frozen=True)
class Situation:
    """What the rules judge by.

    Attributes:
        lesson_id: of the lesson that is open; "" where none of the course's is.
        advanced: when something was last done that had not been done before.
        disk: per cent of the learner's disk that is used; None where it has none of its own.
    """

    report: Report
    lesson_id: str = ""
    asked: Asked | None = None
    advanced: datetime | None = None
    disk: float | None = None
    running: bool = True


@dataclass(frozen=True)
class Reason:
    """Why somebody needs the trainer: the rule's name, what the board says, and since when."""

    rule: str
    text: str
    since: datetime | None


Rule = Callable[[Situation, datetime], Iterator[Reason]]


def has_asked(situation: Situation, now: datetime) -> Iterator[Reason]:
    """The learner asked."""
    if asked := situation.asked:
        yield Reason("asked", f"asked for you: {asked.text}" if asked.text else "asked for you", asked.since)


def was_refused(situation: Situation, now: datetime) -> Iterator[Reason]:
    """An exercise of the open lesson was refused some times, and nothing has been done since the last."""
    done = situation.report.done
    for each in situation.report.refused:
        given_up = situation.advanced is not None and situation.advanced > each.at
        elsewhere = situation.lesson_id not in ("", each.lesson)
        moved_on = (each.lesson, each.item) in done or given_up or elsewhere
        if situation.running and each.tries >= TRIES and not moved_on:
            yield Reason("refused", f"{each.tries} refused tries of {each.item}", each.since)


def went_quiet(situation: Situation, now: datetime) -> Iterator[Reason]:
    """A cell failed, and nothing has run since."""
    cell = situation.report.cell
    if situation.running and cell and cell.state == "failed" and now - cell.at >= QUIET:
        error = f" ({cell.error})" if cell.error else ""
        yield Reason("quiet", f"nothing for {_minutes(now - cell.at)} after a cell that failed{error}", cell.at)


def runs_long(situation: Situation, now: datetime) -> Iterator[Reason]:
    """A cell runs longer than any of the course's does."""
    cell = situation.report.cell
    if situation.running and cell and cell.state == "running" and now - cell.at >= LONG:
        yield Reason("long", f"one cell has been running for {_minutes(now - cell.at)}", cell.at)


def has_no_room(situation: Situation, now: datetime) -> Iterator[Reason]:
    """The learner's disk is nearly full."""
    if situation.disk is not None and situation.disk >= FULL:
        yield Reason("disk", f"disk {situation.disk:.0f} % full", None)


RULES: tuple[Rule, ...] = (has_asked, was_refused, has_no_room, went_quiet, runs_long)


def reasons(situation: Situation, now: datetime) -> list[Reason]:
    """Return why the learner needs the trainer, the weightiest first; nothing where no rule holds."""
    return [reason for rule in RULES for reason in rule(situation, now)]


def _minutes(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return "1 minute" if minutes == 1 else f"{minutes} minutes"
