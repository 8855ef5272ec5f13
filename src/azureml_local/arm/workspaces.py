"""Workspaces."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, listing
from azureml_local.arm.access import key_vaults
from azureml_local.arm.compute import computes
from azureml_local.arm.context import Context
from azureml_local.arm.jobs import job_status
from azureml_local.arm.names import require_location
from azureml_local.arm.online import endpoint_roles, online_endpoints
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.arm.storage import container_registries, datastores
from azureml_local.http.errors import AzureError
from azureml_local.store import Condition, Resource

routes = ArmRoutes()

TYPE = "workspaces"
READ = f"{ids.PROVIDER}/{TYPE}/read"
WRITE = f"{ids.PROVIDER}/{TYPE}/write"
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
NAME = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}$")


def workspace_id(params: Mapping[str, str], name: str) -> str:
    """Return the id of the workspace ``name`` in the resource group of a path."""
    return ids.WORKSPACE.format(
        subscription=params["subscription"], resource_group=params["resource_group"], workspace=name
    )


async def provision(
    context: Context,
    resource_id: str,
    *,
    location: str,
    properties: Mapping[str, Any],
    tags: Mapping[str, str],
    kind: str,
    principal: str,
) -> Resource:
    """Create a workspace with its storage and its four datastores, or update the one that exists.

    Raises:
        AzureError: 400 where the name breaks Azure's rules.
    """
    name = resource_id.rpartition("/")[2]
    if not NAME.fullmatch(name):
        raise AzureError(
            400,
            "ValidationError",
            f"Workspace name '{name}' is invalid. It must have 3 to 33 characters, start with a letter or digit and "
            "hold only letters, digits, '-' and '_'.",
            target="name",
        )
    location = require_location(location)
    known = context.store.get(resource_id)
    guid = known.properties["workspaceId"] if known else str(uuid.uuid4())
    await context.blobs.create_container(datastores.blobstore_container(guid))
    await context.blobs.create_container(datastores.ARTIFACT_CONTAINER)
    group = resource_id.partition("/providers/")[0]
    body = {
        "location": location,
        "tags": dict(tags),
        "kind": kind,
        "sku": {"name": "Basic", "tier": "Basic"},
        "identity": {"type": "SystemAssigned", "principalId": guid, "tenantId": context.settings.tenant_id},
        "properties": {
            "friendlyName": name,
            "description": "",
            "applicationInsights": None,
            "hbiWorkspace": False,
            "publicNetworkAccess": "Enabled",
            "v1LegacyMode": False,
            **properties,
            "storageAccount": f"{group}/providers/Microsoft.Storage/storageAccounts/{context.settings.storage_account}",
            "tenantId": context.settings.tenant_id,
            "workspaceId": guid,
            "discoveryUrl": f"https://{location}.api.azureml.ms/discovery",
            "mlFlowTrackingUri": f"azureml://{location}.api.azureml.ms/mlflow/v1.0{resource_id}",
            "provisioningState": "Succeeded",
        },
    }
    with context.store.transaction():
        workspace = context.store.put(resource_id, TYPE, group, body, principal)
        workspace = workspace.with_properties(**_associated(context, workspace, known, principal))
        context.store.save(workspace)
        if known is None:
            datastores.add_defaults(context, workspace, principal)
    return workspace


def complete(context: Context) -> None:
    """Give the workspaces of a folder of an earlier version the vault and the registry that they lack."""
    for workspace in context.store.all_of(TYPE):
        if not (workspace.properties.get("keyVault") and workspace.properties.get("containerRegistry")):
            with context.store.transaction():
                resources = _associated(context, workspace, None, context.settings.client_object_id)
                context.store.save(workspace.with_properties(**resources))


def _associated(context: Context, workspace: Resource, known: Resource | None, principal: str) -> dict[str, str]:
    """Return the ids of a workspace's key vault and container registry: those it was sent or has, or new ones.

    https://learn.microsoft.com/azure/machine-learning/concept-workspace#associated-resources. Azure makes the registry
    when the first image is built; nothing here builds one.
    """
    makers = {"keyVault": _new_vault, "containerRegistry": _new_registry}
    former = known.properties if known else {}
    return {
        member: workspace.properties.get(member) or former.get(member) or make(context, workspace, principal).id
        for member, make in makers.items()
    }


def _new_vault(context: Context, workspace: Resource, by: str) -> Resource:
    """Create a vault whose secrets are the workspace's own identity's, as on Azure; others must be given access."""
    guid, tenant = workspace.properties["workspaceId"], context.settings.tenant_id
    start = re.sub(r"[^a-z0-9]", "", workspace.name.lower()).lstrip("0123456789")[:8]
    vault_id = ids.VAULT.format(**_place(workspace), vault=f"{start}keyvault{guid[:8]}")
    policy = {"tenantId": tenant, "objectId": guid, "permissions": {"secrets": ["all"]}}
    sku = {"family": "A", "name": "standard"}
    properties = {"tenantId": tenant, "sku": sku, "accessPolicies": [policy]}
    location = workspace.body["location"]
    return key_vaults.provision(context.store, vault_id, location=location, properties=properties, tags={}, by=by)


def _new_registry(context: Context, workspace: Resource, by: str) -> Resource:
    registry_id = ids.REGISTRY.format(
        **_place(workspace), registry=workspace.properties["workspaceId"].replace("-", "")
    )
    return container_registries.provision(context.store, registry_id, location=workspace.body["location"], by=by)


def _place(workspace: Resource) -> dict[str, str]:
    _, _, subscription, _, group, *_ = workspace.id.split("/")
    return {"subscription": subscription, "resource_group": group}


@routes.route("GET", f"/subscriptions/{{subscription}}/providers/{ids.PROVIDER}/workspaces")
async def list_in_subscription(request: ArmRequest) -> Response:
    """List the workspaces of the subscription."""
    return listing.page(request, TYPE, None, _listed(request))


@routes.route("GET", ids.WORKSPACES)
async def list_in_group(request: ArmRequest) -> Response:
    """List the workspaces of a resource group."""
    group = ids.RESOURCE_GROUP.format(**request.params)
    return listing.page(request, TYPE, group, _listed(request))


@routes.route("GET", ids.WORKSPACE)
async def get(request: ArmRequest) -> Response:
    """Return a workspace."""
    return JSONResponse(request.workspace().to_json())


@routes.route("PUT", ids.WORKSPACE)
async def create_or_update(request: ArmRequest) -> Response:
    """Create a workspace; 201 where it is new, 200 where it existed."""
    request.read("Workspace")
    is_new = request.context.store.get(request.workspace_id) is None
    sent = request.body.get("properties") or {}
    workspace = await provision(
        request.context,
        request.workspace_id,
        location=request.body.get("location") or request.context.settings.location,
        properties={name: value for name, value in sent.items() if value is not None},
        tags=request.body.get("tags") or {},
        kind=request.body.get("kind") or "Default",
        principal=request.principal.object_id,
    )
    return JSONResponse(workspace.to_json(), 201 if is_new else 200)


@routes.route("PATCH", ids.WORKSPACE)
async def update(request: ArmRequest) -> Response:
    """Change a workspace's tags, names and settings."""
    request.read("WorkspaceUpdateParameters")
    workspace = request.workspace()
    tags = request.body.get("tags")
    sent = request.body.get("properties") or {}
    properties = workspace.properties | {name: value for name, value in sent.items() if value is not None}
    body = {**workspace.body, "tags": workspace.body["tags"] if tags is None else tags, "properties": properties}
    group = ids.RESOURCE_GROUP.format(**request.params)
    return JSONResponse(request.put(workspace.id, TYPE, group, body).to_json())


