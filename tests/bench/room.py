"""A room of learners on this machine: all run the same lesson at once, each with a kernel and a service of their own.

``PYTHONPATH=src:tests/workshop python tests/bench/room.py --learners 20 --workshop`` says whether all succeeded, how
long calls of the control plane took, and what a learner's processes used, by kind. Linux only: memory is read from
/proc. Every learner's folder is new, as on the morning of a workshop.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import pwd
import re
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, quantiles
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from usage import Learner, Watch

from azureml_local import daemon
from azureml_local.home import Home
from course.processors import SIDE_BY_SIDE

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CALL_LOG = Path(__file__).with_name("call_log.py")
CONTROL_PLANE = "management.azure.com"
# Asked how an operation stands, the service answers once it has ended, or after a second: that is no latency.
WAITING, ALL = "held until it ends", "all others"
HELD = re.compile(r"/(mfeOperations|computeOperations)(Status|Results)/")
CELL_WITHIN = 900  # seconds
SLOWEST_P95 = 250  # milliseconds of a call of the control plane
MOST_MEMORY = 700  # MB of a learner
MB_A_MIB = 2**20 / 1e6
BLOCK = 512  # bytes, of stat's st_blocks


@dataclass(frozen=True)
class Call:
    """A call that left a kernel: to which host, how it was answered, after how many milliseconds."""

    at: float
    method: str
    host: str
    path: str
    status: int
    milliseconds: float


@dataclass
class Seat:
    """One learner, and what became of them."""

    name: str
    seconds: float = 0.0
    error: str | None = None
    disk: float = 0.0  # MB that are left of the lesson
    calls: list[Call] = field(default_factory=list)

    def roots(self) -> Iterable[int]:
        """Return the processes from which all of this learner's descend."""
        raise NotImplementedError

    async def work_through(self, lesson: Path, watch: Watch) -> None:
        """Run every cell of a lesson; what failed is noted."""
        raise NotImplementedError

    def leave(self) -> None:
        """End what still runs."""


@dataclass
class PlainSeat(Seat):
    """A learner without a workshop's hub: a kernel and a service of this process's user."""

    folder: Path = Path()
    kernel: AsyncKernelManager | None = None

    @property
    def home(self) -> Home:
        """The state folder of this learner's service."""
        return Home(self.folder / "home")

    def environment(self) -> dict[str, str]:
        """Return what this learner's kernel finds in its environment."""
        startup = self.folder / "ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        shutil.copy(CALL_LOG, startup / "00-call-log.py")
        return {
            **SIDE_BY_SIDE,
            **os.environ,
            "AZUREML_LOCAL_HOME": str(self.home.root),
            "AZUREML_WORKBOOK_PROGRESS": str(self.folder / "progress.db"),
            "AZUREML_LOCAL_CLOCK_FACTOR": "60",
            "IPYTHONDIR": str(self.folder / "ipython"),
            "CALL_LOG": str(self.folder / "calls"),
        }

    def roots(self) -> Iterable[int]:
        kernel = getattr(self.kernel and self.kernel.provisioner, "pid", None)
        service = daemon.find(self.home)
        return [pid for pid in (kernel, service and service.pid) if pid]

    async def work_through(self, lesson: Path, watch: Watch) -> None:
        notebook = nbformat.read(lesson, as_version=4)
        self.kernel = AsyncKernelManager(transport="ipc", ip=str(self.folder / "kernel"), kernel_name="python3")
        client = NotebookClient(notebook, km=self.kernel, timeout=CELL_WITHIN, startup_timeout=CELL_WITHIN)
        client.resources = {"metadata": {"path": str(lesson.parent)}}
        began = time.perf_counter()
        async with client.async_setup_kernel(env=self.environment()):
            try:
                for number, cell in enumerate(notebook.cells):
                    await client.async_execute_cell(cell, number)
            except (CellExecutionError, TimeoutError) as error:
                self.error = str(error)[-2000:]
            self.seconds = time.perf_counter() - began
            await asyncio.to_thread(watch.look)
        self.disk = sum(file.lstat().st_blocks for file in self.folder.rglob("*")) * BLOCK / 1e6
        file = self.folder / "calls"
        self.calls = read_calls(file.read_text() if file.exists() else "")

    def leave(self) -> None:
        daemon.stop(self.home)


def read_calls(noted: str) -> list[Call]:
    """Return the calls that a kernel has noted."""
    return [Call(*json.loads(line)) for line in noted.splitlines()]


