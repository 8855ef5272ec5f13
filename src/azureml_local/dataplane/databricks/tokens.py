"""The Token API: personal access tokens. A token is shown once; what is kept of it is a hash.

https://docs.databricks.com/api/azure/workspace/tokens
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import Any

from starlette.responses import Response

from azureml_local import clock
from azureml_local.arm import databricks
from azureml_local.dataplane.databricks.call import ApiRoutes, Call, done
from azureml_local.dataplane.databricks.errors import DatabricksError, invalid, missing
from azureml_local.identity.tokens import Principal
from azureml_local.store import Resource, Store

TYPE = f"{databricks.TYPE}/tokens"
PREFIX = "dapi"
# https://learn.microsoft.com/azure/databricks/admin/access-control/tokens
LONGEST_LIFE = 730 * 24 * 3600  # seconds
MOST = 600  # of one user

routes = ApiRoutes("/api/2.0/token")


def owner_of(store: Store, workspace: Resource, token: str) -> Principal | None:
    """Return whose personal access token this is; None where it is nobody's, or has expired."""
    digest = _digest(token)
    for known in store.children(TYPE, workspace.id):
        secret = (store.get_secret(known.id) or {})["sha256"]
        if hmac.compare_digest(secret, digest) and not _is_over(known):
            return Principal(known.body["client_id"], known.body["object_id"])
    return None


@routes.route("POST", "/create")
async def create(call: Call) -> Response:
    """Make a token; only this answer has it."""
    lifetime = call.sent.integer("lifetime_seconds", None)
    if lifetime is not None and not 0 < lifetime <= LONGEST_LIFE:
        raise invalid(f"lifetime_seconds is {lifetime}; it must be 1 to {LONGEST_LIFE}.")
    store = call.workspaces.store
    if len(_of_caller(call)) >= MOST:
        raise DatabricksError(400, "QUOTA_EXCEEDED", f"The quota for the number of tokens has been reached: {MOST}.")
    now = time.time()
    token, token_id = PREFIX + secrets.token_hex(16) + "-2", secrets.token_hex(32)
    body = {
        "comment": call.sent.text("comment", ""),
        "creation_time": int(now * 1000),
        "expiry_time": -1 if lifetime is None else int((now + clock.real_seconds(lifetime)) * 1000),
        "client_id": call.principal.client_id,
        "object_id": call.principal.object_id,
    }
    token_resource_id = f"{call.workspace.id}/tokens/{token_id}"
    with store.transaction():
        known = store.put(token_resource_id, TYPE, call.workspace.id, body, call.principal.object_id)
        store.put_secret(known.id, {"sha256": _digest(token)})
    return done({"token_value": token, "token_info": _info(known)})


@routes.route("GET", "/list")
async def list_tokens(call: Call) -> Response:
    """List the caller's tokens, without what is secret of them."""
    return done({"token_infos": [_info(token) for token in _of_caller(call)]})


@routes.route("POST", "/delete")
async def delete(call: Call) -> Response:
    """Revoke a token."""
    token_id = call.sent.text("token_id")
    found = next((token for token in _of_caller(call) if token.name == token_id), None)
    if found is None:
        raise missing(f"Token with ID {token_id} does not exist!")
    call.workspaces.store.delete(found.id)
    return done()


def _of_caller(call: Call) -> list[Resource]:
    tokens = call.workspaces.store.children(TYPE, call.workspace.id)
    return [token for token in tokens if token.body["object_id"] == call.principal.object_id and not _is_over(token)]


def _is_over(token: Resource) -> bool:
    expiry: int = token.body["expiry_time"]
    return expiry != -1 and expiry <= time.time() * 1000


def _info(token: Resource) -> dict[str, Any]:
    return {"token_id": token.name, **{name: token.body[name] for name in ("comment", "creation_time", "expiry_time")}}


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
