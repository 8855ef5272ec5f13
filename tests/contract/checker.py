"""Judges the control plane's answers: whether Microsoft's own clients know every member, and find every one they need.

Strict, which the clients themselves are not: a member that none of them knows, one that is missing, a wrong type, a
word that is not in an enumeration, a name in the wrong case and a secret that Azure never gives out are violations.
Besides, each client's own deserialiser has to take the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import requests
from azure.ai.ml._restclient.arm_ml_service import models as azure_ai_ml
from azure.ai.ml._restclient.arm_ml_service._utils.model_base import _deserialize
from azure.ai.ml._vendor.azure_resources import models as azure_mgmt_resource
from azure.mgmt.authorization.v2022_04_01 import models as azure_mgmt_authorization
from azure.mgmt.keyvault import models as azure_mgmt_keyvault
from azure.mgmt.loganalytics import models as azure_mgmt_loganalytics
from azure.mgmt.machinelearningservices import models as azure_mgmt_machinelearningservices
from azure.mgmt.machinelearningservices._serialization import Deserializer
from azure.mgmt.monitor.v2017_12_01_preview import models as azure_mgmt_monitor_namespaces
from azure.mgmt.monitor.v2021_05_01 import models as azure_mgmt_monitor_metrics
from azure.mgmt.monitor.v2021_05_01_preview import models as azure_mgmt_monitor
from azure.mgmt.monitor.v2022_10_01 import models as azure_mgmt_monitor_autoscale
from azure.mgmt.msi.v2024_11_30 import models as azure_mgmt_msi
from azure.mgmt.storage import models as azure_mgmt_storage
from client_models import Member, Models, ObjectType, of_attribute_maps, of_rest_fields
from write_request_models import known_to_azure

from azureml_local.arm import control_plane, ids
from azureml_local.arm.access import assigned_roles

ARM = "https://management.azure.com"
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?(Z|[+-]\d\d:\d\d)")  # RFC 3339, at most 7 digits
DURATION = re.compile(r"P(?=.)(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")  # ISO 8601
PYTHON = {
    "str": str,
    "datetime": str,
    "duration": str,
    "int": int,
    "intOrText": (int, str),
    "float": (int, float),
    "bool": bool,
}

# What no client has a model for, from Resource Manager's own rules:
# https://github.com/Azure/azure-resource-manager-rpc/blob/master/v1.0/async-api-reference.md
STATUS = ObjectType(
    {
        "id": Member("str", required=True),
        "name": Member("str", required=True),
        "startTime": Member("datetime", required=True),
        "endTime": Member("datetime"),
        "percentComplete": Member("float"),
        "status": Member("str", required=True),
        "error": Member("ErrorDetail"),
    }
)
# The word of a compute's operation, and how far it is: all that Azure says of one.
COMPUTE_STATUS = ObjectType(
    {"status": Member("str", required=True), "percentComplete": Member("float"), "error": Member("ErrorDetail")}
)
# A job that is a step of a pipeline: azure-ai-ml knows it by its having no properties (entities/_job/job.py,
# _is_pipeline_child_job), and asks run history for it.
STEP = ObjectType(
    {
        **{name: Member("str", required=True) for name in ("id", "name", "type")},
        "systemData": Member("SystemData", required=True),
    }
)
# As azure-ai-ml reads it (ScheduleTriggerResult); the models of the installed clients have it no more.
TRIGGERED = ObjectType({name: Member("str", required=True) for name in ("submissionId", "scheduleActionType")})
# https://learn.microsoft.com/rest/api/containerregistry/registries/get
REGISTRY_PROPERTIES = ObjectType(
    {
        "loginServer": Member("str", required=True),
        "creationDate": Member("datetime", required=True),
        "provisioningState": Member("str", required=True),
        "adminUserEnabled": Member("bool", required=True),
    }
)
REGISTRY = ObjectType(
    {
        **{name: Member("str", required=True) for name in ("id", "name", "type", "location")},
        "tags": Member("{str}"),
        "sku": Member("Sku", required=True),
        "properties": Member("ContainerRegistryProperties", required=True),
    }
)
# https://learn.microsoft.com/rest/api/databricks/workspaces/get; specification/databricks, 2024-05-01
DATABRICKS_PROPERTIES = ObjectType(
    {
        "managedResourceGroupId": Member("str", required=True),
        "parameters": Member("{any}"),
        "provisioningState": Member("str", required=True),
        "publicNetworkAccess": Member("str"),
        "createdBy": Member("{str}"),
        "updatedBy": Member("{str}"),
        "createdDateTime": Member("datetime", required=True),
        "workspaceId": Member("str", required=True),
        "workspaceUrl": Member("str", required=True),
    }
)
DATABRICKS = ObjectType(
    {
        **{name: Member("str", required=True) for name in ("id", "name", "type", "location")},
        "tags": Member("{str}"),
        "sku": Member("Sku", required=True),
        "systemData": Member("SystemData", required=True),
        "properties": Member("DatabricksWorkspaceProperties", required=True),
    }
)
# https://learn.microsoft.com/rest/api/resources/subscriptions/get and tenants/list
SUBSCRIPTION = ObjectType(
    {
        **{
            name: Member("str", required=True)
            for name in ("id", "subscriptionId", "tenantId", "displayName", "state", "authorizationSource")
        },
        "subscriptionPolicies": Member("{str}", required=True),
        "managedByTenants": Member("[any]"),
    }
)
TENANT = ObjectType(
    {name: Member("str", required=True) for name in ("id", "tenantId", "displayName", "tenantCategory")}
)
# https://learn.microsoft.com/rest/api/resources/providers/get
RESOURCE_PROVIDER = ObjectType(
    {
        **{
            name: Member("str", required=True)
            for name in ("id", "namespace", "registrationState", "registrationPolicy")
        },
        "resourceTypes": Member("[any]", required=True),
    }
)
# Nothing, the four letters null or an object without members (which is what the result of a cancelled job is until it
# is there), where the OpenAPI has no schema for an answer.
NOTHING = "nothing"
EMPTY = (b"", b"null", b"{}")

# Where roles can be assigned.
SCOPES = (
    "{ml registry}",
    "{subscription}",
    "{group}",
    "{ws}",
    "{ws}/onlineEndpoints/{endpoint}",
    "{ws}/batchEndpoints/{endpoint}",
    "{account}",
    "{account}/blobServices/default/containers/{container}",
    "{registry}",
    "{user identity}",
    "{vault}",
    "{vault}/secrets/{secret}",
    "{logs}",
    "{databricks}",
)

ROOTS = ("{ws}", "{ml registry}")  # what assets lie in

# Each route's answer of success: a model, [a model] for a page of a list, or nothing.
ANSWERS = {
    ("GET", "{location}/mfeOperationsStatus/{operation}"): "AsyncOperationStatus",
    ("GET", "{location}/mfeOperationResults/{operation}"): NOTHING,
    ("GET", "{location}/computeOperationsStatus/{operation}"): "ComputeOperationStatus",
    ("GET", "{location}/vmSizes"): "[VirtualMachineSize]",
    ("GET", "{location}/usages"): "[Usage]",
    ("GET", "{location}/quotas"): "[ResourceQuota]",
    ("POST", "{location}/updateQuotas"): "[UpdateWorkspaceQuotas]",
    ("GET", "/subscriptions"): "[Subscription]",
    ("GET", "{subscription}"): "Subscription",
    ("GET", "/tenants"): "[TenantIdDescription]",
    ("GET", "{subscription}/providers"): "[ResourceProvider]",
    ("GET", "{subscription}/providers/{namespace}"): "ResourceProvider",
    ("GET", "{group}/providers/Microsoft.Authorization/permissions"): "[Permission]",
    ("GET", "{ws}/providers/Microsoft.Authorization/permissions"): "[Permission]",
    ("GET", "{subscription}/resourceGroups"): "[ResourceGroup]",
    ("GET", "{group}"): "ResourceGroup",
    ("PUT", "{group}/providers/Microsoft.Resources/deployments/{deployment}"): "DeploymentExtended",
    ("GET", "{group}/deployments/{deployment}/operations"): "[DeploymentOperation]",
    ("GET", "{subscription}/workspaces"): "[Workspace]",
    ("GET", "{group}/workspaces"): "[Workspace]",
    ("GET", "{ws}"): "Workspace",
    ("PUT", "{ws}"): "Workspace",
    ("PATCH", "{ws}"): "Workspace",
    ("DELETE", "{ws}"): NOTHING,
    ("POST", "{ws}/listKeys"): "ListWorkspaceKeysResult",
    ("GET", "{ws}/datastores"): "[Datastore]",
    ("GET", "{ws}/datastores/{datastore}"): "Datastore",
    ("PUT", "{ws}/datastores/{datastore}"): "Datastore",
    ("DELETE", "{ws}/datastores/{datastore}"): NOTHING,
    ("POST", "{ws}/datastores/{datastore}/listSecrets"): "DatastoreSecrets",
    ("GET", "{subscription}/providers/Microsoft.MachineLearningServices/registries"): "[Registry]",
    ("GET", "{group}/providers/Microsoft.MachineLearningServices/registries"): "[Registry]",
    ("GET", "{ml registry}"): "Registry",
    ("PUT", "{ml registry}"): "Registry",
    ("PATCH", "{ml registry}"): "Registry",
    ("DELETE", "{ml registry}"): NOTHING,
    **{
        (method, f"{root}/codes/{{name}}/versions{path}"): answer
        for root in ROOTS
        for method, path, answer in (
            ("GET", "", "[CodeVersion]"),
            ("GET", "/{version}", "CodeVersion"),
            ("PUT", "/{version}", "CodeVersion"),
            ("DELETE", "/{version}", NOTHING),
            ("POST", "/{version}/startPendingUpload", "PendingUploadResponseDto"),
        )
    },
    **{
        (method, f"{root}/{kind}{path}"): answer.format(kind=model, version=version)
        for root in ROOTS
        for kind, model, version in (
            ("models", "Model", "ModelVersion"),
            ("environments", "Environment", "EnvironmentVersion"),
            ("data", "Data", "DataVersionBase"),
            ("components", "Component", "ComponentVersion"),
        )
        for method, path, answer in (
            ("GET", "", "[{kind}Container]"),
            ("GET", "/{name}", "{kind}Container"),
            ("PUT", "/{name}", "{kind}Container"),
            ("DELETE", "/{name}", NOTHING),
            ("GET", "/{name}/versions", "[{version}]"),
            ("GET", "/{name}/versions/{version}", "{version}"),
            ("PUT", "/{name}/versions/{version}", "{version}"),
            ("DELETE", "/{name}/versions/{version}", NOTHING),
        )
    },
    ("GET", "{ws}/computes"): "[ComputeResource]",
    ("GET", "{ws}/computes/{compute}"): "ComputeResource",
    ("PUT", "{ws}/computes/{compute}"): "ComputeResource",
    ("GET", "{ws}/jobs"): "[JobBase]",
    ("GET", "{ws}/jobs/{job}"): "JobBase",
    ("PUT", "{ws}/jobs/{job}"): "JobBase",
    ("DELETE", "{ws}/jobs/{job}"): NOTHING,
    ("POST", "{ws}/jobs/{job}/cancel"): NOTHING,
    ("GET", "{ws}/schedules"): "[Schedule]",
    ("GET", "{ws}/schedules/{schedule}"): "Schedule",
    ("PUT", "{ws}/schedules/{schedule}"): "Schedule",
    ("DELETE", "{ws}/schedules/{schedule}"): NOTHING,
    ("POST", "{ws}/schedules/{schedule}/trigger"): "TriggerRunSubmissionDto",
    ("PATCH", "{ws}/computes/{compute}"): "ComputeResource",
    ("DELETE", "{ws}/computes/{compute}"): NOTHING,
    ("POST", "{ws}/computes/{compute}/listNodes"): "AmlComputeNodesInformation",
    ("POST", "{ws}/computes/{compute}/listKeys"): "ComputeSecrets",
    ("POST", "{ws}/computes/{compute}/start"): NOTHING,
    ("POST", "{ws}/computes/{compute}/stop"): NOTHING,
    ("POST", "{ws}/computes/{compute}/restart"): NOTHING,
    ("POST", "{ws}/computes/{compute}/updateIdleShutdownSetting"): NOTHING,
    ("GET", "{ws}/onlineEndpoints"): "[OnlineEndpoint]",
    ("GET", "{ws}/onlineEndpoints/{endpoint}"): "OnlineEndpoint",
    ("PUT", "{ws}/onlineEndpoints/{endpoint}"): "OnlineEndpoint",
    ("PATCH", "{ws}/onlineEndpoints/{endpoint}"): "OnlineEndpoint",
    ("DELETE", "{ws}/onlineEndpoints/{endpoint}"): NOTHING,
    ("POST", "{ws}/onlineEndpoints/{endpoint}/listKeys"): "EndpointAuthKeys",
    ("POST", "{ws}/onlineEndpoints/{endpoint}/token"): "EndpointAuthToken",
    ("POST", "{ws}/onlineEndpoints/{endpoint}/regenerateKeys"): NOTHING,
    ("GET", "{ws}/onlineEndpoints/{endpoint}/deployments"): "[OnlineDeployment]",
    ("GET", "{ws}/onlineEndpoints/{endpoint}/deployments/{deployment}"): "OnlineDeployment",
    ("PUT", "{ws}/onlineEndpoints/{endpoint}/deployments/{deployment}"): "OnlineDeployment",
    ("PATCH", "{ws}/onlineEndpoints/{endpoint}/deployments/{deployment}"): "OnlineDeployment",
    ("DELETE", "{ws}/onlineEndpoints/{endpoint}/deployments/{deployment}"): NOTHING,
    ("POST", "{ws}/onlineEndpoints/{endpoint}/deployments/{deployment}/getLogs"): "DeploymentLogs",
    ("GET", "{ws}/batchEndpoints"): "[BatchEndpoint]",
    ("GET", "{ws}/batchEndpoints/{endpoint}"): "BatchEndpoint",
    ("PUT", "{ws}/batchEndpoints/{endpoint}"): "BatchEndpoint",
    ("PATCH", "{ws}/batchEndpoints/{endpoint}"): "BatchEndpoint",
    ("DELETE", "{ws}/batchEndpoints/{endpoint}"): NOTHING,
    ("POST", "{ws}/batchEndpoints/{endpoint}/listKeys"): "EndpointAuthKeys",
    ("GET", "{ws}/batchEndpoints/{endpoint}/deployments"): "[BatchDeployment]",
    ("GET", "{ws}/batchEndpoints/{endpoint}/deployments/{deployment}"): "BatchDeployment",
    ("PUT", "{ws}/batchEndpoints/{endpoint}/deployments/{deployment}"): "BatchDeployment",
    ("PATCH", "{ws}/batchEndpoints/{endpoint}/deployments/{deployment}"): "BatchDeployment",
    ("DELETE", "{ws}/batchEndpoints/{endpoint}/deployments/{deployment}"): NOTHING,
    **{
        (method, short_scope + path): answer
        for short_scope in SCOPES
        for method, path, answer in (
            ("GET", "{definitions}", "[RoleDefinition]"),
            ("GET", "{definitions}/{definition}", "RoleDefinition"),
            ("GET", "{assignments}", "[RoleAssignment]"),
            ("GET", "{assignments}/{assignment}", "RoleAssignment"),
            ("PUT", "{assignments}/{assignment}", "RoleAssignment"),
            ("DELETE", "{assignments}/{assignment}", "RoleAssignment"),
        )
    },
    **{
        (method, f"{owner}/providers/Microsoft.Insights/{path}"): answer
        for owner in ("{ws}", "{ws}/onlineEndpoints/{endpoint}", "{autoscale}")
        for method, path, answer in (
            ("GET", "diagnosticSettings", "[DiagnosticSettingsResource]"),
            ("GET", "diagnosticSettings/{setting}", "DiagnosticSettingsResource"),
            ("PUT", "diagnosticSettings/{setting}", "DiagnosticSettingsResource"),
            ("DELETE", "diagnosticSettings/{setting}", NOTHING),
            ("GET", "diagnosticSettingsCategories", "[DiagnosticSettingsCategoryResource]"),
            ("GET", "diagnosticSettingsCategories/{category}", "DiagnosticSettingsCategoryResource"),
        )
    },
    **{
        ("GET", f"{{ws}}/onlineEndpoints/{{endpoint}}{owner}/providers/Microsoft.Insights/{path}"): answer
        for owner in ("", "/deployments/{deployment}")
        for path, answer in (
            ("metrics", "Monitor Response"),
            ("metricDefinitions", "[Monitor MetricDefinition]"),
            ("metricNamespaces", "[Monitor MetricNamespace]"),
        )
    },
    ("GET", "{subscription}/providers/Microsoft.Insights/autoscalesettings"): "[Monitor AutoscaleSettingResource]",
    ("GET", "{group}/providers/Microsoft.Insights/autoscalesettings"): "[Monitor AutoscaleSettingResource]",
    ("GET", "{autoscale}"): "Monitor AutoscaleSettingResource",
    ("PUT", "{autoscale}"): "Monitor AutoscaleSettingResource",
    ("PATCH", "{autoscale}"): "Monitor AutoscaleSettingResource",
    ("DELETE", "{autoscale}"): NOTHING,
    ("GET", "{subscription}/providers/Microsoft.OperationalInsights/workspaces"): "[LogAnalytics Workspace]",
    ("GET", "{group}/providers/Microsoft.OperationalInsights/workspaces"): "[LogAnalytics Workspace]",
    ("GET", "{logs}"): "LogAnalytics Workspace",
    ("PUT", "{logs}"): "LogAnalytics Workspace",
    ("PATCH", "{logs}"): "LogAnalytics Workspace",
    ("DELETE", "{logs}"): NOTHING,
    **{
        (
            "GET",
            f"{{ws}}/{kind}/providers/Microsoft.ManagedIdentity/identities/{{identity}}",
        ): "Msi SystemAssignedIdentity"
        for kind in ("onlineEndpoints/{endpoint}", "computes/{compute}")
    },
    ("GET", "{subscription}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"): "[Msi Identity]",
    ("GET", "{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"): "[Msi Identity]",
    ("GET", "{user identity}"): "Msi Identity",
    ("PUT", "{user identity}"): "Msi Identity",
    ("PATCH", "{user identity}"): "Msi Identity",
    ("DELETE", "{user identity}"): NOTHING,
    ("GET", "{subscription}/providers/Microsoft.KeyVault/vaults"): "[KeyVault Vault]",
    ("GET", "{group}/providers/Microsoft.KeyVault/vaults"): "[KeyVault Vault]",
    ("GET", "{vault}"): "KeyVault Vault",
    ("PUT", "{vault}"): "KeyVault Vault",
    ("PATCH", "{vault}"): "KeyVault Vault",
    ("DELETE", "{vault}"): NOTHING,
    ("PUT", "{vault}/accessPolicies/{operation}"): "KeyVault VaultAccessPolicyParameters",
    (
        "POST",
        "{subscription}/providers/Microsoft.KeyVault/checkNameAvailability",
    ): "KeyVault CheckNameAvailabilityResult",
    ("GET", "{subscription}/providers/Microsoft.KeyVault/deletedVaults"): "[KeyVault DeletedVault]",
    ("GET", "{subscription}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{vault}"): (
        "KeyVault DeletedVault"
    ),
    ("POST", "{subscription}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{vault}/purge"): NOTHING,
    ("GET", "{subscription}/providers/Microsoft.Storage/storageAccounts"): "[Storage StorageAccount]",
    ("GET", "{group}/providers/Microsoft.Storage/storageAccounts"): "[Storage StorageAccount]",
    ("GET", "{account}"): "Storage StorageAccount",
    ("PUT", "{account}"): "Storage StorageAccount",
    ("PATCH", "{account}"): "Storage StorageAccount",
    ("DELETE", "{account}"): NOTHING,
    ("POST", "{account}/listKeys"): "Storage StorageAccountListKeysResult",
    ("POST", "{account}/regenerateKey"): "Storage StorageAccountListKeysResult",
    ("POST", "{subscription}/providers/Microsoft.Storage/checkNameAvailability"): "Storage CheckNameAvailabilityResult",
    ("GET", "{account}/blobServices/default/containers"): "[Storage ListContainerItem]",
    ("GET", "{account}/blobServices/default/containers/{container}"): "Storage BlobContainer",
    ("PUT", "{account}/blobServices/default/containers/{container}"): "Storage BlobContainer",
    ("DELETE", "{account}/blobServices/default/containers/{container}"): NOTHING,
    ("GET", "{subscription}/providers/Microsoft.Databricks/workspaces"): "[DatabricksWorkspace]",
    ("GET", "{group}/providers/Microsoft.Databricks/workspaces"): "[DatabricksWorkspace]",
    ("GET", "{databricks}"): "DatabricksWorkspace",
    ("PUT", "{databricks}"): "DatabricksWorkspace",
    ("PATCH", "{databricks}"): "DatabricksWorkspace",
    ("DELETE", "{databricks}"): NOTHING,
    ("GET", "{registry}"): "ContainerRegistry",
    ("DELETE", "{registry}"): NOTHING,
}


def route_names() -> Iterator[tuple[str, str]]:
    """Yield each route of the service as :data:`ANSWERS` writes it."""
    for method, template, _ in control_plane.routes():
        yield method, _short(template)


def _short(template: str) -> str:
    provider = f"/providers/{ids.PROVIDER}/workspaces"
    for long, short in (
        (assigned_roles.DEFINITIONS, "{definitions}"),
        (assigned_roles.ASSIGNMENTS, "{assignments}"),
    ):
        template = template.replace(long, short)
    for long, short in (
        (ids.STORAGE_ACCOUNT, "{account}"),
        (ids.LOG_WORKSPACE, "{logs}"),
        (ids.DATABRICKS_WORKSPACE, "{databricks}"),
        (ids.AUTOSCALE_SETTING, "{autoscale}"),
        (ids.REGISTRY, "{registry}"),
        (ids.VAULT, "{vault}"),
        (ids.ML_REGISTRY, "{ml registry}"),
        (ids.USER_ASSIGNED_IDENTITY, "{user identity}"),
        (ids.WORKSPACE, "{ws}"),
        (ids.LOCATION, "{location}"),
        (ids.RESOURCE_GROUP + provider, "{group}/workspaces"),
        (ids.RESOURCE_GROUP, "{group}"),
        (ids.SUBSCRIPTION + provider, "{subscription}/workspaces"),
        (ids.SUBSCRIPTION, "{subscription}"),
    ):
        if template.startswith(long):
            return short + template.removeprefix(long)
    return template


class Contract:
    """The contract of every route. ``answered`` collects the routes that have been seen to succeed."""

    def __init__(self) -> None:
        clients = [of_rest_fields(azure_ai_ml), of_attribute_maps(azure_mgmt_machinelearningservices)]
        self._azure_ml = _Judge(known_to_azure(), clients)
        resource_manager, authorization, self._monitor, log_analytics, managed_identity, key_vault, storage = (
            _Judge(models, [models])
            for models in (
                of_attribute_maps(azure_mgmt_resource),
                of_attribute_maps(azure_mgmt_authorization),
                of_attribute_maps(azure_mgmt_monitor),
                of_rest_fields(azure_mgmt_loganalytics),
                of_attribute_maps(azure_mgmt_msi),
                of_rest_fields(azure_mgmt_keyvault),
                of_rest_fields(azure_mgmt_storage),
            )
        )
        self._others = {
            "ResourceGroup": resource_manager,
            "DeploymentExtended": resource_manager,
            "DeploymentOperation": resource_manager,
            "RoleDefinition": authorization,
            "RoleAssignment": authorization,
            "Permission": authorization,
            "DiagnosticSettingsResource": self._monitor,
            "DiagnosticSettingsCategoryResource": self._monitor,
            **{
                f"Monitor {name}": _Judge(models, [models])
                for name, models in (
                    ("AutoscaleSettingResource", of_attribute_maps(azure_mgmt_monitor_autoscale)),
                    ("Response", of_attribute_maps(azure_mgmt_monitor_metrics)),
                    ("MetricDefinition", of_attribute_maps(azure_mgmt_monitor_metrics)),
                    ("MetricNamespace", of_attribute_maps(azure_mgmt_monitor_namespaces)),
                )
            },
            "LogAnalytics Workspace": log_analytics,
            **{
                f"KeyVault {name}": key_vault
                for name in ("Vault", "VaultAccessPolicyParameters", "DeletedVault", "CheckNameAvailabilityResult")
            },
            **{
                f"Storage {name}": storage
                for name in (
                    "StorageAccount",
                    "StorageAccountListKeysResult",
                    "CheckNameAvailabilityResult",
                    "ListContainerItem",
                    "BlobContainer",
                )
            },
            "Msi Identity": managed_identity,
            "Msi SystemAssignedIdentity": managed_identity,
        }
        self._azure_ml.known.objects["AsyncOperationStatus"] = STATUS
        self._azure_ml.known.objects["ComputeOperationStatus"] = COMPUTE_STATUS
        self._azure_ml.known.objects["Step"] = STEP
        self._azure_ml.known.objects["TriggerRunSubmissionDto"] = TRIGGERED
        self._azure_ml.known.objects["ContainerRegistry"] = REGISTRY
        self._azure_ml.known.objects["DatabricksWorkspace"] = DATABRICKS
        self._azure_ml.known.objects["DatabricksWorkspaceProperties"] = DATABRICKS_PROPERTIES
        self._azure_ml.known.objects["Subscription"] = SUBSCRIPTION
        self._azure_ml.known.objects["ResourceProvider"] = RESOURCE_PROVIDER
        self._azure_ml.known.objects["TenantIdDescription"] = TENANT
        self._azure_ml.known.objects["ContainerRegistryProperties"] = REGISTRY_PROPERTIES
        package = vars(azure_mgmt_machinelearningservices)
        self._deserializer = Deserializer({name: one for name, one in package.items() if isinstance(one, type)})
        self._routes = control_plane.routes()
        self.answered: set[tuple[str, str]] = set()

    def check(self, response: requests.Response) -> None:
        """Raise AssertionError where an answer of Resource Manager's host breaks the contract."""
        request = response.request
        if not (request.url or "").startswith(ARM) or response.headers.get("x-ms-request-id") is None:
            return  # another host, or the edge's own answer
        violations = list(self._violations(response))
        assert not violations, f"{request.method} {request.url} {response.status_code}: {violations}"

    def _violations(self, response: requests.Response) -> Iterator[str]:
        if response.status_code >= 400:
            yield from self._error(response)
            return
        path = str(response.request.url).removeprefix(ARM).partition("?")[0]
        method = str(response.request.method)
        match = self._routes.match(method, path)
        assert match is not None and match.handler is not None
        route = (method, _short(match.template))
        model = ANSWERS[route]
        self.answered.add(route)
        if model == NOTHING or response.status_code in (202, 204):
            if response.content not in EMPTY:
                yield f"a body where the OpenAPI has none: {response.text[:80]}"
            return
        answer = response.json()
        if route == ("GET", "{ws}/jobs/{job}") and "properties" not in answer:
            model = "Step"
        if not model.startswith("["):
            yield from self._object(answer, model)
            return
        if set(answer) - {"value", "nextLink"} or not isinstance(answer.get("value"), list):
            yield f"no page of a list: {sorted(answer)}"
            return
        for item in answer["value"]:
            yield from self._object(item, model.strip("[]"))

    def _object(self, value: Any, model: str) -> Iterator[str]:
        if model in self._others:
            yield from self._others[model].violations(value, model.rpartition(" ")[2], "")
            return
        violations = list(self._azure_ml.violations(value, model, ""))
        yield from violations
        if not violations and hasattr(azure_ai_ml, model):
            _deserialize(getattr(azure_ai_ml, model), value)
        if not violations and hasattr(azure_mgmt_machinelearningservices, model):
            self._deserializer(model, value)

    def _error(self, response: requests.Response) -> Iterator[str]:
        """Judge an error: {"error": {code, message, target, details, additionalInfo}}, code and message never empty."""
        if response.request.method == "HEAD":
            return
        path = str(response.request.url).partition("?")[0]
        if response.status_code == 404 and not response.content and "/computes/" in path:
            return  # as recorded from Azure
        body = json.loads(response.content)
        if "error" not in body and "/providers/microsoft.insights/" in str(response.request.url).lower():
            yield from self._monitor.violations(body, "ErrorResponse", "")  # which has no frame
            error = body
        else:
            yield from self._azure_ml.violations(body, "ErrorResponse", "")
            error = body.get("error") or {}
        if not error.get("code") or not error.get("message"):
            yield "an error without code or message"


