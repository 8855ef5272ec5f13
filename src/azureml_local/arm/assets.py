"""Assets with versions: models, environments, data, components.

They differ in data only (:data:`ASSET_TYPES`). A container holds the versions of one name; writing a first version
makes it. What a version is made of cannot be changed, its description, tags, properties and stage can.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, shapes
from azureml_local.arm.context import Context
from azureml_local.arm.names import require_asset_name
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.arm.store import Resource
from azureml_local.http.errors import AzureError, FrontendError

VERSION_DEFAULTS: Mapping[str, Any] = {
    "description": None,
    "tags": {},
    "properties": {},
    "isArchived": False,
    "isAnonymous": False,
}
CONTAINER_DEFAULTS: Mapping[str, Any] = {
    "description": None,
    "tags": {},
    "properties": {},
    "isArchived": False,
    "latestVersion": None,
    "nextVersion": "1",
}
LIST_VIEWS: Mapping[str, Callable[[Resource], bool]] = {
    "activeonly": lambda resource: not resource.properties.get("isArchived"),
    "archivedonly": lambda resource: bool(resource.properties.get("isArchived")),
    "all": lambda _: True,
}
NEWEST_FIRST = ("createdtime desc", "createdat desc")


@dataclass(frozen=True)
class AssetType:
    """What is particular to a kind of asset.

    Args:
        plural: its segment in ids and paths.
        singular: its name in sentences.
        immutable: the members of ``properties`` that a version is made of.
        required: the members that must be there.
        defaults: what Azure fills in.
        normalise: brings ``properties`` into the form that Azure returns.
        repeated_status: the status of a PUT of a version that exists.
        repeated_keeps_dates: a PUT that changes nothing leaves ``systemData`` as it was.
    """

    plural: str
    singular: str
    immutable: tuple[str, ...]
    required: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    normalise: Callable[[dict[str, Any]], dict[str, Any]] = lambda properties: properties
    repeated_status: int = 200
    repeated_keeps_dates: bool = False


def _normalise_environment(properties: dict[str, Any]) -> dict[str, Any]:
    """Return conda files as JSON, as Azure does; raise 400 where one is no YAML mapping."""
    text = properties.get("condaFile")
    if text is None:
        return properties
    try:
        conda = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise FrontendError(400, "UserError", f"properties.condaFile is no YAML: {error}") from error
    if not isinstance(conda, dict):
        raise FrontendError(400, "UserError", "properties.condaFile must be a mapping with 'dependencies'.")
    return {**properties, "condaFile": json.dumps(conda, indent=2, default=str)}


def _normalise_model(properties: dict[str, Any]) -> dict[str, Any]:
    uri = properties["modelUri"].replace("/resourcegroups/", "/resourceGroups/")
    return {**properties, "modelUri": uri}


def _as_text(value: Any) -> Any:
    """Return a component's scalars as text, lists and mappings in their shape."""
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return value if value is None else str(value)


def _normalise_component(properties: dict[str, Any]) -> dict[str, Any]:
    spec = {key: value for key, value in properties["componentSpec"].items() if key != "_source"}
    return {**properties, "componentSpec": _as_text(spec)}


ASSET_TYPES = (
    AssetType(
        "models",
        "model",
        immutable=("modelUri", "modelType"),
        required=("modelUri",),
        defaults={"flavors": {}, "modelType": "custom_model", "jobName": None, "stage": None},
        normalise=_normalise_model,
    ),
    AssetType(
        "environments",
        "environment",
        immutable=("image", "condaFile", "build", "osType", "inferenceConfig"),
        defaults={"environmentType": "UserCreated", "osType": "Linux"},
        normalise=_normalise_environment,
        repeated_status=201,
        repeated_keeps_dates=True,
    ),
    AssetType("data", "data", immutable=("dataUri", "dataType"), required=("dataUri", "dataType")),
    AssetType(
        "components",
        "component",
        immutable=("componentSpec",),
        required=("componentSpec",),
        normalise=_normalise_component,
    ),
)
BY_PLURAL = {kind.plural: kind for kind in ASSET_TYPES}


