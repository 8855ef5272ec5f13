"""Faults on purpose, as Azure's own clients see them.

What clients do is azure-core's (azure.core.pipeline.policies.RetryPolicy): 429 and 5xx are repeated, and whatever has a
``Retry-After``; a POST only after 500, 503, 504 or where ``Retry-After`` is sent. A connection that breaks before the
answer counts as a proxy that cannot be reached (urllib3), and is repeated whatever the method.
"""

from __future__ import annotations

import json
import random
import stat
import time
from collections.abc import Iterator

import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Data
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient
from azure.storage.blob import BlobServiceClient, LinearRetry
from support import Arm, Deployed, Scorer

from azureml_local import faults
from azureml_local.daemon import DaemonError
from azureml_local.edge.faults import HEADER
from running_service import RunningService, command_line


@pytest.fixture(autouse=True)
def no_faults(service: RunningService) -> Iterator[None]:
    """Leave no fault to other tests."""
    yield
    faults.clear(service.home)


@pytest.fixture
def management(service: RunningService, credential: ClientSecretCredential) -> MachineLearningServicesMgmtClient:
    return MachineLearningServicesMgmtClient(credential, service.settings.subscription_id)


def injected(service: RunningService) -> list[int]:
    return [fault["injected"] for fault in faults.listed(service.home)]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "retry_after": 0},
        {"status": 429},
        {"status": 503, "retry_after": 0},
        {"status": 500},
        {"reset": "before"},
        {"reset": "during"},
    ],
    ids=str,
)
def test_azure_ai_ml_goes_on_through_faults(
    fault: dict[str, object], ml: MLClient, service: RunningService, name: str
) -> None:
    data = Data(name=name, version="1", path="azureml://datastores/workspaceblobstore/paths/x", type="uri_file")
    ml.data.create_or_update(data)
    faults.add(service.home, host="management.azure.com", path=f"*/data/{name}/*", method="GET", count=1, **fault)
    assert ml.data.get(name, "1").name == name
    assert injected(service) == [1]


def test_post_that_azure_core_does_not_repeat_surfaces(
    management: MachineLearningServicesMgmtClient, service: RunningService, deployed: Deployed
) -> None:
    scope = (service.settings.resource_group, service.settings.workspace, deployed.endpoint)
    with faults.inject(service.home, path="*/listKeys", status=502):
        with pytest.raises(HttpResponseError) as caught:
            management.online_endpoints.list_keys(*scope)
        assert caught.value.status_code == 502
        assert caught.value.error.code == "BadGateway"  # type: ignore[union-attr]
        assert injected(service) == [1]
    assert management.online_endpoints.list_keys(*scope).primary_key == deployed.primary_key


def test_what_was_thrown_at_a_change_did_not_change_anything(arm: Arm, service: RunningService, name: str) -> None:
    """An error is answered instead of the change; a connection that breaks during the answer comes after it."""
    path = f"/onlineEndpoints/{name}"
    body = {"location": "eastus", "properties": {"authMode": "Key"}}
    with faults.inject(service.home, path=f"*/{name}", method="PUT", status=503):
        refused = arm.put(path, body)
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "1"
    assert refused.json()["error"]["code"] == "ServiceUnavailable"
    assert arm.get(path).status_code == 404
    with (
        faults.inject(service.home, path=f"*/{name}", method="PUT", reset="during"),
        pytest.raises(requests.exceptions.RequestException),
    ):
        arm.put(path, body)
    assert arm.get(path).status_code == 200


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 500}, {"reset": "before"}], ids=str)
def test_blob_upload_and_download_go_on_through_faults(
    fault: dict[str, object], service: RunningService, credential: ClientSecretCredential, name: str
) -> None:
    account = f"https://{service.settings.storage_account}.blob.core.windows.net"
    # Its own policy would wait 15 s and longer.
    blobs = BlobServiceClient(account, credential, retry_policy=LinearRetry(backoff=0, random_jitter_range=0))
    container = blobs.create_container(name)
    faults.add(service.home, host="*.blob.core.windows.net", path="*/survivor", count=2, **fault)
    container.upload_blob("survivor", b"data" * 1000)
    assert injected(service) == [2]
    faults.add(service.home, host="*.blob.core.windows.net", path="*/survivor", count=2, **fault)
    assert container.download_blob("survivor").readall() == b"data" * 1000
    assert injected(service) == [2, 2]


def test_storage_errors_have_azures_codes(service: RunningService, credential: ClientSecretCredential) -> None:
    account = f"https://{service.settings.storage_account}.blob.core.windows.net"
    blobs = BlobServiceClient(account, credential, retry_total=0)
    for status, code in ((503, "ServerBusy"), (500, "InternalError")):
        with faults.inject(service.home, status=status, host="*.blob.*"), pytest.raises(HttpResponseError) as caught:
            blobs.get_service_properties()
        assert (caught.value.status_code, caught.value.error_code) == (status, code)  # type: ignore[attr-defined]


