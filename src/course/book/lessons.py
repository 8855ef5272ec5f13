"""A lesson's page: its notebook as it is stored, and what a reader cannot run, folded beneath it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
import yaml

from course import exercises
from course.book import quizzes
from course.book.markdown import classed, code, folded, targets, with_targets
from course.catalogue import Lesson

PAGES = (".ipynb", ".md")  # what a link leads to as a page of its own
PICTURES = (".svg", ".png")
_QUIZ = re.compile(r'^helpers\.quiz\("', re.MULTILINE)


def page(lesson: Lesson, place: str) -> str:
    """Return the lesson's page, as a notebook.

    Args:
        lesson: the lesson.
        place: which of how many it is, such as ``3 of 30``.

    Raises:
        course.exercises.ExerciseError: its solutions are not as they should be.
    """
    notebook = nbformat.read(lesson.path, as_version=4)  # type: ignore[no-untyped-call]
    solved = exercises.read(lesson.solutions) if lesson.solutions.is_file() else {}
    cells = [shown for cell in notebook.cells for shown in _cells(cell, lesson, solved)]
    title, _, rest = cells[0].source.partition("\n")
    cells[0].source = f"{title}\n\n{_facts(lesson, place)}{rest}"
    notebook.cells = cells
    return nbformat.writes(notebook)  # type: ignore[no-untyped-call, no-any-return]


def _facts(lesson: Lesson, place: str) -> str:
    azure = f"on Azure {lesson.azure_minutes} minutes, about {lesson.azure_usd:.2f} USD"
    facts = f"Lesson {place} · {lesson.minutes} minutes · {azure} · [how to run it](../how_to_run.md)"
    return classed("facts", facts)


def _cells(cell: Any, lesson: Lesson, solved: Mapping[str, str]) -> list[Any]:
    """Return what the book shows of a cell."""
    if cell.cell_type == "markdown":
        cell.source = with_targets(cell.source, book_target)
        return [cell]
    if _QUIZ.search(cell.source):
        cell.outputs = []  # the same questions, unanswered
        return [cell, _text(cell.id, quizzes.page_text(yaml.safe_load(quiz_of(lesson).read_text(encoding="utf-8"))))]
    if name := cell.metadata.get("exercise"):
        return [cell, _text(cell.id, folded("Solution", code(exercises.solution(name, solved[name]), "python")))]
    _describe_pictures(cell)
    return [cell]


def _text(beside: str, source: str) -> Any:
    return nbformat.v4.new_markdown_cell(source, id=f"{beside}-book")  # type: ignore[no-untyped-call]


def quiz_of(lesson: Lesson) -> Path:
    """Return the file with the questions of a lesson's quiz."""
    return lesson.path.parent / "quizzes" / f"{lesson.path.stem}.yml"


def _describe_pictures(cell: Any) -> None:
    """Say the text for screen readers where MyST-NB looks for it: at the cell, not at its output."""
    for output in cell.outputs:
        for kind, metadata in output.get("metadata", {}).items():
            if kind.startswith("image/") and "alt" in metadata:
                cell.metadata["mystnb"] = {"image": {"alt": metadata["alt"]}}


def book_target(target: str) -> str:
    """Return where a lesson's link leads in the book: a file that is no page has one that shows it."""
    if "://" in target:
        return target
    path, hash_, heading = target.partition("#")
    if path and PurePosixPath(path).suffix not in PAGES + PICTURES:
        path += ".md"
    return f"{path}{hash_}{heading.lower()}"  # JupyterLab's headings keep their capitals, the book's do not


def linked_paths(lesson: Lesson) -> set[Path]:
    """Return the files and folders that the lesson's text links to, relative to where its own path is."""
    notebook = nbformat.read(lesson.path, as_version=4)  # type: ignore[no-untyped-call]
    found = [target for cell in notebook.cells if cell.cell_type == "markdown" for target in targets(cell.source)]
    paths = [target.partition("#")[0] for target in found if "://" not in target]
    return {_resolved(lesson.path.parent / path) for path in paths if path}


def _resolved(path: Path) -> Path:
    """Return the path without its ``..``, still relative."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        else:
            parts.append(part)
    return Path(*parts)
