"""A state folder that is damaged, of another version, read-only, or used by two at once.

Each is refused in plain words that say what to do next, or mended; nothing is lost (design.md, "every failure ends with
what to do next").
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clients import SECONDS, Clients
from small_disk import on_a_small_disk, remount_read_only

from azureml_local import daemon
from azureml_local.home import Home
from running_service import command_line, start_service, survivors, users_of, wait_for


def new_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()


@pytest.fixture(scope="module")
def used() -> Iterator[Path]:
    """The state folder of a service that has ended, with an endpoint and a blob in it."""
    root = new_folder()
    clients = Clients(start_service(root))
    clients.management.online_endpoints.begin_create_or_update(*clients.scope, "kept", clients.endpoint()).result(
        SECONDS
    )
    clients.blobs.create_container("kept").upload_blob("blob", b"kept")
    assert command_line(root, "stop").returncode == 0
    yield root
    shutil.rmtree(root)


@pytest.fixture
def root(used: Path) -> Iterator[Path]:
    """A copy of that folder; whatever runs in it is ended."""
    folder = new_folder()
    shutil.copytree(used, folder, dirs_exist_ok=True, symlinks=True)
    yield folder
    command_line(folder, "stop")
    shutil.rmtree(folder, ignore_errors=True)


def contents(root: Path) -> dict[str, bytes]:
    """Return what must not change when a start is refused: everything but logs and locks."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and "logs" not in path.parts and path.suffix not in (".lock", ".db-shm")
    }


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garble(path: Path) -> None:
    path.write_bytes(b"\xff\x00 no such thing" * 10)


def newer(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


REFUSED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "database garbled": ("state.db", garble, "Put a copy of it back"),
    "database cut off": ("state.db", half, "Put a copy of it back"),
    "database empty": ("state.db", lambda path: path.write_bytes(b""), "is empty. Put a copy of it back"),
    "database gone": ("state.db", Path.unlink, "is gone. Put a copy of it back"),
    "database newer": ("state.db", newer, "newer version of the service (layout 99"),
    "settings garbled": ("settings.json", garble, "Put a copy of it back"),
    "settings incomplete": ("settings.json", lambda path: path.write_text('{"schema": 1}'), "Put a copy of it back"),
    "settings newer": ("settings.json", lambda path: path.write_text('{"schema": 9}'), "another version"),
    "signing key garbled": ("identity/signing-key.pem", garble, "Delete it, and start again"),
    "authority garbled": ("tls/ca.pem", garble, "Delete it, and start again"),
    "storage's list garbled": ("storage/__azurite_db_blob__.json", garble, "Put a copy of it back"),
    "storage's list empty": (
        "storage/__azurite_db_blob__.json", lambda path: path.write_bytes(b""), "Put a copy of it back",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_damage_is_refused_in_words_and_nothing_is_changed(
    case: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, damage, words = REFUSED[case]
    damage(root / name)
    before = contents(root)
    # What "serve" does, without a process of its own for each case.
    assert daemon.serve(Home(root), None, None) == 1
    said = capsys.readouterr().err
    assert words in said
    assert str(root) in said
    assert len(said.splitlines()) == 1
    assert contents(root) == before
    assert users_of(root) == []
    assert daemon.find(Home(root)) is None


def test_start_passes_on_why_the_service_did_not_start(root: Path) -> None:
    garble(root / "identity" / "signing-key.pem")
    refused = command_line(root, "start")
    assert refused.returncode == 1
    assert "Delete it, and start again" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_what_can_be_made_anew_is(root: Path) -> None:
    """Keys and certificates can, port and leftovers do not matter; endpoints and blobs are as they were."""
    (root / "identity" / "signing-key.pem").unlink()
    (root / "tls" / "ca.key").unlink()
    (root / "port").write_text("99999999")
    (root / "service.json").write_text("{")
    (root / ".port.999999999").write_text("12")
    (root / "admin.sock").touch()
    (root / "run" / "left.sock").touch()
    started = start_service(root)
    clients = Clients(started)
    assert clients.management.online_endpoints.get(*clients.scope, "kept").name == "kept"
    assert clients.blobs.get_container_client("kept").download_blob("blob").readall() == b"kept"
    assert not (root / ".port.999999999").exists()
    assert not (root / "run" / "left.sock").exists()


def test_read_only_folder_is_refused_in_words() -> None:
    folder = new_folder()

    def scenario() -> None:
        start_service(folder)
        assert command_line(folder, "stop").returncode == 0
        remount_read_only(folder)
        for command in (("start",), ("reset", "--yes")):
            refused = command_line(folder, *command)
            assert refused.returncode == 1
            assert "Read-only file system" in refused.stderr
            assert "AZUREML_LOCAL_HOME" in refused.stderr
            assert "Traceback" not in refused.stderr
        assert "running                False" in command_line(folder, "status").stdout

    try:
        on_a_small_disk(folder, 32, scenario)
    except PermissionError as error:
        pytest.skip(f"needs the right to mount: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_started_stopped_and_reset_at_once(root: Path) -> None:
    """However they come, each ends as if they had come one after the other, and at most one service runs."""
    outcomes: list[tuple[str, int, str]] = []

    def run(*command: str) -> threading.Thread:
        def body() -> None:
            finished = command_line(root, *command)
            outcomes.append((command[0], finished.returncode, finished.stderr))

        thread = threading.Thread(target=body)
        thread.start()
        return thread

    for thread in [run("start"), run("start")]:
        thread.join()
    assert [code for _, code, _ in outcomes] == [0, 0], outcomes
    running = daemon.find(Home(root))
    assert running is not None
    assert len([user for user in users_of(root) if "azureml_local" in user]) <= 1

    second = command_line(root, "serve")
    assert (second.returncode, second.stderr) == (1, f"Another service runs in {root}.\n")

    # A start that comes while the service ends waits for its end, and starts another.
    outcomes.clear()
    stopping = run("stop")
    wait_for(lambda: daemon.find(Home(root)) is None, "the service begins to end")
    starting = run("start")
    stopping.join()
    starting.join()
    assert {code for _, code, _ in outcomes} == {0}, outcomes
    again = daemon.find(Home(root))
    assert again is not None
    assert again.pid != running.pid

    outcomes.clear()
    for thread in [run("reset", "--yes"), run("start")]:
        thread.join()
    assert {code for _, code, _ in outcomes} == {0}, outcomes
    assert command_line(root, "stop").returncode == 0
    assert survivors([]) + users_of(root) == []
