"""A run's log: an append blob that grows as the job writes, so that whoever streams it sees it at once."""

from __future__ import annotations

import asyncio
from functools import partial

from azureml_local.engines.blobs import BlobStorage
from azureml_local.engines.staging import once_storage_answers

LARGEST_BLOCK = 4 * 1024 * 1024


class LogBlob:
    """A log in storage. What is written while a piece is on its way goes with the next one."""

    def __init__(self, blobs: BlobStorage, container: str, name: str) -> None:
        self._blobs = blobs
        self._container = container
        self._name = name
        self._buffer = bytearray()
        self._written = asyncio.Event()
        self._is_closed = False
        self._writer = asyncio.get_running_loop().create_task(self._write())

    def write(self, text: bytes) -> None:
        """Add to the log."""
        self._buffer += text
        self._written.set()

    async def close(self) -> None:
        """Return once everything is in storage."""
        self._is_closed = True
        self._written.set()
        await self._writer

    async def _write(self) -> None:
        await once_storage_answers(partial(self._blobs.create_append_blob, self._container, self._name))
        while self._buffer or not self._is_closed:
            await self._written.wait()
            self._written.clear()
            while self._buffer:
                piece = bytes(self._buffer[:LARGEST_BLOCK])
                del self._buffer[: len(piece)]
                await once_storage_answers(partial(self._blobs.append, self._container, self._name, piece))
