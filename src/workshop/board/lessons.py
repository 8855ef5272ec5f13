"""What the board knows of the course: its lessons, and what there is to be done in each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from course.catalogue import Lesson as CatalogueLesson


@dataclass(frozen=True)
class Lesson:
    """A lesson: its id, title, path below the folder of notebooks, and its items as the progress file names them."""

    id: str
    title: str
    path: str
    items: frozenset[str]


@dataclass(frozen=True)
class Course:
    """The lessons in order."""

    lessons: tuple[Lesson, ...]

    @classmethod
    def read(cls, notebooks: Path) -> Course:
        """Return the course whose ``course.yml`` lies in this folder; raises as ``catalogue.find`` does.

        Takes a second: helpers bring their libraries along.
        """
        from course import catalogue

        return cls(tuple(_lesson(notebooks, lesson) for lesson in catalogue.find(notebooks)))

    @cached_property
    def _by_path(self) -> dict[str, Lesson]:
        return {lesson.path: lesson for lesson in self.lessons}

    def of(self, notebook: str) -> Lesson | None:
        """Return the lesson of a notebook, whose folder's folder is the one of notebooks; None for any other."""
        return self._by_path.get("/".join(notebook.split("/")[-2:]))

    def done_in(self, lesson: Lesson, done: Collection[tuple[str, str]]) -> int:
        """Return how many items of a lesson are among those done, which may name what the course does not know."""
        return sum((lesson.id, item) in done for item in lesson.items)

    def finished(self, done: Collection[tuple[str, str]]) -> int:
        """Return how many lessons are done."""
        return sum(self.done_in(lesson, done) == len(lesson.items) for lesson in self.lessons)


def _lesson(notebooks: Path, lesson: CatalogueLesson) -> Lesson:
    from course import exercises
    from helpers import exam
    from helpers.standing import QUESTIONS

    names = [name.partition("/")[2] for name in exercises.read(lesson.solutions)]
    names += [exam.ITEM] if lesson.id == exam.LESSON else []
    names += [f"quiz {number}" for number in range(1, QUESTIONS + 1)]
    return Lesson(lesson.id, lesson.title, lesson.path.relative_to(notebooks).as_posix(), frozenset(names))
