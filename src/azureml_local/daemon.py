"""The service as a background process: started once, found again, ended.

The running service holds a lock on a file in its state folder for as long as it lives, so that a folder never has two,
and a crash leaves nothing that claims to be running.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import gc
import json
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

import psutil

from azureml_local import __version__, client_environment, clock, spark_master
from azureml_local.edge.listening import ListenError, Place
from azureml_local.home import Home, HomeError, open_private, write_private
from azureml_local.locks import lock_within, try_lock

STOP_WITHIN = 60.0  # seconds
LARGEST_LOG = 8 * 2**20  # bytes
FORMER_LOGS = 2
LOCK_WITHIN = 1.0  # seconds; whoever looks whether a service runs holds its lock for a moment


class DaemonError(Exception):
    """The service cannot be started or stopped; the message says why and what to do."""


@dataclass(frozen=True)
class Running:
    """A running service: its process, its port on loopback, and since when (seconds since 1970).

    ``listens_at`` is where it also listens beyond loopback, ``HOST:PORT``; empty where it does not.
    """

    pid: int
    port: int
    started: float
    version: str
    listens_at: str = ""


def find(home: Home) -> Running | None:
    """Return the service that runs in ``home``, or None."""
    if not home.lock_file.exists():
        return None
    with home.lock_file.open() as lock:
        # A shared lock: two that look at once do not take each other for a service.
        if try_lock(lock, fcntl.LOCK_SH):
            return None
    try:
        running = Running(**json.loads(home.running_file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None  # it is starting, or ending
    return running if psutil.pid_exists(running.pid) else None  # one that was killed, and another is starting


def start(home: Home, port: int | None = None, place: Place | None = None) -> Running:
    """Start a service unless one runs, and return once it answers.

    Args:
        home: the state folder.
        port: the port to take; without it the last one, so that programs that know it go on, or else a free one.
        place: where beyond loopback it is to listen, too; None for nowhere.

    Raises:
        DaemonError: it did not start.
        HomeError: the state folder cannot be used.
    """
    with _one_at_a_time(home, prepare=home.create):
        running = find(home)
        if running:
            if port and port != running.port:
                raise DaemonError(f"The service runs already, on port {running.port}: stop it to change its port.")
            if place and place.at(place.port or running.port) != running.listens_at:
                where = f"at {running.listens_at}, too" if running.listens_at else "on loopback only"
                raise DaemonError(f"The service runs already and listens {where}: stop it to have it listen elsewhere.")
            return running
        spawn(home, port, place)
        running = find(home)
    if running is None:
        raise DaemonError(f"The service ended right after it started; see {home.service_log}.")
    return running


def stop(home: Home) -> bool:
    """End the service and wait for its end; return whether one ran. Raises DaemonError where it does not end."""
    if not home.was_used():
        return False
    with _one_at_a_time(home):
        return _stop(home)


def reset(home: Home) -> None:
    """End the service and delete its state folder.

    Raises:
        DaemonError: the service does not end.
        HomeError: the folder holds something of another's.
    """
    if home.was_used():
        with _one_at_a_time(home):
            _stop(home)
            home.delete()
    else:
        home.delete()


def _stop(home: Home) -> bool:
    """End the service, also one that is just starting or ending, and wait for its end; return whether one ran."""
    if not home.lock_file.exists():
        return False
    told: Running | None = None
    deadline = time.monotonic() + STOP_WITHIN
    # Its lock is free as soon as it has ended, whereas its process may wait for whoever started it to take notice.
    with home.lock_file.open() as lock:
        while True:
            running = find(home)
            if running and told is None:
                told = running
                with contextlib.suppress(ProcessLookupError):  # it has just ended
                    os.kill(running.pid, signal.SIGTERM)
            if lock_within(LOCK_WITHIN, lock, fcntl.LOCK_SH):  # shared, as in find()
                return told is not None
            if time.monotonic() > deadline:
                who = f"The service (process {told.pid})" if told else "A service that was starting or ending"
                raise DaemonError(f"{who} did not end within {STOP_WITHIN:g} s.")


def serve(
    home: Home, port: int | None, ready: int | None, place: Place | None = None, lifeline: int | None = None
) -> int:
    """Run the service in this process until SIGTERM, SIGINT or the end of its lifeline, and return an exit status.

    Args:
        home: the state folder.
        port: the port to take, or None.
        ready: a file descriptor that gets an empty message once the service answers, or else what went wrong.
        place: where beyond loopback to listen, too, or None.
        lifeline: a file descriptor at whose end the service ends; its folder is deleted then. None where there is none.
    """
    starter = _Starter(ready)
    if lifeline is not None:
        os.set_inheritable(lifeline, False)
    os.umask(0o077)  # for every file that is made here, the engines' and the deployments' ones among them
    try:
        home.create()
        logging.basicConfig(
            level=os.environ.get("AZUREML_LOCAL_LOG_LEVEL", "INFO"),
            format="%(asctime)s %(levelname)s %(name)s: %(message)s",
            handlers=[_log_handler(home.service_log if ready is not None else None)],
        )
        with home.lock_file.open("w") as lock:
            _become_the_only_one(home, lock)
            home.forget_drafts()
            home.running_file.unlink(missing_ok=True)  # it tells of a service that has ended
            _run(home, port, place, starter, lifeline)
        if lifeline is not None:
            home.delete()
    except (DaemonError, HomeError) as error:
        starter.tell(str(error))
        return 1
    except OSError as error:
        logging.getLogger(__name__).exception("the service ends")
        starter.tell(home.unusable(error))
        return 1
    return 0


class _Starter:
    """Whoever started the service, and is told once how that went: an empty message, or what went wrong."""

    def __init__(self, ready: int | None) -> None:
        self._ready = ready
        self._is_told = False
        if ready is not None:
            os.set_inheritable(ready, False)  # a child that kept it open would keep the waiting parent waiting

    def tell(self, message: str) -> None:
        if self._is_told:
            return
        self._is_told = True
        if self._ready is None:
            sys.stderr.write(message + "\n" if message else "")
            return
        with os.fdopen(self._ready, "w") as pipe:
            pipe.write(message + "\n")


def _log_handler(file: Path | None) -> logging.Handler:
    """Return a handler for a file that is not let grow without end, or for standard error."""
    if file is None:
        return logging.StreamHandler()
    return RotatingFileHandler(file, maxBytes=LARGEST_LOG, backupCount=FORMER_LOGS)


def _become_the_only_one(home: Home, lock: IO[str]) -> None:
    """Take the folder's lock; a service that is just ending is waited for."""
    deadline = time.monotonic() + STOP_WITHIN
    while not lock_within(LOCK_WITHIN, lock):
        if find(home) or time.monotonic() > deadline:
            raise DaemonError(f"Another service runs in {home.root}.")


