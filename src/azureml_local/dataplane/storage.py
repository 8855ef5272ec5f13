"""Blob storage for clients: requests are passed on to Azurite, streaming both ways.

Shared keys and shared access signatures are checked by Azurite. A token and its holder's roles are checked here: of a
token, Azurite looks at the claims, not at the signature. The request is then passed on under the account's key.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote_to_bytes
from xml.sax.saxutils import escape

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from azureml_local.arm.storage.stored_accounts import Account, StorageAccounts
from azureml_local.dataplane import blob_permissions
from azureml_local.http.errors import NO_SPACE
from azureml_local.http.upstream import HOP_BY_HOP, Headers, UpstreamError
from azureml_local.identity import audiences
from azureml_local.identity.authorizer import Authorizer
from azureml_local.identity.tokens import InvalidTokenError, Principal, TokenService

FULL_BELOW = 2**20  # bytes
COPY_SOURCE = b"x-ms-copy-source"
SIGNATURE = re.compile(rb"(?<=[?&])sig=[^&]*&?")
NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class StorageApp:
    """Answers for ``<account>.blob.core.windows.net``.

    Args:
        accounts: the storage accounts, with their signatures.
        tokens: verifies tokens.
        authorizer: knows their holders' roles.
        folder: where Azurite keeps the data.
    """

    def __init__(self, accounts: StorageAccounts, tokens: TokenService, authorizer: Authorizer, folder: Path) -> None:
        self._accounts = accounts
        self._tokens = tokens
        self._authorizer = authorizer
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or refuse it as the storage service would."""
        headers: Headers = scope["headers"]
        found = dict(headers)
        host = found.get(b"host", b"").decode("latin-1").partition(":")[0].lower()
        account = self._accounts.at(host)
        if account is None:
            await storage_error(501, "AccountNotServed", f"There is no storage account at {host} here.")(
                scope, receive, send
            )
            return
        target = scope["raw_path"].decode("ascii")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("ascii")
        if "%" in target and not _is_unicode(target):
            await _invalid_uri()(scope, receive, send)
            return
        authorization = found.get(b"authorization", b"").decode("latin-1")
        if authorization.lower().startswith("bearer "):
            try:
                principal = self._tokens.verify(authorization[7:].strip(), audiences.STORAGE)
            except InvalidTokenError:
                await self._challenge()(scope, receive, send)
                return
            if not self._permits(principal, account, scope["method"], target, headers):
                message = "This request is not authorized to perform this operation using this permission."
                await storage_error(403, "AuthorizationPermissionMismatch", message)(scope, receive, send)
                return
            headers = account.blobs.sign(scope["method"], target, _without_source_signatures(headers))
        elif not authorization:
            if refusal := await self._unreadable_source(found.get(b"host", b""), headers):
                await refusal(scope, receive, send)
                return
            headers = _without_source_signatures(headers)
        await self._pass_on(scope, receive, send, target, headers)

    def _permits(self, principal: Principal, account: Account, method: str, target: str, headers: Headers) -> bool:
        return all(
            self._authorizer.permits(principal, permission.action, account.id + permission.scope, data=permission.data)
            for permission in blob_permissions.needed(method, target, _sources(headers))
        )

    async def _unreadable_source(self, host: bytes, headers: Headers) -> Response | None:
        """Return the refusal of a copy, asked for under a signature, of what its source's own signature does not open.

        A source in the same account is free to those with the account's key, or a role, only; any other address has to
        open it by itself: https://learn.microsoft.com/rest/api/storageservices/copy-blob#request-headers.
        """
        for source in _sources(headers):
            target = blob_permissions.source_target(source)
            if target is None:
                return storage_error(400, "InvalidHeaderValue", "The value for x-ms-copy-source is not a blob's URL.")
            try:
                with await self._accounts.own.blobs.upstream.send("HEAD", target, [(b"host", host)]) as answer:
                    if answer.status >= 400:
                        return storage_error(answer.status, "CannotVerifyCopySource", "The copy source cannot be read.")
            except UpstreamError as error:
                return _unavailable(error)
        return None

    def _challenge(self) -> Response:
        """Return the 401 that says where to get a token; azure-storage-blob gets one there and tries again."""
        refusal = storage_error(
            401,
            "InvalidAuthenticationInfo",
            "Server failed to authenticate the request. Please refer to the information in the www-authenticate "
            "header.",
        )
        refusal.headers["WWW-Authenticate"] = (
            f"Bearer authorization_uri=https://login.microsoftonline.com/{self._tokens.tenant_id}/oauth2/authorize "
            "resource_id=https://storage.azure.com"
        )
        return refusal

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, target: str, headers: Headers) -> None:
        has_body = any(name in (b"content-length", b"transfer-encoding") for name, _ in headers)
        body = _request_body(receive) if has_body else b""
        has_begun = False
        try:
            with await self._accounts.own.blobs.upstream.send(scope["method"], target, headers, body) as response:
                if response.status == 403 and response.header(b"x-ms-error-code") == b"AuthorizationFailure":
                    # Azurite's word for whatever is wrong with a signature; Azure's is another.
                    refusal = storage_error(403, "AuthenticationFailed", "Server failed to authenticate the request.")
                    await refusal(scope, receive, send)
                    return
                if response.status == 500 and response.header(b"x-ms-error-code") is None:
                    await self._unforeseen(target)(scope, receive, send)
                    return
                kept = [(name, value) for name, value in response.headers if name not in HOP_BY_HOP]
                has_begun = True
                await send({"type": "http.response.start", "status": response.status, "headers": kept})
                async for piece in response.chunks():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except UpstreamError as error:
            if has_begun:  # the response breaks off for the client, too
                raise
            await _unavailable(error)(scope, receive, send)

    def _unforeseen(self, target: str) -> Response:
        """Return an answer for what Azurite failed on without a word."""
        if shutil.disk_usage(self._folder).free < FULL_BELOW:
            return storage_error(507, "InsufficientStorage", NO_SPACE)
        if "%25" in target:  # it decodes some values twice, and fails where the second time is not possible
            return _invalid_uri()
        message = "The server encountered an internal error. Please retry the request."
        return storage_error(500, "InternalError", message)


def _sources(headers: Headers) -> list[str]:
    """Return the addresses that are to be copied from. Azurite does not check one on the same account."""
    return [value.decode("latin-1") for name, value in headers if name == COPY_SOURCE]


def _without_source_signatures(headers: Headers) -> Headers:
    """Return headers whose sources, checked before, have no signature: one makes Azurite look the account up by DNS."""
    return [(name, SIGNATURE.sub(b"", value) if name == COPY_SOURCE else value) for name, value in headers]


def _is_unicode(target: str) -> bool:
    """Say whether what is percent-encoded in a target is UTF-8, as names are."""
    try:
        unquote_to_bytes(target).decode()
    except UnicodeDecodeError:
        return False
    return not NO_ESCAPE.search(target)


async def _request_body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise UpstreamError("the client left before its request was complete")
        if message["body"]:
            yield message["body"]
        if not message["more_body"]:
            return


def _unavailable(error: UpstreamError) -> Response:
    return storage_error(503, "ServerBusy", f"The storage is not available: {error}")


def _invalid_uri() -> Response:
    return storage_error(400, "InvalidUri", "The requested URI does not represent any resource on the server.")


def storage_error(status: int, code: str, message: str) -> Response:
    """Return an error in the storage service's format."""
    body = (
        f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>'
    )
    return Response(body, status, headers={"x-ms-error-code": code}, media_type="application/xml")
