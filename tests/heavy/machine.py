"""What the machine must have for a heavy test: installed where that may be done, else it is skipped and says why."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess

import pytest

MINUTES = 15  # what an installation may take
# Another apt at work is waited for; nothing asks a question.
INSTALL = ("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=600")


def program(name: str, package: str) -> str:
    """Return the path of a program, installed from Debian's ``package`` if it is not there.

    Skips the test where it is absent and cannot be installed: not as root, without apt, or if apt fails.
    """
    if found := shutil.which(name):
        return found
    lacks = f"{name} is not installed, and "
    if os.geteuid():
        pytest.skip(f"{lacks}only root may install {package}")
    if not shutil.which("apt-get"):
        pytest.skip(f"{lacks}without apt {package} cannot be")
    for command in (["apt-get", "update", "--quiet"], [*INSTALL, package]):
        ended = subprocess.run(
            command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            timeout=60 * MINUTES,
            check=False,
        )
        if ended.returncode:
            pytest.skip(f"{lacks}`{' '.join(command)}` fails: {ended.stderr.strip()[-500:]}")
    found = shutil.which(name)
    assert found, f"{package} is installed, but has no {name}"
    return found


def root(purpose: str) -> None:
    """Skip the test where it is not root's: ``purpose`` says what only root may do."""
    if os.geteuid():
        pytest.skip(f"only root may {purpose}")


def free_port() -> int:
    """Return a TCP port of loopback on which nothing listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])
