"""Azure Databricks workspaces (Microsoft.Databricks). What is in them is the data plane's.

https://learn.microsoft.com/rest/api/databricks/workspaces; the members are those of its OpenAPI
(specification/databricks, 2024-05-01).
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.names import require_location, require_tags
from azureml_local.arm.request import ArmRequest, ArmRoutes, missing
from azureml_local.http.errors import AzureError
from azureml_local.store import Resource, Store

TYPE = f"{ids.DATABRICKS}/workspaces"
READ = f"{TYPE}/read"
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftdatabricks
NAME = re.compile(r"[A-Za-z0-9_-]{3,64}")
TIERS = ("premium", "standard", "trial")
DOMAIN = ".azuredatabricks.net"
SHARDS = 20  # "adb-<workspace-id>.<random-number>": the number is the id's remainder by this
# What the OpenAPI has and this service does not do, as a path in ``properties``.
LACKING = ("encryption", "parameters.customVirtualNetworkId", "parameters.amlWorkspaceId", "accessConnector")

routes = ArmRoutes()


def at_host(store: Store, host: str) -> Resource | None:
    """Return the workspace that has the host name ``host``."""
    return next((one for one in store.all_of(TYPE) if one.properties["workspaceUrl"] == host.lower()), None)


@routes.route("GET", f"{ids.SUBSCRIPTION}/providers/{TYPE}")
@routes.route("GET", ids.DATABRICKS_WORKSPACES)
async def list_all(request: ArmRequest) -> Response:
    """List the workspaces that the caller may read: the subscription has one resource group."""
    workspaces = request.context.store.all_of(TYPE)
    return JSONResponse({"value": [_json(one) for one in workspaces if request.permits(READ, one.id)]})


@routes.route("GET", ids.DATABRICKS_WORKSPACE)
async def get(request: ArmRequest) -> Response:
    """Return a workspace."""
    return JSONResponse(_json(_require(request)))


@routes.route("PUT", ids.DATABRICKS_WORKSPACE)
async def create_or_update(request: ArmRequest) -> Response:
    """Create a workspace, 201, or replace its tags and tier, 200; its host stays as it is."""
    name = request.params["databricks_workspace"]
    if not NAME.fullmatch(name):
        message = f"The workspace name '{name}' must be 3 to 64 letters, digits, underscores and hyphens."
        raise AzureError(400, "InvalidResourceName", message)
    workspace_id = ids.DATABRICKS_WORKSPACE.format(**request.params)
    known = request.context.store.get(workspace_id)
    properties = _properties(request, known)
    body: dict[str, Any] = {
        "location": _location(request),
        "sku": {"name": _tier(request)},
        "tags": request.body.get("tags") or {},
        "properties": properties,
    }
    require_tags(body["tags"])
    workspace = request.put(workspace_id, TYPE, ids.RESOURCE_GROUP.format(**request.params), body)
    return JSONResponse(_json(workspace), 200 if known else 201)


@routes.route("PATCH", ids.DATABRICKS_WORKSPACE)
async def update(request: ArmRequest) -> Response:
    """Replace a workspace's tags."""
    workspace = _require(request)
    tags = request.body.get("tags")
    require_tags(tags)
    body = {**workspace.body, "tags": workspace.body["tags"] if tags is None else tags}
    return JSONResponse(_json(request.put(workspace.id, TYPE, ids.RESOURCE_GROUP.format(**request.params), body)))


@routes.route("DELETE", ids.DATABRICKS_WORKSPACE)
async def delete(request: ArmRequest) -> Response:
    """Delete a workspace and all in it, running clusters and jobs included. 204 where there is none."""
    workspace = request.context.store.get(ids.DATABRICKS_WORKSPACE.format(**request.params))
    if workspace is None:
        return Response(status_code=204)
    await request.context.databricks.delete_workspace(workspace)
    return Response(status_code=200)


def _properties(request: ArmRequest, known: Resource | None) -> dict[str, Any]:
    sent = request.body.get("properties")
    if not isinstance(sent, dict) or not isinstance(sent.get("managedResourceGroupId"), str):
        raise _invalid(
            "properties.managedResourceGroupId is missing; it must be the id of a resource group for the workspace's "
            "own resources: /subscriptions/<subscription>/resourceGroups/<group>.",
            "properties.managedResourceGroupId",
        )
    for path in LACKING:
        value: Any = sent
        for segment in path.split("."):
            value = value.get(segment) if isinstance(value, dict) else None
        if value:
            message = f"azureml-local lacks what properties.{path} asks for."
            raise AzureError(501, "NotImplemented", message, target=f"properties.{path}")
    if known:
        return {**known.properties, "updatedBy": {"oid": request.principal.object_id}}
    number = 10**15 + secrets.randbelow(9 * 10**15)  # 16 digits, as Azure's have
    return {
        "managedResourceGroupId": sent["managedResourceGroupId"],
        "parameters": sent.get("parameters") or {},
        "provisioningState": "Succeeded",
        "publicNetworkAccess": "Enabled",
        "createdBy": {"oid": request.principal.object_id, "applicationId": request.principal.client_id},
        "workspaceId": str(number),
        "workspaceUrl": f"adb-{number}.{number % SHARDS}{DOMAIN}",
    }


def _location(request: ArmRequest) -> str:
    location = request.body.get("location")
    if not isinstance(location, str):
        raise AzureError(400, "LocationRequired", "The location property is required for this definition.")
    return require_location(location)


def _tier(request: ArmRequest) -> str:
    sku = request.body.get("sku")
    tier = sku.get("name") if isinstance(sku, dict) else TIERS[0]
    if tier not in TIERS:
        raise _invalid(f"sku.name is {tier!r}; it must be one of {', '.join(TIERS)}.", "sku.name")
    return str(tier)


def _invalid(message: str, target: str) -> AzureError:
    return AzureError(400, "InvalidRequestContent", message, target=target)


def _require(request: ArmRequest) -> Resource:
    workspace = request.context.store.get(ids.DATABRICKS_WORKSPACE.format(**request.params))
    if workspace is None:
        raise missing(request.params, TYPE, request.params["databricks_workspace"])
    return workspace


def _json(workspace: Resource) -> dict[str, Any]:
    properties = {**workspace.properties, "createdDateTime": workspace.created_at}
    shown = {"id": workspace.id, "name": workspace.name, "type": TYPE, **workspace.body, "properties": properties}
    return {**shown, "systemData": workspace.to_json()["systemData"]}
