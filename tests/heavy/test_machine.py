"""What the other tests of this folder ask of the machine: found, or skipped with the reason."""

from __future__ import annotations

import shutil

import machine
import pytest


def test_what_is_there_is_not_installed() -> None:
    assert machine.program("sh", "no-such-package") == shutil.which("sh")


def test_what_cannot_be_installed_is_named() -> None:
    with pytest.raises(pytest.skip.Exception, match=r"no-such-program is not installed, and .*no-such-package"):
        machine.program("no-such-program", "no-such-package")


def test_root_without_privileges_is_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """The capabilities are those of a container of Docker's: https://docs.docker.com/engine/containers/run/."""
    monkeypatch.setattr(machine.os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine, "effective_capabilities", lambda: 0xA80425FB)
    with pytest.raises(pytest.skip.Exception, match=r"may not start it here, without CAP_NET_ADMIN and CAP_SYS_ADMIN"):
        machine.root("start it")


def test_these_tests_are_marked(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("heavy")
