import asyncio
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course import executed, gantt, junit, report, summary
from course.catalogue import Notebook
from course.execute import Result
from course.phases import Phase
from course.progress import Bar
from course.summary import About

BEGAN = 1_800_000_000.0  # 2027-01-15 08:00 UTC
ABOUT = About("nightly-7", "fast", "local", BEGAN, 62.0, budget_usd=1.5, spent_usd=0.25)
PASSED = Result(
    Notebook(Path("notebooks/00_start/01_hello.ipynb")),
    "passed",
    "Say hello & more",
    seconds=61.234,
    began=BEGAN + 0.5,
    phases=[
        Phase("start", BEGAN + 0.5, BEGAN + 3.5),
        Phase("waiting", BEGAN + 3.5, BEGAN + 61),
        Phase("storing", BEGAN + 61, BEGAN + 61.734),
    ],
)
FAILED = Result(
    Notebook(Path("notebooks/02_realtime/01_deploy.ipynb")),
    "failed",
    "Deploy",
    seconds=2.0,
    cell=3,
    error="ValueError: <script>alert(1)</script>",
    detail="\n".join([f"line {n}" for n in range(100)] + ["ValueError: <script>alert(1)</script>"]),
)
SKIPPED = Result(Notebook(Path("notebooks/02_realtime/02_score.ipynb")), "skipped", "02_score", reason="no <money>")

