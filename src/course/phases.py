"""What a lesson's time goes into, second by second, as far as it can be known from outside of its kernel."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["start", "waiting", "computing", "storing"]
# In the order in which a bar shows them, with what they mean.
KINDS: dict[Kind, str] = {
    "start": "kernel and imports: until the first cell, and in cells that begin with an import or connect",
    "waiting": "waiting: what the helpers watched, such as jobs and endpoints",
    "computing": "computing: everything else in cells",
    "storing": "storing: after the last cell",
}


_CONNECTS = "helpers.connect("  # it imports the SDK, and starts the service where that does not run


@dataclass(frozen=True)
class Phase:
    """A stretch of time of one kind; ``began`` and ``ended`` in seconds since 1970."""

    kind: Kind
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.ended - self.began


def kind_of(source: str) -> Kind:
    """What a cell of code does where it does not wait; one that is not plain Python computes."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:
        return "computing"
    imports = bool(statements) and isinstance(statements[0], ast.Import | ast.ImportFrom)
    return "start" if imports or _CONNECTS in source else "computing"


def split(began: float, ended: float, cells: Sequence[Phase], waits: Sequence[tuple[float, float]]) -> list[Phase]:
    """The phases from ``began`` to ``ended`` without a gap, given when each cell ran, in order, and each wait."""
    ends = [(cell.began, cell.ended) for cell in cells]
    moments = sorted({began, ended, *(m for pair in [*ends, *waits] for m in pair if began < m < ended)})

    def kind_at(moment: float) -> Kind:
        if any(first <= moment < last for first, last in waits):
            return "waiting"
        if not cells or moment < cells[0].began:
            return "start"
        if moment >= cells[-1].ended:
            return "storing"
        return next((cell.kind for cell in cells if cell.began <= moment < cell.ended), "computing")

    pieces = [Phase(kind_at(first), first, last) for first, last in itertools.pairwise(moments)]
    runs = [list(run) for _, run in itertools.groupby(pieces, key=lambda piece: piece.kind)]
    return [Phase(run[0].kind, run[0].began, run[-1].ended) for run in runs]


def seconds_by_kind(phases: Sequence[Phase]) -> dict[Kind, float]:
    """How many seconds went into each kind."""
    return {kind: sum(phase.seconds for phase in phases if phase.kind == kind) for kind in KINDS}
