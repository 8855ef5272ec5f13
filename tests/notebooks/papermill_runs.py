"""Running a lesson with plain papermill, from the course's folder, its exercises solved."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
from lessons import ROOT
from nbformat.v4 import new_code_cell

from course import exercises, store
from course.catalogue import Lesson
from course.cells import authored
from helpers.progress_file import VARIABLE

SECONDS = 300


@dataclass
class PapermillRun:
    """A run under way, or ended."""

    lesson: Lesson
    output: Path
    process: subprocess.Popen[str]

    @classmethod
    def start(
        cls, lesson: Lesson, folder: Path, suffix: str, extra: str = "", parameters: Mapping[str, str] | None = None
    ) -> PapermillRun:
        """Start it in a new ``folder``; the cell ``extra`` runs before the clean-up."""
        folder.mkdir()
        source, output = folder / "solved.ipynb", folder / "out.ipynb"
        exercises.write_solved(lesson.path, lesson.solutions, source)
        if extra:
            notebook = nbformat.read(source, as_version=4)
            notebook.cells.insert(-1, new_code_cell(extra))
            nbformat.write(notebook, source)
        papermill = Path(sys.executable).with_name("papermill")
        given = {"backend": "local", "suffix": suffix, **(parameters or {})}
        process = subprocess.Popen(
            [papermill, source, output, *(word for pair in given.items() for word in ("-p", *pair))],
            cwd=ROOT,
            env={**os.environ, VARIABLE: str(folder / "progress.db")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        return cls(lesson, output, process)

    @property
    def cells(self) -> list[nbformat.NotebookNode]:
        """The lesson's own cells, as they ran."""
        return authored(nbformat.read(self.output, as_version=4).cells)

    def refusal(self) -> str:
        """Wait for the end of a run that fails, and return what it says."""
        said = self.process.communicate(timeout=SECONDS)[1]
        assert self.process.returncode == 1, said[-2000:]
        return said

    def assert_passes(self, seconds: float = SECONDS) -> None:
        """Wait for its end; every solution is right, and the last cell has cleaned up."""
        said = self.process.communicate(timeout=seconds)[1]
        assert self.process.returncode == 0, said[-2000:]
        cells = self.cells
        verdicts = {verdict.exercise: verdict.ok for verdict in exercises.verdicts(cells)}
        assert verdicts == dict.fromkeys(exercises.read(self.lesson.solutions), True)
        assert any("Nothing is left behind." in output.get("text", "") for output in cells[-1].outputs)

    def printed(self, name: str) -> str:
        """What went to the stream ``name``."""
        outputs = [output for cell in self.cells for output in cell.get("outputs", [])]
        return "".join(output.text for output in outputs if output.get("name") == name)

    def assert_prints_what_is_stored(self) -> None:
        """Cell by cell, but for the exercises, whose solutions ran in place of stubs, and what nbval is to ignore."""
        stored = nbformat.read(self.lesson.path, as_version=4).cells
        compared = [
            (_text(cell), _text(kept))
            for cell, kept in zip(self.cells, stored, strict=True)
            if cell.cell_type == "code"
            and "exercise" not in cell.metadata
            and "nbval-ignore-output" not in cell.metadata.get("tags", [])
        ]
        assert [ran for ran, _ in compared] == [kept for _, kept in compared]


def _text(cell: nbformat.NotebookNode) -> str:
    return "".join(output.text for output in store.results(cell.outputs) if output.output_type == "stream")
