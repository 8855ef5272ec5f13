"""Executes notebooks and stores them with their outputs: ``python -m course.store NOTEBOOK ...``.

Stored are results, not circumstances: no execution times, no progress, no kernel version.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

TIMEOUT_S = 600  # a cell
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def store(path: Path) -> None:
    """Executes the notebook at ``path`` with its own parameters, and writes it back with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed; the stored notebook stays as it was.
    """
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(
        notebook, timeout=TIMEOUT_S, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = _results(cell.outputs)
    notebook.metadata = nbformat.from_dict(METADATA)  # type: ignore[no-untyped-call]
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]


def _results(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """The outputs without standard error, and standard output, which arrives in pieces, in one.

    Without the SDK's dots before it, too: it prints one each time it asks how a deployment stands.
    """
    others = [output for output in outputs if output.output_type != "stream"]
    text = "".join(output.text for output in outputs if output.get("name") == "stdout").lstrip(".")
    if text:
        others.insert(0, nbformat.v4.new_output("stream", name="stdout", text=text))  # type: ignore[no-untyped-call]
    return others


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"executing {name} ...", flush=True)
        store(Path(name))
