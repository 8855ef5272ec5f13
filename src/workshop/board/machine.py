"""What the machine has left, and how much of it each learner takes. There are no events for that: it is looked at."""

from __future__ import annotations

import os
import pwd
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Load:
    """How busy the machine is: processors in per cent, memory and the workshop's disk in bytes."""

    cpu_percent: float
    cpus: int
    memory_used: int
    memory: int
    disk_used: int
    disk: int


def load(folder: Path) -> Load:
    """Return the machine's load; that of its processors since the last call."""
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(folder)
    used = memory.total - memory.available
    return Load(psutil.cpu_percent(), os.cpu_count() or 1, used, memory.total, disk.used, disk.total)


def processes_by_user() -> dict[str, list[psutil.Process]]:
    """Return the running processes of each user of this machine."""
    found = defaultdict(list)
    for process in psutil.process_iter(["uids"]):
        if process.info["uids"] is not None:
            found[process.info["uids"].real].append(process)
    return {pwd.getpwuid(uid).pw_name: processes for uid, processes in found.items() if _is_known(uid)}


def _is_known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False  # of a container, say
    return True


def memory(processes: list[psutil.Process]) -> int:
    """Return the bytes that processes have in memory; what some share counts once (the kernel's PSS)."""
    return sum(map(_proportional, processes))


def _proportional(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0  # it has ended, or is not ours to look at


def disk_percent(home: Path) -> float | None:
    """Return how full a learner's disk is; None where the home is not a disk of its own, or not there."""
    try:
        if home.stat().st_dev == home.parent.stat().st_dev:
            return None
        usage = shutil.disk_usage(home)
    except OSError:
        return None
    return 100 * usage.used / (usage.used + usage.free) if usage.total else None
