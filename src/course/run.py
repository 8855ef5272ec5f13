"""The command line: ``python -m course.run [--part 02] [--set fast|full] [--solutions] [--jobs 2] [NOTEBOOK ...]``."""

import argparse
import asyncio
import contextlib
import itertools
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from course import junit, report, summary
from course.catalogue import Lesson, NotFoundError, find, select
from course.documents import DocumentError
from course.execute import Result, execute
from course.progress import Bar, Lines, Progress

# A lesson waits for a quarter of its time: one more than there are processors keeps these busy. Each kernel and its
# deployments take memory, too.
MOST_JOBS = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the lessons that ``argv`` chooses and writes the report.

    Returns the exit status: 0 when all passed, 1 when not, 2 when there is no such part or notebook, or the course's
    files are not as they should be.
    """
    arguments = _parse(argv)
    try:
        lessons = select(find(Path("notebooks")), arguments.part or None, arguments.notebooks)
    except (NotFoundError, DocumentError) as error:
        print(error, file=sys.stderr)
        return 2
    # What a CI system sends when its time is up ends a run in the same order as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = summary.new_folder(arguments.output)
    began = time.perf_counter()
    results = _run(lessons, folder, arguments)
    seconds = time.perf_counter() - began
    summary.write(folder, arguments.set, results)
    junit.write(folder, results)
    report.write(folder, arguments.set, arguments.backend, results, seconds)
    summary.point_latest_at(folder)
    passed = sum(result.status == "passed" for result in results)
    print(
        f"{passed} of {len(results)} notebooks passed in {report.duration(seconds)}. "
        f"Report: {arguments.output / 'latest' / 'report.html'}"
    )
    return 0 if passed == len(results) else 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m course.run", description="Run the workbook's notebooks.")
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="such as 01_deploy; default: all")
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
        "--timeout", type=_seconds, metavar="SECONDS", help="for each notebook (default: what course.yml says)"
    )
    return parser.parse_args(argv)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("must be a number of seconds above 0")
    return seconds


def _jobs(text: str) -> int:
    jobs = int(text)
    if jobs < 1:
        raise argparse.ArgumentTypeError("must be a whole number from 1")
    return jobs


def _run(lessons: Sequence[Lesson], folder: Path, arguments: argparse.Namespace) -> list[Result]:
    """The result of each lesson; those that Ctrl-C prevented, and those that it interrupted, are skipped."""
    results = {lesson.path: _skipped(lesson) for lesson in lessons}
    with contextlib.suppress(KeyboardInterrupt):  # what has run is worth a report
        asyncio.run(_run_all(lessons, folder, arguments, results))
    return list(results.values())


async def _run_all(
    lessons: Sequence[Lesson], folder: Path, arguments: argparse.Namespace, results: dict[Path, Result]
) -> None:
    """Fills in ``results``. Neighbours that may run side by side do, ``--jobs`` at once; others run alone."""
    free = asyncio.Semaphore(arguments.jobs)
    numbered = enumerate(lessons, start=1)
    for side_by_side, neighbours in itertools.groupby(numbered, key=lambda pair: pair[1].side_by_side):
        for group in [list(neighbours)] if side_by_side else [[one] for one in neighbours]:
            async with asyncio.TaskGroup() as tasks:
                for number, lesson in group:
                    position = f"[{number}/{len(lessons)}]"
                    tasks.create_task(_run_one(position, lesson, folder, arguments, free, results))


def _time_limit(lesson: Lesson, backend: str) -> float:
    """Return the seconds that a lesson gets: on Azure twice what it is said to take, for waits differ there."""
    return max(lesson.timeout_s, 2 * 60 * lesson.azure_minutes) if backend == "azure" else lesson.timeout_s


async def _run_one(
    position: str,
    lesson: Lesson,
    folder: Path,
    arguments: argparse.Namespace,
    free: asyncio.Semaphore,
    results: dict[Path, Result],
) -> None:
    parameters = {"backend": arguments.backend, **lesson.sets[arguments.set]}
    async with free:
        progress: Progress = (Bar if sys.stdout.isatty() else Lines)(position, lesson)
        try:
            results[lesson.path] = await execute(
                lesson,
                report.executed_path(folder, lesson.path),
                parameters,
                arguments.timeout or _time_limit(lesson, arguments.backend),
                progress.on_event,
                lesson.solutions if arguments.solutions else None,
            )
        finally:
            progress.end(results[lesson.path])


def _skipped(lesson: Lesson) -> Result:
    return Result(lesson, "skipped", lesson.title)


if __name__ == "__main__":
    sys.exit(main())
