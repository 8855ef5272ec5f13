"""Assets with versions: models, environments, data, components. They lie in a workspace or in a registry.

They differ in data only (:data:`ASSET_TYPES`). A container holds the versions of one name; writing a first version
makes it. What a version is made of cannot be changed, its description, tags, properties and stage can.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml
from starlette.responses import JSONResponse, Response

from azureml_local import safe_yaml
from azureml_local.arm import ids, listing
from azureml_local.arm.assets import curated_environments, job_components, uploads
from azureml_local.arm.context import Context
from azureml_local.arm.names import require_asset_name
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.arm.storage import storage_locations
from azureml_local.http.errors import AzureError, FrontendError, authorization_failed
from azureml_local.store import Condition, Resource

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
PATHS_ARE_FIXED = "Asset paths cannot be updated."  # azure-ai-ml compares this text (_artifacts/_constants.py)
LABELS = ("latest", "default")
DEFAULT_VERSION = "azureml_default"  # what azure-ai-ml asks for where a component's version is not named
ROOTS = (ids.WORKSPACE, ids.ML_REGISTRY)  # what assets lie in
READ_IN_REGISTRY = f"{ids.PROVIDER}/registries/assets/read"


Filter = Callable[[ArmRequest], list[Condition]]


@dataclass(frozen=True)
class AssetType:
    """What is particular to a kind of asset.

    Args:
        plural: its segment in ids and paths.
        singular: its name in sentences.
        models: the container's and the version's in :mod:`azureml_local.arm.request_models`.
        immutable: the members of ``properties`` that a version is made of.
        uri: the one of them that says where its files are.
        required: the members that must be there, though Azure's models do not say so.
        defaults: what Azure fills in.
        identified: names a version otherwise than the request does, where Azure does so.
        completed: adds what a version has from elsewhere; is given the request, too.
        normalise: brings ``properties`` into the form that Azure returns; is given the path's parameters, too.
        repeated_status: the status of a PUT of a version that exists.
        repeated_keeps_dates: a PUT that changes nothing leaves ``systemData`` as it was.
        of_container: the members of a first version that its container takes over.
        filters: what a list of versions can be asked, beside its view and order.
    """

    plural: str
    singular: str
    models: tuple[str, str]
    immutable: tuple[str, ...]
    uri: str | None = None
    required: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    identified: Callable[[ArmRequest], ArmRequest] = lambda request: request
    completed: Callable[[ArmRequest, dict[str, Any]], dict[str, Any]] = lambda _, properties: properties
    normalise: Callable[[dict[str, Any], Mapping[str, str]], dict[str, Any]] = lambda properties, _: properties
    repeated_status: int = 200
    repeated_keeps_dates: bool = False
    of_container: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()


def _normalise_environment(properties: dict[str, Any], _: Mapping[str, str]) -> dict[str, Any]:
    """Return conda files as JSON, as Azure does; raise 400 where one is no YAML mapping."""
    text = properties.get("condaFile")
    if text is None:
        return properties
    try:
        conda = safe_yaml.load(text)
    except yaml.YAMLError as error:
        raise FrontendError(400, "UserError", f"properties.condaFile is no YAML: {error}") from error
    if not isinstance(conda, dict):
        raise FrontendError(400, "UserError", "properties.condaFile must be a mapping with 'dependencies'.")
    return {**properties, "condaFile": json.dumps(conda, indent=2, default=str)}


def _normalise_model(properties: dict[str, Any], _: Mapping[str, str]) -> dict[str, Any]:
    uri = properties["modelUri"].replace("/resourcegroups/", "/resourceGroups/")
    return {**properties, "modelUri": uri}


def _as_text(value: Any) -> Any:
    """Return a component's scalars as text, lists and mappings in their shape."""
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return value if value is None else str(value)


def _normalise_component(properties: dict[str, Any], params: Mapping[str, str]) -> dict[str, Any]:
    """Return the specification as text, with its name and version: azure-ai-ml reads a component's version there.

    One that is not registered keeps the name that it says: the runs of steps have it (``azureml.moduleName``).
    """
    spec = {key: value for key, value in properties["componentSpec"].items() if key != "_source"}
    own_name = spec.get("name") if properties["isAnonymous"] else None
    named = {"name": own_name or params["name"], "version": params["version"]}
    return {**properties, "componentSpec": {**_as_text(spec), **named}}


