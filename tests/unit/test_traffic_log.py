"""The traffic log: which requests have rows, how many are kept in memory, and what a fault costs."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from azureml_local.arm.online.online_endpoints import TYPE
from azureml_local.dataplane.scoring_exchange import Exchange
from azureml_local.dataplane.traffic_log import TrafficLog
from azureml_local.engines.log_store import client
from azureml_local.engines.log_store import stream as stream_module
from azureml_local.engines.log_store.stream import EventStream
from azureml_local.home import Home
from log_store import SECONDS, WORKSPACE, Logs, running, state_folder, until

TABLE = "AmlOnlineEndpointTrafficLog"
ENDPOINT, UNWATCHED = f"{WORKSPACE}/onlineEndpoints/churn", f"{WORKSPACE}/onlineEndpoints/other"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "FLUSH_AFTER", 0.02)
    monkeypatch.setattr(client, "RETRY_AFTER", (0.0, 0.05))
    monkeypatch.setattr(stream_module, "RETRY_AFTER", (0.0, 0.05))


@pytest.fixture
def home() -> Iterator[Home]:
    with state_folder() as folder:
        yield folder


def exchange(request_id: str, endpoint: str = ENDPOINT, **changes: Any) -> Exchange:
    """A request that was answered."""
    now = time.perf_counter()
    known: dict[str, Any] = {
        "request_id": request_id,
        "method": "POST",
        "target": "/score?a=b",
        "protocol": "HTTP/1.1",
        "request_headers": [(b"user-agent", b"curl")],
        "began_at": time.time(),
        "began": now,
        "endpoint_id": endpoint,
        "deployment": "blue",
        "received": now,
        "status": 200,
        "answer_headers": [],
        "first_byte": now,
        "last_byte": now,
    }
    return Exchange(**{**known, **changes})


@asynccontextmanager
async def listening(logs: Logs) -> AsyncIterator[TrafficLog]:
    stream = EventStream(logs.log_store)
    traffic = TrafficLog(logs.store, logs.events, stream)
    stream.start()
    try:
        yield traffic
    finally:
        await traffic.close()
        await stream.close()


async def ids(logs: Logs) -> list[str]:
    answer = await logs.log_store.query(f"SELECT XRequestId FROM {TABLE}")
    return [one for (one,) in answer["rows"]]


def scenario(home: Home, act: Callable[[Logs], Any], auth_mode: str = "Key") -> None:
    async def run() -> None:
        async with asyncio.timeout(SECONDS), running(home) as logs:
            for endpoint in (ENDPOINT, UNWATCHED):
                body = {"location": "eastus", "properties": {"authMode": auth_mode}}
                logs.store.put(endpoint, TYPE, WORKSPACE, body, "me")
            logs.send([TABLE], to=logs.log_workspace("logs"), of=ENDPOINT)
            await act(logs)

    asyncio.run(run())


def test_ten_thousand_requests_have_ten_thousand_rows_though_the_log_store_is_killed(home: Home) -> None:
    async def act(logs: Logs) -> None:
        async with listening(logs) as traffic:
            for number in range(10_000):
                traffic(exchange(str(number)))
                if number % 100 == 0:
                    await asyncio.sleep(0)
                process = logs.process() if number % 2500 == 1250 else None
                if process:
                    os.kill(process.pid, signal.SIGKILL)
        assert sorted(map(int, await ids(logs))) == list(range(10_000))

    scenario(home, act)


def test_only_what_clients_asked_of_an_endpoint_with_a_setting_is_logged(home: Home) -> None:
    async def act(logs: Logs) -> None:
        async with listening(logs) as traffic:
            traffic(exchange("mirrored", is_mirrored=True))
            traffic(exchange("unwatched", UNWATCHED))
            await asyncio.sleep(0.1)
            assert logs.process() is None
            traffic(exchange("watched"))
        assert await ids(logs) == ["watched"]
        logs.send([TABLE], to=logs.log_workspace("logs"), of=UNWATCHED)
        async with listening(logs) as traffic:
            traffic(exchange("watched now", UNWATCHED))
        assert await ids(logs) == ["watched", "watched now"]

    scenario(home, act)


def test_what_comes_while_nothing_can_be_written_is_kept_up_to_a_limit(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stream_module, "MOST_WAITING", 100)

    async def act(logs: Logs) -> None:
        home.log_store.mkdir()
        file = home.log_store / "logs.duckdb"
        file.write_bytes(b"no database" * 1000)
        async with listening(logs) as traffic:
            with caplog.at_level(logging.WARNING):
                for number in range(150):
                    traffic(exchange(str(number)))
                await until(lambda: "events of Azure Monitor wait" in caplog.text)
            file.unlink()
            await until(lambda: "50 events of Azure Monitor came too fast and were dropped" in caplog.text)
        assert sorted(map(int, await ids(logs))) == list(range(100))

    scenario(home, act)


def test_caller_is_named_where_the_router_has_accepted_its_token_and_no_token_is_kept(home: Home) -> None:
    """What a token that was not accepted says of its holder, anybody could have written."""
    payload = base64.urlsafe_b64encode(json.dumps({"oid": "ann"}).encode()).rstrip(b"=")
    headers = [(b"authorization", b"Bearer header." + payload + b".signature")]

    async def act(logs: Logs) -> None:
        async with listening(logs) as traffic:
            traffic(exchange("known", caller="ann", request_headers=headers))
            traffic(exchange("refused", status=401, request_headers=headers))
            traffic(exchange("closed", status=403, request_headers=headers))
        answer = await logs.log_store.query(f"SELECT XRequestId, AuthType, IdentityData FROM {TABLE}")
        assert answer["rows"] == [
            ["known", "AADToken", "ann"],
            ["refused", "AADToken", ""],
            ["closed", "AADToken", ""],
        ]
        everything = await logs.rows(TABLE)
        assert "signature" not in str(everything)

    scenario(home, act, "AADToken")
