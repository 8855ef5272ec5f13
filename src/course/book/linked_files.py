"""A page for each file that a lesson links to, and for each folder with what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from course.book.markdown import code
from course.catalogue import Lesson

LANGUAGES = {".py": "python", ".mjs": "javascript", ".cs": "csharp", ".yml": "yaml", ".json": "json", ".sh": "bash"}
ORPHAN = "---\norphan: true\n---\n\n"  # for Sphinx: in no table of contents
UNSHOWN = ("__pycache__",)


def pages(folder: Path, linked: dict[Path, list[Lesson]]) -> dict[PurePosixPath, str]:
    """Return the pages by their place in the book.

    Args:
        folder: where the lessons lie; places are relative to it.
        linked: files and folders with the lessons that link to them.
    """
    return {
        _place(folder, path): _page(folder, path, lessons)
        for named, lessons in linked.items()
        for path in (named, *(_within(named) if named.is_dir() else ()))
    }


def _within(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not set(path.parts) & set(UNSHOWN))


def _place(folder: Path, path: Path) -> PurePosixPath:
    return PurePosixPath(f"{path.relative_to(folder).as_posix()}.md")


def _page(folder: Path, path: Path, lessons: list[Lesson]) -> str:
    up = "../" * (len(path.relative_to(folder).parts) - 1)
    used = ", ".join(f"[{lesson.title}]({up}{lesson.path.relative_to(folder).as_posix()})" for lesson in lessons)
    head = f"{ORPHAN}# {path.name}\n\n`{path.as_posix()}`, used in {used}.\n\n"
    return head + (_listing(path) if path.is_dir() else _shown(path))


def _listing(path: Path) -> str:
    inside = (one.relative_to(path.parent).as_posix() for one in _within(path))
    return "".join(f"- [{one}]({one}.md)\n" for one in inside)


def _shown(path: Path) -> str:
    return code(path.read_text(encoding="utf-8"), LANGUAGES.get(path.suffix, "text"))
