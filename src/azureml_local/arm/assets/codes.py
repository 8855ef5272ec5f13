"""Code assets: folders of source files, uploaded once and found again by their hash, in a workspace or a registry.

The SDK names each upload by a new guid and asks for the hash first, so hashes are looked up across all names.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, listing
from azureml_local.arm.assets import assets, uploads
from azureml_local.arm.assets.assets import ROOTS, VERSION_DEFAULTS, seen
from azureml_local.arm.context import Context
from azureml_local.arm.names import require_asset_name
from azureml_local.arm.request import ArmRequest, ArmRoutes, Handler
from azureml_local.http.errors import AzureError, FrontendError
from azureml_local.store import Condition, Resource

PLURAL = "codes"
CODE = f"/{PLURAL}/{{name}}"
VERSION = CODE + "/versions/{version}"

routes = ArmRoutes()


def _route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Return a decorator that declares a handler for a path below workspaces and registries."""

    def declare(handler: Handler) -> Handler:
        for root in ROOTS:
            routes.add(method, root + path, handler)
        return handler

    return declare


@_route("GET", CODE + "/versions")
async def list_versions(request: ArmRequest) -> Response:
    """List a code's versions; with ``hash``, those of any name whose files have that hash."""
    if "hash" not in request.query:
        return listing.ordered_page(request, _type(request), _id(request, CODE), shown=seen)
    prefix = request.root_id.lower() + "/"
    conditions = [
        Condition("substr(key, 1, ?) = ?", (len(prefix), prefix)),
        *listing.with_value(request, "hash", "$.properties.properties.hash_sha256"),
        *listing.with_value(request, "hashVersion", "$.properties.properties.hash_version"),
    ]
    return listing.ordered_page(request, _type(request), None, conditions, shown=seen)


@_route("GET", VERSION)
async def get(request: ArmRequest) -> Response:
    """Return a code version."""
    return JSONResponse(seen(resolve(request.context, _id(request, VERSION))).to_json())


def resolve(context: Context, code_id: str) -> Resource:
    """Return the code version that an id names, or raise Azure's 404."""
    parts = ids.parse_asset(code_id)
    version = None
    if parts and parts["kind"].lower() == PLURAL:
        container = f"{assets.root_of(context, parts)}/{PLURAL}/{parts['name']}"
        version = context.store.get(f"{container}/versions/{parts['version']}")
    if version is None:
        message = f"Code with id: {code_id} not found."
        raise FrontendError(404, "UserError", "The specified resource was not found.", detail=("CodeNotFound", message))
    return version


@_route("POST", VERSION + "/startPendingUpload")
async def start_pending_upload(request: ArmRequest) -> Response:
    """Return a container of its own for an upload, and a signature that lets the caller write to it."""
    request.read("PendingUploadRequestDto")
    owner = request.context.store.get(request.root_id)
    assert owner is not None  # noqa: S101 - the control plane has looked for it
    return JSONResponse(
        {
            "pendingUploadId": request.body.get("pendingUploadId") or str(uuid.uuid4()),
            "pendingUploadType": "TemporaryBlobReference",
            "blobReferenceForConsumption": await uploads.begin(request.context, owner),
        }
    )


@_route("PUT", VERSION)
async def create_or_update(request: ArmRequest) -> Response:
    """Register uploaded code; 201 where the version is new, 200 where it existed."""
    request.read("CodeVersion")
    require_asset_name(request.params["name"], "Code")
    require_asset_name(request.params["version"], "Version")
    properties = {**VERSION_DEFAULTS, **request.properties}
    if not properties.get("codeUri"):
        raise AzureError(400, "BadArgument", "properties.codeUri is missing; a code needs it.", target="codeUri")
    if assets.is_registry(request.root_id):
        registry = request.context.store.get(request.root_id)
        uploads.require_within(request.context, registry, "codeUri", properties["codeUri"])
    version_id, code_id = _id(request, VERSION), _id(request, CODE)
    is_new = request.context.store.get(version_id) is None
    with request.context.store.transaction():
        container = {"latestVersion": request.params["version"], "isArchived": False}
        request.put(code_id, assets.type_of(request.root_id, PLURAL), request.root_id, {"properties": container})
        version = request.put(version_id, _type(request), code_id, {"properties": properties})
    return JSONResponse(seen(version).to_json(), 201 if is_new else 200)


@_route("DELETE", VERSION)
async def delete(request: ArmRequest) -> Response:
    """Delete a code version, not its files; 204 where there is none."""
    version = request.context.store.get(_id(request, VERSION))
    if version is None:
        return Response(status_code=204)
    request.context.store.delete(version.id)
    return Response(status_code=200)


def _id(request: ArmRequest, path: str) -> str:
    """Return the id of what a path below the request's workspace or registry leads to."""
    return request.root_id + path.format(**request.params)


def _type(request: ArmRequest) -> str:
    return f"{assets.type_of(request.root_id, PLURAL)}/versions"
