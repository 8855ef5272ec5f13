"""Who somebody is to Azure, what opens which door to them, and what they may do."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from helpers.acceptance.facts import Grant

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.mgmt.authorization import AuthorizationManagementClient

SCORING, RESOURCE_MANAGER = "https://ml.azure.com/.default", "https://management.azure.com/.default"


def token(credential: TokenCredential, scope: str = SCORING) -> str:
    """Return a token of an identity's, by default one to call models with."""
    return credential.get_token(scope).token


def object_id(credential: TokenCredential) -> str:
    """Return the object id of an identity, by which roles and logs know it."""
    middle = token(credential, RESOURCE_MANAGER).split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))["oid"])


def grants(client: AuthorizationManagementClient, group: str, person: str) -> tuple[Grant, ...]:
    """Return the roles that an identity has in a resource group, below it, and above it.

    Args:
        client: of the subscription.
        group: the resource group's id.
        person: the identity's object id.
    """
    held = [one for one in client.role_assignments.list_for_scope(group) if one.principal_id == person]
    names = {one.role_definition_id: client.role_definitions.get_by_id(one.role_definition_id) for one in held}
    return tuple(Grant(str(names[one.role_definition_id].role_name), str(one.scope)) for one in held)
