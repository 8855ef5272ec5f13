"""The secrets in key vaults: who may do what with them, and what each operation does.

https://learn.microsoft.com/azure/key-vault/secrets/about-secrets, https://learn.microsoft.com/rest/api/keyvault/secrets.
A secret is a resource below its vault, its versions below it; a value lies in the store's table of secrets only.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azureml_local.arm import ids
from azureml_local.arm.access import key_vaults
from azureml_local.arm.access.key_vaults import SECRET_TYPE
from azureml_local.home import Settings
from azureml_local.http.errors import AzureError
from azureml_local.identity.authorizer import Authorizer
from azureml_local.identity.roles import VAULTS
from azureml_local.identity.tokens import Principal, TokenService
from azureml_local.store import Resource, Store

VERSION_TYPE = f"{SECRET_TYPE}/versions"
# https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#object-identifiers
NAME = re.compile(r"[0-9A-Za-z-]{1,127}")
DOMAIN = ".vault.azure.net"
LARGEST_VALUE = 25 * 1024  # bytes
LONGEST_CONTENT_TYPE = 255
MOST_TAGS = 15
LONGEST_TAG = 256


class KeyVaultError(AzureError):
    """A refusal in Key Vault's frame: ``inner`` is the code in ``innererror``, where there is one."""

    def __init__(self, status: int, code: str, message: str, *, inner: str | None = None, **options: Any) -> None:
        super().__init__(status, code, message, **options)
        self.inner = inner

    def body(self) -> dict[str, Any]:
        """Return the error as JSON."""
        body = super().body()
        return {**body, "innererror": {"code": self.inner}} if self.inner else body


@dataclass(frozen=True)
class Permission:
    """What an operation needs: a permission of an access policy, or an action on data of a role."""

    policy: str
    action: str


# https://learn.microsoft.com/azure/role-based-access-control/permissions/security#microsoftkeyvault
READ_METADATA = f"{VAULTS}/secrets/readMetadata/action"
PERMISSIONS: Mapping[str, Permission] = {
    "get": Permission("get", f"{VAULTS}/secrets/getSecret/action"),
    "set": Permission("set", f"{VAULTS}/secrets/setSecret/action"),
    "update": Permission("set", f"{VAULTS}/secrets/update/action"),
    "list": Permission("list", READ_METADATA),
    "get deleted": Permission("get", READ_METADATA),
    "delete": Permission("delete", f"{VAULTS}/secrets/delete"),
    "recover": Permission("recover", f"{VAULTS}/secrets/recover/action"),
    "purge": Permission("purge", f"{VAULTS}/secrets/purge/action"),
}


