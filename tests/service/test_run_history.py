"""The services behind the workspace API: run history, and where the files of what jobs wrote lie.

Who is let in is what Azure's roles grant (https://learn.microsoft.com/azure/machine-learning/how-to-assign-roles has
``experiments/runs/read`` and ``experiments/runs/write``); the shapes are those of the clients' own models, strictly.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml._restclient.dataset_dataplane import models as data_models
from azure.ai.ml._restclient.model_dataplane import models as model_models
from azure.ai.ml._restclient.runhistory import models as run_models
from azure.identity import ClientSecretCredential
from azure.storage.blob import BlobServiceClient
from client_models import Models, of_rest_fields
from support import SECONDS, Arm

from azureml_local import admin
from azureml_local.engines.mlflow_server.experiments import experiment_id
from azureml_local.identity import audiences
from azureml_local.identity.tokens import Principal, TokenService
from running_service import RunningService, wait_for

# What answers have and the clients' models lack; the sources are answers of the service that others have published.
UNLISTED = {"dataContainerId", "debugInfo", "experimentId"}
ML_SCOPE, ARM_SCOPE = "https://ml.azure.com/.default", "https://management.azure.com/.default"
Ask = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def token_of(service: RunningService) -> Iterator[Callable[..., str]]:
    """Return a token of a new identity that has a role."""
    names = []

    def token(role: str | None, scope: str = ML_SCOPE) -> str:
        name = "i" + uuid.uuid4().hex[:10]
        made = admin.call(service.home, "POST", "/identities", {"name": name, "role": role, "scope": None})
        names.append(name)
        credential = ClientSecretCredential(
            made["AZURE_TENANT_ID"], made["AZURE_CLIENT_ID"], made["AZURE_CLIENT_SECRET"]
        )
        return credential.get_token(scope).token

    yield token
    for name in names:
        admin.call(service.home, "DELETE", f"/identities/{name}")


@pytest.fixture(scope="module")
def ask(arm: Arm, credential: ClientSecretCredential) -> Ask:
    """Send a request to a service behind the workspace API; paths begin at the workspace."""

    def send(method: str, service: str, path: str, json: Any = None, token: str | None = None) -> requests.Response:
        url = f"https://{arm.settings.location}.api.azureml.ms/{service}{arm.workspace}{path}"
        shown = credential.get_token(ML_SCOPE).token if token is None else token
        headers = {"Authorization": f"Bearer {shown}"} if shown else {}
        return arm.session.request(method, url, json=json, headers=headers, timeout=SECONDS)

    return send


@pytest.fixture
def run(arm: Arm, job: dict[str, Any], name: str) -> str:
    """The id of a run that has failed."""
    experiment = {"experimentName": "trees", "tags": {"a": "b"}}
    assert arm.put(f"/jobs/{name}", {"properties": {**job, **experiment}}).status_code == 201
    wait_for(lambda: arm.get(f"/jobs/{name}").json()["properties"]["status"] == "Failed")
    return name


def require_fit(value: Any, kind: str, models: Models, path: str = "") -> None:
    """Check that a client's model knows each member of an answer."""
    if isinstance(value, list):
        for item in value:
            require_fit(item, kind.strip("[]"), models, path)
    elif kind.startswith("{"):
        for key, item in value.items():
            require_fit(item, kind[1:-1], models, f"{path}.{key}")
    elif kind in models.objects and isinstance(value, dict):
        for name, item in value.items():
            member = models.objects[kind].members.get(name)
            assert member or name in UNLISTED, f"{path}.{name} is unknown to {kind}"
            if member and item is not None:
                require_fit(item, member.type, models, f"{path}.{name}")


