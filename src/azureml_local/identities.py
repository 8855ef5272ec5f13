"""Identities with roles: what ``azureml-local identity`` makes, lists and deletes in a running service."""

from __future__ import annotations

from typing import Any

from azureml_local.arm import ids
from azureml_local.arm.access import assigned_roles, role_assignments
from azureml_local.arm.context import Context
from azureml_local.identity import roles
from azureml_local.identity.directory import DirectoryError


def create(context: Context, name: str, role_name: str | None, scope: str | None) -> dict[str, str]:
    """Make a service principal with a role at a scope (the resource group), or without any.

    Returns:
        The variables by which clients sign in as it.

    Raises:
        DirectoryError: the name is bad or taken, or there is no such role or scope.
    """
    role = roles.BY_NAME.get(role_name.lower()) if role_name else None
    if role_name and role is None:
        known = ", ".join(sorted(one.name for one in roles.BUILT_IN))
        raise DirectoryError(f"There is no role '{role_name}'. The roles are: {known}.")
    settings = context.settings
    group = ids.RESOURCE_GROUP.format(subscription=settings.subscription_id, resource_group=settings.resource_group)
    at = role_assignments.known_scope(context, scope or group)
    if at is None:
        raise DirectoryError(
            f"There is no scope '{scope}'. It must be the id of the subscription, the resource group, a workspace, an "
            f"online endpoint, the storage account or a container, e.g. {group}."
        )
    with context.store.transaction():
        principal, secret = context.directory.create(name)
        if role:
            assigned_roles.assign(context.store, at, role, principal, by=context.directory.own.object_id)
    return {
        "AZURE_TENANT_ID": settings.tenant_id,
        "AZURE_CLIENT_ID": principal.client_id,
        "AZURE_CLIENT_SECRET": secret,
    }


def listed(context: Context) -> list[dict[str, Any]]:
    """Return the identities that were made: name, client id, object id, and the roles with their scopes."""
    return [
        {
            "name": name,
            "client_id": principal.client_id,
            "object_id": principal.object_id,
            "roles": [
                {"role": role.name, "scope": scope} for role, scope in assigned_roles.held(context.store, principal)
            ],
        }
        for name, principal in context.directory.named().items()
    ]


def delete(context: Context, name: str) -> None:
    """Delete an identity and its role assignments: tokens that it has are worth nothing from now on.

    Raises:
        DirectoryError: there is none of that name.
    """
    with context.store.transaction():
        assigned_roles.unassign_all(context.store, context.directory.delete(name))
