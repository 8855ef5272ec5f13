"""What a check found, and how it is told: for people, as wide as their terminal, or as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

NAME_WIDTH = 12
NARROW = 60  # columns; in fewer, what was found stands below its name


class Level(StrEnum):
    """How bad it is: nothing to do; the room runs, but worse; the room does not run."""

    GOOD = "good"
    WORSE = "worse"
    BAD = "bad"


MARKS = {Level.GOOD: "✓", Level.WORSE: "!", Level.BAD: "✗"}
PLAIN_MARKS = {Level.GOOD: "+", Level.WORSE: "!", Level.BAD: "x"}  # where the terminal has no other letters


@dataclass(frozen=True)
class Finding:
    """The result of a check; ``remedy`` says what to do, and is empty where there is nothing to."""

    what: str
    level: Level
    found: str
    remedy: str = ""


def good(what: str, found: str) -> Finding:
    """Return that all is well."""
    return Finding(what, Level.GOOD, found)


def worse(what: str, found: str, remedy: str) -> Finding:
    """Return that the room will be the worse for it."""
    return Finding(what, Level.WORSE, found, remedy)


def bad(what: str, found: str, remedy: str) -> Finding:
    """Return that there can be no room."""
    return Finding(what, Level.BAD, found, remedy)


def as_json(learners: int, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings as JSON has them."""
    ready = all(finding.level is not Level.BAD for finding in findings)
    return {"schema": 1, "learners": learners, "ready": ready, "findings": [asdict(finding) for finding in findings]}


def as_lines(findings: Iterable[Finding], columns: int, *, plain: bool) -> Iterator[str]:
    """Yield the lines that people read, none wider than the terminal."""
    marks = PLAIN_MARKS if plain else MARKS
    for finding in findings:
        head = f"{marks[finding.level]} {finding.what}"
        if columns < NARROW:
            yield from _wrapped(head, finding.found, columns, hang=2, newline=True)
        else:
            yield from _wrapped(f"{head:{NAME_WIDTH + 2}} ", finding.found, columns, hang=NAME_WIDTH + 3)
        if finding.remedy:
            hang = 2 if columns < NARROW else NAME_WIDTH + 3
            yield from _wrapped(" " * hang + ("-> " if plain else "→ "), finding.remedy, columns, hang=hang + 2)


def summary(findings: Sequence[Finding], learners: int) -> str:
    """Return the last line."""
    count = {level: sum(finding.level is level for finding in findings) for level in Level}
    if count[Level.BAD]:
        return f"Not ready for {learners} learners: {count[Level.BAD]} to mend, {count[Level.WORSE]} to know of."
    if count[Level.WORSE]:
        return f"Ready for {learners} learners, with {count[Level.WORSE]} to know of."
    return f"Ready for {learners} learners."


def _wrapped(head: str, text: str, columns: int, *, hang: int, newline: bool = False) -> list[str]:
    indent = " " * hang
    if newline:
        return [head, *textwrap.wrap(text, columns, initial_indent=indent, subsequent_indent=indent)]
    return textwrap.wrap(text, columns, initial_indent=head, subsequent_indent=indent)
