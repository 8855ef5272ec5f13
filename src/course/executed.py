"""Executed notebooks: where they lie in a run's folder, and what their cells said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from course.cells import Timing, authored
from course.execute import Result, plain

_OUTPUT_LINES = 6
_OUTPUT_WIDTH = 120


@dataclass(frozen=True)
class Cell:
    """A code cell that ran: its number, its seconds, what it says and the beginning of what came out."""

    number: int
    seconds: float
    source: str
    output: str


def path(folder: Path, notebook: Path) -> Path:
    """Where in the run's ``folder`` the executed ``notebook`` lies: under the name of its part."""
    return folder / notebook.parent.name / notebook.name


def read(folder: Path, result: Result) -> Any:
    """The executed notebook; None where the kernel never answered."""
    file = path(folder, result.notebook.path)
    return nbformat.read(file, as_version=4) if file.exists() else None  # type: ignore[no-untyped-call]


def failing_cell(notebook: Any, result: Result) -> Any:
    """The cell that failed or hung; None where it is not known."""
    return None if notebook is None or result.cell is None else authored(notebook.cells)[result.cell - 1]


def shown(cell: Any, timing: Timing) -> Cell:
    """The cell as a report shows it, its output cut."""
    lines = [line for line in output_of(cell).splitlines() if line.strip()]
    shown = [line if len(line) <= _OUTPUT_WIDTH else f"{line[:_OUTPUT_WIDTH]}…" for line in lines[:_OUTPUT_LINES]]
    if len(lines) > _OUTPUT_LINES:
        shown.append(f"… {len(lines) - _OUTPUT_LINES} more lines")
    return Cell(timing.number, timing.seconds, cell.source, "\n".join(shown))


def output_of(cell: Any) -> str:
    """What came out of a cell in words."""
    return "\n".join(filter(None, map(_text, cell.get("outputs", []))))


def _text(output: Any) -> str:
    """What an output says in words; of a picture, its text for those who cannot see it."""
    if output.output_type == "stream":
        return plain(output.text) if output.name == "stdout" else ""
    if output.output_type == "error":
        return plain(f"{output.ename}: {output.evalue}")
    if alt := output.metadata.get("image/png", {}).get("alt"):
        return f"[picture] {alt}"
    return plain(output.data.get("text/plain", ""))
