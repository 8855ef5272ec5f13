"""Append blobs that grow as something is written, so that whoever reads them sees it at once: logs, collected data."""

from __future__ import annotations

import asyncio
import datetime
from functools import partial

from azureml_local.engines.blobs import BlobError, BlobStorage
from azureml_local.engines.staging import once_storage_answers

LARGEST_BLOCK = 4 * 1024 * 1024
MOST_BLOCKS = 50_000  # https://learn.microsoft.com/rest/api/storageservices/append-block#remarks
# Up to how many blocks, and how many seconds lie between two of them meanwhile: a job that goes on writing reaches the
# most that a blob takes after 28 days, and no job runs for longer than 21.
PACE = ((1_000, 0.0), (10_000, 0.2), (30_000, 2.0), (MOST_BLOCKS, 120.0))
NO_CONFLICT = 412  # the blob ends elsewhere: an attempt whose answer was lost had come through


class LogBlob:
    """A log in storage. What is written while a piece is on its way, or before its time, goes with the next one."""

    def __init__(self, blobs: BlobStorage, container: str, name: str) -> None:
        self._blobs = blobs
        self._container = container
        self._name = name
        self._buffer = bytearray()
        self._wake = asyncio.Event()
        self._is_closed = False
        self._position = 0
        self._blocks = 0
        self._writer = asyncio.get_running_loop().create_task(self._write())

    def write(self, text: bytes) -> None:
        """Add to the log. What comes after storage has refused it is dropped; :meth:`close` says so."""
        if not self._writer.done():
            self._buffer += text
            self._wake.set()

    @property
    def pending(self) -> int:
        """How many bytes wait to be written."""
        return len(self._buffer)

    @property
    def blocks(self) -> int:
        """How many times something was appended."""
        return self._blocks

    @property
    def has_ended(self) -> bool:
        """Whether nothing is written any more: it was closed, or storage has refused something."""
        return self._writer.done()

    def say(self, text: str) -> None:
        """Add a line with the time before it."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        self.write(f"{now} {text}\n".encode())

    async def close(self) -> None:
        """Return once everything is in storage.

        Raises:
            UpstreamError: the storage does not answer.
            BlobError: it refused, for one because its disk is full.
        """
        self._is_closed = True
        self._wake.set()
        await self._writer

    async def _write(self) -> None:
        await once_storage_answers(partial(self._blobs.create_append_blob, self._container, self._name))
        while self._buffer or not self._is_closed:
            await self._wake.wait()
            self._wake.clear()
            while self._buffer and self._blocks < MOST_BLOCKS:
                await self._append()
                await self._pause()
            if self._blocks >= MOST_BLOCKS:
                self._buffer.clear()  # the blob takes no more

    async def _append(self) -> None:
        piece = bytes(self._buffer[:LARGEST_BLOCK])
        del self._buffer[: len(piece)]
        try:
            await once_storage_answers(partial(self._blobs.append, self._container, self._name, piece, self._position))
        except BlobError as error:
            if error.status != NO_CONFLICT:
                raise
        self._position += len(piece)
        self._blocks += 1

    async def _pause(self) -> None:
        """Wait until it is time for the next block; no longer once the log is closed, or one is full."""
        pause = next(seconds for most, seconds in PACE if self._blocks <= most)
        try:
            async with asyncio.timeout(pause):
                while not self._is_closed and len(self._buffer) < LARGEST_BLOCK:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            return
