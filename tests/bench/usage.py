"""What learners' processes use, by kind: memory as the share of each in what is mapped (PSS), and processor time.

PSS divides a page that processes share by their number, so what it adds up to is what the machine really gives:
https://www.kernel.org/doc/html/latest/filesystems/proc.html (smaps_rollup). Linux only.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil

# A process is of the first kind whose word is in its command line. A guard's command line ends with what it guards.
KINDS = {
    "engines/guard.py": "guards",
    "fork_server": "fork servers",
    "ipykernel": "kernel",
    "workshop.server": "notebook server",
    "azureml_local.engines.compute.node": "nodes",
    "parallel": "parallel workers",
    "azurite": "storage",
    "gunicorn": "instances",
    "mlflow": "MLflow's server",
    "log_store": "log store",
    "azureml_local": "service",
}
OTHER = "other"
MIB = 2**20
PSS = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)


@dataclass
class Use:
    """What one kind of a learner's processes has used: MiB and how many at the peak, seconds of processors in all."""

    peak: float = 0.0
    most: int = 0
    cpu: float = 0.0


@dataclass
class Learner:
    """What one learner's processes have used: ``peak`` in MiB, of all of them at one moment; ``cpu`` in seconds.

    ``cpu`` also has what processes used that ended before anybody looked at them.
    """

    kinds: dict[str, Use] = field(default_factory=lambda: defaultdict(Use))
    cpu: float = 0.0
    peak: float = 0.0
    peak_kinds: Mapping[str, float] = field(default_factory=dict)


class Watch:
    """Looks at the processes of learners until it is left.

    Args:
        roots: returns, by learner, the processes from which all of theirs descend.
        seconds: between two looks. One walks the page tables of every process: it costs milliseconds of each.
    """

    def __init__(self, roots: Callable[[], Mapping[str, Iterable[int]]], seconds: float) -> None:
        self.learners: dict[str, Learner] = defaultdict(Learner)
        self.lowest_free = float("inf")  # MiB that the machine had left
        self._roots = roots
        self._seconds = seconds
        self._last: dict[tuple[str, str, int, float], float] = {}
        self._looks = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._is_over.set()
        self._thread.join()
        for (learner, kind_of_process, _, _), seconds in self._last.items():
            self.learners[learner].kinds[kind_of_process].cpu += seconds

    def look(self) -> None:
        """Look once, now."""
        with self._looks:
            self.lowest_free = min(self.lowest_free, psutil.virtual_memory().available / MIB)
            owners = {pid: learner for learner, pids in self._roots().items() for pid in pids}
            for learner, pids in _by_owner(owners, _parents()).items():
                self._look_at(learner, pids)

    def _watch(self) -> None:
        looked = 0.0
        while not self._is_over.wait(max(self._seconds, 9 * looked)):  # a tenth of one processor at most
            began = time.thread_time()
            self.look()
            looked = time.thread_time() - began

    def _look_at(self, learner: str, pids: Iterable[int]) -> None:
        memory: dict[str, float] = defaultdict(float)
        number: dict[str, int] = defaultdict(int)
        cpu = 0.0
        for pid in pids:
            with contextlib.suppress(psutil.Error, OSError):  # it has ended meanwhile
                process = psutil.Process(pid)
                with process.oneshot():
                    kind, times, began = kind_of(process.cmdline()), process.cpu_times(), process.create_time()
                own = times.user + times.system
                self._last[learner, kind, pid, began] = own
                cpu += own + times.children_user + times.children_system
                memory[kind] += pss(pid)
                number[kind] += 1
        known = self.learners[learner]
        known.cpu = max(known.cpu, cpu)
        self._keep(known, memory, number)

    @staticmethod
    def _keep(learner: Learner, memory: Mapping[str, float], number: Mapping[str, int]) -> None:
        for kind, used in memory.items():
            use = learner.kinds[kind]
            use.peak, use.most = max(use.peak, used), max(use.most, number[kind])
        if (total := sum(memory.values())) > learner.peak:
            learner.peak, learner.peak_kinds = total, dict(memory)


def kind_of(command: list[str]) -> str:
    """Return what kind of process a command line starts."""
    words = " ".join(command)
    return next((kind for word, kind in KINDS.items() if word in words), OTHER)


def pss(pid: int) -> float:
    """Return a process's share of memory in MiB. Raises OSError where it has ended."""
    found = PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
    return int(found[1]) / 1024 if found else 0.0


def _parents() -> dict[int, int]:
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
    return parents


def _by_owner(owners: Mapping[int, str], parents: Mapping[int, int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for pid in parents:
        ancestor: int | None = pid
        while ancestor and ancestor not in owners:
            ancestor = parents.get(ancestor)
        if ancestor:
            found[owners[ancestor]].append(pid)
    return found
