"""What a learner's server reports, checked: it comes from a program that the learner can change at will.

A report says all that there is to say, so that one that is lost is made good by the next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

LARGEST = 64 * 1024  # bytes; a learner who has done all of the course needs a fifth of it
LONGEST_PATH, LONGEST_NAME, LONGEST_TEXT = 200, 60, 300  # characters
MOST_ITEMS = 1000
STATES = ("running", "done", "failed")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

T = TypeVar("T")


class ReportError(ValueError):
    """A report that is refused; the message names the field, its value, and what would be right."""


@dataclass(frozen=True)
class Refused:
    """An exercise or question of which answers were refused: how many, the first time and the last."""

    lesson: str
    item: str
    tries: int
    since: datetime
    at: datetime


@dataclass(frozen=True)
class Cell:
    """The cell that ran last: whether it runs, is done or failed, since when, and the error's name if it failed."""

    state: str
    at: datetime
    error: str = ""


@dataclass(frozen=True)
class Report:
    """What a learner has open, has done and was refused. ``notebook`` is a path, as their Jupyter server has it."""

    notebook: str = ""
    done: frozenset[tuple[str, str]] = frozenset()
    refused: tuple[Refused, ...] = ()
    cell: Cell | None = None


def parse(body: bytes, now: datetime) -> Report:
    """Return the report that a request's body holds. Times in the future are taken for ``now``.

    Raises:
        ReportError: it is none.
    """
    if len(body) > LARGEST:
        raise ReportError(f"The report has {len(body)} bytes: at most {LARGEST} are right.")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"The report is not JSON: {error}.") from error
    return from_document(document, now)


def from_document(document: object, now: datetime) -> Report:
    """Return the report that parsed JSON holds; see ``parse``."""
    fields = _object(document, "the report")
    return Report(
        _text(fields.get("notebook", ""), "notebook", LONGEST_PATH),
        frozenset(_pairs(fields.get("done", []))),
        tuple(_list(fields.get("refused", []), "refused", lambda each: _refused(each, now))),
        None if fields.get("cell") is None else _cell(fields["cell"], now),
    )


def to_document(report: Report) -> dict[str, Any]:
    """Return a report as JSON has it; ``from_document`` reads it."""
    return {
        "notebook": report.notebook,
        "done": sorted(map(list, report.done)),
        "refused": [_with_times(asdict(each)) for each in report.refused],
        "cell": cell_document(report.cell),
    }


def cell_document(cell: Cell | None) -> dict[str, Any] | None:
    """Return a cell as JSON has it."""
    return None if cell is None else _with_times(asdict(cell))


def written(time: datetime) -> str:
    """Return a time as reports have it, in UTC, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _with_times(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: written(value) if isinstance(value, datetime) else value for name, value in fields.items()}


def _pairs(value: object) -> list[tuple[str, str]]:
    def pair(each: object) -> tuple[str, str]:
        if not isinstance(each, list) or len(each) != 2:
            raise ReportError(f"done holds {_shown(each)}: a pair of a lesson and an item is right.")
        return _text(each[0], "done", LONGEST_NAME), _text(each[1], "done", LONGEST_NAME)

    return _list(value, "done", pair)


def _refused(value: object, now: datetime) -> Refused:
    fields = _object(value, "refused")
    tries = fields.get("tries")
    if type(tries) is not int or not 1 <= tries <= 1_000_000:
        raise ReportError(f"refused.tries is {_shown(tries)}: a whole number from 1 to 1,000,000 is right.")
    lesson = _text(fields.get("lesson"), "refused.lesson", LONGEST_NAME)
    item = _text(fields.get("item"), "refused.item", LONGEST_NAME)
    since, at = (_time(fields.get(name), f"refused.{name}", now) for name in ("since", "at"))
    return Refused(lesson, item, tries, since, at)


def _cell(value: object, now: datetime) -> Cell:
    fields = _object(value, "cell")
    if fields.get("state") not in STATES:
        raise ReportError(f"cell.state is {_shown(fields.get('state'))}: one of {', '.join(STATES)} is right.")
    error = _text(fields.get("error", ""), "cell.error", LONGEST_NAME)
    return Cell(str(fields["state"]), _time(fields.get("at"), "cell.at", now), error)


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ReportError(f"{name} is {_shown(value)}: an object is right.")
    return value


def _list(value: object, name: str, read: Callable[[object], T]) -> list[T]:
    if not isinstance(value, list) or len(value) > MOST_ITEMS:
        raise ReportError(f"{name} is {_shown(value)}: a list of at most {MOST_ITEMS} is right.")
    return [read(each) for each in value]


def _text(value: object, name: str, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest or not (value.isprintable() or value == ""):
        raise ReportError(f"{name} is {_shown(value)}: text of at most {longest} characters is right.")
    return value


def _time(value: object, name: str, now: datetime) -> datetime:
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            return min(datetime.fromisoformat(value), now)
        except ValueError:
            pass  # such as a thirteenth month: said below
    raise ReportError(f"{name} is {_shown(value)}: a time such as 2026-03-02T10:12:00Z is right.")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]} ..."
