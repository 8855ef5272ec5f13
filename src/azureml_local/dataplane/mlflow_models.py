"""MLflow's model registry on the workspace's models: what is registered here the SDK finds, and the other way round.

What Azure ML does not do with models is refused:
https://learn.microsoft.com/azure/machine-learning/how-to-manage-models-mlflow
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import yaml
from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.assets import assets
from azureml_local.arm.names import require_asset_name
from azureml_local.dataplane import mlflow_artifacts
from azureml_local.dataplane.mlflow_request import (
    MlflowError,
    TrackingRequest,
    TrackingRoutes,
    optional_text,
    tags,
    text,
    texts,
)
from azureml_local.engines.blobs import BlobError
from azureml_local.store import Resource

CONTAINER = "workspaces/models"
VERSION = "workspaces/models/versions"
STAGE = "workspaces/models/versions/mlflowStages"  # a version's; only MLflow sees stages
READ = "models/read"
WRITE = "models/write"
DELETE = "models/delete"
STAGES = ("None", "Staging", "Production", "Archived")
MLMODEL = "MLmodel"
LARGEST_MLMODEL = 4 * 1024 * 1024  # bytes
EQUALS = re.compile(r"\s*`?(?P<name>\w+)`?\s*=\s*(?P<quote>['\"])(?P<value>.*)(?P=quote)\s*", re.DOTALL)
AND = re.compile(r"\sAND\s", re.IGNORECASE)
# What MLflow's client adds by itself: a workspace's models are no prompts.
NO_PROMPTS = "tag.`mlflow.prompt.is_prompt` != 'true'"
ORDER = re.compile(r"\s*(?P<name>\w+)(?:\s+(?P<direction>ASC|DESC))?\s*", re.IGNORECASE)
NO_ALIASES = "azureml-local lacks aliases of models, and so does Azure Machine Learning's list of what it supports."

routes = TrackingRoutes("/2.0/mlflow/")
REGISTERED = routes.prefix + "registered-models/"
VERSIONS = routes.prefix + "model-versions/"


# --- registered models ---


@routes.operation("POST", REGISTERED + "create", WRITE)
async def create_model(request: TrackingRequest) -> Response:
    """Make a model that has no version yet."""
    sent = await request.fields()
    name = text(sent, "name")
    require_asset_name(name, "Model")
    store = request.context.store
    container_id = f"{request.workspace.id}/models/{name}"
    if store.get(container_id):
        raise MlflowError(400, f"Registered Model (name={name}) already exists.", "RESOURCE_ALREADY_EXISTS")
    described = {"description": optional_text(sent, "description"), "tags": tags(sent)}
    body = {"properties": {**assets.CONTAINER_DEFAULTS, **described}}
    container = store.put(container_id, CONTAINER, request.workspace.id, body, request.principal.object_id)
    return JSONResponse({"registered_model": _model(request, container)})


@routes.operation("GET", REGISTERED + "get", READ)
async def get_model(request: TrackingRequest) -> Response:
    """Return a model with its latest versions."""
    return JSONResponse({"registered_model": _model(request, _container(request, await request.fields()))})


@routes.operation("GET", REGISTERED + "search", READ)
async def search_models(request: TrackingRequest) -> Response:
    """Return the models, by name where the filter says so."""
    found = [
        _model(request, one)
        for one in request.context.store.children(CONTAINER, request.workspace.id)
        if not one.properties["isArchived"]
    ]
    return _page(request, "registered_models", found, filters={"name": "name"}, order="name")


@routes.operation("PATCH", REGISTERED + "update", WRITE)
async def update_model(request: TrackingRequest) -> Response:
    """Change a model's description."""
    sent = await request.fields()
    container = _change(request, _container(request, sent), description=optional_text(sent, "description"))
    return JSONResponse({"registered_model": _model(request, container)})


@routes.operation("POST", REGISTERED + "set-tag", WRITE)
async def set_model_tag(request: TrackingRequest) -> Response:
    """Set a model's tag."""
    sent = await request.fields()
    _set_tag(request, _container(request, sent), sent)
    return JSONResponse({})


@routes.operation("DELETE", REGISTERED + "delete-tag", WRITE)
async def delete_model_tag(request: TrackingRequest) -> Response:
    """Delete a model's tag."""
    sent = await request.fields()
    _delete_tag(request, _container(request, sent), sent)
    return JSONResponse({})


