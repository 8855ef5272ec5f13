"""The stub is derived from the solution, and the judge of an exercise runs on both."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from course import exercises
from course.exercises import ExerciseError, Verdict

FILE = '''"""Solved."""

# %% lesson/first
given = 3


### BEGIN SOLUTION
def double(number):
    return 2 * number


### END SOLUTION
helpers.check("lesson/first", double)

# %% lesson/second
### BEGIN SOLUTION
answer = 42
### END SOLUTION
helpers.check("lesson/second", answer)
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "solutions.py"
    path.write_text(FILE)
    return path


def test_cells_are_read_in_order(file: Path) -> None:
    cells = exercises.read(file)
    assert list(cells) == ["lesson/first", "lesson/second"]
    assert exercises.stub("lesson/first", cells["lesson/first"]) == (
        'given = 3\n\n\ndouble = ...  # YOUR CODE HERE\nhelpers.check("lesson/first", double)'
    )
    assert exercises.stub("lesson/second", cells["lesson/second"]) == (
        'answer = ...  # YOUR CODE HERE\nhelpers.check("lesson/second", answer)'
    )
    solved = exercises.solution("lesson/first", cells["lesson/first"])
    assert "return 2 * number" in solved
    assert "SOLUTION" not in solved


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("### END SOLUTION\n", ""),
        ("### BEGIN SOLUTION\n", "# BEGIN SOLUTION\n"),
        ('helpers.check("lesson/second", answer)', 'helpers.check("lesson/other", answer)'),
        ('helpers.check("lesson/second", answer)', 'helpers.check("lesson/second", 42)'),
        ('helpers.check("lesson/second", answer)', ""),
    ],
)
def test_a_cell_that_gives_no_stub_is_refused(file: Path, old: str, new: str) -> None:
    file.write_text(FILE.replace(old, new))
    with pytest.raises(ExerciseError, match=r"lesson/(first|second) needs one region between ### BEGIN SOLUTION"):
        exercises.read(file)


def _lesson(*names: str) -> nbformat.NotebookNode:
    cells = [new_code_cell("", metadata={"exercise": name}) for name in names]
    return new_notebook(cells=[new_code_cell("1"), *cells])


def test_fill_replaces_the_exercises_and_nothing_else(file: Path) -> None:
    notebook = _lesson("lesson/first", "lesson/second")
    notebook.cells[2].outputs = [new_output("stream", text="old")]
    exercises.fill(notebook, exercises.read(file), exercises.solution)
    assert [cell.source.splitlines()[0] for cell in notebook.cells] == ["1", "given = 3", "answer = 42"]
    assert notebook.cells[2].outputs == []


@pytest.mark.parametrize("names", [["lesson/first"], ["lesson/second", "lesson/first"], []])
def test_exercises_that_are_not_those_of_the_solutions_are_refused(file: Path, names: list[str]) -> None:
    with pytest.raises(ExerciseError, match="its solutions are lesson/first, lesson/second"):
        exercises.fill(_lesson(*names), exercises.read(file), exercises.stub)


def test_verdicts_are_read_from_the_outputs() -> None:
    said = {"exercise": "lesson/first", "ok": False, "why": "too small"}
    output = new_output("execute_result", {"text/plain": "✗"}, metadata=said)
    cells = [new_code_cell("1"), new_code_cell("", outputs=[new_output("stream", text="1"), output])]
    assert exercises.verdicts(cells) == [Verdict(2, "lesson/first", False, "too small")]
