"""Running a lesson with plain papermill, from the course's folder, its exercises solved."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
from lessons import ROOT
from nbformat.v4 import new_code_cell

from course import exercises
from course.catalogue import Lesson
from helpers.progress_file import VARIABLE

SECONDS = 300


@dataclass
class PapermillRun:
    """A run under way, or ended."""

    lesson: Lesson
    output: Path
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, lesson: Lesson, folder: Path, suffix: str, extra: str = "") -> PapermillRun:
        """Start it in a new ``folder``; the cell ``extra`` runs before the clean-up."""
        folder.mkdir()
        source, output = folder / "solved.ipynb", folder / "out.ipynb"
        exercises.write_solved(lesson.path, lesson.solutions, source)
        if extra:
            notebook = nbformat.read(source, as_version=4)
            notebook.cells.insert(-1, new_code_cell(extra))
            nbformat.write(notebook, source)
        papermill = Path(sys.executable).with_name("papermill")
        process = subprocess.Popen(
            [papermill, source, output, "-p", "backend", "local", "-p", "suffix", suffix],
            cwd=ROOT,
            env={**os.environ, VARIABLE: str(folder / "progress.db")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        return cls(lesson, output, process)

    def refusal(self) -> str:
        """Wait for the end of a run that fails, and return what it says."""
        said = self.process.communicate(timeout=SECONDS)[1]
        assert self.process.returncode == 1, said[-2000:]
        return said

    def assert_passes(self) -> None:
        """Wait for its end; every solution is right, and the last cell has cleaned up."""
        said = self.process.communicate(timeout=SECONDS)[1]
        assert self.process.returncode == 0, said[-2000:]
        cells = nbformat.read(self.output, as_version=4).cells
        verdicts = {verdict.exercise: verdict.ok for verdict in exercises.verdicts(cells)}
        assert verdicts == dict.fromkeys(exercises.read(self.lesson.solutions), True)
        assert any("Nothing is left behind." in output.get("text", "") for output in cells[-1].outputs)
