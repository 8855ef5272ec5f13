"""Control groups: how much memory, how many processes and what share of the processors one learner may have.

Version 2 where the machine has it, else version 1: https://docs.kernel.org/admin-guide/cgroup-v2.html and
https://docs.kernel.org/admin-guide/cgroup-v1/. All learners together are limited, too, so that the hub lives on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

MOUNTED = Path("/sys/fs/cgroup")
ROOM, TRIAL = "azureml-workshop", "trial"
ROOMS_SHARE = 0.9  # of the machine's memory; the rest is for the hub, the proxy and the system
CONTROLLERS = ("memory", "pids", "cpu")  # the last with its default: an equal share for each group
FILES = {  # of the limits, by version and controller
    1: {"memory": "memory.limit_in_bytes", "pids": "pids.max"},
    2: {"memory": "memory.max", "pids": "pids.max"},
}


@dataclass(frozen=True)
class Limits:
    """What a learner may have: bytes of memory, and processes (threads count, too)."""

    memory: int
    pids: int


@dataclass(frozen=True)
class Hierarchy:
    """A tree of control groups, and the controllers that rule in it."""

    root: Path
    version: int
    controllers: tuple[str, ...]

    def create(self, learner: str, limits: Limits) -> Path:
        """Make a learner's group, and set its limits. Raises OSError where this machine does not let root."""
        room = self.root / ROOM
        room.mkdir(exist_ok=True)
        self._hand_down(self.root)
        self._hand_down(room)
        self._limit(room, {"memory": int(psutil.virtual_memory().total * ROOMS_SHARE)})
        group = room / learner
        group.mkdir(exist_ok=True)
        self._limit(group, {"memory": limits.memory, "pids": limits.pids})
        return group

    def remove(self, learner: str) -> None:
        """Remove a learner's group, unless it is missing, or something in it has not quite ended: it is used again."""
        with contextlib.suppress(OSError):
            (self.root / ROOM / learner).rmdir()

    def _hand_down(self, group: Path) -> None:
        if self.version == 2:
            (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in self.controllers))

    def _limit(self, group: Path, values: Mapping[str, int]) -> None:
        for controller in values.keys() & set(self.controllers):
            (group / FILES[self.version][controller]).write_text(str(values[controller]))


def hierarchies(mounted: Path = MOUNTED) -> list[Hierarchy]:
    """Return this machine's trees: one for all controllers, or one for each; none where it has no control groups."""
    if (mounted / "cgroup.controllers").exists():
        return [Hierarchy(mounted, 2, CONTROLLERS)]
    return [Hierarchy(mounted / name, 1, (name,)) for name in CONTROLLERS if (mounted / name).is_dir()]


def create(learner: str, limits: Limits) -> list[Path]:
    """Make a learner's groups wherever this machine lets root, and return them: :func:`lacking` names the rest."""
    groups = []
    for hierarchy in hierarchies():
        with contextlib.suppress(OSError):
            groups.append(hierarchy.create(learner, limits))
    return groups


def remove(learner: str) -> None:
    """Remove a learner's groups, where nothing runs in them any more."""
    for hierarchy in hierarchies():
        hierarchy.remove(learner)


def lacking() -> list[str]:
    """Try each controller, and return the names of those that cannot be used here."""
    usable: set[str] = set()
    for hierarchy in hierarchies():
        with contextlib.suppress(OSError):
            hierarchy.create(TRIAL, Limits(memory=2**30, pids=100))
            hierarchy.remove(TRIAL)
            usable.update(hierarchy.controllers)
    return [name for name in CONTROLLERS if name not in usable]
