"""One service for the whole session (with pytest-xdist: one a worker)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from running_service import RunningService, command_line, family, start_service, survivors, users_of


@pytest.fixture(scope="session")
def service() -> Iterator[RunningService]:
    """One service, in a folder of its own. After its end nothing of it runs, and the folder is gone."""
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        started = start_service(root)
        yield started
        processes = family(started.pid)
        stopped = command_line(root, "stop")
        assert stopped.returncode == 0, stopped.stderr
        assert survivors(processes) + users_of(root) == []
    finally:
        command_line(root, "stop")
        shutil.rmtree(root, ignore_errors=True)