def require_error(answer: requests.Response, status: int, code: str = "UserError") -> dict[str, Any]:
    """Check the format of the error that the services behind the workspace API give, and return it."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error", "correlation", "environment", "location", "time", "componentName"}
    assert body["error"]["code"] == code
    assert body["error"]["message"]
    return body


RUNS = of_rest_fields(run_models)


def test_run_has_what_the_clients_models_know(ask: Ask, run: str) -> None:
    for path, kind in ((f"/runs/{run}", "Run"), (f"/runs/{run}/details", "RunDetails")):
        answer = ask("GET", "history/v1.0", path)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        require_fit(found, kind, RUNS)
        assert (found["runId"], found["status"], found["tags"]) == (run, "Failed", {"a": "b"})
        assert found["experimentId"] == str(experiment_id("trees"))  # as MLflow and the logs have it
        error = found["error"]
        assert error["error"]["message"]
        assert error["time"] == found["endTimeUtc"]
    data = ask("POST", "history/v1.0", "/rundata", {"runId": run, "selectRunMetadata": True}).json()
    require_fit(data, "GetRunDataResult", RUNS)
    assert data["runMetadata"]["runId"] == run
    assert data["runMetadata"]["outputs"] == {}  # it failed
    assert ask("POST", "history/v1.0", "/rundata", {"runId": run}).json()["runMetadata"] is None
    assert ask("GET", "history/v1.0", f"/runs/{run}/children").json()["value"] == []
    assert ask("GET", "history/v1.0", f"/runs/{run}/serviceinstances/0").json() == {"instances": {}}


def test_logs_can_be_read_with_their_addresses_and_nothing_else(
    ask: Ask, arm: Arm, run: str, credential: ClientSecretCredential
) -> None:
    account = f"https://{arm.settings.storage_account}.blob.core.windows.net"
    artifacts = f"ExperimentRun/dcid.{run}"
    names = ("user_logs/std_log.txt", "system_logs/a b+100%.txt", "azureml-logs/20_image_build_log.txt")
    with BlobServiceClient(account, credential=credential) as storage:
        for name in (*names, "outputs/no-log.txt"):
            storage.get_blob_client("azureml", f"{artifacts}/{name}").upload_blob(name.encode(), overwrite=True)
    logs = ask("GET", "history/v1.0", f"/runs/{run}/details").json()["logFiles"]
    assert set(logs) == set(names)
    for name, url in logs.items():
        assert arm.session.get(url, timeout=SECONDS).text == name
        blob, _, signature = url.partition("?")
        write = {"x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-12-02"}
        assert arm.session.put(url, data=b"x", headers=write, timeout=SECONDS).status_code == 403
        assert arm.session.delete(url, headers=write, timeout=SECONDS).status_code == 403
        other = f"{blob.rpartition('/')[0]}/other.txt?{signature}"
        assert arm.session.get(other, timeout=SECONDS).status_code == 403
        container = "/".join(blob.split("/")[:4])
        listed = arm.session.get(f"{container}?restype=container&comp=list&{signature}", timeout=SECONDS)
        assert listed.status_code == 403


def test_run_is_changed_by_its_experiment(ask: Ask, arm: Arm, run: str) -> None:
    path = f"/experiments/trees/runs/{run}"
    before = arm.get(f"/jobs/{run}").json()["properties"]["properties"]
    changes = {"displayName": "D", "description": "d", "tags": {"n": 1}, "properties": {"p": "q"}, "hidden": True}
    answer = ask("PATCH", "history/v1.0", path, changes)
    assert answer.status_code == 200, answer.text
    require_fit(answer.json(), "Run", RUNS)
    properties = arm.get(f"/jobs/{run}").json()["properties"]
    assert (properties["displayName"], properties["description"], properties["isArchived"]) == ("D", "d", True)
    assert properties["tags"] == {"a": "b", "n": "1"}
    assert properties["properties"] == {**before, "p": "q"}
    assert (
        "Properties"
        in require_error(ask("PATCH", "history/v1.0", path, {"properties": {"p": "other"}}), 400)["error"]["message"]
    )
    for wrong in ({"hidden": "yes"}, {"tags": ["a"]}, {"displayName": 1}):
        require_error(ask("PATCH", "history/v1.0", path, wrong), 400)
    require_error(ask("PATCH", "history/v1.0", path, {"status": "Completed"}), 501, "NotImplemented")
    require_error(ask("PATCH", "history/v1.0", path.replace("trees", "other"), {"hidden": False}), 404)


def test_run_that_does_not_exist(ask: Ask) -> None:
    """The words: https://github.com/Azure/AutoML-vNext-Preview/issues/3."""
    for method, path, body in (
        ("GET", "/runs/none", None),
        ("GET", "/runs/none/details", None),
        ("GET", "/runs/none/children", None),
        ("GET", "/runs/..%2F..%2Fx", None),
        ("POST", "/rundata", {"runId": "none"}),
        ("PATCH", "/experiments/Default/runs/none", {"hidden": True}),
    ):
        answer = ask(method, "history/v1.0", path, body)
        if "%2F" in path:
            assert answer.status_code in (404, 501)
            continue
        body = require_error(answer, 404)
        assert body["error"]["message"] == "Run none was not found"
        assert body["componentName"] == "run-history"
    require_error(ask("POST", "history/v1.0", "/rundata", {"runId": 1}), 400)
    require_error(ask("POST", "history/v1.0", "/rundata"), 400)


