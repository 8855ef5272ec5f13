"""The service's side of the log store: it starts the process when there is something for it, and ships events to it.

Events lie in the outbox of the resource store until the log store has them on disk. Whatever fails between, they are
sent again, and stored once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from azureml_local.engines.log_store import READY
from azureml_local.engines.process import GuardedProcess, own_environment
from azureml_local.home import Home
from azureml_local.http.upstream import Address, BodyTooLargeError, Upstream, UpstreamError
from azureml_local.store import LogEvent, Store

logger = logging.getLogger(__name__)

LAUNCH_WITHIN = 60.0  # seconds
ANSWER_WITHIN = 60.0
# Bytes: https://learn.microsoft.com/azure/azure-monitor/service-limits#log-queries-and-language
LARGEST_ANSWER = 100 * 2**20
BATCH = 1000  # events that are sent at once
RETRY_AFTER = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds before events that could not be stored are sent again
RETENTION_EVERY = 3600.0  # seconds between two times that outdated records are looked for
GRACE = 15.0  # seconds that a query gets beyond its own limit to be interrupted
HEADERS = [(b"host", b"localhost")]
ADVICE = (
    "They are kept, and written as soon as they can be. If the log store's file is damaged, put a copy of it back, or "
    "move it away to begin with an empty one."
)


class LogStoreError(Exception):
    """The log store did not do what it was asked; the message says why."""


class LogStore:
    """Ships the outbox's events, and answers queries.

    Args:
        home: the state folder; the records lie in its ``log_store``.
        store: holds the outbox.
        retention: returns how many days each Log Analytics workspace keeps records, by the workspaces' guids.
    """

    def __init__(self, home: Home, store: Store, retention: Callable[[], Mapping[str, int]]) -> None:
        self._home = home
        self._store = store
        self._retention = retention
        self._child: _Child | None = None
        self._starting = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._is_retention_due = True
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to ship; the process is not started before there is an event."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._ship()), loop.create_task(self._look_for_outdated())]
        self.wake()

    def wake(self) -> None:
        """Ship what waits in the outbox."""
        self._wanted.set()

    def apply_retention(self) -> None:
        """Delete what is outdated: a workspace was changed or deleted."""
        self._is_retention_due = True
        self.wake()

    async def close(self) -> None:
        """End the process; what still waits is shipped after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._child:
            await self._child.stop()

    async def append(self, events: Sequence[LogEvent]) -> None:
        """Write events that are not in the outbox. Raises LogStoreError; they can be written again, and are there once.

        Args:
            events: in the order of each writer's sequences.
        """
        await self._ask("/append", _batch(events))

    async def query(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, Any]:
        """Return the result of one SQL query.

        Args:
            sql: in DuckDB's dialect; it can neither read nor write other files.
            parameters: the values of its ``?``.

        Returns:
            ``columns``, by name, and ``rows``, with time stamps as ISO 8601 text in UTC.

        Raises:
            LogStoreError: the query fails, takes longer than a minute, or the records cannot be read.
        """
        answer: dict[str, Any] = await self._ask("/query", [sql, list(parameters)])
        return answer

    async def kusto(self, request: Mapping[str, Any], seconds: float) -> tuple[int, bytes]:
        """Return the answer to a Kusto query: its HTTP status, and its body as Azure writes it, or what is wrong.

        Args:
            request: the members of :class:`azureml_local.engines.log_store.kusto.execution.Request`.
            seconds: how long it may take; a process that cannot be interrupted then is ended soon after.

        Raises:
            LogStoreError: the records cannot be read.
        """
        body = json.dumps({**request, "seconds": seconds}).encode()
        return await self._exchange("/kusto", body, seconds + GRACE)

    async def _ship(self) -> None:
        failures = 0
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._ship_all()
                failures = 0
            except (LogStoreError, sqlite3.OperationalError) as error:
                logger.error("Events of Azure Monitor wait in the outbox: %s. %s", error, ADVICE)
                await self._discard(self._child)  # after a full disk, DuckDB has to open its file again
                await asyncio.sleep(RETRY_AFTER[min(failures, len(RETRY_AFTER) - 1)])
                failures += 1
                self.wake()

    async def _ship_all(self) -> None:
        if self._is_retention_due:
            self._is_retention_due = False
            retention = self._retention()
            self._store.delete_outdated_events(retention)
            if self._child:  # another learns of it when it is started
                await self._ask("/retain", retention)
        while events := self._store.waiting_events(BATCH):
            await self._ask("/append", _batch(events))
            self._store.delete_events(events[-1].sequence)

    async def _look_for_outdated(self) -> None:
        while True:
            await asyncio.sleep(RETENTION_EVERY)
            self.apply_retention()

    async def _ask(self, path: str, body: Any) -> Any:
        """Return what the process answers. Raises LogStoreError."""
        return _result(*await self._exchange(path, _content(body), ANSWER_WITHIN))

    async def _exchange(self, path: str, body: bytes, seconds: float) -> tuple[int, bytes]:
        """Return status and body of the answer of the process, which is started where none runs."""
        for is_last in (False, True):
            child = await self._ready()
            try:
                return await child.ask(path, body, seconds)
            except TimeoutError as error:
                await self._discard(child)
                raise LogStoreError(f"the log store did not answer within {seconds:g} s") from error
            except BodyTooLargeError as error:
                raise LogStoreError(f"the answer has more than {LARGEST_ANSWER} bytes") from error
            except UpstreamError as error:  # it was killed, perhaps long ago
                await self._discard(child)
                if is_last:
                    raise LogStoreError(f"the log store ended before it answered ({error})") from error
        raise AssertionError("the last attempt returns or raises")

    async def _ready(self) -> _Child:
        async with self._starting:
            if self._child is None:
                self._child = await _Child.start(self._home, self._retention())
            return self._child

    async def _discard(self, child: _Child | None) -> None:
        """End a process that failed; another is started when one is needed."""
        if child:
            if self._child is child:
                self._child = None
            await child.stop()