class VaultSecrets:
    """The secrets of every vault.

    Args:
        store: the vaults, with what is in them.
        settings: say where vaults are.
        authorizer: knows who has which role.
        tokens: knows who issues tokens, for messages.
    """

    def __init__(self, store: Store, settings: Settings, authorizer: Authorizer, tokens: TokenService) -> None:
        self._store = store
        self._settings = settings
        self._authorizer = authorizer
        self._issuer = tokens.issuer

    def require(self, principal: Principal, vault: Resource, operation: str, name: str | None = None) -> None:
        """Raise 403 where a caller may not do an operation on a secret, or (``name`` None) on the vault's secrets."""
        permission = PERMISSIONS[operation]
        caller = f"appid={principal.client_id};oid={principal.object_id};iss={self._issuer}"
        place = f"{vault.name};location={vault.body['location']}"
        if vault.properties["enableRbacAuthorization"]:
            scope = f"{vault.id}/secrets/{name}" if name else vault.id
            if not self._authorizer.permits(principal, permission.action, scope, data=True):
                raise _forbidden_by_role(caller, permission.action, scope, place)
        elif not _policy_permits(vault, principal, permission.policy):
            # The words: https://github.com/turbot/steampipe-plugin-azure/issues/127
            message = f"The user, group or application '{caller}' does not have secrets {permission.policy} permission "
            message += f"on key vault '{place}'. For help resolving this issue, please see "
            message += "https://go.microsoft.com/fwlink/?linkid=2125287"
            raise KeyVaultError(403, "Forbidden", message, inner="AccessDenied")

    # --- what is there ---

    def vault_at(self, host: str) -> Resource:
        """Return the vault at a host. Raises 404; on Azure there is no such host then."""
        name = host.lower().removesuffix(DOMAIN)
        settings = self._settings
        vault_id = ids.VAULT.format(
            subscription=settings.subscription_id, resource_group=settings.resource_group, vault=name
        )
        vault = key_vaults.live(self._store, vault_id)
        if vault is None:
            message = f"There is no key vault '{name}'. On Azure, the host {name}{DOMAIN} is not found then."
            raise KeyVaultError(404, "VaultNotFound", message)
        return vault

    def live(self, vault: Resource, name: str) -> Resource:
        """Return a secret that is not deleted. Raises 404."""
        secret = self._unpurged(vault, name)
        if secret is None or "deleted" in secret.body:
            raise _not_found(name)
        return secret

    def deleted(self, vault: Resource, name: str) -> Resource:
        """Return a deleted secret that can come back. Raises 404."""
        secret = self._unpurged(vault, name)
        if secret is None or "deleted" not in secret.body:
            raise KeyVaultError(404, "SecretNotFound", f"Deleted Secret not found: {name}")
        return secret

    def all(self, vault: Resource, *, deleted: bool) -> list[Resource]:
        """Return a vault's secrets, or those that were deleted, by name."""
        found = [self._unpurged(vault, secret.name) for secret in self._store.children(SECRET_TYPE, vault.id)]
        kept = [secret for secret in found if secret and ("deleted" in secret.body) == deleted]
        return sorted(kept, key=lambda secret: secret.key)

    def versions(self, secret: Resource) -> list[Resource]:
        """Return a secret's versions, in order of creation."""
        return self._store.children(VERSION_TYPE, secret.id)

    def version(self, secret: Resource, version: str | None) -> Resource:
        """Return a version of a secret, or its newest one. Raises 404."""
        if not version:
            return self.versions(secret)[-1]
        found = self._store.get(f"{secret.id}/versions/{version}")
        if found is None:
            raise _not_found(f"{secret.name}/{version}")
        return found

    def value(self, version: Resource) -> str:
        """Return what is secret. Raises 403 where the version is disabled.

        One that has expired, or is not yet valid, is given out all the same:
        https://learn.microsoft.com/azure/key-vault/secrets/about-secrets#date-time-controlled-operations
        """
        if not version.body["attributes"]["enabled"]:
            message = "Operation get is not allowed on a disabled secret."
            raise KeyVaultError(403, "Forbidden", message, inner="SecretDisabled")
        value: str = (self._store.get_secret(version.id) or {})["value"]
        return value

    # --- what changes it ---

    def set(self, vault: Resource, name: str, sent: Mapping[str, Any], by: str) -> Resource:
        """Make a new version of a secret, and the secret where there is none. Raises 400; 409 while it is deleted."""
        if not NAME.fullmatch(name):
            raise KeyVaultError(400, "BadParameter", f"The request URI contains an invalid name: {name}")
        value = sent.get("value")
        if not isinstance(value, str):
            raise KeyVaultError(400, "BadParameter", "Property value is required, and must be text.")
        size = len(value.encode())
        if size > LARGEST_VALUE:
            message = f"Property value is {size} bytes long; a secret has at most {LARGEST_VALUE} bytes."
            raise KeyVaultError(400, "BadParameter", message)
        now = int(time.time())
        body = _changed({"attributes": {"enabled": True, "created": now}}, sent, now)
        secret = self._unpurged(vault, name)
        if secret and "deleted" in secret.body:
            raise _is_deleted(name)
        with self._store.transaction():
            if secret is None:
                secret = self._store.put(f"{vault.id}/secrets/{name}", SECRET_TYPE, vault.id, {}, by)
            version = self._store.put(f"{secret.id}/versions/{uuid.uuid4().hex}", VERSION_TYPE, secret.id, body, by)
            self._store.put_secret(version.id, {"value": value})
        return version

    def update(self, version: Resource, sent: Mapping[str, Any], by: str) -> Resource:
        """Change what is known of a version, not its value. Raises 400."""
        body = _changed(version.body, sent, int(time.time()))
        return self._store.put(version.id, VERSION_TYPE, version.id.rpartition("/versions/")[0], body, by)

    def delete(self, vault: Resource, secret: Resource, by: str) -> Resource:
        """Delete a secret so that it can come back, for as long as the vault says."""
        deletion = key_vaults.deletion(vault.properties["softDeleteRetentionInDays"])
        return self._store.put(secret.id, SECRET_TYPE, vault.id, {"deleted": deletion}, by)

    def recover(self, vault: Resource, secret: Resource, by: str) -> Resource:
        """Bring a deleted secret back, with all its versions."""
        return self._store.put(secret.id, SECRET_TYPE, vault.id, {}, by)

    def purge(self, vault: Resource, secret: Resource) -> None:
        """Delete a deleted secret for good. Raises 403 where the vault is protected against that."""
        if vault.properties.get("enablePurgeProtection"):
            message = f'Operation "purge" is not allowed on this secret: the vault {vault.name} has purge protection.'
            raise KeyVaultError(403, "Forbidden", message, inner="ForbiddenByPolicy")
        self._store.delete(secret.id)

    def _unpurged(self, vault: Resource, name: str) -> Resource | None:
        """Return a secret, deleted or not; one whose time is over goes now."""
        secret = self._store.get(f"{vault.id}/secrets/{name}")
        if secret and key_vaults.is_over(secret):
            self._store.delete(secret.id)
            return None
        return secret


