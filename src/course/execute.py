"""One notebook in a process of its own, which does not outlive this one."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import psutil
from nbconvert.filters.ansi import strip_ansi

from course import phases
from course.catalogue import Notebook
from course.events import Event
from course.phases import Phase
from course.processors import SIDE_BY_SIDE
from helpers import progress_file, waits

Status = Literal["passed", "failed", "timeout", "skipped"]

# How long, in seconds, a process that was told to stop may take to end its kernel and save what ran.
_GRACE_S = 10
_LONGEST_ERROR = 300
_LONGEST_EVENT = 16 * 1024 * 1024
_PATH = re.compile(r"(?<![\w.~-])/[\w.+@~-]+(?:/[\w.+@~-]+)+")


@dataclass(frozen=True)
class Result:
    """What became of a notebook.

    ``cell`` is the number of the cell that failed or hung, ``error`` one line, ``detail`` the traceback or, where there
    is none, the log of the notebook's process. ``broken`` says that the failure is none of a cell's: the notebook could
    not be run, or its kernel died. ``reason`` says why it was skipped. ``began`` is in seconds since 1970.
    """

    notebook: Notebook
    status: Status
    title: str
    seconds: float = 0.0
    cell: int | None = None
    error: str | None = None
    detail: str = ""
    broken: bool = False
    reason: str | None = None
    began: float = 0.0
    phases: Sequence[Phase] = ()


@dataclass
class _Account:
    """What is known of a run that is under way; ``ended`` once it is known how it ended."""

    title: str
    began: float
    ended: bool = False
    status: Status = "failed"
    broken: bool = True
    cell: int | None = None
    error: str = ""
    traceback: str = ""
    cells: list[Phase] = field(default_factory=list)

    def add(self, event: Event) -> None:
        if event["event"] == "opened":
            self.title = event["title"]
        elif event["event"] == "cell_started":
            self.cell = event["number"]
            self.cells.append(Phase(phases.kind_of(event["source"]), time.time(), float("inf")))
        elif event["event"] == "cell_ended":
            self.cells[-1] = replace(self.cells[-1], ended=time.time())
        elif event["event"] == "ended":
            self.close(event["status"], event["error"])
            self.cell, self.traceback, self.broken = event["cell"], event["traceback"], event["broken"]

    def close(self, status: Status, error: str) -> None:
        """Says how the run ended, unless the notebook's process has said it."""
        if not self.ended:
            self.ended, self.status, self.error = True, status, error


async def execute(
    notebook: Notebook,
    output: Path,
    parameters: Mapping[str, object],
    timeout_s: float,
    on_event: Callable[[Event], None],
    solutions: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> Result:
    """Runs ``notebook`` and returns its result; the executed notebook is then at ``output``, its log beside it.

    ``variables`` are added to its environment.

    With a file of ``solutions`` its exercises run solved. It knows nothing of what the learner of this machine has
    done, and leaves that as it is.

    Cancelling this coroutine ends the process and its kernel before it returns, as the time-out does.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    log = output.with_suffix(".log")
    account = _Account(title=notebook.path.stem, began=time.time())
    process = await _start(notebook, output, parameters, log, solutions, variables or {})
    try:
        async with asyncio.timeout(timeout_s):
            async for line in cast(asyncio.StreamReader, process.stdout):
                event: Event = json.loads(line)
                account.add(event)
                on_event(event)
            await process.wait()
    except TimeoutError:
        account.close("timeout", f"TimeoutError: not finished after {timeout_s:g} s")
    finally:
        await _stop(process)
        waited = waits.read(_waits_file(output))
        for left_behind in [*output.parent.glob(f"{_progress_file(output).name}*"), _waits_file(output)]:
            left_behind.unlink(missing_ok=True)
    account.close("failed", f"RuntimeError: the notebook's process ended with status {process.returncode}")
    return _result(notebook, account, log, waited)


def _result(notebook: Notebook, account: _Account, log: Path, waited: Sequence[tuple[float, float]]) -> Result:
    ended = time.time()
    detail = account.traceback or log.read_text(encoding="utf-8", errors="replace")
    return Result(
        notebook=notebook,
        status=account.status,
        title=account.title,
        seconds=ended - account.began,
        cell=account.cell,
        error=_one_line(account.error) or None,
        detail=plain(detail),
        broken=account.status == "failed" and account.broken,
        began=account.began,
        phases=phases.split(account.began, ended, account.cells, waited),
    )


async def _start(
    notebook: Notebook,
    output: Path,
    parameters: Mapping[str, object],
    log: Path,
    solutions: Path | None,
    variables: Mapping[str, str],
) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "course.child", notebook.name, str(output), json.dumps(dict(parameters))]
    if solutions is not None:
        command.append(str(solutions))
    files = {
        progress_file.VARIABLE: str(_progress_file(output).absolute()),
        waits.VARIABLE: str(_waits_file(output).absolute()),
    }
    with log.open("wb") as errors:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env={**SIDE_BY_SIDE, **os.environ, **files, **variables},
            limit=_LONGEST_EVENT,
            start_new_session=True,  # so that Ctrl-C reaches this process alone, which then ends that one in order
        )


def _progress_file(output: Path) -> Path:
    return output.with_suffix(".progress.db")


def _waits_file(output: Path) -> Path:
    return output.with_suffix(".waits")


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Tells the process to stop by closing its standard input, and kills it where that does not help."""
    if process.returncode is not None:
        return
    cast(asyncio.StreamWriter, process.stdin).close()
    try:
        async with asyncio.timeout(_GRACE_S):
            await process.wait()
    except TimeoutError:
        _kill(process.pid)
        await process.wait()


def _kill(pid: int) -> None:
    # The kernel leads a session of its own and is the process's only child.
    groups = [pid]
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended by itself at the last moment
        groups += [kernel.pid for kernel in psutil.Process(pid).children()]
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def plain(text: str) -> str:
    """The text without the codes that colour it in a terminal."""
    return str(strip_ansi(text))  # type: ignore[no-untyped-call]


def _one_line(error: str) -> str:
    """One printable line of at most 300 characters that does not tell where on this machine things lie."""
    words = "".join(c if c.isprintable() else " " for c in plain(error)).split()
    line = _PATH.sub(_file_name, " ".join(words))
    return line if len(line) <= _LONGEST_ERROR else line[: _LONGEST_ERROR - 1] + "…"


def _file_name(match: re.Match[str]) -> str:
    """A path on this machine without its folders; an Azure resource id or a URL, which no folder here has, as it is."""
    path = Path(match[0])
    return f"…/{path.name}" if Path(*path.parts[:2]).exists() else match[0]
