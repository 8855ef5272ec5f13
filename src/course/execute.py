"""One notebook in a process of its own, which does not outlive this one."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import psutil
from nbconvert.filters.ansi import strip_ansi

from course.catalogue import Notebook
from course.events import Event
from course.processors import SIDE_BY_SIDE
from helpers.progress_file import VARIABLE

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
    is none, the log of the notebook's process.
    """

    notebook: Notebook
    status: Status
    title: str
    seconds: float = 0.0
    cell: int | None = None
    error: str | None = None
    detail: str = ""


@dataclass
class _Account:
    """What is known of a run that is under way; ``ended`` once it is known how it ended."""

    title: str
    ended: bool = False
    status: Status = "failed"
    cell: int | None = None
    error: str = ""
    traceback: str = ""

    def add(self, event: Event) -> None:
        if event["event"] == "opened":
            self.title = event["title"]
        elif event["event"] == "cell_started":
            self.cell = event["number"]
        elif event["event"] == "ended":
            self.close(event["status"], event["error"])
            self.cell, self.traceback = event["cell"], event["traceback"]

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
) -> Result:
    """Runs ``notebook`` and returns its result; the executed notebook is then at ``output``, its log beside it.

    With a file of ``solutions`` its exercises run solved. It knows nothing of what the learner of this machine has
    done, and leaves that as it is.

    Cancelling this coroutine ends the process and its kernel before it returns, as the time-out does.
    """
    began = time.perf_counter()
    output.parent.mkdir(parents=True, exist_ok=True)
    log = output.with_suffix(".log")
    account = _Account(title=notebook.path.stem)
    process = await _start(notebook, output, parameters, log, solutions)
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
        for left_behind in output.parent.glob(f"{_progress_file(output).name}*"):
            left_behind.unlink()
    account.close("failed", f"RuntimeError: the notebook's process ended with status {process.returncode}")
    return _result(notebook, account, log, seconds=time.perf_counter() - began)


def _result(notebook: Notebook, account: _Account, log: Path, seconds: float) -> Result:
    detail = account.traceback or log.read_text(encoding="utf-8", errors="replace")
    return Result(
        notebook=notebook,
        status=account.status,
        title=account.title,
        seconds=seconds,
        cell=account.cell,
        error=_one_line(account.error) or None,
        detail=plain(detail),
    )


async def _start(
    notebook: Notebook, output: Path, parameters: Mapping[str, object], log: Path, solutions: Path | None
) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "course.child", notebook.name, str(output), json.dumps(dict(parameters))]
    if solutions is not None:
        command.append(str(solutions))
    environment = {**SIDE_BY_SIDE, **os.environ, VARIABLE: str(_progress_file(output).absolute())}
    with log.open("wb") as errors:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env=environment,
            limit=_LONGEST_EVENT,
            start_new_session=True,  # so that Ctrl-C reaches this process alone, which then ends that one in order
        )


def _progress_file(output: Path) -> Path:
    return output.with_suffix(".progress.db")


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
