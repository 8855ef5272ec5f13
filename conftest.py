"""How pytest treats the notebooks: nbval runs each, against a service of the test session's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HOME = "AZUREML_LOCAL_HOME"
PROGRESS = "AZUREML_WORKBOOK_PROGRESS"
PREFIX = "azl-"  # of the session's state folder; short, because sockets lie in it


def pytest_sessionstart(session: pytest.Session) -> None:
    """Keep the lessons away from the user's own service and progress; what is named is used only if a lesson runs."""
    os.environ[HOME] = tempfile.mkdtemp(prefix=PREFIX, dir="/tmp")
    os.environ[PROGRESS] = f"{os.environ[HOME]}.progress.db"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what the lessons have started."""
    subprocess.run([sys.executable, "-m", "azureml_local", "stop"], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(os.environ[HOME])
    Path(os.environ[PROGRESS]).unlink(missing_ok=True)


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Leave standard error out of the comparison: it holds progress bars and warnings, no results."""
    if collector.nodeid.endswith(".ipynb"):
        collector.skip_compare += ("stderr",)  # type: ignore[attr-defined]
