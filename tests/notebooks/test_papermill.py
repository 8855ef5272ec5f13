"""A lesson runs by itself with plain papermill, as the README promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]
LESSON = "notebooks/00_start/01_score_your_first_model.ipynb"


def test_plain_papermill_runs_a_lesson_from_the_course_folder(tmp_path: Path) -> None:
    """With a parameter of its own; the last cell says that it has cleaned up."""
    output = tmp_path / "out.ipynb"
    papermill = Path(sys.executable).with_name("papermill")
    parameters = ["-p", "backend", "local", "-p", "suffix", "abc"]
    finished = subprocess.run(
        [papermill, LESSON, output, *parameters], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    cells = nbformat.read(output, as_version=4).cells
    assert any("Nothing is left behind." in output.get("text", "") for output in cells[-1].outputs)
