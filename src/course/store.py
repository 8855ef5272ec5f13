"""Executes lessons and stores them with their outputs: ``python -m course.store [NOTEBOOK ...]``; default: all.

Before that each lesson's exercises are made from their solutions; after it README's table is brought up to date.
Stored are results, not circumstances: no execution times, no progress, no kernel version, nobody's progress.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from course import exercises, readme
from course.catalogue import Lesson, NotFoundError, find, select
from course.documents import DocumentError
from helpers.progress_file import VARIABLE

TIMEOUT_S = 600  # a cell
DOTS = re.compile(r"^\.+", re.MULTILINE)
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def store(lesson: Lesson) -> None:
    """Executes the lesson with its own parameters, its exercises still to be done, and writes it with its outputs.

    Raises:
        course.exercises.ExerciseError: its exercises are not those of its solutions.
        nbclient.exceptions.CellExecutionError: a cell failed; the stored notebook stays as it was.
    """
    notebook = nbformat.read(lesson.path, as_version=4)  # type: ignore[no-untyped-call]
    exercises.fill(notebook, exercises.read(lesson.solutions), exercises.stub)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            notebook,
            timeout=TIMEOUT_S,
            kernel_name="python3",
            resources={"metadata": {"path": str(lesson.path.parent)}},
        ).execute(env={**os.environ, VARIABLE: str(Path(folder, "progress.db"))})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = results(cell.outputs)
    notebook.metadata = nbformat.from_dict(METADATA)  # type: ignore[no-untyped-call]
    nbformat.write(notebook, lesson.path)  # type: ignore[no-untyped-call]


def results(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """The outputs without standard error, and standard output, which arrives in pieces, in one.

    Without the SDK's dots at the beginning of lines, too: it prints one each time it asks how a deployment stands.
    """
    others = [output for output in outputs if output.output_type != "stream"]
    text = DOTS.sub("", "".join(output.text for output in outputs if output.get("name") == "stdout"))
    if text:
        others.insert(0, nbformat.v4.new_output("stream", name="stdout", text=text))  # type: ignore[no-untyped-call]
    return others


def main(names: Sequence[str]) -> int:
    """Stores the lessons that ``names`` mean; returns the exit status: 0 when all were stored."""
    try:
        lessons = find(Path("notebooks"))
        for lesson in select(lessons, None, names):
            print(f"executing {lesson.name} ...", flush=True)
            store(lesson)
    except (NotFoundError, DocumentError, exercises.ExerciseError, CellExecutionError) as error:
        print(error, file=sys.stderr)
        return 1
    readme.write(Path("README.md"), lessons)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
