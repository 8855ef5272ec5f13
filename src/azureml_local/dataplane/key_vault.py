"""Key Vault for clients: the requests of ``<vault>.vault.azure.net``.

https://learn.microsoft.com/rest/api/keyvault/secrets; how clients learn where to get a token:
https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from azureml_local.arm.access import key_vaults
from azureml_local.dataplane.vault_secrets import DOMAIN, KeyVaultError, VaultSecrets
from azureml_local.http.errors import AzureError
from azureml_local.http.json_body import json_object
from azureml_local.identity import audiences
from azureml_local.identity.tokens import InvalidTokenError, Principal, TokenService
from azureml_local.store import Resource

RESOURCE = audiences.KEY_VAULT[0]
LARGEST_PAGE = 25
LONGEST_RETENTION = key_vaults.RETENTION[-1]


@dataclass(frozen=True)
class Call:
    """An authenticated request to a vault, which exists. ``name`` and ``version`` are those in its path, or ''."""

    request: Request
    principal: Principal
    vault: Resource
    name: str
    version: str

    @property
    def by(self) -> str:
        """The caller's object id."""
        return self.principal.object_id


Handler = Callable[[Call], Awaitable[Response]]


class KeyVault:
    """Answers for the vaults of the installation.

    Args:
        secrets: the vaults, and what is in them.
        tokens: verifies tokens.
    """

    def __init__(self, secrets: VaultSecrets, tokens: TokenService) -> None:
        self._secrets = secrets
        self._tokens = tokens
        table: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/secrets", self.list_secrets),
            ("PUT", "/secrets/{name}", self.set_secret),
            ("GET", "/secrets/{name}", self.get_secret),
            ("DELETE", "/secrets/{name}", self.delete_secret),
            ("GET", "/secrets/{name}/versions", self.list_versions),
            ("GET", "/secrets/{name}/", self.get_secret),
            ("GET", "/secrets/{name}/{version}", self.get_secret),
            ("PATCH", "/secrets/{name}/", self.update_secret),
            ("PATCH", "/secrets/{name}/{version}", self.update_secret),
            ("GET", "/deletedsecrets", self.list_deleted),
            ("GET", "/deletedsecrets/{name}", self.get_deleted),
            ("DELETE", "/deletedsecrets/{name}", self.purge_secret),
            ("POST", "/deletedsecrets/{name}/recover", self.recover_secret),
        )
        routes = [Route(path, self._called(handler), methods=[method]) for method, path, handler in table]
        everything = Route("/{path:path}", self._called(_lacking), methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
        self.app = Starlette(routes=[*routes, everything], exception_handlers={AzureError: _refused})

    def _called(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        @functools.wraps(handler)
        async def called(request: Request) -> Response:
            vault = self._secrets.vault_at(request.headers.get("host", "").partition(":")[0])
            principal = self._authenticate(request)
            if "api-version" not in {name.lower() for name in request.query_params}:
                raise KeyVaultError(400, "BadParameter", "api-version must be specified")
            path = request.path_params
            return await handler(Call(request, principal, vault, path.get("name", ""), path.get("version", "")))

        return called

    def _authenticate(self, request: Request) -> Principal:
        """Return who is calling. Raises the 401 that says where to get a token: clients ask for it first of all."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise self._challenge("AKV10000: Request is missing a Bearer or PoP token.")
        try:
            return self._tokens.verify(token.strip(), audiences.KEY_VAULT)
        except InvalidTokenError as error:
            raise self._challenge(_why(error)) from error

    def _challenge(self, message: str) -> KeyVaultError:
        login = f"https://login.microsoftonline.com/{self._tokens.tenant_id}"
        challenge = f'Bearer authorization="{login}", resource="{RESOURCE}"'
        return KeyVaultError(401, "Unauthorized", message, headers={"WWW-Authenticate": challenge})

    async def set_secret(self, call: Call) -> Response:
        """Make a new version of a secret."""
        self._secrets.require(call.principal, call.vault, "set", call.name)
        version = self._secrets.set(call.vault, call.name, await json_object(call.request), call.by)
        return JSONResponse({"value": self._secrets.value(version), **_shown(call.vault, version)})

    async def get_secret(self, call: Call) -> Response:
        """Return a version of a secret, or the newest one, with its value."""
        self._secrets.require(call.principal, call.vault, "get", call.name)
        version = self._secrets.version(self._secrets.live(call.vault, call.name), call.version)
        return JSONResponse({"value": self._secrets.value(version), **_shown(call.vault, version)})

    async def update_secret(self, call: Call) -> Response:
        """Change the attributes, the tags or the content type of a version, or of the newest one."""
        self._secrets.require(call.principal, call.vault, "update", call.name)
        version = self._secrets.version(self._secrets.live(call.vault, call.name), call.version)
        changed = self._secrets.update(version, await json_object(call.request), call.by)
        return JSONResponse(_shown(call.vault, changed))

    async def list_secrets(self, call: Call) -> Response:
        """List a vault's secrets, without their values."""
        self._secrets.require(call.principal, call.vault, "list")
        secrets = self._secrets.all(call.vault, deleted=False)
        return _page(call, (self._summary(call.vault, secret) for secret in secrets))

    async def list_versions(self, call: Call) -> Response:
        """List a secret's versions, without their values."""
        self._secrets.require(call.principal, call.vault, "list", call.name)
        versions = self._secrets.versions(self._secrets.live(call.vault, call.name))
        return _page(call, (_shown(call.vault, version) for version in versions))

    async def delete_secret(self, call: Call) -> Response:
        """Delete a secret so that it can be recovered."""
        self._secrets.require(call.principal, call.vault, "delete", call.name)
        secret = self._secrets.delete(call.vault, self._secrets.live(call.vault, call.name), call.by)
        return JSONResponse(self._deleted(call.vault, secret))

    async def list_deleted(self, call: Call) -> Response:
        """List the secrets that can be recovered."""
        self._secrets.require(call.principal, call.vault, "list")
        secrets = self._secrets.all(call.vault, deleted=True)
        return _page(
            call, ({**self._deleted(call.vault, secret), **self._summary(call.vault, secret)} for secret in secrets)
        )

    async def get_deleted(self, call: Call) -> Response:
        """Return a secret that can be recovered, without its value."""
        self._secrets.require(call.principal, call.vault, "get deleted", call.name)
        return JSONResponse(self._deleted(call.vault, self._secrets.deleted(call.vault, call.name)))

    async def recover_secret(self, call: Call) -> Response:
        """Bring a deleted secret back."""
        self._secrets.require(call.principal, call.vault, "recover", call.name)
        secret = self._secrets.recover(call.vault, self._secrets.deleted(call.vault, call.name), call.by)
        return JSONResponse(_shown(call.vault, self._secrets.version(secret, None)))

    async def purge_secret(self, call: Call) -> Response:
        """Delete a deleted secret for good."""
        self._secrets.require(call.principal, call.vault, "purge", call.name)
        self._secrets.purge(call.vault, self._secrets.deleted(call.vault, call.name))
        return Response(status_code=204)

    def _summary(self, vault: Resource, secret: Resource) -> dict[str, Any]:
        """Return a secret as lists have it: its newest version, under the id of all of them."""
        newest = _shown(vault, self._secrets.version(secret, None))
        return {**newest, "id": f"{_base(vault)}/secrets/{secret.name}"}

    def _deleted(self, vault: Resource, secret: Resource) -> dict[str, Any]:
        deletion = secret.body["deleted"]
        return {
            "recoveryId": f"{_base(vault)}/deletedsecrets/{secret.name}",
            "deletedDate": int(deletion["at"]),
            "scheduledPurgeDate": int(deletion["purgeAt"]),
            **_shown(vault, self._secrets.version(secret, None)),
        }


def _why(error: InvalidTokenError) -> str:
    """Return Key Vault's words for a token that it does not take."""
    if error.code == "InvalidAuthenticationTokenAudience":
        return f"AKV10022: Invalid audience. Expected {RESOURCE}. {error}"
    if error.code == "ExpiredAuthenticationToken":
        return "[TokenExpired] Error validating token: 'S2S12086'."
    return f"[BearerReadAccessTokenFailed] Error validating token: {error}"


def _base(vault: Resource) -> str:
    return f"https://{vault.name.lower()}{DOMAIN}"


def _shown(vault: Resource, version: Resource) -> dict[str, Any]:
    """Return a version as Key Vault shows it, without its value."""
    secret = version.id.split("/")[-3]
    days = vault.properties["softDeleteRetentionInDays"]
    # https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret#deletionrecoverylevel
    level = "Recoverable" if days == LONGEST_RETENTION else "CustomizedRecoverable"
    if not vault.properties.get("enablePurgeProtection"):
        level += "+Purgeable"
    return {
        "id": f"{_base(vault)}/secrets/{secret}/{version.name}",
        **version.body,
        "attributes": {**version.body["attributes"], "recoveryLevel": level, "recoverableDays": days},
    }


def _page(call: Call, items: Iterable[dict[str, Any]]) -> Response:
    """Return a page of a list, and where the next one is."""
    query = call.request.query_params
    size, start = query.get("maxresults", str(LARGEST_PAGE)), query.get("$skiptoken", "0")
    if not size.isdecimal() or not 0 < int(size) <= LARGEST_PAGE or not start.isdecimal():
        raise KeyVaultError(400, "BadParameter", f"maxresults must be 1 to {LARGEST_PAGE}, not '{size}'.")
    found, end = list(items), int(start) + int(size)
    url = call.request.url.replace(scheme="https", netloc=_base(call.vault).removeprefix("https://"))
    following = str(url.include_query_params(**{"$skiptoken": end})) if end < len(found) else None
    return JSONResponse({"value": found[int(start) : end], "nextLink": following})


async def _lacking(call: Call) -> Response:
    message = f"azureml-local lacks {call.request.method} {call.request.url.path} of Key Vault: it keeps secrets only, "
    raise KeyVaultError(501, "NotImplemented", message + "no keys, no certificates and no backups.")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, AzureError)  # noqa: S101 - narrows the type
    response = error.response()
    response.headers["x-ms-request-id"] = str(uuid.uuid4())
    return response
