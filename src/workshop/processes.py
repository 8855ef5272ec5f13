"""Processes that are not our children: whether one is still the same, and waiting for its end without looking again."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

ZOMBIE = "Z"


def born(pid: int) -> int | None:
    """Return when a process began, in clock ticks since the machine did; None where there is none, or it has ended.

    A number and this together name one process: the kernel gives the number of one that has ended to another.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == ZOMBIE else int(fields[19])


def children(pid: int) -> list[int]:
    """Return the children of a process that has one thread; none where it has ended."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


async def has_ended(pid: int, within: float) -> bool:
    """Wait for a process's end, at most ``within`` seconds, and say whether it came."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    loop.add_reader(descriptor, end.set)
    try:
        await asyncio.wait_for(end.wait(), within)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return True