def _pairs(member: str, parameter: str | None = None) -> Filter:
    """Return a filter by ``tags`` or ``properties``."""
    return lambda request: listing.with_pairs(request, parameter or member, f"$.properties.{member}")


def _equal(member: str) -> Filter:
    """Return a filter by the value of a member of ``properties``."""
    return lambda request: listing.with_value(request, member, f"$.properties.{member}")


def _version(request: ArmRequest) -> list[Condition]:
    """Filter by the version itself."""
    asked = request.query.get("version")
    return [] if asked is None else [Condition("substr(key, ?) = ?", (-len(asked) - 1, f"/{asked.lower()}"))]


# Of the preview API versions, e.g. 2023-08-01-preview, which azure-ai-ml uses for models.
STAGE = _equal("stage")

ASSET_TYPES = (
    AssetType(
        "models",
        "model",
        ("ModelContainer", "ModelVersion"),
        immutable=("modelUri", "modelType"),
        uri="modelUri",
        required=("modelUri",),
        defaults={"flavors": {}, "modelType": "custom_model", "jobName": None, "stage": None},
        normalise=_normalise_model,
        filters=(
            STAGE,
            _version,
            _equal("description"),
            _pairs("tags"),
            _pairs("properties"),
        ),
    ),
    AssetType(
        "environments",
        "environment",
        ("EnvironmentContainer", "EnvironmentVersion"),
        immutable=("image", "condaFile", "build", "osType", "inferenceConfig"),
        defaults={"environmentType": "UserCreated", "osType": "Linux"},
        normalise=_normalise_environment,
        filters=(STAGE,),
        repeated_status=201,
        repeated_keeps_dates=True,
    ),
    AssetType(
        "data",
        "data",
        ("DataContainer", "DataVersionBase"),
        immutable=("dataUri", "dataType"),
        uri="dataUri",
        of_container=("dataType",),
        filters=(STAGE, _pairs("tags", "$tags")),
    ),
    AssetType(
        "components",
        "component",
        ("ComponentContainer", "ComponentVersion"),
        immutable=("componentSpec",),
        required=("componentSpec",),
        identified=job_components.identified,
        completed=job_components.completed,
        normalise=_normalise_component,
        filters=(STAGE,),
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
        message = f"'{asset_id}' is no id in {plural} of a workspace or a registry."
        raise AzureError(400, "BadArgument", message, target=plural)
    container = f"{root_of(context, parts)}/{plural}/{parts['name']}"
    if parts["by"].lower() == "labels":
        latest = _latest(context, kind, container) if parts["version"].lower() in LABELS else None
        if latest is None:
            raise _not_found(kind, parts["name"], parts["version"])
        return latest
    version = context.store.get(f"{container}/versions/{parts['version']}")
    if version is None:
        raise _not_found(kind, parts["name"], parts["version"])
    return version


def root_of(context: Context, parts: re.Match[str]) -> str:
    """Return the id of the workspace or registry that an asset lies in, by what :func:`ids.parse_asset` found."""
    return parts["root"] or registry_id(context, parts["registry"])


def registry_id(context: Context, name: str) -> str:
    """Return the id of a registry by its name, which none but this one has anywhere on Azure."""
    settings = context.settings
    return ids.ML_REGISTRY.format(
        subscription=settings.subscription_id, resource_group=settings.resource_group, asset_registry=name
    )


def require_readable(request: ArmRequest, asset_id: str | None) -> None:
    """Raise 403 where a caller names an asset of a registry, or of another workspace, that the caller may not read.

    An asset that Azure publishes in the registry ``azureml`` is everybody's.
    https://learn.microsoft.com/azure/machine-learning/how-to-manage-registries#add-users-to-the-registry
    """
    parts = ids.parse_asset(asset_id or "")
    if parts is None or curated_environments.is_curated(parts["registry"]):
        return
    root = root_of(request.context, parts)
    action = READ_IN_REGISTRY if is_registry(root) else f"{ids.PROVIDER}/workspaces/{parts['kind']}/versions/read"
    if root.lower() != request.root_id.lower() and not request.permits(action, root):
        raise authorization_failed(request.principal.object_id, action, root)


def is_registry(root_id: str) -> bool:
    """Say whether the id of what assets lie in is a registry's."""
    return root_id.split("/")[7].lower() == "registries"


def type_of(root_id: str, plural: str) -> str:
    """Return the type of the containers of a kind in a workspace or a registry."""
    return f"{'registries' if is_registry(root_id) else 'workspaces'}/{plural}"


def seen(resource: Resource) -> Resource:
    """Return an asset, or a container of one, as it is seen: in a registry it has an id without a subscription."""
    if not is_registry(resource.id):
        return resource
    *_, registry, path = resource.id.split("/", 9)
    state = {} if path.startswith("data/") else {"provisioningState": "Succeeded"}  # Azure's models of data have none
    return replace(resource.with_properties(**state), id=f"azureml://registries/{registry}/{path}")


def environment(context: Context, environment_id: str) -> Mapping[str, Any]:
    """Return an environment version's ``properties``, which may be a curated one. Raises AzureError."""
    curated = curated_environments.properties_of(environment_id)
    return curated or resolve(context, environment_id, "environments").properties


def following(context: Context, root_id: str, plural: str, name: str) -> str:
    """Return the version that is next for a name."""
    container = context.store.get(f"{root_id}/{plural}/{name}")
    return str(container.properties["nextVersion"]) if container else CONTAINER_DEFAULTS["nextVersion"]


def ensure_version(
    context: Context,
    root_id: str,
    plural: str,
    name: str,
    version: str,
    properties: Mapping[str, Any],
    principal: str,
) -> Resource:
    """Return a version that the service makes by itself; make it, and its container, where there is none yet."""
    container_id, container_type = f"{root_id}/{plural}/{name}", type_of(root_id, plural)
    known = context.store.get(f"{container_id}/versions/{version}")
    if known:
        return known
    kind = BY_PLURAL[plural]
    container = context.store.get(container_id)
    taken_over = {} if container else {member: properties[member] for member in kind.of_container}
    of_container = _container_properties(container, taken_over, version)
    with context.store.transaction():
        context.store.put(container_id, container_type, root_id, {"properties": of_container}, principal)
        return context.store.put(
            f"{container_id}/versions/{version}",
            f"{container_type}/versions",
            container_id,
            {"properties": {**VERSION_DEFAULTS, **kind.defaults, **properties}},
            principal,
        )


def add_version(
    context: Context, workspace_id: str, plural: str, name: str, properties: Mapping[str, Any], principal: str
) -> Resource:
    """Make the next version of an asset, and its container where there is none yet.

    Raises:
        AzureError: 400 where the name is none of an asset.
    """
    require_asset_name(name, BY_PLURAL[plural].singular.capitalize())
    version = following(context, workspace_id, plural, name)
    return ensure_version(context, workspace_id, plural, name, version, properties, principal)


def delete_version(context: Context, version: Resource) -> None:
    """Delete a version; its container then has another latest one, or none."""
    store = context.store
    with store.transaction():
        store.delete(version.id)
        container = store.get(version.id.rpartition("/versions/")[0])
        if container:
            versions = store.children(version.type, container.id)
            store.save(container.with_properties(latestVersion=versions[-1].name if versions else None))


def _container_properties(known: Resource | None, sent: Mapping[str, Any], latest: str | None) -> dict[str, Any]:
    """Return a container's properties after a change, by which it has a new version ``latest`` or (None) has not."""
    properties = {**CONTAINER_DEFAULTS, **(known.properties if known else {}), **sent}
    if latest is None:
        return properties
    # Never a number that was given before, also where that version has been deleted.
    following = int(latest) + 1 if latest.isascii() and latest.isdecimal() else 1
    next_version = max(following, int(properties["nextVersion"]))
    return {**properties, "latestVersion": latest, "nextVersion": str(next_version)}


def _latest(context: Context, kind: AssetType, container_id: str) -> Resource | None:
    """Return the version that was created last among those that are not archived."""
    versions = context.store.children(f"{type_of(container_id, kind.plural)}/versions", container_id)
    return next((one for one in reversed(versions) if not one.properties.get("isArchived")), None)


def _declare(kind: AssetType, root: str, routes: ArmRoutes) -> None:
    """Declare the routes of a kind in workspaces or in registries."""
    containers = f"{root}/{kind.plural}"
    container_path = containers + "/{name}"
    versions = container_path + "/versions"
    version_path = versions + "/{version}"
    container_type = type_of(root, kind.plural)
    version_type = f"{container_type}/versions"

    container_model, version_model = kind.models

    @routes.route("GET", containers)
    async def list_containers(request: ArmRequest) -> Response:
        """List the containers, which hold the versions of a name each."""
        conditions = listing.in_view(request)
        return listing.page(
            request, container_type, request.root_id, conditions, size=listing.count(request), shown=seen
        )

    @routes.route("GET", container_path)
    async def get_container(request: ArmRequest) -> Response:
        """Return a container, with its latest version and the next."""
        return JSONResponse(seen(_container(request)).to_json())

    @routes.route("PUT", container_path)
    async def put_container(request: ArmRequest) -> Response:
        """Create a container, 201, or change its description and tags, 200."""
        request.read(container_model)
        require_asset_name(request.params["name"], kind.singular.capitalize())
        is_new = request.context.store.get(container_path.format(**request.params)) is None
        container = _merge_container(request, request.properties)
        headers = _of_new(request) if is_new else None
        return JSONResponse(seen(container).to_json(), 201 if is_new else 200, headers=headers)

    @routes.route("GET", versions)
    async def list_versions(request: ArmRequest) -> Response:
        """List a name's versions."""
        if is_registry(request.root_id) and request.context.store.get(container_path.format(**request.params)) is None:
            return JSONResponse(
                {"value": []}
            )  # azure-ai-ml looks there for the latest version before it makes the first
        container = _container(request)
        conditions = listing.in_view(request, archived=bool(container.properties.get("isArchived")))
        for asked in kind.filters:
            conditions += asked(request)
        return listing.ordered_page(
            request, version_type, container.id, conditions, shown=lambda version: _in(container, version)
        )

    @routes.route("GET", version_path)
    async def get_version(request: ArmRequest) -> Response:
        """Return a version."""
        container = request.context.store.get(container_path.format(**request.params))
        version = request.context.store.get(version_path.format(**request.params))
        if container and request.params["version"] == DEFAULT_VERSION:
            version = version or _latest(request.context, kind, container.id)
        if container is None or version is None:
            raise _not_found(kind, request.params["name"], request.params["version"])
        return JSONResponse(_in(container, version).to_json())

    @routes.route("PUT", version_path)
    async def put_version(request: ArmRequest) -> Response:
        """Register a version, 201, or change its description and tags, 200. 409 where it would become another."""
        request.read(version_model)
        request = kind.identified(request)
        require_asset_name(request.params["name"], kind.singular.capitalize())
        require_asset_name(request.params["version"], "Version")
        properties = _version_properties(kind, request)
        version_id = version_path.format(**request.params)
        known = request.context.store.get(version_id)
        if known:
            _require_unchanged(kind, known, properties)
        with request.context.store.transaction():
            taken_over = {name: properties[name] for name in kind.of_container}
            container = _merge_container(request, taken_over, latest=None if known else request.params["version"])
            if known and known.properties == properties and kind.repeated_keeps_dates:
                version = known
            else:
                version = request.put(version_id, version_type, container.id, {"properties": properties})
        headers = None if known else _of_new(request)
        status = kind.repeated_status if known else 201
        return JSONResponse(_in(container, version).to_json(), status, headers=headers)

    @routes.route("DELETE", version_path)
    async def remove_version(request: ArmRequest) -> Response:
        """Delete a version, not its files; 204 where there is none."""
        version = request.context.store.get(version_path.format(**request.params))
        if version is None:
            return Response(status_code=204)
        delete_version(request.context, version)
        return Response(status_code=200)

    @routes.route("DELETE", container_path)
    async def remove_container(request: ArmRequest) -> Response:
        """Delete a container with its versions, not their files; 204 where there is none."""
        container = request.context.store.get(container_path.format(**request.params))
        if container is None:
            return Response(status_code=204)
        request.context.store.delete(container.id)
        return Response(status_code=200)

    def _container(request: ArmRequest) -> Resource:
        container = request.context.store.get(container_path.format(**request.params))
        if container is None:
            raise _not_found(kind, request.params["name"])
        return container

    def _merge_container(request: ArmRequest, sent: dict[str, Any], latest: str | None = None) -> Resource:
        """Write the container, keeping what the request does not name."""
        container_id = container_path.format(**request.params)
        known = request.context.store.get(container_id)
        if known and latest is None and sent.items() <= known.properties.items():
            return known
        properties = _container_properties(known, sent, latest)
        return request.put(container_id, container_type, request.root_id, {"properties": properties})


def _of_new(request: ArmRequest) -> dict[str, str]:
    """Return the headers of an answer with 201. For an asset of a registry, clients then poll: it is there already."""
    return {"Location": request.url({}), **({"x-ms-retry-after-ms": "1"} if is_registry(request.root_id) else {})}


def _in(container: Resource, version: Resource) -> Resource:
    """Return a version as it is seen: "Archiving an environment container will archive all versions of the environment
    under that given name" (``az ml environment archive``); a single version cannot be restored then.
    """
    return seen(version.with_properties(isArchived=True) if container.properties.get("isArchived") else version)


def _version_properties(kind: AssetType, request: ArmRequest) -> dict[str, Any]:
    sent = request.properties
    for name in kind.required:
        if not sent.get(name):
            raise AzureError(
                400, "BadArgument", f"properties.{name} is missing; a {kind.singular} needs it.", target=name
            )
    properties = {**VERSION_DEFAULTS, **kind.defaults, **{k: v for k, v in sent.items() if v is not None}}
    if is_registry(request.root_id):
        _require_own_files(request, properties, kind)
    elif kind.uri:
        properties |= _of_job(request, properties.get(kind.uri) or "", kind)
    return kind.normalise(kind.completed(request, properties), request.params)


def _require_own_files(request: ArmRequest, properties: Mapping[str, Any], kind: AssetType) -> None:
    """Raise 400 where the files of a registry's asset do not lie in its storage; an environment may have some."""
    registry = request.context.store.get(request.root_id)
    context_uri = (properties.get("build") or {}).get("contextUri")
    if kind.uri:
        uploads.require_within(request.context, registry, kind.uri, properties.get(kind.uri) or "")
    elif context_uri:
        uploads.require_within(request.context, registry, "build.contextUri", context_uri)


def _of_job(request: ArmRequest, uri: str, kind: AssetType) -> dict[str, Any]:
    """Return what a version is given where it is made of what a job wrote: the place in storage, and the job."""
    found = ids.parse_job_path(uri)
    if found is None:
        return {}
    assert kind.uri is not None  # noqa: S101 - asked by the caller
    job = {"jobName": found["job"] or found["run"]} if "jobName" in kind.defaults else {}
    return {kind.uri: storage_locations.of_job(request.context, request.workspace_id, uri), **job}


def _require_unchanged(kind: AssetType, known: Resource, properties: Mapping[str, Any]) -> None:
    """Raise 409 where a version would be made of something else.

    azure-ai-ml counts on that status: it then registers what it has under the next version
    (``_create_or_update_autoincrement``, ``EnvironmentOperations._try_update_latest_version``).
    """
    changed = [name for name in kind.immutable if _made_of(known.properties, name) != _made_of(properties, name)]
    if not changed:
        return
    message = PATHS_ARE_FIXED
    if kind.uri not in changed:
        message = (
            f"{kind.singular.capitalize()} {known.id.split('/')[-3]} with version {known.name} is already registered "
            "and cannot be changed."
        )
    raise FrontendError(409, "UserError", message, target=", ".join(f"properties.{name}" for name in changed))


def _made_of(properties: Mapping[str, Any], member: str) -> Any:
    """Return what a member says of what a version is made of; a component that is not registered has any name.

    azure-ai-ml makes its version of a hash of all but the name (entities/_component/component.py).
    """
    value = properties.get(member)
    if member == "componentSpec" and properties["isAnonymous"] and isinstance(value, dict):
        return {key: item for key, item in value.items() if key != "name"}
    return value


def _not_found(kind: AssetType, name: str, version: str | None = None) -> FrontendError:
    what = kind.singular.capitalize()
    message = (
        f"{what} container with name: {name} not found."
        if version is None
        else f"{what} with name: {name} and version: {version} not found."
    )
    return FrontendError(404, "UserError", "The specified resource was not found.", detail=(f"{what}NotFound", message))


routes = ArmRoutes()
for _root in ROOTS:
    for _kind in ASSET_TYPES:
        _declare(_kind, _root, routes)
