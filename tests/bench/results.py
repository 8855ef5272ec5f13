"""The benchmark's rows: made, written down, and shown."""

from __future__ import annotations

import json
import operator
from dataclasses import asdict, dataclass
from pathlib import Path

COMPARISONS = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True)
class Row:
    """One measurement.

    ``ratio`` is ours by the peer's. ``goal`` says what is wanted of ``value`` or ``ratio``, e.g. ``ratio >= 3``.
    """

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None
    goal: str | None = None

    def verdict(self) -> str:
        """Say whether the goal is met; nothing where there is none."""
        if self.goal is None:
            return ""
        what, comparison, limit = self.goal.split()
        met = COMPARISONS[comparison](getattr(self, what), float(limit))
        return "met" if met else "MISSED"


def write(rows: list[Row], path: Path) -> None:
    """Write the rows as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


def table(rows: list[Row]) -> str:
    """Return the rows as a table for people."""
    lines = [("measurement", "value", "", "peer", "value", "ratio", "goal", "")]
    lines += [
        (
            row.name,
            _number(row.value),
            row.unit,
            row.peer or "",
            _number(row.peer_value),
            _number(row.ratio),
            row.goal or "",
            row.verdict(),
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numbers = (1, 4, 5)
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"