class _Judge:
    """Compares values with models.

    Args:
        known: every member that any client knows.
        clients: the clients one by one, for what each of them needs.
    """

    def __init__(self, known: Models, clients: list[Models]) -> None:
        self.known = known
        self.clients = clients

    def violations(self, value: Any, kind: str, path: str) -> Iterator[str]:
        """Yield what is wrong with a value, and where."""
        if value is None or kind == "any":
            return
        if kind in PYTHON:
            yield from self._simple(value, kind, path)
        elif kind.startswith("[") and isinstance(value, list):
            for at, item in enumerate(value):
                yield from self.violations(item, kind[1:-1], f"{path}[{at}]")
        elif kind.startswith("{") and isinstance(value, dict):
            for key, item in value.items():
                yield from self.violations(item, kind[1:-1], f"{path}.{key}")
        elif kind in self.known.enums:
            if value not in self.known.enums[kind]:
                yield f"{path}: {value!r} is no {kind}"
        elif kind in self.known.objects and isinstance(value, dict):
            yield from self._object(value, kind, path)
        else:
            yield f"{path}: {value!r} is no {kind}"

    def _simple(self, value: Any, kind: str, path: str) -> Iterator[str]:
        pattern = {"datetime": DATE_TIME, "duration": DURATION}.get(kind)
        is_right = isinstance(value, PYTHON[kind]) and isinstance(value, bool) == (kind == "bool")
        if not is_right or (pattern and not pattern.fullmatch(value)):
            yield f"{path}: {value!r} is no {kind}"

    def _object(self, value: dict[str, Any], kind: str, path: str) -> Iterator[str]:
        model = self.known.objects[kind]
        if model.discriminator:
            subtype = model.subtypes.get(value.get(model.discriminator, ""))
            if subtype is None:
                yield f"{path}.{model.discriminator}: {value.get(model.discriminator)!r} is no {kind}"
                return
            yield from self._object(value, subtype, path)
            return
        for name, item in value.items():
            member = model.members.get(name)
            if member is None:
                yield f"{path}.{name}: {kind} has no such member"
            elif member.write_only and item is not None:
                yield f"{path}.{name}: never given out"
            else:
                yield from self.violations(item, member.type, f"{path}.{name}")
        for name in self._needed(kind):
            if value.get(name) is None:
                yield f"{path}.{name}: missing in {kind}"

    def _needed(self, kind: str) -> set[str]:
        known = self.known.objects[kind].members
        models = [client.objects[kind] for client in self.clients if kind in client.objects]
        required = {name for model in models for name, member in model.members.items() if member.required}
        required |= {name for name, member in known.items() if member.required}
        return {name for name in required if not known[name].write_only}
