"""Who has which role where, as the store holds it: what the service itself assigns, and takes away again."""

from __future__ import annotations

import uuid
from typing import Any

from azureml_local.arm import ids
from azureml_local.identity import roles
from azureml_local.identity.authorizer import TYPE
from azureml_local.identity.roles import Role
from azureml_local.identity.tokens import Principal
from azureml_local.store import Condition, Resource, Store

DEFINITIONS = f"/providers/{ids.AUTHORIZATION}/roleDefinitions"
ASSIGNMENTS = f"/providers/{ids.AUTHORIZATION}/roleAssignments"
SERVICE_PRINCIPAL = "ServicePrincipal"


def assign(store: Store, scope: str, role: Role, principal: Principal, *, by: str) -> None:
    """Give a service principal a role at a scope (its id as it is written), unless it has it there."""
    if any(one.properties["scope"] == scope for one in _of(store, principal.object_id) if role_of(one) == role):
        return
    write(store, scope, str(uuid.uuid4()), role, principal.object_id, {"principalType": SERVICE_PRINCIPAL}, by)


def unassign(store: Store, scope: str, role: Role, principal: Principal) -> None:
    """Take a role at a scope from a service principal; one that it lacks there it goes on lacking."""
    for assignment in _of(store, principal.object_id):
        if assignment.properties["scope"] == scope and role_of(assignment) == role:
            store.delete(assignment.id)


def unassign_all(store: Store, principal: Principal) -> None:
    """Take all roles from a service principal."""
    for assignment in _of(store, principal.object_id):
        store.delete(assignment.id)


def held(store: Store, principal: Principal) -> list[tuple[Role, str]]:
    """Return the roles of a service principal, each with its scope."""
    return [(role_of(one), one.properties["scope"]) for one in _of(store, principal.object_id)]


def _of(store: Store, object_id: str) -> list[Resource]:
    return store.select(
        TYPE, conditions=[Condition("json_extract(body, '$.properties.principalId') = ?", (object_id,))]
    )


def role_of(assignment: Resource) -> Role:
    """Return the role that is assigned."""
    return roles.BY_GUID[assignment.properties["roleDefinitionId"].rpartition("/")[2]]


def write(
    store: Store, scope: str, name: str, role: Role, object_id: str, properties: dict[str, Any], by: str
) -> Resource:
    """Write an assignment of a name, also one that exists; ``properties`` has its principal's type."""
    subscription = "/".join(scope.split("/")[:3])
    kept = {
        "roleDefinitionId": f"{subscription}{DEFINITIONS}/{role.guid}",
        "principalId": object_id,
        "principalType": properties.get("principalType"),
        "scope": scope,
        "description": properties.get("description"),
    }
    return store.put(f"{scope}{ASSIGNMENTS}/{name}", TYPE, scope, {"properties": kept}, by)
