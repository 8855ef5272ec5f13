"""The command line: ``python -m course.run [--part 02] [--set fast|full] [--solutions] [--jobs 2] [NOTEBOOK ...]``."""

import argparse
import asyncio
import contextlib
import itertools
import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from course import executed, exit_codes, junit, report, summary
from course.budget import Budget
from course.catalogue import Lesson, NotFoundError, find, select
from course.documents import DocumentError
from course.execute import Result, execute
from course.progress import Bar, Lines, Progress, outcome
from course.readiness import Readiness, readiness
from course.summary import About
from helpers import tags

# A lesson waits for a quarter of its time: one more than there are processors keeps these busy. Each kernel and its
# deployments take memory, too.
MOST_JOBS = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the lessons that ``argv`` chooses, writes the report, and returns an exit code of ``course.exit_codes``."""
    arguments = _parse(argv)
    try:
        lessons = select(find(Path("notebooks")), arguments.part or None, arguments.notebooks)
        ready = readiness(arguments.backend, lessons)
    except (NotFoundError, DocumentError) as error:
        print(error, file=sys.stderr)
        return exit_codes.USAGE
    folder = summary.new_folder(arguments.output)
    if missing := ready.shortcomings:
        print("\n".join(["Not ready; nothing was run.", *missing]), file=sys.stderr)
        junit.write_unready(folder, missing)
        summary.point_latest_at(folder)
        return exit_codes.NOT_READY
    run = Run(folder, arguments, ready)
    run.execute(lessons)
    run.write()
    passed = sum(result.status == "passed" for result in run.results)
    print(
        f"{passed} of {len(run.results)} notebooks passed in {report.duration(run.seconds)}. "
        f"Report: {arguments.output / 'latest' / 'report.html'}"
    )
    return run.exit_code


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m course.run", description="Run the workbook's notebooks.")
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="such as 01_deploy_with_keys; default: all")
    parser.add_argument("--part", help="only the notebooks of this part: two digits, such as 02")
    parser.add_argument("--set", choices=["fast", "full"], default="fast", help="parameter set (default: fast)")
    parser.add_argument("--backend", choices=["local", "azure"], default="local", help="default: local")
    parser.add_argument("--output", type=Path, default=Path("runs"), help="where runs are kept (default: runs)")
    parser.add_argument("--solutions", action="store_true", help="solve the exercises, and demand that each is right")
    parser.add_argument(
        "--jobs",
        type=_jobs,
        default=min(MOST_JOBS, (os.cpu_count() or 1) + 1),
        metavar="NUMBER",
        help="how many notebooks run at once, of those that may (default: %(default)s)",
    )
    parser.add_argument(
        "--budget",
        type=_usd,
        metavar="USD",
        help="do not start a lesson whose price on Azure, by course.yml, is more than what is left of this",
    )
    parser.add_argument(
        "--run", type=_run_name, metavar="NAME", help="tags what lessons make, for course.sweep (default: its time)"
    )
    parser.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="for each notebook (default: what course.yml says)"
    )
    return parser.parse_args(argv)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("must be a number of seconds above 0")
    return seconds


def _usd(text: str) -> float:
    usd = float(text)
    if not 0 <= usd < float("inf"):
        raise argparse.ArgumentTypeError("must be a number of US dollars from 0")
    return usd


def _run_name(text: str) -> str:
    if not re.fullmatch(r"[\w.:-]{1,100}", text, re.ASCII):
        raise argparse.ArgumentTypeError("must be at most 100 letters, digits, and . _ : -")
    return text


def _jobs(text: str) -> int:
    jobs = int(text)
    if jobs < 1:
        raise argparse.ArgumentTypeError("must be a whole number from 1")
    return jobs


def _time_limit(lesson: Lesson, backend: str) -> float:
    """Return the seconds that a lesson gets: on Azure twice what it is said to take, for waits differ there."""
    return max(lesson.timeout_s, 2 * 60 * lesson.azure_minutes) if backend == "azure" else lesson.timeout_s


class Run:
    """A run of lessons: what is known of it while it is under way, and what is written of it."""

    def __init__(self, folder: Path, arguments: argparse.Namespace, ready: Readiness) -> None:
        self._folder = folder
        self._ready = ready
        self._arguments = arguments
        self._budget = Budget(arguments.budget)
        self._results: dict[Path, Result] = {}
        self._free = asyncio.Semaphore(arguments.jobs)
        self._began = time.time()
        self._signal: int | None = None  # that interrupted it
        self._over_budget = False
        self._is_lacking = False
        self.seconds = 0.0

    @property
    def name(self) -> str:
        """By which what the lessons make is tagged."""
        return str(self._arguments.run or self._folder.name)

    @property
    def results(self) -> list[Result]:
        """A result for each lesson, in the order of the course."""
        return list(self._results.values())

    @property
    def exit_code(self) -> int:
        """What the run's end means, and first of all what interrupted it."""
        if self._signal is not None:
            return exit_codes.SIGNALLED + self._signal
        if any(result.status in ("failed", "timeout") for result in self.results):
            return exit_codes.FAILED
        if self._is_lacking:
            return exit_codes.NOT_READY
        return exit_codes.OVER_BUDGET if self._over_budget else exit_codes.PASSED

    def execute(self, lessons: Sequence[Lesson]) -> None:
        """Runs the lessons.

        Those that a signal prevented, and those that it interrupted, are skipped: what has run is worth a report.
        """
        self._results = {lesson.path: _skipped(lesson, "interrupted before its end") for lesson in lessons}
        # What a CI system sends when its time is up ends a run in the same order as Ctrl-C.
        signal.signal(signal.SIGTERM, self._on_sigterm)
        with self._interruptible():
            asyncio.run(self._execute_all(lessons))
        self.seconds = time.time() - self._began

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        signal.default_int_handler(number, frame)

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            self._signal = self._signal or signal.SIGINT

    async def _execute_all(self, lessons: Sequence[Lesson]) -> None:
        """Neighbours that may run side by side do, ``--jobs`` at once; others run alone."""
        numbered = enumerate(lessons, start=1)
        for side_by_side, neighbours in itertools.groupby(numbered, key=lambda pair: pair[1].side_by_side):
            for group in [list(neighbours)] if side_by_side else [[one] for one in neighbours]:
                async with asyncio.TaskGroup() as tasks:
                    for number, lesson in group:
                        tasks.create_task(self._execute_one(f"[{number}/{len(lessons)}]", lesson))

    async def _execute_one(self, position: str, lesson: Lesson) -> None:
        async with self._free:
            if lacking := self._ready.of_lessons.get(lesson.id):
                self._is_lacking = True
                return self._skip(position, lesson, " ".join(["not started:", *lacking]))
            if refusal := self._budget.refusal(lesson):
                self._over_budget = True
                return self._skip(position, lesson, refusal)
            progress: Progress = (Bar if sys.stdout.isatty() else Lines)(position, lesson)
            try:
                self._results[lesson.path] = await execute(
                    lesson,
                    executed.path(self._folder, lesson.path),
                    {
                        "backend": self._arguments.backend,
                        **lesson.sets[self._arguments.set],
                        **self._ready.parameters.get(lesson.id, {}),
                    },
                    self._arguments.timeout or _time_limit(lesson, self._arguments.backend),
                    progress.on_event,
                    lesson.solutions if self._arguments.solutions else None,
                    {tags.RUN_VARIABLE: self.name, tags.LESSON_VARIABLE: lesson.id},
                )
            finally:
                progress.end(self._results[lesson.path])
            self._budget.settle(lesson, self._results[lesson.path].seconds)

    def _skip(self, position: str, lesson: Lesson, why: str) -> None:
        self._results[lesson.path] = _skipped(lesson, why)
        print(f"{position} {outcome(self._results[lesson.path])}", flush=True)

    def write(self) -> None:
        """Writes the report, for people and for programs, and points the link ``latest`` at it."""
        about = About(
            name=self.name,
            set_name=self._arguments.set,
            backend=self._arguments.backend,
            began=self._began,
            seconds=self.seconds,
            budget_usd=self._budget.usd,
            spent_usd=self._budget.spent,
        )
        summary.write(self._folder, about, self.results)
        junit.write(self._folder, about, self.results)
        summary.point_latest_at(self._folder)
        with self._interruptible():  # what programs read is there
            report.write(self._folder, about, self.results)


def _skipped(lesson: Lesson, why: str) -> Result:
    return Result(lesson, "skipped", lesson.title, reason=why)


if __name__ == "__main__":
    sys.exit(main())
