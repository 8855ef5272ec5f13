"""Finding the course's files, wherever a notebook is run from."""

from __future__ import annotations

from pathlib import Path


def notebooks_folder() -> Path:
    """Return the folder of the course: ``notebooks``, which holds ``course.yml``.

    JupyterLab runs a notebook in its own folder, papermill in the folder that papermill was called from.

    Raises:
        FileNotFoundError: neither this folder, nor one above it, nor a folder ``notebooks`` in one of them is it.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        for candidate in (folder, folder / "notebooks"):
            if (candidate / "course.yml").is_file():
                return candidate
    raise FileNotFoundError(f"There is no notebooks/course.yml in {here} or above: run this from the course's folder.")


def lesson_folder(part: str) -> Path:
    """Return the folder of a part's notebooks, e.g. of ``"02_realtime"``.

    Raises:
        FileNotFoundError: this is not run from the course's folder, or it has no such part.
    """
    folder = notebooks_folder() / part
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {part} in {folder.parent}.")
    return folder
