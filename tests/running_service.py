"""A service under test, started and ended through the real command line, and nothing of it left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

from azureml_local import client_environment, daemon
from azureml_local.home import Home, Settings

COMMAND_SECONDS = 120
# Between two looks at what is waited for: the service under test needs the processor as well.
PAUSES = 0.02, 0.2  # seconds, shortest and longest
SHARE_OF_WAIT = 0.04
Result = TypeVar("Result")
# What would lead a client, or a service under test, anywhere else than the test means it to.
FOREIGN = ("PROXY", "CA_BUNDLE", "SSL_CERT", "AZURE", "IDENTITY_", "MSI_", "NODE_")


def wait_for(condition: Callable[[], Result], what: str = "the condition", timeout: float = 120) -> Result:
    """Return the first true value of ``condition``; ``timeout`` is in seconds."""
    began = time.monotonic()
    shortest, longest = PAUSES
    while not (value := condition()):
        waited = time.monotonic() - began
        assert waited < timeout, f"not within {timeout:g} s: {what}"
        time.sleep(min(max(shortest, SHARE_OF_WAIT * waited), longest))
    return value


def clean_environment() -> dict[str, str]:
    """Return this process's environment without any setting of a proxy, of certificates or of Azure."""
    return {name: value for name, value in os.environ.items() if not any(mark in name.upper() for mark in FOREIGN)}


def command_line(
    root: Path | str, *arguments: str, environment: Mapping[str, str] | None = None, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``azureml-local`` on a state folder as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "azureml_local", *arguments],
        env={**(clean_environment() if environment is None else environment), "AZUREML_LOCAL_HOME": str(root)},
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all that descend from it."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def command_of(process: psutil.Process) -> str:
    """Return a process's command line; nothing where it has ended meanwhile."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def survivors(processes: list[psutil.Process], timeout: float = 20) -> list[str]:
    """Wait for the processes' end, and describe those that live on."""
    _, alive = psutil.wait_procs(processes, timeout=timeout)
    return [repr(process) for process in alive]


def users_of(root: Path) -> list[str]:
    """Describe the processes whose command line names the state folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and any(str(root) in word for word in process.cmdline()):
                found.append(repr(process))
        except psutil.Error:
            continue
    return found


@dataclass(frozen=True)
class RunningService:
    """A running service: its state folder, settings, port, process, and its clients' environment."""

    home: Home
    settings: Settings
    port: int
    pid: int
    environment: Mapping[str, str]


def start_service(root: Path, variables: Mapping[str, str] | None = None, *options: str) -> RunningService:
    """Start a service in ``root`` through the command line, with further environment variables and options."""
    finished = command_line(root, "start", *options, environment={**clean_environment(), **(variables or {})})
    assert finished.returncode == 0, finished.stderr
    home = Home(root)
    running = daemon.find(home)
    assert running is not None
    settings = home.settings()
    environment = client_environment.complete(settings, running.port, home, base={})
    return RunningService(home, settings, running.port, running.pid, environment)
