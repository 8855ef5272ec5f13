"""The book's first page, which also holds its table of contents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from course.book import exam_map
from course.book.markdown import contents, table
from course.catalogue import Lesson, Part

SITE = Path(__file__).parent / "site"
HEAD = ("lesson", "you will be able to", "minutes", "on Azure")
REFERENCE = ["how_to_run", "glossary"]


def page(folder: Path, parts: Sequence[Part]) -> str:
    """Return the first page: what this is, how to start, and the lessons part by part."""
    lessons = [lesson for part in parts for lesson in part.lessons]
    text = (SITE / "index.md").read_text(encoding="utf-8")
    text = text.replace("LESSONS", str(len(lessons))).replace(
        "HOURS", str(round(sum(one.minutes for one in lessons) / 60))
    )
    tables = "".join(f"\n### {part.title}\n\n{_lessons(folder, part)}" for part in parts)
    return text + tables + _contents(folder, parts)


def _lessons(folder: Path, part: Part) -> str:
    return table(
        HEAD,
        [
            (
                f"[{lesson.title}]({_place(folder, lesson)})",
                lesson.what,
                str(lesson.minutes),
                f"{lesson.azure_minutes} min, {lesson.azure_usd:.2f} USD",
            )
            for lesson in part.lessons
        ],
    )


def _contents(folder: Path, parts: Sequence[Part]) -> str:
    """Return the book's table of contents, which the pages show at their left."""
    captioned = [
        *((part.title, [_place(folder, lesson).removesuffix(".ipynb") for lesson in part.lessons]) for part in parts),
        ("The exam", exam_map.places(folder)),
        ("Reference", REFERENCE),
    ]
    return "".join(contents(caption, places) for caption, places in captioned)


def _place(folder: Path, lesson: Lesson) -> str:
    return lesson.path.relative_to(folder).as_posix()
