"""The command line: ``python -m course.preflight [--part 02] [--backend azure|local] [NOTEBOOK ...]``."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from azure.core.exceptions import AzureError

from course import exit_codes
from course.catalogue import Lesson, NotFoundError, find, select
from course.documents import DocumentError
from course.preflight import needs
from course.preflight.checks import (
    Course,
    Row,
    check_identity,
    check_permissions,
    check_providers,
    check_sizes,
    check_this_machine,
    check_workspace,
    total,
)
from course.preflight.resource_manager import Refused, ResourceManager
from course.preflight.sizes import Region
from helpers.connection import client_of_config, connect

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
    for row in _rows(arguments.backend, lessons, found):
        print(_text(row), flush=True)
        lacking += row.verdict == "lacking"
    print(f"{lacking} lacking: nothing was made." if lacking else "Nothing is lacking. Nothing was made.")
    return exit_codes.NOT_READY if lacking else exit_codes.PASSED


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m course.preflight", description="Check whether a workspace has what the lessons need."
    )
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="such as 01_deploy; default: all")
    parser.add_argument("--part", help="only the notebooks of this part: two digits, such as 02")
    parser.add_argument("--backend", choices=["local", "azure"], default="azure", help="default: azure")
    return parser.parse_args(argv)


def _rows(backend: str, lessons: Sequence[Lesson], found: needs.Needs) -> Iterator[Row]:
    """Yield rows as they are known; without a client, an identity or a workspace, what needs that is left out."""
    yield total(lessons)
    try:
        client = connect(backend) if backend == "local" else client_of_config()
    except (AzureError, RuntimeError) as error:
        advice = "portal: your workspace > Overview > Download config.json; put it into the course's folder"
        yield Row("config.json", "lacking", str(error).strip().splitlines()[0], "the workspace's file", advice)
        return
    workspace_name = str(client.workspace_name)
    azure = ResourceManager(client.subscription_id, client.resource_group_name, workspace_name)
    course = Course(backend, lessons, found, azure)
    yield Row("config.json" if backend == "azure" else "settings", "ok", workspace_name)
    yield (identity := check_identity())
    if identity.verdict != "ok":
        return
    yield (workspace := check_workspace(course))
    yield from check_providers(course)
    if workspace.verdict == "ok":
        yield from check_permissions(course)
        yield from _sizes(course, workspace.found)
    yield from check_this_machine(course)


def _sizes(course: Course, location: str) -> Iterator[Row]:
    try:
        region = Region(course.azure.sizes(location), course.azure.limits(location), course.azure.workspace)
    except Refused as refused:
        yield Row("VM sizes", "note", f"may not be read ({refused.code})", "quota", "ask who owns the subscription")
        return
    yield from check_sizes(course, region)


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
