"""A program that goes on in the background, found again by a lock that it holds for as long as it lives.

The lock comes with the process, however that ends: no file is left that claims that something runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from azureml_local.home import open_private
from azureml_local.locks import lock_within, try_lock

LOOK_AGAIN = 0.1  # seconds; neither JupyterHub nor its proxy tells when it is ready


class BackgroundError(Exception):
    """It did not start, or does not end; the message says what to do."""


class Background:
    """One program.

    Args:
        name: what a trainer calls it.
        lock: the file that it holds locked; its process's number stands in it.
        log: where its output goes, appended.
    """

    def __init__(self, name: str, lock: Path, log: Path) -> None:
        self.name, self.log = name, log
        self._lock = lock

    def pid(self) -> int | None:
        """Return its process's number; None where it does not run."""
        if not self._lock.exists():
            return None
        with self._lock.open() as lock:
            if try_lock(lock, fcntl.LOCK_SH):
                return None
            return int(lock.read() or 0) or None

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], is_ready: Callable[[], bool], within: float
    ) -> None:
        """Start it, and return once it is ready.

        Raises:
            BackgroundError: it ended instead, or was not ready within that many seconds.
        """
        with self._lock.open("a+") as lock, open_private(self.log) as log:
            if not try_lock(lock, fcntl.LOCK_EX):
                raise BackgroundError(f"The {self.name} runs already.")
            process = subprocess.Popen(  # noqa: S603 - a command of ours
                command,
                env=dict(environment),
                cwd=self._lock.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
            lock.truncate(0)
            lock.write(str(process.pid))
        self._wait(process, is_ready, within)

    def _wait(self, process: subprocess.Popen[bytes], is_ready: Callable[[], bool], within: float) -> None:
        until = time.monotonic() + within
        while not is_ready():
            if process.poll() is not None:
                raise BackgroundError(f"The {self.name} ended right after its start; {self.log} says why.")
            if time.monotonic() > until:
                process.kill()
                raise BackgroundError(f"The {self.name} was not ready within {within:g} s; {self.log} says more.")
            time.sleep(LOOK_AGAIN)

    def stop(self, within: float) -> bool:
        """End it, and wait for its end; return whether it ran.

        Raises:
            BackgroundError: it does not end, not even when killed.
        """
        pid = self.pid()
        if pid is None:
            return False
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
            if self.has_ended_within(within):
                return True
        raise BackgroundError(f"The {self.name} (process {pid}) does not end.")

    def has_ended_within(self, seconds: float) -> bool:
        """Wait for its end, and say whether it came."""
        if not self._lock.exists():
            return True
        with self._lock.open() as lock:
            return lock_within(seconds, lock, fcntl.LOCK_SH)