@contextmanager
def plain_seats(learners: int) -> Iterator[list[Seat]]:
    """Make seats without a hub."""
    # Not the system's temporary folder: its path may be too long for the sockets below it.
    with tempfile.TemporaryDirectory(prefix="room-", dir="/tmp") as folder:
        names = [f"{number:02}" for number in range(1, learners + 1)]
        yield [PlainSeat(name, folder=Path(folder, name)) for name in names]


@dataclass
class WorkshopSeat(Seat):
    """A learner of a workshop: an OS user with a lab of the hub, who sends the cells as JupyterLab does."""

    browser: Any = None

    def roots(self) -> Iterable[int]:
        try:
            uid = pwd.getpwnam(self.name).pw_uid
        except KeyError:  # the hub makes the user with the first lab
            return
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if process.stat().st_uid == uid:
                    yield int(process.name)

    async def work_through(self, lesson: Path, watch: Watch) -> None:
        await asyncio.to_thread(self._work_through, lesson, watch)

    def _work_through(self, lesson: Path, watch: Watch) -> None:
        cells = [cell.source for cell in nbformat.read(lesson, as_version=4).cells if cell.cell_type == "code"]
        self.browser.open_lab(self.name)
        kernel = self.browser.kernel(self.name, f"workbook/notebooks/{lesson.relative_to(NOTEBOOKS).parent}")
        kernel.run(f"import os\nos.environ['CALL_LOG'] = '/tmp/calls'\n{CALL_LOG.read_text()}")
        began = time.perf_counter()
        try:
            for cell in cells:
                kernel.run(cell)
        except (AssertionError, TimeoutError) as error:
            self.error = str(error)[-2000:]
        self.seconds = time.perf_counter() - began
        watch.look()
        self.calls = read_calls(kernel.run("print(open('/tmp/calls').read())").strip())


@contextmanager
def workshop_seats(learners: int) -> Iterator[list[Seat]]:
    """Start a workshop in which all seats are taken, as root; remove it with its OS users."""
    from rooms import Browser, room  # of tests/workshop

    with room(learners) as made:
        seats: list[Seat] = []
        for number in range(1, learners + 1):
            browser = Browser(made.status()["join_link"])
            browser.join(f"Learner {number}", "1234")
            seats.append(WorkshopSeat(f"{made.prefix}{number:02}", browser=browser))
        yield seats


async def fill(seats: Sequence[Seat], lesson: Path, within: float, every: float) -> Watch:
    """Let learners begin a lesson within so many seconds, and return once all have ended."""
    watch = Watch(lambda: {seat.name: seat.roots() for seat in seats}, every)

    async def take(number: int, seat: Seat) -> None:
        await asyncio.sleep(within * number / len(seats))
        await seat.work_through(lesson, watch)
        print(f"{seat.name}: {seat.error or 'succeeded'} after {seat.seconds:.0f} s", file=sys.stderr, flush=True)

    try:
        with watch:
            await asyncio.gather(*(take(*one) for one in enumerate(seats)))
    finally:
        for seat in seats:
            await asyncio.to_thread(seat.leave)
    return watch


def percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    """Return how many calls there were, and the median, p95 and maximum of what they took."""
    cuts = quantiles(milliseconds, n=20, method="inclusive") if len(milliseconds) > 1 else [milliseconds[0]] * 19
    return {"calls": len(milliseconds), "p50": cuts[9], "p95": cuts[18], "max": max(milliseconds)}


def by_method(calls: Iterable[Call]) -> dict[str, dict[str, float]]:
    """Return :func:`percentiles` of the control plane's calls: of each method, of all, and of those that are held."""
    found: dict[str, list[float]] = defaultdict(list)
    for call in calls:
        if call.host == CONTROL_PLANE:
            for row in (WAITING,) if HELD.search(call.path) else (call.method, ALL):
                found[row].append(call.milliseconds)
    methods = sorted(found.keys() - {ALL, WAITING})
    return {row: percentiles(found[row]) for row in (*methods, ALL, WAITING) if row in found}


def by_kind(learners: Iterable[Learner]) -> dict[str, dict[str, float]]:
    """Return what the learners' processes of each kind used: mean and largest MB, how many, mean seconds."""
    known = list(learners)
    kinds = sorted({kind for learner in known for kind in learner.kinds})
    rows = {}
    for kind in kinds:
        uses = [learner.kinds[kind] for learner in known if kind in learner.kinds]
        rows[kind] = {
            "processes": max(use.most for use in uses),
            "mb": mean(use.peak for use in uses) * MB_A_MIB,
            "most_mb": max(use.peak for use in uses) * MB_A_MIB,
            "at_peak_mb": mean(learner.peak_kinds.get(kind, 0) for learner in known) * MB_A_MIB,
            "cpu_s": sum(use.cpu for use in uses) / len(known),
        }
    return rows


