"""Collected data under faults: an orderly end loses nothing, nor does storage that is killed; the service goes on.

What a killed service may lose is in the module that holds it (engines/data_collection/collector.py).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from chaos import processes
from clients import SCRIPT, SECONDS, Clients

from running_service import RunningService, command_line, start_service, users_of, wait_for

COLLECTIONS = ("model_inputs", "model_outputs", "request")
ENDPOINT = "watched"


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        yield folder
        assert command_line(folder, "stop").returncode == 0
        assert users_of(folder) == []
    finally:
        command_line(folder, "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def key(root: Path) -> str:
    """The key of an endpoint with a deployment that collects everything."""
    clients = Clients(start_service(root))
    clients.upload_script(SCRIPT.with_name("collects.py"))
    endpoints, deployments = clients.management.online_endpoints, clients.management.online_deployments
    endpoints.begin_create_or_update(*clients.scope, ENDPOINT, clients.endpoint()).result(SECONDS)
    deploy(clients)
    wait_for(lambda: deployments.get(*clients.scope, ENDPOINT, "blue").properties.provisioning_state == "Succeeded")
    key = endpoints.list_keys(*clients.scope, ENDPOINT).primary_key
    assert key
    return key


def deploy(clients: Clients) -> None:
    """Begin a deployment that collects; this client knows Azure's API of a time before there were collectors."""
    body = clients.deployment("blue", instances=2).serialize()
    collections = {name: {"dataCollectionMode": "Enabled"} for name in COLLECTIONS}
    body["properties"]["dataCollector"] = {"collections": collections}
    workspace = clients.management.workspaces.get(*clients.scope).id
    token = clients.credential.get_token("https://management.azure.com/.default").token
    answer = clients.session.put(
        f"https://management.azure.com{workspace}/onlineEndpoints/{ENDPOINT}/deployments/blue",
        params={"api-version": "2024-10-01"},
        json=body,
        headers={"Authorization": f"Bearer {token}"},
        timeout=SECONDS,
    )
    assert answer.status_code == 201, answer.text


@pytest.fixture
def started(root: Path, key: str) -> RunningService:
    """The service, with the deployment serving."""
    running = start_service(root)
    clients = Clients(running)
    wait_for(lambda: ask(clients, key, "first") == 200)
    return running


def ask(clients: Clients, key: str, one: str) -> int:
    address = f"https://{ENDPOINT}.eastus.inference.ml.azure.com/score"
    headers = {"Authorization": f"Bearer {key}", "azureml-model-deployment": "blue"}
    body = {"id": one, "table": {"a": [1]}}
    return clients.session.post(address, json=body, headers=headers, timeout=SECONDS).status_code


def answered(clients: Clients, key: str, prefix: str) -> set[str]:
    """Ask many times, and return the ids of the requests that were answered."""
    ids = [f"{prefix}-{number}" for number in range(60)]
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda one: ask(clients, key, one), ids))
    return {one for one, status in zip(ids, statuses, strict=True) if status == 200}


def collected(clients: Clients, prefix: str) -> dict[str, set[str]]:
    """Return the ids of the requests, by the collections that have them; fail where one is there twice."""
    store = clients.management.datastores.get(*clients.scope, "workspaceblobstore").properties
    container = clients.blobs.get_container_client(store.container_name)  # type: ignore[attr-defined]
    found: dict[str, set[str]] = {}
    for name in COLLECTIONS:
        files = container.list_blob_names(name_starts_with=f"modelDataCollector/{ENDPOINT}/blue/{name}/")
        lines = [line for file in files for line in container.download_blob(file).readall().splitlines()]
        events = [json.loads(line) for line in lines]
        ids = [event["data"]["id"] if name == "request" else event["correlationid"] for event in events]
        mine = [one for one in ids if one.startswith(prefix)]
        assert len(mine) == len(set(mine)), "collected twice"
        found[name] = set(mine)
    return found


def test_orderly_end_loses_nothing(started: RunningService, key: str, root: Path) -> None:
    done = answered(Clients(started), key, "end")
    assert len(done) == 60
    assert command_line(root, "stop").returncode == 0
    found = collected(Clients(start_service(root)), "end")
    assert found["model_inputs"] == found["model_outputs"] == found["request"] == done


def test_killed_storage_loses_nothing(started: RunningService, key: str) -> None:
    clients = Clients(started)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(answered, clients, key, "storage")
        for process in processes(started.pid)["storage"]:
            process.kill()
        done = asking.result()
    assert done
    patient = Clients(started, retries=10)  # the storage is being started again
    wait_for(lambda: collected(patient, "storage")["model_outputs"] >= done, "everything is in storage")
    found = collected(patient, "storage")
    assert found["model_inputs"] == found["model_outputs"] == found["request"] == done


def test_killed_service_goes_on_collecting(started: RunningService, key: str, root: Path) -> None:
    psutil.Process(started.pid).kill()
    clients = Clients(start_service(root))
    wait_for(lambda: ask(clients, key, "first") == 200)
    done = answered(clients, key, "again")
    wait_for(lambda: collected(clients, "again")["model_outputs"] >= done, "everything is in storage")
    assert collected(clients, "again")["model_inputs"] == done
