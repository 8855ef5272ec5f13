"""The table of lessons in README.md, made from ``course.yml``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from course.catalogue import Lesson

BEGIN = "<!-- lessons: make notebooks writes what follows -->\n"
END = "<!-- end of lessons -->\n"


def with_table(text: str, lessons: Sequence[Lesson]) -> str:
    """``text`` with the table between its two marks.

    Raises ValueError where a mark is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"README.md needs the lines {BEGIN.strip()} and {END.strip()}")
    return f"{before}{begin}{table(lessons)}{end}{after}"


def table(lessons: Sequence[Lesson]) -> str:
    """A row for each lesson: title, what it enables to, minutes here, and minutes and price on Azure."""
    head = "| lesson | you will be able to | minutes | on Azure |\n|---|---|---|---|\n"
    return head + "".join(
        f"| [{lesson.title}]({lesson.name}) | {lesson.what} | {lesson.minutes} | "
        f"{lesson.azure_minutes} min, {lesson.azure_usd:.2f} USD |\n"
        for lesson in lessons
    )


def write(readme: Path, lessons: Sequence[Lesson]) -> None:
    """Brings the table in the file up to date."""
    readme.write_text(with_table(readme.read_text(encoding="utf-8"), lessons), encoding="utf-8")
