"""Programs in the background, and the locks by which they are found again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workshop.background import Background, BackgroundError
from workshop.folder import HUB_PROCESS

WAITS = "import signal, sys; print('here', flush=True); signal.pause()"
IGNORES = """import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('here', flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Background]:
    made = Background("program", tmp_path / "lock", tmp_path / "log")
    yield made
    made.stop(1)


def start(program: Background, script: str = WAITS, within: float = 30) -> None:
    program.start([sys.executable, "-c", script], os.environ, lambda: "here" in program.log.read_text(), within)


def test_it_is_found_again_and_ended(program: Background) -> None:
    assert program.pid() is None
    start(program)
    pid = program.pid()
    assert pid and Path(f"/proc/{pid}/cmdline").read_text().startswith(sys.executable)
    assert program.stop(30) is True
    assert program.pid() is None and program.stop(30) is False


def test_kill_9_leaves_nothing_that_claims_to_run(program: Background) -> None:
    start(program)
    os.kill(program.pid() or 0, signal.SIGKILL)
    assert program.has_ended_within(30)
    assert program.pid() is None
    start(program)
    assert program.pid()


def test_a_stale_lock_file_with_another_process_number_is_not_believed(program: Background, tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(str(os.getpid()))
    assert program.pid() is None and program.stop(1) is False


def test_there_is_never_a_second_one(program: Background) -> None:
    start(program)
    with pytest.raises(BackgroundError, match="runs already"):
        start(program)


def test_one_that_ends_at_once_is_told_with_its_log(program: Background) -> None:
    with pytest.raises(BackgroundError, match=f"ended right after its start; {program.log} says why"):
        start(program, "raise SystemExit('no')")
    assert "no" in program.log.read_text()
    assert program.pid() is None


def test_one_that_is_never_ready_is_ended(program: Background) -> None:
    with pytest.raises(BackgroundError, match=r"not ready within 0\.5 s"):
        start(program, "import time; time.sleep(600)", within=0.5)
    assert program.has_ended_within(30)


def test_one_that_does_not_listen_is_killed(program: Background) -> None:
    start(program, IGNORES)
    assert program.stop(1) is True


def test_a_board_whose_hub_was_killed_before_it_began_ends_at_once() -> None:
    environment = {**os.environ, HUB_PROCESS: "1"}
    line = [sys.executable, "-m", "workshop.board"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and "The hub has ended" in done.stderr
