"""That the benchmark can begin: it measures with what the tests have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_all_that_is_measured_is_found() -> None:
    """In the environment in which ``make bench`` runs it."""
    path = os.pathsep.join((str(TESTS), str(TESTS / "heavy"), os.environ.get("PYTHONPATH", "")))
    command = [sys.executable, "-c", "import run; print(run.measurements.__name__)"]
    done = subprocess.run(
        command,
        cwd=TESTS / "bench",
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "measurements\n", done.stderr
