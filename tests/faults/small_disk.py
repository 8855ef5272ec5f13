"""A small disk of a test's own: a tmpfs that only one thread, and what it starts, can see.

Needs root with the right to mount (CAP_SYS_ADMIN) on Linux, and no tools: unshare(2) and mount(2) through libc.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
MS_REMOUNT, MS_RDONLY = 0x20, 0x1


def _checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def on_a_small_disk(folder: Path, mebibytes: int, scenario: Callable[[], None]) -> None:
    """Run ``scenario`` in a thread for which ``folder`` is a disk of this size. Raises PermissionError without root."""
    outcome: list[BaseException] = []

    def run() -> None:
        try:
            if sys.platform != "linux":
                raise PermissionError("only Linux has mount namespaces")
            libc = ctypes.CDLL(None, use_errno=True)
            _checked(libc.unshare(CLONE_NEWNS))
            _checked(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None))
            options = f"size={mebibytes}m,mode=700".encode()
            _checked(libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, options))
            scenario()
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if outcome:
        raise outcome[0]


def fill(file: Path, leave: int = 0) -> None:
    """Fill the disk of ``file`` but for ``leave`` bytes."""
    block = b"\0" * 4096
    with file.open("ab", buffering=0) as opened:
        free = os.statvfs(file).f_bavail * os.statvfs(file).f_frsize
        try:
            for _ in range((free - leave) // len(block) + (leave == 0)):
                opened.write(block)
        except OSError:
            assert leave == 0, "the disk was full too early"


def remount_read_only(folder: Path) -> None:
    """Make the disk at ``folder`` read-only; for a scenario of :func:`on_a_small_disk`."""
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc.mount(b"none", os.fsencode(folder), None, MS_REMOUNT | MS_RDONLY, None))
