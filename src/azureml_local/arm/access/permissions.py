"""What the caller may do at a scope: what their roles there, and above it, grant.

https://learn.microsoft.com/rest/api/authorization/permissions
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.identity.roles import Role

PERMISSIONS = f"/providers/{ids.AUTHORIZATION}/permissions"

routes = ArmRoutes()


@routes.route("GET", ids.RESOURCE_GROUP + PERMISSIONS)
async def list_at_group(request: ArmRequest) -> Response:
    """List the caller's permissions at a resource group."""
    return _listed(request, ids.RESOURCE_GROUP)


@routes.route("GET", ids.WORKSPACE + PERMISSIONS)
async def list_at_workspace(request: ArmRequest) -> Response:
    """List the caller's permissions at a workspace."""
    return _listed(request, ids.WORKSPACE)


def _listed(request: ArmRequest, scope: str) -> Response:
    roles = request.context.authorizer.roles_at(request.principal, scope.format(**request.params))
    return JSONResponse({"value": [_json(role) for role in roles]})


def _json(role: Role) -> dict[str, Any]:
    return {
        "actions": list(role.actions),
        "notActions": list(role.not_actions),
        "dataActions": list(role.data_actions),
        "notDataActions": [],
    }
