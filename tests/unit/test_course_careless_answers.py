"""Every exercise, tried with what learners hand in by mistake: nothing, empty things, functions that do not work.

None of it is the answer to any exercise, so that whatever the judge does, the learner is told what is wanted.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import helpers
from helpers.checking import LONGEST, exercises_of
from helpers.outline import lessons
from helpers.verdicts import CheckResult, Exercise

EXERCISES: list[Exercise] = [exercise for lesson in lessons() for exercise in exercises_of(lesson.id)]


def _not_written(*_: Any, **__: Any) -> None:
    raise NotImplementedError("to be written tomorrow")


def _without_return(*_: Any, **__: Any) -> None:
    """Compute, and forget to return it."""


CARELESS: dict[str, object] = {
    "nothing": None,
    "the stub as a text": "...  # YOUR CODE HERE",
    "an empty text": "",
    "an empty list": [],
    "an empty dictionary": {},
    "an empty tuple": (),
    "zero": 0,
    "not a number": math.nan,
    "a number too large for a float": 10**400,
    "True": True,
    "a list of nothing": [None],
    "a dictionary of nothing": {"a": None},
    "other keys": {1: 2},
    "a long text": "x" * 100_000,
    "a function that is not written": _not_written,
    "a function without return": _without_return,
    "a function that returns NaN": lambda *_, **__: math.nan,
    "a function that returns a long text": lambda *_, **__: "x" * 100_000,
    "a function of nothing": lambda: 1,
    "a function of too much": lambda a, b, c, d, e, f, g, h: 1,
    "a function that ends the program": lambda *_, **__: sys.exit("done"),
    "a class": int,
}


@pytest.fixture(autouse=True)
def _own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_WORKBOOK_PROGRESS", str(tmp_path / "progress.db"))


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.id)
def test_a_careless_answer_is_refused_kindly(exercise: Exercise) -> None:
    """All kinds in one test: a test for each would take longer to report than to run."""
    results = {kind: helpers.check(exercise.id, answer) for kind, answer in CARELESS.items()}
    assert all(isinstance(result, CheckResult) for result in results.values())
    assert not {kind: result for kind, result in results.items() if result.ok is not False}
    assert not {kind: result for kind, result in results.items() if not 10 < len(result.why) <= LONGEST}
    assert helpers.check(exercise.id, ...).ok is None, "the stub as it is stored is no failure"


def _raising(error: BaseException) -> Callable[..., None]:
    def function(*_: Any) -> None:
        raise error

    return function


def test_what_a_learners_function_raises_is_told_as_it_is() -> None:
    why = helpers.check("choose_a_vm_size/most_nodes", _raising(KeyError("vcpu"))).why
    assert why == "while this was tried out, KeyError was raised: 'vcpu'"


def test_what_cannot_be_used_is_told_with_what_is_wanted() -> None:
    """The error is the judge's, of which the learner has not written a line."""
    why = helpers.check("choose_a_vm_size/most_nodes", _without_return).why
    assert why.startswith("while this was tried out, TypeError was raised: ")
    assert why.endswith(". Write a function of limit, used and vcpus that returns a whole number.")


def test_a_learner_can_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt):
        helpers.check("choose_a_vm_size/most_nodes", _raising(KeyboardInterrupt()))


def test_more_letters_than_one_are_no_answer_to_a_question() -> None:
    result = helpers.quiz("first_model", ["ba", "abc", None, 3, ["a"]])  # type: ignore[list-item]
    assert [answer.ok for answer in result.answers] == [None] * 5
    assert '"ba" is none of a, b, c' in str(result)


@pytest.mark.parametrize("answers", [None, ..., 3, {"a"}])
def test_a_quiz_that_gets_no_list_says_so(answers: Any) -> None:
    with pytest.raises(ValueError, match="The quiz wants a list with a letter for each of its 5 questions"):
        helpers.quiz("first_model", answers)
