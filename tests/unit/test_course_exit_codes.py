"""The exit codes of a run, as ``docs/unattended.md`` lists them; 1 after a failure is in ``test_course_run.py``, 4 in
``test_course_budget.py``."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from pathlib import Path
from xml.etree import ElementTree

import pytest

from course import exit_codes
from course.catalogue import Notebook
from course.execute import Result
from course.readiness import Readiness
from course.run import main
from written_course import list_lessons, write_lesson

DOCUMENT = Path(__file__).parents[2] / "docs" / "unattended.md"


@pytest.fixture
def one_lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_lesson(tmp_path, "00_start/01_one")
    list_lessons(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("course.run.readiness", lambda backend, lessons: Readiness())
    return tmp_path


def test_every_code_is_documented() -> None:
    documented = {int(code) for code in re.findall(r"^\| `(\d+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.M)}
    own = {value for name, value in vars(exit_codes).items() if name.isupper() and name != "SIGNALLED"}
    signalled = {exit_codes.SIGNALLED + number for number in (signal.SIGINT, signal.SIGTERM)}
    assert documented == own | signalled


def test_wrong_use(one_lesson: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["02_unknown"]) == 2
    for arguments in (["--budget", "-1"], ["--budget", "nan"], ["--run", "a b"], ["--run", ""], ["--jobs", "0"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert f"argument {arguments[0]}" in capsys.readouterr().err
    assert not (one_lesson / "runs").exists()


def test_machine_that_is_not_ready(
    one_lesson: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is started, and CI shows why."""
    monkeypatch.setattr(
        "course.run.readiness", lambda backend, lessons: Readiness([f"free disk of {backend}: none. Make room."])
    )
    assert main([]) == 3
    assert "free disk of local: none. Make room." in capsys.readouterr().err
    suite = ElementTree.parse(one_lesson / "runs/latest/junit.xml").getroot()[0]
    assert suite.findtext("testcase/error") == "free disk of local: none. Make room."


def test_lesson_whose_own_needs_are_not_met(
    one_lesson: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It alone is left out, and says why: a secret of its own is no reason for the others not to run."""
    write_lesson(one_lesson, "00_start/02_two")
    list_lessons(one_lesson)
    lacking = {"lesson_00_start_02_two": ["A_SECRET: not set. Set it."]}
    monkeypatch.setattr("course.run.readiness", lambda backend, lessons: Readiness(of_lessons=lacking))

    async def passes(lesson: Notebook, *_: object) -> Result:
        return Result(lesson, "passed", "A lesson")

    monkeypatch.setattr("course.run.execute", passes)
    assert main([]) == 3
    assert "not started: A_SECRET: not set. Set it." in capsys.readouterr().out
    entries = json.loads((one_lesson / "runs/latest/summary.json").read_text(encoding="utf-8"))["notebooks"]
    assert [(entry["status"], entry["reason"]) for entry in entries] == [
        ("passed", None),
        ("skipped", "not started: A_SECRET: not set. Set it."),
    ]
    assert main(["01_one"]) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_that_interrupts(
    one_lesson: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    async def hangs(notebook: Notebook, *_: object) -> Result:
        os.kill(os.getpid(), number)
        await asyncio.sleep(60)
        raise AssertionError("it was not interrupted")

    monkeypatch.setattr("course.run.execute", hangs)
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # another test's event loop may have left its own
    assert main([]) == code
    for one, handler in before.items():
        signal.signal(one, handler)
    (entry,) = json.loads((one_lesson / "runs/latest/summary.json").read_text(encoding="utf-8"))["notebooks"]
    assert (entry["status"], entry["reason"]) == ("skipped", "interrupted before its end")
