"""How pytest treats the notebooks: nbval runs each, against a service of the test session's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile

import pytest

HOME = "AZUREML_LOCAL_HOME"
PREFIX = "azl-"  # of the session's state folder; short, because sockets lie in it


def pytest_sessionstart(session: pytest.Session) -> None:
    """Keep the lessons away from the user's own service; the folder is used only if a lesson runs."""
    os.environ[HOME] = tempfile.mkdtemp(prefix=PREFIX, dir="/tmp")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what the lessons have started."""
    subprocess.run([sys.executable, "-m", "azureml_local", "stop"], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(os.environ[HOME])


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Leave standard error out of the comparison: it holds progress bars and warnings, no results."""
    if collector.nodeid.endswith(".ipynb"):
        collector.skip_compare += ("stderr",)  # type: ignore[attr-defined]