def resolve(context: Context, asset_id: str, plural: str) -> Resource:
    """Return the asset version that an id names, by version or by label ``latest``.

    Raises:
        AzureError: 400 where the id is none of this kind, 404 where nothing has it.
    """
    parts = ids.parse_asset(asset_id)
    kind = BY_PLURAL[plural]
    if parts is None or parts["kind"].lower() != plural:
        raise AzureError(400, "BadArgument", f"'{asset_id}' is no id of a {kind.singular}.", target=plural)
    container = f"{parts['workspace']}/{plural}/{parts['name']}"
    if parts["by"].lower() == "labels":
        versions = context.store.children(f"workspaces/{plural}/versions", container)
        if parts["version"].lower() != "latest" or not versions:
            raise _not_found(kind, parts["name"], parts["version"])
        return versions[-1]
    version = context.store.get(f"{container}/versions/{parts['version']}")
    if version is None:
        raise _not_found(kind, parts["name"], parts["version"])
    return version


def ensure_version(
    context: Context,
    workspace_id: str,
    plural: str,
    name: str,
    version: str,
    properties: Mapping[str, Any],
    principal: str,
) -> Resource:
    """Return a version that the service makes by itself; make it, and its container, where there is none yet."""
    container_id = f"{workspace_id}/{plural}/{name}"
    known = context.store.get(f"{container_id}/versions/{version}")
    if known:
        return known
    container = {**CONTAINER_DEFAULTS, "latestVersion": version}
    with context.store.transaction():
        context.store.put(container_id, f"workspaces/{plural}", workspace_id, {"properties": container}, principal)
        return context.store.put(
            f"{container_id}/versions/{version}",
            f"workspaces/{plural}/versions",
            container_id,
            {"properties": {**VERSION_DEFAULTS, **properties}},
            principal,
        )


def _declare(kind: AssetType, routes: ArmRoutes) -> None:
    """Declare the routes of a kind."""
    containers = ids.WORKSPACE + f"/{kind.plural}"
    container_path = containers + "/{name}"
    versions = container_path + "/versions"
    version_path = versions + "/{version}"
    container_type = f"workspaces/{kind.plural}"
    version_type = f"{container_type}/versions"

    @routes.route("GET", containers)
    async def list_containers(request: ArmRequest) -> Response:
        return request.page(_in_view(request, request.context.store.children(container_type, request.workspace_id)))

    @routes.route("GET", container_path)
    async def get_container(request: ArmRequest) -> Response:
        return JSONResponse(_container(request).to_json())

    @routes.route("PUT", container_path)
    async def put_container(request: ArmRequest) -> Response:
        request.require_shape(shapes.CONTAINER)
        require_asset_name(request.params["name"], kind.singular.capitalize())
        return JSONResponse(_merge_container(request, request.properties()).to_json())

    @routes.route("GET", versions)
    async def list_versions(request: ArmRequest) -> Response:
        container = _container(request)
        found = _in_view(request, request.context.store.children(version_type, container.id))
        if request.query.get("$orderby", "").lower() in NEWEST_FIRST:
            found.reverse()
        return request.page(found)

    @routes.route("GET", version_path)
    async def get_version(request: ArmRequest) -> Response:
        version = request.context.store.get(version_path.format(**request.params))
        if version is None:
            raise _not_found(kind, request.params["name"], request.params["version"])
        return JSONResponse(version.to_json())

    @routes.route("GET", container_path + "/labels/{label}")
    async def get_label(request: ArmRequest) -> Response:
        label = f"{container_path.format(**request.params)}/labels/{request.params['label']}"
        return JSONResponse(resolve(request.context, label, kind.plural).to_json())

    @routes.route("PUT", version_path)
    async def put_version(request: ArmRequest) -> Response:
        request.require_shape(shapes.VERSIONS[kind.plural])
        require_asset_name(request.params["name"], kind.singular.capitalize())
        require_asset_name(request.params["version"], "Version")
        properties = _version_properties(kind, request)
        version_id = version_path.format(**request.params)
        known = request.context.store.get(version_id)
        if known:
            _require_unchanged(kind, known, properties)
            if known.properties == properties and kind.repeated_keeps_dates:
                return JSONResponse(known.to_json(), kind.repeated_status)
        with request.context.store.transaction():
            container = _merge_container(request, {}, latest=None if known else request.params["version"])
            version = request.put(version_id, version_type, container.id, {"properties": properties})
        headers = None if known else {"Location": request.url({})}
        return JSONResponse(version.to_json(), kind.repeated_status if known else 201, headers=headers)

    @routes.route("DELETE", version_path)
    async def delete_version(request: ArmRequest) -> Response:
        answer = _delete(request, version_path)
        container = request.context.store.get(container_path.format(**request.params))
        if container:
            versions = request.context.store.children(version_type, container.id)
            request.context.store.save(container.with_properties(latestVersion=versions[-1].name if versions else None))
        return answer

    @routes.route("DELETE", container_path)
    async def delete_container(request: ArmRequest) -> Response:
        return _delete(request, container_path)

    def _container(request: ArmRequest) -> Resource:
        container = request.context.store.get(container_path.format(**request.params))
        if container is None:
            raise _not_found(kind, request.params["name"])
        return container

    def _merge_container(request: ArmRequest, sent: dict[str, Any], latest: str | None = None) -> Resource:
        """Write the container, keeping what the request does not name."""
        container_id = container_path.format(**request.params)
        known = request.context.store.get(container_id)
        if known and not sent and latest is None:
            return known
        properties = {
            **CONTAINER_DEFAULTS,
            **(known.properties if known else {}),
            **{key: value for key, value in sent.items() if key not in ("latestVersion", "nextVersion")},
        }
        if latest is not None:
            taken = [version.name for version in request.context.store.children(version_type, container_id)] + [latest]
            numbers = [int(name) for name in taken if name.isascii() and name.isdecimal()]
            properties |= {"latestVersion": latest, "nextVersion": str(max(numbers, default=0) + 1)}
        return request.put(container_id, container_type, request.workspace_id, {"properties": properties})


