"""Takes what deployments collect, and brings it into storage in the background.

Until it is there it is held in memory: of what was collected in the moment before it is killed (less than a second,
while the storage answers), the service may lose something.
"""

from __future__ import annotations

import asyncio
import datetime
import hmac
import json
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import quote

from azureml_local.engines.blobs import BlobError, BlobStorage
from azureml_local.engines.data_collection.events import Event
from azureml_local.engines.data_collection.rolled_log import RolledLog
from azureml_local.engines.data_collection.settings import CollectionSettings
from azureml_local.engines.staging import once_storage_answers
from azureml_local.home import write_private
from azureml_local.http.upstream import UpstreamError

logger = logging.getLogger(__name__)

# https://learn.microsoft.com/azure/machine-learning/how-to-collect-production-data#store-large-payloads
LARGEST_INLINE = 4 * 1024 * 1024  # bytes of data in a line; larger data has a blob of its own
MOST_PENDING = 64 * 1024 * 1024  # bytes of a deployment that wait for the storage
LOOPBACK = "127.0.0.1"


class DataCollector:
    """Collects for one deployment, as long as its instances run.

    Args:
        settings: what it collects.
        blobs: where to.
        forget: is called with its name when it is closed.
    """

    def __init__(self, settings: CollectionSettings, blobs: BlobStorage, forget: Callable[[str], object]) -> None:
        self.settings = settings
        self.name = secrets.token_hex(8)
        self.secret = secrets.token_urlsafe(32)
        self._blobs = blobs
        self._forget = forget
        self._logs = {name: RolledLog(blobs, collection) for name, collection in settings.collections.items()}
        self._uploads: dict[asyncio.Task[None], int] = {}  # with the size of what is on its way
        self._dropped = 0

    def collects(self, name: str) -> bool:
        """Say whether there is such a collection."""
        return name in self._logs

    def collect(self, event: Event) -> bool:
        """Take an event; False where it is dropped, because the storage has not taken what came before."""
        if self._pending + len(event.body) > MOST_PENDING:
            self._note_drop()
            return False
        self._note_end_of_drops()
        folder = self.settings.folder(datetime.datetime.now(datetime.UTC))
        if event.is_json and len(event.body) <= LARGEST_INLINE:
            self._write(event, folder, event.body)
        else:
            upload = asyncio.get_running_loop().create_task(self._upload(event, folder))
            self._uploads[upload] = len(event.body)
            upload.add_done_callback(self._uploads.pop)
        return True

    async def close(self) -> None:
        """Take nothing more; return once all that was taken is in storage, or storage has refused it."""
        self._forget(self.name)
        await asyncio.gather(*self._uploads)
        await asyncio.gather(*(log.close() for log in self._logs.values()))

    @property
    def _pending(self) -> int:
        return sum(log.pending for log in self._logs.values()) + sum(self._uploads.values())

    def _write(self, event: Event, folder: str, data: bytes, **more: str) -> None:
        self._logs[event.name].write(folder, event.line(self.settings.source, data, **more))

    async def _upload(self, event: Event, folder: str) -> None:
        """Write an event's data to a blob of its own, then the event, which says where.

        ``dataref`` is what Microsoft's own reader follows (model_data_collector_preprocessor in Azure/azureml-assets);
        for what is no JSON, the documentation's sample has the address in ``data``.
        """
        collection = self.settings.collections[event.name]
        name = f"{collection.path}/{folder}/{event.id}"
        write = partial(_write_whole, self._blobs, collection.container, name, event.body)
        try:
            await once_storage_answers(write)
        except (UpstreamError, BlobError) as error:
            logger.warning("%d bytes that were collected for %s are lost: %s", len(event.body), name, error)
            return
        url = f"https://{self._blobs.host}/{collection.container}/{quote(name)}"
        if event.is_json:
            self._write(event, folder, b"", dataref=url)
        else:
            self._write(event, folder, json.dumps(url).encode(), datainblob="true")

    def _note_drop(self) -> None:
        if not self._dropped:
            logger.warning(
                "the storage does not take what %s collects; from here on it is dropped", self.settings.source
            )
        self._dropped += 1

    def _note_end_of_drops(self) -> None:
        if self._dropped:
            logger.warning("%d events that %s collected were dropped", self._dropped, self.settings.source)
            self._dropped = 0


async def _write_whole(blobs: BlobStorage, container: str, name: str, content: bytes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield content

    await blobs.write_blob(container, name, pieces())


class DataCollectors:
    """The collectors of the deployments that run, and how their scripts reach them.

    azureml-ai-monitoring posts to a host and a port that it reads from the environment. The port is on loopback, where
    other users of the machine can reach it, too: so the host has a name and a secret before it, which the client's HTTP
    library turns into an ``Authorization`` header, and which are another deployment's or nobody's elsewhere.
    """

    def __init__(self, blobs: BlobStorage) -> None:
        self._blobs = blobs
        self._open: dict[str, DataCollector] = {}
        self.port = 0  # where the scripts' events are received; set before the first deployment starts

    def open(self, settings: CollectionSettings) -> DataCollector:
        """Return a collector for a deployment that is being started; close it when the deployment has ended."""
        collector = DataCollector(settings, self._blobs, self._open.pop)
        self._open[collector.name] = collector
        return collector

    def find(self, name: str, secret: str) -> DataCollector | None:
        """Return the collector that a script may write to, or None."""
        collector = self._open.get(name)
        if collector and hmac.compare_digest(secret.encode(), collector.secret.encode()):
            return collector
        return None

    def variables(self, collector: DataCollector, folder: Path) -> Mapping[str, str]:
        """Return the variables that make a script's ``Collector`` write to ``collector``.

        Args:
            collector: is open.
            folder: receives the client's settings.
        """
        config = folder / "mdc-config.json"
        write_private(config, json.dumps(collector.settings.client_config()))
        return {
            "AZUREML_MDC_CONFIG_PATH": str(config),
            "AZUREML_MDC_HOST": f"{collector.name}:{collector.secret}@{LOOPBACK}",
            "AZUREML_MDC_PORT": str(self.port),
        }
