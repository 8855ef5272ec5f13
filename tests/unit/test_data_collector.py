"""azureml_local.engines.data_collection: events, files by time, and what happens while the storage takes nothing.

Folders: https://learn.microsoft.com/azure/machine-learning/how-to-collect-production-data and the descriptions of
``RollingRateType`` in Microsoft's clients.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import cast

import pytest

from azureml_local.engines import staging
from azureml_local.engines.blobs import BlobError, BlobStorage
from azureml_local.engines.data_collection import collector as module
from azureml_local.engines.data_collection.collector import DataCollector, DataCollectors
from azureml_local.engines.data_collection.events import Event, attributes_of, of_client
from azureml_local.engines.data_collection.settings import Collection, CollectionSettings
from azureml_local.http.upstream import UpstreamError

NOW = datetime.datetime(2026, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)
SETTINGS = CollectionSettings("/deployments/blue", {"a": Collection("c", "path/a", 1.0)}, "Hour", ())


class Storage:
    """Stands for the storage. It answers while ``is_up``, and refuses the blobs whose names hold ``refused``."""

    host = "account.blob.core.windows.net"

    def __init__(self) -> None:
        self.is_up = True
        self.refused: str | None = None
        self.blobs: dict[str, bytes] = {}

    def _ask(self, name: str) -> None:
        if not self.is_up:
            raise UpstreamError("nothing answers")
        if self.refused and self.refused in name:
            raise BlobError(507, "no room")

    async def create_append_blob(self, _: str, name: str) -> None:
        self._ask(name)
        self.blobs[name] = b""

    async def append(self, _: str, name: str, content: bytes, position: int) -> None:
        self._ask(name)
        assert position == len(self.blobs[name])
        self.blobs[name] += content

    async def write_blob(self, _: str, name: str, pieces: AsyncIterator[bytes]) -> None:
        self._ask(name)
        self.blobs[name] = b"".join([piece async for piece in pieces])

    def events(self) -> list[str]:
        lines = [line for name, text in self.blobs.items() if name.endswith(".jsonl") for line in text.splitlines()]
        return [json.loads(line)["data"] for line in lines]


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setattr(staging, "LOOK_AGAIN_AFTER", 0.0)
    return Storage()


def opened(storage: Storage) -> DataCollector:
    return DataCollectors(cast(BlobStorage, storage)).open(SETTINGS)


def event(data: object, **options: str) -> Event:
    return Event("a", json.dumps(data).encode(), options.get("content_type", "application/json"), NOW)


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("rate", "folder"),
    [
        ("Year", "2026"),
        ("Month", "2026/03"),
        ("Day", "2026/03/04"),
        ("Hour", "2026/03/04/05"),
        ("Minute", "2026/03/04/05/06"),
    ],
)
def test_folder_is_of_the_rolling_rate(rate: str, folder: str) -> None:
    assert CollectionSettings("", {}, rate, ()).folder(NOW) == folder


def test_settings_survive_a_restart() -> None:
    stored = CollectionSettings("/d", {"a": Collection("c", "p", 0.5)}, "Day", ("x-shop",))
    assert CollectionSettings.load(json.loads(json.dumps(asdict(stored)))) == stored


def test_client_is_told_the_share_in_percent() -> None:
    settings = CollectionSettings("", {"a": Collection("c", "p", 0.25)}, "Day", ())
    assert settings.client_config() == {"collections": {"a": {"enabled": True, "sampleRatePercentage": 25.0}}}


def test_a_new_hour_has_a_new_file(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime.datetime):
        @classmethod
        def now(cls, _: datetime.tzinfo | None = None) -> Clock:
            return next(times)

    times = iter(Clock(2026, 3, 4, hour, tzinfo=datetime.UTC) for hour in (5, 5, 6, 5))
    monkeypatch.setattr(module.datetime, "datetime", Clock)

    async def main() -> None:
        collector = opened(storage)
        for number in range(4):
            collector.collect(event(number))
            await settle()
        await collector.close()

    asyncio.run(main())
    files = {name.rpartition("/")[0]: text.count(b"\n") for name, text in storage.blobs.items()}
    assert files == {"path/a/2026/03/04/05": 1, "path/a/2026/03/04/06": 1}  # the last of each hour's files
    assert sorted(storage.events()) == [0, 1, 2, 3]


def test_what_storage_does_not_take_waits_within_bounds(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MOST_PENDING", 5_000)

    async def main() -> list[bool]:
        collector = opened(storage)
        storage.is_up = False
        taken = []
        for number in range(40):
            taken.append(collector.collect(event(number)))
            await settle()
        storage.is_up = True
        await settle()
        taken.append(collector.collect(event("after")))
        await collector.close()
        return taken

    with caplog.at_level(logging.WARNING):
        taken = asyncio.run(main())
    assert taken[0]
    assert not taken[-2]
    assert taken[-1]
    assert storage.events() == [number for number in range(40) if taken[number]] + ["after"]
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "the storage does not take what /deployments/blue collects; from here on it is dropped",
        f"{taken.count(False)} events that /deployments/blue collected were dropped",
    ]


def test_refusal_is_told_and_the_next_event_begins_anew(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        collector = opened(storage)
        storage.refused = ".jsonl"
        collector.collect(event("lost"))
        await settle()
        storage.refused = None
        collector.collect(event("kept"))
        await collector.close()

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert storage.events() == ["kept"]
    assert "that were collected for path/a are lost" in caplog.text


def test_data_of_its_own_is_there_before_its_event(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_INLINE", 10)

    async def main() -> None:
        collector = opened(storage)
        storage.refused = "path/a"
        collector.collect(event("x" * 20))
        await settle()
        storage.refused = None
        collector.collect(event("y" * 20))
        await collector.close()

    asyncio.run(main())
    lines = [text for name, text in storage.blobs.items() if name.endswith(".jsonl")]
    assert len(lines) == 1, "an event that leads nowhere"
    reference = json.loads(lines[0])["dataref"]
    assert storage.blobs[reference.partition("/c/")[2]] == json.dumps("y" * 20).encode()


def test_closed_collector_takes_nothing_from_its_script(storage: Storage) -> None:
    async def main() -> None:
        collectors = DataCollectors(cast(BlobStorage, storage))
        collector = collectors.open(SETTINGS)
        assert collectors.find(collector.name, collector.secret) is collector
        assert collectors.find(collector.name, "ü") is None
        await collector.close()
        assert collectors.find(collector.name, collector.secret) is None

    asyncio.run(main())


@pytest.mark.parametrize("name", ["id", "Source", "data", "data-ref", "specversion", "time", "-"])
def test_attributes_leave_alone_what_an_event_says_of_itself(name: str) -> None:
    assert attributes_of([(name, "forged"), ("X-Kept", "1")]) == {"xkept": "1"}


@pytest.mark.parametrize("sent", ["../../up", "a/b", "", "x" * 65])
def test_id_that_could_lead_elsewhere_is_replaced(sent: str) -> None:
    headers = [(b"ce-type", b"azureml.inference.a"), (b"ce-time", b"1"), (b"trace-id", sent.encode())]
    assert len(of_client(headers, b"[]").id) == 36


@pytest.mark.parametrize(
    "body",
    ['{"a": 1}'.encode("utf-16"), b"\xef\xbb\xbf[1]", b'"\xed\xa0\x80"', b"[" * 100_000 + b"]" * 100_000],
    ids=["utf-16", "with a byte order mark", "half a surrogate pair", "deep"],
)
def test_json_that_cannot_stand_in_a_line_has_a_blob_of_its_own(storage: Storage, body: bytes) -> None:
    """A line is UTF-8 (RFC 8259, 8.1), and whoever reads the file has to read each of them."""

    async def main() -> None:
        collector = opened(storage)
        assert collector.collect(Event("a", body, "application/json", NOW))
        await collector.close()

    asyncio.run(main())
    (reference,) = storage.events()
    assert storage.blobs[reference.partition("/c/")[2]] == body