TODO = {"exercise": "deploy/first", "ok": None, "why": "still to be done <b>"}
PICTURE = {"image/png": {"alt": "A curve that falls"}}
OUTPUTS = [
    new_output("stream", name="stderr", text="a line that lived"),
    new_output("stream", name="stdout", text="".join(f"row {n}\n" for n in range(9))),
    new_output("display_data", {"text/plain": "○ deploy/first"}, metadata=TODO),
    new_output("display_data", {"text/plain": "<Image>", "image/png": "iVBORw0KGgo="}, metadata=PICTURE),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of three notebooks, of which one was executed as far as its third cell."""
    folder = summary.new_folder(tmp_path / "runs")
    cells = [
        new_markdown_cell("# Deploy"),
        new_code_cell("a = 1", metadata={"papermill": {"duration": 0.5}}, outputs=OUTPUTS),
        new_code_cell("if a < 2:\n    raise ValueError", metadata={"papermill": {"duration": 1.5}}),
        new_code_cell("a", metadata={"papermill": {"duration": None}}),
    ]
    file = executed.path(folder, FAILED.notebook.path)
    file.parent.mkdir()
    nbformat.write(new_notebook(cells=cells), file)
    file.with_suffix(".log").write_text("Kernel died")
    report.write(folder, ABOUT, [PASSED, FAILED, SKIPPED])
    return folder


class Tags(HTMLParser):
    """The tags of a page, and whether they are nested as they should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_shows_the_failure_and_escapes_it(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "1 of 3 notebooks passed" in page
    assert "<script" not in page
    assert "ValueError: &lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "if a &lt; 2:\n    raise ValueError" in page
    assert "Say hello &amp; more" in page
    assert "line 99" in page
    assert "line 50" not in page
    assert re.search(r"cell 3: 1\.5 s", page)
    assert "1 min 01 s" in page
    assert "1 min 02 s in all" in page
    assert "make run NOTEBOOK=02_realtime/01_deploy" in page


def test_page_shows_exercises_and_cells(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "○ 1 to be done" in page
    assert "○ cell 2, deploy/first: still to be done &lt;b&gt;" in page
    assert "row 5" in page
    assert "row 6" not in page
    assert "… 5 more lines" in page
    assert "a line that lived" not in page + (folder / "02_realtime/01_deploy.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("TimeoutError: not finished after 12 s", "timeout_seconds in notebooks/course.yml"),
        ("DeadKernelError: Kernel died", "memory ran out"),
        ("NameError: the notebook's parameters cell does not declare fast", "the cell tagged parameters"),
        ("RuntimeError: digits-1a2b3 is in use: this lesson runs", "Shut that kernel down"),
        ("AssertionError: first_model/to_request: a function is wanted", "A solution was refused"),
        ("HttpResponseError: (NotFound)", "azureml-local status"),
    ],
)
def test_each_failure_says_what_to_do_next(tmp_path: Path, error: str, advice: str) -> None:
    report.write(tmp_path, ABOUT, [Result(FAILED.notebook, "failed", "Deploy", error=error)])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert advice in page.replace("\n", " ")


def test_junit_has_a_case_for_each_notebook(tmp_path: Path) -> None:
    """As the JUnit schema of the Ant task has it: counts on the suite; failure, error and skipped in the cases."""
    hung = Result(
        FAILED.notebook, "timeout", "Deploy", seconds=3.0, error="TimeoutError", detail="\x1b[31mcell\x00 3\n"
    )
    died = Result(FAILED.notebook, "failed", "Deploy", error="DeadKernelError: Kernel died", broken=True)
    junit.write(tmp_path, ABOUT, [PASSED, FAILED, hung, died, SKIPPED])
    suites = ElementTree.parse(tmp_path / "junit.xml").getroot()
    suite = suites[0]
    totals = {"tests": "5", "failures": "1", "errors": "2", "skipped": "1", "time": "66.23"}
    for element in (suites, suite):
        assert {name: element.get(name) for name in totals} == totals
    assert suite.get("timestamp") == "2027-01-15T08:00:00"
    assert _properties(suite) == {"run": "nightly-7", "set": "fast", "backend": "local", "azure_usd": "0.25"}
    cases = suite.findall("testcase")
    assert [case.get("classname") for case in cases] == ["00_start", *["02_realtime"] * 4]
    outcomes = [[child.tag for child in case if child.tag != "properties"] for case in cases]
    assert outcomes == [[], ["failure"], ["error"], ["error"], ["skipped"]]
    failure, hang, death, skip = (case[1] for case in cases[1:])
    assert (failure.get("message"), failure.get("type")) == (
        "cell 3: ValueError: <script>alert(1)</script>",
        "ValueError",
    )
    assert hang.text == "[31mcell 3\n"
    assert death.get("type") == "DeadKernelError"
    assert (skip.get("message"), skip.get("type"), skip.text) == ("no <money>", None, None)


def _properties(element: ElementTree.Element) -> dict[str | None, str | None]:
    return {one.get("name"): one.get("value") for one in element.findall("properties/property")}


def test_junit_shows_the_cell_that_failed_and_where_time_went(folder: Path) -> None:
    """GitLab and Azure DevOps show ``system-out`` beside the failure."""
    junit.write(folder, ABOUT, [PASSED, FAILED])
    passed, failed = ElementTree.parse(folder / "junit.xml").getroot().iter("testcase")
    said = failed.findtext("system-out") or ""
    assert said.startswith("cell 3:\nif a < 2:\n    raise ValueError\n")
    assert _properties(passed)["seconds waiting"] == "57.50"
    assert passed.find("system-out") is None


def test_junit_of_a_run_that_was_not_started_says_what_to_mend(tmp_path: Path) -> None:
    junit.write_unready(tmp_path, ["free disk: 0.1 GiB. Make room.", "Azurite: missing."])
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")
    assert suite.findtext("testcase/error") == "free disk: 0.1 GiB. Make room.\nAzurite: missing."


def test_page_says_where_the_time_went(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert 'aria-label="start 3.0 s, waiting 57.5 s, computing 0.0 s, storing 0.7 s"' in page
    assert "no &lt;money&gt;" in page
    assert "about 0.25 USD on Azure" in page
    assert "the budget is 1.50 USD" in page
    (chart,) = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert 'aria-label="1 lessons over 1:02 minutes' in chart
    assert "Say hello &amp; more: waiting for 57.5 s" in chart
    slowest = page[page.index("The slowest cells") :]
    assert slowest.index("if a &lt; 2:") < slowest.index("a = 1")


def test_lessons_lie_on_the_chart_as_they_ran() -> None:
    later = Result(
        FAILED.notebook,
        "passed",
        "A title " * 20,
        seconds=31.0,
        began=BEGAN + 31,
        phases=[Phase("computing", BEGAN + 31, BEGAN + 62)],
    )
    chart = gantt.chart([later, SKIPPED, PASSED], BEGAN, 62.0)
    assert [row.label[:8] for row in chart.rows] == ["Say hell", "A title "]
    (stretch,) = chart.rows[1].stretches
    half = (gantt.WIDTH - gantt.LABELS) / 2
    assert stretch.x == pytest.approx(gantt.LABELS + half)
    assert stretch.width == pytest.approx(half)
    assert "at most 2 of them ran at once" in chart.alt
    assert [tick.label for tick in chart.ticks] == ["0:00", "0:10", "0:20", "0:30", "0:40", "0:50", "1:00"]


def test_page_is_well_formed_and_needs_nothing_else(folder: Path) -> None:
    tags = Tags((folder / "report.html").read_text(encoding="utf-8"))
    assert tags.open == []
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in tags.seen}
    links = [attributes["href"] for tag, attributes in tags.seen if tag == "a"]
    targets = {attributes.get("id") for _, attributes in tags.seen}
    assert links
    for link in links:
        assert link is not None
        assert link[1:] in targets if link.startswith("#") else (folder / link).is_file()
    assert {link for link in links if link and link.startswith("02_")} == {
        f"02_realtime/01_deploy.{kind}" for kind in ("html", "ipynb", "log")
    }


def test_summary_has_the_agreed_form(folder: Path) -> None:
    """Schema 1: what reads the fields that it began with goes on doing so."""
    summary.write(folder, ABOUT, [PASSED, FAILED, SKIPPED])
    written = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    of_run = written | {"notebooks": None}
    assert of_run == {
        "schema": 1,
        "set": "fast",
        "run": "nightly-7",
        "backend": "local",
        "started": "2027-01-15T08:00:00+00:00",
        "seconds": 62.0,
        "budget_usd": 1.5,
        "azure_usd": 0.25,
        "notebooks": None,
    }
    agreed = ("path", "part", "status", "seconds", "cell", "error")
    assert [{name: notebook[name] for name in agreed} for notebook in written["notebooks"]] == [
        {
            "path": "notebooks/00_start/01_hello.ipynb",
            "part": "00",
            "status": "passed",
            "seconds": 61.23,
            "cell": None,
            "error": None,
        },
        {
            "path": "notebooks/02_realtime/01_deploy.ipynb",
            "part": "02",
            "status": "failed",
            "seconds": 2.0,
            "cell": 3,
            "error": "ValueError: <script>alert(1)</script>",
        },
        {
            "path": "notebooks/02_realtime/02_score.ipynb",
            "part": "02",
            "status": "skipped",
            "seconds": 0.0,
            "cell": None,
            "error": None,
        },
    ]
    added = ("reason", "started_after", "seconds_by_kind")
    assert [[notebook[name] for name in added] for notebook in written["notebooks"][::2]] == [
        [None, 0.5, {"start": 3.0, "waiting": 57.5, "computing": 0, "storing": 0.73}],
        ["no <money>", None, {"start": 0, "waiting": 0, "computing": 0, "storing": 0}],
    ]


def test_latest_moves_to_the_new_run(tmp_path: Path) -> None:
    for _ in range(2):
        folder = summary.new_folder(tmp_path)
        summary.point_latest_at(folder)
        latest = tmp_path / "latest"
        assert latest.is_symlink()
        assert latest.readlink() == Path(folder.name)
        assert latest.resolve() == folder
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (754.6, "12 min 35 s")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert report.duration(seconds) == shown


def test_bar_gives_way_to_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    async def show() -> None:
        bar = Bar("[1/2]", FAILED.notebook)
        bar.on_event({"event": "opened", "title": "Deploy", "cells": 8})
        bar.on_event({"event": "cell_started", "number": 3, "source": "a"})
        bar.end(FAILED)

    asyncio.run(show())
    shown = capsys.readouterr().out.split("\r")
    assert "[1/2] Deploy" in shown[-3]
    assert "cell 3 of 8, 0 s" in shown[-3]
    assert shown[-1] == "[1/2] failed in 2.0 s: Deploy (cell 3: ValueError: <script>alert(1)</script>)\n"