class _Child:
    """The running process."""

    def __init__(self, process: GuardedProcess, address: Path) -> None:
        self._process = process
        self._upstream = Upstream(Address(socket=address))

    @classmethod
    async def start(cls, home: Home, retention: Mapping[str, int]) -> _Child:
        """Start the process; return when it answers, and holds nothing outdated. Raises LogStoreError."""
        file, address, log = home.log_store / "logs.duckdb", home.sockets / "logs.sock", home.logs / "log_store.log"
        try:
            home.log_store.mkdir(mode=0o700, exist_ok=True)
            process = await GuardedProcess.start(
                [sys.executable, "-m", "azureml_local.engines.log_store.server", str(file), str(address)],
                log=log,
                environment=own_environment(),
                capture=True,
            )
        except OSError as error:
            raise LogStoreError(f"the log store cannot be started: {error}") from error
        child = cls(process, address)
        try:
            async with asyncio.timeout(LAUNCH_WITHIN):
                word = (await process.read_line()).strip()
                if word != READY:
                    raise LogStoreError(f"{file} cannot be opened: {word or f'see {log}'}")
                _result(*await child.ask("/retain", _content(retention), LAUNCH_WITHIN))
        except (TimeoutError, UpstreamError) as error:
            await child.stop()
            raise LogStoreError(
                f"the log store did not answer within {LAUNCH_WITHIN:g} s, or ended; see {log}."
            ) from error
        except BaseException:
            await child.stop()
            raise
        return child

    async def stop(self) -> None:
        self._upstream.close()
        await self._process.stop()

    async def ask(self, path: str, body: bytes, seconds: float) -> tuple[int, bytes]:
        """Return status and body of the answer to a request.

        Raises:
            TimeoutError: it took too long.
            UpstreamError: the process has ended.
        """
        status, _, answer = await self._upstream.exchange(
            "POST", path, HEADERS, body, seconds=seconds, largest=LARGEST_ANSWER
        )
        return status, answer


def _content(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def _result(status: int, answer: bytes) -> Any:
    """Return what an answer holds. Raises LogStoreError where the request failed."""
    value = json.loads(answer)
    if status != 200:
        raise LogStoreError(value["error"])
    return value


def _batch(events: Sequence[LogEvent]) -> bytes:
    """Return events as the process wants them; their records are JSON already."""
    parts = (f'["{one.writer}",{one.sequence},"{one.category}",{one.record}]' for one in events)
    return f"[{','.join(parts)}]".encode()
