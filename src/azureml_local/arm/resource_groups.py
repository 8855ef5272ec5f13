"""Resource groups, and the template deployments by which the SDK creates workspaces."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, shapes, workspaces
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.http.errors import AzureError

routes = ArmRoutes()

DEPLOYMENT = ids.RESOURCE_GROUP + "/providers/Microsoft.Resources/deployments/{deployment}"


@routes.route("GET", ids.RESOURCE_GROUP)
async def get(request: ArmRequest) -> Response:
    """Return the installation's resource group."""
    group = request.context.settings.resource_group
    return JSONResponse(
        {
            "id": f"/subscriptions/{request.params['subscription']}/resourceGroups/{group}",
            "name": group,
            "type": "Microsoft.Resources/resourceGroups",
            "location": request.context.settings.location,
            "tags": {},
            "properties": {"provisioningState": "Succeeded"},
        }
    )


@routes.route("PUT", DEPLOYMENT)
async def deploy_template(request: ArmRequest) -> Response:
    """Create the workspace that the SDK's template describes.

    Only the template's ``parameters`` are read: the SDK's own template creates a workspace and what it needs, and
    azureml-local is no general template engine.
    """
    request.require_shape(shapes.TEMPLATE_DEPLOYMENT)
    parameters = request.properties().get("parameters") or {}
    values = {name: (parameter or {}).get("value") for name, parameter in parameters.items()}
    for parameter in ("location", "friendlyName", "description", "kind"):
        shapes.fit(values.get(parameter), str, f"properties.parameters.{parameter}.value")
    shapes.fit(values.get("tagValues"), shapes.TAGS, "properties.parameters.tagValues.value")
    name = values.get("workspaceName")
    if not isinstance(name, str) or not name:
        raise AzureError(
            501,
            "NotImplemented",
            "azureml-local deploys only the template by which azure-ai-ml creates a workspace; this one has no "
            "parameter 'workspaceName'.",
        )
    await workspaces.provision(
        request.context,
        workspaces.workspace_id(request.params, name),
        location=values.get("location") or request.context.settings.location,
        properties={
            "friendlyName": values.get("friendlyName") or name,
            "description": values.get("description") or "",
        },
        tags=values.get("tagValues") or {},
        kind=values.get("kind") or "Default",
        principal=request.principal.object_id,
    )
    return JSONResponse(_deployment(request, parameters))


@routes.route("GET", ids.RESOURCE_GROUP + "/deployments/{deployment}/operations")
async def deployment_operations(_: ArmRequest) -> Response:
    """Return no steps: the deployment was complete when it was answered."""
    return JSONResponse({"value": []})


def _deployment(request: ArmRequest, parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": DEPLOYMENT.format(**request.params),
        "name": request.params["deployment"],
        "type": "Microsoft.Resources/deployments",
        "properties": {
            "mode": "Incremental",
            "parameters": parameters,
            "provisioningState": "Succeeded",
            "duration": "PT0S",
            "correlationId": str(uuid.uuid4()),
        },
    }
