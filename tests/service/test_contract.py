"""The contract of every route: that it answers what the official clients' models say.

The models judge every answer in this folder (``contract`` in conftest.py). Here each route is asked at least once, so
that a route without a contract, or one that is never asked, fails.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Workspace
from checker import ANSWERS, Contract, route_names
from support import PROVIDER, Arm, Deployed, finish

URI = "azureml://datastores/workspaceblobstore/paths/anywhere"
READER = "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
VERSIONS: dict[str, dict[str, Any]] = {
    "models": {"modelUri": URI},
    "environments": {"image": "mcr.microsoft.com/azureml/minimal-py311-inference"},
    "data": {"dataUri": URI, "dataType": "uri_folder"},
    "components": {"componentSpec": {"name": "c", "type": "command", "command": "true", "environment": "e"}},
}
# Routes that Azure has, and that only ever refuse.
REFUSED = {("POST", "{ws}/batchEndpoints/{endpoint}/listKeys")}


def test_every_route_has_a_contract_and_no_other() -> None:
    assert set(ANSWERS) == set(route_names())


@pytest.fixture(scope="module")
def answered(arm: Arm, ml: MLClient, deployed: Deployed, contract: Contract) -> set[tuple[str, str]]:
    """Ask every route; return those that answered with success, here or in an earlier test."""
    for method, path, body in requests(arm, deployed):
        answer = arm.request(method, path, json=body)
        assert answer.status_code < 300, answer.text
        if "Azure-AsyncOperation" in answer.headers:
            assert arm.ended(answer)["status"] == "Succeeded", path
            if "Location" in answer.headers and method == "DELETE":
                results = answer.headers["Location"].removeprefix("https://management.azure.com")
                assert arm.request("GET", results, params={}).status_code == 204
    finish(ml.workspaces.begin_create(Workspace(name="t" + uuid.uuid4().hex[:10])))  # by a template deployment
    return contract.answered


@pytest.mark.parametrize("route", sorted(set(route_names()) - REFUSED), ids=" ".join)
def test_route_answers_what_the_clients_models_say(route: tuple[str, str], answered: set[tuple[str, str]]) -> None:
    assert route in answered


def requests(arm: Arm, deployed: Deployed) -> Iterator[tuple[str, str, object]]:
    """Yield a method, a path and a body for each route."""
    name = "t" + uuid.uuid4().hex[:10]
    base = f"{arm.group}/providers/{PROVIDER}/workspaces"
    yield "GET", "/subscriptions", None
    yield "GET", "/tenants", None
    yield "GET", arm.subscription, None
    yield "GET", f"{arm.subscription}/providers", None
    yield "GET", f"{arm.subscription}/providers/{PROVIDER}", None
    yield "GET", f"{arm.subscription}/resourceGroups", None
    yield "GET", arm.group, None
    yield "GET", f"{arm.group}/providers/Microsoft.Authorization/permissions", None
    yield "GET", base, None
    yield "GET", f"{arm.subscription}/providers/{PROVIDER}/workspaces", None
    yield "PUT", f"{base}/{name}", {"location": "eastus", "properties": {}}
    yield "GET", f"{base}/{name}", None
    yield "GET", f"{base}/{name}/providers/Microsoft.Authorization/permissions", None
    yield "PATCH", f"{base}/{name}", {"tags": {"a": "b"}}
    yield "POST", f"{base}/{name}/listKeys", None
    registry = arm.request("GET", f"{base}/{name}").json()["properties"]["containerRegistry"]
    yield "DELETE", f"{base}/{name}", None
    yield "DELETE", registry, None
    for path in ("vmSizes", "usages", "quotas"):
        yield "GET", f"{arm.region}/{path}", None
    quota = f"{arm.workspace}/quotas/Standard_FSv2_Family_Cluster_Dedicated_vCPUs"
    yield "POST", f"{arm.region}/updateQuotas", {"value": [{"id": quota, "limit": 100, "unit": "Count"}]}
    yield from store_requests(name)
    for kind, properties in VERSIONS.items():
        yield from asset_requests(f"/{kind}", name, properties)
    yield from registry_requests(name, arm)
    yield from compute_requests(name)
    yield from endpoint_requests(name, arm, deployed)
    yield from batch_requests(name, arm, deployed)
    yield from job_requests(name, deployed)
    yield from storage_requests(name, arm)
    yield from vault_requests(name, arm)
    yield from identity_requests(name, arm, deployed)
    yield from role_requests(arm, deployed)
    yield from monitor_requests(name, arm, deployed)
    yield from databricks_requests(name, arm)


def asset_requests(containers: str, name: str, properties: dict[str, Any]) -> Iterator[tuple[str, str, object]]:
    of_container = {"dataType": "uri_folder"} if "dataType" in properties else {}
    yield "PUT", f"{containers}/{name}", {"properties": {"description": "d", **of_container}}
    yield "PUT", f"{containers}/{name}/versions/1", {"properties": properties}
    for path in ("", f"/{name}", f"/{name}/versions", f"/{name}/versions/1"):
        yield "GET", containers + path, None
    yield "DELETE", f"{containers}/{name}/versions/1", None
    yield "DELETE", f"{containers}/{name}", None


def databricks_requests(name: str, arm: Arm) -> Iterator[tuple[str, str, object]]:
    base = f"{arm.group}/providers/Microsoft.Databricks/workspaces"
    workspace = f"{base}/{name}"
    yield "PUT", workspace, {"location": "eastus", "properties": {"managedResourceGroupId": f"{arm.group}-managed"}}
    yield "GET", f"{arm.subscription}/providers/Microsoft.Databricks/workspaces", None
    yield "GET", base, None
    yield "GET", workspace, None
    yield "PATCH", workspace, {"tags": {"a": "b"}}
    yield from role_requests_at(workspace)
    secret = {"databricksAccessToken": "dapi"}
    lake = {"computeType": "Databricks", "resourceId": workspace, "properties": secret}
    yield "PUT", "/computes/lake", {"location": "eastus", "properties": lake}
    yield "POST", "/computes/lake/listKeys", None
    yield "DELETE", "/computes/lake?underlyingResourceAction=Detach", None
    yield "DELETE", workspace, None


def registry_requests(name: str, arm: Arm) -> Iterator[tuple[str, str, object]]:
    base = f"{arm.group}/providers/{PROVIDER}/registries"
    registry = f"{base}/{name}"
    yield "PUT", registry, {"location": "eastus", "properties": {}}
    yield "GET", f"{arm.subscription}/providers/{PROVIDER}/registries", None
    yield "GET", base, None
    yield "GET", registry, None
    yield "PATCH", registry, {"tags": {"a": "b"}}
    code = f"{registry}/codes/{name}/versions"
    upload = f"{code}/1/startPendingUpload"
    yield "POST", upload, {"pendingUploadType": "TemporaryBlobReference"}
    pending = arm.request("POST", upload, json={"pendingUploadType": "TemporaryBlobReference"}).json()
    uri = pending["blobReferenceForConsumption"]["blobUri"]
    yield "PUT", f"{code}/1", {"properties": {"codeUri": uri}}
    yield "GET", code, None
    yield "GET", f"{code}/1", None
    yield "DELETE", f"{code}/1", None
    for kind, properties in VERSIONS.items():
        own = {member: uri for member, value in properties.items() if value == URI}
        yield from asset_requests(f"{registry}/{kind}", name, {**properties, **own})
    yield from role_requests_at(registry)
    yield "DELETE", registry, None


def batch_requests(name: str, arm: Arm, deployed: Deployed) -> Iterator[tuple[str, str, object]]:
    endpoint, model = f"/batchEndpoints/b{name}", f"/models/{name}/versions/1"
    deployment = f"{endpoint}/deployments/blue"
    cluster = {"vmSize": "STANDARD_DS3_V2", "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 1}}
    compute = {"computeType": "AmlCompute", "properties": cluster}
    yield "PUT", f"/computes/{name}", {"location": "eastus", "properties": compute}
    yield "PUT", model, {"properties": {"modelUri": URI, "modelType": "mlflow_model"}}
    yield "PUT", endpoint, {"location": "eastus", "properties": {"authMode": "AADToken"}}
    yield "GET", "/batchEndpoints", None
    yield "GET", endpoint, None
    yield "PATCH", endpoint, {"tags": {"a": "b"}}
    of_model = {"referenceType": "Id", "assetId": arm.workspace + model}
    properties = {"model": of_model, "environmentId": deployed.environment.id, "compute": name}
    yield "PUT", deployment, {"location": "eastus", "properties": properties}
    yield "GET", f"{endpoint}/deployments", None
    yield "GET", deployment, None
    yield "PATCH", deployment, {"tags": {"a": "b"}, "properties": {"description": "d"}}
    yield "DELETE", deployment, None
    yield "DELETE", endpoint, None
    yield "DELETE", f"/computes/{name}", None


def job_requests(name: str, deployed: Deployed) -> Iterator[tuple[str, str, object]]:
    cluster = {"vmSize": "STANDARD_DS3_V2", "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 1}}
    yield (
        "PUT",
        f"/computes/{name}",
        {"location": "eastus", "properties": {"computeType": "AmlCompute", "properties": cluster}},
    )
    # Direct: there is nothing to bring, and the job would fail before it can be cancelled.
    input_of_nothing = {"jobInputType": "uri_folder", "uri": URI, "mode": "Direct"}
    job = {
        "jobType": "Command",
        "command": "sleep 600",
        "computeId": name,
        "environmentId": deployed.environment.id,
        "limits": {"jobLimitsType": "Command", "timeout": "PT5M"},
        "inputs": {"x": {"jobInputType": "literal", "value": "1"}, "y": input_of_nothing},
        "outputs": {"z": {"jobOutputType": "uri_folder"}},
        "distribution": {"distributionType": "PyTorch", "processCountPerInstance": 1},
        "identity": {"identityType": "AMLToken"},
    }
    yield "PUT", f"/jobs/{name}", {"properties": job}
    yield "GET", "/jobs", None
    yield "GET", f"/jobs/{name}", None
    trigger = {
        "triggerType": "Recurrence",
        "frequency": "Month",
        "interval": 1,
        "schedule": {"hours": [], "minutes": []},
    }
    action = {"actionType": "CreateJob", "jobDefinition": job}
    schedule = f"/schedules/{name}"
    yield "PUT", schedule, {"properties": {"trigger": trigger, "action": action}}
    yield "GET", "/schedules", None
    yield "GET", schedule, None
    yield "POST", f"{schedule}/trigger", {"scheduleTime": "2026-01-01T00:00:00Z"}
    yield "PUT", schedule, {"properties": {"trigger": trigger, "action": action, "isEnabled": False}}
    yield "DELETE", schedule, None
    yield "POST", f"/jobs/{name}-20260101T000000Z/cancel", None
    yield "POST", f"/jobs/{name}/cancel", None
    yield "DELETE", f"/jobs/{name}", None
    yield "DELETE", f"/computes/{name}", None


def compute_requests(name: str) -> Iterator[tuple[str, str, object]]:
    cluster, instance = f"/computes/{name}", f"/computes/{name}-ci"
    scale = {"scaleSettings": {"minNodeCount": 0, "maxNodeCount": 2, "nodeIdleTimeBeforeScaleDown": "PT30S"}}
    of_size = {"vmSize": "Standard_DS1_v2", **scale}
    yield "PUT", cluster, {"location": "eastus", "properties": {"computeType": "AmlCompute", "properties": of_size}}
    yield "GET", "/computes", None
    yield "GET", cluster, None
    yield "PATCH", cluster, {"properties": {"properties": scale}}
    yield "POST", f"{cluster}/listNodes", None
    yield "DELETE", cluster, None
    machine = {"computeType": "ComputeInstance", "properties": {"vmSize": "Standard_DS1_v2"}}
    yield "PUT", instance, {"location": "eastus", "properties": machine}
    yield "GET", instance, None
    for action in ("stop", "start", "restart"):
        yield "POST", f"{instance}/{action}", None
    yield "POST", f"{instance}/updateIdleShutdownSetting", {"idleTimeBeforeShutdown": "PT30M"}
    yield "DELETE", instance, None


def storage_requests(name: str, arm: Arm) -> Iterator[tuple[str, str, object]]:
    kind = "providers/Microsoft.Storage/storageAccounts"
    account = f"{arm.group}/{kind}/{name}"
    yield "PUT", account, {"location": "eastus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    yield "GET", f"{arm.subscription}/{kind}", None
    yield "GET", f"{arm.group}/{kind}", None
    yield "GET", account, None
    yield "PATCH", account, {"tags": {"a": "b"}}
    yield "POST", f"{account}/listKeys", None
    yield "POST", f"{account}/regenerateKey", {"keyName": "key2"}
    asked = {"name": name, "type": "Microsoft.Storage/storageAccounts"}
    yield "POST", f"{arm.subscription}/providers/Microsoft.Storage/checkNameAvailability", asked
    container = f"{account}/blobServices/default/containers/c-1"
    yield "PUT", container, {"properties": {}}
    yield "GET", container.rpartition("/")[0], None
    yield "GET", container, None
    yield "DELETE", container, None
    yield "DELETE", account, None


def vault_requests(name: str, arm: Arm) -> Iterator[tuple[str, str, object]]:
    provider = "providers/Microsoft.KeyVault"
    vault = f"{arm.group}/{provider}/vaults/{name}"
    tenant = arm.settings.tenant_id
    policy = {"tenantId": tenant, "objectId": str(uuid.uuid4()), "permissions": {"secrets": ["get"]}}
    properties = {"tenantId": tenant, "sku": {"family": "A", "name": "standard"}, "accessPolicies": [policy]}
    yield "PUT", vault, {"location": "eastus", "properties": properties, "tags": {"a": "b"}}
    yield "GET", f"{arm.subscription}/{provider}/vaults", None
    yield "GET", f"{arm.group}/{provider}/vaults", None
    yield "GET", vault, None
    yield "PATCH", vault, {"tags": {"a": "c"}}
    yield "PUT", f"{vault}/accessPolicies/add", {"properties": {"accessPolicies": [policy]}}
    asked = {"name": name, "type": "Microsoft.KeyVault/vaults"}
    yield "POST", f"{arm.subscription}/{provider}/checkNameAvailability", asked
    yield "DELETE", vault, None
    deleted = f"{arm.subscription}/{provider}/locations/eastus/deletedVaults/{name}"
    yield "GET", f"{arm.subscription}/{provider}/deletedVaults", None
    yield "GET", deleted, None
    yield "POST", f"{deleted}/purge", None


def identity_requests(name: str, arm: Arm, deployed: Deployed) -> Iterator[tuple[str, str, object]]:
    kind = "providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    identity = f"{arm.group}/{kind}/{name}"
    yield "PUT", identity, {"location": "eastus", "tags": {"a": "b"}}
    yield "GET", f"{arm.subscription}/{kind}", None
    yield "GET", f"{arm.group}/{kind}", None
    yield "GET", identity, None
    yield "PATCH", identity, {"tags": {"a": "c"}}
    yield "DELETE", identity, None
    own = "providers/Microsoft.ManagedIdentity/identities/default"
    yield "GET", f"/onlineEndpoints/{deployed.endpoint}/{own}", None
    size = {"vmSize": "Standard_DS1_v2", "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 1}}
    cluster = {"computeType": "AmlCompute", "properties": size}
    yield "PUT", f"/computes/{name}", {"identity": {"type": "SystemAssigned"}, "properties": cluster}
    yield "GET", f"/computes/{name}/{own}", None
    yield "DELETE", f"/computes/{name}", None


def role_requests(arm: Arm, deployed: Deployed) -> Iterator[tuple[str, str, object]]:
    account = f"{arm.group}/providers/Microsoft.Storage/storageAccounts/{arm.settings.storage_account}"
    workspace = arm.get("").json()["properties"]
    identity = f"{arm.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/t{uuid.uuid4().hex[:10]}"
    secret = f"{workspace['keyVault']}/secrets/{uuid.uuid4().hex}"
    yield "PUT", identity, {"location": "eastus"}
    batch = "t" + uuid.uuid4().hex[:10]
    yield "PUT", f"/batchEndpoints/{batch}", {"location": "eastus", "properties": {"authMode": "AADToken"}}
    for scope in (
        arm.subscription,
        arm.group,
        arm.workspace,
        f"{arm.workspace}/onlineEndpoints/{deployed.endpoint}",
        f"{arm.workspace}/batchEndpoints/{batch}",
        account,
        f"{account}/blobServices/default/containers/c",
        f"{arm.group}/providers/Microsoft.OperationalInsights/workspaces/{arm.settings.log_workspace}",
        workspace["containerRegistry"],
        identity,
        workspace["keyVault"],
        secret,
    ):
        yield from role_requests_at(scope)
    yield "GET", workspace["containerRegistry"], None


def role_requests_at(scope: str) -> Iterator[tuple[str, str, object]]:
    name, principal = str(uuid.uuid4()), str(uuid.uuid4())
    properties = {"roleDefinitionId": READER, "principalId": principal, "principalType": "User"}
    assignments = f"{scope}/providers/Microsoft.Authorization/roleAssignments"
    yield "GET", scope + READER.rpartition("/")[0], None
    yield "GET", scope + READER, None
    yield "PUT", f"{assignments}/{name}", {"properties": properties}
    yield "GET", assignments, None
    yield "GET", f"{assignments}/{name}", None
    yield "DELETE", f"{assignments}/{name}", None


def monitor_requests(name: str, arm: Arm, deployed: Deployed) -> Iterator[tuple[str, str, object]]:
    workspaces = "providers/Microsoft.OperationalInsights/workspaces"
    own = f"{arm.group}/{workspaces}/{name}"
    yield "PUT", own, {"location": "eastus", "properties": {"retentionInDays": 60}, "tags": {"a": "b"}}
    yield "GET", f"{arm.subscription}/{workspaces}", None
    yield "GET", f"{arm.group}/{workspaces}", None
    yield "GET", own, None
    yield "PATCH", own, {"tags": {"a": "c"}}
    endpoint = f"/onlineEndpoints/{deployed.endpoint}"
    autoscale = f"{arm.group}/providers/Microsoft.Insights/autoscalesettings"
    target = f"{arm.workspace}{endpoint}/deployments/green"
    capacity = {"minimum": "1", "maximum": "2", "default": "1"}
    profile = {"name": "p", "capacity": capacity, "rules": []}
    properties = {"targetResourceUri": target, "enabled": False, "profiles": [profile]}
    yield "PUT", f"{autoscale}/{name}", {"location": "eastus", "properties": properties}
    yield "GET", f"{autoscale}/{name}", None
    yield "PATCH", f"{autoscale}/{name}", {"tags": {"a": "b"}}
    yield "GET", autoscale, None
    yield "GET", f"{arm.subscription}/providers/Microsoft.Insights/autoscalesettings", None
    for owner in (endpoint, target):
        for path in ("metrics", "metricDefinitions", "metricNamespaces"):
            yield "GET", f"{owner}/providers/Microsoft.Insights/{path}", None
    for owner, category in (
        ("", "AmlComputeJobEvent"),
        (endpoint, "AmlOnlineEndpointTrafficLog"),
        (f"{autoscale}/{name}", "AutoscaleScaleActions"),
    ):
        settings = f"{owner}/providers/Microsoft.Insights/diagnosticSettings"
        logs = [{"category": category, "enabled": True}]
        yield "PUT", f"{settings}/{name}", {"properties": {"workspaceId": own, "logs": logs, "metrics": []}}
        yield "GET", settings, None
        yield "GET", f"{settings}/{name}", None
        yield "GET", f"{settings}Categories", None
        yield "GET", f"{settings}Categories/AllMetrics", None
        yield "DELETE", f"{settings}/{name}", None
    yield "DELETE", f"{autoscale}/{name}", None
    yield "DELETE", own, None


def store_requests(name: str) -> Iterator[tuple[str, str, object]]:
    credentials = {
        "credentialsType": "ServicePrincipal",
        "clientId": str(uuid.uuid4()),
        "tenantId": str(uuid.uuid4()),
        "secrets": {"secretsType": "ServicePrincipal", "clientSecret": "s"},
    }
    datastore = {
        "datastoreType": "AzureDataLakeGen2",
        "accountName": "a",
        "filesystem": "f",
        "credentials": credentials,
    }
    yield "PUT", f"/datastores/{name}", {"properties": datastore}
    yield "GET", "/datastores", None
    yield "GET", f"/datastores/{name}", None
    yield "POST", f"/datastores/{name}/listSecrets", None
    yield "POST", "/datastores/workspaceblobstore/listSecrets", {"expirableSecret": True, "expireAfterHours": 1}
    yield "DELETE", f"/datastores/{name}", None
    code = f"/codes/{name}/versions"
    yield "POST", f"{code}/1/startPendingUpload", {"pendingUploadType": "TemporaryBlobReference"}
    yield "PUT", f"{code}/1", {"properties": {"codeUri": "https://host/c", "properties": {"hash_sha256": "0"}}}
    yield "GET", code, None
    yield "GET", f"{code}/1", None
    yield "DELETE", f"{code}/1", None


def endpoint_requests(name: str, arm: Arm, deployed: Deployed) -> Iterator[tuple[str, str, object]]:
    shared, own = f"/onlineEndpoints/{deployed.endpoint}", f"/onlineEndpoints/{name}"
    green = f"{shared}/deployments/green"
    copied = arm.get(green).json()
    yield "GET", "/onlineEndpoints", None
    yield "GET", shared, None
    yield "GET", f"{shared}/deployments", None
    yield "POST", f"{shared}/listKeys", None
    yield "POST", f"{green}/getLogs", {"containerType": "InferenceServer", "tail": 10}
    yield "PATCH", green, {"tags": {"a": "b"}}
    yield "PUT", own, {"location": "eastus", "properties": {"authMode": "Key"}}
    yield "PATCH", own, {"tags": {"a": "b"}}
    yield "POST", f"{own}/regenerateKeys", {"keyType": "Primary"}
    yield "PUT", own, {"location": "eastus", "properties": {"authMode": "AMLToken"}}
    yield "POST", f"{own}/token", None
    # What was got can be put: what only Azure sets is ignored.
    yield "PUT", f"{own}/deployments/green", copied
    yield "GET", f"{own}/deployments/green", None
    yield "DELETE", f"{own}/deployments/green", None
    yield "DELETE", own, None
