"""What a wheelhouse says of itself."""

from __future__ import annotations

TEXT = """# The workbook's wheelhouse

All that the workbook *Deploy and consume models on Azure Machine Learning* is installed from, for a machine that has no
network. It is for **Python {python}** on **{system}**, and for no other.

| what | is |
|---|---|
| `wheels/` | Python's packages, by the workbook's `constraints.txt` |
| `npm/` | the packages of its lock files: Azurite, the Designer's view, JupyterHub's proxy |
| `workbook.tar.gz` | {workbook} |
| `SHA256SUMS` | a checksum of each file |

The machine has to have Python {python} with `venv` (Debian and Ubuntu: `python3-venv`), `make` and
`curl`, and 4 GB of disk. Then:

    tar -xzf workbook.tar.gz -C ~
    cd ~/workbook
    make setup WHEELHOUSE=/where/this/folder/lies

That compares the checksums first, and asks nothing of a network. From then on `make lab`, `make run` and
`make workshop` do what they always do. To compare the checksums only: `sha256sum --check --quiet SHA256SUMS`, here.

Another version of the workbook needs a wheelhouse of its own.
"""
COMMITTED = "the workbook, at commit {commit}"
NOT_HERE = "not here: copy the workbook's folder, without `.venv`"


def text(python: str, system: str, commit: str) -> str:
    """Return it as Markdown; ``commit`` is empty where the workbook is not in it."""
    workbook = COMMITTED.format(commit=commit) if commit else NOT_HERE
    return TEXT.format(python=python, system=system, workbook=workbook)
