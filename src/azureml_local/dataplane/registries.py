"""Registries' own addresses: where one is, and its assets there, as azure-ai-ml uses them.

``MLClient(credential, registry_name=…)`` asks the discovery service first
(Microsoft.MachineLearningServices.RegistryDiscovery, stable/v1.0), then works with assets at the address that it is
told, in the form that they have in Resource Manager.
"""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from azureml_local.arm import operation_routes
from azureml_local.arm.assets import assets, codes, curated_environments
from azureml_local.arm.context import Context
from azureml_local.arm.control_plane import ControlPlane
from azureml_local.arm.registries import data_references, imports, registries
from azureml_local.arm.request import ArmRoutes
from azureml_local.dataplane.workspace_api import AUDIENCES, authenticate, guarded
from azureml_local.http.errors import AzureError, FrontendError, authorization_failed

PREFIX = "/mferp/managementfrontend"


def routes(context: Context) -> list[BaseRoute]:
    """Return the routes, of which the last takes whatever is below its prefix."""
    table = ArmRoutes()
    for module in (assets, codes, data_references, imports, operation_routes):
        table.include(module.routes)
    discovery = guarded(partial(_discovery, context), context, "registry-management")
    return [
        Route("/registrymanagement/v1.0/registries/{registry}/discovery", discovery, methods=["GET"]),
        Mount(PREFIX, ControlPlane(context, table, PREFIX, AUDIENCES)),
    ]


async def _discovery(context: Context, request: Request) -> Response:
    """Say where a registry is.

    Raises:
        AzureError: 401, 403 where the caller may not read it, 404 where there is none, 501 for Azure's own.
    """
    principal, name = authenticate(context, request), request.path_params["registry"]
    if curated_environments.is_curated(name):
        message = "azureml-local lacks the address of Azure's own registry azureml; its environments are used by their "
        raise AzureError(501, "NotImplemented", message + "ids, azureml://registries/azureml/environments/…")
    registry = context.store.get(assets.registry_id(context, name))
    if registry is None:
        raise FrontendError(404, "UserError", f"Registry {name} was not found.", inner=("NotFoundError",))
    if not context.authorizer.permits(principal, registries.READ, registry.id):
        raise authorization_failed(principal.object_id, registries.READ, registry.id)
    regions = [one["location"] for one in registry.properties["regionDetails"]]
    address = f"https://{registry.body['location']}.api.azureml.ms"
    _, _, subscription, _, group, *_ = registry.id.split("/")
    found = {
        "registryName": registry.name,
        "tenantId": context.settings.tenant_id,
        "subscriptionId": subscription,
        "resourceGroup": group,
        "workspaceName": None,
        "primaryRegion": registry.body["location"],
        "primaryRegionResourceProviderUri": f"{address}/",
        "registryFqdns": {region: {"uri": f"https://{region}.api.azureml.ms/"} for region in regions},
        "regions": regions,
    }
    return JSONResponse(found)
