import asyncio
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course import junit, report, summary
from course.catalogue import Notebook
from course.execute import Result
from course.progress import Bar

PASSED = Result(Notebook(Path("notebooks/00_start/01_hello.ipynb")), "passed", "Say hello & more", seconds=61.234)
FAILED = Result(
    Notebook(Path("notebooks/02_realtime/01_deploy.ipynb")),
    "failed",
    "Deploy",
    seconds=2.0,
    cell=3,
    error="ValueError: <script>alert(1)</script>",
    detail="\n".join([f"line {n}" for n in range(100)] + ["ValueError: <script>alert(1)</script>"]),
)
SKIPPED = Result(Notebook(Path("notebooks/02_realtime/02_score.ipynb")), "skipped", "02_score")

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
    executed = report.executed_path(folder, FAILED.notebook.path)
    executed.parent.mkdir()
    nbformat.write(new_notebook(cells=cells), executed)
    executed.with_suffix(".log").write_text("Kernel died")
    report.write(folder, "fast", "local", [PASSED, FAILED, SKIPPED], seconds=62.0)
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
    report.write(tmp_path, "fast", "local", [Result(FAILED.notebook, "failed", "Deploy", error=error)], seconds=1.0)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert advice in page.replace("\n", " ")


def test_junit_has_a_case_for_each_notebook(tmp_path: Path) -> None:
    """As the JUnit schema of the Ant task has it: counts on the suite; failure, error and skipped in the cases."""
    hung = Result(
        FAILED.notebook, "timeout", "Deploy", seconds=3.0, error="TimeoutError", detail="\x1b[31mcell\x00 3\n"
    )
    junit.write(tmp_path, [PASSED, FAILED, hung, SKIPPED])
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()[0]
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")}
    assert counts == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1", "time": "66.23"}
    assert [[child.tag for child in case] for case in suite] == [[], ["failure"], ["error"], ["skipped"]]
    assert [case.get("classname") for case in suite] == ["00_start", *["02_realtime"] * 3]
    assert suite[1][0].get("message") == "cell 3: ValueError: <script>alert(1)</script>"
    assert suite[2][0].text == "[31mcell 3\n"


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
    summary.write(folder, "fast", [PASSED, FAILED, SKIPPED])
    assert json.loads((folder / "summary.json").read_text(encoding="utf-8")) == {
        "schema": 1,
        "set": "fast",
        "notebooks": [
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
        ],
    }


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
        bar.on_event({"event": "cell_started", "number": 3})
        bar.end(FAILED)

    asyncio.run(show())
    shown = capsys.readouterr().out.split("\r")
    assert "[1/2] Deploy" in shown[-3]
    assert "cell 3 of 8, 0 s" in shown[-3]
    assert shown[-1] == "[1/2] failed in 2.0 s: Deploy (cell 3: ValueError: <script>alert(1)</script>)\n"
