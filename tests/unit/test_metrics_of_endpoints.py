"""Metrics of endpoints and deployments: how they are kept, filtered and measured.

Truth: https://learn.microsoft.com/rest/api/monitor/metrics/list for filters, Microsoft's supported-metrics for what a
metric is, and the requests and processes of these tests.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from azureml_local.arm.metrics import definitions, filters, series
from azureml_local.dataplane import endpoint_metrics
from azureml_local.dataplane.endpoint_metrics import EndpointMetrics
from azureml_local.dataplane.scoring_exchange import Exchange
from azureml_local.engines.metric_store import MINUTE, MetricStore, Point, Row, Sample
from azureml_local.engines.process import GuardedProcess, Usage, own_environment, usage_of_sessions

ENDPOINT = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/onlineEndpoints/E"
)
DEPLOYMENT = f"{ENDPOINT}/deployments/blue"


@pytest.fixture(autouse=True)
def true_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZUREML_LOCAL_CLOCK_FACTOR", raising=False)


# --- the file ---


def rows(store: MetricStore, metric: str = "M", resource: str = "/A") -> list[tuple[float, dict[str, str], float]]:
    return [(one.start, dict(one.dimensions), one.sample.total) for one in store.read(resource, metric, 0, 1e12)]


def test_rows_are_there_after_a_restart_by_ids_in_any_case(tmp_path: Path) -> None:
    store = MetricStore(tmp_path / "metrics")
    store.write(60, [Row("/A", "M", {"x": "1"}, Sample.of(2)), Row("/A", "M", {"x": "2"}, Sample(2, 5, 1, 4))])
    store.close()
    again = MetricStore(tmp_path / "metrics")
    assert rows(again, resource="/a") == [(60, {"x": "1"}, 2), (60, {"x": "2"}, 5)]
    assert again.read("/A", "M", 60, 120)[1].sample == Sample(2, 5, 1, 4)
    assert again.read("/A", "M", 61, 120) == again.read("/A", "M", 0, 60) == []
    again.close()


def test_rows_older_than_a_week_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("azureml_local.engines.metric_store.CLEAN_UP_EVERY", 2)
    store = MetricStore(tmp_path / "metrics")
    week = 7 * 24 * 3600
    for start in (0, MINUTE, week + MINUTE):
        store.write(start, [Row("/A", "M", {}, Sample.of(start))])
    assert [start for start, *_ in rows(store)] == [MINUTE, week + MINUTE]
    store.close()


def test_damaged_file_is_moved_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "metrics.db").write_bytes(b"no database" * 1000)
    store = MetricStore(folder)
    store.write(60, [Row("/A", "M", {}, Sample.of(1))])
    assert len(rows(store)) == 1
    assert (folder / "metrics.db.damaged").read_bytes().startswith(b"no database")
    assert "is moved to" in caplog.text
    store.close()


def test_what_cannot_be_written_is_lost_with_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = MetricStore(tmp_path / "metrics")
    with sqlite3.connect(tmp_path / "metrics" / "metrics.db") as other:
        other.execute("DROP TABLE metrics")
    store.write(60, [Row("/A", "M", {}, Sample.of(1))])
    assert "cannot be kept" in caplog.text
    store.close()


# --- filters and grains ---


@pytest.mark.parametrize(
    ("text", "dimensions", "holds"),
    [
        ("deployment eq 'blue'", {"deployment": "Blue"}, True),
        ("deployment eq 'blue'", {"deployment": "green"}, False),
        ("deployment eq '*'", {}, True),
        ("deployment ne 'blue'", {"deployment": "green"}, True),
        ("a eq '1' and b eq '1' or b eq '2'", {"a": "1", "b": "2"}, True),
        ("a eq '1' and (b eq '1' or b eq '2')", {"a": "2", "b": "2"}, False),
        ("statusCode sw '4'", {"statusCode": "404"}, True),
        ("name eq 'it''s'", {"name": "it's"}, True),
    ],
)
def test_filters(text: str, dimensions: dict[str, str], holds: bool) -> None:
    assert filters.matches(filters.parse(text), dimensions) is holds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("blue", "'blue' is no condition"),
        ("a eq '1' or b eq '2'", "'or' can join values of one dimension only"),
        ("a eq '1' and a eq '2'", "'a' has two conditions"),
        ("a eq '1' b eq '2'", "'and' or 'or' must"),
        ("a eq '1' and", "is no condition"),
    ],
)
def test_filters_that_are_none(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        filters.parse(text)


def test_series_add_up_in_each_minute_or_stand_side_by_side() -> None:
    requests, cpu = definitions.OF_DEPLOYMENT[-1], definitions.OF_DEPLOYMENT[1]
    assert (requests.name, cpu.name) == ("RequestsPerMinute", "CpuUtilizationPercentage")
    points = [Point(60, {}, Sample.of(3)), Point(60, {}, Sample.of(5)), Point(120, {}, Sample.of(1))]
    assert series.minutes(requests, points) == {60: [Sample.of(8)], 120: [Sample.of(1)]}
    assert series.minutes(cpu, points)[60] == [Sample.of(3), Sample.of(5)]
    grains = series.grains(series.minutes(requests, points), 180)
    assert {start: series.merged(samples) for start, samples in grains.items()} == {0: Sample(2, 9, 1, 8)}


# --- measuring ---


class Serving:
    """Deployments that serve, as the collector sees them."""

    def __init__(self) -> None:
        self.deployments: dict[str, Any] = {}

    def on_begin(self, tell: Any) -> None:
        self.tell = tell

    def running(self) -> dict[str, Any]:
        return self.deployments


def exchange(deployment: str = "blue", status: int = 200, *, milliseconds: float = 10, **changes: Any) -> Exchange:
    one = Exchange("id", "POST", "/score", "HTTP/1.1", [], time.time(), began=1.0, endpoint_id=ENDPOINT)
    one.deployment, one.status, one.answer_body = deployment, status, b"x" * 600
    one.last_byte = 1.0 + milliseconds / 1000
    for name, value in changes.items():
        setattr(one, name, value)
    return one


class Resources:
    """The store, with one deployment."""

    def __init__(self, kind: str = "Managed", instance_type: str | None = "Standard_F2s_v2") -> None:
        self._properties = {"endpointComputeType": kind, "instanceType": instance_type}

    def get(self, resource_id: str) -> Any:
        known = resource_id.lower() == DEPLOYMENT.lower()
        return SimpleNamespace(id=DEPLOYMENT, properties=self._properties) if known else None


async def until(is_so: Callable[[], object]) -> None:
    for _ in range(1000):
        if is_so():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("nothing was measured within 20 s")


def measured(serving: Serving, tmp_path: Path, *exchanges: Exchange, resources: Resources | None = None) -> MetricStore:
    """Let a minute pass with these requests, and return what was measured."""
    store = MetricStore(tmp_path / "metrics")

    async def pass_time() -> None:
        collector = EndpointMetrics(resources or Resources(), serving, store)  # type: ignore[arg-type]
        for one in exchanges:
            collector(one)
        serving.tell()
        await until(lambda: everything(store))
        await collector.close()

    asyncio.run(pass_time())
    return store


def everything(store: MetricStore) -> list[Point]:
    names = {one.name for one in (*definitions.OF_ENDPOINT, *definitions.OF_DEPLOYMENT)}
    return [one for where in (ENDPOINT, DEPLOYMENT) for name in names for one in store.read(where, name, 0, 1e12)]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which a minute passes in 0.2 s."""
    monkeypatch.setenv("AZUREML_LOCAL_CLOCK_FACTOR", "300")
    monkeypatch.setattr(endpoint_metrics, "SHORTEST", 0.2)


