"""Locks on files (flock), which end with the processes that hold them, however those end."""

from __future__ import annotations

import fcntl
import threading
from typing import IO


def try_lock(file: IO[str], kind: int) -> bool:
    """Take a lock (``fcntl.LOCK_SH`` or ``LOCK_EX``) unless another holds it; return whether it was taken."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_within(seconds: float, file: IO[str], kind: int = fcntl.LOCK_EX) -> bool:
    """Wait for a lock, but not for ever: a wait that is given up ends with this process. Return whether it was taken.

    Raises OSError where the file cannot be locked at all.
    """
    failures: list[OSError] = []

    def wait() -> None:
        try:
            fcntl.flock(file, kind)
        except OSError as error:
            failures.append(error)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(seconds)
    if failures:
        raise failures[0]
    return not waiting.is_alive()
