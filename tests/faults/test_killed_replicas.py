"""SIGKILL of an instance's processes while its deployment is under load: what that costs, counted.

"If your model container returns a non-200 response, Azure returns a 424":
https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#http-status-codes. Only what the
killed instance was at may fail; it is replaced (Kubernetes, restartPolicy Always).
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from azure.mgmt.machinelearningservices import models as aml
from clients import Clients

from running_service import RunningService, command_line, family, start_service, survivors, users_of, wait_for
from steady_load import under_load

ENDPOINT, DEPLOYMENT = "killed-replicas", "blue"
INSTANCES = 2
CLIENTS = 4  # as many as run and wait at two instances


@pytest.fixture(scope="module")
def started() -> Iterator[RunningService]:
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        yield start_service(root)
        assert command_line(root, "stop").returncode == 0
        wait_for(lambda: users_of(root) == [], "nothing of it is left", 20)
    finally:
        command_line(root, "stop")
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def clients(started: RunningService) -> Clients:
    """Clients of a service with one deployment of two instances."""
    clients = Clients(started)
    clients.upload_script()
    management = clients.management
    management.online_endpoints.begin_create_or_update(*clients.scope, ENDPOINT, clients.endpoint()).result(120)
    body = clients.deployment("v1", INSTANCES)
    body.properties.request_settings = aml.OnlineRequestSettings(request_timeout="PT60S")
    management.online_deployments.begin_create_or_update(*clients.scope, ENDPOINT, DEPLOYMENT, body).result(120)
    return clients


@pytest.fixture(scope="module")
def key(clients: Clients) -> str:
    return str(clients.management.online_endpoints.list_keys(*clients.scope, ENDPOINT).primary_key)


def processes(started: RunningService, kind: str) -> list[psutil.Process]:
    """Return the guards, the masters or the workers of the instances."""
    found = []
    for process in family(started.pid):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            words = [" ".join(one.cmdline()) for one in (process, *process.parents()[:1])]
            if "gunicorn" in words[0] and kind == _kind(*words):
                found.append(process)
    return found


def _kind(own: str, parents: str) -> str:
    """A master's guard that is being killed has no command line any more: then the master is none of the three."""
    if "guard.py" in own:
        return "guard"
    if "guard.py" in parents:
        return "master"
    return "worker" if "gunicorn" in parents else ""


def ask(clients: Clients, key: str) -> requests.Response:
    address = f"https://{ENDPOINT}.eastus.inference.ml.azure.com/score"
    headers = {"Authorization": f"Bearer {key}", "azureml-model-deployment": DEPLOYMENT}
    return clients.session.post(address, json={"pid": 1, "sleep": 0.02}, headers=headers, timeout=120)


@pytest.mark.parametrize("kind", ["worker", "master", "guard"])
def test_killed_process_fails_only_what_its_instance_is_at(
    kind: str, started: RunningService, clients: Clients, key: str
) -> None:
    """An instance is handed one request at a time: one may fail, with the model's status 502, and it is replaced."""
    with under_load(functools.partial(ask, clients, key), CLIENTS) as load:
        victim = processes(started, kind)[0]
        workers = {one.pid for one in processes(started, "worker")}
        victim.kill()
        wait_for(lambda: len({one.pid for one in processes(started, "worker")} - workers) == 1, "it is replaced")
        replacement = {one.pid for one in processes(started, "worker")} - workers
        wait_for(lambda: replacement & {body[0] for body in load.bodies}, "the new one answers")
    assert set(load.statuses) <= {200, 424}
    assert load.statuses[424] <= 1
    for headers in load.headers:
        assert headers["ms-azureml-model-error-statuscode"] == "502"
        assert headers["ms-azureml-model-error-reason"] == "model_error"
        assert headers["azureml-model-deployment"] == DEPLOYMENT
    assert len(processes(started, "worker")) == INSTANCES


def test_service_that_is_killed_restores_the_count_it_was_scaled_to(
    started: RunningService, clients: Clients, key: str
) -> None:
    """The launch plan on disk follows. Runs last: the service is another afterwards."""
    patch = aml.PartialMinimalTrackedResourceWithSku(sku=aml.PartialSku(capacity=3))
    clients.management.online_deployments.begin_update(*clients.scope, ENDPOINT, DEPLOYMENT, patch).result(120)
    before = family(started.pid)
    psutil.Process(started.pid).kill()
    assert survivors(before) == []
    again = start_service(started.home.root)
    restored = Clients(again)
    wait_for(lambda: len(processes(again, "worker")) == 3, "three instances", 60)
    wait_for(lambda: ask(restored, key).status_code == 200, "it answers", 60)
