"""``python -m workshop``: what it refuses, in which words, before it starts anything."""

from __future__ import annotations

import os
import secrets
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from rooms import NEEDS_ROOT

from workshop import __main__, hub, links, start, users, workshop
from workshop.folder import CODE_LETTERS, Folder, Settings, read_secret


@pytest.fixture
def room() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="azw-") as folder:
        Path(folder).chmod(0o711)  # pytest's own are its user's alone
        yield Path(folder, "w")


@pytest.fixture
def refused(room: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that cannot be done, and return what it says."""

    def run(command: str, *options: str) -> str:
        assert __main__.main([command, "--folder", str(room), *options]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        return said.err

    return run


@NEEDS_ROOT
def test_a_port_that_is_taken_is_named_and_what_to_do(room: Path, refused: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refused("start", "--learners", "2", "--port", str(port))
    assert f"Port {port} of 127.0.0.1 is in use by another program" in said and "--port" in said
    assert not (room / "workshop.json").exists(), "nothing is kept of a start that was refused"


@NEEDS_ROOT
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "For how many learners?"),
        (["--learners", "2", "--listen", "192.0.2.1"], "192.0.2.1 is not an address of this machine"),
        (["--learners", "2", "--listen", "here"], "'here' is no IP address"),
        (["--learners", "2", "--listen", "0.0.0.0"], "0.0.0.0 stands for every address"),
        (["--learners", "2", "--prefix", "Böse"], "'Böse' begins no OS user's name"),
        (["--learners", "2", "--certificate", "/c.pem"], "A certificate needs its key"),
        (["--learners", "2", "--certificate", "/c.pem", "--key", "/k.pem"], "/c.pem and /k.pem cannot be used"),
    ],
)
def test_what_cannot_be_is_refused_in_words(refused: Callable[..., str], options: list[str], words: str) -> None:
    assert words in refused("start", "--port", "0", *options)


@pytest.mark.parametrize(
    "options", [["--learners", "0"], ["--learners", "many"], ["--port", "65536"], ["--port", "-1"]]
)
def test_numbers_are_checked(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        start.parse(options)
    assert ended.value.code == 2 and f"{options[1]!r} is no" in capsys.readouterr().err


def test_who_is_not_root_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for command in ("start", "stop", "status"):
        assert __main__.main([command, *(["--learners", "2"] if command == "start" else [])]) == 1
        said = capsys.readouterr().err
        assert f"-m workshop {command}" in said and "sudo" in said


def test_another_system_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workshop.sys, "platform", "darwin")
    with pytest.raises(workshop.WorkshopError, match="needs Linux"):
        workshop.require_root("start")


@NEEDS_ROOT
def test_nothing_was_started(room: Path, refused: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["stop", "--folder", str(room)]) == 0
    assert "No workshop was ever started" in capsys.readouterr().out
    assert "No workshop was ever started" in refused("status")
    assert not room.exists()


def test_commands_that_there_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["begin"]) == 2
    assert "python -m workshop start" in capsys.readouterr().out
    assert __main__.main(["--help"]) == 0


@NEEDS_ROOT
def test_a_folder_that_learners_could_not_reach_is_refused(room: Path, refused: Callable[..., str]) -> None:
    room.parent.chmod(0o700)
    said = refused("start", "--learners", "2", "--port", "0")
    assert "Learners could not reach their homes" in said and f"pass through {room.parent}" in said


@NEEDS_ROOT
def test_a_damaged_file_is_named(room: Path, refused: Callable[..., str]) -> None:
    Folder(room).create()
    (room / "workshop.json").write_text("{")
    assert f"{room}/workshop.json is damaged" in refused("start", "--learners", "2")


def test_what_was_given_once_stays(tmp_path: Path) -> None:
    former = Settings(12, prefix="x", listen="192.0.2.1", port=8010)
    assert start.chosen(former, start.parse([])) == former
    assert start.chosen(former, start.parse(["--learners", "14", "--port", "0"])) == Settings(
        14, prefix="x", listen="192.0.2.1", port=8010
    )


def test_the_folder_lets_learners_through_to_their_homes_and_nothing_else(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "w")
    folder.create()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder.root, folder.hub, folder.homes)}
    assert modes == {"w": 0o711, "hub": 0o700, "homes": 0o711}
    secrets = [path for path in folder.hub.iterdir() if path.is_file()]
    assert secrets and {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    before = {path: path.read_text() for path in secrets}
    folder.create()
    assert {path: path.read_text() for path in secrets} == before, "a new start keeps them"


def test_the_join_link_and_its_qr_code(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "w")
    folder.create()
    code = read_secret(folder.join_code)
    assert len(code) == 8 and set(code) <= set(CODE_LETTERS)
    link = links.join_link(folder, Settings(2, listen="192.0.2.1", port=8443))
    assert link == f"https://192.0.2.1:8443/hub/login?code={code}"
    assert "[2001:db8::1]:8000" in links.join_link(folder, Settings(2, listen="2001:db8::1"))
    assert links.qr_as_svg(link).startswith("<svg") and "█" in links.qr_for_terminal(link)


@NEEDS_ROOT
def test_a_workshop_is_removed_with_its_users_when_that_is_meant(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, name = Folder(room), f"t{secrets.token_hex(3)}-01"
    folder.create()
    folder.write(Settings(1, prefix=name.removesuffix("01")))
    user = users.ensure(name, folder.home(name))
    folder.home(name).mkdir()
    (folder.home(name) / "notes.txt").write_text("of the learner")

    assert __main__.main(["remove", "--folder", str(room)]) == 0
    assert name in capsys.readouterr().out and users.find(name) == user and folder.home(name).exists()

    assert __main__.main(["remove", "--folder", str(room), "--yes"]) == 0
    assert users.find(name) is None and not room.exists()


@NEEDS_ROOT
def test_nothing_is_removed_where_there_never_was_a_workshop(room: Path, refused: Callable[..., str]) -> None:
    room.mkdir()
    (room / "mine.txt").touch()
    assert "No workshop was ever started" in refused("remove", "--yes") and (room / "mine.txt").exists()


@NEEDS_ROOT
def test_what_runs_for_a_seat_that_is_no_more_is_ended_with_the_rest(room: Path) -> None:
    folder, prefix = Folder(room), f"t{secrets.token_hex(3)}-"
    folder.create()
    folder.write(Settings(1, prefix=prefix))  # there were seven once
    user = users.ensure(f"{prefix}07", folder.home(f"{prefix}07"))
    running = subprocess.Popen(["sleep", "600"], user=user.pw_uid, group=user.pw_gid)
    try:
        assert __main__.main(["stop", "--folder", str(room)]) == 0
        assert not psutil.pid_exists(running.pid)
    finally:
        running.kill()
        assert __main__.main(["remove", "--folder", str(room), "--yes"]) == 0


def test_a_learners_disk_is_as_large_as_was_asked_for(room: Path) -> None:
    folder = Folder(room)
    folder.create()
    settings = start.chosen(None, start.parse(["--learners", "2", "--disk", "5"]))
    assert hub.configuration(folder, settings).LearnerSpawner.disk_size == "5G"
    assert start.chosen(settings, start.parse([])).disk == 5, "what was given once stays"


@pytest.mark.parametrize("size", ["0", "-1", "1.5", "2G", "1001", ""])
def test_no_size_of_a_disk(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        start.parse(["--learners", "2", "--disk", size])
    assert f"{size!r} is no size of a disk: give 1 to 1000, in GiB" in capsys.readouterr().err
