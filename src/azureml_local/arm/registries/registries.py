"""Registries: created, changed, listed and deleted.

https://learn.microsoft.com/azure/machine-learning/how-to-manage-registries and
https://learn.microsoft.com/rest/api/azureml/registries
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, listing
from azureml_local.arm.assets import curated_environments, uploads
from azureml_local.arm.context import Context
from azureml_local.arm.names import require_location
from azureml_local.arm.request import ArmRequest, ArmRoutes, missing_registry
from azureml_local.http.errors import AzureError
from azureml_local.store import Condition, Resource

TYPE = "registries"
READ = f"{ids.PROVIDER}/registries/read"
# The path parameter registryName in the OpenAPI (registries.json).
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_]{2,32}")
SKU = {"name": "Basic", "tier": "Basic"}

routes = ArmRoutes()


@routes.route("GET", f"{ids.SUBSCRIPTION}/providers/{ids.PROVIDER}/registries")
async def list_in_subscription(request: ArmRequest) -> Response:
    """List the registries of the subscription that the caller may read."""
    return listing.page(request, TYPE, None, _listed(request))


@routes.route("GET", ids.ML_REGISTRIES)
async def list_in_group(request: ArmRequest) -> Response:
    """List the registries of a resource group that the caller may read."""
    return listing.page(request, TYPE, ids.RESOURCE_GROUP.format(**request.params), _listed(request))


@routes.route("GET", ids.ML_REGISTRY)
async def get(request: ArmRequest) -> Response:
    """Return a registry."""
    return JSONResponse(_require(request).to_json())


@routes.route("PUT", ids.ML_REGISTRY)
async def create_or_update(request: ArmRequest) -> Response:
    """Create a registry, 201; replace the settings of one that exists, 200."""
    request.read("Registry")
    name = request.params["asset_registry"]
    _require_name(name)
    known = request.context.store.get(request.root_id)
    location = require_location(request.body["location"])
    if known and known.body["location"] != location:
        message = f"The registry {name} is in the location {known.body['location']}, not in {location}."
        raise AzureError(409, "InvalidResourceLocation", message, target="location")
    body = {
        "location": location,
        "tags": request.body.get("tags") or {},
        "sku": SKU,
        "identity": known.body["identity"] if known else _identity(request.context),
        "properties": _properties(request, location),
    }
    registry = request.put(request.root_id, TYPE, ids.RESOURCE_GROUP.format(**request.params), body)
    return JSONResponse(registry.to_json(), 200 if known else 201)


@routes.route("PATCH", ids.ML_REGISTRY)
async def update(request: ArmRequest) -> Response:
    """Change a registry's tags."""
    request.read("PartialRegistryPartialTrackedResource")
    registry, tags = _require(request), request.body.get("tags")
    body = {**registry.body, "tags": registry.body["tags"] if tags is None else tags}
    return JSONResponse(request.put(registry.id, TYPE, ids.RESOURCE_GROUP.format(**request.params), body).to_json())


@routes.route("DELETE", ids.ML_REGISTRY)
async def delete(request: ArmRequest) -> Response:
    """Delete a registry with its assets and their files; 204 where there is none.

    The files go first: whatever interrupts that, the registry is there to be deleted again.
    """
    context, registry = request.context, request.context.store.get(request.root_id)
    if registry is None:
        return Response(status_code=204)
    for container in await context.blobs.containers(uploads.owner_mark(registry)):
        await context.blobs.delete_container(container.name)
    context.store.delete(registry.id)
    return Response(status_code=200)


def _require(request: ArmRequest) -> Resource:
    registry = request.context.store.get(request.root_id)
    if registry is None:
        raise missing_registry(request.params)
    return registry


def _require_name(name: str) -> None:
    """Raise 400 where a registry cannot have a name: all of Azure's registries share their names."""
    if not NAME.fullmatch(name):
        raise AzureError(
            400,
            "InvalidResourceName",
            f"Registry name '{name}' is invalid. It must have 3 to 33 characters, start with a letter or digit and "
            "hold only letters, digits, '-' and '_'.",
            target="name",
        )
    if curated_environments.is_curated(name):
        raise AzureError(409, "Conflict", f"The registry name '{name}' is taken: it is Azure's own.", target="name")


def _identity(context: Context) -> dict[str, str]:
    return {
        "type": "SystemAssigned",
        "principalId": str(uuid.uuid4()),
        "tenantId": context.settings.tenant_id,
    }


def _properties(request: ArmRequest, location: str) -> dict[str, Any]:
    """Return a registry's ``properties``, with what Azure adds: addresses, and the resources that it makes for it."""
    sent, name = request.body.get("properties") or {}, request.params["asset_registry"]
    regions = sent.get("regionDetails") or [{"location": location}]
    group = f"{ids.SUBSCRIPTION.format(**request.params)}/resourceGroups/azureml-rg-{name}"
    return {
        "publicNetworkAccess": "Enabled",
        **{member: value for member, value in sent.items() if value is not None},
        "discoveryUrl": f"https://{location}.api.azureml.ms/registrymanagement/v1.0/registries/{name}/discovery",
        "mlFlowRegistryUri": f"azureml://{location}.api.azureml.ms/mlflow/v1.0{request.root_id}",
        "managedResourceGroup": {"resourceId": group},
        "regionDetails": [_region(request, one) for one in regions],
    }


def _region(request: ArmRequest, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return a region's details. Its storage is the installation's, which keeps containers for the registry."""
    account_id = request.context.accounts.own.id
    storage = {
        "storageAccountName": account_id.rpartition("/")[2],
        "storageAccountType": "Standard_LRS",
        "storageAccountHnsEnabled": False,
        "allowBlobPublicAccess": False,
        "armResourceId": {"resourceId": account_id},
    }
    return {
        "location": require_location(sent.get("location") or ""),
        "acrDetails": sent.get("acrDetails") or [],
        "storageAccountDetails": [{"systemCreatedStorageAccount": storage}],
    }


def _listed(request: ArmRequest) -> list[Condition]:
    """Return what asks for the registries that the caller may read."""
    registries = request.context.store.all_of(TYPE)
    return [listing.with_ids([registry.id for registry in registries if request.permits(READ, registry.id)])]
