"""The command line: ``python -m course.preflight [--part 02] [--backend azure|local] [NOTEBOOK ...]``."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from course import exit_codes
from course.catalogue import NotFoundError, find, select
from course.documents import DocumentError
from course.preflight import needs
from course.preflight.examination import Row, examine

MARKS = {"ok": "✓", "note": "!", "lacking": "✗"}
WIDTHS = (38, 40)  # of what is checked, and of what was found; longer ones go on in the next line
INDENT = "    "


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table of what was checked, found and wanted, and what to do next; make nothing.

    Returns an exit code of ``course.exit_codes``: passed where nothing is lacking, not ready where something is.
    """
    arguments = _parse(argv)
    folder = Path("notebooks")
    try:
        lessons = select(find(folder), arguments.part or None, arguments.notebooks)
        found = needs.find(folder, lessons)
    except (NotFoundError, DocumentError) as error:
        print(error, file=sys.stderr)
        return exit_codes.USAGE
    lacking = 0
    for row in examine(arguments.backend, lessons, found):
        print(_text(row), flush=True)
        lacking += row.verdict == "lacking"
    print(f"{lacking} lacking: nothing was made." if lacking else "Nothing is lacking. Nothing was made.")
    return exit_codes.NOT_READY if lacking else exit_codes.PASSED


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m course.preflight", description="Check whether a workspace has what the lessons need."
    )
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="such as 01_deploy_with_keys; default: all")
    parser.add_argument("--part", help="only the notebooks of this part: two digits, such as 02")
    parser.add_argument("--backend", choices=["local", "azure"], default="azure", help="default: azure")
    return parser.parse_args(argv)


def _text(row: Row) -> str:
    """One row: mark, check, found and wanted side by side; what to do next below it."""
    columns = [
        textwrap.wrap(text, width, break_long_words=False) or [""]
        for text, width in zip((row.check, row.found), WIDTHS, strict=True)
    ]
    columns.append([row.wanted])
    lines = []
    for number in range(max(map(len, columns))):
        check, seen, wanted = (column[number] if number < len(column) else "" for column in columns)
        mark = MARKS[row.verdict] if number == 0 else " "
        lines.append(f"{mark} {check:{WIDTHS[0]}}  {seen:{WIDTHS[1]}}  {wanted}".rstrip())
    if row.next:
        lines += textwrap.wrap(f"→ {row.next}", 100, initial_indent=INDENT, subsequent_indent=f"{INDENT}  ")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
