"""The files of runs and of models, for MLflow's clients: in the workspace's storage, where Azure ML keeps them.

A client is told ``mlflow-artifacts:/…`` for a place, and asks its tracking server for what lies there:
https://mlflow.org/docs/latest/self-hosting/architecture/artifact-store/
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from urllib.parse import quote, unquote

from starlette.responses import JSONResponse, Response, StreamingResponse

from azureml_local.arm.assets import assets
from azureml_local.arm.jobs import job_places
from azureml_local.arm.storage import datastores, storage_locations
from azureml_local.dataplane.mlflow_request import MlflowError, TrackingRequest, TrackingRoutes
from azureml_local.engines.blobs import BlobError
from azureml_local.engines.staging import BlobPath
from azureml_local.http.upstream import UpstreamResponse

SCHEME = "mlflow-artifacts:/"
ARTIFACTS = "/2.0/mlflow-artifacts/artifacts/"
PARTS = "/2.0/mlflow-artifacts/mpu/create/"
NAMES_ARTIFACT = re.compile(rf"({ARTIFACTS}|{PARTS})(.+)", re.IGNORECASE)
READ = "experiments/runs/read"  # "list artifacts for a run"
# https://learn.microsoft.com/azure/machine-learning/how-to-assign-roles#common-scenarios, "Submitting any type of run"
WRITE = "metadata/artifacts/write"
OF_MODEL = "LoggedModels/{model}"  # one without a run, or the second of its name in a run
RUN_PLACE = re.compile(r"(?P<experiment>\d+)/(?P<run>[\w-]+)/(?P<kind>artifacts|models)(?P<path>/.*)?", re.ASCII)
MODEL_PLACE = re.compile(r"\d+/models/(?P<model>m-[\w-]+)/artifacts(?P<path>/.*)?", re.ASCII)
VERSION_PLACE = re.compile(r"registered/(?P<name>[^/]+)/(?P<version>[^/]+)(?P<path>/.*)?")
LOGGED_NAME = re.compile(r"""[^/:.%"']+""")  # MLflow's rule for names of logged models
UNSAFE = re.compile(r"[\\\x00-\x1f\x7f]")
# The client then sends the file in one piece: it compares the beginning of the text
# (mlflow/store/artifact/http_artifact_repo.py, _UnsupportedMultipartUploadException).
NO_PARTS = "Multipart upload is not supported for the current artifact repository"

routes = TrackingRoutes()


def place_of_version(name: str, version: str) -> str:
    """Return where clients find the files of a version of a registered model."""
    return f"{SCHEME}registered/{name}/{version}"


def as_one_segment(path: str) -> str:
    """Return a percent-encoded path of the API, in which what names an artifact is one segment."""
    found = NAMES_ARTIFACT.fullmatch(path)
    return found[1] + quote(found[2], safe="") if found else path


@routes.operation("GET", "/2.0/mlflow-artifacts/artifacts", READ)
async def list_place(request: TrackingRequest) -> Response:
    """List what lies directly below a place."""
    named = request.http.query_params.get("path", "").strip("/")
    place = await locate(request, named)
    found = RUN_PLACE.fullmatch(named)
    if found and found["kind"] == "artifacts" and await newest_model(request, named):
        return JSONResponse({"files": []})  # the client asks for the files of a run's logged models by themselves
    return JSONResponse({"files": await _listed(request, place)})


@routes.operation("GET", "/2.0/mlflow/artifacts/list", READ)
async def list_of_run(request: TrackingRequest) -> Response:
    """List what lies directly below a path in a run's files, by its path in the run."""
    query = request.http.query_params
    run = await request.ask_json("GET", f"runs/get?run_id={quote(query.get('run_id', ''), safe='')}")
    root = run["run"]["info"]["artifact_uri"]
    path = query.get("path", "").strip("/")
    place = await locate(request, f"{root.removeprefix(SCHEME)}/{path}")
    files = [{**one, "path": f"{path}/{one['path']}".lstrip("/")} for one in await _listed(request, place)]
    return JSONResponse({"root_uri": root, "files": files})


