"""Resource groups, and the template deployments by which the SDK creates workspaces."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, request_models, workspaces
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.arm.request_models import MisfitError
from azureml_local.http.errors import AzureError

routes = ArmRoutes()

# The types of the template's parameters that are used, as in azure/ai/ml/_arm_deployments/arm_templates.
PARAMETERS = {"location": "str", "friendlyName": "str", "description": "str", "kind": "str", "tagValues": "{str}"}

DEPLOYMENT = ids.RESOURCE_GROUP + "/providers/Microsoft.Resources/deployments/{deployment}"


@routes.route("GET", ids.SUBSCRIPTION + "/resourceGroups")
async def list_groups(request: ArmRequest) -> Response:
    """List the subscription's resource groups: there is one."""
    return JSONResponse({"value": [_json(request)]})


@routes.route("GET", ids.RESOURCE_GROUP)
async def get(request: ArmRequest) -> Response:
    """Return the installation's resource group."""
    return JSONResponse(_json(request))


def _json(request: ArmRequest) -> dict[str, Any]:
    group = request.context.settings.resource_group
    return {
        "id": f"/subscriptions/{request.params['subscription']}/resourceGroups/{group}",
        "name": group,
        "type": "Microsoft.Resources/resourceGroups",
        "location": request.context.settings.location,
        "tags": {},
        "properties": {"provisioningState": "Succeeded"},
    }


@routes.route("PUT", DEPLOYMENT)
async def deploy_template(request: ArmRequest) -> Response:
    """Create the workspace that the SDK's template describes.

    Only the template's ``parameters`` are read: the SDK's own template creates a workspace and what it needs, and
    azureml-local is no general template engine.
    """
    request.read("Deployment", _unreadable)
    parameters = request.properties.get("parameters") or {}
    values = {name: (parameter or {}).get("value") for name, parameter in parameters.items()}
    for parameter, kind in PARAMETERS.items():
        try:
            values[parameter] = request_models.fit(values.get(parameter), kind)
        except MisfitError as misfit:
            message = f"Deployment template validation failed: 'Template parameter '{parameter}': {misfit}'."
            raise AzureError(400, "InvalidTemplate", message) from misfit
    name = values.get("workspaceName")
    if not isinstance(name, str) or not name:
        raise AzureError(
            501,
            "NotImplemented",
            "azureml-local deploys only the template by which azure-ai-ml creates a workspace; this one has no "
            "parameter 'workspaceName'.",
        )
    workspace_id = workspaces.workspace_id(request.params, name)
    if not request.permits(workspaces.WRITE, workspace_id):
        raise _not_permitted(request.principal.object_id, workspace_id)
    await workspaces.provision(
        request.context,
        workspace_id,
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


def _unreadable(misfit: MisfitError) -> AzureError:
    # https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors
    message = f"The request content was invalid and could not be deserialized: '{misfit}'."
    return AzureError(400, "InvalidRequestContent", message)


def _not_permitted(object_id: str, workspace_id: str) -> AzureError:
    """Return the answer to a caller who may deploy templates, but not create what this one describes."""
    return AzureError(
        403,
        "InvalidTemplateDeployment",
        f"Deployment failed with multiple errors: 'Authorization failed for template resource "
        f"'{workspace_id.rpartition('/')[2]}' of type '{ids.PROVIDER}/workspaces'. The client '{object_id}' with "
        f"object id '{object_id}' does not have permission to perform action '{workspaces.WRITE}' at scope "
        f"'{workspace_id}'.'",
    )


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
