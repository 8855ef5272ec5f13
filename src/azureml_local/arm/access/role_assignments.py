"""Role definitions and role assignments, at each scope that has some.

https://learn.microsoft.com/rest/api/authorization/role-assignments. Errors have the codes and words that Azure's own
answers have in public reports; azure-mgmt-authorization has the models.
"""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import databricks, ids, workspaces
from azureml_local.arm.access import key_vaults
from azureml_local.arm.access.assigned_roles import ASSIGNMENTS, DEFINITIONS, SERVICE_PRINCIPAL, role_of, write
from azureml_local.arm.batch import batch_endpoints
from azureml_local.arm.context import Context
from azureml_local.arm.monitor import log_analytics
from azureml_local.arm.online import online_endpoints
from azureml_local.arm.registries import registries
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.arm.request_models import MisfitError
from azureml_local.arm.storage import container_registries
from azureml_local.arm.storage.stored_accounts import TYPE as STORAGE_ACCOUNT
from azureml_local.http.errors import AzureError
from azureml_local.identity import roles
from azureml_local.identity.authorizer import TYPE
from azureml_local.identity.directory import USER_ASSIGNED
from azureml_local.identity.roles import Role
from azureml_local.store import Resource

SCOPES = (
    ids.SUBSCRIPTION,
    ids.RESOURCE_GROUP,
    ids.WORKSPACE,
    online_endpoints.ENDPOINT,
    batch_endpoints.ENDPOINT,
    ids.STORAGE_ACCOUNT,
    ids.CONTAINER,
    ids.REGISTRY,
    ids.ML_REGISTRY,
    ids.USER_ASSIGNED_IDENTITY,
    ids.VAULT,
    ids.VAULT_SECRET,
    ids.LOG_WORKSPACE,
    ids.DATABRICKS_WORKSPACE,
)
# The kinds of resources at which roles can be assigned.
HOLD_ROLES = (
    workspaces.TYPE,
    online_endpoints.TYPE,
    batch_endpoints.TYPE,
    container_registries.TYPE,
    registries.TYPE,
    USER_ASSIGNED,
    key_vaults.TYPE,
    log_analytics.TYPE,
    STORAGE_ACCOUNT,
    databricks.TYPE,
)
# Containers of storage accounts, and secrets of vaults: roles at them need not wait until they are there.
WITHIN = re.compile(
    rf"(.+/{re.escape(STORAGE_ACCOUNT)}/[^/]+)(/blobServices/default/containers/[^/]+)"
    rf"|(.+/{re.escape(key_vaults.TYPE)}/[^/]+)(/secrets/[^/]+)",
    re.IGNORECASE,
)
DEFINITION_ID = re.compile(rf"(/.+)?{re.escape(DEFINITIONS)}/([^/]+)", re.IGNORECASE)
TERM = re.compile(r"(\w+)\(\)|(\w+)\('([^']+)'\)|(\w+) eq '([^']+)'")
WRITE = "Microsoft.Authorization/roleAssignments/write"
# The roles that the installation's own identity has in the whole subscription.
OWN_ROLES = ("Owner", "Storage Blob Data Contributor")
LACKING = {"condition": bool, "delegatedManagedIdentityResourceId": bool}

routes = ArmRoutes()


def known_scope(context: Context, scope: str) -> str | None:
    """Return a scope's id as it is written, or None where nothing has that id."""
    settings = context.settings
    values = {"subscription": settings.subscription_id, "resource_group": settings.resource_group}
    for template in (ids.SUBSCRIPTION, ids.RESOURCE_GROUP):
        known = template.format(**values)
        if scope.lower() == known.lower():
            return known
    within = WITHIN.fullmatch(scope)
    outer, inner = (part for part in within.groups() if part) if within else (scope, "")
    resource = context.store.get(outer)
    return resource.id + inner if resource is not None and resource.type in HOLD_ROLES else None


def _json(assignment: Resource) -> dict[str, Any]:
    return {
        "id": assignment.id,
        "name": assignment.name,
        "type": TYPE,
        "properties": {
            **assignment.properties,
            "condition": None,
            "conditionVersion": None,
            "createdOn": assignment.created_at,
            "updatedOn": assignment.modified_at,
            "createdBy": assignment.created_by,
            "updatedBy": assignment.modified_by,
            "delegatedManagedIdentityResourceId": None,
        },
    }


