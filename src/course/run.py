"""The command line: ``python -m course.run [--part 02] [--set fast|full] [--output runs] [NOTEBOOK ...]``."""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from course import report, summary
from course.catalogue import Notebook, NotFoundError, find, select
from course.execute import Result, execute
from course.progress import Bar, Lines, Progress

# A lesson takes a learner 20 to 40 minutes; its cells alone take a few. What needs longer hangs.
TIMEOUT_S = 15 * 60


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the notebooks that ``argv`` chooses and writes the report.

    Returns the exit status: 0 when all passed, 1 when not, 2 when there is no such part or notebook.
    """
    arguments = _parse(argv)
    try:
        notebooks = select(find(Path("notebooks")), arguments.part or None, arguments.notebooks)
    except NotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    # What a CI system sends when its time is up ends a run in the same order as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = summary.new_folder(arguments.output)
    results = _run(notebooks, folder, arguments)
    summary.write(folder, arguments.set, results)
    report.write(folder, arguments.set, arguments.backend, results)
    summary.point_latest_at(folder)
    passed = sum(result.status == "passed" for result in results)
    print(f"{passed} of {len(results)} notebooks passed. Report: {arguments.output / 'latest' / 'report.html'}")
    return 0 if passed == len(results) else 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m course.run", description="Run the workbook's notebooks.")
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="such as 01_deploy; default: all")
    parser.add_argument("--part", help="only the notebooks of this part: two digits, such as 02")
    parser.add_argument("--set", choices=["fast", "full"], default="fast", help="parameter set (default: fast)")
    parser.add_argument("--backend", choices=["local", "azure"], default="local", help="default: local")
    parser.add_argument("--output", type=Path, default=Path("runs"), help="where runs are kept (default: runs)")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=TIMEOUT_S,
        metavar="SECONDS",
        help="for each notebook (default: %(default)s)",
    )
    return parser.parse_args(argv)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("must be a number of seconds above 0")
    return seconds


def _run(notebooks: Sequence[Notebook], folder: Path, arguments: argparse.Namespace) -> list[Result]:
    """The result of each notebook; those that Ctrl-C prevented, the one that it interrupted included, are skipped."""
    progress: Progress = Bar() if sys.stdout.isatty() else Lines()
    results: list[Result] = []
    with contextlib.suppress(KeyboardInterrupt):  # what has run is worth a report
        for position, notebook in enumerate(notebooks, start=1):
            label = f"[{position}/{len(notebooks)}]"
            results.append(asyncio.run(_run_one(label, notebook, folder, arguments, progress)))
    return results + [_skipped(notebook) for notebook in notebooks[len(results) :]]


async def _run_one(
    position: str, notebook: Notebook, folder: Path, arguments: argparse.Namespace, progress: Progress
) -> Result:
    parameters = {"backend": arguments.backend, "fast": arguments.set == "fast"}
    output = report.executed_path(folder, notebook.path)
    progress.begin(position, notebook)
    result = _skipped(notebook)
    try:
        result = await execute(notebook, output, parameters, arguments.timeout, progress.on_event)
    finally:
        progress.end(result)
    return result


def _skipped(notebook: Notebook) -> Result:
    return Result(notebook, "skipped", notebook.path.stem)


if __name__ == "__main__":
    sys.exit(main())
