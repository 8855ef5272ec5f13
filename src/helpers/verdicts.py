"""How an answer is judged, and how the verdict looks in a notebook."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

MARKS = {True: "✓", False: "✗", None: "○"}
# Distinct also for those who cannot tell red from green; the mark says the same as the colour.
COLOURS = {True: "#0072b2", False: "#d55e00", None: "#767676"}


@dataclass(frozen=True)
class CheckResult:
    """What became of an exercise: ``ok`` is None where nothing has been answered yet; ``why`` is for the learner."""

    ok: bool | None
    why: str
    exercise: str = ""

    def __str__(self) -> str:
        return f"{MARKS[self.ok]} {self.exercise}: {self.why}"

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        """Return how Jupyter shows this, and beside it, for programs that read the notebook, what it says."""
        shown = {"text/plain": str(self), "text/html": box(self.ok, html(str(self)))}
        return shown, {"exercise": self.exercise, "ok": self.ok, "why": self.why}


def html(text: str) -> str:
    """Return text as HTML; what stands between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def box(ok: bool | None, content: str) -> str:
    """Return HTML with a bar at its left whose colour says how it stands."""
    return f'<div style="border-left: 4px solid {COLOURS[ok]}; padding: 0.2em 0.8em">{content}</div>'


def right(why: str) -> CheckResult:
    """Return the verdict on a right answer; ``why`` says what it shows."""
    return CheckResult(True, why)


def wrong(why: str) -> CheckResult:
    """Return the verdict on a wrong answer; ``why`` helps on without giving the solution away."""
    return CheckResult(False, why)


@dataclass(frozen=True)
class Exercise:
    """An exercise: its id ``<lesson>/<name>``, how to begin it, and the function that judges an answer."""

    id: str
    begin: str
    judge: Callable[[Any], CheckResult]


EXERCISES: dict[str, Exercise] = {}


def exercise(exercise_id: str, begin: str) -> Callable[[Callable[[Any], CheckResult]], Callable[[Any], CheckResult]]:
    """Enter the decorated function as the judge of an exercise.

    It gets the learner's answer, which may be anything but None, and returns ``right(...)`` or ``wrong(...)``.
    """

    def enter(judge: Callable[[Any], CheckResult]) -> Callable[[Any], CheckResult]:
        EXERCISES[exercise_id] = Exercise(exercise_id, begin, judge)
        return judge

    return enter