async def list_definitions(request: ArmRequest) -> Response:
    """List the role definitions: all, or those of a name or a type."""
    asked = _filter(request, ("atScopeAndBelow()", "roleName eq '{value}'", "type eq '{value}'"))
    name, kind = asked.get("roleName"), asked.get("type", "BuiltInRole")
    found = [role for role in roles.BUILT_IN if name in (None, role.name) and kind.lower() == "builtinrole"]
    return JSONResponse({"value": [_definition(request, role) for role in found]})


async def get_definition(request: ArmRequest) -> Response:
    """Return a role definition."""
    return JSONResponse(_definition(request, _role(request.params["definition"], status=404)))


def _definition(request: ArmRequest, role: Role) -> dict[str, Any]:
    permissions = {
        "actions": role.actions,
        "notActions": role.not_actions,
        "dataActions": role.data_actions,
        "notDataActions": [],
    }
    return {
        "id": f"{ids.SUBSCRIPTION.format(**request.params)}{DEFINITIONS}/{role.guid}",
        "name": role.guid,
        "type": "Microsoft.Authorization/roleDefinitions",
        "properties": {
            "roleName": role.name,
            "type": "BuiltInRole",
            "description": role.description,
            "assignableScopes": ["/"],
            "permissions": [permissions],
        },
    }


def _role(guid: str, status: int) -> Role:
    role = roles.BY_GUID.get(guid.lower())
    if role is None:
        message = f"The specified role definition with ID '{guid.replace('-', '')}' does not exist."
        raise AzureError(status, "RoleDefinitionDoesNotExist", message)
    return role


async def list_assignments(request: ArmRequest) -> Response:
    """List the assignments at the scope and above, and (without ``atScope()``) below; all, or a principal's.

    https://learn.microsoft.com/azure/role-based-access-control/role-assignments-list-rest
    """
    filters = ("atScope()", "principalId eq '{value}'", "assignedTo('{value}')")
    asked = _filter(request, filters)
    scope = _scope(request).lower() + "/"
    principals = {value.lower() for name, value in asked.items() if name != "atScope"}

    def is_asked_for(assignment: Resource) -> bool:
        own = assignment.properties["scope"].lower() + "/"
        is_near = scope.startswith(own) or ("atScope" not in asked and own.startswith(scope))
        return is_near and principals <= {assignment.properties["principalId"]}

    found = [one for one in request.context.store.all_of(TYPE) if is_asked_for(one)]
    return JSONResponse({"value": [_json(one) for one in found]})


def _filter(request: ArmRequest, supported: tuple[str, ...]) -> dict[str, str]:
    """Return what ``$filter`` asks for: the names of its terms and their values ('' where a term has none)."""
    text = request.query.get("$filter", "")
    asked = {}
    for term in re.split(r"\s+and\s+", text) if text else ():
        found = TERM.fullmatch(term)
        flag, function, argument, member, value = found.groups() if found else (None,) * 5
        shape = f"{flag}()" if flag else f"{function}('{{value}}')" if function else f"{member} eq '{{value}}'"
        if shape not in supported:
            known = " or ".join(f"'{one}'" for one in supported)
            message = f"The filter '{text}' is not supported. Supported filters are either {known}."
            raise AzureError(400, "UnsupportedQuery", message)
        asked[flag or function or member or ""] = argument or value or ""
    return asked


async def get_assignment(request: ArmRequest) -> Response:
    """Return an assignment."""
    assignment = _stored(request)
    if assignment is None:
        message = f"The role assignment '{request.params['assignment']}' is not found."
        raise AzureError(404, "RoleAssignmentNotFound", message)
    return JSONResponse(_json(assignment))


async def create_assignment(request: ArmRequest) -> Response:
    """Give a principal a role at the scope; 201. 200 where the assignment exists under that name."""
    name = request.params["assignment"]
    if not _is_guid(name):
        message = f"The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID."
        raise AzureError(400, "InvalidRoleAssignmentId", message)
    request.read("RoleAssignmentCreateParameters", _unreadable)
    request.refuse_lacking(LACKING)
    scope, role, principal = _scope(request), _asked_role(request), _asked_principal(request)
    context = request.context
    properties = dict(request.properties)
    if context.directory.holder(principal):
        properties["principalType"] = SERVICE_PRINCIPAL
    wanted = (scope, role, principal)
    for other in context.store.all_of(TYPE):
        is_same = wanted == (other.properties["scope"], role_of(other), other.properties["principalId"])
        if other.name == name.lower() and not is_same:
            message = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated."
            raise AzureError(400, "RoleAssignmentUpdateNotPermitted", message)
        if other.name != name.lower() and is_same:
            existing = other.name.replace("-", "")
            message = f"The role assignment already exists. The ID of the existing role assignment is {existing}."
            raise AzureError(409, "RoleAssignmentExists", message)
    is_new = _stored(request) is None
    by = request.principal.object_id
    assignment = write(context.store, scope, name.lower(), role, principal, properties, by)
    return JSONResponse(_json(assignment), 201 if is_new else 200)