def _run(home: Home, port: int | None, place: Place | None, starter: _Starter, lifeline: int | None) -> None:
    import uvloop  # here and below: what only the service itself needs, and other commands need not load

    from azureml_local.engines.azurite import NEEDED_DISK, AzuriteError
    from azureml_local.engines.blobs import BlobError
    from azureml_local.http.errors import NO_SPACE, is_out_of_space
    from azureml_local.service import Service
    from azureml_local.store import StoreError

    _require_database(home)
    try:
        clock.real_seconds(1)
        spark_master.address()
    except ValueError as error:
        raise DaemonError(str(error)) from error

    async def live() -> None:
        last_port = _last_port(home)
        service = Service(home, home.settings(), client_environment.users_own_proxy(os.environ), place)
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        if lifeline is not None:  # nothing is ever written to it: it can be read once its other end is closed
            asyncio.get_running_loop().add_reader(lifeline, ended.set)
        try:
            await _start_on_some_port(service, port, last_port)
            running = Running(os.getpid(), service.port, time.time(), __version__, service.listens_at)
            write_private(home.port_file, str(service.port))
            write_private(home.running_file, json.dumps(asdict(running)))
            starter.tell("")
            # What lives now lives as long as the service: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            await ended.wait()
        finally:
            if lifeline is not None:  # which would be read again and again
                asyncio.get_running_loop().remove_reader(lifeline)
            try:
                home.running_file.unlink(missing_ok=True)  # from now on a start waits for the end
            finally:
                await service.stop()

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(live())
    except (AzuriteError, StoreError, ListenError) as error:
        raise DaemonError(str(error)) from error
    except (sqlite3.OperationalError, BlobError) as error:
        if is_out_of_space(error) or shutil.disk_usage(home.root).free < NEEDED_DISK:
            raise DaemonError(NO_SPACE) from error
        raise


