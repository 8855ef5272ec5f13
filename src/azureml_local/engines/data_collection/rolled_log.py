"""A collection's lines in storage: a file after another, in folders by time."""

from __future__ import annotations

import asyncio
import logging
import uuid

from azureml_local.engines.blobs import BlobError, BlobStorage
from azureml_local.engines.data_collection.settings import Collection
from azureml_local.engines.log_blob import LogBlob
from azureml_local.http.upstream import UpstreamError

logger = logging.getLogger(__name__)

MOST_BLOCKS = 10_000  # of a file: beyond that, an append blob's blocks are put off for longer than is to be lost


class RolledLog:
    """Lines that are appended to a file of their folder, in their order.

    Args:
        blobs: the storage.
        collection: where the folders are.
    """

    def __init__(self, blobs: BlobStorage, collection: Collection) -> None:
        self._blobs = blobs
        self._collection = collection
        self._folder = ""
        self._log: LogBlob | None = None
        self._ending: dict[asyncio.Task[None], LogBlob] = {}

    @property
    def pending(self) -> int:
        """How many bytes are not in storage yet."""
        return sum(log.pending for log in (self._log, *self._ending.values()) if log)

    def write(self, folder: str, line: bytes) -> None:
        """Append a line to the folder's file; it is written as soon as what came before it is."""
        if self._log is None or folder != self._folder or self._log.has_ended or self._log.blocks >= MOST_BLOCKS:
            self._end_file()
            self._folder = folder
            name = f"{self._collection.path}/{folder}/{uuid.uuid4()}.jsonl"
            self._log = LogBlob(self._blobs, self._collection.container, name)
        self._log.write(line)

    async def close(self) -> None:
        """Return once everything is in storage, or storage has refused it."""
        self._end_file()
        await asyncio.gather(*self._ending)

    def _end_file(self) -> None:
        if self._log:
            task = asyncio.get_running_loop().create_task(self._close(self._log))
            self._ending[task] = self._log
            task.add_done_callback(self._ending.pop)
            self._log = None

    async def _close(self, log: LogBlob) -> None:
        try:
            await log.close()
        except (UpstreamError, BlobError) as error:
            logger.warning(
                "%d bytes or more that were collected for %s are lost: %s", log.pending, self._collection.path, error
            )
