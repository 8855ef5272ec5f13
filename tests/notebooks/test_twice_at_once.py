"""The same lesson twice at once, and again after its kernel was ended in the middle."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest
from lessons import LESSONS
from papermill_runs import SECONDS, PapermillRun

pytestmark = pytest.mark.slow

WAIT = """
import pathlib, time
pathlib.Path({arrived!r}).touch()
while True:
    time.sleep(1)
"""


def test_a_second_run_is_refused_and_one_after_a_restart_passes(tmp_path: Path) -> None:
    lesson = LESSONS[0]
    arrived = tmp_path / "arrived"
    first = PapermillRun.start(lesson, tmp_path / "first", suffix="one", extra=WAIT.format(arrived=str(arrived)))
    beside = PapermillRun.start(lesson, tmp_path / "beside", suffix="two")
    try:
        _wait_for(arrived, first)  # it has deployed, and has not cleaned up
        said = PapermillRun.start(lesson, tmp_path / "second", suffix="one").refusal()
        assert "digits-one is in use: this lesson runs elsewhere on this machine too" in said
        assert "set suffix =" in said
        beside.assert_passes()
        _end_with_kernel(first)
        PapermillRun.start(lesson, tmp_path / "again", suffix="one").assert_passes()
    finally:
        first.process.kill()
        beside.process.kill()


def _wait_for(file: Path, run: PapermillRun) -> None:
    deadline = time.monotonic() + SECONDS
    while not file.exists():
        assert run.process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)


def _end_with_kernel(run: PapermillRun) -> None:
    processes = [run.process, *psutil.Process(run.process.pid).children(recursive=True)]
    assert len(processes) > 1
    for process in processes:
        process.kill()
    run.process.wait(SECONDS)
    psutil.wait_procs([process for process in processes if isinstance(process, psutil.Process)], timeout=SECONDS)
