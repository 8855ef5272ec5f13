"""Processes that are forked rather than started: what they import, another process has imported already.

That is the fork server's (:mod:`azureml_local.engines.fork_server`), which is started when it is first needed, and
again where it has ended. Only on Linux: macOS's own libraries may not survive a fork. Where nothing can be forked,
processes are started as ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from azureml_local.engines.fork_server import IMPORTS
from azureml_local.engines.process import GuardedProcess, Order

logger = logging.getLogger(__name__)

PROGRAM = Path(__file__).with_name("fork_server.py")
IS_POSSIBLE = sys.platform == "linux"
ANSWERS_WITHIN = 60.0  # seconds; the first imports take some on a busy machine
GRACE = 2.0  # seconds
IDLE = 120.0  # seconds after which a fork server gives its memory back; imports take one
ROOM_FOR_COMMAND_LINES = 2048  # bytes


class ForkServerError(Exception):
    """The fork server has ended, or does not answer."""


class ForkServer:
    """Forks guarded processes that run a module of this interpreter.

    Args:
        modules: what they import. Nothing that reads files of theirs, starts threads, or computes in parallel.
        environment: that of the imports. Where a process's own would have made a difference to them, it is started by
            ``exec``; so is what runs anything but a module of this interpreter.
        log: receives what the fork server says.
        idle: seconds without a fork after which the fork server ends; it is started again when it is needed.
    """

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str], log: Path, idle: float = IDLE) -> None:
        self._modules = modules
        self._environment = environment
        self._log = log
        self._idle = idle
        self._starting = asyncio.Lock()
        self._running: _Running | None = None
        self._is_usable = IS_POSSIBLE

    async def fork(self, order: Order) -> ForkedGuard | None:
        """Fork a guard and its command; None where that is not possible.

        Raises:
            OSError: the folder, or a variable, is none that a process can have.
        """
        while self._is_usable:
            running, is_new = await self._ready()
            try:
                return await running.fork(order)
            except ForkServerError as error:
                await self._discard(running)
                if is_new:  # another would fail, too
                    self._is_usable = False
                    logger.warning("Processes are started, not forked: %s See %s.", error, self._log)
        return None

    async def close(self) -> None:
        """End the fork server; what it has forked goes on."""
        self._is_usable = False
        if self._running:
            await self._discard(self._running)

    async def _ready(self) -> tuple[_Running, bool]:
        """Return the fork server, and whether it was started just now."""
        async with self._starting:
            is_new = self._running is None
            if self._running is None:
                self._running = await _Running.start(self._modules, self._environment, self._log, self._idle)
            return self._running, is_new

    async def _discard(self, running: _Running) -> None:
        if self._running is running:
            self._running = None
        await running.stop()


class _Running:
    """A fork server, and the connection to it."""

    def __init__(self, process: GuardedProcess, connection: socket.socket) -> None:
        self._process = process
        self._connection = connection

    @classmethod
    async def start(cls, modules: Sequence[str], environment: Mapping[str, str], log: Path, idle: float) -> _Running:
        imports = json.dumps({"modules": list(modules), "variables": list(environment), "idle": idle})
        ours, its = socket.socketpair()
        ours.setblocking(False)
        with its:
            process = await GuardedProcess.start(
                [sys.executable, str(PROGRAM), str(its.fileno())],
                log=log,
                environment={**environment, IMPORTS: imports.ljust(ROOM_FOR_COMMAND_LINES)},
                grace=GRACE,
                pass_fds=(its.fileno(),),
            )
        return cls(process, ours)

    async def fork(self, order: Order) -> ForkedGuard:
        """Fork a guard. Raises ForkServerError and, where the order cannot be carried out, OSError."""
        ours, its = socket.socketpair()
        with its:
            try:
                socket.send_fds(ours, [b" "], list(order.descriptors.values()))
                socket.send_fds(self._connection, [b" "], [its.fileno()])
            except OSError as error:
                ours.close()
                raise ForkServerError(f"The fork server has ended ({error}).") from error
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            writer.write(_text(order))
            async with asyncio.timeout(ANSWERS_WITHIN):
                return ForkedGuard(await _read(reader), reader, writer)
        except BaseException as error:
            writer.close()
            if isinstance(error, TimeoutError):
                raise ForkServerError(f"The fork server did not answer within {ANSWERS_WITHIN:g} s.") from error
            raise

    async def stop(self) -> None:
        self._connection.close()
        await self._process.stop()


class ForkedGuard:
    """A guard that was forked; it lives as long as its end of the connection, and says how its command ended."""

    def __init__(self, answer: Mapping[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if "error" in answer:
            raise OSError(*answer["error"])
        self.pid: int = answer["pid"]
        self._reader = reader
        self._writer = writer

    async def wait(self) -> int:
        """See :meth:`azureml_local.engines.process.Guard.wait`."""
        try:
            status = int((await _read(self._reader))["status"])
            await self._reader.read()  # to its end
            return status
        except ForkServerError:  # it ended without a word
            return -signal.SIGKILL
        finally:
            self._writer.close()

    def let_go(self) -> None:
        """See :meth:`azureml_local.engines.process.Guard.let_go`."""
        if not self._writer.is_closing():
            self._writer.write_eof()


async def _read(reader: asyncio.StreamReader) -> dict[str, Any]:
    """Return the next answer of a guard. Raises ForkServerError where it ends without one."""
    with contextlib.suppress(ConnectionError):
        line = await reader.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
    raise ForkServerError("The fork server ended before it answered.")


def _text(order: Order) -> bytes:
    asked = {
        "command": list(order.command),
        "environment": dict(order.environment),
        "cwd": os.fspath(order.cwd),
        "grace": order.grace,
        "memory": order.memory,
        "descriptors": list(order.descriptors),
    }
    return json.dumps(asked).encode() + b"\n"
