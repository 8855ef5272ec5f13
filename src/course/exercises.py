"""Exercises: the solution is the source, the learner's stub is derived from it.

A lesson's solutions lie beside it in ``solutions/<lesson>.py``, one cell ``# %% <exercise id>`` an exercise. What
stands between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` is the learner's to write (the markers are nbgrader's).
The lesson's cell whose metadata says ``"exercise": "<exercise id>"`` is made from it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

_CELL = re.compile(r"^# %% (\S+)\n", re.MULTILINE)
_REGION = re.compile(r"^### BEGIN SOLUTION\n.*?^### END SOLUTION\n", re.MULTILINE | re.DOTALL)
_MARKER = re.compile(r"^### (?:BEGIN|END) SOLUTION\n", re.MULTILINE)


class ExerciseError(ValueError):
    """A lesson's exercises and its solutions do not fit together; the message says where, and what would be right."""


def read(path: Path) -> dict[str, str]:
    """The solved cells of a file of solutions by exercise id, in order, markers included.

    Raises ExerciseError where a cell is not as this module's text says.
    """
    _, *pieces = _CELL.split(path.read_text(encoding="utf-8"))
    cells = {name: source.strip() + "\n" for name, source in zip(pieces[::2], pieces[1::2], strict=True)}
    for name, source in cells.items():
        if len(_REGION.findall(source)) != 1 or _answer(name, source) is None:
            raise ExerciseError(
                f"{path.as_posix()}: {name} needs one region between ### BEGIN SOLUTION and ### END SOLUTION, and then "
                f'helpers.check("{name}", <a variable>)'
            )
    return cells


def stub(name: str, solved: str) -> str:
    """The cell that the learner gets: the answer is still ``...``, which its check does not take for a failure."""
    return _tidy(_REGION.sub(f"{_answer(name, solved)} = ...  # YOUR CODE HERE\n", solved))


def solution(name: str, solved: str) -> str:
    """The cell as it runs when it is solved: without the markers."""
    return _tidy(_MARKER.sub("", solved))


def fill(notebook: Any, cells: Mapping[str, str], form: Callable[[str, str], str]) -> None:
    """Gives each exercise cell of a lesson the source that ``form`` (``stub`` or ``solution``) makes of its solution.

    Raises ExerciseError where the lesson's exercises are not those of ``cells``, in the same order.
    """
    found = [cell for cell in notebook.cells if "exercise" in cell.metadata]
    names = [cell.metadata.exercise for cell in found]
    if names != list(cells):
        raise ExerciseError(
            f"the lesson has the exercises {', '.join(names) or 'none'}; its solutions are {', '.join(cells) or 'none'}"
        )
    for cell in found:
        source = form(cell.metadata.exercise, cells[cell.metadata.exercise])
        if cell.source != source:
            cell.source, cell.outputs, cell.execution_count = source, [], None


def write_solved(lesson: Path, solutions: Path, output: Path) -> None:
    """Writes ``lesson`` to ``output`` with its exercises solved."""
    notebook = nbformat.read(lesson, as_version=4)  # type: ignore[no-untyped-call]
    fill(notebook, read(solutions), solution)
    nbformat.write(notebook, output)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Verdict:
    """What a check said in the executed cell with this number; ``ok`` is None where it is still to be done."""

    number: int
    exercise: str
    ok: bool | None
    why: str


def verdicts(cells: Sequence[Any]) -> list[Verdict]:
    """What the checks said in these cells, which are counted from 1; an exercise that did not run is not there."""
    return [
        Verdict(number, said["exercise"], said["ok"], said["why"])
        for number, cell in enumerate(cells, start=1)
        for output in cell.get("outputs", [])
        if "exercise" in (said := output.get("metadata", {}))
    ]


def _answer(name: str, solved: str) -> str | None:
    """The variable that the cell has checked as the exercise ``name``."""
    for node in ast.walk(ast.parse(solved)):
        match node:
            case ast.Call(ast.Attribute(ast.Name("helpers"), "check"), [ast.Constant(value), ast.Name(answer)]):
                if value == name:
                    return answer
    return None


def _tidy(source: str) -> str:
    return re.sub(r"\n{4,}", "\n\n\n", source).strip()
