"""The pages, made HTML by Jupyter Book: as many at once as there are processors, only those that have changed."""

from __future__ import annotations

import os
from pathlib import Path

MISSING = "Jupyter Book is not installed: pip install --constraint constraints.txt --editable '.[book]'"


class BookError(Exception):
    """The book could not be built; the message says why."""


def html(source: Path, into: Path) -> None:
    """Build the pages in ``source`` as ``into``; a warning is an error.

    Raises:
        BookError: Jupyter Book is missing, or has found something wrong, which it has printed.
    """
    try:
        from jupyter_book.sphinx import build_sphinx  # what `jupyter-book build` calls, which lacks its `jobs`
    except ModuleNotFoundError as error:
        raise BookError(f"{MISSING} ({error})") from None
    result = build_sphinx(
        source,
        into,
        noconfig=True,
        use_external_toc=False,  # its extension keeps Sphinx from reading pages side by side
        path_config=source / "_config.yml",
        confoverrides={"latex_individualpages": False},
        warningiserror=True,
        keep_going=True,
        jobs=os.cpu_count() or 1,
        quiet=True,
    )
    if result:
        raise BookError(f"Jupyter Book has not built {into}: {result}")