@routes.operation("GET", REGISTERED + "get-latest-versions", READ)
@routes.operation("POST", REGISTERED + "get-latest-versions", READ)
async def get_latest_versions(request: TrackingRequest) -> Response:
    """Return the latest version in each of some stages, or in each that has one."""
    sent = await request.fields()
    asked = request.http.query_params.getlist("stages") if request.http.method == "GET" else texts(sent, "stages")
    wanted = [_stage(stage) for stage in asked or STAGES]
    latest = {
        version["current_stage"]: version
        for version in _versions(request, _container(request, sent))
        if version["current_stage"] in wanted
    }
    return JSONResponse({"model_versions": list(latest.values())})


@routes.operation("POST", REGISTERED + "rename", WRITE)
async def rename_model(_: TrackingRequest) -> Response:
    """Refuse, as Azure ML does."""
    raise MlflowError(400, "Azure Machine Learning does not rename models: register the model under the new name.")


@routes.operation("DELETE", REGISTERED + "delete", DELETE)
async def delete_model(_: TrackingRequest) -> Response:
    """Refuse, as Azure ML does."""
    raise MlflowError(400, "Azure Machine Learning does not delete a model as a whole: delete its versions.")


@routes.operation("GET", REGISTERED + "alias", READ)
@routes.operation("POST", REGISTERED + "alias", WRITE)
@routes.operation("DELETE", REGISTERED + "alias", WRITE)
async def lack_aliases(_: TrackingRequest) -> Response:
    """Say that there are no aliases."""
    raise MlflowError(501, NO_ALIASES)


# --- versions ---


@routes.operation("POST", VERSIONS + "create", WRITE)
async def create_version(request: TrackingRequest) -> Response:
    """Register what lies in a run's files, or a logged model, as the next version of a model."""
    sent = await request.fields()
    name = text(sent, "name")
    place, run_id = await _resolved(request, text(sent, "source"))
    located = await mlflow_artifacts.locate(request, place)
    properties = {
        "description": optional_text(sent, "description"),
        "tags": tags(sent),
        "modelType": "mlflow_model",
        "modelUri": ids.datastore_path(request.workspace.id, "workspaceartifactstore", located.path),
        "flavors": await _flavors(request, located.container, located.path),
        "jobName": optional_text(sent, "run_id") or run_id,
    }
    version = assets.add_version(
        request.context, request.workspace.id, "models", name, properties, request.principal.object_id
    )
    return JSONResponse({"model_version": _version(version, "None")})


@routes.operation("GET", VERSIONS + "get", READ)
async def get_version(request: TrackingRequest) -> Response:
    """Return a version."""
    version = _stored_version(request, await request.fields())
    return JSONResponse({"model_version": _version(version, _stage_of(request, version))})


@routes.operation("GET", VERSIONS + "get-download-uri", READ)
async def get_download_uri(request: TrackingRequest) -> Response:
    """Return where clients find a version's files."""
    version = _stored_version(request, await request.fields())
    return JSONResponse({"artifact_uri": mlflow_artifacts.place_of_version(_name(version), version.name)})


@routes.operation("GET", VERSIONS + "search", READ)
async def search_versions(request: TrackingRequest) -> Response:
    """Return the versions of a model, of a run, or all."""
    found = [
        version
        for container in request.context.store.children(CONTAINER, request.workspace.id)
        for version in _versions(request, container)
    ]
    return _page(request, "model_versions", found, filters={"name": "name", "run_id": "run_id"}, order="name")


@routes.operation("PATCH", VERSIONS + "update", WRITE)
async def update_version(request: TrackingRequest) -> Response:
    """Change a version's description."""
    sent = await request.fields()
    version = _change(request, _stored_version(request, sent), description=optional_text(sent, "description"))
    return JSONResponse({"model_version": _version(version, _stage_of(request, version))})


@routes.operation("POST", VERSIONS + "set-tag", WRITE)
async def set_version_tag(request: TrackingRequest) -> Response:
    """Set a version's tag."""
    sent = await request.fields()
    _set_tag(request, _stored_version(request, sent), sent)
    return JSONResponse({})


@routes.operation("DELETE", VERSIONS + "delete-tag", WRITE)
async def delete_version_tag(request: TrackingRequest) -> Response:
    """Delete a version's tag."""
    sent = await request.fields()
    _delete_tag(request, _stored_version(request, sent), sent)
    return JSONResponse({})


@routes.operation("DELETE", VERSIONS + "delete", DELETE)
async def delete_version(request: TrackingRequest) -> Response:
    """Delete a version, not its files."""
    assets.delete_version(request.context, _stored_version(request, await request.fields()))
    return JSONResponse({})


