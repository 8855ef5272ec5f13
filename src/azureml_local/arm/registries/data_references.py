"""Where the files of a registry's assets are uploaded to and read from, as azure-ai-ml asks for it.

It does so at the registry's own address, in API version 2021-10-01-dataplanepreview, which no OpenAPI describes: what
it sends and needs back is in its ``_utils/_registry_utils.py``.
"""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.assets import assets, codes, uploads
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.http.errors import AzureError, FrontendError
from azureml_local.store import Resource

TEMPORARY = "TemporaryBlobReference"

routes = ArmRoutes(ids.ML_REGISTRY)


@routes.route("PUT", "/tempdatarefs/{name}/versions/{version}")
async def begin_upload(request: ArmRequest) -> Response:
    """Return a container of its own for the files of a new asset; 409 where there is that asset."""
    asset_id = _text(request, "assetId")
    if _find(request, asset_id):
        raise FrontendError(409, "UserError", f"There is an asset {asset_id} already.", target="assetId")
    return JSONResponse(
        {
            "blobReferenceForConsumption": await uploads.begin(request.context, _registry(request)),
            "temporaryDataReferenceId": str(uuid.uuid4()),
            "temporaryDataReferenceType": TEMPORARY,
        }
    )


@routes.route("POST", "/datarefs/{name}/versions/{version}")
async def read_files(request: ArmRequest) -> Response:
    """Return a signature with which the files of an asset can be read."""
    asset_id, uri = _text(request, "assetId"), _text(request, "blobUri")
    if _find(request, asset_id) is None:
        raise FrontendError(404, "UserError", f"There is no asset {asset_id}.", inner=("NotFoundError",))
    container = uploads.container_of(request.context, uri)
    if container is None or not uploads.is_within(request.context, _registry(request), uri):
        raise FrontendError(400, "UserError", f"blobUri is '{uri}'; it must be of an asset of this registry.")
    return JSONResponse({"blobReferenceForConsumption": uploads.reference(request.context, uri, container, "rl")})


def _registry(request: ArmRequest) -> Resource:
    registry = request.context.store.get(request.root_id)
    assert registry is not None  # noqa: S101 - the control plane has looked for it
    return registry


def _find(request: ArmRequest, asset_id: str) -> Resource | None:
    """Return an asset of the request's registry by its id; raise 400 where it is none of such an asset."""
    parts = ids.parse_asset(asset_id)
    kinds = (*assets.BY_PLURAL, codes.PLURAL)
    if parts is None or assets.root_of(request.context, parts).lower() != request.root_id.lower():
        raise _bad_id(asset_id)
    if parts["kind"].lower() not in kinds or parts["by"].lower() != "versions":
        raise _bad_id(asset_id)
    path = f"{parts['kind']}/{parts['name']}/versions/{parts['version']}"
    return request.context.store.get(f"{request.root_id}/{path}")


def _bad_id(asset_id: str) -> AzureError:
    message = (
        f"assetId is '{asset_id}'; it must look like azureml://registries/<registry>/models/<name>/versions/<version>."
    )
    return FrontendError(400, "UserError", message, target="assetId")


def _text(request: ArmRequest, member: str) -> str:
    value: Any = request.body.get(member)
    if not isinstance(value, str) or not value:
        raise FrontendError(400, "UserError", f"{member} is missing; it must be text.", target=member)
    return value
