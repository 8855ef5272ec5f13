"""The page that people read after a run, and the executed notebooks as pages beside it."""

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jinja2
import nbformat
from nbconvert import HTMLExporter

from course.cells import Timing, authored, timings
from course.execute import Result, plain
from course.exercises import Verdict, verdicts

_DETAIL_LINES = 30
_OUTPUT_LINES = 6
_OUTPUT_WIDTH = 120

# What to do next, by how the error begins; the first that fits is shown.
_ADVICE = [
    (
        r"TimeoutError: not finished",
        "This cell was running when the time was up. Open the notebook and run it to this cell. If it is only slow, "
        "give it more time: --timeout for once, timeout_seconds in notebooks/course.yml for good.",
    ),
    (
        r"DeadKernelError",
        "The kernel was ended from outside, most often because memory ran out: close other programs, or run fewer "
        "notebooks at once with --jobs 1.",
    ),
    (
        r"NameError: the notebook's parameters cell",
        "Add the parameter to the cell tagged parameters, or take it out of the lesson's sets in notebooks/course.yml.",
    ),
    (
        r"RuntimeError: \S+ is in use",
        "The lesson is open elsewhere. Shut that kernel down, or let it end, and run this again.",
    ),
    (
        r"AssertionError: \w+/\w+: ",
        "A solution was refused. Compare the file in the part's folder solutions with the check in src/helpers/checks.",
    ),
    (
        r"",
        "Open the notebook (make lab), run it to this cell, and look at what its variables hold. azureml-local "
        "doctor says whether this machine is ready, azureml-local status whether the service runs.",
    ),
]


@dataclass(frozen=True)
class Cell:
    """A code cell that ran: its number, its seconds, what it says and the beginning of what came out."""

    number: int
    seconds: float
    source: str
    output: str


@dataclass(frozen=True)
class Row:
    """One notebook in the report. The links are relative to it, and None where there is no such file."""

    result: Result
    timings: list[Timing]
    cells: list[Cell]
    verdicts: list[Verdict]
    source: str
    detail: str
    advice: str
    page_link: str | None
    notebook_link: str | None
    log_link: str | None

    @property
    def slowest(self) -> Timing | None:
        """The cell that took longest, or None where none ran."""
        return max(self.timings, key=lambda timing: timing.seconds, default=None)


def write(folder: Path, set_name: str, backend: str, results: Sequence[Result], seconds: float) -> None:
    """Writes ``report.html`` into the run's ``folder``, and an HTML page beside each executed notebook.

    ``seconds`` is what the run took; where notebooks ran side by side, that is less than their sum.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("course"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration
    rows = [_row(folder, result) for result in results]
    page = environment.get_template("report.html").render(
        rows=rows,
        passed=sum(result.status == "passed" for result in results),
        seconds=seconds,
        longest=max((result.seconds for result in results), default=0) or 1,
        started=f"{datetime.now(UTC) - timedelta(seconds=seconds):%Y-%m-%d %H:%M} UTC",
        set_name=set_name,
        backend=backend,
    )
    (folder / "report.html").write_text(page, encoding="utf-8")


def duration(seconds: float) -> str:
    """Seconds for people: ``0.4 s``, ``75.0 s`` as ``1 min 15 s``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s"


def executed_path(folder: Path, notebook: Path) -> Path:
    """Where in the run's ``folder`` the executed ``notebook`` lies: under the name of its part."""
    return folder / notebook.parent.name / notebook.name


def _row(folder: Path, result: Result) -> Row:
    original = result.notebook.path
    executed = executed_path(folder, original)
    page = executed.with_suffix(".html")
    log = executed.with_suffix(".log")
    cells: list[Any] = []
    if executed.exists():
        notebook = nbformat.read(executed, as_version=4)  # type: ignore[no-untyped-call]
        page.write_text(_render(notebook, original.parent, result.title), encoding="utf-8")
        cells = notebook.cells
    own = authored(cells)
    timed = timings(cells)
    return Row(
        result=result,
        timings=timed,
        cells=[_cell(own[timing.number - 1], timing) for timing in timed],
        verdicts=verdicts(own),
        source="" if result.cell is None or not cells else own[result.cell - 1].source,
        detail="\n".join(result.detail.splitlines()[-_DETAIL_LINES:]),
        advice=next(text for pattern, text in _ADVICE if re.match(pattern, result.error or "")),
        page_link=_link(folder, page),
        notebook_link=_link(folder, executed),
        log_link=_link(folder, log) if log.exists() and log.stat().st_size else None,
    )


def _cell(cell: Any, timing: Timing) -> Cell:
    lines = [line for output in cell.outputs for line in _text(output).splitlines() if line.strip()]
    shown = [line if len(line) <= _OUTPUT_WIDTH else f"{line[:_OUTPUT_WIDTH]}…" for line in lines[:_OUTPUT_LINES]]
    if len(lines) > _OUTPUT_LINES:
        shown.append(f"… {len(lines) - _OUTPUT_LINES} more lines")
    return Cell(timing.number, timing.seconds, cell.source, "\n".join(shown))


def _text(output: Any) -> str:
    """What an output says in words; of a picture, its text for those who cannot see it."""
    if output.output_type == "stream":
        return plain(output.text) if output.name == "stdout" else ""
    if output.output_type == "error":
        return plain(f"{output.ename}: {output.evalue}")
    if alt := output.metadata.get("image/png", {}).get("alt"):
        return f"[picture] {alt}"
    return plain(output.data.get("text/plain", ""))


def _link(folder: Path, file: Path) -> str | None:
    return file.relative_to(folder).as_posix() if file.exists() else None


def _render(notebook: Any, folder: Path, title: str) -> str:
    # A line that lived while something was waited for is of no use to a reader; the notebook still holds it.
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        cell.outputs = [output for output in cell.get("outputs", []) if output.get("name") != "stderr"]
    # The pictures that a lesson shows lie beside it, not beside its executed copy.
    resources = {"metadata": {"path": str(folder), "name": title}}
    exporter = HTMLExporter(embed_images=True)  # type: ignore[no-untyped-call]
    page, _ = exporter.from_notebook_node(notebook, resources)
    return page
