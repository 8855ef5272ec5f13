"""Each lesson runs by itself with plain papermill, as the README promises, and its solutions are right."""

from __future__ import annotations

from pathlib import Path

import pytest
from lessons import LESSONS
from papermill_runs import PapermillRun

from course.catalogue import Lesson


# The first lesson runs like this in test_twice_at_once.py.
@pytest.mark.parametrize("lesson", LESSONS[1:], ids=lambda lesson: lesson.id)
def test_plain_papermill_runs_a_lesson_with_its_solutions(lesson: Lesson, tmp_path: Path) -> None:
    """Whatever ran before it, and with a parameter of its own."""
    PapermillRun.start(lesson, tmp_path / "alone", suffix="abc").assert_passes()