@routes.route("DELETE", ids.WORKSPACE)
async def delete(request: ArmRequest) -> Response:
    """Delete a workspace and all in it, serving instances and running jobs included. 204 where there is none."""
    workspace = request.context.store.get(request.workspace_id)
    if workspace is None:
        return Response(status_code=204)
    context = request.context
    _require_idle(context, workspace)
    while job_status.unfinished(context.store, workspace.id):  # also what is submitted meanwhile
        await context.job_runs.end_below(workspace.id)
    endpoints, deployments = _require_idle(context, workspace)
    # From here to the deletion nothing else happens: nobody finds half of it, nor makes anything new in it.
    pools = context.pools.take_below(workspace.id)
    context.timers.cancel(f"{workspace.key}/")
    with context.store.transaction():
        for endpoint in endpoints:
            endpoint_roles.take(context, endpoint)
        context.store.delete(workspace.id)
    await context.pools.end(pools)
    for endpoint in endpoints:
        context.router.refresh(endpoint.id)
    context.mlflow.forget(workspace)
    for deployment in deployments:
        await context.serving.remove(deployment.id)
    return Response(status_code=200)


def _require_idle(context: Context, workspace: Resource) -> tuple[list[Resource], list[Resource]]:
    """Return a workspace's endpoints and deployments. Raise 409 while an operation on one or on a compute goes on."""
    endpoints = context.store.children(online_endpoints.TYPE, workspace.id)
    deployments = [
        deployment
        for endpoint in endpoints
        for deployment in context.store.children(online_endpoints.DEPLOYMENT_TYPE, endpoint.id)
    ]
    for resource in (*endpoints, *deployments, *context.store.children(computes.TYPE, workspace.id)):
        context.operations.require_idle(resource.id)
    return endpoints, deployments


@routes.route("POST", ids.WORKSPACE + "/listKeys")
async def list_keys(request: ArmRequest) -> Response:
    """Return the workspace's storage key."""
    storage = request.workspace().properties["storageAccount"]
    return JSONResponse(
        {
            "userStorageKey": request.context.settings.storage_key,
            "userStorageResourceId": storage,
            "userStorageArmId": storage,
            "appInsightsInstrumentationKey": None,
            "containerRegistryCredentials": None,
            "notebookAccessKeys": {"primaryAccessKey": None, "secondaryAccessKey": None},
        }
    )


def _listed(request: ArmRequest) -> list[Condition]:
    """Return what asks for the workspaces that the caller may read, of the kinds that are wanted."""
    kinds = [kind.strip().lower() for kind in request.query.get("kind", "").split(",") if kind.strip()]
    return [
        listing.with_ids(
            [
                workspace.id
                for workspace in request.context.store.all_of(TYPE)
                if (not kinds or workspace.body["kind"].lower() in kinds) and request.permits(READ, workspace.id)
            ]
        )
    ]
