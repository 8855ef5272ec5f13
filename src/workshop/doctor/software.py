"""Checks of versions, and of limits of the kernel's that the defaults of a system may set too low for a room."""

from __future__ import annotations

import platform
import resource
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import node_packages
from azureml_local import doctor
from azureml_local.home import Home
from workshop import proxy
from workshop.doctor.findings import Finding, bad, good, worse
from workshop.doctor.room import Room

PACKAGES = ("jupyterhub", "jupyterlab", "segno")
FILES_A_LEARNER = 60  # of the proxy and the hub: a browser's connections, each with one behind it
FILES_OF_THE_MACHINE = 5_000  # a learner's, in all processes
INOTIFY = {"max_user_instances": 128, "max_user_watches": 8_192}  # for each user: the kernel's own defaults
SYSCTL = Path("/proc/sys")


def versions(room: Room) -> Iterator[Finding]:
    """Python and its packages, Azurite, the proxy."""
    lacking = [one for one in doctor.check(Home(room.folder.root / "none")) if one.remedy and one.what in _WHATS]
    for one in lacking:
        yield bad("software", f"{one.what}: {one.found}", one.remedy)
    if not lacking:
        yield good("software", f"Python {platform.python_version()}, and all that lessons need")
    yield from _of_the_room()


_WHATS = ("Python", "Azurite", *doctor.LIBRARIES, doctor.CLIENT)


def _of_the_room() -> Iterator[Finding]:
    try:
        found = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    except metadata.PackageNotFoundError as error:
        yield bad("hub", f"{error.name} is not installed", "make setup, or pip install '.[workshop]'")
    else:
        yield good("hub", found)
    if node_packages.is_installed(proxy.SOURCE, proxy.INSTALLED):
        yield good("proxy", "installed")
    else:
        yield worse("proxy", "not installed yet", "With a network now: python -m workshop install")


def kernel_limits(room: Room) -> Iterator[Finding]:
    """Open files, processes, watches of folders."""
    yield from _open_files(room)
    yield from _processes(room)
    low = {name: least for name, least in INOTIFY.items() if _sysctl(f"fs/inotify/{name}") < least}
    if low:
        settings = " ".join(f"fs.inotify.{name}={least}" for name, least in low.items())
        yield worse("watches", f"fewer of {', '.join(low)} than usual: logs may not be followed", f"sysctl {settings}")
    else:
        yield good("watches", f"{_sysctl('fs/inotify/max_user_watches')} of inotify's for each learner")


def _open_files(room: Room) -> Iterator[Finding]:
    mine, all_ = resource.getrlimit(resource.RLIMIT_NOFILE)[1], _sysctl("fs/file-max")
    needed = 1024 + room.learners * FILES_A_LEARNER
    if mine != resource.RLIM_INFINITY and mine < needed:
        yield worse("open files", f"{mine} for the hub, which may need {needed}", f"ulimit -n {needed}, before `start`")
    elif all_ < room.learners * FILES_OF_THE_MACHINE:
        yield worse(
            "open files", f"{all_} on this machine", f"sysctl fs.file-max={room.learners * FILES_OF_THE_MACHINE}"
        )
    else:
        yield good("open files", f"{mine if mine != resource.RLIM_INFINITY else 'no limit'} for the hub")


def _processes(room: Room) -> Iterator[Finding]:
    most = min(_sysctl("kernel/pid_max"), _sysctl("kernel/threads-max"))
    needed = room.learners * room.costs.processes
    if most < needed:
        yield bad("processes", f"{most} with threads; {room.learners} learners need {needed}",
                  f"sysctl kernel.pid_max={4 * needed} kernel.threads-max={4 * needed}")  # fmt: skip
    else:
        yield good("processes", f"{most} with threads; {room.learners} learners need {needed}")


def _sysctl(name: str) -> int:
    return int((SYSCTL / name).read_text())
