"""Events that come too fast for the outbox: kept in memory for a moment, and written to the log store many at a time.

They are best effort, as these logs are on Azure: a service that is killed loses what came within the last second or so,
and while the log store cannot be written, what comes beyond :data:`MOST_WAITING` is dropped, with a warning.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Iterable

from azureml_local.engines.log_store.client import BATCH, RETRY_AFTER, LogStore, LogStoreError
from azureml_local.store import LogEvent

logger = logging.getLogger(__name__)

FLUSH_AFTER = 0.5  # seconds in which events gather
MOST_WAITING = 50_000


class EventStream:
    """Writes events in the order in which they come.

    Args:
        log_store: takes them.
    """

    def __init__(self, log_store: LogStore) -> None:
        self._log_store = log_store
        self._waiting: deque[LogEvent] = deque()
        self._filled = asyncio.Event()
        self._dropped = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write what comes."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def has_room(self) -> bool:
        """Whether what can wait elsewhere may come now."""
        return len(self._waiting) < MOST_WAITING // 2

    def put(self, events: Iterable[LogEvent]) -> None:
        """Take events; returns at once."""
        for event in events:
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append(event)
            else:
                self._dropped += 1
        self._filled.set()

    async def close(self) -> None:
        """Write what still waits, if that is possible now."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._write_all()
        except LogStoreError as error:
            logger.warning("%d events of Azure Monitor are lost: %s", len(self._waiting), error)

    async def _run(self) -> None:
        failures = 0
        while True:
            await self._filled.wait()
            await asyncio.sleep(FLUSH_AFTER)
            self._filled.clear()
            try:
                await self._write_all()
                failures = 0
            except (LogStoreError, sqlite3.OperationalError) as error:
                logger.error("%d events of Azure Monitor wait: %s", len(self._waiting), error)
                await asyncio.sleep(RETRY_AFTER[min(failures, len(RETRY_AFTER) - 1)])
                failures += 1
                self._filled.set()

    async def _write_all(self) -> None:
        while self._waiting:
            batch = [self._waiting[index] for index in range(min(BATCH, len(self._waiting)))]
            await self._log_store.append(batch)
            for _ in batch:
                self._waiting.popleft()
        if self._dropped:
            logger.warning("%d events of Azure Monitor came too fast and were dropped", self._dropped)
            self._dropped = 0
