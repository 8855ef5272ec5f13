"""How the cells of a notebook are counted and what they say of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# papermill adds a cell that sets the parameters, and two that point at a failure.
_ADDED_BY_PAPERMILL = {"injected-parameters", "papermill-error-cell-tag"}


@dataclass(frozen=True)
class Timing:
    """How many seconds the code cell with this number took."""

    number: int
    seconds: float


def is_authored(cell: Any) -> bool:
    """Whether the author wrote this cell."""
    return _ADDED_BY_PAPERMILL.isdisjoint(cell.metadata.get("tags", []))


def authored(cells: Sequence[Any]) -> list[Any]:
    """The cells that the author wrote. Cell 1 is the first of them, so numbers hold before and after a run."""
    return [cell for cell in cells if is_authored(cell)]


def number_of(cells: Sequence[Any], index: int) -> int:
    """The number of the authored cell at ``index``, or of the one before it where papermill added that cell."""
    return len(authored(cells[: index + 1]))


def title_of(cells: Sequence[Any], default: str) -> str:
    """The first first-level heading of the notebook, or ``default`` where it has none."""
    for cell in cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("# "):
                    return str(line[2:].strip())
    return default


def timings(cells: Sequence[Any]) -> list[Timing]:
    """The code cells that ran, as papermill noted them in the executed notebook."""
    return [
        Timing(number, float(cell.metadata.papermill.duration))
        for number, cell in enumerate(authored(cells), start=1)
        if cell.cell_type == "code" and cell.metadata.papermill.get("duration") is not None
    ]