async def _start_on_some_port(service: object, asked: int | None, last: int | None) -> None:
    from azureml_local.service import Service

    assert isinstance(service, Service)  # noqa: S101 - narrows the type
    try:
        await service.start(asked or last or 0)
    except OSError as error:
        if error.errno == errno.EACCES and asked:
            raise DaemonError(f"Port {asked} may not be taken by you. Leave out --port to take a free one.") from error
        if error.errno != errno.EADDRINUSE:
            raise
        if asked:
            raise DaemonError(
                f"Port {asked} is in use by another program. Leave out --port to take a free one."
            ) from error
        await service.start(0)


def spawn(
    home: Home, port: int | None = None, place: Place | None = None, lifeline: int | None = None
) -> subprocess.Popen[bytes]:
    """Start the background process and return once it answers.

    Args:
        home: the state folder, in which no service runs.
        port: the port to take; without it the last one, or a free one.
        place: where beyond loopback it is to listen, too; None for nowhere.
        lifeline: the reading end of a pipe. When nobody holds the other end any more, the service ends and deletes its
            folder. None for a service that is stopped in another way.

    Raises:
        DaemonError: it did not start.
    """
    command = [sys.executable, "-m", "azureml_local", "serve"]
    if port:
        command += ["--port", str(port)]
    if place:
        command += ["--listen", place.at(place.port) if place.port else place.address]
    if lifeline is not None:
        command += ["--lifeline", str(lifeline)]
    reading, writing = os.pipe()
    with open_private(home.service_log) as log:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [*command, "--ready", str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "AZUREML_LOCAL_HOME": str(home.root)},
            cwd=home.root,
            start_new_session=True,
            pass_fds=(writing,) if lifeline is None else (writing, lifeline),
        )
    os.close(writing)
    with os.fdopen(reading) as pipe:
        word = pipe.readline()
    if word != "\n":
        reason = word.strip() or f"The service ended before it answered; see {home.service_log}."
        raise DaemonError(reason)
    return process


def _last_port(home: Home) -> int | None:
    try:
        port = int(home.port_file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return port if 0 < port < 65536 else None


def _require_database(home: Home) -> None:
    """Raise DaemonError where a service has run whose database is gone: a new, empty one would seem to be its."""
    has_run = home.port_file.exists()
    if has_run and not (home.database.exists() and home.database.stat().st_size):
        raise DaemonError(
            f"{home.database} is {'empty' if home.database.exists() else 'gone'}. Put a copy of it back, or begin anew "
            "with azureml-local reset, which deletes everything."
        )


@contextmanager
def _one_at_a_time(home: Home, prepare: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Let one ``start``, ``stop`` or ``reset`` of a folder follow the other."""
    while True:
        prepare()
        with open_private(home.start_lock) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_still(home.start_lock, lock):
                yield
                return


def _is_still(path: Path, file: IO[bytes]) -> bool:
    """Say whether an open file is still the one at ``path``: a ``reset`` deletes it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
