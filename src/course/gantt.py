"""The run as a Gantt chart: a row a lesson, from its start to its end, by what its time went into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from course.execute import Result
from course.phases import KINDS, Kind

WIDTH = 1000  # of the whole; the page scales it
LABELS = 300  # the width of the lessons' titles
_ROW = 22
_TOP = 26  # where the scale stands
_LONGEST_LABEL = 44  # characters
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)  # seconds between two ticks
_MOST_TICKS = 8


@dataclass(frozen=True)
class Stretch:
    """A phase of a lesson: where it lies on the chart, and what it is in words."""

    x: float
    width: float
    kind: Kind
    words: str


@dataclass(frozen=True)
class Row:
    """A lesson; ``y`` is the row's upper edge."""

    y: float
    label: str
    stretches: list[Stretch]


@dataclass(frozen=True)
class Tick:
    """A line of the scale, and what time it stands for since the run began."""

    x: float
    label: str


@dataclass(frozen=True)
class Chart:
    """What the template draws; ``alt`` says it in words."""

    rows: list[Row]
    ticks: list[Tick]
    height: float
    alt: str


def chart(results: Sequence[Result], began: float, seconds: float) -> Chart:
    """The chart of a run that began at ``began``, in seconds since 1970, and took ``seconds``."""
    ran = sorted((result for result in results if result.phases), key=lambda result: result.began)
    whole = max([seconds, *(result.began + result.seconds - began for result in ran)]) or 1
    scale = (WIDTH - LABELS) / whole

    def row(number: int, result: Result) -> Row:
        stretches = [
            Stretch(
                LABELS + (phase.began - began) * scale,
                phase.seconds * scale,
                phase.kind,
                f"{result.title}: {KINDS[phase.kind].partition(':')[0]} for {phase.seconds:.1f} s",
            )
            for phase in result.phases
        ]
        return Row(_TOP + number * _ROW, _shortened(result.title), stretches)

    return Chart(
        rows=[row(number, result) for number, result in enumerate(ran)],
        ticks=[Tick(LABELS + at * scale, _clock(at)) for at in _ticks(whole)],
        height=_TOP + len(ran) * _ROW + 4,
        alt=f"{len(ran)} lessons over {_clock(whole)} minutes, one below the other in the order in which they began; "
        f"at most {_most_at_once(ran)} of them ran at once.",
    )


def _most_at_once(ran: Sequence[Result]) -> int:
    return max((sum(b.began <= a.began < b.began + b.seconds for b in ran) for a in ran), default=0)


def _ticks(seconds: float) -> list[int]:
    step = next((step for step in _STEPS if seconds / step <= _MOST_TICKS), _STEPS[-1])
    return list(range(0, int(seconds) + 1, step))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def _shortened(title: str) -> str:
    return title if len(title) <= _LONGEST_LABEL else f"{title[: _LONGEST_LABEL - 1]}…"
