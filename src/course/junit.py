"""The results as JUnit XML, which CI systems show: ``junit.xml``.

What they read of it: https://docs.gitlab.com/ci/testing/unit_test_reports/ (classname, name, file, time, failure,
error, skipped, system-out) and, with a failure's text as the stack trace and the suite's timestamp,
https://learn.microsoft.com/azure/devops/pipelines/tasks/reference/publish-test-results-v2. GitHub shows none by itself;
the actions that people use for it read the same elements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from course import executed
from course.execute import Result
from course.phases import seconds_by_kind
from course.summary import About

_TOTALS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def write(folder: Path, about: About, results: Sequence[Result]) -> None:
    """Writes ``junit.xml``: a test case for each notebook, its part's folder for a class; seconds to 0.01."""
    suites = ElementTree.Element("testsuites", name="notebooks")
    suite = ElementTree.SubElement(suites, "testsuite", name="notebooks")
    suite.set("timestamp", datetime.fromtimestamp(about.began, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    for element in (suites, suite):
        element.set("tests", str(len(results)))
        element.set("time", f"{sum(result.seconds for result in results):.2f}")
        for total, outcome in _TOTALS.items():
            element.set(total, str(sum(_outcome(result) == outcome for result in results)))
    of_run = {"run": about.name, "set": about.set_name, "backend": about.backend}
    _add_properties(suite, {**of_run, "azure_usd": f"{about.spent_usd:.2f}"})
    suite.extend(_case(folder, result) for result in results)
    ElementTree.indent(suites)
    ElementTree.ElementTree(suites).write(folder / "junit.xml", encoding="utf-8", xml_declaration=True)


def write_unready(folder: Path, shortcomings: Sequence[str]) -> None:
    """Writes ``junit.xml`` of a run that was not started: one test case, an error with what has to be mended."""
    suites = ElementTree.Element("testsuites", name="notebooks")
    totals = {"tests": "1", "failures": "0", "errors": "1", "skipped": "0", "time": "0.00"}
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "notebooks", **totals})
    case = ElementTree.SubElement(suite, "testcase", classname="run", name="ready", time="0.00")
    error = ElementTree.SubElement(case, "error", message="not ready; no notebook was started", type="NotReady")
    error.text = _allowed("\n".join(shortcomings))
    ElementTree.indent(suites)
    ElementTree.ElementTree(suites).write(folder / "junit.xml", encoding="utf-8", xml_declaration=True)


def _outcome(result: Result) -> str | None:
    """How JUnit calls it: a failure is what a cell said, an error is a notebook that came to no answer."""
    if result.status == "failed":
        return "error" if result.broken else "failure"
    return {"timeout": "error", "skipped": "skipped"}.get(result.status)


def _case(folder: Path, result: Result) -> ElementTree.Element:
    path = result.notebook.path
    case = ElementTree.Element(
        "testcase", classname=path.parent.name, name=path.stem, time=f"{result.seconds:.2f}", file=result.notebook.name
    )
    _add_properties(case, _facts(result))
    if outcome := _outcome(result):
        where = "" if result.cell is None else f"cell {result.cell}: "
        message = _allowed(f"{where}{result.error or result.reason or 'not run'}")
        element = ElementTree.SubElement(case, outcome, message=message)
        if outcome != "skipped":
            element.set("type", (result.error or "").partition(":")[0])
        element.text = _allowed(result.detail) or None
    cell = executed.failing_cell(executed.read(folder, result), result)
    if cell is not None:
        said = ElementTree.SubElement(case, "system-out")
        said.text = _allowed(f"cell {result.cell}:\n{cell.source}\n\nits output:\n{executed.output_of(cell)}\n")
    return case


def _facts(result: Result) -> dict[str, str]:
    kinds = {f"seconds {kind}": f"{seconds:.2f}" for kind, seconds in seconds_by_kind(result.phases).items()}
    return {"title": result.title, **(kinds if result.phases else {})}


def _add_properties(element: ElementTree.Element, facts: Mapping[str, str]) -> None:
    properties = ElementTree.SubElement(element, "properties")
    for name, value in facts.items():
        ElementTree.SubElement(properties, "property", name=name, value=_allowed(value))


def _allowed(text: str) -> str:
    """The text without the characters that XML 1.0 cannot hold."""
    return "".join(character for character in text if character in "\t\n" or character.isprintable())
