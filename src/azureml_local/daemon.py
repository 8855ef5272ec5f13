"""The service as a background process: started once, found again, ended.

The running service holds a lock on a file in its state folder for as long as it lives, so that a folder never has two,
and a crash leaves nothing that claims to be running.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import gc
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from azureml_local import __version__, client_environment
from azureml_local.home import Home, HomeError, open_private, write_private

STOP_WITHIN = 60.0  # seconds
LOCK_WITHIN = 1.0  # seconds; whoever looks whether a service runs holds its lock for a moment


class DaemonError(Exception):
    """The service cannot be started or stopped; the message says why and what to do."""


@dataclass(frozen=True)
class Running:
    """A running service: its process, its port on loopback, and since when (seconds since 1970)."""

    pid: int
    port: int
    started: float
    version: str


def find(home: Home) -> Running | None:
    """Return the service that runs in ``home``, or None."""
    if not home.lock_file.exists():
        return None
    with home.lock_file.open("r+") as lock:
        # A shared lock: two that look at once do not take each other for a service.
        if _try_lock(lock, fcntl.LOCK_SH):
            return None
    try:
        return Running(**json.loads(home.running_file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None  # it is starting


def start(home: Home, port: int | None = None) -> Running:
    """Start a service unless one runs, and return once it answers.

    Args:
        home: the state folder.
        port: the port to take; without it the last one, so that programs that know it go on, or else a free one.

    Raises:
        DaemonError: it did not start.
        HomeError: the state folder cannot be used.
    """
    home.create()
    with _one_at_a_time(home):
        running = find(home)
        if running:
            if port and port != running.port:
                raise DaemonError(f"The service runs already, on port {running.port}: stop it to change its port.")
            return running
        _spawn(home, port)
        running = find(home)
    if running is None:
        raise DaemonError(f"The service ended right after it started; see {home.logs / 'service.log'}.")
    return running


def stop(home: Home) -> bool:
    """End the service and wait for its end; return whether one ran. Raises DaemonError where it does not end."""
    running = find(home)
    if running is None:
        return False
    try:
        os.kill(running.pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    # Its lock is free as soon as it has ended, whereas its process may wait for whoever started it to take notice.
    with home.lock_file.open("r+") as lock:
        ended = _lock_within(STOP_WITHIN, lock)
    if not ended:
        raise DaemonError(f"The service (process {running.pid}) did not end within {STOP_WITHIN:g} s.")
    return True


def serve(home: Home, port: int | None, ready: int | None) -> int:
    """Run the service in this process until SIGTERM or SIGINT, and return an exit status.

    Args:
        home: the state folder.
        port: the port to take, or None.
        ready: a file descriptor that gets an empty message once the service answers, or else what went wrong.
    """
    if ready is not None:
        os.set_inheritable(ready, False)  # a child that kept it open would keep the waiting parent waiting
    os.umask(0o077)  # for every file that is made here, the engines' and the deployments' ones among them
    logging.basicConfig(
        level=os.environ.get("AZUREML_LOCAL_LOG_LEVEL", "INFO"),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        home.create()
        with home.lock_file.open("w") as lock:
            if not _lock_within(LOCK_WITHIN, lock):
                raise DaemonError(f"Another service runs in {home.root}.")
            _run(home, port, ready)
    except (DaemonError, HomeError) as error:
        _tell(ready, str(error))
        return 1
    return 0


def _run(home: Home, port: int | None, ready: int | None) -> None:
    import uvloop  # here and below: what only the service itself needs, and other commands need not load

    from azureml_local.arm.store import StoreError
    from azureml_local.engines.azurite import AzuriteError
    from azureml_local.service import Service

    async def live() -> None:
        last_port = _last_port(home)
        home.running_file.unlink(missing_ok=True)  # it tells of a service that has ended
        service = Service(home, home.settings(), client_environment.users_own_proxy(os.environ))
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        try:
            await _start_on_some_port(service, port, last_port)
            running = Running(os.getpid(), service.port, time.time(), __version__)
            write_private(home.port_file, str(service.port))
            write_private(home.running_file, json.dumps(asdict(running)))
            _tell(ready, "")
            # What lives now lives as long as the service: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            await ended.wait()
        finally:
            await service.stop()

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(live())
    except (AzuriteError, StoreError) as error:
        raise DaemonError(str(error)) from error


async def _start_on_some_port(service: object, asked: int | None, last: int | None) -> None:
    from azureml_local.service import Service

    assert isinstance(service, Service)  # noqa: S101 - narrows the type
    try:
        await service.start(asked or last or 0)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        if asked:
            raise DaemonError(
                f"Port {asked} is in use by another program. Leave out --port to take a free one."
            ) from error
        await service.start(0)


def _spawn(home: Home, port: int | None) -> None:
    """Start the background process and wait for its word."""
    command = [sys.executable, "-m", "azureml_local", "serve"]
    if port:
        command += ["--port", str(port)]
    reading, writing = os.pipe()
    with open_private(home.logs / "service.log") as log:
        subprocess.Popen(  # noqa: S603 - our own program
            [*command, "--ready", str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "AZUREML_LOCAL_HOME": str(home.root)},
            cwd=home.root,
            start_new_session=True,
            pass_fds=(writing,),
        )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        word = pipe.readline()
    if word != "\n":
        reason = word.strip() or f"The service ended before it answered; see {home.logs / 'service.log'}."
        raise DaemonError(reason)


def _tell(ready: int | None, message: str) -> None:
    if ready is None:
        sys.stderr.write(message + "\n" if message else "")
        return
    with os.fdopen(ready, "w") as pipe:
        pipe.write(message + "\n")


def _last_port(home: Home) -> int | None:
    try:
        return int(home.port_file.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _try_lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_within(seconds: float, file: IO[str]) -> bool:
    """Wait for a lock, but not for ever: a wait that is given up ends with this process."""
    waiting = threading.Thread(target=fcntl.flock, args=(file, fcntl.LOCK_EX), daemon=True)
    waiting.start()
    waiting.join(seconds)
    return not waiting.is_alive()


@contextmanager
def _one_at_a_time(home: Home) -> Iterator[None]:
    """Let one ``start`` of a folder follow the other."""
    path: Path = home.root / "start.lock"
    with open_private(path) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
