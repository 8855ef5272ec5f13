"""Code assets: folders of source files, uploaded once and found again by their hash.

The SDK names each upload by a new guid and asks for the hash first, so hashes are looked up across all names.
"""

from __future__ import annotations

import uuid

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, listing
from azureml_local.arm.assets.assets import VERSION_DEFAULTS
from azureml_local.arm.context import Context
from azureml_local.arm.names import require_asset_name
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.http.errors import AzureError, FrontendError
from azureml_local.store import Condition, Resource

CODE = ids.WORKSPACE + "/codes/{name}"
VERSION = CODE + "/versions/{version}"
CONTAINER_TYPE = "workspaces/codes"
TYPE = "workspaces/codes/versions"
UPLOAD_HOURS = 8

routes = ArmRoutes()


@routes.route("GET", CODE + "/versions")
async def list_versions(request: ArmRequest) -> Response:
    """List a code's versions; with ``hash``, those of any name whose files have that hash."""
    if "hash" not in request.query:
        return listing.ordered_page(request, TYPE, CODE.format(**request.params))
    prefix = request.workspace_id.lower() + "/"
    conditions = [
        Condition("substr(key, 1, ?) = ?", (len(prefix), prefix)),
        *listing.with_value(request, "hash", "$.properties.properties.hash_sha256"),
        *listing.with_value(request, "hashVersion", "$.properties.properties.hash_version"),
    ]
    return listing.ordered_page(request, TYPE, None, conditions)


@routes.route("GET", VERSION)
async def get(request: ArmRequest) -> Response:
    """Return a code version."""
    return JSONResponse(resolve(request.context, VERSION.format(**request.params)).to_json())


def resolve(context: Context, code_id: str) -> Resource:
    """Return the code version that an id names, or raise Azure's 404."""
    version = context.store.get(code_id.removeprefix("azureml:"))
    if version is None or version.type != TYPE:
        message = f"Code with id: {code_id} not found."
        raise FrontendError(404, "UserError", "The specified resource was not found.", detail=("CodeNotFound", message))
    return version


@routes.route("POST", VERSION + "/startPendingUpload")
async def start_pending_upload(request: ArmRequest) -> Response:
    """Return a container of its own for an upload, and a signature that lets the caller write to it."""
    request.read("PendingUploadRequestDto")
    context = request.context
    workspace = request.workspace()
    container = f"{workspace.properties['workspaceId'][:8]}-{uuid.uuid4()}"
    await context.blobs.create_container(container)
    uri = f"https://{context.settings.storage_account}.blob.core.windows.net/{container}"
    return JSONResponse(
        {
            "pendingUploadId": request.body.get("pendingUploadId") or str(uuid.uuid4()),
            "pendingUploadType": "TemporaryBlobReference",
            "blobReferenceForConsumption": {
                "blobUri": uri,
                "storageAccountArmId": workspace.properties["storageAccount"],
                "credential": {
                    "credentialType": "SAS",
                    "sasUri": f"{uri}?{context.blobs.container_sas(container, UPLOAD_HOURS)}",
                },
            },
        }
    )


@routes.route("PUT", VERSION)
async def create_or_update(request: ArmRequest) -> Response:
    """Register uploaded code; 201 where the version is new, 200 where it existed."""
    request.read("CodeVersion")
    require_asset_name(request.params["name"], "Code")
    require_asset_name(request.params["version"], "Version")
    properties = {**VERSION_DEFAULTS, **request.properties}
    if not properties.get("codeUri"):
        raise AzureError(400, "BadArgument", "properties.codeUri is missing; a code needs it.", target="codeUri")
    version_id = VERSION.format(**request.params)
    code_id = CODE.format(**request.params)
    is_new = request.context.store.get(version_id) is None
    with request.context.store.transaction():
        container = {"latestVersion": request.params["version"], "isArchived": False}
        request.put(code_id, CONTAINER_TYPE, request.workspace_id, {"properties": container})
        version = request.put(version_id, TYPE, code_id, {"properties": properties})
    return JSONResponse(version.to_json(), 201 if is_new else 200)


@routes.route("DELETE", VERSION)
async def delete(request: ArmRequest) -> Response:
    """Delete a code version, not its files; 204 where there is none."""
    version = request.context.store.get(VERSION.format(**request.params))
    if version is None:
        return Response(status_code=204)
    request.context.store.delete(version.id)
    return Response(status_code=200)
