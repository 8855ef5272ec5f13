"""azureml_local.home and .daemon: a state folder is the service's alone, and a service is found only where one runs.

flock(2): shared locks do not exclude one another.
"""

import errno
import fcntl
import json
import logging
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from azureml_local import daemon, doctor
from azureml_local.home import Home, HomeError, write_private


@pytest.fixture
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("h")


def test_folder_with_something_of_anothers_is_refused_and_kept(root: Path) -> None:
    """``AZUREML_LOCAL_HOME=~`` must neither change the folder nor let ``reset`` empty it."""
    (root / "thesis.txt").write_text("years of work")
    mode = root.stat().st_mode
    for attempt in (Home(root).create, Home(root).delete):
        with pytest.raises(HomeError, match=r"thesis\.txt"):
            attempt()
    assert (root / "thesis.txt").read_text() == "years of work"
    assert root.stat().st_mode == mode
    assert list(root.iterdir()) == [root / "thesis.txt"]


def test_delete_removes_what_create_made(root: Path) -> None:
    home = Home(root)
    home.create()
    (home.storage / "blob").write_text("x")
    home.delete()
    assert not root.exists()
    home.delete()  # again: as it should be


def _ran_once(home: Home) -> None:
    home.create()
    home.running_file.write_text(json.dumps({"pid": os.getpid(), "port": 1, "started": 0.0, "version": "0"}))
    home.lock_file.touch()


def test_two_that_look_at_once_find_no_service(root: Path) -> None:
    """One's look must not be taken by the other for a service, whose process id would be a stranger's by now."""
    home = Home(root)
    _ran_once(home)
    with home.lock_file.open("r+") as another:
        fcntl.flock(another, fcntl.LOCK_SH)
        assert daemon.find(home) is None
        assert daemon.stop(home) is False


def test_service_that_was_killed_is_not_found_while_another_starts(root: Path) -> None:
    """The new one holds the lock before it has replaced what the old one wrote."""
    home = Home(root)
    _ran_once(home)
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    for pid, is_found in ((os.getpid(), True), (ended.pid, False)):
        home.running_file.write_text(json.dumps({"pid": pid, "port": 1, "started": 0.0, "version": "0"}))
        with home.lock_file.open("r+") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            assert (daemon.find(home) is not None) is is_found


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1, "from": "another version"}'])
def test_running_file_that_says_nothing_is_no_service(content: str, root: Path) -> None:
    home = Home(root)
    _ran_once(home)
    home.running_file.write_text(content)
    with home.lock_file.open("r+") as service:
        fcntl.flock(service, fcntl.LOCK_EX)
        assert daemon.find(home) is None


def test_doctor_finds_nothing_wrong_with_a_folder_that_is_still_empty(root: Path) -> None:
    findings = [finding for finding in doctor.check(Home(root)) if finding.what == "state folder"]
    assert [finding.remedy for finding in findings] == [""]


def test_doctor_names_a_folder_with_something_of_anothers(root: Path) -> None:
    (root / "thesis.txt").write_text("years of work")
    (finding,) = (finding for finding in doctor.check(Home(root)) if finding.what == "state folder")
    assert "holds 'thesis.txt', which is not the service's" in finding.remedy


def test_doctor_names_a_folder_that_is_open_to_others(root: Path) -> None:
    home = Home(root)
    home.create()
    root.chmod(0o755)
    (finding,) = (finding for finding in doctor.check(home) if finding.what == "state folder")
    assert finding.remedy == f"chmod 700 {root}"


