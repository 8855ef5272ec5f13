"""A room without a network: the workbook is set up from a wheelhouse and its lessons pass, where no network is.

A network namespace of its own has loopback, and nothing else.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import wheelhouses
from machine import program, root

from running_service import clean_environment

MINUTES = 30
# Each is of an agenda, and together they do most of what could ask for a network: build an environment, install a
# package in a step, start each engine.
LESSONS = ("01_score_your_first_model", "01_deploy_with_keys", "06_deployment_clinic", "03_run_and_obtain_outputs")


class Room:
    """A machine in the room, with nothing of what this one has cached or been told about package indexes."""

    def __init__(self, folder: Path, workbook: Path) -> None:
        self.workbook = workbook
        self._unshare = [program("unshare", "util-linux"), "--net"]
        self._ip = program("ip", "iproute2")
        kept = {name: value for name, value in clean_environment().items() if not name.startswith(("PIP_", "UV_"))}
        own = {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", "npm_config_cache": str(folder / "npm")}
        own |= {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "AZUREML_LOCAL_HOME": str(folder / "aml")}
        self._environment = {**kept, **own}
        self._environment.pop("PYTHONPATH", None)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the workbook's folder, where the only network is loopback."""
        return subprocess.run(
            [*self._unshare, "sh", "-c", f'"{self._ip}" link set lo up && exec "$@"', "sh", *command],
            cwd=self.workbook,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60 * MINUTES,
            check=False,
        )


@pytest.fixture(scope="module")
def room(wheelhouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Room:
    root("make a network namespace")
    folder = tmp_path_factory.mktemp("room")
    room = Room(folder, wheelhouses.unpack(wheelhouse, folder))
    made = room.run("make", "setup", f"WHEELHOUSE={wheelhouse}")
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]
    return room


def test_there_is_no_network(room: Room) -> None:
    asked = room.run("python3", "-c", "import socket; socket.create_connection(('192.0.2.1', 443), 5)")
    assert "Network is unreachable" in asked.stderr


def test_all_is_installed(room: Room) -> None:
    judged = room.run(".venv/bin/azureml-local", "doctor")
    assert judged.returncode == 0, judged.stdout
    proxy = room.run(".venv/bin/python", "-m", "workshop", "install")
    assert (proxy.returncode, proxy.stdout) == (0, "")  # it is there: nothing is said, and nothing asked for


def test_lessons_pass(room: Room) -> None:
    ran = room.run(".venv/bin/python", "-m", "course.run", "--jobs", "1", *LESSONS)
    room.run("make", "stop")
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]


def test_no_file_names_where_the_packages_came_from(wheelhouse: Path) -> None:
    for path in wheelhouse.iterdir():
        if path.suffix in (".json", ".md") or path.name == "SHA256SUMS":
            assert "://" not in path.read_text(encoding="utf-8"), path.name


def _installed(room: Room, command: Sequence[str]) -> str:
    return room.run(*command).stdout


def test_what_is_installed_is_what_is_pinned(room: Room) -> None:
    constraints = (room.workbook / "constraints.txt").read_text(encoding="utf-8")
    pinned = {line for line in constraints.splitlines() if "==" in line}
    listed = _installed(room, [".venv/bin/uv", "pip", "list", "--format", "freeze", "--python", ".venv/bin/python"])
    found = {line.lower().replace("_", "-") for line in listed.splitlines()}
    assert len(found) > 250
    assert [
        pin for pin in pinned if pin.partition("+")[0].lower() not in {one.partition("+")[0] for one in found}
    ] == []
