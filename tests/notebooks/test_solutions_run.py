"""That a lesson's solutions run under nbval, and that a wrong one fails: conftest.py's own behaviour."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from lessons import ROOT
from nbformat.v4 import new_code_cell, new_notebook

# Stands for the workbook's helpers: an answer is right if it is 1, and still to be done while it is `...`.
HELPERS = """
from types import SimpleNamespace
from IPython.display import display

def check(exercise, answer):
    ok = None if answer is ... else answer == 1
    display({"text/plain": "judged"}, raw=True, metadata={"exercise": exercise, "ok": ok, "why": "it is not 1"})

helpers = SimpleNamespace(check=check)
"""
SOLUTION = """# %% toy/one
### BEGIN SOLUTION
answer = {answer}
### END SOLUTION
helpers.check("toy/one", answer)
"""


# What the solution assigns, and what pytest says of it where it is not right.
SOLUTIONS = {
    "right": ("1", None),
    "wrong": ("2", "it is not 1"),
    "still_to_be_done": ("...", "it is not 1"),
    "failing": ("1 / 0", "ZeroDivisionError"),
}


@pytest.mark.slow
def test_nbval_runs_the_solution_after_the_exercise(tmp_path: Path) -> None:
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "solutions").mkdir()
    exercise = new_code_cell('answer = ...\nhelpers.check("toy/one", answer)', metadata={"exercise": "toy/one"})
    for name, (answer, _) in SOLUTIONS.items():
        (tmp_path / f"solutions/{name}.py").write_text(SOLUTION.format(answer=answer))
        nbformat.write(new_notebook(cells=[new_code_cell(HELPERS), exercise]), tmp_path / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-rA", "-c", os.devnull]
    ended = subprocess.run([*command, tmp_path], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    summary = ended.stdout.partition("short test summary info")[2]
    for name, (_, fault) in SOLUTIONS.items():
        for cell in ("In the course's folder", "Cell 0", "Cell 1"):
            assert f"PASSED {name}.ipynb::{cell}\n" in summary, ended.stdout
        assert f"{'FAILED' if fault else 'PASSED'} {name}.ipynb::Cell 1, solved" in summary, ended.stdout
        assert fault is None or fault in ended.stdout