async def delete_assignment(request: ArmRequest) -> Response:
    """Take a role away, and return what it was; 204 where there is none."""
    assignment = _stored(request)
    if assignment is None:
        return Response(status_code=204)
    _require_other_administrator(request, assignment)
    request.context.store.delete(assignment.id)
    return JSONResponse(_json(assignment))


def _require_other_administrator(request: ArmRequest, leaving: Resource) -> None:
    """Raise 412 where nobody could assign roles in the subscription any more."""
    subscription = ids.SUBSCRIPTION.format(subscription=request.context.settings.subscription_id)
    administrators = [
        one
        for one in request.context.store.all_of(TYPE)
        if one.properties["scope"] == subscription and role_of(one).grants(WRITE)
    ]
    if [one.id for one in administrators] == [leaving.id]:
        message = "Cannot delete the last RBAC admin assignment"
        raise AzureError(412, "CannotDeleteLastRbacAdminAssignment", message)


def _asked_role(request: ArmRequest) -> Role:
    found = DEFINITION_ID.fullmatch(request.properties["roleDefinitionId"])
    if found is None:
        raise _incorrectly_formatted(
            "properties.roleDefinitionId must be a full id, /subscriptions/…/providers/Microsoft.Authorization/"
            "roleDefinitions/{guid}."
        )
    return _role(found[2], status=400)


def _asked_principal(request: ArmRequest) -> str:
    """Return the object id that a role is asked for. One that nobody has is taken if its type is given, as on Azure."""
    principal: str = request.properties["principalId"]
    kind = request.properties.get("principalType")
    if not _is_guid(principal):
        message = f"The Principal ID '{principal}' is not valid. Principal ID must be a GUID."
        raise AzureError(400, "InvalidPrincipalId", message)
    object_id = principal.lower()
    if not request.context.directory.holder(object_id) and kind is None:
        raise AzureError(
            400,
            "PrincipalNotFound",
            f"Principal {object_id.replace('-', '')} does not exist in the directory "
            f"{request.context.settings.tenant_id}. Check that you have the correct principal ID. If you are creating "
            "this principal and then immediately assigning a role, this error might be related to a replication "
            "delay. In this case, set the role assignment principalType property to a value, such as "
            "ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype",
        )
    if request.context.directory.holder(object_id) and kind not in (None, SERVICE_PRINCIPAL):
        raise AzureError(
            400,
            "UnmatchedPrincipalType",
            f"The PrincipalId '{object_id.replace('-', '')}' has type '{SERVICE_PRINCIPAL}' , which is different from "
            f"specified PrinciaplType '{kind}'.",
        )
    return object_id


def _stored(request: ArmRequest) -> Resource | None:
    return request.context.store.get(f"{_scope(request)}{ASSIGNMENTS}/{request.params['assignment']}")


def _scope(request: ArmRequest) -> str:
    """Return the scope in the path, or raise 404."""
    asked = request.template.partition(f"/providers/{ids.AUTHORIZATION}/")[0].format(**request.params)
    scope = known_scope(request.context, asked)
    if scope is None:
        raise AzureError(404, "ResourceNotFound", f"The Resource '{asked}' was not found.")
    return scope


def _is_guid(text: str) -> bool:
    return re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text) is not None


def _unreadable(misfit: MisfitError) -> AzureError:
    return _incorrectly_formatted(str(misfit))


def _incorrectly_formatted(why: str) -> AzureError:
    return AzureError(400, "BadRequestFormat", f"The request was incorrectly formatted. {why}")


for _template in SCOPES:
    routes.add("GET", _template + DEFINITIONS, list_definitions)
    routes.add("GET", _template + DEFINITIONS + "/{definition}", get_definition)
    routes.add("GET", _template + ASSIGNMENTS, list_assignments)
    routes.add("GET", _template + ASSIGNMENTS + "/{assignment}", get_assignment)
    routes.add("PUT", _template + ASSIGNMENTS + "/{assignment}", create_assignment)
    routes.add("DELETE", _template + ASSIGNMENTS + "/{assignment}", delete_assignment)
