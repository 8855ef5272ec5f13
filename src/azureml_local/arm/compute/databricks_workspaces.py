"""Databricks workspaces that are attached: Azure ML keeps their address, and a token to call them with.

azure-ai-ml cannot attach one and shows it as UnsupportedCompute; azure-mgmt-machinelearningservices and the studio can:
https://learn.microsoft.com/azure/machine-learning/how-to-attach-compute-targets (Azure Databricks). Azure keeps the
token without trying it: a wrong one shows when a job is submitted, as in
https://github.com/Azure/MachineLearningNotebooks/issues/840.
"""

from __future__ import annotations

import re
from typing import Any

from azureml_local.arm import databricks
from azureml_local.arm.compute import compute_clusters, computes
from azureml_local.arm.compute.computes import ProvisioningError
from azureml_local.arm.context import Context
from azureml_local.arm.request import ArmRequest
from azureml_local.store import Resource

COMPUTE_TYPE = "Databricks"
RESOURCE_ID = re.compile(
    r"/subscriptions/[^/\s]+/resourceGroups/[^/\s]+/providers/Microsoft\.Databricks/workspaces/[^/\s]+", re.IGNORECASE
)
TOKEN = "databricksAccessToken"  # noqa: S105 - the member's name


def settings(request: ArmRequest, known: Resource | None) -> dict[str, Any]:
    """Return what is stored of a request beside its token. Raises 400."""
    resource_id = request.properties.get("resourceId") or ""
    if not known and not RESOURCE_ID.fullmatch(resource_id):
        raise computes.bad_request(
            f"properties.resourceId is '{resource_id}'; it must be the id of an Azure Databricks workspace: "
            "/subscriptions/<subscription>/resourceGroups/<group>/providers/Microsoft.Databricks/workspaces/<name>.",
            "properties.resourceId",
        )
    if not known and not _sent(request).get(TOKEN):
        raise computes.bad_request(
            f"properties.properties.{TOKEN} is missing; it must be a personal access token of the workspace.",
            f"properties.properties.{TOKEN}",
        )
    former = known.properties["properties"]["workspaceUrl"] if known else None
    return {"workspaceUrl": _sent(request).get("workspaceUrl") or former}


def secrets(request: ArmRequest) -> dict[str, Any] | None:
    """Return the token that was sent; None where none was, and the former one stays."""
    token = _sent(request).get(TOKEN)
    return {TOKEN: token} if token else None


def provision(context: Context, compute: Resource) -> None:
    """Note a workspace's address. Raises ProvisioningError where there is no such workspace, or at another address."""
    workspace = context.store.get(compute.properties["resourceId"])
    if workspace is None or workspace.type != databricks.TYPE:
        resource_id = compute.properties["resourceId"]
        raise ProvisioningError("ResourceNotFound", f"The Databricks workspace '{resource_id}' was not found.")
    host, sent = workspace.properties["workspaceUrl"], compute.properties["properties"]["workspaceUrl"]
    if sent and sent.removeprefix("https://").rstrip("/").lower() != host:
        raise ProvisioningError(
            "BadRequest", f"properties.properties.workspaceUrl is '{sent}'; the workspace's is '{host}'."
        )
    context.store.save(compute.with_properties(properties={"workspaceUrl": host}))


def shown(_: Context, compute: Resource) -> dict[str, Any]:
    """Return a compute's inner properties: never with its token."""
    return {TOKEN: None, **compute.properties["properties"]}


def keys(context: Context, compute: Resource) -> dict[str, Any]:
    """Return the token: ``DatabricksComputeSecrets``."""
    return context.store.get_secret(compute.id) or {}


def _sent(request: ArmRequest) -> dict[str, Any]:
    sent: dict[str, Any] = request.properties.get("properties") or {}
    return sent


computes.KINDS[COMPUTE_TYPE] = computes.Kind(
    compute_clusters.NAME_RULE, settings, provision, shown, secrets=secrets, keys=keys, is_attached=True
)
