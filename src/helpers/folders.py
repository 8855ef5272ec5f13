"""Finding the course's files, wherever a notebook is run from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

COURSE = "course.yml"
VARIABLE = "AZUREML_WORKBOOK_NOTEBOOKS"  # in a workshop: the learner's own copy, for what is run elsewhere


def notebooks_folder() -> Path:
    """Return the folder of the course: ``notebooks``, which holds ``course.yml``.

    JupyterLab runs a notebook in its own folder, papermill in the folder that papermill was called from. What is run
    outside a course's folder gets the one that ``AZUREML_WORKBOOK_NOTEBOOKS`` names.

    Raises:
        FileNotFoundError: neither this folder, nor one above it, nor a folder ``notebooks`` in one of them is it.
    """
    for candidate in _candidates():
        if (candidate / COURSE).is_file():
            return candidate
    named = os.environ.get(VARIABLE)
    raise FileNotFoundError(
        f"There is no notebooks/{COURSE} in {Path.cwd()} or above: run this from the course's folder"
        + (f", or bring back {Path(named, COURSE)}, which {VARIABLE} names." if named else ".")
    )


def _candidates() -> Iterator[Path]:
    here = Path.cwd()
    for folder in (here, *here.parents):
        yield folder
        yield folder / "notebooks"
    if named := os.environ.get(VARIABLE):
        yield Path(named)


def lesson_folder(part: str) -> Path:
    """Return the folder of a part's notebooks, e.g. of ``"02_realtime"``.

    Raises:
        FileNotFoundError: this is not run from the course's folder, or it has no such part.
    """
    folder = notebooks_folder() / part
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {part} in {folder.parent}.")
    return folder
