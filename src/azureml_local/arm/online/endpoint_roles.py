"""The roles that the system-assigned identity of an online endpoint has from the beginning.

https://learn.microsoft.com/azure/machine-learning/concept-endpoints-online-auth#automatic-role-assignment-for-endpoint-identity.
A user-assigned identity gets none.
"""

from __future__ import annotations

from collections.abc import Iterator

from azureml_local.arm import ids
from azureml_local.arm.access import assigned_roles
from azureml_local.arm.context import Context
from azureml_local.identity import roles
from azureml_local.identity.directory import SYSTEM_ASSIGNED, managed
from azureml_local.identity.roles import Role
from azureml_local.store import Resource

# Each role, and the property of the workspace that names the scope.
DEFAULT = {"AcrPull": "containerRegistry", "Storage Blob Data Reader": "storageAccount"}


def assign(context: Context, endpoint: Resource, *, by: str) -> None:
    """Give the endpoint's own identity, where it has one, its roles."""
    for identity in context.store.children(SYSTEM_ASSIGNED, endpoint.id):
        for role, scope in _defaults(context, endpoint):
            assigned_roles.assign(context.store, scope, role, managed(identity), by=by)


def take(context: Context, endpoint: Resource) -> None:
    """Take them away before the endpoint is deleted. Azure keeps them, for nobody; here each would cost a little."""
    for identity in context.store.children(SYSTEM_ASSIGNED, endpoint.id):
        for role, scope in _defaults(context, endpoint):
            assigned_roles.unassign(context.store, scope, role, managed(identity))


def _defaults(context: Context, endpoint: Resource) -> Iterator[tuple[Role, str]]:
    workspace = context.store.get(ids.workspace_of(endpoint.id))
    for name, member in DEFAULT.items():
        scope = workspace.properties[member] if workspace else None
        if scope:
            yield roles.BY_NAME[name.lower()], scope
