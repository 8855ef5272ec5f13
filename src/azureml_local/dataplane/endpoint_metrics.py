"""Measures endpoints and deployments: requests as the router answers them, CPU and memory of the instances' processes.

A minute of the service's clock is measured when it has passed, while a deployment serves, or an endpoint is asked; else
nothing is. CPU is measured in cores of the instance's size, at most as many as this machine has: an instance that uses
half a core of two is at 25 %, whatever the other instances take of the same cores.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import psutil

from azureml_local import clock
from azureml_local.arm.compute import vm_sizes
from azureml_local.arm.compute.vm_sizes import Size
from azureml_local.arm.metrics.definitions import PERCENTILES
from azureml_local.dataplane.scoring_exchange import Exchange
from azureml_local.dataplane.traffic_log import model_answer
from azureml_local.engines.inference_server import GIB
from azureml_local.engines.metric_store import MINUTE, MetricStore, Row, Sample
from azureml_local.engines.process import Usage, usage_of_sessions
from azureml_local.engines.serving import Serving
from azureml_local.store import Store

logger = logging.getLogger(__name__)

SHORTEST = 0.25  # real seconds between two measurements, however fast the clock
MOST_LATENCIES = 10_000  # of a deployment in a minute; of more, the last ones
OWN_DISK = {"disk": "/"}


@dataclass
class _Traffic:
    """The requests to a deployment of an endpoint, or to none, in the present minute."""

    endpoint_id: str
    deployment: str
    answers: Counter[tuple[int, int | None]] = field(default_factory=Counter)  # by the router's and the model's status
    milliseconds: list[float] = field(default_factory=list)
    bytes_out: int = 0
    mirrored: Counter[int] = field(default_factory=Counter)  # by the router's status
    mirrored_milliseconds: list[float] = field(default_factory=list)


class EndpointMetrics:
    """Listens to the scoring router, and looks at the instances.

    Args:
        store: holds the deployments.
        serving: their instances.
        metrics: keeps what is measured.
    """

    def __init__(self, store: Store, serving: Serving, metrics: MetricStore) -> None:
        self._store = store
        self._serving = serving
        self._metrics = metrics
        self._traffic: dict[tuple[str, str], _Traffic] = {}
        self._usage: dict[str, tuple[float, Usage]] = {}  # by instance: when, and what it had used
        self._measuring: asyncio.Task[None] | None = None
        serving.on_begin(self._begin)

    def __call__(self, exchange: Exchange) -> None:
        """Take note of a request that was answered."""
        key = (exchange.endpoint_id, exchange.deployment)
        traffic = self._traffic.get(key) or self._traffic.setdefault(key, _Traffic(*key))
        milliseconds = (exchange.last_byte - exchange.began) * 1000
        if exchange.is_mirrored:
            traffic.mirrored[exchange.status] += 1
            _append(traffic.mirrored_milliseconds, milliseconds)
        else:
            model_status, _ = model_answer(exchange.status, dict(exchange.answer_headers))
            traffic.answers[exchange.status, model_status] += 1
            traffic.bytes_out += len(exchange.answer_body)
            _append(traffic.milliseconds, milliseconds)
        self._begin()

    async def close(self) -> None:
        """Stop measuring."""
        if self._measuring:
            self._measuring.cancel()
            await asyncio.gather(self._measuring, return_exceptions=True)

    def _begin(self) -> None:
        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.get_running_loop().create_task(self._measure())

    async def _measure(self) -> None:
        length = max(clock.real_seconds(MINUTE), SHORTEST)
        measured = time.monotonic()
        while self._serving.running() or self._traffic:
            start = math.floor(time.time() / length) * length
            await asyncio.sleep(start + length - time.time())
            minutes = max((time.monotonic() - measured) / length, 1.0)  # more than one where the machine is busy
            measured = time.monotonic()
            try:
                self._metrics.write(start, [*self._of_traffic(minutes), *await self._of_instances()])
            except Exception:
                logger.exception("a minute was not measured")
        self._usage.clear()

    def _of_traffic(self, minutes: float) -> Iterator[Row]:
        """Return what the requests of so many minutes come to in one, with zeros for deployments that had none."""
        traffic, self._traffic = self._traffic, {}
        for deployment_id in self._serving.running():
            deployment = self._store.get(deployment_id)
            if deployment:
                endpoint_id, _, name = deployment.id.rpartition("/deployments/")
                traffic.setdefault((endpoint_id, name), _Traffic(endpoint_id, name))
        for one in traffic.values():
            yield from _rows_of_endpoint(one, minutes)
            if one.deployment:
                yield from _rows_of_deployment(one, minutes)
        served = Counter[str]()
        for one in traffic.values():
            served[one.endpoint_id] += one.bytes_out
        for endpoint_id, size in served.items():
            yield Row(endpoint_id, "NetworkBytes", {}, Sample.of(size / (minutes * MINUTE)))

    async def _of_instances(self) -> list[Row]:
        running = [
            (deployment_id, _size(self._store, deployment_id), instance)
            for deployment_id, replicas in self._serving.running().items()
            for instance in replicas.instances
        ]
        if not running:
            return []
        leaders = [instance.process.session for *_, instance in running]
        now, usages = time.monotonic(), await asyncio.to_thread(usage_of_sessions, leaders)
        disk = psutil.disk_usage("/").percent
        before, self._usage = self._usage, {}
        rows: list[Row] = []
        for deployment_id, size, instance in running:
            usage = usages[instance.process.session]
            self._usage[instance.name] = (now, usage)
            rows.extend(_rows_of_instance(deployment_id, size, instance.name, usage, disk))
            if instance.name in before and size:
                then, earlier = before[instance.name]
                cores = min(size.vcpus, psutil.cpu_count() or 1)
                share = (usage.cpu_seconds - earlier.cpu_seconds) / ((now - then) * cores)
                percent = Sample.of(min(max(share, 0.0), 1.0) * 100)
                rows.append(Row(deployment_id, "CpuUtilizationPercentage", {"instanceId": instance.name}, percent))
        return rows


def _append(values: list[float], value: float) -> None:
    """Add a value; of too many, forget the older half."""
    if len(values) >= MOST_LATENCIES:
        del values[: MOST_LATENCIES // 2]
    values.append(value)


def _rows_of_endpoint(traffic: _Traffic, minutes: float) -> Iterator[Row]:
    deployment = {"deployment": traffic.deployment}
    for (status, model_status), count in traffic.answers.items():
        codes = {
            "statusCode": str(status),
            "statusCodeClass": f"{status // 100}xx",
            "modelStatusCode": "" if model_status is None else str(model_status),
        }
        yield Row(traffic.endpoint_id, "RequestsPerMinute", {**deployment, **codes}, Sample.of(count / minutes))
    if not traffic.answers:
        yield Row(traffic.endpoint_id, "RequestsPerMinute", deployment, Sample.of(0))
    else:
        yield Row(traffic.endpoint_id, "RequestLatency", deployment, _sample(traffic.milliseconds))
        yield from _percentile_rows(traffic.endpoint_id, deployment, traffic.milliseconds)


def _rows_of_deployment(traffic: _Traffic, minutes: float) -> Iterator[Row]:
    deployment_id = f"{traffic.endpoint_id}/deployments/{traffic.deployment}"
    answers = Counter(traffic.mirrored)
    for (status, _), count in traffic.answers.items():
        answers[status] += count
    for status, count in answers.items():
        yield Row(deployment_id, "RequestsPerMinute", {"envoy_response_code": str(status)}, Sample.of(count / minutes))
    if not answers:
        yield Row(deployment_id, "RequestsPerMinute", {}, Sample.of(0))
    yield from _percentile_rows(deployment_id, {}, [*traffic.milliseconds, *traffic.mirrored_milliseconds])


def _rows_of_instance(deployment_id: str, size: Size | None, instance: str, usage: Usage, disk: float) -> list[Row]:
    name = {"instanceId": instance}
    rows = [
        Row(deployment_id, "DeploymentCapacity", {**name, "State": "Running"}, Sample.of(1)),
        Row(deployment_id, "DiskUtilization", {**name, **OWN_DISK}, Sample.of(disk)),
    ]
    if size:
        percent = 100 * usage.memory / (size.memory * GIB)
        rows.append(Row(deployment_id, "CpuMemoryUtilizationPercentage", name, Sample.of(min(percent, 100.0))))
    return rows


def _percentile_rows(resource_id: str, dimensions: Mapping[str, str], milliseconds: list[float]) -> Iterator[Row]:
    ordered = sorted(milliseconds)
    for percent in PERCENTILES if ordered else ():
        value = ordered[math.ceil(percent / 100 * len(ordered)) - 1]  # the nearest rank
        yield Row(resource_id, f"RequestLatency_P{percent}", dimensions, Sample.of(value))


def _sample(values: list[float]) -> Sample:
    return Sample(len(values), sum(values), min(values), max(values))


def _size(store: Store, deployment_id: str) -> Size | None:
    """Return the size of a deployment's instances; one on Kubernetes has an instance type of its cluster, or none."""
    deployment = store.get(deployment_id)
    if deployment is None or deployment.properties["endpointComputeType"] == "Kubernetes":
        return None
    return vm_sizes.find(deployment.properties["instanceType"])