def report(seats: Sequence[Seat], watch: Watch, lesson: str) -> dict[str, Any]:
    """Return all that was measured."""
    learners = list(watch.learners.values())
    seen = sum(use.cpu for learner in learners for use in learner.kinds.values())
    return {
        "lesson": lesson,
        "learners": len(seats),
        "succeeded": sum(seat.error is None for seat in seats),
        "errors": {seat.name: seat.error for seat in seats if seat.error},
        "seconds": {"mean": mean(seat.seconds for seat in seats), "max": max(seat.seconds for seat in seats)},
        "control_plane_ms": by_method(call for seat in seats for call in seat.calls),
        "memory_mb": {
            "mean": mean(learner.peak for learner in learners) * MB_A_MIB,
            "max": max(learner.peak for learner in learners) * MB_A_MIB,
            "machine_had_left": watch.lowest_free * MB_A_MIB,
        },
        "disk_mb": max(seat.disk for seat in seats),
        "cpu_s": mean(learner.cpu for learner in learners),
        "cpu_s_ended_unseen": (sum(learner.cpu for learner in learners) - seen) / len(learners),
        "kinds": by_kind(learners),
    }


def table(found: Mapping[str, Any]) -> str:
    """Return the report for people."""
    memory = found["memory_mb"]
    lines = [
        f"{found['succeeded']} of {found['learners']} learners succeeded with {found['lesson']}, "
        f"in {found['seconds']['mean']:.0f} s (the last: {found['seconds']['max']:.0f} s)",
        "",
        f"{'control plane':18}{'calls':>8}{'p50 ms':>8}{'p95 ms':>8}{'max ms':>8}",
        *(
            f"{method:18}{row['calls']:8}{row['p50']:8.0f}{row['p95']:8.0f}{row['max']:8.0f}"
            for method, row in found["control_plane_ms"].items()
        ),
        "",
        f"{'of a learner':18}{'number':>8}{'peak MB':>9}{'most MB':>9}{'together':>9}{'CPU s':>8}",
        *(
            f"{kind:18}{row['processes']:8.0f}{row['mb']:9.0f}{row['most_mb']:9.0f}{row['at_peak_mb']:9.0f}"
            f"{row['cpu_s']:8.1f}"
            for kind, row in found["kinds"].items()
        ),
        f"{'ended unseen':18}{'':35}{found['cpu_s_ended_unseen']:8.1f}",
        f"{'all':18}{'':17}{memory['max']:9.0f}{memory['mean']:9.0f}{found['cpu_s']:8.1f}",
        f"The machine had {memory['machine_had_left']:.0f} MB left at least; a learner's files take "
        f"{found['disk_mb']:.0f} MB.",
    ]
    return "\n".join(lines)


def misses(found: Mapping[str, Any]) -> list[str]:
    """Return which goals were missed."""
    p95 = found["control_plane_ms"][ALL]["p95"]
    goals = {
        f"{found['learners'] - found['succeeded']} learners failed": found["succeeded"] == found["learners"],
        f"p95 of a control-plane call is {p95:.0f} ms, more than {SLOWEST_P95}": p95 <= SLOWEST_P95,
        f"a learner needs {found['memory_mb']['max']:.0f} MB, more than {MOST_MEMORY}": found["memory_mb"]["max"]
        <= MOST_MEMORY,
    }
    return [text for text, is_met in goals.items() if not is_met]


def main() -> int:
    """Run a room, print what was measured, and return 1 where a learner failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--learners", type=int, default=20)
    parser.add_argument("--lesson", default="02_realtime/01_deploy_with_keys")
    parser.add_argument("--workshop", action="store_true", help="as OS users of a workshop, in labs of its hub")
    parser.add_argument("--within", type=float, default=0.0, help="seconds within which they begin (0: all at once)")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two looks at the processes")
    parser.add_argument("--output", type=Path, help="a file for all that was measured, as JSON")
    given = parser.parse_args()
    seats_of = workshop_seats if given.workshop else plain_seats
    with seats_of(given.learners) as seats:
        watch = asyncio.run(fill(seats, NOTEBOOKS / f"{given.lesson}.ipynb", given.within, given.every))
    found = report(seats, watch, given.lesson)
    if given.output:
        given.output.write_text(json.dumps(found | {"calls": [[asdict(c) for c in s.calls] for s in seats]}, indent=2))
    print(table(found))
    for missed in misses(found):
        print(f"MISSED: {missed}")
    return int(found["succeeded"] < found["learners"])


if __name__ == "__main__":
    sys.exit(main())
