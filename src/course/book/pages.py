"""All pages of the book, by their place in it, and their way into a folder."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePosixPath

from course.book import exam_map, front, glossary, lessons, linked_files
from course.catalogue import Lesson, Part, find_parts

Pages = dict[PurePosixPath, str | bytes]
INDEX = PurePosixPath("index.md")
SITE = {  # what is the same whatever the lessons are, and where Sphinx looks for it
    "config.yml": "_config.yml",
    "book.css": "_static/book.css",
    "book.js": "_static/book.js",
    "favicon.svg": "_static/favicon.svg",
    "title.html": "_templates/book-title.html",
    "how_to_run.md": "how_to_run.md",
}


def make(folder: Path) -> Pages:
    """Return what Jupyter Book builds the book from.

    Args:
        folder: where ``course.yml`` and the lessons are.

    Raises:
        course.catalogue.NotFoundError, course.documents.DocumentError, course.exercises.ExerciseError: what the
            folder holds is not as it should be.
    """
    parts = find_parts(folder)
    course = [lesson for part in parts for lesson in part.lessons]
    linked = _linked(course)
    return {
        **_site(),
        INDEX: front.page(folder, parts),
        PurePosixPath("glossary.md"): glossary.page(folder, course),
        **exam_map.pages(folder, course),
        **_lesson_pages(folder, parts),
        **linked_files.pages(folder, {path: users for path, users in linked.items() if _is_file(path)}),
        **{_place(folder, path): path.read_bytes() for path in linked if path.suffix in lessons.PICTURES},
    }


def _site() -> Pages:
    return {PurePosixPath(place): (front.SITE / name).read_text(encoding="utf-8") for name, place in SITE.items()}


def _lesson_pages(folder: Path, parts: list[Part]) -> Pages:
    course = [lesson for part in parts for lesson in part.lessons]
    return {
        _place(folder, lesson.path): lessons.page(lesson, f"{number} of {len(course)}")
        for number, lesson in enumerate(course, start=1)
    }


def _linked(course: list[Lesson]) -> dict[Path, list[Lesson]]:
    """Return all that lessons link to, and which do."""
    linked: dict[Path, list[Lesson]] = defaultdict(list)
    for lesson in course:
        for path in sorted(lessons.linked_paths(lesson)):
            linked[path].append(lesson)
    return linked


def _is_file(path: Path) -> bool:
    """Say whether it is a file, or a folder of such, that has no page but the one which shows it."""
    return path.suffix not in lessons.PAGES + lessons.PICTURES


def _place(folder: Path, path: Path) -> PurePosixPath:
    return PurePosixPath(path.relative_to(folder).as_posix())


def write(pages: Pages, into: Path) -> set[PurePosixPath]:
    """Make ``into`` hold these pages and no others. What is the same is not touched, so that it is not built anew.

    Returns:
        What has changed: what was written, and what was there and is no page now.
    """
    wanted = {into / place: text.encode() if isinstance(text, str) else text for place, text in pages.items()}
    surplus = [path for path in into.rglob("*") if path.is_file() and path not in wanted]
    for path in surplus:
        path.unlink()
    changed = {path: content for path, content in wanted.items() if not path.is_file() or path.read_bytes() != content}
    for path, content in changed.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return {_place(into, path) for path in (*surplus, *changed)}


def concerns_all(place: PurePosixPath) -> bool:
    """Say whether each page shows what is there: the table of contents, the style, or the theme's settings."""
    return place == INDEX or place.parts[0].startswith("_")
