"""Finding what lies beside a notebook, wherever the notebook is run from."""

from __future__ import annotations

from pathlib import Path


def lesson_folder(part: str) -> Path:
    """Return the folder of a part's notebooks, e.g. of ``"02_realtime"``.

    JupyterLab runs a notebook in its own folder, papermill in the folder that papermill was called from.

    Raises:
        FileNotFoundError: neither this folder nor ``notebooks/`` here or above holds that part.
    """
    here = Path.cwd()
    candidates = [here, *(folder / "notebooks" / part for folder in (here, *here.parents))]
    for folder in candidates:
        if folder.name == part and folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"There is no folder notebooks/{part} in {here} or above: run this from the course's folder."
    )
