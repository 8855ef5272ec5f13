"""From the files that an attempt to deploy leaves to the tables of console and event logs.

What the tables hold: https://learn.microsoft.com/azure/machine-learning/how-to-monitor-online-endpoints#use-logs.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from azureml_local.arm.context import Context
from azureml_local.arm.online import container_logs
from azureml_local.arm.online.container_logs import ContainerLogs
from azureml_local.arm.online.online_endpoints import DEPLOYMENT_TYPE, TYPE
from azureml_local.engines.deployment_record import DeploymentRecord
from azureml_local.engines.instance_log import former
from azureml_local.engines.log_store import stream as stream_module
from azureml_local.engines.log_store.stream import EventStream
from azureml_local.home import Home
from log_store import SECONDS, WORKSPACE, Logs, running, state_folder

CONSOLE, EVENTS = "AmlOnlineEndpointConsoleLog", "AmlOnlineEndpointEventLog"
ENDPOINT = f"{WORKSPACE}/onlineEndpoints/churn"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_logs, "READ_EVERY", 0.02)
    monkeypatch.setattr(stream_module, "FLUSH_AFTER", 0.02)


@pytest.fixture
def home() -> Iterator[Home]:
    with state_folder() as folder:
        yield folder


class Endpoint:
    """An endpoint with one deployment, whose attempts lie in a folder."""

    def __init__(self, logs: Logs, folder: Path) -> None:
        self.logs = logs
        self.folder = folder
        body: dict[str, Any] = {"location": "eastus", "properties": {}}
        logs.store.put(ENDPOINT, TYPE, WORKSPACE, body, "me")
        environment = f"{WORKSPACE}/environments/tiny/versions/1"
        body = {"location": "eastus", "properties": {"environmentId": environment}}
        logs.store.put(f"{ENDPOINT}/deployments/blue", DEPLOYMENT_TYPE, ENDPOINT, body, "me")
        self.deployment = body

    def send(self, *categories: str, to: str = "logs") -> None:
        self.logs.send(categories, to=self.logs.log_workspace(to), of=ENDPOINT)
        self.logs.events.settings_changed.set()

    async def console(self, number: int) -> list[str]:
        """Return the messages of the console log, once there are as many."""
        return [row["Message"] for row in await self.rows(CONSOLE, number)]

    async def rows(self, table: str, number: int) -> list[dict[str, Any]]:
        while True:
            answer = await self.logs.log_store.query(f'SELECT * FROM "{table}" ORDER BY rowid')
            if len(answer["rows"]) >= number:
                return [dict(zip(answer["columns"], row, strict=True)) for row in answer["rows"]]
            await asyncio.sleep(0.02)


@asynccontextmanager
async def following(logs: Logs, folder: Path) -> AsyncIterator[ContainerLogs]:
    """Follow the attempts in a folder, as a running service does."""
    context = SimpleNamespace(
        store=logs.store,
        events=logs.events,
        log_store=logs.log_store,
        serving=SimpleNamespace(attempts=lambda _: DeploymentRecord.all(folder)),
    )
    stream = EventStream(logs.log_store)
    followed = ContainerLogs(cast(Context, context), stream)
    stream.start()
    followed.start()
    try:
        yield followed
    finally:
        await followed.close()
        await stream.close()


def scenario(home: Home, act: Callable[[Endpoint], Any]) -> None:
    async def run() -> None:
        async with asyncio.timeout(SECONDS), running(home) as logs:
            await act(Endpoint(logs, home.deployments / "blue"))

    asyncio.run(run())


def test_what_is_written_from_the_setting_on_is_sent(home: Home) -> None:
    async def act(endpoint: Endpoint) -> None:
        early = DeploymentRecord.new(endpoint.folder)
        early.event("Pulling")
        early.write("inferenceserver", "before")
        async with following(endpoint.logs, endpoint.folder):
            await asyncio.sleep(0.1)
            assert endpoint.logs.process() is None  # nobody wants them
            endpoint.send()
            early.event("Pulled")
            await endpoint.rows(EVENTS, 1)
            early.write("inferenceserver", "after")
            later = DeploymentRecord.new(endpoint.folder)
            later.event("Created")
            later.write("storageinitializer", "Downloading model m version 1")
            rows = {row["Message"]: row for row in await endpoint.rows(CONSOLE, 2)}
        assert set(rows) == {"after", "Downloading model m version 1"}
        row = rows["Downloading model m version 1"]
        assert (row["ContainerName"], row["DeploymentName"]) == ("storage-initializer", "blue")
        assert (row["InstanceId"], row["_ResourceId"]) == (f"blue-{later.suffix}", ENDPOINT.lower())
        assert rows["after"]["ContainerName"] == "inference-server"
        events = await endpoint.rows(EVENTS, 2)
        assert [(one["Name"], one["Message"]) for one in events] == [
            ("Pulled", "Container image is pulled successfully"),
            ("Created", "Created container inference-server"),
        ]
        told = json.loads(later.events.read_text())["time"]
        assert datetime.datetime.fromisoformat(events[1]["TimeGenerated"]) == datetime.datetime.fromisoformat(told)

    scenario(home, act)


def test_deployment_that_comes_after_the_setting_is_followed(home: Home) -> None:
    async def act(endpoint: Endpoint) -> None:
        endpoint.logs.store.delete(f"{ENDPOINT}/deployments/blue")
        endpoint.send()
        async with following(endpoint.logs, endpoint.folder):
            await asyncio.sleep(0.1)
            endpoint.logs.store.put(
                f"{ENDPOINT}/deployments/blue", DEPLOYMENT_TYPE, ENDPOINT, endpoint.deployment, "me"
            )
            DeploymentRecord.new(endpoint.folder).write("inferenceserver", "line")
            assert await endpoint.console(1) == ["line"]

    scenario(home, act)


def test_only_the_category_that_is_asked_for_is_sent_and_to_each_sink(home: Home) -> None:
    async def act(endpoint: Endpoint) -> None:
        endpoint.send(CONSOLE, to="first")
        endpoint.send(CONSOLE, to="second")
        record = DeploymentRecord.new(endpoint.folder)
        record.event("Created")
        record.write("inferenceserver", "line")
        async with following(endpoint.logs, endpoint.folder):
            rows = await endpoint.rows(CONSOLE, 2)
        assert len({row["TenantId"] for row in rows}) == len(rows) == 2
        assert await endpoint.rows(EVENTS, 0) == []

    scenario(home, act)


def test_any_text_is_taken(home: Home) -> None:
    async def act(endpoint: Endpoint) -> None:
        endpoint.send()
        record = DeploymentRecord.new(endpoint.folder)
        log = record.log("inferenceserver")
        log.write_bytes(b"\xff bad\n\nprogress 1\rprogress 2\nx" + b"y" * 40_000 + b"\nunfinished")
        async with following(endpoint.logs, endpoint.folder):
            found = await endpoint.console(5)
            with log.open("a") as file:
                file.write(" no more\n")
            assert (await endpoint.console(6))[-1] == "unfinished no more"
        assert found[:3] == ["\ufffd bad", "", "progress 1\rprogress 2"]
        assert found[3] + found[4] == "x" + "y" * 40_000

    scenario(home, act)


def test_log_that_begins_anew_loses_nothing(home: Home) -> None:
    """It does when it is large: what it held is beside it then (engines/instance_log.py)."""

    async def act(endpoint: Endpoint) -> None:
        endpoint.send()
        record = DeploymentRecord.new(endpoint.folder)
        log = record.log("inferenceserver")
        async with following(endpoint.logs, endpoint.folder):
            record.write("inferenceserver", "first line, which is long")
            assert await endpoint.console(1) == ["first line, which is long"]
            record.write("inferenceserver", "second")  # no other task runs before the log is cut
            shutil.copyfile(log, former(log))
            os.truncate(log, 0)
            record.write("inferenceserver", "third")
            assert await endpoint.console(3) == ["first line, which is long", "second", "third"]

    scenario(home, act)


def test_follower_that_begins_again_goes_on_where_the_log_store_has_stopped(home: Home) -> None:
    async def act(endpoint: Endpoint) -> None:
        endpoint.send()
        record = DeploymentRecord.new(endpoint.folder)
        for number in range(3):
            async with following(endpoint.logs, endpoint.folder):
                record.write("inferenceserver", f"line {number}")
                record.event("Created")
                await endpoint.rows(EVENTS, 2 * number + 1)
            record.write("inferenceserver", f"line {number} while nobody read")
            record.event("Killing")
        async with following(endpoint.logs, endpoint.folder):
            console = await endpoint.console(6)
            await endpoint.rows(EVENTS, 6)
            await asyncio.sleep(0.2)
            assert len(await endpoint.rows(EVENTS, 6)) == 6
        wanted = [f"line {number}{more}" for number in range(3) for more in ("", " while nobody read")]
        assert sorted(console) == sorted(wanted)

    scenario(home, act)


def test_killed_log_store_loses_no_line_and_writes_none_twice(home: Home) -> None:
    async def act(endpoint: Endpoint) -> None:
        endpoint.send()
        record = DeploymentRecord.new(endpoint.folder)
        async with following(endpoint.logs, endpoint.folder):
            for number in range(200):
                record.write("inferenceserver", f"{number}")
                process = endpoint.logs.process() if number % 40 == 20 else None
                if process:
                    os.kill(process.pid, signal.SIGKILL)
                await asyncio.sleep(0.005)
            found = await endpoint.console(200)
        assert found == [str(number) for number in range(200)]

    scenario(home, act)


def test_log_workspace_that_was_deleted_comes_back(home: Home) -> None:
    """The setting is the same one all the time; nothing is sent while there is nowhere to send it to."""

    async def act(endpoint: Endpoint) -> None:
        store = endpoint.logs.store
        endpoint.send(CONSOLE)
        sink = endpoint.logs.log_workspace("logs")
        store.delete(sink.id)
        async with following(endpoint.logs, endpoint.folder):
            await asyncio.sleep(0.1)
            assert endpoint.logs.process() is None
            store.put(sink.id, sink.type, sink.id.partition("/providers/")[0], sink.body, "me")
            DeploymentRecord.new(endpoint.folder).write("inferenceserver", "after")
            assert await endpoint.console(1) == ["after"]

    scenario(home, act)


def test_file_that_cannot_be_read_does_not_keep_the_service_from_its_end(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def act(endpoint: Endpoint) -> None:
        DeploymentRecord.new(endpoint.folder)
        endpoint.send(EVENTS)
        async with following(endpoint.logs, endpoint.folder):
            DeploymentRecord.new(endpoint.folder).event("Pulling")
            await endpoint.rows(EVENTS, 1)

            def refused(_: DeploymentRecord) -> None:
                raise PermissionError(13, "Permission denied")

            monkeypatch.setattr(DeploymentRecord, "read_events", refused)

    scenario(home, act)
    assert "cannot be read" in caplog.text


def test_file_that_cannot_be_read_keeps_no_other_from_being_read(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(endpoint: Endpoint) -> None:
        unreadable, read = DeploymentRecord.new(endpoint.folder), DeploymentRecord.read_events

        def read_others(record: DeploymentRecord) -> list[dict[str, str]]:
            if record.folder == unreadable.folder:
                raise PermissionError(13, "Permission denied")
            return read(record)

        monkeypatch.setattr(DeploymentRecord, "read_events", read_others)
        endpoint.send(EVENTS)
        async with following(endpoint.logs, endpoint.folder):
            DeploymentRecord.new(endpoint.folder).event("Pulling")
            await endpoint.rows(EVENTS, 1)

    scenario(home, act)
