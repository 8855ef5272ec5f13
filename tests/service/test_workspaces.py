"""Workspaces and datastores, through both management clients.

Shapes: sections 5 and 6 of the notes on Azure's wire shapes (recordings R1, R2, R4, R5);
azure-mgmt-machinelearningservices deserialises strictly what it knows of a workspace."""

from __future__ import annotations

import base64
import uuid

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import AccountKeyConfiguration, AzureBlobDatastore, Workspace
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient
from azure.storage.blob import ContainerClient
from support import API_VERSION, Arm, finish

from running_service import RunningService

GROUP = "azureml-local"


@pytest.fixture(scope="module")
def management(service: RunningService, credential: ClientSecretCredential) -> MachineLearningServicesMgmtClient:
    return MachineLearningServicesMgmtClient(credential, service.settings.subscription_id)


def test_default_workspace(ml: MLClient, arm: Arm, service: RunningService) -> None:
    workspace = ml.workspaces.get()
    assert workspace.name == service.settings.workspace
    assert workspace.location == "eastus"
    assert workspace.discovery_url == "https://eastus.api.azureml.ms/discovery"
    assert workspace.mlflow_tracking_uri == f"azureml://eastus.api.azureml.ms/mlflow/v1.0{arm.workspace}"
    got = arm.get("").json()
    assert got["id"] == arm.workspace
    assert got["type"] == "Microsoft.MachineLearningServices/workspaces"
    assert got["properties"]["provisioningState"] == "Succeeded"
    assert got["properties"]["tenantId"] == service.settings.tenant_id
    assert got["identity"]["type"] == "SystemAssigned"
    assert got["systemData"]["createdAt"].endswith("Z")


def test_management_client_reads_workspaces(
    management: MachineLearningServicesMgmtClient, service: RunningService, arm: Arm
) -> None:
    name = service.settings.workspace
    workspace = management.workspaces.get(GROUP, name)
    assert workspace.id == arm.workspace
    assert workspace.provisioning_state == "Succeeded"
    assert workspace.storage_account.endswith(service.settings.storage_account)
    assert workspace.identity.principal_id
    assert name in [one.name for one in management.workspaces.list_by_resource_group(GROUP)]
    assert name in [one.name for one in management.workspaces.list_by_subscription()]
    keys = management.workspaces.list_keys(GROUP, name)
    assert keys.user_storage_key == service.settings.storage_key


def test_created_listed_updated_and_deleted(ml: MLClient, name: str) -> None:
    created = finish(
        ml.workspaces.begin_create(Workspace(name=name, location="westeurope", description="d", tags={"a": "1"}))
    )
    assert (created.name, created.location, created.description) == (name, "westeurope", "d")
    assert created.tags["a"] == "1"
    assert name in [one.name for one in ml.workspaces.list()]
    # Other settings stay as they are.
    updated = finish(ml.workspaces.begin_update(ml.workspaces.get(name), display_name="shown"))
    assert (updated.display_name, updated.description) == ("shown", "d")
    assert ml.workspaces.get(name).tags["a"] == "1"
    finish(ml.workspaces.begin_delete(name, delete_dependent_resources=False))
    with pytest.raises(ResourceNotFoundError):
        ml.workspaces.get(name)


def test_deleting_a_workspace_deletes_what_is_in_it(arm: Arm, name: str) -> None:
    other = f"{arm.workspace.rpartition('/')[0]}/{name}"
    assert arm.put(other, {"location": "eastus", "properties": {}}).status_code in (200, 201)
    model = {"properties": {"modelUri": "azureml://datastores/workspaceblobstore/paths/x"}}
    assert arm.put(f"{other}/models/m/versions/1", model).status_code == 201
    assert arm.request("DELETE", other).status_code in (200, 202)
    assert arm.get(f"{other}/models/m/versions/1").status_code == 404
    assert arm.put(other, {"location": "eastus", "properties": {}}).status_code in (200, 201)
    assert arm.get(f"{other}/models").json()["value"] == []
    assert arm.request("DELETE", f"{other}-absent").status_code == 204


def test_missing_workspace_is_answered_by_resource_manager_itself(arm: Arm, ml: MLClient) -> None:
    """[R2]: ARM's gateway, ``{"error": {"code", "message"}}`` and nothing else."""
    path = arm.workspace.replace("/workspaces/", "/workspaces/no-")
    answer = arm.get(path)
    assert answer.status_code == 404
    assert answer.headers["x-ms-failure-cause"] == "gateway"
    error = answer.json()["error"]
    assert set(error) == {"code", "message"}
    assert error["code"] == "ResourceNotFound"
    assert error["message"].startswith("The Resource 'Microsoft.MachineLearningServices/workspaces/no-")
    assert arm.get(f"{path}/models").json()["error"]["code"] == "ResourceNotFound"
    # https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-parent-resource
    name = path.rpartition("/")[2]
    error = arm.put(f"{path}/onlineEndpoints/e", {"location": "eastus", "properties": {"authMode": "Key"}}).json()
    assert error["error"] == {
        "code": "ParentResourceNotFound",
        "message": f"Can not perform requested operation on nested resource. Parent resource '{name}' not found.",
    }
    with pytest.raises(ResourceNotFoundError):
        ml.workspaces.get("absent")


