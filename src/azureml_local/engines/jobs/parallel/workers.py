"""A worker process, as the supervisor on its node sees it: what it is told, what it answers, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from azureml_local.engines.jobs.parallel.ledger import MiniBatch, Try
from azureml_local.engines.process import GuardedProcess, open_pipe

PROGRAM = Path(__file__).parent / "runtime" / "azureml_user" / "_worker.py"
LENGTHS = struct.Struct(">II")
PIECE = 64 * 1024
GRACE = 2.0  # seconds for a process that is being ended
LAST_ANSWER_WITHIN = 0.1  # seconds after its end, for what a process has answered
DRAINS_WITHIN = 5.0  # seconds, for what an ended process has said
BY_SIGNAL = 128  # a guard adds a signal's number to it

Sink = Callable[[bytes], None]


class WorkerError(Exception):
    """A worker cannot be used.

    Args:
        is_final: another one could not be, either: the script itself is wrong.
        details: the traceback, where there is one.
    """

    def __init__(self, message: str, *, is_final: bool = False, details: str = "") -> None:
        super().__init__(message)
        self.is_final = is_final
        self.details = details


class Worker:
    """A worker process, which processes one mini-batch after another.

    Args:
        name: such as ``process000``.
        node: the rank of its node.
        process: the running program.
        connection: to it.
        pumps: what brings away what it says.
    """

    def __init__(
        self,
        name: str,
        node: int,
        process: GuardedProcess,
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        pumps: list[asyncio.Task[None]],
    ) -> None:
        self.name = name
        self._node = node
        self._process = process
        self._reader, self._writer = connection
        self._pumps = pumps
        process.ended.add_done_callback(lambda _: self._stop_listening())

    @classmethod
    async def start(
        cls,
        name: str,
        node: int,
        python: str,
        *,
        environment: Mapping[str, str],
        cwd: Path,
        guard_log: Path,
        stdout: Sink,
        stderr: Sink,
    ) -> Worker:
        """Start a process. It waits for :meth:`load`.

        Args:
            name: such as ``process000``.
            node: the rank of its node.
            python: the interpreter.
            environment: the whole of it.
            cwd: where it starts.
            guard_log: receives what goes wrong before it runs.
            stdout: takes what it prints.
            stderr: takes the rest.
        """
        with ExitStack() as opened:
            ours, its = socket.socketpair()
            opened.enter_context(its)
            errors = await open_pipe(opened)
            process = await GuardedProcess.start(
                [python, str(PROGRAM), name, str(its.fileno()), str(errors.write_end.fileno())],
                log=guard_log,
                environment=environment,
                cwd=cwd,
                grace=GRACE,
                capture=True,
                pass_fds=(its.fileno(), errors.write_end.fileno()),
            )
        connection = await asyncio.open_connection(sock=ours)
        pumps = [
            asyncio.ensure_future(_pump(process.read, stdout)),
            asyncio.ensure_future(_pump(errors.reader.read, stderr)),
        ]
        return cls(name, node, process, connection, pumps)

    async def import_ahead(self, names: list[str]) -> None:
        """Have the process import modules that the entry script will. One that cannot be is left to the script."""
        with contextlib.suppress(ConnectionError):  # it has ended; whoever loads the script is told
            await self._send({"imports": names})

    async def load(self, task: Mapping[str, Any], within: float) -> None:
        """Load the entry script and call its ``init``.

        Raises:
            WorkerError: that failed, or took too long.
        """
        await self._send(task)
        try:
            async with asyncio.timeout(within):
                answer, _ = await self._receive()
        except TimeoutError as error:
            raise WorkerError(f"init() did not finish in {within:g} seconds.") from error
        if "ready" not in answer:
            raise WorkerError(answer["error"], is_final=answer["is_final"], details=answer["traceback"])

    async def process(self, mini_batch: MiniBatch, overhead: float, limit: float) -> tuple[Try, str]:
        """Process a mini-batch; return how that ended, and the traceback where the script failed.

        A process that takes too long, or has ended, is of no use any more: :attr:`has_ended` says so.

        Args:
            mini_batch: which.
            overhead: seconds to load it.
            limit: seconds for ``run``.
        """
        started_at, begun = time.time(), time.perf_counter()
        items, details = mini_batch.items, ""
        is_loaded = not mini_batch.is_table  # files are read by the script itself
        result: dict[str, Any] = {}
        rows = b""
        try:
            await self._send({"id": mini_batch.id, "detail": mini_batch.detail})
            if mini_batch.is_table:
                async with asyncio.timeout(overhead):
                    answer, rows = await self._receive()
                items = answer.get("loaded", items)
                is_loaded = "loaded" in answer
            if is_loaded:
                async with asyncio.timeout(limit):
                    answer, rows = await self._receive()
            details = answer.pop("traceback", "")
            result = answer
        except TimeoutError:
            await self.kill()
            result = _timed_out(limit if is_loaded else overhead, mini_batch.id, is_loaded)
        except (WorkerError, ConnectionError) as error:
            await self.kill()
            result = {"status": "PROCESS_ENDED", "error": f"{self.name} {error}"}
        elapsed = time.perf_counter() - begun
        return Try(self._node, self.name, started_at, elapsed, items=items, rows=rows, **result), details

    @property
    def has_ended(self) -> bool:
        """Whether the process runs no more."""
        return self._process.ended.done()

    async def finish(self, within: float) -> None:
        """Let the script clean up, then end the process."""
        self._writer.write_eof()
        await asyncio.wait([self._process.ended], timeout=within)
        await self.kill()

    async def kill(self) -> None:
        """End the process, and bring away what it has said."""
        await self._process.stop()
        self._writer.close()
        await asyncio.wait(self._pumps, timeout=DRAINS_WITHIN)
        for pump in self._pumps:
            pump.cancel()

    async def _send(self, message: Mapping[str, Any]) -> None:
        content = json.dumps(message).encode()
        self._writer.write(LENGTHS.pack(len(content), 0) + content)
        await self._writer.drain()

    async def _receive(self) -> tuple[dict[str, Any], bytes]:
        """Return an answer. Raises WorkerError where the process ends without one."""
        try:
            header, content = LENGTHS.unpack(await self._reader.readexactly(LENGTHS.size))
            return json.loads(await self._reader.readexactly(header)), await self._reader.readexactly(content)
        except asyncio.IncompleteReadError:
            status = await asyncio.shield(self._process.ended)
            raise WorkerError(how_ended(status)) from None

    def _stop_listening(self) -> None:
        """Await no answer any more: what a script has left behind may hold its end of the connection open."""
        asyncio.get_running_loop().call_later(LAST_ANSWER_WITHIN, self._reader.feed_eof)


def how_ended(status: int) -> str:
    """Say in Azure's words how a process ended: "<process-name> exits with returncode -9."."""
    code = -status if status < 0 else status
    if code - BY_SIGNAL in set(signal.Signals):
        code = BY_SIGNAL - code
    hint = " A system does this where there is no memory left." if code == -signal.SIGKILL else ""
    return f"exits with returncode {code}.{hint}"


def _timed_out(seconds: float, number: int, is_loaded: bool) -> dict[str, Any]:
    if is_loaded:
        return {
            "status": "RUN_TIMEOUT",
            "error": f"mini batch {number} did not finish in {seconds:g} seconds. Stopping this process.",
        }
    return {"status": "LOAD_TIMEOUT", "error": f"mini batch {number} was not loaded in {seconds:g} seconds."}


async def _pump(read: Callable[[int], Any], sink: Sink) -> None:
    while piece := await read(PIECE):
        sink(piece)
