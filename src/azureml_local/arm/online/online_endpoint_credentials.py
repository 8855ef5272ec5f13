"""What opens an online endpoint, given out by the control plane: its keys, or a token that expires.

A token of Entra's (authMode ``AADToken``) is asked of Entra itself.
https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-online-endpoint#get-the-key-or-token-for-data-plane-operations
"""

from __future__ import annotations

import hmac
import time

from starlette.responses import JSONResponse, Response

from azureml_local.arm.online.online_endpoints import ENDPOINT, require, require_usable_key
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.http.errors import invalid_inference_request
from azureml_local.identity import audiences, endpoint_keys
from azureml_local.store import Resource

WHAT_OPENS = {
    "Key": "its keys: listKeys",
    "AMLToken": "a token of its own: token",
    "AADToken": "a token of Microsoft Entra for https://ml.azure.com",
}
# The part of a token's life after which it should be replaced. Azure documents that there is such a time, not which;
# Entra's own (refresh_in) lies half way.
REFRESH_AFTER = 0.5

routes = ArmRoutes()


@routes.route("POST", ENDPOINT + "/listKeys")
async def list_keys(request: ArmRequest) -> Response:
    """Return both keys of an endpoint that uses keys."""
    endpoint = _require_mode(request, "Key", "keys")
    return JSONResponse(request.context.store.get_secret(endpoint.id))


@routes.route("POST", ENDPOINT + "/regenerateKeys")
async def regenerate_keys(request: ArmRequest) -> Response:
    """Replace one key by a new one, or by the one that is given; the old one is dead when this answers."""
    request.read("RegenerateEndpointKeysRequest")
    endpoint = _require_mode(request, "Key", "keys")
    name = endpoint_keys.NAMES[request.body["keyType"]]
    keys = request.context.store.get_secret(endpoint.id) or {}
    given = request.body.get("keyValue") or ""
    if given:
        require_usable_key(given, "keyValue")
    # azure-ai-ml sends the present key as keyValue, and means "another one".
    is_another = given and not hmac.compare_digest(given, keys[name])
    keys[name] = given if is_another else endpoint_keys.new_key()
    request.context.store.put_secret(endpoint.id, keys)
    request.context.router.refresh(endpoint.id)
    return Response(status_code=200)


@routes.route("POST", ENDPOINT + "/token")
async def get_token(request: ArmRequest) -> Response:
    """Return a token that opens this endpoint alone, when it expires and when to replace it, in seconds since 1970.

    Fields and their types: https://learn.microsoft.com/rest/api/azureml/online-endpoints/get-token
    """
    endpoint = _require_mode(request, "AMLToken", "tokens")
    audience = audiences.of_online_endpoint(endpoint.id, endpoint.created_at)
    now = int(time.time())
    token, expires = request.context.tokens.issue(request.principal, audience)
    return JSONResponse(
        {
            "accessToken": token,
            "tokenType": "Bearer",
            "expiryTimeUtc": expires,
            "refreshAfterTimeUtc": now + int((expires - now) * REFRESH_AFTER),
        }
    )


def _require_mode(request: ArmRequest, mode: str, lacking: str) -> Resource:
    """Return the endpoint in the path. Raises 400 where another mode is what opens it."""
    endpoint = require(request)
    actual = endpoint.properties["authMode"]
    if actual != mode:
        raise invalid_inference_request(
            f"Endpoint '{endpoint.name}' has authMode {actual}: it has no {lacking}. What opens it is "
            f"{WHAT_OPENS[actual]}."
        )
    return endpoint