def test_plain_requests_see_the_statuses_that_the_seed_decides(scorer: Scorer, service: RunningService) -> None:
    faults.add(service.home, host="*.inference.ml.azure.com", path="/score", status=429, rate=0.3, seed=7)
    chance = random.Random(7)
    expected = [429 if chance.random() < 0.3 else 200 for _ in range(30)]
    answers = [scorer.post({}) for _ in range(30)]
    assert [answer.status_code for answer in answers] == expected
    refused = answers[expected.index(429)]
    assert refused.headers["ms-azureml-model-error-reason"] == "too_many_pending_request"
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers[HEADER] == faults.listed(service.home)[0]["id"]
    assert HEADER not in answers[expected.index(200)].headers
    assert "injected into POST" in (service.home.logs / "service.log").read_text()


def test_latency_comes_before_the_true_answer(scorer: Scorer, service: RunningService) -> None:
    faults.add(service.home, path="/score", latency=0.4)
    began = time.monotonic()
    answer = scorer.post({})
    assert answer.status_code == 200
    assert time.monotonic() - began >= 0.4
    assert HEADER in answer.headers


def test_answer_without_a_body_is_lost_as_a_whole(
    arm: Arm, service: RunningService, credential: ClientSecretCredential, name: str
) -> None:
    """A blob's PUT and regenerateKeys are carried out, and answered with nothing that could be halved."""
    endpoint = f"/onlineEndpoints/{name}"
    arm.ended(arm.put(endpoint, {"location": "eastus", "properties": {"authMode": "Key"}}))
    for method, path, ask in (
        ("POST", "*/regenerateKeys", lambda: _regenerate(arm, endpoint)),
        ("PUT", f"/{name}", lambda: _container(service, credential, name)),
    ):
        with (
            faults.inject(service.home, path=path, method=method, reset="during"),
            pytest.raises((requests.exceptions.RequestException, ServiceRequestError, ServiceResponseError)),
        ):
            ask()
    assert [container.name for container in _storage(service, credential).list_containers(name)] == [name]
    arm.ended(arm.request("DELETE", endpoint))


def _regenerate(arm: Arm, endpoint: str) -> None:
    answer = arm.request("POST", f"{endpoint}/regenerateKeys", json={"keyType": "Secondary"})
    assert answer.status_code == 200


def _storage(service: RunningService, credential: ClientSecretCredential) -> BlobServiceClient:
    account = f"https://{service.settings.storage_account}.blob.core.windows.net"
    return BlobServiceClient(account, credential, retry_policy=LinearRetry(backoff=0, retry_total=0))


def _container(service: RunningService, credential: ClientSecretCredential, name: str) -> None:
    _storage(service, credential).create_container(name)


def test_connection_that_breaks_in_the_middle_of_the_answer(scorer: Scorer, service: RunningService) -> None:
    faults.add(service.home, path="/score", reset="during", count=1)
    with pytest.raises(requests.exceptions.RequestException) as caught:
        scorer.post({"bytes": 100_000})
    assert "IncompleteRead" in str(caught.value) or "reset" in str(caught.value)
    assert scorer.post({}).status_code == 200


def test_tokens_are_had_through_a_busy_identity_platform(service: RunningService) -> None:
    faults.add(service.home, host="login.microsoftonline.com", path="*/token", status=503, count=1, retry_after=0)
    settings = service.settings
    credential = ClientSecretCredential(settings.tenant_id, settings.client_id, settings.client_secret)
    assert credential.get_token("https://management.azure.com/.default").token
    assert injected(service) == [1]


@pytest.mark.slow
def test_command_line(service: RunningService, scorer: Scorer) -> None:
    root = service.home.root
    options = "--host *.inference.ml.azure.com --method POST --path /score --status 429 --rate 0.5 --seed 7 --count 3"
    added = command_line(root, "faults", "add", *options.split(), "--latency", "10ms", "--retry-after", "2")
    assert (added.returncode, added.stderr) == (0, "")
    (fault,) = json.loads(command_line(root, "faults", "list", "--json").stdout)
    assert fault == {
        "id": added.stdout.strip(), "host": "*.inference.ml.azure.com", "path": "/score", "method": "POST",
        "status": 429, "latency": 0.01, "reset": None, "rate": 0.5, "count": 3, "seed": 7, "retry_after": 2,
        "injected": 0,
    }  # fmt: skip
    while injected(service) != [3]:
        scorer.post({})
    assert "injected 3 times" in command_line(root, "faults", "list").stdout
    refused = command_line(root, "faults", "add", "--status", "200")
    assert (refused.returncode, refused.stderr) == (
        1,
        "status is 200; it must be a whole number from 400 to 599.\n",
    )
    assert command_line(root, "faults", "clear", "--id", "99").returncode == 1
    assert command_line(root, "faults", "clear").returncode == 0
    assert faults.listed(service.home) == []


def test_only_the_services_user_can_reach_it(service: RunningService) -> None:
    assert stat.S_IMODE(service.home.admin_socket.stat().st_mode) == 0o600
    assert requests.get(f"http://127.0.0.1:{service.port}/faults", timeout=30).status_code == 404


def test_nothing_runs() -> None:
    refused = command_line("/tmp/azl-none", "faults", "list")
    assert (refused.returncode, refused.stderr) == (1, "azureml-local is not running: azureml-local start\n")


def test_unknown_setting_is_named(service: RunningService) -> None:
    with pytest.raises(DaemonError, match="colour"):
        faults.add(service.home, status=429, colour="red")
