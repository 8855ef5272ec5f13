"""Plain papermill takes each lesson, as the README promises. That one runs so is shown in test_twice_at_once.py."""

from __future__ import annotations

from pathlib import Path

import papermill
import pytest
from lessons import IDS, LESSONS, read, tagged, tags

from course.catalogue import Lesson


@pytest.mark.parametrize("lesson", LESSONS, ids=IDS)
def test_papermill_puts_its_parameters_after_the_lessons_own(lesson: Lesson, tmp_path: Path) -> None:
    given = {"backend": "local", "suffix": "abc"}
    output = papermill.execute_notebook(lesson.path, tmp_path / "out.ipynb", given, prepare_only=True)
    (parameters,) = tagged(read(lesson), "parameters")
    places = [number for number, cell in enumerate(output.cells) if "injected-parameters" in tags(cell)]
    assert [output.cells[place - 1].source for place in places] == [parameters.source]
    found: dict[str, str] = {}
    exec(output.cells[places[0]].source, {}, found)
    assert found == given
