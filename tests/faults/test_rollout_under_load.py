"""One load through scaling, a kill and a blue/green switch: the table of what was answered.

The rollout is that of https://learn.microsoft.com/azure/machine-learning/how-to-safely-rollout-online-endpoints; of
the kill, see test_killed_replicas.py. AZUREML_LOCAL_LOAD_SECONDS says how long each of the five stages lasts at least
(12: a minute in all); ``pytest -s`` prints the table.
"""

from __future__ import annotations

import collections
import functools
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import requests
from azure.mgmt.machinelearningservices import models as aml
from clients import Clients

from running_service import RunningService, command_line, start_service
from steady_load import Load, under_load

SECONDS = float(os.environ.get("AZUREML_LOCAL_LOAD_SECONDS", "0.5"))
ENDPOINT = "rollout-under-load"
CLIENTS = 4  # as many as run and wait at two instances
WAIT = 120


def test_only_what_the_killed_worker_was_at_fails() -> None:
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        started = start_service(root)
        rollout = Rollout(started)
        with under_load(rollout.ask, CLIENTS) as load:
            counted = {name: count(load, stage) for name, stage in rollout.stages().items()}
        print_table(counted)
        assert {body[1] for body in load.bodies} == {"v1", "v2"}
        assert load.statuses[200] > CLIENTS
        assert load.statuses[424] <= 1
        assert set(load.statuses) <= {200, 424}
        assert counted["kill -9 of a worker"][424] == load.statuses[424]
    finally:
        command_line(root, "stop")
        shutil.rmtree(root, ignore_errors=True)


class Rollout:
    """An endpoint whose deployment ``blue`` of two instances gives way to ``green``."""

    def __init__(self, started: RunningService) -> None:
        self._clients = clients = Clients(started)
        clients.upload_script()
        clients.management.online_endpoints.begin_create_or_update(*clients.scope, ENDPOINT, clients.endpoint()).result(
            WAIT
        )
        self._deploy("blue", "v1")
        self._send_traffic({"blue": 100})
        self._key = clients.management.online_endpoints.list_keys(*clients.scope, ENDPOINT).primary_key

    def ask(self) -> requests.Response:
        """Ask for the process and the version that answer."""
        address = f"https://{ENDPOINT}.eastus.inference.ml.azure.com/score"
        headers = {"Authorization": f"Bearer {self._key}"}
        return self._clients.session.post(address, json={"pid": 1, "sleep": 0.02}, headers=headers, timeout=WAIT)

    def stages(self) -> dict[str, Callable[[], object]]:
        """Return what is done, in order."""
        return {
            "steady": lambda: None,
            "scale out": self._scale_out,
            "kill -9 of a worker": self._kill_a_worker,
            "green beside blue": functools.partial(self._deploy, "green", "v2"),
            "green instead of blue": self._switch,
        }

    def _deploy(self, name: str, variant: str) -> None:
        body = self._clients.deployment(variant, 2)
        body.properties.request_settings = aml.OnlineRequestSettings(request_timeout="PT60S")
        deployments = self._clients.management.online_deployments
        deployments.begin_create_or_update(*self._clients.scope, ENDPOINT, name, body).result(WAIT)

    def _send_traffic(self, traffic: dict[str, int]) -> None:
        endpoints = self._clients.management.online_endpoints
        endpoints.begin_create_or_update(*self._clients.scope, ENDPOINT, self._clients.endpoint(traffic)).result(WAIT)

    def _scale_out(self) -> None:
        patch = aml.PartialMinimalTrackedResourceWithSku(sku=aml.PartialSku(capacity=3))
        deployments = self._clients.management.online_deployments
        deployments.begin_update(*self._clients.scope, ENDPOINT, "blue", patch).result(WAIT)

    def _kill_a_worker(self) -> None:
        psutil.Process(self.ask().json()[0]).kill()

    def _switch(self) -> None:
        self._send_traffic({"blue": 0, "green": 100})
        self._clients.management.online_deployments.begin_delete(*self._clients.scope, ENDPOINT, "blue").result(WAIT)


def count(load: Load, stage: Callable[[], object]) -> collections.Counter[int]:
    """Return the statuses of what was answered during a stage."""
    before, began = load.statuses, time.monotonic()
    stage()
    load.wait_for_more()
    time.sleep(max(0.0, began + SECONDS - time.monotonic()))
    return load.statuses - before


def print_table(counted: dict[str, collections.Counter[int]]) -> None:
    """Show how often each status was answered in each stage."""
    statuses = sorted({status for counter in counted.values() for status in counter})
    print("\n" + "".join([f"{'stage':25}", *(f"{status:>8}" for status in statuses)]))
    for name, counter in counted.items():
        print("".join([f"{name:25}", *(f"{counter[status]:>8}" for status in statuses)]))
