"""Checks of the machine's size: memory, processors, disk, clock."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from workshop import disks
from workshop.doctor.findings import Finding, bad, good, worse
from workshop.doctor.room import Room, gigabytes

# https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/admin-guide/cgroup-v1/
MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
QUOTA = Path("/sys/fs/cgroup/cpu.max")
COMFORTABLE = 0.5  # of a lesson's time; with more, cells wait for processors as long as they compute
JOINED_WITHIN = 60.0  # seconds; who waits longer for their lab asks what is wrong
TRAINER = 1  # who has a lab, too
INODES = 20_000  # of a learner without a disk of their own: the copy, environments, the service's state
SPARE = 0.2  # of the memory that is needed
TIME_ERROR = 5  # what adjtimex(2) returns while the clock is not synchronised
IN_MEMORY = ("tmpfs", "ramfs")
OF_ANOTHER_MACHINE = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")


def system(_: Room) -> Iterator[Finding]:
    """Namespaces and control groups are Linux's."""
    if sys.platform == "linux":
        release = os.uname().release
        yield good("system", f"Linux {release}")
    else:
        yield bad(
            "system", f"{sys.platform}; each learner is a Linux user",
            "Take a Linux machine, a virtual one for instance, or the image (docs/workshop-kubernetes.md).",
        )  # fmt: skip


def memory(room: Room) -> Iterator[Finding]:
    """What is free has to carry all learners at the hungriest moment of a lesson."""
    free = _free_memory()
    lessons = sorted(room.costs.lessons, key=lambda lesson: lesson.memory)
    typical, worst = lessons[len(lessons) // 2], lessons[-1]
    needed, most = (room.costs.memory(lesson, room.learners) for lesson in (typical, worst))
    found = f"{gigabytes(free)} are free; {room.learners} learners need {gigabytes(needed)}"
    at_most = f", and up to {gigabytes(most)} in “{worst.title}”" if most > needed else ""
    carried = max(0, int((free - room.costs.room) / (1 + SPARE) / (room.costs.lab + typical.memory)))
    if free < needed:
        yield bad("memory", found, f"This machine carries {carried}: take one with more memory, or more machines.")
    elif free < most * (1 + SPARE):
        yield worse(
            "memory", f"{found}{at_most}",
            f"Do not let all do {_titles(room, free)} at once; or close other programs, or take more memory.",
        )  # fmt: skip
    else:
        yield good("memory", f"{found}{at_most}")
    yield from _swap(free < most * (1 + SPARE))


def _titles(room: Room, free: float) -> str:
    tight = [lesson for lesson in room.costs.lessons if room.costs.memory(lesson, room.learners) * (1 + SPARE) > free]
    return ", ".join(f"“{lesson.title}”" for lesson in tight)


def _free_memory() -> float:
    """Return what is free, which in a container may be less than the machine has."""
    free = float(psutil.virtual_memory().available)
    for name in MEMORY_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # not there, or "max"
            free = min(free, float(Path(name).read_text()))
    return free


def _swap(tight: bool) -> Iterator[Finding]:
    total = psutil.swap_memory().total
    if total or not tight:
        yield good("swap", gigabytes(total) if total else "none; nor is it needed")
    else:
        yield worse(
            "swap", "none: a learner whose memory runs out loses a kernel",
            "fallocate -l 8G /swapfile && chmod 600 /swapfile && mkswap /swapfile && swapon /swapfile",
        )  # fmt: skip


def processors(room: Room) -> Iterator[Finding]:
    """What will be slow, lesson by lesson, when all do the same at once."""
    number = _processors()
    slow = [lesson for lesson in room.costs.lessons if lesson.busy(room.learners, number) > COMFORTABLE]
    if not slow:
        yield good("processors", f"{number:g}: enough for {room.learners} learners in each lesson that was measured")
    for lesson in slow:
        busy = lesson.busy(room.learners, number) * lesson.minutes
        enough = math.ceil(room.learners * lesson.cpu / (COMFORTABLE * lesson.minutes * 60))
        yield worse(
            "slow",
            f"“{lesson.title}”, done by all at once, keeps {number:g} processors busy for {busy:.0f} of its "
            f"{lesson.minutes} minutes: cells take several times as long",
            f"Have {enough} processors, or let half of the room begin {lesson.minutes // 2} minutes later.",
        )
    yield from _joining(room, number)
    yield from _load(number)


def _joining(room: Room, number: float) -> Iterator[Finding]:
    seconds = room.learners * room.costs.joining / number
    if seconds > JOINED_WITHIN:
        yield worse(
            "joining", f"if all join at the same moment, the last waits about {seconds:.0f} s for their lab",
            "Let them join while they arrive, or start all labs from the board before.",
        )  # fmt: skip
    else:
        yield good("joining", f"the last of {room.learners} who join at once waits about {seconds:.0f} s")


def _load(number: float) -> Iterator[Finding]:
    load = os.getloadavg()[0]
    if load > number / 2:
        yield worse("load", f"{load:.1f} processes want a processor now, without a learner", "`top` shows what runs.")
    else:
        yield good("load", f"{load:.1f} of {number:g} processors in use")


def _processors() -> float:
    number = float(len(os.sched_getaffinity(0)))
    with contextlib.suppress(OSError, ValueError):  # version 1, or "max", which is no number
        quota, period = QUOTA.read_text().split()
        number = min(number, float(quota) / float(period))
    return number


def disk(room: Room) -> Iterator[Finding]:
    """Each learner's disk takes its room when it is made, so all of them have to fit."""
    each = room.settings.disk * 2**30
    usage = psutil.disk_usage(str(room.place))
    there = len(list(room.folder.disks.glob("*")))
    needed = max(room.learners + TRAINER - there, 0) * each + disks.LEFT_FREE
    found = f"{gigabytes(usage.free)} are free in {room.place}; {room.learners} learners need {gigabytes(needed)}"
    if usage.free < needed:
        yield bad("disk", found, "Make room, name a folder on a larger disk (--folder), or give each less (--disk).")
    else:
        yield good("disk", f"{found} ({gigabytes(each)} each)")
    yield from _file_system(room)


def _file_system(room: Room) -> Iterator[Finding]:
    mounted = [part for part in psutil.disk_partitions(all=True) if room.place.is_relative_to(part.mountpoint)]
    kind = max(mounted, key=lambda part: len(part.mountpoint)).fstype if mounted else "unknown"
    inodes = os.statvfs(room.place).f_favail
    if kind in IN_MEMORY:
        yield worse("file system", f"{kind}: all is gone when the machine ends", "Name another with --folder.")
    elif kind in OF_ANOTHER_MACHINE:
        yield worse("file system", f"{kind}: databases on it are slow or break", "Name a local one with --folder.")
    elif inodes and inodes < room.learners * INODES:
        yield bad("file system", f"{kind}, with room for {inodes} files only", "Name another with --folder.")
    else:
        yield good("file system", f"{kind}, {room.place}")


def clock(room: Room) -> Iterator[Finding]:
    """Certificates and tokens are valid from now on: a clock that is late or early makes browsers refuse."""
    newest = (Path(room.settings.workbook) / "notebooks" / "course.yml").stat().st_mtime
    now = time.strftime("%Y-%m-%d %H:%M %Z")
    if time.time() < newest:
        yield bad("clock", f"{now}, which is before the workbook was made", "date --set, or start a time service.")
    elif ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)) == TIME_ERROR:
        yield worse("clock", f"{now}, and no time service keeps it", "Compare it with your watch; install chrony.")
    else:
        yield good("clock", now)
