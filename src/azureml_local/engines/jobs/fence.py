"""One attempt at a job at a time: the next begins when nothing of the former runs any more, however that ended.

A node holds a shared lock on the job's file of attempts (flock, which ends with the process) from before it starts
anything until nothing of its part is left. The service takes the lock alone, and writes down there which attempt may
enter next. Processes that outlived their node are found by a variable of their environment, as build servers find
theirs: it names the attempt's folder, and children inherit it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import threading
from pathlib import Path
from typing import IO

import psutil

from azureml_local.locks import try_lock

# Azure's name for the folder that a job's command starts in.
MARK = "AZUREML_CR_EXECUTION_WORKING_DIR_PATH"
ATTEMPTS = "attempts"
LOOK_AGAIN_AFTER = 0.01  # seconds: a killed process takes a moment to end


class StaleAttemptError(Exception):
    """A later attempt has begun, or is about to."""


def enter(folder: Path, number: int) -> IO[str]:
    """Return a file whose lock is held until it is closed. For nodes.

    Raises:
        StaleAttemptError: the attempt is not the one that may run.
    """
    file = (folder / ATTEMPTS).open("r")
    if try_lock(file, fcntl.LOCK_SH) and file.read() == str(number):
        return file
    file.close()
    raise StaleAttemptError(f"Attempt {number} is over.")


async def next_attempt(folder: Path) -> int:
    """End what is left of former attempts at a job, and return the number of the one that may run now."""
    if (folder / ATTEMPTS).exists():
        await end_processes(folder)  # so that a node need not wait for them
    with await _locked(folder / ATTEMPTS) as file:
        number = int(file.read() or "0") + 1
        file.truncate(0)
        file.write(str(number))
        file.flush()
        if number > 1:
            await end_processes(folder)
    return number


async def end_processes(folder: Path) -> None:
    """Kill every process whose attempt's folder is ``folder`` or lies in it, and what they start meanwhile."""
    while await asyncio.to_thread(_kill_processes, folder):  # noqa: ASYNC110 - nobody says when another's child ends
        await asyncio.sleep(LOOK_AGAIN_AFTER)


def _kill_processes(folder: Path) -> bool:
    """Kill what is found, and say whether there was any."""
    was_found = False
    for process in psutil.process_iter():
        try:
            if Path(process.environ().get(MARK, "")).is_relative_to(folder):
                process.kill()
                was_found = True
        except (psutil.Error, OSError):
            continue  # it has ended, or is another user's
    return was_found


async def _locked(path: Path) -> IO[str]:
    """Return a file, made where it is missing, once nobody else has a lock on it."""
    loop = asyncio.get_running_loop()
    locked: asyncio.Future[IO[str]] = loop.create_future()
    file = path.open("a+")
    file.seek(0)

    def hand_over() -> None:
        if locked.cancelled():
            file.close()
        else:
            locked.set_result(file)

    def wait() -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
        with contextlib.suppress(RuntimeError):  # the service has ended meanwhile
            loop.call_soon_threadsafe(hand_over)

    # Not one of the loop's own threads: the service's end would wait for it.
    threading.Thread(target=wait, daemon=True).start()
    return await locked
