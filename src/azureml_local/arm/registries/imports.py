"""Shares assets of workspaces with a registry: their files are copied into its storage.

``MLClient.models.share`` asks for it at the registry's own address:
https://learn.microsoft.com/azure/machine-learning/how-to-share-models-pipelines-across-workspaces-with-registries
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from azureml_local.arm import ids, workspaces
from azureml_local.arm.assets import assets, uploads
from azureml_local.arm.names import require_asset_name
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.arm.storage.storage_locations import locate
from azureml_local.engines.staging import BlobPath
from azureml_local.http.errors import AzureError, FrontendError, authorization_failed
from azureml_local.store import Condition, Resource

SHARED = ("models", "environments", "data")
# What an asset has of its own where it lies, and does not take along.
OWN = ("isArchived", "jobName", "provisioningState")

routes = ArmRoutes(ids.ML_REGISTRY)


@routes.route("POST", "/import")
async def share(request: ArmRequest) -> Response:
    """Copy an asset of a workspace into the registry.

    Azure answers when it has begun; here it is done then. The answer is empty in either case.
    """
    kind, source, workspace = _source(request)
    properties = request.body["properties"]
    name = str(properties.get("destinationName") or source.id.split("/")[-3])
    version = str(properties.get("destinationVersion") or source.name)
    for text, what in ((name, kind.singular.capitalize()), (version, "Version")):
        require_asset_name(text, what)
    _require_new(request, kind, name, version)
    taken = {member: value for member, value in source.properties.items() if member not in OWN}
    copied = await _with_files(request, kind, taken, workspace)
    _require_new(request, kind, name, version)  # meanwhile it may have been made
    by = request.principal.object_id
    assets.ensure_version(request.context, request.root_id, kind.plural, name, version, copied, by)
    return Response(status_code=200)


def _require_new(request: ArmRequest, kind: assets.AssetType, name: str, version: str) -> None:
    if request.context.store.get(f"{request.root_id}/{kind.plural}/{name}/versions/{version}"):
        message = f"There is a {kind.singular} {name} with version {version} in the registry already."
        raise FrontendError(409, "UserError", message)


def _source(request: ArmRequest) -> tuple[assets.AssetType, Resource, Resource]:
    """Return an asset's kind, the asset that is to be shared, and its workspace.

    Raises:
        AzureError: 400 where the body names none, 403 where the caller may not read it, 404, 501.
    """
    properties = request.body.get("properties")
    asset_id = properties.get("sourceAssetId") if isinstance(properties, dict) else None
    parts = ids.parse_internal_asset(asset_id) if isinstance(asset_id, str) else None
    if parts is None:
        message = f"properties.sourceAssetId is {asset_id!r}; it must look like "
        message += "azureml://locations/<region>/workspaces/<workspace id>/models/<name>/versions/<version>."
        raise FrontendError(400, "UserError", message, target="properties.sourceAssetId")
    plural = parts["kind"].lower()
    if plural not in SHARED:
        message = f"azureml-local shares {', '.join(SHARED)} with registries, not {parts['kind']}."
        raise AzureError(501, "NotImplemented", message, target="properties.sourceAssetId")
    has_guid = Condition("json_extract(body, '$.properties.workspaceId') = ?", (parts["guid"].lower(),))
    workspace = next(iter(request.context.store.select(workspaces.TYPE, conditions=[has_guid])), None)
    if workspace is None:
        raise FrontendError(404, "UserError", f"There is no asset {asset_id}.", inner=("NotFoundError",))
    action = f"{ids.PROVIDER}/workspaces/{plural}/versions/read"
    if not request.permits(action, workspace.id):
        raise authorization_failed(request.principal.object_id, action, workspace.id)
    found = f"{workspace.id}/{plural}/{parts['name']}/versions/{parts['version']}"
    return assets.BY_PLURAL[plural], assets.resolve(request.context, found, plural), workspace


async def _with_files(
    request: ArmRequest, kind: assets.AssetType, properties: dict[str, Any], workspace: Resource
) -> dict[str, Any]:
    """Return an asset's ``properties`` after its files were copied into the registry's storage."""
    if kind.uri:
        return {**properties, kind.uri: await _copied(request, properties[kind.uri], workspace)}
    build: Mapping[str, Any] = properties.get("build") or {}
    if build.get("contextUri"):
        return {**properties, "build": {**build, "contextUri": await _copied(request, build["contextUri"], workspace)}}
    return properties


async def _copied(request: ArmRequest, uri: str, workspace: Resource) -> str:
    """Copy a blob, or all blobs of a folder, into a container of the registry's; return the copy's URI."""
    context = request.context
    source = locate(context, workspace.id, uri)
    registry = context.store.get(request.root_id)
    assert registry is not None  # noqa: S101 - the control plane has looked for it
    target: str = (await uploads.begin(context, registry))["blobUri"]
    container = target.rpartition("/")[2]
    within = source.path.rpartition("/")[0]
    for name in await _names(request, source):
        copy = name.removeprefix(within).lstrip("/")
        await context.blobs.write_blob(container, copy, context.blobs.read_blob(source.container, name))
    return f"{target}/{source.path.rpartition('/')[2]}"


async def _names(request: ArmRequest, source: BlobPath) -> list[str]:
    """Return the names of the blobs at a place; raise 400 where there are none."""
    names = await request.context.blobs.list_blobs(source.container, source.path)
    found = [name for name in names if name == source.path or name.startswith(f"{source.path}/".lstrip("/"))]
    if not found:
        raise FrontendError(400, "UserError", f"There are no files at {source.container}/{source.path} to share.")
    return found
