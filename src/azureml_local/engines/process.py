"""The one way in which the service starts a program: under a guard, in its own process group, logging to a file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

import psutil

GUARD = Path(__file__).with_name("guard.py")
CODE = Path(__file__).parents[2]  # what this process runs, and so shall its children that run this package
# Nodes and instances share one machine. Threads of OpenMP that wait for each other by computing nothing, which is their
# default, take the processors from those that they wait for: a training of 2 s took 100 s on two busy processors.
SHARING = {"OMP_WAIT_POLICY": "passive"}
# How many threads a library takes, and how much memory it keeps that nothing needs, is the operator's to say, for all
# that runs here.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
MEMORY = ("MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "ARROW_DEFAULT_MEMORY_POOL")
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "USER", "LD_LIBRARY_PATH", *SHARING, *THREADS, *MEMORY)
Value = TypeVar("Value")


def base_environment() -> dict[str, str]:
    """Return what every child gets of this process's environment: nothing that could be a secret."""
    return SHARING | {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def own_environment() -> dict[str, str]:
    """Return :func:`base_environment` for a child that runs this package."""
    return {**base_environment(), "PYTHONPATH": str(CODE)}


class Guard(Protocol):
    """A process of :mod:`azureml_local.engines.guard`, however it came to be."""

    pid: int

    async def wait(self) -> int:
        """Wait for its end, and return its exit status; less than zero where a signal ended it."""

    def let_go(self) -> None:
        """Have it end its command."""


@dataclass(frozen=True)
class Order:
    """What a guard is to run, and where. ``descriptors`` maps the numbers of its file descriptors to ours."""

    command: Sequence[str]
    environment: Mapping[str, str]
    cwd: Path
    grace: float
    memory: int
    descriptors: Mapping[int, int]


class Forks(Protocol):
    """What forks guards: see :class:`azureml_local.engines.forking.ForkServer`."""

    async def fork(self, order: Order) -> Guard | None:
        """Return a guard that has started its command; None where it cannot be forked. Raises OSError."""


class StartedGuard:
    """A guard that was started by ``exec``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self._process = process

    async def wait(self) -> int:
        """See :meth:`Guard.wait`."""
        return await self._process.wait()

    def let_go(self) -> None:
        """See :meth:`Guard.let_go`."""
        assert self._process.stdin is not None  # noqa: S101 - always a pipe
        self._process.stdin.close()


class GuardedProcess:
    """A running program. It ends at the latest when the service does."""

    def __init__(self, guard: Guard, grace: float, output: asyncio.StreamReader | None) -> None:
        self._guard = guard
        self._output = output
        self._last_word = signal.SIGTERM if grace < 0 else signal.SIGKILL
        self.ended = asyncio.get_running_loop().create_task(self._end())

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        cwd: Path | None = None,
        grace: float = 5.0,
        capture: bool = False,
        merge: bool = False,
        pass_fds: Sequence[int] = (),
        memory: int = 0,
        forks: Forks | None = None,
    ) -> GuardedProcess:
        """Start ``command``.

        Args:
            command: program and arguments; the program's absolute path.
            log: receives standard output and error, appended.
            environment: the whole environment.
            cwd: the working directory.
            grace: seconds between SIGTERM and SIGKILL; negative for no SIGKILL.
            capture: standard output is read with :meth:`read_line` or :meth:`read` instead of going to the log.
            merge: standard error goes where standard output goes.
            pass_fds: file descriptors that the program inherits under the same numbers.
            memory: how many bytes it may use, with all that it starts; 0 for no limit. Over it, its status is
                :data:`~azureml_local.engines.guard.OUT_OF_MEMORY`.
            forks: forks it, where that is possible, which takes less time than to start it.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as opened:
            said = opened.enter_context(log.open("ab"))
            captured = await open_pipe(opened) if capture else None
            output = captured.write_end if captured else said
            errors = output if merge else said
            descriptors = {1: output.fileno(), 2: errors.fileno(), **{one: one for one in pass_fds}}
            order = Order(command, environment, cwd or Path.cwd(), grace, memory, descriptors)
            guard = await forks.fork(order) if forks else None
            if guard is None:
                guard = await _started(order)
        return cls(guard, grace, captured.reader if captured else None)

    async def _end(self) -> int:
        """Wait for the guard's end; where it was killed, end what it can no longer end."""
        status = await self._guard.wait()
        if status < 0:
            for left_behind in _of_session(self._guard.pid):
                with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                    os.kill(left_behind, self._last_word)
        return status

    @property
    def session(self) -> int:
        """The session that the program and all that it starts are in."""
        return self._guard.pid

    async def read_line(self) -> str:
        """Return the next line of captured output; empty at its end."""
        assert self._output is not None  # noqa: S101 - the caller asked for it
        return (await self._output.readline()).decode(errors="replace")

    async def read(self, most: int) -> bytes:
        """Return captured output as it comes, up to ``most`` bytes; nothing at its end."""
        assert self._output is not None  # noqa: S101 - the caller asked for it
        return await self._output.read(most)

    async def lines(self) -> AsyncIterator[str]:
        """Yield the lines of captured output, to its end."""
        while line := await self.read_line():
            yield line

    async def stop(self) -> int:
        """End the program and all that it started, and return its exit status."""
        self._guard.let_go()
        return await asyncio.shield(self.ended)


async def uninterrupted(work: Coroutine[Any, Any, Value]) -> Value:
    """Return what ``work`` returns. Where this task is cancelled meanwhile, it ends as such when the work is done."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    result = task.result()
    if cancelled:
        raise cancelled
    return result


async def _started(order: Order) -> Guard:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        str(GUARD),
        str(order.grace),
        str(order.memory),
        *order.command,
        stdin=asyncio.subprocess.PIPE,
        stdout=order.descriptors[1],
        stderr=order.descriptors[2],
        env=dict(order.environment),
        cwd=order.cwd,
        start_new_session=True,
        pass_fds=[number for number in order.descriptors if number > 2],
    )
    return StartedGuard(process)


@dataclass(frozen=True)
class Pipe:
    """A pipe, whose end to write to a child inherits."""

    reader: asyncio.StreamReader
    write_end: IO[bytes]


async def open_pipe(opened: contextlib.ExitStack) -> Pipe:
    """Return a pipe, whose end to write to is closed with ``opened``.

    asyncio's own takes a process for running until nobody can write there any more: also for as long as what the
    process has left behind does.
    """
    read_end, write_end = os.pipe()
    reader = asyncio.StreamReader()
    file = opened.enter_context(os.fdopen(write_end, "wb", buffering=0))
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
    )
    return Pipe(reader, file)


@dataclass(frozen=True)
class Usage:
    """What processes have used: seconds of CPU so far, and bytes of memory that are theirs alone."""

    cpu_seconds: float
    memory: int


def usage_of_sessions(leaders: Collection[int]) -> dict[int, Usage]:
    """Return what the processes of each session have used, in one walk over all processes."""
    used = {leader: Usage(0.0, 0) for leader in leaders}
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):  # it has ended, or is another user's on macOS
            leader = os.getsid(pid)
            if leader in used:
                process, known = psutil.Process(pid), used[leader]
                with process.oneshot():
                    times, memory = process.cpu_times(), process.memory_info()
                own = memory.rss - getattr(memory, "shared", 0)  # as the guard counts what has a limit
                cpu = times.user + times.system + times.children_user + times.children_system
                used[leader] = Usage(known.cpu_seconds + cpu, known.memory + own)
    return used


def _of_session(leader: int) -> list[int]:
    """Return the processes of a session. A guard leads one, which holds all that its command has started."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended, or is another user's on macOS
            if os.getsid(pid) == leader:
                found.append(pid)
    return found
