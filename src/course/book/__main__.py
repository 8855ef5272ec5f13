"""Builds the book: ``python -m course.book [FOLDER]``; default: ``build/book``, with the first page in its ``html``."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from course.book import build, pages
from course.catalogue import NotFoundError
from course.documents import DocumentError
from course.exercises import ExerciseError

FOLDER = Path("build/book")


def main(arguments: list[str]) -> int:
    """Build it; returns the exit status: 0 when it was built."""
    parser = argparse.ArgumentParser(prog="python -m course.book", description="Make a book of the stored lessons.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="where (default: %(default)s)")
    folder = parser.parse_args(arguments).folder
    try:
        changed = pages.write(pages.make(Path("notebooks")), folder / "source")
        if any(pages.concerns_all(place) for place in changed):
            shutil.rmtree(folder / "html", ignore_errors=True)  # what Sphinx has read before it need not read again
        build.html((folder / "source").resolve(), (folder / "html").resolve())
    except (NotFoundError, DocumentError, ExerciseError, build.BookError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(f"{folder / 'html' / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
