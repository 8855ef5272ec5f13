"""The course's lessons as the tests of this folder read them."""

from __future__ import annotations

from pathlib import Path

import nbformat

from course.catalogue import Lesson, find

ROOT = Path(__file__).parents[2]
LESSONS: list[Lesson] = find(ROOT / "notebooks")
IDS = [lesson.id for lesson in LESSONS]


def named(lesson_id: str) -> Lesson:
    return LESSONS[IDS.index(lesson_id)]


def read(lesson: Lesson) -> nbformat.NotebookNode:
    return nbformat.read(lesson.path, as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: nbformat.NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def tagged(notebook: nbformat.NotebookNode, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in code_cells(notebook) if tag in tags(cell)]


def text(notebook: nbformat.NotebookNode) -> str:
    """All that its author wrote outside code."""
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
