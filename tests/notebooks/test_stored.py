"""What every stored lesson must keep, so that readers see results and CI has something to compare."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("*/*.ipynb"))
COMMON_PARAMETERS = {"backend", "suffix", "cleanup", "fast"}
LONGEST_CELL = 20  # lines
MOST_IGNORED = 0.1  # of the code cells may be left out of the comparison: pictures


@pytest.fixture(params=LESSONS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def lesson(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    return nbformat.read(request.param, as_version=4)


def _code(lesson: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in lesson.cells if cell.cell_type == "code"]


def _tagged(lesson: nbformat.NotebookNode, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in _code(lesson) if tag in cell.metadata.get("tags", [])]


def test_there_are_lessons() -> None:
    assert LESSONS


def test_every_code_cell_was_executed_in_order(lesson: nbformat.NotebookNode) -> None:
    assert [cell.execution_count for cell in _code(lesson)] == list(range(1, len(_code(lesson)) + 1))


def test_outputs_hold_no_circumstances(lesson: nbformat.NotebookNode) -> None:
    """No error, no progress, no path of the machine, no key: a reader elsewhere would see another one."""
    for cell in _code(lesson):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr"
            text = output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
            assert not re.search(r"/(home|root|tmp|work|Users)/|127\.0\.0\.1:\d|Bearer [A-Za-z0-9]{20}", text), text


def test_parameters_are_plain_literals_with_a_comment_each(lesson: nbformat.NotebookNode) -> None:
    """papermill replaces this cell's values and derives nothing anew from them."""
    (cell,) = _tagged(lesson, "parameters")
    names = set()
    for statement, line in zip(ast.parse(cell.source).body, cell.source.splitlines(), strict=True):
        assert isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
        ast.literal_eval(statement.value)
        assert "#" in line, f"no comment: {line}"
        names.add(statement.targets[0].id)
    assert names >= COMMON_PARAMETERS


def test_parameters_are_not_assigned_again(lesson: nbformat.NotebookNode) -> None:
    for cell in _code(lesson):
        if cell not in _tagged(lesson, "parameters"):
            assigned = {
                node.id
                for node in ast.walk(ast.parse(cell.source))
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
            assert not assigned & COMMON_PARAMETERS


def test_a_lesson_says_what_it_teaches_and_how_long_it_takes(lesson: nbformat.NotebookNode) -> None:
    first = lesson.cells[0].source
    for expected in ("# ", "**You will be able to**", "**Before you start:**", "**Time:**", "On Azure", "USD"):
        assert expected in first


def test_cells_stay_short(lesson: nbformat.NotebookNode) -> None:
    for cell in _code(lesson):
        assert len(cell.source.splitlines()) <= LONGEST_CELL, cell.source


def test_every_code_cell_is_introduced(lesson: nbformat.NotebookNode) -> None:
    for before, cell in zip(lesson.cells, lesson.cells[1:], strict=False):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", cell.source


def test_every_picture_has_a_text(lesson: nbformat.NotebookNode) -> None:
    for cell in lesson.cells:
        for alt in re.findall(r"!\[(.*?)\]\(", cell.source):
            assert len(alt) > 20
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                assert len(output.metadata["image/png"]["alt"]) > 20


def test_linked_files_exist(lesson: nbformat.NotebookNode, request: pytest.FixtureRequest) -> None:
    folder = request.node.callspec.params["lesson"].parent
    for cell in lesson.cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", cell.source):
                assert (folder / target).exists(), target


def test_the_last_cell_cleans_up_and_verifies_it(lesson: nbformat.NotebookNode) -> None:
    source = lesson.cells[-1].source
    assert source.startswith("if cleanup:")
    assert "helpers.leftovers(" in source and "assert not left" in source


def test_few_cells_are_left_out_of_the_comparison(lesson: nbformat.NotebookNode) -> None:
    """Only cells whose output is a picture; a rising share would hollow the comparison out."""
    ignored = _tagged(lesson, "nbval-ignore-output")
    assert len(ignored) <= MOST_IGNORED * len(_code(lesson))
    for cell in ignored:
        assert all("image/png" in output.get("data", {}) for output in cell.outputs)
    for tag in ("nbval-skip", "raises-exception", "skip-execution"):
        assert not _tagged(lesson, tag)