@pytest.mark.usefixtures("quick")
def test_requests_are_counted_and_timed_by_deployment_and_status(tmp_path: Path) -> None:
    refused = exchange("", 401, milliseconds=1)
    failed = exchange("blue", 424, answer_headers=[(b"ms-azureml-model-error-statuscode", b"500")])
    mirrored = exchange("green", 200, is_mirrored=True)
    exchanges = [exchange(milliseconds=at) for at in range(1, 101)]
    store = measured(Serving(), tmp_path, *exchanges, refused, failed, mirrored)
    codes = {
        (one.dimensions["deployment"], one.dimensions["statusCode"], one.dimensions["modelStatusCode"])
        for one in store.read(ENDPOINT, "RequestsPerMinute", 0, 1e12)
        if "statusCode" in one.dimensions
    }
    assert codes == {("blue", "200", "200"), ("blue", "424", "500"), ("", "401", "")}
    (p50,) = [
        one.sample.total
        for one in store.read(ENDPOINT, "RequestLatency_P50", 0, 1e12)
        if one.dimensions == {"deployment": "blue"}
    ]
    assert 49 <= p50 <= 51
    (latency,) = [
        one.sample
        for one in store.read(ENDPOINT, "RequestLatency", 0, 1e12)
        if one.dimensions == {"deployment": "blue"}
    ]
    assert (latency.count, round(latency.maximum)) == (101, 100)
    of_mirror = store.read(f"{ENDPOINT}/deployments/green", "RequestsPerMinute", 0, 1e12)
    assert [dict(one.dimensions) for one in of_mirror] == [{"envoy_response_code": "200"}]
    store.close()


