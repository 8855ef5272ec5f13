"""Managed identities: user-assigned ones, which are resources, and the system-assigned ones that other resources have.

https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/overview; azure-mgmt-msi has the models.
Role assignments of an identity that was deleted stay, as on Azure, and grant nobody anything.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.names import require_location
from azureml_local.arm.request import ArmRequest, ArmRoutes, missing
from azureml_local.arm.request_models import MisfitError
from azureml_local.http.errors import AzureError
from azureml_local.identity.directory import SYSTEM_ASSIGNED, USER_ASSIGNED
from azureml_local.store import Resource

READ = f"{USER_ASSIGNED}/read"
ASSIGN = f"{USER_ASSIGNED}/assign/action"
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftmanagedidentity
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}")
OF_RESOURCE = f"/providers/{SYSTEM_ASSIGNED}"

routes = ArmRoutes()


def of_resource(
    request: ArmRequest, resource_id: str, sent: Mapping[str, Any], known: Resource | None
) -> dict[str, Any]:
    """Return a resource's identity as Azure answers it; a system-assigned one is made where it has none.

    Call it in the transaction that writes the resource. A system-assigned identity is deleted with it.

    Args:
        request: who asks for the identity must have permission to assign user-assigned ones.
        resource_id: the resource's id.
        sent: the identity as it was sent, with its ``type``.
        known: the resource as it is, or None.

    Raises:
        AzureError: 400 where a user-assigned identity does not exist, 403 where the caller may not assign it.
    """
    kinds = sent["type"].split(",")
    identity: dict[str, Any] = {"type": sent["type"]}
    if "SystemAssigned" in kinds:
        own = system_assigned(request, resource_id, known)
        identity |= {name: own.properties[name] for name in ("principalId", "tenantId")}
    if "UserAssigned" in kinds:
        assigned = [_assignable(request, resource_id, asked) for asked in sent.get("userAssignedIdentities") or {}]
        if not assigned:
            raise _failed(resource_id, "At least one user assigned identity must be specified.")
        identity["userAssignedIdentities"] = {
            one.id: {name: one.properties[name] for name in ("principalId", "clientId")} for one in assigned
        }
    return identity


def system_assigned(request: ArmRequest, resource_id: str, known: Resource | None) -> Resource:
    """Return a resource's own identity, and make it where there is none."""
    identity_id = f"{resource_id}{OF_RESOURCE}/default"
    identity = request.context.store.get(identity_id)
    if identity:
        return identity
    # A resource of an earlier version has an object id, which may have roles, and nothing else.
    former = ((known.body.get("identity") or {}) if known else {}).get("principalId")
    body = {"location": request.context.settings.location, "properties": _new(request, former)}
    return request.put(identity_id, SYSTEM_ASSIGNED, resource_id, body)


def _new(request: ArmRequest, object_id: str | None = None) -> dict[str, str]:
    return {
        "tenantId": request.context.settings.tenant_id,
        "principalId": object_id or str(uuid.uuid4()),
        "clientId": str(uuid.uuid4()),
    }


def _assignable(request: ArmRequest, resource_id: str, identity_id: str) -> Resource:
    """Return a user-assigned identity that the caller may assign. The 400 has the words of public reports."""
    identity = request.context.store.get(identity_id)
    if identity is None or identity.type != USER_ASSIGNED:
        raise _failed(resource_id, f"Resource '{identity_id}' was not found.")
    request.require_linked(f"{ids.PROVIDER}/write", resource_id, ASSIGN, identity.id)
    return identity


def _failed(resource_id: str, why: str) -> AzureError:
    response = json.dumps({"error": {"code": "BadRequest", "message": why}}, separators=(",", ":"))
    return AzureError(
        400,
        "FailedIdentityOperation",
        f"Identity operation for resource '{resource_id}' failed with error 'Failed to perform resource identity "
        f"operation. Status: 'BadRequest'. Response: '{response}'.'.",
    )


async def get_system_assigned(request: ArmRequest) -> Response:
    """Return the system-assigned identity of the resource in the path."""
    identity = request.context.store.get(request.template.format(**request.params))
    if identity is None:
        message = f"The Resource '{SYSTEM_ASSIGNED}/{request.params['identity']}' was not found."
        raise AzureError(404, "ResourceNotFound", message)
    return JSONResponse(_json(identity))


