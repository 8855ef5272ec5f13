"""What the machine must have for a heavy test: installed where that may be done, else it is skipped and says why."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

# What engines, network namespaces and mounts take, see capabilities(7): a container of Docker's has neither of them.
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}
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
    """Skip the test where it is not root's, or root's in a container without privileges: ``purpose`` says for what."""
    if os.geteuid():
        pytest.skip(f"only root may {purpose}")
    if lacking := [name for name, bit in CAPABILITIES.items() if not effective_capabilities() >> bit & 1]:
        pytest.skip(f"root may not {purpose} here, without {' and '.join(lacking)}: a container needs --privileged")


def effective_capabilities() -> int:
    """This process's capabilities, see proc(5); none on a system without such."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)


def free_port() -> int:
    """Return a TCP port of loopback on which nothing listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])
