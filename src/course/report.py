"""The page that people read after a run, and the executed notebooks as pages beside it."""

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
from nbconvert import HTMLExporter

from course import executed, gantt
from course.cells import Timing, authored, timings
from course.execute import Result
from course.executed import Cell
from course.exercises import Verdict, verdicts
from course.phases import KINDS, seconds_by_kind
from course.summary import About

_DETAIL_LINES = 30
_SLOWEST_CELLS = 10

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


def write(folder: Path, about: About, results: Sequence[Result]) -> None:
    """Writes ``report.html`` into the run's ``folder``, and an HTML page beside each executed notebook."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("course"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration
    environment.filters["by_kind"] = seconds_by_kind
    rows = [_row(folder, result) for result in results]
    page = environment.get_template("report.html").render(
        rows=rows,
        passed=sum(result.status == "passed" for result in results),
        about=about,
        kinds=KINDS,
        longest=max((result.seconds for result in results), default=0) or 1,
        chart=gantt.chart(results, about.began, about.seconds),
        width=gantt.WIDTH,
        slowest=_slowest(rows),
        started=f"{datetime.fromtimestamp(about.began, UTC):%Y-%m-%d %H:%M} UTC",
    )
    (folder / "report.html").write_text(page, encoding="utf-8")


def _slowest(rows: Sequence[Row]) -> list[tuple[Row, Cell]]:
    """The cells of the whole run that took longest, the slowest first."""
    cells = [(row, cell) for row in rows for cell in row.cells]
    return sorted(cells, key=lambda pair: pair[1].seconds, reverse=True)[:_SLOWEST_CELLS]


def duration(seconds: float) -> str:
    """Seconds for people: ``0.4 s``, ``75.0 s`` as ``1 min 15 s``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s"


def _row(folder: Path, result: Result) -> Row:
    original = result.notebook.path
    file = executed.path(folder, original)
    page = file.with_suffix(".html")
    log = file.with_suffix(".log")
    notebook = executed.read(folder, result)
    if notebook is not None:
        page.write_text(_render(notebook, original.parent, result.title), encoding="utf-8")
    cells: list[Any] = [] if notebook is None else notebook.cells
    own = authored(cells)
    timed = timings(cells)
    return Row(
        result=result,
        timings=timed,
        cells=[executed.shown(own[timing.number - 1], timing) for timing in timed],
        verdicts=verdicts(own),
        source="" if (failing := executed.failing_cell(notebook, result)) is None else failing.source,
        detail="\n".join(result.detail.splitlines()[-_DETAIL_LINES:]),
        advice=next(text for pattern, text in _ADVICE if re.match(pattern, result.error or "")),
        page_link=_link(folder, page),
        notebook_link=_link(folder, file),
        log_link=_link(folder, log) if log.exists() and log.stat().st_size else None,
    )


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