@routes.route("GET", f"{ids.SUBSCRIPTION}/providers/{USER_ASSIGNED}")
async def list_in_subscription(request: ArmRequest) -> Response:
    """List the user-assigned identities of the subscription that the caller may read."""
    return _listed(request, request.context.store.all_of(USER_ASSIGNED))


@routes.route("GET", ids.USER_ASSIGNED_IDENTITIES)
async def list_in_group(request: ArmRequest) -> Response:
    """List the user-assigned identities of a resource group that the caller may read."""
    return _listed(request, request.context.store.children(USER_ASSIGNED, ids.RESOURCE_GROUP.format(**request.params)))


@routes.route("GET", ids.USER_ASSIGNED_IDENTITY)
async def get(request: ArmRequest) -> Response:
    """Return a user-assigned identity."""
    return JSONResponse(_json(_require(request)))


@routes.route("PUT", ids.USER_ASSIGNED_IDENTITY)
async def create_or_update(request: ArmRequest) -> Response:
    """Create a user-assigned identity, 201, or change its tags, 200."""
    request.read("MsiIdentity", _unreadable)
    name = request.params["identity"]
    if not NAME.fullmatch(name):
        raise AzureError(
            400,
            "InvalidResourceName",
            f"The resource name '{name}' is invalid. It must have 3 to 128 characters, start with a letter or digit "
            "and hold only letters, digits, '-' and '_'.",
            target="name",
        )
    known = request.context.store.get(_id(request))
    body = {
        "location": require_location(request.body["location"]),
        "tags": request.body.get("tags") or {},
        "properties": known.properties if known else _new(request),
    }
    return JSONResponse(_json(_put(request, body)), 200 if known else 201)


@routes.route("PATCH", ids.USER_ASSIGNED_IDENTITY)
async def update(request: ArmRequest) -> Response:
    """Change a user-assigned identity's tags."""
    request.read("MsiIdentityUpdate", _unreadable)
    identity = _require(request)
    tags = request.body.get("tags")
    body = {**identity.body, "tags": identity.body["tags"] if tags is None else tags}
    return JSONResponse(
        _json(request.put(identity.id, USER_ASSIGNED, ids.RESOURCE_GROUP.format(**request.params), body))
    )


@routes.route("DELETE", ids.USER_ASSIGNED_IDENTITY)
async def delete(request: ArmRequest) -> Response:
    """Delete a user-assigned identity: resources that have it get no more tokens. 204 where there is none."""
    identity = request.context.store.get(_id(request))
    if identity is None:
        return Response(status_code=204)
    request.context.store.delete(identity.id)
    return Response(status_code=200)


def _id(request: ArmRequest) -> str:
    return ids.USER_ASSIGNED_IDENTITY.format(**request.params)


def _put(request: ArmRequest, body: dict[str, Any]) -> Resource:
    return request.put(_id(request), USER_ASSIGNED, ids.RESOURCE_GROUP.format(**request.params), body)


def _require(request: ArmRequest) -> Resource:
    identity = request.context.store.get(_id(request))
    if identity is None:
        raise missing(request.params, USER_ASSIGNED, request.params["identity"])
    return identity


def _listed(request: ArmRequest, identities: list[Resource]) -> Response:
    return JSONResponse({"value": [_json(one) for one in identities if request.permits(READ, one.id)]})


def _unreadable(misfit: MisfitError) -> AzureError:
    return AzureError(400, "InvalidRequestContent", f"The request content was invalid: '{misfit}'.", target=misfit.path)


def _json(identity: Resource) -> dict[str, Any]:
    return {"id": identity.id, "name": identity.name, "type": identity.type, **identity.body}


# The resources that have identities of their own.
for _template in (ids.WORKSPACE + "/onlineEndpoints/{endpoint}", ids.WORKSPACE + "/computes/{compute}"):
    routes.add("GET", f"{_template}{OF_RESOURCE}/{{identity}}", get_system_assigned)