def _delete(request: ArmRequest, template: str) -> Response:
    """Delete what the path names, with all below it; 204 where there is nothing."""
    resource = request.context.store.get(template.format(**request.params))
    if resource is None:
        return Response(status_code=204)
    request.context.store.delete(resource.id)
    return Response(status_code=200)


def _version_properties(kind: AssetType, request: ArmRequest) -> dict[str, Any]:
    sent = request.properties()
    for name in kind.required:
        if not sent.get(name):
            raise AzureError(
                400, "BadArgument", f"properties.{name} is missing; a {kind.singular} needs it.", target=name
            )
    return kind.normalise({**VERSION_DEFAULTS, **kind.defaults, **{k: v for k, v in sent.items() if v is not None}})


def _require_unchanged(kind: AssetType, known: Resource, properties: Mapping[str, Any]) -> None:
    changed = [name for name in kind.immutable if known.properties.get(name) != properties.get(name)]
    if changed:
        name = known.id.split("/")[-3]
        raise FrontendError(
            400,
            "UserError",
            f"{kind.singular.capitalize()} {name} with version {known.name} is already registered and cannot be "
            f"changed ({', '.join(changed)}). Register a new version.",
        )


def _in_view(request: ArmRequest, resources: list[Resource]) -> list[Resource]:
    view = request.query.get("listviewtype", "ActiveOnly")
    if view.lower() not in LIST_VIEWS:
        raise AzureError(400, "BadArgument", f"listViewType is '{view}'; it must be ActiveOnly, ArchivedOnly or All.")
    return [resource for resource in resources if LIST_VIEWS[view.lower()](resource)]


def _not_found(kind: AssetType, name: str, version: str | None = None) -> FrontendError:
    what = kind.singular.capitalize()
    message = (
        f"{what} container with name: {name} not found."
        if version is None
        else f"{what} with name: {name} and version: {version} not found."
    )
    return FrontendError(404, "UserError", "The specified resource was not found.", detail=(f"{what}NotFound", message))


routes = ArmRoutes()
for _kind in ASSET_TYPES:
    _declare(_kind, routes)
