"""Run history: how a job's run stands, its logs, and where its outputs lie.

The routes and the members are those of the public OpenAPI (Microsoft.MachineLearningServices.RunHistory, stable/v1.0)
that azure-ai-ml uses. Metrics, and runs that are no jobs, are MLflow's.
"""

from __future__ import annotations

import datetime
import uuid
from typing import Any
from urllib.parse import quote

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from azureml_local.arm import ids, request_models
from azureml_local.arm.context import Context
from azureml_local.arm.jobs import job_places, lineage
from azureml_local.arm.jobs.job_requests import require_unchanged
from azureml_local.arm.jobs.job_specs import MODELS
from azureml_local.arm.request_models import MisfitError
from azureml_local.dataplane.workspace_api import Service, WorkspaceRequest, error_response, root_error
from azureml_local.engines.mlflow_server.experiments import experiment_id
from azureml_local.http.errors import AzureError, FrontendError
from azureml_local.store import Resource

READ, WRITE = "experiments/runs/read", "experiments/runs/write"
LOG_FOLDERS = ("user_logs/", "system_logs/", "azureml-logs/", "logs/azureml/")
LOG_HOURS = 8
NOT_IN_DETAILS = ("createdUtc", "displayName", "description", "hidden", "runType")
# What can be changed of a run that is a job: the member of the run, of the job's properties, and the type of both.
CHANGEABLE = {
    "displayName": ("displayName", "str"),
    "description": ("description", "str"),
    "hidden": ("isArchived", "bool"),
    "tags": ("tags", "{str}"),
    "properties": ("properties", "{str}"),
}


def routes(context: Context) -> list[Route]:
    """Return the routes."""
    service = Service(context, "/history/v1.0", "run-history", is_for_jobs=True)
    service.add("GET", "/runs/{run}", READ, _get)
    service.add("GET", "/runs/{run}/details", READ, _details)
    service.add("GET", "/runs/{run}/children", READ, _children)
    service.add("GET", "/runs/{run}/serviceinstances/{node}", READ, _service_instances)
    service.add("POST", "/rundata", READ, _run_data)
    service.add("PATCH", "/experiments/{experiment}/runs/{run}", WRITE, _modify)
    service.add("PATCH", "/experimentids/{experiment}/runs/{run}", WRITE, _modify)
    return service.routes


async def _get(request: WorkspaceRequest) -> Response:
    """Return a run."""
    return JSONResponse(_run(request, _require(request, request.params["run"])))


async def _details(request: WorkspaceRequest) -> Response:
    """Return a run with the addresses of its logs, which can be read for some hours by whoever has them."""
    job = _require(request, request.params["run"])
    blobs, place = request.context.blobs, job_places.artifacts(job.name)
    prefix = f"{place.path}/"
    names = [
        name
        for folder in LOG_FOLDERS
        for name in await blobs.list_blobs(place.container, prefix + folder)
        if not name.endswith("/")
    ]
    logs = {
        name.removeprefix(prefix): f"https://{blobs.host}/{place.container}/{quote(name)}?"
        + blobs.blob_sas(place.container, name, LOG_HOURS)
        for name in names
    }
    run = {name: value for name, value in _run(request, job).items() if name not in NOT_IN_DETAILS}
    return JSONResponse({**run, "createdTimeUtc": job.created_at, "logFiles": logs, "warnings": []})


async def _children(request: WorkspaceRequest) -> Response:
    """Return the runs of a pipeline's steps, as far as they have begun."""
    job = _require(request, request.params["run"])
    children = [_run(request, child) for child in request.context.store.children(job.type, job.id)]
    return JSONResponse({"value": children, "continuationToken": None, "nextLink": None})


async def _service_instances(request: WorkspaceRequest) -> Response:
    """Return the services that can be reached on one of a run's nodes: there are none."""
    _require(request, request.params["run"])
    return JSONResponse({"instances": {}})


async def _run_data(request: WorkspaceRequest) -> Response:
    """Return a run by its id in the body. Of what can be asked for, its metadata are known."""
    run_id = request.body.get("runId")
    if not isinstance(run_id, str):
        raise AzureError(400, "UserError", "runId is missing; it must be the id of a run.", target="runId")
    job = _require(request, run_id)
    run = _run(request, job) if request.body.get("selectRunMetadata") else None
    return JSONResponse({"runMetadata": run, "runDefinition": None, "jobSpecification": None})


async def _modify(request: WorkspaceRequest) -> Response:
    """Change a run's name, description or visibility, or add tags or properties to it."""
    job = _require(request, request.params["run"])
    experiment = job.properties["experimentName"]
    if request.params["experiment"] not in (experiment, str(experiment_id(experiment))):
        raise _not_found(job.name)
    changes: dict[str, Any] = {}
    for name, value in request.body.items():
        if value is None or name == "runId":
            continue
        if name not in CHANGEABLE:
            message = f"azureml-local lacks changing {name[:60]!r} of a run that is a job."
            raise AzureError(501, "NotImplemented", message, target=name[:60])
        member, kind = CHANGEABLE[name]
        try:
            changes[member] = request_models.fit(value, kind)
        except MisfitError as error:
            raise AzureError(400, "UserError", f"{name}: {error}", target=name) from error
    require_unchanged(job, [], changes.get("properties") or {})
    for member in ("tags", "properties"):
        changes[member] = {**job.properties[member], **changes.get(member, {})}
    body = {**job.body, "properties": {**job.properties, **changes}}
    store = request.context.store
    with store.transaction():
        changed = store.put(job.id, job.type, request.workspace.id, body, request.principal.object_id)
        request.context.mlflow.update_run(request.workspace.id, job, changed)
    return JSONResponse(_run(request, changed))


