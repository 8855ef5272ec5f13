"""Exercises and quizzes: what a lesson calls to have an answer judged."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from helpers import outline, progress_file
from helpers.verdicts import EXERCISES, MARKS, CheckResult, Exercise, box, html, wrong

LETTERS = "abcdefgh"
UNANSWERED = "?"
LONGEST = 1500  # characters of a verdict: an answer that it repeats may be a whole log


def exercises_of(lesson: str) -> list[Exercise]:
    """Return a lesson's exercises in order; their judges are in ``helpers/checks/<lesson>.py``.

    Raises:
        LookupError: no lesson has that id.
    """
    outline.find(lesson)
    importlib.import_module(f"helpers.checks.{lesson}")
    return [exercise for exercise in EXERCISES.values() if exercise.id.startswith(f"{lesson}/")]


def check(exercise_id: str, value: Any) -> CheckResult:
    """Judge the answer to an exercise, and note in your progress whether it is right.

    Args:
        exercise_id: ``<lesson>/<exercise>``, as in the exercise's cell.
        value: your answer. ``...`` stands for none yet, and is no failure.

    Raises:
        LookupError: there is no such exercise.
    """
    lesson = exercise_id.partition("/")[0]
    exercises = {exercise.id: exercise for exercise in exercises_of(lesson)}
    if exercise_id not in exercises:
        raise LookupError(f'There is no exercise "{exercise_id}". Lesson {lesson} has {", ".join(exercises)}.')
    result = replace(_judge(exercises[exercise_id], value), exercise=exercise_id)
    _note(lesson, {exercise_id.partition("/")[2]: result.ok})
    return result


def _note(lesson: str, verdicts: Mapping[str, bool | None]) -> None:
    """Keep what was right and what was refused; None, which is no answer yet, is neither."""
    progress_file.note(lesson, [item for item, ok in verdicts.items() if ok])
    progress_file.note_refused(lesson, [item for item, ok in verdicts.items() if ok is False])


def _judge(exercise: Exercise, value: Any) -> CheckResult:
    if value is ...:
        return CheckResult(None, f"still to be done. {exercise.begin}")
    if value is None:
        return wrong("the answer is None. Has something been assigned, and does each function end with `return`?")
    try:
        result = exercise.judge(value)
    except (Exception, SystemExit) as error:  # a learner's function, or an answer of a shape that nobody thought of
        result = wrong(_what_was_raised(exercise, value, error))
    return replace(result, why=_shortened(result.why))


def _what_was_raised(exercise: Exercise, value: Any, error: BaseException) -> str:
    """Return what happened; and what is wanted, unless it happened in the learner's own function."""
    said = f"while this was tried out, {type(error).__name__} was raised: {error}"
    code = getattr(value, "__code__", None)
    in_own_function = any(frame.f_code is code for frame, _ in traceback.walk_tb(error.__traceback__))
    return said if in_own_function else f"{said.rstrip('.')}. {exercise.begin}"


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


@dataclass(frozen=True)
class Answer:
    """A question of a quiz and the letter that was given, or ``"?"``."""

    question: dict[str, Any]
    letter: str

    @property
    def choice(self) -> dict[str, Any] | None:
        """The choice that the letter means; None where it means none."""
        number = LETTERS.find(self.letter) if len(self.letter) == 1 else -1
        choices = self.question["choices"]
        return choices[number] if 0 <= number < len(choices) else None

    @property
    def ok(self) -> bool | None:
        """Whether the choice is right; None where nothing was chosen."""
        return None if self.choice is None else bool(self.choice.get("right", False))

    @property
    def why(self) -> str:
        """What is to be said of it."""
        if self.choice is not None:
            return str(self.choice["why"])
        if self.letter == UNANSWERED:
            return "not answered yet"
        return f'"{self.letter}" is none of {", ".join(LETTERS[: len(self.question["choices"])])}'


@dataclass(frozen=True)
class QuizResult:
    """A quiz with the answers that were given: the questions, and for each answer whether and why it is right."""

    answers: list[Answer]

    def __str__(self) -> str:
        lines = []
        for number, answer in enumerate(self.answers, start=1):
            lines.append(f"{number}. {answer.question['question']}")
            lines += [f"   {letter}) {text}" for letter, text in _choices(answer)]
            lines.append(f"   {MARKS[answer.ok]} {answer.why}")
        return "\n".join([*lines, self._total])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._html()}

    def _html(self) -> str:
        parts = []
        for number, answer in enumerate(self.answers, start=1):
            choices = "".join(f"<br>{letter}) {html(text)}" for letter, text in _choices(answer))
            verdict = f"{MARKS[answer.ok]} {html(answer.why)}"
            question = f"<b>{number}. {html(answer.question['question'])}</b>"
            parts.append(box(answer.ok, f"{question}{choices}<br><i>{verdict}</i>") + "<br>")
        return f"{''.join(parts)}<b>{self._total}</b>"

    @property
    def _total(self) -> str:
        return f"{sum(answer.ok is True for answer in self.answers)} of {len(self.answers)} right."


def _choices(answer: Answer) -> list[tuple[str, str]]:
    return [(letter, choice["text"]) for letter, choice in zip(LETTERS, answer.question["choices"], strict=False)]


def quiz(lesson: str, answers: Sequence[str]) -> QuizResult:
    """Show a lesson's quiz, judge the answers, and note in your progress which are right and which are not.

    Args:
        lesson: the lesson's id in ``course.yml``.
        answers: a letter for each question in order, ``"?"`` where you have none yet.

    Raises:
        LookupError: no lesson has that id.
        ValueError: the answers are no list, or there are more or fewer of them than questions.
    """
    questions = yaml.safe_load(outline.find(lesson).quiz.read_text(encoding="utf-8"))
    if not isinstance(answers, Sequence):
        raise ValueError(
            f"The quiz wants a list with a letter for each of its {len(questions)} questions: {answers!r}."
        )
    if len(answers) != len(questions):
        raise ValueError(f"The quiz has {len(questions)} questions; {len(answers)} answers were given: {answers!r}.")
    given = [Answer(question, str(letter).strip().lower()) for question, letter in zip(questions, answers, strict=True)]
    _note(lesson, {f"quiz {number}": answer.ok for number, answer in enumerate(given, start=1)})
    return QuizResult(given)
