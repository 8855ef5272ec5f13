"""When a lesson waits for jobs and endpoints: noted for who runs it unattended, in the file that a variable names."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "AZUREML_WORKBOOK_WAITS"


@contextmanager
def noted() -> Iterator[None]:
    """Note when the block begins and ends; where no file is named, nothing is written."""
    wait = uuid.uuid4().hex
    _note(wait)
    try:
        yield
    finally:
        _note(wait)


def _note(wait: str) -> None:
    if named := os.environ.get(VARIABLE):
        # One short write, so that lines of threads that wait at the same time are not mixed.
        with Path(named).open("a", encoding="utf-8") as file:
            file.write(json.dumps([wait, time.time()]) + "\n")


def read(file: Path) -> list[tuple[float, float]]:
    """Return when each wait began and ended, in seconds since 1970; one that was cut off has ended at infinity."""
    if not file.exists():
        return []
    moments: dict[str, list[float]] = {}
    for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            wait, at = json.loads(line)
            moments.setdefault(wait, []).append(at)
    return [(began, ended[0] if ended else float("inf")) for began, *ended in moments.values()]