def test_deletion_leaves_what_a_waiting_start_has_put_there_meanwhile(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``start`` makes the folder and its lock before it waits for the lock that ``reset`` holds."""
    home = Home(root)
    home.create()
    (root / "state.db").write_text("x")
    rmtree = shutil.rmtree

    def rmtree_while_another_starts(path: Path) -> None:
        rmtree(path)
        home.start_lock.write_text("")

    monkeypatch.setattr(shutil, "rmtree", rmtree_while_another_starts)
    home.delete()
    assert [path.name for path in root.iterdir()] == ["start.lock"]


@pytest.mark.parametrize("name", ["state.db-journal", "state.db-wal", "state.db.layout1-journal", ".DS_Store"])
def test_what_comes_and_goes_beside_the_database_is_no_strangers(name: str, root: Path) -> None:
    """SQLite's rollback journal (https://www.sqlite.org/tempfiles.html) stays where a kill struck a new database."""
    home = Home(root)
    home.create()
    (root / name).write_text("x")
    home.create()


def test_draft_of_a_process_that_was_killed_is_no_strangers_and_is_forgotten(root: Path) -> None:
    """A SIGKILL between the two steps of write_private leaves the draft behind."""
    home = Home(root)
    home.create()
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    left_behind = [root / f".service.json.{ended.pid}", home.tls / f".ca.pem.{ended.pid}"]
    of_another = root / f".port.{os.getpid()}"
    for draft in (*left_behind, of_another):
        draft.write_text("half")
    home.create()
    home.forget_drafts()
    assert [draft.exists() for draft in left_behind] == [False, False]
    assert of_another.exists(), "its process lives and may still be writing"


def test_write_that_fails_leaves_the_old_content_and_no_draft(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = root / "port"
    write_private(file, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private(file, "new")
    assert [(entry.name, entry.read_text()) for entry in root.iterdir()] == [("port", "old")]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_what_is_wrong_with_the_folder_is_said_with_what_to_do(number: int, root: Path) -> None:
    text = Home(root).unusable(OSError(number, os.strerror(number), str(root / "port")))
    assert os.strerror(number) in text
    assert str(root / "port") in text
    assert "Make" in text or "AZUREML_LOCAL_HOME" in text


@pytest.mark.parametrize("missing", ["client_secret", "storage_key"])
def test_settings_that_lack_a_value_are_refused_and_kept(missing: str, root: Path) -> None:
    home = Home(root)
    home.create()
    values = json.loads(home.settings_file.read_text())
    del values[missing]
    home.settings_file.write_text(json.dumps(values))
    with pytest.raises(HomeError, match=missing):
        home.create()
    assert json.loads(home.settings_file.read_text()) == values


def test_folder_of_another_user_is_refused_and_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mode = root.stat().st_mode
    monkeypatch.setattr(os, "geteuid", lambda: root.stat().st_uid + 1)
    with pytest.raises(HomeError, match="belongs to another user"):
        Home(root).create()
    assert (root.stat().st_mode, list(root.iterdir())) == (mode, [])


def test_file_in_place_of_the_folder_is_refused(root: Path) -> None:
    (root / "file").touch()
    with pytest.raises(HomeError, match="is no folder"):
        Home(root / "file").create()


def test_link_to_a_folder_is_followed_also_when_it_is_deleted(root: Path) -> None:
    (root / "elsewhere").mkdir()
    (root / "link").symlink_to("elsewhere")
    home = Home(root / "link")
    home.create()
    assert home.root == root / "elsewhere"
    home.delete()
    assert not home.root.exists()
    Home(root / "link").create()
    assert home.settings_file.exists()


@pytest.mark.parametrize(
    ("content", "port"), [("8080", 8080), ("0", None), ("65536", None), ("-1", None), ("x", None), ("", None)]
)
def test_last_port_is_one_or_none(content: str, port: int | None, root: Path) -> None:
    home = Home(root)
    home.create()
    home.port_file.write_text(content)
    assert daemon._last_port(home) == port


def test_log_of_a_service_does_not_grow_without_end(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "LARGEST_LOG", 1000)
    home = Home(root)
    home.create()
    logger = logging.Logger("a test's own")
    logger.addHandler(daemon._log_handler(home.service_log))
    for number in range(500):
        logger.warning("line %d", number)
    sizes = {log.name: log.stat().st_size for log in home.logs.iterdir()}
    assert set(sizes) == {"service.log", "service.log.1", "service.log.2"}
    assert max(sizes.values()) <= 1000
    assert "line 499" in home.service_log.read_text()