def test_resource_group_that_does_not_exist(arm: Arm) -> None:
    """ResourceGroupNotFound, for the group and for what would be in it."""
    group = f"{arm.subscription}/resourceGroups/absent"
    workspaces = f"{group}/providers/Microsoft.MachineLearningServices/workspaces"
    body = {"location": "eastus", "properties": {}}
    for answer in (arm.get(group), arm.get(workspaces), arm.put(f"{workspaces}/new-one", body)):
        assert answer.status_code == 404, answer.text
        assert answer.json()["error"]["code"] == "ResourceGroupNotFound"


def test_subscription_that_does_not_exist(arm: Arm) -> None:
    other = arm.workspace.replace(arm.settings.subscription_id, "00000000-0000-0000-0000-000000000000")
    answer = arm.get(other)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "SubscriptionNotFound")


@pytest.mark.parametrize("bad", ["ab", "-abc", "a" * 34, "a b c", "abc!", "abc%0A"])
def test_workspace_names_must_follow_azures_rule(bad: str, arm: Arm) -> None:
    """``^[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}$`` [D REST docs 2024-04-01]."""
    path = f"{arm.workspace.rpartition('/')[0]}/{bad}"
    assert arm.put(path, {"location": "eastus", "properties": {}}).status_code == 400


def test_discovery_names_the_services(service: RunningService) -> None:
    """sdk-rest-surface B6."""
    import requests

    found = requests.get("https://eastus.api.azureml.ms/discovery", timeout=30).json()
    assert set(found) >= {
        "api", "catalog", "experimentation", "gallery", "history", "hyperdrive", "labeling", "modelmanagement",
        "pipelines", "studio",
    }  # fmt: skip
    assert found["api"] == "https://eastus.api.azureml.ms"
    assert requests.get("https://eastus.api.azureml.ms/history/v1.0/x", timeout=30).status_code == 501


# --- datastores ---


def test_four_default_datastores_and_no_secret_in_them(ml: MLClient, arm: Arm, service: RunningService) -> None:
    names = {one.name for one in ml.datastores.list()}
    assert names >= {"workspaceblobstore", "workspaceartifactstore", "workspacefilestore", "workspaceworkingdirectory"}
    default = ml.datastores.get_default()
    assert default.name == "workspaceblobstore"
    assert default.account_name == service.settings.storage_account
    guid = arm.get("").json()["properties"]["workspaceId"]
    assert default.container_name == f"azureml-blobstore-{guid}"
    assert service.settings.storage_key not in arm.get("/datastores").text
    listed = arm.get("/datastores", isDefault="true").json()
    assert [one["name"] for one in listed["value"]] == ["workspaceblobstore"]
    assert "nextLink" not in listed


def test_secrets_of_a_datastore(ml: MLClient, arm: Arm, service: RunningService) -> None:
    got = ml.datastores.get("workspaceblobstore", include_secrets=True)  # the SDK asks for one that expires
    with ContainerClient(
        f"https://{got.account_name}.blob.core.windows.net", got.container_name, got.credentials.sas_token
    ) as container:
        container.upload_blob(uuid.uuid4().hex, b"1")
    bare = arm.request("POST", "/datastores/workspaceblobstore/listSecrets")  # an old SDK sends no body
    assert bare.json() == {"secretsType": "AccountKey", "key": service.settings.storage_key}
    sas = arm.request(
        "POST", "/datastores/workspaceblobstore/listSecrets", json={"expirableSecret": True, "expireAfterHours": 2}
    ).json()
    assert sas["secretsType"] == "Sas"
    assert sas["sasToken"].startswith("?")
    for field in ("srt=co", "ss=bf", "sp=rcuwdl"):
        assert field in sas["sasToken"]


@pytest.mark.parametrize("hours", [-1, "two", 1.5], ids=str)
def test_secret_for_a_wrong_time(hours: object, arm: Arm) -> None:
    body = {"expirableSecret": True, "expireAfterHours": hours}
    answer = arm.request("POST", "/datastores/workspaceblobstore/listSecrets", json=body)
    assert answer.status_code == 400