def test_who_is_let_in(ask: Ask, run: str, token_of: Callable[..., str]) -> None:
    reader, nobody = token_of("Reader"), token_of(None)
    at_resource_manager, at_storage = (
        token_of("Reader", ARM_SCOPE),
        token_of("Reader", "https://storage.azure.com/.default"),
    )
    read = ("GET", "history/v1.0", f"/runs/{run}/details")
    write = ("PATCH", "history/v1.0", f"/experiments/trees/runs/{run}", {"hidden": True})
    assert ask(*read, token=reader).status_code == 200
    assert ask(*read, token=at_resource_manager).status_code == 200
    assert "experiments/runs/write" in require_error(ask(*write, token=reader), 403)["error"]["message"]
    for request in (read, write):
        require_error(ask(*request, token=nobody), 403)
        for token in (at_storage, "x", ""):
            refused = ask(*request, token=token)
            require_error(refused, 401)
            assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert ask(*write, token=token_of("AzureML Data Scientist")).status_code == 200


def test_tokens_of_jobs_are_taken_in_their_workspace_only(
    ask: Ask, arm: Arm, run: str, service: RunningService
) -> None:
    """A step of mldesigner writes what its function returned into its own run; no other workspace's job may."""
    tokens = TokenService(service.home.signing_key, service.settings.tenant_id)
    caller = Principal(service.settings.client_id, service.settings.client_object_id)
    own = arm.get("").json()["properties"]["workspaceId"]
    write = ("PATCH", "history/v1.0", f"/experiments/trees/runs/{run}", {"tags": {"c": "d"}})
    for guid, status in ((own, 200), (str(uuid.uuid4()), 401)):
        token, _ = tokens.issue(caller, audiences.of_jobs(guid))
        assert ask("GET", "history/v1.0", f"/runs/{run}", token=token).status_code == status
        assert ask(*write, token=token).status_code == status
        require_error(ask("POST", "data/v1.0", "/dataversion/batchGetResolvedUris", {"values": []}, token), 401)


def test_workspace_that_does_not_exist(ask: Ask, arm: Arm) -> None:
    url = f"https://{arm.settings.location}.api.azureml.ms/history/v1.0{arm.workspace}x/runs/r"
    answer = arm.session.get(url, headers={"Authorization": f"Bearer {arm.token}"}, timeout=SECONDS)
    require_error(answer, 404, "ResourceNotFound")


def test_what_is_lacking_names_itself(ask: Ask, run: str) -> None:
    for path in ("/experiments/trees", f"/experiments/trees/runs/{run}/metrics"):
        answer = ask("GET", "history/v1.0", path)
        assert answer.status_code == 501
        assert path in answer.json()["error"]["message"]


def test_files_of_assets_are_found_by_the_ids_of_run_history(ask: Ask, arm: Arm, ml: MLClient, name: str) -> None:
    uri = "azureml://datastores/workspaceblobstore/paths/x"
    arm.put(f"/data/{name}/versions/1", {"properties": {"dataUri": uri, "dataType": "uri_folder"}})
    arm.put(f"/models/{name}/versions/1", {"properties": {"modelUri": uri, "modelType": "custom_model"}})
    guid = arm.get("").json()["properties"]["workspaceId"]
    base = f"azureml://locations/{arm.settings.location}/workspaces/{guid}"
    for service, path, plural, models, kind, member in (
        ("data/v1.0", "/dataversion", "data", data_models, "BatchDataUriResponse", "uri"),
        ("modelregistry/v1.0", "/models", "models", model_models, "BatchModelPathResponseDto", "path"),
    ):
        asset_id = f"{base}/{plural}/{name}/versions/1"
        path += "/batchGetResolvedUris"
        answer = ask("POST", service, path, {"values": [asset_id]})
        assert answer.status_code == 200, answer.text
        require_fit(answer.json(), kind, of_rest_fields(models))
        assert answer.json()["values"][asset_id][member] == uri
        require_error(ask("POST", service, path, {"values": [asset_id + "2"]}), 404)
        require_error(ask("POST", service, path, {"values": [asset_id.replace(guid, str(uuid.uuid4()))]}), 404)
        require_error(ask("POST", service, path, {"values": "x"}), 400)
        require_error(ask("POST", service, path, {"values": [asset_id]}, token=""), 401)