def _policy_permits(vault: Resource, principal: Principal, permission: str) -> bool:
    for policy in vault.properties["accessPolicies"]:
        if policy["objectId"].lower() == principal.object_id:
            permissions = policy["permissions"].get("secrets") or []
            return permission in permissions or "all" in permissions
    return False


def _forbidden_by_role(caller: str, action: str, scope: str, place: str) -> KeyVaultError:
    # The words: https://github.com/piyushsachdeva/Terraform_AKS/issues/2
    return KeyVaultError(
        403,
        "Forbidden",
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role "
        f"definitions were changed recently, please observe propagation time.\r\nCaller: {caller}\r\nAction: "
        f"'{action}'\r\nResource: '{scope.lower()}'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\n"
        f"DecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: {place}\r\n",
        inner="ForbiddenByRbac",
    )


def _not_found(name: str) -> KeyVaultError:
    # As recorded in azure-sdk-for-js, sdk/keyvault/keyvault-secrets/recordings.
    return KeyVaultError(
        404,
        "SecretNotFound",
        f"A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you may "
        "be able to recover it using the correct recovery command. For help resolving this issue, please see "
        "https://go.microsoft.com/fwlink/?linkid=2125182",
    )


def _is_deleted(name: str) -> KeyVaultError:
    return KeyVaultError(
        409,
        "Conflict",
        f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, "
        "the secret can only be recovered or purged.",
        inner="ObjectIsDeletedButRecoverable",
    )


def _changed(known: Mapping[str, Any], sent: Mapping[str, Any], now: int) -> dict[str, Any]:
    """Return a version's body with what was sent of content type, tags and attributes. Raises 400."""
    _require_text(sent.get("contentType"), "contentType", LONGEST_CONTENT_TYPE)
    given = sent.get("attributes") or {}
    tags = sent.get("tags")
    if not isinstance(given, dict) or not isinstance(tags or {}, dict):
        raise KeyVaultError(400, "BadParameter", "attributes and tags must be objects.")
    if tags and len(tags) > MOST_TAGS:
        raise KeyVaultError(400, "BadParameter", f"A secret has at most {MOST_TAGS} tags, not {len(tags)}.")
    for name, value in (tags or {}).items():
        _require_text(name, "a tag's name", LONGEST_TAG)
        _require_text(value, f"the tag {name}", LONGEST_TAG)
    attributes = {**known["attributes"], "updated": now}
    for name, kind in (("enabled", bool), ("nbf", int), ("exp", int)):
        if given.get(name) is not None:
            if type(given[name]) is not kind:
                raise KeyVaultError(400, "BadParameter", f"attributes.{name} must be of type {kind.__name__}.")
            attributes[name] = given[name]
    if attributes.get("nbf", 0) > attributes.get("exp", attributes.get("nbf", 0)):
        raise KeyVaultError(400, "BadParameter", "attributes.exp must not be before attributes.nbf.")
    changed = {name: sent[name] for name in ("contentType", "tags") if sent.get(name) is not None}
    return {**known, **changed, "attributes": attributes}


def _require_text(value: Any, what: str, longest: int) -> None:
    if value is not None and (not isinstance(value, str) or len(value) > longest):
        raise KeyVaultError(400, "BadParameter", f"{what} must be text of at most {longest} characters.")
