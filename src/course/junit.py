"""The results as JUnit XML, which CI systems show: ``junit.xml``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from course.execute import Result

# How a status is called in JUnit: a time-out is an error of the run rather than a failed assertion.
_ELEMENTS = {"failed": "failure", "timeout": "error", "skipped": "skipped"}


def write(folder: Path, results: Sequence[Result]) -> None:
    """Writes ``junit.xml``: a test case for each notebook, its part's folder for a class; seconds to 0.01."""
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(suites, "testsuite", name="notebooks", tests=str(len(results)))
    suite.set("time", f"{sum(result.seconds for result in results):.2f}")
    for total, status in [("failures", "failed"), ("errors", "timeout"), ("skipped", "skipped")]:
        suite.set(total, str(sum(result.status == status for result in results)))
    suite.extend(_case(result) for result in results)
    ElementTree.indent(suites)
    ElementTree.ElementTree(suites).write(folder / "junit.xml", encoding="utf-8", xml_declaration=True)


def _case(result: Result) -> ElementTree.Element:
    path = result.notebook.path
    case = ElementTree.Element(
        "testcase", classname=path.parent.name, name=path.stem, time=f"{result.seconds:.2f}", file=result.notebook.name
    )
    if result.status in _ELEMENTS:
        where = "" if result.cell is None else f"cell {result.cell}: "
        message = _allowed(f"{where}{result.error or 'not run'}")
        outcome = ElementTree.SubElement(case, _ELEMENTS[result.status], message=message)
        outcome.text = _allowed(result.detail) or None
    return case


def _allowed(text: str) -> str:
    """The text without the characters that XML 1.0 cannot hold."""
    return "".join(character for character in text if character in "\t\n" or character.isprintable())
