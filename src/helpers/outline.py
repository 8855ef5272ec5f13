"""What the helpers know of the course: its lessons in order, from ``course.yml``."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import yaml

from helpers.folders import notebooks_folder


@dataclass(frozen=True)
class Lesson:
    """A lesson: its id, its title, and its notebook."""

    id: str
    title: str
    path: Path

    @property
    def quiz(self) -> Path:
        """The file with the questions of its quiz."""
        return self.path.parent / "quizzes" / f"{self.path.stem}.yml"


def lessons() -> list[Lesson]:
    """Return the course's lessons in order."""
    return _read(notebooks_folder())


@functools.cache  # each exercise asks
def _read(folder: Path) -> list[Lesson]:
    course = yaml.load((folder / "course.yml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    return [
        Lesson(lesson["id"], lesson["title"], folder / lesson["path"])
        for part in course["parts"]
        for lesson in part["lessons"]
    ]


def find(lesson_id: str) -> Lesson:
    """Return the lesson with that id.

    Raises:
        LookupError: there is none.
    """
    known = {lesson.id: lesson for lesson in lessons()}
    if lesson_id not in known:
        raise LookupError(f'There is no lesson "{lesson_id}". There are {", ".join(known)}.')
    return known[lesson_id]