def test_datastore_of_ones_own(ml: MLClient, arm: Arm, name: str) -> None:
    key = base64.b64encode(b"x" * 64).decode()
    datastore = AzureBlobDatastore(
        name=name, account_name="elsewhere", container_name="c", credentials=AccountKeyConfiguration(account_key=key)
    )
    created = ml.datastores.create_or_update(datastore)
    assert (created.account_name, created.container_name) == ("elsewhere", "c")
    assert key not in arm.get(f"/datastores/{name}").text
    properties = arm.get(f"/datastores/{name}").json()["properties"]
    assert properties["serviceDataAccessAuthIdentity"] == "None"
    assert properties["tags"] == {}
    assert ml.datastores.get(name, include_secrets=True).credentials.account_key == key
    # What azure-ai-ml makes of a datastore that it got: credentials without the secret itself.
    credentials = {"credentialsType": "AccountKey", "secrets": {"secretsType": "AccountKey"}}
    changed = {**properties, "description": "changed", "credentials": credentials}
    again = arm.put(f"/datastores/{name}", {"properties": changed})
    assert again.status_code == 200
    assert ml.datastores.get(name, include_secrets=True).credentials.account_key == key
    ml.datastores.delete(name)
    with pytest.raises(ResourceNotFoundError):
        ml.datastores.get(name)
    assert arm.request("POST", f"/datastores/{name}/listSecrets").status_code == 404


def test_missing_datastore_has_azures_words(arm: Arm) -> None:
    """[R4]: no detail, and a sixth entry in ``additionalInfo``."""
    error = arm.get("/datastores/absent").json()["error"]
    assert (error["code"], error["message"], error["details"]) == ("UserError", "Could not find datastore: absent.", [])
    assert error["additionalInfo"][-1] == {
        "type": "InnerError",
        "info": {"value": {"code": "NotFoundError", "innerError": None}},
    }


def test_default_datastore_cannot_be_deleted(ml: MLClient) -> None:
    with pytest.raises(HttpResponseError):
        ml.datastores.delete("workspaceblobstore")


def test_default_datastore_stays_the_default_one(arm: Arm, name: str) -> None:
    """OpenAPI: ``isDefault`` is read-only. Also after the workspace was written again, as by an update through PUT."""
    other = f"{arm.workspace.rpartition('/')[0]}/{name}"
    arm.put(other, {"location": "eastus", "properties": {}})
    mine = {
        "datastoreType": "AzureBlob", "accountName": "a", "containerName": "c", "isDefault": True,
        "credentials": {"credentialsType": "None"},
    }  # fmt: skip
    assert arm.put(f"{other}/datastores/mine", {"properties": mine}).json()["properties"]["isDefault"] is False
    arm.put(other, {"location": "eastus", "properties": {}, "tags": {"a": "b"}})
    listed = arm.get(f"{other}/datastores", isDefault="true").json()["value"]
    assert [one["name"] for one in listed] == ["workspaceblobstore"]
    assert arm.request("DELETE", other).status_code == 200


def test_datastores_by_name_text_and_order(arm: Arm, name: str) -> None:
    """OpenAPI, Datastores_List: names, searchText, orderBy (createdtime | modifiedtime | name), orderByAsc, count."""
    for one in ("b", "a", "c"):
        body = {"datastoreType": "AzureBlob", "credentials": {"credentialsType": "None"}}
        arm.put(f"/datastores/{name}_{one}", {"properties": body})

    def listed(**query: str) -> str:
        answer = arm.request("GET", "/datastores", params={"api-version": API_VERSION, **query})
        return "".join(one["name"][-1] for one in answer.json()["value"])

    assert listed(names=f"{name}_a, {name}_c,absent") == "ac"
    assert listed(searchText=name.upper()) == "bac"
    assert listed(searchText=name, orderBy="name", orderByAsc="true") == "abc"
    assert (
        listed(searchText=name, orderBy="name") == listed(searchText=name, orderBy="name", orderByAsc="false") == "cba"
    )
    assert listed(searchText=name, orderBy="createdtime") == "cab"
    assert listed(searchText=name, count="2") == "ba"
    assert "default" not in listed(searchText="absent")


def test_settings_of_a_workspace_that_are_not_used_are_kept(arm: Arm, name: str) -> None:
    other = f"{arm.workspace.rpartition('/')[0]}/{name}"
    properties = {"hbiWorkspace": True, "systemDatastoresAuthMode": "identity", "workspaceId": "mine"}
    created = arm.put(other, {"location": "eastus", "properties": properties}).json()
    assert created["properties"]["hbiWorkspace"] is True
    assert created["properties"]["systemDatastoresAuthMode"] == "Identity"
    assert created["properties"]["workspaceId"] != "mine"
    changed = arm.request("PATCH", other, json={"properties": {"imageBuildCompute": "cpu"}}).json()
    assert changed["properties"] == {**created["properties"], "imageBuildCompute": "cpu"}
    assert arm.request("DELETE", other).status_code == 200
