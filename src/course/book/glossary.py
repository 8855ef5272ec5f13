"""The glossary's page: each term, and the lessons that use it."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import nbformat

from course.book.markdown import anchor, targets
from course.catalogue import Lesson

FILE = "glossary.md"
_TERM = re.compile(r"^### (?P<term>.+)\n\n(?P<text>.+(?:\n.+)*)", re.MULTILINE)


def page(folder: Path, lessons: list[Lesson]) -> str:
    """Return the glossary with, beneath each term, the lessons whose text links to it."""
    uses = _uses(lessons)

    def entry(match: re.Match[str]) -> str:
        used = [f"[{one.title}]({one.path.relative_to(folder).as_posix()})" for one in uses[anchor(match["term"])]]
        return f"## {match['term']}\n\n{match['text']}" + (f"\n\nUsed in {', '.join(used)}." if used else "")

    return _TERM.sub(entry, (folder / FILE).read_text(encoding="utf-8"))


def _uses(lessons: list[Lesson]) -> dict[str, list[Lesson]]:
    uses: dict[str, list[Lesson]] = defaultdict(list)
    for lesson in lessons:
        notebook = nbformat.read(lesson.path, as_version=4)  # type: ignore[no-untyped-call]
        found = [target for cell in notebook.cells if cell.cell_type == "markdown" for target in targets(cell.source)]
        for term in dict.fromkeys(target.partition("#")[2] for target in found if FILE in target):
            uses[term.lower()].append(lesson)
    return uses