@routes.operation("GET", ARTIFACTS + "{place}", READ)
async def download(request: TrackingRequest) -> Response:
    """Return a file, in pieces."""
    place = await locate(request, unquote(request.params["place"]))
    try:
        blob = await request.context.blobs.open_blob(place.container, place.path)
    except BlobError as error:
        raise MlflowError(404, f"There is no artifact '{unquote(request.params['place'])}'.") from error
    headers = {"X-Content-Type-Options": "nosniff"}
    length = blob.header(b"content-length")
    if length:
        headers["Content-Length"] = length.decode("ascii")
    return StreamingResponse(_pieces(blob), headers=headers, media_type="application/octet-stream")


async def _pieces(blob: UpstreamResponse) -> AsyncIterator[bytes]:
    with blob:
        async for piece in blob.chunks():
            yield piece


@routes.operation("PUT", ARTIFACTS + "{place}", WRITE)
async def upload(request: TrackingRequest) -> Response:
    """Store a file, or replace it."""
    place = await _locate_writable(request)
    await request.context.blobs.write_blob(place.container, place.path, request.http.stream())
    return JSONResponse({})


@routes.operation("DELETE", ARTIFACTS + "{place}", WRITE)
async def delete(request: TrackingRequest) -> Response:
    """Delete a file, or all below a folder."""
    place = await _locate_writable(request)
    blobs = request.context.blobs
    for name in await blobs.list_blobs(place.container, place.path):
        if name == place.path or name.startswith(f"{place.path}/"):
            await blobs.delete_blob(place.container, name)
    return JSONResponse({})


async def _locate_writable(request: TrackingRequest) -> BlobPath:
    """Return where the place in the path lies. Raises 403 where it is a registered model's."""
    named = unquote(request.params["place"]).strip("/")
    if VERSION_PLACE.fullmatch(named):
        raise MlflowError(403, "What a registered model is made of cannot be changed.")
    return await locate(request, named)


async def locate(request: TrackingRequest, place: str) -> BlobPath:
    """Return where a place lies in storage. Raises 400 where it is none, 404 where it is none of this workspace.

    Storage is the workspaces' common one, and a job's name may be in use in several.
    """
    named = place.strip("/")
    if UNSAFE.search(named) or {"", ".", ".."} & set(named.split("/")):
        raise MlflowError(400, f"Invalid path: '{place}'.")
    if found := RUN_PLACE.fullmatch(named):
        await request.require(f"runs/get?run_id={found['run']}")
        root = job_places.artifacts(found["run"])
    elif found := MODEL_PLACE.fullmatch(named):
        await request.require(f"logged-models/{found['model']}")
        root = BlobPath(datastores.ARTIFACT_CONTAINER, OF_MODEL.format(model=found["model"]))
    elif found := VERSION_PLACE.fullmatch(named):
        version_id = f"{request.workspace.id}/models/{found['name']}/versions/{found['version']}"
        version = assets.resolve(request.context, version_id, "models")
        root = storage_locations.locate(request.context, request.workspace.id, version.properties["modelUri"])
    else:
        raise MlflowError(400, f"'{place}' is no place of a run, of a logged model or of a registered one.")
    return BlobPath(root.container, f"{root.path}{found['path'] or ''}")


async def newest_model(request: TrackingRequest, place: str) -> str | None:
    """Return the id of the model that was logged last, by its name, at a place among a run's files; None without one.

    Of several of one name in a run only the first lies there: see ``stores.WorkspaceStore.create_logged_model``.
    """
    found = RUN_PLACE.fullmatch(place)
    name = (found["path"] or "").strip("/").partition("/")[0] if found else ""
    if found is None or not LOGGED_NAME.fullmatch(name):
        return None
    asked = {"experiment_ids": [found["experiment"]], "filter": f"name = '{name}'"}
    models = (await request.ask_json("POST", "logged-models/search", asked)).get("models", ())
    return next((one["info"]["model_id"] for one in models if one["info"].get("source_run_id") == found["run"]), None)


async def _listed(request: TrackingRequest, place: BlobPath) -> list[dict[str, object]]:
    root = f"{place.path}/"
    folders, files = await request.context.blobs.list_folder(place.container, root)
    return [
        *({"path": name.removeprefix(root).rstrip("/"), "is_dir": True} for name in folders),
        *(
            {"path": blob.name.removeprefix(root), "is_dir": False, "file_size": blob.size}
            for blob in files
            if blob.name != root  # marks a folder
        ),
    ]


@routes.operation("POST", PARTS + "{place}", WRITE)
async def refuse_parts(_: TrackingRequest) -> Response:
    """Say that files come in one piece, as they may, of any size."""
    raise MlflowError(501, NO_PARTS)
