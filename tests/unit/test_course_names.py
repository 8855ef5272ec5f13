"""Names are the same each time, another for everybody else, and in use by one process at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import helpers
from helpers import naming

CLIENT: Any = SimpleNamespace(subscription_id="00000000-0000-0000-0000-000000000000", workspace_name="workbook")
OTHER_CLIENT: Any = SimpleNamespace(subscription_id=CLIENT.subscription_id, workspace_name="another")
# Another kernel: it says whether it got the name, and then holds it until its input ends.
ANOTHER = """
import sys
from types import SimpleNamespace
import helpers
client = SimpleNamespace(subscription_id="00000000-0000-0000-0000-000000000000", workspace_name="workbook")
try:
    print(helpers.unique_name("digits", client, sys.argv[1]), flush=True)
except RuntimeError as error:
    print(error, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    yield
    for name in list(naming._reserved):
        naming.release(name)


class Another:
    """Another process that wants the name ``digits-<suffix>``."""

    def __init__(self, suffix: str) -> None:
        command = [sys.executable, "-c", ANOTHER, suffix]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def test_a_name_is_yours_and_stays() -> None:
    name = helpers.unique_name("digits", CLIENT)
    assert name == helpers.unique_name("digits", CLIENT)
    assert len(name) == len("digits-12345")
    others = {helpers.unique_name("tumour", CLIENT), helpers.unique_name("digits", OTHER_CLIENT)}
    assert name not in others
    assert helpers.unique_name("digits", CLIENT, "anna") == "digits-anna"


def test_a_second_process_is_refused_until_the_first_has_ended() -> None:
    """However it ended: a kernel that is killed takes no name with it."""
    first = Another("anna")
    assert first.said == "digits-anna"
    try:
        with pytest.raises(RuntimeError, match="digits-anna is in use: this lesson runs elsewhere on this machine"):
            helpers.unique_name("digits", CLIENT, "anna")
        assert helpers.unique_name("digits", CLIENT, "ben") == "digits-ben"
        assert helpers.unique_name("digits", OTHER_CLIENT, "anna") == "digits-anna"
        naming.release("digits-anna")
    finally:
        first.kill()
    assert helpers.unique_name("digits", CLIENT, "anna") == "digits-anna"


class Empty:
    """A workspace in which nothing is left; with ``left`` an endpoint is."""

    def __init__(self, *left: str) -> None:
        self.online_endpoints = SimpleNamespace(list=lambda: [SimpleNamespace(name=name) for name in left])
        self.models = SimpleNamespace(list=lambda: [])


def test_a_clean_lesson_gives_its_name_back() -> None:
    helpers.unique_name("digits", CLIENT, "anna")
    left: Any = Empty("digits-anna")
    assert helpers.leftovers(left, endpoints=["digits-anna"]) == ["endpoint digits-anna"]
    kept = Another("anna")
    assert "is in use" in kept.said
    kept.kill()
    clean: Any = Empty()
    assert helpers.leftovers(clean, endpoints=["digits-anna"], models=["digits-anna"]) == []
    given = Another("anna")
    assert given.said == "digits-anna"
    given.kill()


def test_where_nothing_can_be_reserved_the_lesson_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    monkeypatch.setattr(naming.platformdirs, "user_runtime_path", lambda *_, **__: in_the_way)
    assert helpers.unique_name("digits", CLIENT, "anna") == "digits-anna"
    assert "could not be reserved" in capsys.readouterr().err
