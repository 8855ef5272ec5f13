"""SIGKILL under an autoscale setting, at any moment of its scale actions: after each start the setting goes on.

Truth: design.md, "state is written before it is acknowledged"; what autoscale has begun stands in its setting. The
clock is fast: a minute takes half a second.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from azure.mgmt.monitor import MonitorManagementClient
from clients import Clients

from running_service import command_line, start_service, wait_for

KILLS = 5
LONGEST = 3.0  # seconds from a change of the limits to the kill: an evaluation, and most of a scale action
FAST = {"AZUREML_LOCAL_CLOCK_FACTOR": "120"}
ENDPOINT = "killed-autoscale"


@pytest.fixture
def root() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    yield root
    command_line(root, "stop")
    shutil.rmtree(root, ignore_errors=True)


def monitor_of(clients: Clients) -> MonitorManagementClient:
    transport = {"proxies": clients.proxies, "connection_verify": clients.certificates}
    return MonitorManagementClient(clients.credential, clients.settings.subscription_id, **transport)


def scale_to(clients: Clients, deployment: str, count: int) -> None:
    """Let the setting want exactly so many instances."""
    capacity = {"minimum": str(count), "maximum": str(count), "default": str(count)}
    body = {
        "location": "eastus",
        "target_resource_uri": deployment,
        "profiles": [{"name": "p", "capacity": capacity, "rules": []}],
    }
    monitor_of(clients).autoscale_settings.create_or_update(clients.scope[0], "scales", body)


def last_capacity(clients: Clients, deployment: str) -> float:
    """Return how many instances there really were when it was last measured."""
    metric = monitor_of(clients).metrics.list(deployment, metricnames="DeploymentCapacity").value[0]
    values = [point.maximum or point.average for series in metric.timeseries for point in series.data]
    return next((value for value in reversed(values) if value is not None), 0)


def test_killed_at_any_moment(root: Path) -> None:
    service = start_service(root, FAST)
    clients = Clients(service)
    clients.upload_script()
    management = clients.management
    management.online_endpoints.begin_create_or_update(*clients.scope, ENDPOINT, clients.endpoint()).result(120)
    body = clients.deployment("v1", 1)
    made = management.online_deployments.begin_create_or_update(*clients.scope, ENDPOINT, "blue", body).result(120)

    def has(count: int) -> bool:
        found = clients.management.online_deployments.get(*clients.scope, ENDPOINT, "blue")
        is_so = (found.sku.capacity, found.properties.provisioning_state) == (count, "Succeeded")
        return is_so and last_capacity(clients, made.id) == count

    for round_ in range(KILLS):
        count = (2, 1)[round_ % 2]
        scale_to(clients, made.id, count)
        time.sleep(random.uniform(0, LONGEST))
        process = psutil.Process(service.pid)
        process.kill()
        process.wait()
        service = start_service(root, FAST)
        clients = Clients(service)
        wait_for(lambda count=count: has(count), f"{count} instances after a kill")  # type: ignore[misc]