def _require(request: WorkspaceRequest, run_id: str) -> Resource:
    """Return the job of a run, or raise run history's 404."""
    job = request.context.store.get(f"{request.workspace.id}/jobs/{run_id}")
    if job is None or job.type != job_places.JOB_TYPE:
        raise _not_found(run_id)
    return job


def _not_found(run_id: str) -> FrontendError:
    return FrontendError(404, "UserError", f"Run {run_id} was not found", inner=("NotFoundError",))


def _run(request: WorkspaceRequest, job: Resource) -> dict[str, Any]:
    """Return a job as run history shows it."""
    settings = request.context.settings
    properties, run = job.properties, job.body["run"]
    compute = (properties["computeId"] or "").rpartition("/")[2] or "Serverless"
    run_uuid = _uuid(job.key, job.created_at)
    created = datetime.datetime.fromisoformat(job.created_at)
    user = {"userObjectId": job.created_by, "userTenantId": settings.tenant_id, "userName": job.created_by}
    duration = _duration(run.get("startTime"), run.get("endTime"))
    error = run.get("error")
    return {
        "runNumber": int(created.timestamp()),
        "rootRunId": lineage.root(job),
        "createdUtc": job.created_at,
        "createdBy": user,
        "userId": job.created_by,
        "error": error
        and error_response(
            root_error(error["code"], error["message"]),
            settings.location,
            run_uuid,
            run.get("endTime"),
            "globaljobdispatcher",
        ),
        "statusRevision": run["statusRevision"],
        "runUuid": str(run_uuid),
        "parentRunUuid": None,
        "rootRunUuid": str(run_uuid),
        "hasVirtualParent": False,
        "lastStartTimeUtc": run.get("startTime"),
        "currentComputeTime": "00:00:00",
        "computeDuration": duration,
        "effectiveStartTimeUtc": run.get("startTime"),
        "lastModifiedUtc": max(time for time in (job.modified_at, run.get("startTime"), run.get("endTime")) if time),
        "duration": duration,
        "runId": job.name,
        "parentRunId": lineage.parent(job),
        "experimentId": str(experiment_id(properties["experimentName"])),
        "status": properties["status"],
        "startTimeUtc": run.get("startTime"),
        "endTimeUtc": run.get("endTime"),
        "displayName": properties["displayName"],
        "dataContainerId": f"dcid.{job.name}",
        "description": properties["description"],
        "hidden": properties["isArchived"],
        **_kind(job),
        "properties": {**properties["properties"], **_of_step(job)},
        "parameters": {},
        "target": compute,
        "tags": properties["tags"],
        "settings": {},
        "services": {},
        "inputDatasets": [],
        "outputDatasets": [],
        "computeRequest": {"nodeCount": (properties.get("resources") or {}).get("instanceCount", 0)},
        "compute": {"target": compute, "targetType": "amlcompute", "region": settings.location},
        "inputs": {},
        "outputs": _outputs(request, job),
    }


def _kind(job: Resource) -> dict[str, Any]:
    """Return what kind of run a job is."""
    if job.properties["jobType"] == "Pipeline":
        return {"runType": "azureml.PipelineRun", "runTypeV2": {"orchestrator": "Pipelines", "traits": ["remote"]}}
    kind = "azureml.StepRun" if lineage.parent(job) else "azureml.scriptrun"
    return {
        "runType": kind,
        "runTypeV2": {"orchestrator": "Execution", "traits": ["scriptRun", "remote", "CommonRuntime"]},
    }


def _of_step(job: Resource) -> dict[str, str]:
    """Return the properties by which Azure ML shows which step of which pipeline a run is."""
    parent = lineage.parent(job)
    if parent is None:
        return {}
    source = {} if job.properties["jobType"] == "Pipeline" else {"azureml.runsource": "azureml.StepRun"}
    return {
        **source,
        "azureml.nodeid": lineage.node_id(job),
        "azureml.moduleName": lineage.module(job) or "",
        "azureml.pipelinerunid": parent,
        "azureml.pipeline": parent,
        "azureml.rootpipelinerunid": lineage.root(job),
    }


def _outputs(request: WorkspaceRequest, job: Resource) -> dict[str, Any]:
    """Return the data that a job wrote, as assets, in the words that azure-ai-ml compares their types with.

    Models are left out: azure-ai-ml 1.35 fails on them as it downloads, and finds them where outputs lie by default.
    """
    guid = request.workspace.properties["workspaceId"]
    location = request.workspace.body["location"]
    outputs = {}
    for name, asset_id in job.body["run"].get("outputs", {}).items():
        kind = job.properties["outputs"][name]["jobOutputType"]
        parts = ids.parse_asset(asset_id)
        if kind not in MODELS and parts:
            path = f"data/{parts['name']}/versions/{parts['version']}"
            outputs[name] = {"assetId": f"azureml://locations/{location}/workspaces/{guid}/{path}", "type": kind}
    return outputs


def _uuid(*parts: str) -> uuid.UUID:
    """Return an id that is always the same for the same parts."""
    return uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts))


def _duration(start: str | None, end: str | None) -> str | None:
    """Return how long something took, or has taken so far, as .NET writes it: ``00:00:50.0441382``."""
    if start is None:
        return None
    until = datetime.datetime.fromisoformat(end) if end else datetime.datetime.now(datetime.UTC)
    minutes, seconds = divmod((until - datetime.datetime.fromisoformat(start)).total_seconds(), 60)
    hours, minutes = divmod(int(minutes), 60)
    days, hours = divmod(hours, 24)
    return f"{f'{days}.' if days else ''}{hours:02}:{minutes:02}:{seconds:010.7f}"