@pytest.mark.usefixtures("quick")
def test_deployment_that_serves_and_is_not_asked_has_zeros_and_its_instances(tmp_path: Path) -> None:
    """The CPU of an instance is that of all its processes; it needs two looks."""

    async def busy() -> GuardedProcess:
        command = ["/bin/sh", "-c", "while :; do :; done & while :; do :; done"]
        return await GuardedProcess.start(command, log=tmp_path / "log", environment=own_environment(), grace=0.1)

    serving = Serving()
    store = MetricStore(tmp_path / "metrics")

    async def measure() -> None:
        process = await busy()
        instance = SimpleNamespace(name="one", process=process)
        serving.deployments = {DEPLOYMENT.lower(): SimpleNamespace(instances=[instance])}
        collector = EndpointMetrics(Resources(), serving, store)  # type: ignore[arg-type]
        serving.tell()
        await until(lambda: store.read(DEPLOYMENT, "CpuUtilizationPercentage", 0, 1e12))
        await collector.close()
        await process.stop()

    asyncio.run(measure())
    cpu = store.read(DEPLOYMENT, "CpuUtilizationPercentage", 0, 1e12)
    assert cpu[0].dimensions == {"instanceId": "one"}
    assert 0 < cpu[0].sample.total <= 100
    assert store.read(DEPLOYMENT, "RequestsPerMinute", 0, 1e12)[0].sample == Sample.of(0)
    assert store.read(ENDPOINT, "RequestsPerMinute", 0, 1e12)[0].sample == Sample.of(0)
    assert store.read(DEPLOYMENT, "RequestLatency_P50", 0, 1e12) == []
    capacity = store.read(DEPLOYMENT, "DeploymentCapacity", 0, 1e12)[0]
    assert (capacity.sample, capacity.dimensions) == (Sample.of(1), {"instanceId": "one", "State": "Running"})
    assert 0 <= store.read(DEPLOYMENT, "CpuMemoryUtilizationPercentage", 0, 1e12)[0].sample.total < 100
    store.close()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("instance_type", [None, "Standard_F2s_v2"])
def test_instances_on_kubernetes_have_no_size_and_are_measured_for_the_rest(
    tmp_path: Path, instance_type: str | None
) -> None:
    """An instance type of a cluster is none of Azure's sizes, whatever its name; most deployments name none."""
    process = SimpleNamespace(session=os.getsid(0))
    serving = Serving()
    serving.deployments[DEPLOYMENT.lower()] = SimpleNamespace(instances=[SimpleNamespace(name="one", process=process)])
    store = measured(serving, tmp_path, exchange(), resources=Resources("Kubernetes", instance_type))
    names = ("DeploymentCapacity", "CpuMemoryUtilizationPercentage", "RequestsPerMinute")
    assert {name for name in names if store.read(DEPLOYMENT, name, 0, 1e12)} == {
        "DeploymentCapacity",
        "RequestsPerMinute",
    }


@pytest.mark.usefixtures("quick")
def test_nothing_is_measured_where_nothing_serves_and_nobody_asks(tmp_path: Path) -> None:
    store = MetricStore(tmp_path / "metrics")

    async def measure() -> None:
        collector = EndpointMetrics(Resources(), Serving(), store)  # type: ignore[arg-type]
        collector(exchange())
        assert collector._measuring
        await asyncio.wait_for(collector._measuring, 10)

    asyncio.run(measure())
    assert len({one.start for one in everything(store)}) == 1
    store.close()


def test_usage_of_a_session_is_that_of_all_its_processes(tmp_path: Path) -> None:
    assert usage_of_sessions([2**30]) == {2**30: Usage(0.0, 0)}
    own = os.getsid(0)
    used = usage_of_sessions([own])[own]
    assert used.cpu_seconds > 0
    assert used.memory > 10_000_000
