"""What a learner costs a machine, as it was measured; what many of them do to one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parents[1] / "costs.yml"
KEYS = ("measured", "machine", "learners", "room", "lab", "processes", "lessons")


class CostsError(Exception):
    """The file of costs is not as it has to be."""


@dataclass(frozen=True)
class Lesson:
    """A lesson, by its path without the ending.

    Attributes:
        memory: of one learner at the highest moment, their JupyterLab apart, in bytes.
        cpu: the processor's seconds that one learner needs for all of it.
        disk: what it leaves in the learner's home, in bytes.
        minutes: how long one reads and works; of ``course.yml``.
    """

    path: str
    title: str
    memory: int
    cpu: float
    disk: int
    minutes: int

    def busy(self, learners: int, processors: float) -> float:
        """Return the share of the lesson for which learners who do it at the same time keep all processors busy."""
        return learners * self.cpu / (processors * self.minutes * 60)


@dataclass(frozen=True)
class Costs:
    """All that was measured; ``room`` and ``lab`` are bytes of memory, ``joining`` a processor's seconds."""

    measured: str
    machine: str
    room: int
    lab: int
    joining: float
    processes: int
    lessons: list[Lesson]

    def memory(self, lesson: Lesson, learners: int) -> int:
        """Return the memory that a room needs at the highest moment of a lesson, in bytes."""
        return self.room + learners * (self.lab + lesson.memory)


def read(notebooks: Path, file: Path = FILE) -> Costs:
    """Read the costs, and what the lessons are called and how long they are.

    Raises:
        CostsError: a key is missing, or a lesson is none of the course's; the message names it.
    """
    given = yaml.safe_load(file.read_text(encoding="utf-8"))
    course = yaml.safe_load((notebooks / "course.yml").read_text(encoding="utf-8"))
    known = {lesson["path"].removesuffix(".ipynb"): lesson for part in course["parts"] for lesson in part["lessons"]}
    if lacking := [key for key in KEYS if key not in given]:
        raise CostsError(f"{file.name} lacks {', '.join(lacking)}.")
    try:
        return Costs(
            measured=str(given["measured"]),
            machine=str(given["machine"]),
            room=_bytes(given["room"]["memory_mb"]),
            lab=_bytes(given["lab"]["memory_mb"]),
            joining=float(given["lab"]["cpu_s"]),
            processes=int(given["processes"]),
            lessons=[_lesson(path, cost, known[path]) for path, cost in given["lessons"].items()],
        )
    except KeyError as error:
        raise CostsError(f"{file.name} lacks {error}, or names a lesson that the course does not have.") from error


def _lesson(path: str, cost: dict[str, Any], known: dict[str, Any]) -> Lesson:
    return Lesson(
        path,
        known["title"],
        _bytes(cost["memory_mb"]),
        float(cost["cpu_s"]),
        _bytes(cost["disk_mb"]),
        int(known["minutes"]),
    )


def _bytes(megabytes: float) -> int:
    return int(megabytes * 1e6)