@routes.operation("POST", VERSIONS + "transition-stage", WRITE)
async def transition_stage(request: TrackingRequest) -> Response:
    """Move a version to a stage, and, if asked to, those that are there to the archive."""
    sent = await request.fields()
    version = _stored_version(request, sent)
    stage = _stage(text(sent, "stage"))
    with request.context.store.transaction():
        if sent.get("archive_existing_versions"):
            for other in request.context.store.children(VERSION, _container_id(version)):
                if _stage_of(request, other) == stage:
                    _put_stage(request, other, "Archived")
        _put_stage(request, version, stage)
    return JSONResponse({"model_version": _version(version, stage)})


# --- what they have in common ---


def _container(request: TrackingRequest, sent: Mapping[str, Any]) -> Resource:
    name = text(sent, "name")
    container = request.context.store.get(f"{request.workspace.id}/models/{name}")
    if container is None or container.type != CONTAINER:  # a name with slashes could be the id of something else
        raise MlflowError(404, f"Registered Model with name={name} not found")
    return container


def _stored_version(request: TrackingRequest, sent: Mapping[str, Any]) -> Resource:
    name, number = text(sent, "name"), text(sent, "version")
    version = request.context.store.get(f"{request.workspace.id}/models/{name}/versions/{number}")
    if version is None or version.type != VERSION:
        raise MlflowError(404, f"Model Version (name={name}, version={number}) not found")
    return version


def _model(request: TrackingRequest, container: Resource) -> dict[str, Any]:
    latest = {version["current_stage"]: version for version in _versions(request, container)}
    return {**_described(container), "name": container.name, "latest_versions": list(latest.values())}


def _versions(request: TrackingRequest, container: Resource) -> list[dict[str, Any]]:
    """Return a model's versions that are not archived, in order of creation."""
    store = request.context.store
    stages = {one.id.rpartition("/mlflowStages/")[0].lower(): one.body for one in store.children(STAGE, container.id)}
    return [
        _version(one, stages.get(one.key, {"stage": "None"})["stage"])
        for one in store.children(VERSION, container.id)
        if not (container.properties["isArchived"] or one.properties["isArchived"])
    ]


def _version(version: Resource, stage: str) -> dict[str, Any]:
    return {
        **_described(version),
        "name": _name(version),
        "version": version.name,
        "current_stage": stage,
        "source": version.properties["modelUri"],
        "run_id": version.properties.get("jobName") or "",
        "user_id": version.created_by,
        "status": "READY",
    }


def _described(resource: Resource) -> dict[str, Any]:
    return {
        "creation_timestamp": _milliseconds(resource.created_at),
        "last_updated_timestamp": _milliseconds(resource.modified_at),
        "description": resource.properties["description"] or "",
        "tags": [{"key": key, "value": value} for key, value in _tags_of(resource).items()],
    }


def _tags_of(resource: Resource) -> dict[str, str]:
    return dict(resource.properties["tags"] or {})


def _container_id(version: Resource) -> str:
    return version.id.rpartition("/versions/")[0]


def _name(version: Resource) -> str:
    return _container_id(version).rpartition("/")[2]


def _milliseconds(written: str) -> int:
    return int(datetime.datetime.fromisoformat(written).timestamp() * 1000)


def _set_tag(request: TrackingRequest, resource: Resource, sent: Mapping[str, Any]) -> None:
    value = optional_text(sent, "value") or ""
    _change(request, resource, tags={**_tags_of(resource), text(sent, "key"): value})


def _delete_tag(request: TrackingRequest, resource: Resource, sent: Mapping[str, Any]) -> None:
    kept = _tags_of(resource)
    kept.pop(text(sent, "key"), None)
    _change(request, resource, tags=kept)


def _change(request: TrackingRequest, resource: Resource, **properties: Any) -> Resource:
    """Write a model or version with changed properties, on behalf of the caller."""
    changed = resource.with_properties(**properties)
    parent = _container_id(resource) if resource.type == VERSION else request.workspace.id
    return request.context.store.put(resource.id, resource.type, parent, changed.body, request.principal.object_id)


def _stage(name: str) -> str:
    for stage in STAGES:
        if stage.lower() == name.lower():
            return stage
    raise MlflowError(400, f"Invalid Model Version stage: {name}. Value must be one of {', '.join(STAGES)}.")


def _stage_of(request: TrackingRequest, version: Resource) -> str:
    stored = request.context.store.get(f"{version.id}/mlflowStages/present")
    return str(stored.body["stage"]) if stored else "None"


def _put_stage(request: TrackingRequest, version: Resource, stage: str) -> None:
    request.context.store.put(
        f"{version.id}/mlflowStages/present",
        STAGE,
        _container_id(version),
        {"stage": stage},
        request.principal.object_id,
    )


