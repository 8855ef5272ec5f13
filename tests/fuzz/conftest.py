"""A service of its own to be fuzzed: it is restarted, and must have nothing in its log that it did not foresee."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from running_service import RunningService, command_line, start_service


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[RunningService]:
    """A service in a folder of its own."""
    root = Path(tempfile.mkdtemp(prefix="azl-fuzz-", dir="/tmp")).resolve()
    try:
        yield start_service(root)
    finally:
        command_line(root, "stop")
        shutil.rmtree(root, ignore_errors=True)
