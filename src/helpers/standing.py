"""Your progress: what is done, what is next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from helpers import exam, outline, progress_file
from helpers.checking import exercises_of
from helpers.verdicts import MARKS, box, html

QUESTIONS = 5  # of each lesson's quiz


@dataclass(frozen=True)
class Standing:
    """How a lesson stands: each of its exercises and questions, and whether it is done.

    ``best`` is the best result of a lesson with an exam, its points and how many there were to get; None without one.
    """

    lesson: outline.Lesson
    items: dict[str, bool]
    best: tuple[int, int] | None = None

    @property
    def complete(self) -> bool:
        """Whether all is done."""
        return all(self.items.values())

    def __str__(self) -> str:
        """One line: a mark for each exercise, the best exam, and how many questions were answered rightly."""
        exercises = {item: ok for item, ok in self.items.items() if not item.startswith("quiz ")}
        marks = [f"{MARKS[ok or None]} {item}{self._result(item)}" for item, ok in exercises.items()]
        right = sum(self.items.values()) - sum(exercises.values())
        quiz = f"{MARKS[right == QUESTIONS or None]} quiz {right} of {QUESTIONS}"
        return "   ".join([*marks, quiz])

    def _result(self, item: str) -> str:
        return f" {self.best[0]} of {self.best[1]}" if item == exam.ITEM and self.best else ""


@dataclass(frozen=True)
class Progress:
    """What is done, of one lesson and of all; shown in words."""

    lesson: Standing
    course: list[Standing]

    @property
    def lines(self) -> list[str]:
        """What is shown. It does not say how many lessons there are, so that a new one changes no stored lesson."""
        done = [standing.lesson.title for standing in self.course if standing.complete]
        following = next((standing.lesson.title for standing in self.course if not standing.complete), None)
        return [
            f"This lesson: {self.lesson}",
            f"Lessons done: {', '.join(done) or 'none yet'}. Next: {following or 'nothing, you have done them all'}.",
        ]

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        lines = "<br>".join(html(line) for line in self.lines)
        return {"text/plain": str(self), "text/html": box(self.lesson.complete or None, lines)}


def progress(lesson: str) -> Progress:
    """Return what you have done, in the lesson with this id and in the course.

    An exercise is done when its check said so once; a lesson, when all its exercises and quiz questions are.

    Raises:
        LookupError: no lesson has that id.
    """
    outline.find(lesson)
    course = standings()
    return Progress(next(standing for standing in course if standing.lesson.id == lesson), course)


def standings() -> list[Standing]:
    """Return how each lesson stands, in the course's order."""
    kept = progress_file.kept()
    return [
        Standing(lesson, {item: (lesson.id, item) in kept.done for item in _items(lesson.id)}, kept.best.get(lesson.id))
        for lesson in outline.lessons()
    ]


def _items(lesson_id: str) -> list[str]:
    exercises = [exercise.id.partition("/")[2] for exercise in exercises_of(lesson_id)]
    exams = [exam.ITEM] if lesson_id == exam.LESSON else []
    return exercises + exams + [f"quiz {number}" for number in range(1, QUESTIONS + 1)]
