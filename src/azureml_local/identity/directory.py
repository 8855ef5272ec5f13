"""The service principals of the installation's tenant.

These are its own, those that ``azureml-local identity`` makes, and those of managed identities, which have no secret:
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/overview#managed-identity-types
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Iterator

from azureml_local.home import Settings
from azureml_local.identity.tokens import Principal
from azureml_local.store import Condition, Resource, Store

TYPE = "servicePrincipals"
ID = "/servicePrincipals/{name}"
SYSTEM_ASSIGNED = "Microsoft.ManagedIdentity/identities"
USER_ASSIGNED = "Microsoft.ManagedIdentity/userAssignedIdentities"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


class DirectoryError(Exception):
    """A service principal cannot be made or found; the message says why."""


class Directory:
    """Finds service principals, and checks their secrets.

    Only a hash of a secret is stored: a secret is 30 random bytes, which nobody finds by trying.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self.own = Principal(settings.client_id, settings.client_object_id)

    def create(self, name: str) -> tuple[Principal, str]:
        """Make a service principal, and return it with its secret, which cannot be got again.

        Raises:
            DirectoryError: the name is bad, or taken.
        """
        if not NAME.fullmatch(name):
            raise DirectoryError(
                f"The name '{name}' is invalid. It must have 1 to 63 characters, start with a letter or digit and hold "
                "only letters, digits, '-' and '_'."
            )
        if self._store.get(ID.format(name=name)):
            raise DirectoryError(f"There is an identity '{name}' already. Delete it, or choose another name.")
        principal = Principal(str(uuid.uuid4()), str(uuid.uuid4()))
        secret = secrets.token_urlsafe(30)
        with self._store.transaction():
            body = {"clientId": principal.client_id, "objectId": principal.object_id}
            self._store.put(ID.format(name=name), TYPE, "", body, self.own.object_id)
            self._store.put_secret(ID.format(name=name), {"sha256": _hash(secret)})
        return principal, secret

    def delete(self, name: str) -> Principal:
        """Delete a service principal, and return what it was. Raises DirectoryError where there is none."""
        stored = self._store.get(ID.format(name=name))
        if stored is None or stored.type != TYPE:
            raise DirectoryError(f"There is no identity '{name}'.")
        self._store.delete(stored.id)
        return _principal(stored)

    def named(self) -> dict[str, Principal]:
        """Return the service principals that were made, by their names."""
        return {stored.name: _principal(stored) for stored in self._store.all_of(TYPE)}

    def find(self, client_id: str) -> Principal | None:
        """Return the service principal of an application that has a secret, by its client id in any case."""
        return next((one for one in self._all() if one.client_id == client_id.lower()), None)

    def holder(self, object_id: str) -> Principal | None:
        """Return the service principal that has an object id, a managed identity's too."""
        return next((one for one in (*self._all(), *self._managed(object_id)) if one.object_id == object_id), None)

    def _managed(self, object_id: str) -> Iterator[Principal]:
        has_id = Condition("json_extract(body, '$.properties.principalId') = ?", (object_id,))
        for kind in (SYSTEM_ASSIGNED, USER_ASSIGNED):
            for identity in self._store.select(kind, conditions=[has_id]):
                yield managed(identity)

    def _all(self) -> tuple[Principal, ...]:
        return self.own, *self.named().values()

    def is_secret_of(self, principal: Principal, secret: str) -> bool:
        """Say whether a secret is the service principal's, in a time that tells nothing about it."""
        if principal == self.own:
            expected = _hash(self._settings.client_secret)
        else:
            name = next(name for name, one in self.named().items() if one == principal)
            expected = (self._store.get_secret(ID.format(name=name)) or {})["sha256"]
        return hmac.compare_digest(_hash(secret), expected)


def managed(identity: Resource) -> Principal:
    """Return the service principal of a managed identity."""
    return Principal(identity.properties["clientId"], identity.properties["principalId"])


def _principal(stored: Resource) -> Principal:
    return Principal(stored.body["clientId"], stored.body["objectId"])


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
