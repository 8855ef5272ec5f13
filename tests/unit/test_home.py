"""azureml_local.home and .daemon: a state folder is the service's alone, and a service is found only where one runs.

flock(2): shared locks do not exclude one another.
"""

import fcntl
import json
import os
from pathlib import Path

import pytest

from azureml_local import daemon, doctor
from azureml_local.home import Home, HomeError


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


def test_doctor_names_a_folder_that_is_open_to_others(root: Path) -> None:
    home = Home(root)
    home.create()
    root.chmod(0o755)
    (finding,) = (finding for finding in doctor.check(home) if finding.what == "state folder")
    assert finding.remedy == f"chmod 700 {root}"
