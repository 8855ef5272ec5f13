"""The one way in which the service starts a program: under a guard, in its own process group, logging to a file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import psutil

GUARD = Path(__file__).with_name("guard.py")
CODE = Path(__file__).parents[2]  # what this process runs, and so shall its children that run this package
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "USER", "LD_LIBRARY_PATH")


def base_environment() -> dict[str, str]:
    """Return what every child gets of this process's environment: nothing that could be a secret."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def own_environment() -> dict[str, str]:
    """Return :func:`base_environment` for a child that runs this package."""
    return {**base_environment(), "PYTHONPATH": str(CODE)}


class GuardedProcess:
    """A running program. It ends at the latest when the service does."""

    def __init__(self, process: asyncio.subprocess.Process, grace: float) -> None:
        self._process = process
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
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                str(GUARD),
                str(grace),
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE if capture else output,
                stderr=asyncio.subprocess.STDOUT if merge else output,
                env=dict(environment),
                cwd=cwd,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        return cls(process, grace)

    async def _end(self) -> int:
        """Wait for the guard's end; where it was killed, end what it can no longer end."""
        status = await self._process.wait()
        if status < 0:
            for left_behind in _of_session(self._process.pid):
                with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                    os.kill(left_behind, self._last_word)
        return status

    async def read_line(self) -> str:
        """Return the next line of captured output; empty at its end."""
        assert self._process.stdout is not None  # noqa: S101 - the caller asked for it
        return (await self._process.stdout.readline()).decode(errors="replace")

    async def read(self, most: int) -> bytes:
        """Return captured output as it comes, up to ``most`` bytes; nothing at its end."""
        assert self._process.stdout is not None  # noqa: S101 - the caller asked for it
        return await self._process.stdout.read(most)

    async def lines(self) -> AsyncIterator[str]:
        """Yield the lines of captured output, to its end."""
        while line := await self.read_line():
            yield line

    async def stop(self) -> int:
        """End the program and all that it started, and return its exit status."""
        assert self._process.stdin is not None  # noqa: S101 - always a pipe
        self._process.stdin.close()
        return await asyncio.shield(self.ended)


def _of_session(leader: int) -> list[int]:
    """Return the processes of a session. A guard leads one, which holds all that its command has started."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended, or is another user's on macOS
            if os.getsid(pid) == leader:
                found.append(pid)
    return found