async def _resolved(request: TrackingRequest, source: str) -> tuple[str, str | None]:
    """Return the place that a version is made of, and the run that it is from.

    Raises:
        MlflowError: 400 where the source is no run's and no logged model's, 404 where there is none.
    """
    scheme, _, path = source.partition(":")
    path = path.strip("/")
    if scheme == "models" and "/" not in path:
        return await _place_of_model(request, path)
    if scheme == "runs":
        run_id, _, rest = path.partition("/")
        run = await request.ask_json("GET", f"runs/get?run_id={quote(run_id, safe='')}")
        path = f"{run['run']['info']['artifact_uri']}/{rest}".removeprefix(mlflow_artifacts.SCHEME)
    elif not source.startswith(mlflow_artifacts.SCHEME) or mlflow_artifacts.VERSION_PLACE.fullmatch(path):
        raise MlflowError(
            400,
            f"A model cannot be registered from '{source}': log it in a run, and register it as runs:/<run id>/<path>. "
            "Files of your own are registered with ml_client.models.create_or_update(Model(path=..., "
            "type='mlflow_model')).",
        )
    newest = await mlflow_artifacts.newest_model(request, path)
    if newest:
        return await _place_of_model(request, newest)
    found = mlflow_artifacts.RUN_PLACE.fullmatch(path)
    return path, found["run"] if found else None


async def _place_of_model(request: TrackingRequest, model_id: str) -> tuple[str, str | None]:
    model = await request.ask_json("GET", f"logged-models/{quote(model_id, safe='')}")
    info = model["model"]["info"]
    return str(info["artifact_uri"]).removeprefix(mlflow_artifacts.SCHEME), info.get("source_run_id")


async def _flavors(request: TrackingRequest, container: str, path: str) -> dict[str, Any]:
    """Return the flavors that a model's ``MLmodel`` names. Raises 400 where it has none."""
    described = bytearray()
    try:
        async for piece in request.context.blobs.read_blob(container, f"{path}/{MLMODEL}"):
            described += piece
            if len(described) > LARGEST_MLMODEL:
                raise MlflowError(400, f"{MLMODEL} is larger than {LARGEST_MLMODEL} bytes.")
    except BlobError as error:
        raise MlflowError(400, f"There is no MLflow model at '{path}': it has no file {MLMODEL}.") from error
    try:
        flavors = yaml.safe_load(bytes(described))["flavors"]
        return {name: {"data": {key: str(value) for key, value in data.items()}} for name, data in flavors.items()}
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise MlflowError(400, f"{MLMODEL} at '{path}' does not say which flavors the model has.") from error


def _page(
    request: TrackingRequest, member: str, found: list[dict[str, Any]], *, filters: Mapping[str, str], order: str
) -> Response:
    """Return one page of what a search found.

    Filters compare a name or a run with ``=``: Azure ML has no ``LIKE`` and no tags there.
    """
    query = request.http.query_params
    for condition in filter(None, map(str.strip, AND.split(query.get("filter", "")))):
        if condition == NO_PROMPTS:
            continue
        matched = EQUALS.fullmatch(condition)
        if matched is None or matched["name"] not in filters:
            raise MlflowError(
                400, f"Invalid filter '{condition}': Azure Machine Learning compares {', '.join(filters)} with '='."
            )
        found = [one for one in found if one[filters[matched["name"]]] == matched["value"]]
    for column in reversed(query.getlist("order_by") or [order]):
        parsed = ORDER.fullmatch(column)
        name = {"timestamp": "last_updated_timestamp"}.get(parsed["name"], parsed["name"]) if parsed else ""
        if parsed is None or name not in ORDERED:
            raise MlflowError(400, f"Invalid order_by '{column}': it must be one of {', '.join(ORDERED)}.")
        found = sorted(found, key=ORDERED[name], reverse=(parsed["direction"] or "").upper() == "DESC")
    start, size = _number(query.get("page_token") or "0"), _number(query.get("max_results") or "100")
    if size == 0:
        raise MlflowError(400, "max_results must be at least 1.")
    answer: dict[str, Any] = {member: found[start : start + size]}
    if start + size < len(found):
        answer["next_page_token"] = str(start + size)
    return JSONResponse(answer)


def _number(written: str) -> int:
    if not (written.isascii() and written.isdecimal() and len(written) < 10):
        raise MlflowError(400, f"'{written}' is no number of results, and no page_token that was given.")
    return int(written)


ORDERED: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "name": lambda one: one["name"],
    "creation_timestamp": lambda one: one["creation_timestamp"],
    "last_updated_timestamp": lambda one: one["last_updated_timestamp"],
    "version_number": lambda one: int(one["version"]) if one["version"].isdecimal() else 0,
}
