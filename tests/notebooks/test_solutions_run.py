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


@pytest.mark.parametrize(
    ("answer", "fails"), [("1", ""), ("2", "it is not 1"), ("...", "it is not 1"), ("1 / 0", "ZeroDivisionError")]
)
def test_nbval_runs_the_solution_after_the_exercise(answer: str, fails: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions/toy.py").write_text(SOLUTION.format(answer=answer))
    exercise = new_code_cell('answer = ...\nhelpers.check("toy/one", answer)', metadata={"exercise": "toy/one"})
    nbformat.write(new_notebook(cells=[new_code_cell(HELPERS), exercise]), tmp_path / "toy.ipynb")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "--nbval-current-env",
        "-c",
        os.devnull,
        "--rootdir",
        tmp_path,
    ]
    ended = subprocess.run([*command, tmp_path], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    if fails:
        assert "1 failed, 3 passed" in ended.stdout and fails in ended.stdout, ended.stdout
    else:
        assert "4 passed" in ended.stdout, ended.stdout
