"""Entra's endpoints on login.microsoftonline.com: discovery, keys, and tokens for a client's secret.

Errors carry Entra's own numbers: https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

from __future__ import annotations

import base64
import datetime
import time
import uuid
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from azureml_local.home import Settings
from azureml_local.identity import audiences
from azureml_local.identity.directory import Directory
from azureml_local.identity.tokens import Principal, TokenService

LOGIN = "https://login.microsoftonline.com"
LARGEST_FORM = 64 * 1024
NOT_STORED = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}
# Tenants that stand for "whichever the client belongs to".
TENANT_ALIASES = ("common", "organizations")


class EntraError(Exception):
    """A refusal of the token endpoint."""

    def __init__(self, status: int, error: str, number: int, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.number = number


class Entra:
    """The identity platform of one installation, with the applications of its directory."""

    def __init__(self, settings: Settings, tokens: TokenService, directory: Directory) -> None:
        self.settings = settings
        self.tokens = tokens
        self.directory = directory
        self.app = Starlette(
            routes=[
                Route("/common/discovery/instance", self.instance_discovery),
                Route("/{tenant}/v2.0/.well-known/openid-configuration", self.openid_configuration),
                Route("/{tenant}/discovery/v2.0/keys", self.keys),
                Route("/{tenant}/oauth2/v2.0/token", self.token, methods=["POST"]),
                Route("/{tenant}/oauth2/token", self.token_of_version_1, methods=["POST"]),
            ],
            exception_handlers={EntraError: _refusal, HTTPException: _lacking},
        )

    async def instance_discovery(self, _: Request) -> Response:
        """Answer MSAL's question which hosts are authorities."""
        host = "login.microsoftonline.com"
        return JSONResponse(
            {
                "tenant_discovery_endpoint": f"{LOGIN}/{self.settings.tenant_id}/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            }
        )

    async def openid_configuration(self, request: Request) -> Response:
        """Describe the tenant's endpoints."""
        self._require_tenant(request.path_params["tenant"])
        base = f"{LOGIN}/{self.settings.tenant_id}"
        return JSONResponse(
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",  # MSAL wants one; it answers 501
                "tenant_region_scope": None,
                "cloud_instance_name": "microsoftonline.com",
            }
        )

    async def keys(self, _: Request) -> Response:
        """Return the public keys that tokens are signed with."""
        return JSONResponse({"keys": [self.tokens.public_jwk]})

    async def token(self, request: Request) -> Response:
        """Grant a token for a client's id and secret (RFC 6749, 4.4)."""
        form = await self._granted(request)
        token, expires = self._issue(request, form, self._audience(form))
        left = expires - int(time.time())
        return JSONResponse(
            {"token_type": "Bearer", "expires_in": left, "ext_expires_in": left, "access_token": token},
            headers=NOT_STORED,
        )

    async def token_of_version_1(self, request: Request) -> Response:
        """Grant a token as the older endpoint does, for a ``resource`` in place of a scope; its numbers are texts.

        Azure ML's documentation of batch endpoints uses it:
        https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-batch-endpoint (REST, service principal).
        """
        form = await self._granted(request)
        resource = _required(form, "resource")
        token, expires = self._issue(request, form, self._known(resource))
        now = int(time.time())
        times = {"expires_in": expires - now, "ext_expires_in": expires - now, "expires_on": expires, "not_before": now}
        return JSONResponse(
            {
                "token_type": "Bearer",
                **{name: str(value) for name, value in times.items()},
                "resource": resource,
                "access_token": token,
            },
            headers=NOT_STORED,
        )

    async def _granted(self, request: Request) -> dict[str, str]:
        """Return the form of a request whose kind of grant is there."""
        self._require_tenant(request.path_params["tenant"])
        form = await _form(request)
        grant = _required(form, "grant_type")
        if grant != "client_credentials":
            raise EntraError(
                400,
                "unsupported_grant_type",
                70003,
                f"The app requested an unsupported grant type '{grant}'. azureml-local grants 'client_credentials'.",
            )
        return form

    def _issue(self, request: Request, form: Mapping[str, str], audience: str) -> tuple[str, int]:
        """Return a token for the client whose credentials a request has, and when it expires."""
        return self.tokens.issue(self._authenticate(*_client_credentials(request, form)), audience)

    def _require_tenant(self, tenant: str) -> None:
        if tenant.lower() not in (self.settings.tenant_id, *TENANT_ALIASES):
            raise EntraError(
                400,
                "invalid_tenant",
                90002,
                f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into "
                "the correct cloud. azureml-local env prints the right one.",
            )

    def _authenticate(self, client_id: str, secret: str) -> Principal:
        principal = self.directory.find(client_id)
        if principal is None:
            raise EntraError(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client_id}' was not found in the directory "
                f"'{self.settings.tenant_id}'.",
            )
        if not secret:
            raise EntraError(
                401,
                "invalid_client",
                7000216,
                "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
            )
        if not self.directory.is_secret_of(principal, secret):
            raise EntraError(
                401,
                "invalid_client",
                7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                f"value, not the client secret ID, for a secret added to app '{principal.client_id}'.",
            )
        return principal

    def _audience(self, form: Mapping[str, str]) -> str:
        scope = _required(form, "scope")
        if not scope.endswith("/.default") or " " in scope:
            raise EntraError(
                400,
                "invalid_scope",
                1002012,
                f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value "
                "with /.default suffixed to the resource identifier (application ID URI).",
            )
        return self._known(scope.removesuffix("/.default"))

    def _known(self, resource: str) -> str:
        """Return a resource that tokens can be asked for."""
        if not audiences.is_known(resource):
            raise EntraError(
                400,
                "invalid_resource",
                500011,
                f"The resource principal named {resource} was not found in the tenant named {self.settings.tenant_id}.",
            )
        return resource


def _required(form: Mapping[str, str], name: str) -> str:
    if not form.get(name):
        raise EntraError(
            400, "invalid_request", 900144, f"The request body must contain the following parameter: '{name}'."
        )
    return form[name]


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_FORM:
            raise EntraError(413, "invalid_request", 90100, "The request body is too large.")
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _client_credentials(request: Request, form: Mapping[str, str]) -> tuple[str, str]:
    """Return id and secret from the form, or from the basic header (RFC 6749, 2.3.1)."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
        except ValueError as error:
            raise EntraError(
                401, "invalid_client", 7000215, "The Authorization header is no basic credential."
            ) from error
        return unquote(client_id), unquote(secret)
    if "client_id" not in form:
        raise EntraError(
            400, "invalid_request", 900144, "The request body must contain the following parameter: 'client_id'."
        )
    return form["client_id"], form.get("client_secret", "")


async def _lacking(request: Request, _: Exception) -> Response:
    message = f"azureml-local lacks {request.method} {request.url.path} of the identity platform."
    return JSONResponse({"error": "not_implemented", "error_description": message}, 501)


async def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, EntraError)  # noqa: S101 - narrows the type
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    timestamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return JSONResponse(
        {
            "error": error.error,
            "error_description": f"AADSTS{error.number}: {error} Trace ID: {trace} "
            f"Correlation ID: {correlation} Timestamp: {timestamp}",
            "error_codes": [error.number],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"{LOGIN}/error?code={error.number}",
        },
        error.status,
        headers=NOT_STORED,
    )
