"""The managed identity endpoint of Azure's app hosts, on plain HTTP on loopback.

A client that finds ``IDENTITY_ENDPOINT`` and ``IDENTITY_HEADER`` in its environment asks it for tokens:
https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
"""

from __future__ import annotations

import hmac

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from azureml_local.home import Settings
from azureml_local.identity import audiences
from azureml_local.identity.tokens import Principal, TokenService

PATH = "/msi/token"


def route(settings: Settings, tokens: TokenService) -> Route:
    """Return the endpoint's route."""

    async def token(request: Request) -> Response:
        if not hmac.compare_digest(
            request.headers.get("x-identity-header", "").encode(), settings.identity_header.encode()
        ):
            return refusal(401, "unauthorized", "The X-IDENTITY-HEADER header is missing or wrong.")
        resource = request.query_params.get("resource", "")
        if not audiences.is_known(resource):
            return refusal(400, "invalid_resource", f"The resource '{resource}' is not known here.")
        asked = request.query_params.get("client_id", settings.client_id)
        if asked.lower() != settings.client_id:
            return refusal(400, "invalid_request", f"No managed identity has the client id '{asked}'.")
        principal = Principal(settings.client_id, settings.client_object_id)
        return granted(principal, resource, *tokens.issue(principal, resource))

    return Route(PATH, token)


def granted(principal: Principal, resource: str, access_token: str, expires: int) -> Response:
    """Return a token for ``resource`` as the identity endpoints of Azure's hosts do; ``expires`` since 1970."""
    return JSONResponse(
        {
            "access_token": access_token,
            "expires_on": str(expires),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": principal.client_id,
        },
        headers={"Cache-Control": "no-store"},
    )


def refusal(status: int, code: str, message: str) -> Response:
    """Return an error, always JSON: msal raises for anything else."""
    return JSONResponse({"statusCode": status, "code": code, "message": message}, status)
