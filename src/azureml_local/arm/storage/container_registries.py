"""Container registries: each workspace has one, to be read and to assign roles at. None serves images.

https://learn.microsoft.com/rest/api/containerregistry/registries/get
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.request import ArmRequest, ArmRoutes, missing
from azureml_local.store import Resource, Store

TYPE = "Microsoft.ContainerRegistry/registries"

routes = ArmRoutes()


def provision(store: Store, registry_id: str, *, location: str, by: str) -> Resource:
    """Create the registry of a workspace."""
    body = {
        "location": location,
        "tags": {},
        "sku": {"name": "Basic", "tier": "Basic"},
        "properties": {
            "loginServer": f"{registry_id.rpartition('/')[2]}.azurecr.io",
            "provisioningState": "Succeeded",
            "adminUserEnabled": False,
        },
    }
    return store.put(registry_id, TYPE, registry_id.partition("/providers/")[0], body, by)


@routes.route("GET", ids.REGISTRY)
async def get(request: ArmRequest) -> Response:
    """Return a registry."""
    registry = _stored(request)
    if registry is None:
        raise missing(request.params, TYPE, request.params["registry"])
    return JSONResponse(_json(registry))


@routes.route("DELETE", ids.REGISTRY)
async def delete(request: ArmRequest) -> Response:
    """Delete a registry; 204 where there is none."""
    registry = _stored(request)
    if registry is None:
        return Response(status_code=204)
    request.context.store.delete(registry.id)
    return Response(status_code=200)


def _stored(request: ArmRequest) -> Resource | None:
    return request.context.store.get(ids.REGISTRY.format(**request.params))


def _json(registry: Resource) -> dict[str, Any]:
    properties = {**registry.properties, "creationDate": registry.created_at}
    return {"id": registry.id, "name": registry.name, "type": TYPE, **registry.body, "properties": properties}
