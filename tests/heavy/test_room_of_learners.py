"""Learners who run one lesson at once on this machine: what the harness of the room measures, with few of them.

The goal of 20 is for `python tests/bench/room.py --learners 20`: how long a call takes depends on the machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LEARNERS = 3
WITHIN = 1200  # seconds


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_all_succeed_and_none_needs_too_much_memory(tmp_path: Path) -> None:
    output = tmp_path / "room.json"
    command = [sys.executable, "room.py", "--learners", str(LEARNERS), "--output", str(output)]
    path = os.pathsep.join((str(TESTS.parent / "src"), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        command,
        cwd=TESTS / "bench",
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text())
    assert found["succeeded"] == LEARNERS and not found["errors"]
    assert 0 < found["memory_mb"]["max"] <= 700, done.stdout
    assert {"kernel", "service", "storage", "instances"} <= found["kinds"].keys(), "each kind of process was seen"
    assert all({"GET", "PUT", "POST", "DELETE"} <= {call["method"] for call in calls} for calls in found["calls"])
