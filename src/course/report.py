"""The page that people read after a run, and the executed notebooks as pages beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import nbformat
from nbconvert import HTMLExporter

from course.cells import Timing, authored, timings
from course.execute import Result

_DETAIL_LINES = 30


@dataclass(frozen=True)
class Row:
    """One notebook in the report. The links are relative to it, and None where there is no such file."""

    result: Result
    timings: list[Timing]
    source: str
    detail: str
    page_link: str | None
    notebook_link: str | None
    log_link: str | None

    @property
    def slowest(self) -> Timing | None:
        """The cell that took longest, or None where none ran."""
        return max(self.timings, key=lambda timing: timing.seconds, default=None)


def write(folder: Path, set_name: str, backend: str, results: Sequence[Result]) -> None:
    """Writes ``report.html`` into the run's ``folder``, and an HTML page beside each executed notebook."""
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
        seconds=sum(result.seconds for result in results),
        started=folder.name,
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
    return Row(
        result=result,
        timings=timings(cells),
        source="" if result.cell is None or not cells else authored(cells)[result.cell - 1].source,
        detail="\n".join(result.detail.splitlines()[-_DETAIL_LINES:]),
        page_link=_link(folder, page),
        notebook_link=_link(folder, executed),
        log_link=_link(folder, log) if log.exists() and log.stat().st_size else None,
    )


def _link(folder: Path, file: Path) -> str | None:
    return file.relative_to(folder).as_posix() if file.exists() else None


def _render(notebook: Any, folder: Path, title: str) -> str:
    # The pictures that a lesson shows lie beside it, not beside its executed copy.
    resources = {"metadata": {"path": str(folder), "name": title}}
    exporter = HTMLExporter(embed_images=True)  # type: ignore[no-untyped-call]
    page, _ = exporter.from_notebook_node(notebook, resources)
    return page
