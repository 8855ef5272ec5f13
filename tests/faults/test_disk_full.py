"""A full disk: changes are refused in Azure's error format, nothing is half written, and with room again all goes on.

RFC 4918, 11.5 (507); https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints,
OutOfQuota, "Disk": the model does not fit onto the disk.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.machinelearningservices import models as aml
from clients import SECONDS, Clients
from small_disk import fill, on_a_small_disk

from running_service import command_line, start_service, survivors, users_of, wait_for

DISK = 64  # MiB
MODEL = 4 * 2**20  # bytes


def refused(change: Callable[[], object]) -> HttpResponseError:
    with pytest.raises(HttpResponseError) as caught:
        change()
    assert caught.value.status_code == 507
    assert "Make room" in str(caught.value)
    return caught.value


def test_full_disk() -> None:
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        on_a_small_disk(root, DISK, lambda: scenario(root))
    except PermissionError as error:
        pytest.skip(f"needs the right to mount: {error}")
    finally:
        shutil.rmtree(root, ignore_errors=True)


def scenario(root: Path) -> None:
    started = start_service(root)
    try:
        clients = Clients(started)
        while_it_runs(clients, root / "storage" / "filler")
        at_the_start(clients, root)
    finally:
        command_line(root, "stop")
    assert survivors([]) + users_of(root) == []


def while_it_runs(clients: Clients, filler: Path) -> None:
    management, scope = clients.management, clients.scope
    endpoints, deployments = management.online_endpoints, management.online_deployments
    clients.upload_script()
    endpoints.begin_create_or_update(*scope, "kept", clients.endpoint()).result(SECONDS)
    deployments.begin_create_or_update(*scope, "kept", "blue", clients.deployment("first")).result(SECONDS)
    key = endpoints.list_keys(*scope, "kept").primary_key
    container = clients.blobs.create_container("kept")
    container.upload_blob("before", b"kept")
    container.upload_blob("model/weights.bin", b"w" * MODEL)
    model = register_model(clients)
    assert clients.create_experiment("kept").status_code == 200

    # Not enough for the model: the deployment fails, and says so; what served before serves on.
    fill(filler, leave=MODEL // 2)
    body = clients.deployment("second")
    body.properties.model = model
    with pytest.raises(HttpResponseError, match="OutOfQuota"):
        deployments.begin_create_or_update(*scope, "kept", "blue", body).result(SECONDS)
    assert clients.score("kept", key, "blue").json()["deployment"] == "first"
    assert not list(filler.parent.parent.rglob("deployments/*/*/models/**/weights.bin"))

    # Nothing at all: every change is refused, and leaves everything as it was.
    fill(filler)
    data = aml.DataVersionBase(properties=aml.UriFileDataVersion(data_uri="azureml://x/" + "y" * 8192))
    for _ in range(2):
        refused(lambda: management.data_versions.create_or_update(*scope, "data", "1", data))
        refused(lambda: endpoints.begin_create_or_update(*scope, "new", clients.endpoint()))
        refused(lambda: deployments.begin_create_or_update(*scope, "kept", "green", clients.deployment("x" * 8192)))
        error = refused(lambda: container.upload_blob("refused", b"r" * 100_000))
        assert error.error_code == "InsufficientStorage"  # type: ignore[attr-defined]
        assert clients.create_experiment("refused").status_code == 507
    for absent in (
        lambda: management.data_versions.get(*scope, "data", "1"),
        lambda: endpoints.get(*scope, "new"),
        lambda: deployments.get(*scope, "kept", "green"),
        lambda: container.download_blob("refused"),
    ):
        with pytest.raises(ResourceNotFoundError):
            absent()
    assert clients.score("kept", key, "blue").json()["deployment"] == "first"
    assert container.download_blob("before").readall() == b"kept"

    # Room again: it goes on by itself.
    filler.unlink()
    management.data_versions.create_or_update(*scope, "data", "1", data)
    deployments.begin_create_or_update(*scope, "kept", "blue", body).result(SECONDS)
    assert clients.score("kept", key, "blue").json()["deployment"] == "second"
    container.upload_blob("refused", b"accepted")
    assert clients.create_experiment("kept").json()["error_code"] == "RESOURCE_ALREADY_EXISTS"
    assert clients.create_experiment("refused").status_code == 200


def register_model(clients: Clients) -> str:
    uri = f"https://{clients.settings.storage_account}.blob.core.windows.net/kept/model"
    properties = aml.ModelVersionProperties(model_uri=uri, model_type="custom_model")
    model = clients.management.model_versions.create_or_update(
        *clients.scope, "weights", "1", aml.ModelVersion(properties=properties)
    )
    return str(model.id)


def at_the_start(clients: Clients, root: Path) -> None:
    filler = root / "storage" / "filler"
    fill(filler)
    stopped = command_line(root, "stop")
    assert (stopped.returncode, stopped.stderr) == (0, "")
    fill(filler)
    for command in ("start", "doctor"):
        refusal = command_line(root, command)
        assert refusal.returncode == 1
        assert "Traceback" not in refusal.stderr
        assert "room" in refusal.stderr + refusal.stdout
    assert users_of(root) == []
    filler.unlink()
    again = start_service(root)
    clients = Clients(again)
    management, scope = clients.management, clients.scope
    key = management.online_endpoints.list_keys(*scope, "kept").primary_key
    wait_for(lambda: clients.score("kept", key, "blue").status_code == 200, "blue serves again")
    assert management.data_versions.get(*scope, "data", "1").name == "1"
    container = clients.blobs.get_container_client("kept")
    assert {blob.name: blob.size for blob in container.list_blobs()} == {
        "before": 4,
        "model/weights.bin": MODEL,
        "refused": 8,
    }
    assert container.download_blob("refused").readall() == b"accepted"
