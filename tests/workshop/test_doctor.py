"""What `python -m workshop doctor` says of this machine, and of machines that lack something."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learners_home import as_learner

from course import exit_codes
from workshop import users
from workshop.doctor import command, costs, machine, network, rights, software
from workshop.doctor.costs import CostsError
from workshop.doctor.findings import MARKS, Finding, Level, as_json, as_lines, bad, good, summary, worse
from workshop.doctor.room import Room
from workshop.folder import Folder, Settings

WORKBOOK = Path(__file__).parents[2]


def room(tmp_path: Path, learners: int = 2, **settings: object) -> Room:
    """Return a room that is not there yet."""
    return Room(replace(Settings(learners), **settings), Folder(tmp_path / "workshop"))


def only(findings: Iterator[Finding], what: str) -> Finding:
    """Return the one finding on something."""
    return next(one for one in findings if one.what == what)


def test_more_learners_than_the_memory_holds_are_too_many(tmp_path: Path) -> None:
    free = psutil.virtual_memory().available
    known = costs.read(WORKBOOK / "notebooks")
    each = known.lab + min(lesson.memory for lesson in known.lessons)
    few, many = (only(machine.memory(room(tmp_path, number)), "memory") for number in (1, int(free / each) + 2))
    assert few.level is not Level.BAD or free < known.room + 2 * each
    assert many.level is Level.BAD
    assert "This machine carries" in many.remedy


def test_the_memory_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("600000000\n")  # as https://docs.kernel.org/admin-guide/cgroup-v2.html has it
    monkeypatch.setattr(machine, "MEMORY_LIMITS", (str(tmp_path / "none"), str(limit)))
    found = only(machine.memory(room(tmp_path, 2)), "memory")
    assert (found.level, found.found.split(" are")[0]) == (Level.BAD, "0.6 GB")
    limit.write_text("max\n")
    assert not only(machine.memory(room(tmp_path, 1)), "memory").found.startswith("0.6 GB")


def test_a_lesson_that_keeps_all_processors_busy_is_named_with_how_many_would_do(tmp_path: Path) -> None:
    slow = [one for one in machine.processors(room(tmp_path, 500)) if one.what == "slow"]
    assert any("Deploy a model with key authentication" in one.found for one in slow)
    assert all(one.level is Level.WORSE and "processors" in one.remedy for one in slow)


def test_who_joins_last_waits_longest(tmp_path: Path) -> None:
    assert only(machine.processors(room(tmp_path, 500)), "joining").level is Level.WORSE
    assert only(machine.processors(room(tmp_path, 1)), "joining").level is Level.GOOD


def test_disks_of_learners_have_to_fit(tmp_path: Path) -> None:
    found = only(machine.disk(room(tmp_path, 500)), "disk")
    free = psutil.disk_usage(str(tmp_path)).free
    assert found.level is (Level.BAD if free < 502 * 2 * 2**30 else Level.GOOD)
    assert str(tmp_path) in found.found


def test_a_port_in_use_and_an_address_of_another_machine_are_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = only(network.address(room(tmp_path, port=port)), "port")
    assert (found.level, found.found) == (Level.BAD, f"{port} of 127.0.0.1")
    assert "in use" in found.remedy
    # TEST-NET-3, RFC 5737: nobody's.
    assert "ip address" in only(network.address(room(tmp_path, listen="203.0.113.9")), "port").remedy


def test_loopback_is_told_to_be_too_near_for_a_room(tmp_path: Path) -> None:
    found = only(network.address(room(tmp_path)), "address")
    assert (found.level, found.remedy.split("=")[0]) == (Level.WORSE, "LISTEN")


def test_a_user_that_is_not_ours_is_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> None:
        if name == "pupil02":
            raise users.UserError("somebody's")

    monkeypatch.setattr(users, "find", find)
    found = only(rights.accounts(room(tmp_path, prefix="pupil")), "users")
    assert (found.level, found.found) == (Level.BAD, "pupil02 exist and are not ours")
    assert only(rights.accounts(room(tmp_path, 1, prefix="pupil")), "users").level is Level.GOOD


@pytest.mark.parametrize(
    ("mode", "said"), [(0o640, "is not readable for others"), (0o646, "is writable for others"), (0o644, "can read it")]
)
def test_a_workbook_that_learners_cannot_read_or_may_write_is_told(
    mode: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workbook = tmp_path / "workbook"
    (workbook / "src").mkdir(parents=True)
    (workbook / ".git").mkdir(mode=0o700)
    for folder in (workbook, workbook / "src"):
        folder.chmod(0o755)
    (workbook / "src" / "code.py").touch()
    (workbook / "src" / "code.py").chmod(mode)
    monkeypatch.setattr(rights, "needed_folders", lambda: [workbook])
    monkeypatch.setattr(rights, "barred", lambda _: set())
    assert said in only(rights.readable(room(tmp_path)), "workbook").found


def test_without_root_there_is_no_room(tmp_path: Path) -> None:
    with as_learner():
        if os.geteuid() == 0:
            pytest.skip("cannot be anybody but root here")
        assert only(rights.root(room(tmp_path)), "root").level is Level.BAD


def test_kernel_limits_that_are_too_low_for_the_room_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "kernel/pid_max": 300,
        "kernel/threads-max": 90_000,
        "fs/file-max": 900,
        "fs/inotify/max_user_instances": 12,
        "fs/inotify/max_user_watches": 90_000,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{value}\n")
    monkeypatch.setattr(software, "SYSCTL", tmp_path)
    found = {one.what: one for one in software.kernel_limits(room(tmp_path))}
    assert found["processes"].level is Level.BAD
    assert "kernel.pid_max" in found["processes"].remedy
    assert "fs.file-max" in found["open files"].remedy
    assert found["watches"].remedy == "sysctl fs.inotify.max_user_instances=128"


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(tmp_path: Path) -> None:
    def own_disks(_: Room) -> Iterator[Finding]:
        raise OSError("no such device")

    found = list(command.examine(room(tmp_path), (own_disks, machine.system)))
    assert [(one.what, one.level) for one in found] == [("own disks", Level.BAD), ("system", Level.GOOD)]
    assert "no such device" in found[0].found


FINDINGS = [
    good("memory", "24.1 GB are free"),
    worse("swap", "none " * 30, "swapon /swapfile"),
    bad("root", "no", "sudo"),
]


@given(columns=st.integers(30, 200), plain=st.booleans())
def test_no_line_is_wider_than_the_terminal_and_no_word_is_lost(columns: int, plain: bool) -> None:
    lines = list(as_lines(FINDINGS, columns, plain=plain))
    assert max(map(len, lines)) <= columns
    words = " ".join(lines).split()
    for finding in FINDINGS:
        assert all(word in words for word in f"{finding.what} {finding.found} {finding.remedy}".split())
    assert plain == (not set(MARKS.values()) - {"!"} & set(words))


def test_the_last_line_counts() -> None:
    assert summary(FINDINGS, 30) == "Not ready for 30 learners: 1 to mend, 1 to know of."
    assert summary(FINDINGS[:2], 30) == "Ready for 30 learners, with 1 to know of."
    assert summary(FINDINGS[:1], 30) == "Ready for 30 learners."
    assert [as_json(30, FINDINGS[:end])["ready"] for end in (1, 2, 3)] == [True, True, False]


def test_the_command_prints_json_and_its_exit_code_says_whether_there_can_be_a_room(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["--learners", "3", "--folder", str(tmp_path / "workshop"), "--json"]
    monkeypatch.setattr(command, "CHECKS", (machine.system,))
    assert command.main(asked) == exit_codes.PASSED
    answer = json.loads(capsys.readouterr().out)
    assert (answer["learners"], answer["ready"]) == (3, True)
    assert answer["findings"][0]["level"] == "good"
    monkeypatch.setattr(command, "CHECKS", (lambda _: [bad("x", "y", "z")],))
    assert command.main(asked) == exit_codes.NOT_READY
    with pytest.raises(SystemExit) as refused:
        command.main(["--learners", "none"])
    assert refused.value.code == exit_codes.USAGE


def test_the_costs_are_of_lessons_of_the_course() -> None:
    known = costs.read(WORKBOOK / "notebooks")
    assert all(lesson.memory > 0 and lesson.cpu > 0 and lesson.minutes > 0 for lesson in known.lessons)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("processes:", "threads:", "costs.yml lacks processes"),
        ("02_realtime/01_deploy_with_keys", "02_realtime/none", "02_realtime/none"),
        ("cpu_s:", "seconds:", "cpu_s"),
    ],
)
def test_costs_that_are_not_as_they_have_to_be_are_told(old: str, new: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "costs.yml"
    text = costs.FILE.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(CostsError, match=said):
        costs.read(WORKBOOK / "notebooks", file)
