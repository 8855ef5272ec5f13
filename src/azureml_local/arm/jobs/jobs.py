"""Jobs: submitted, listed, changed, cancelled and deleted. What runs them is in :mod:`azureml_local.arm.jobs.job_runs`.

https://learn.microsoft.com/rest/api/azureml/jobs
"""

from __future__ import annotations

import uuid
from dataclasses import replace

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids, listing
from azureml_local.arm.jobs import job_requests, job_status, lineage, submission
from azureml_local.arm.jobs.job_places import JOB_TYPE
from azureml_local.arm.jobs.submission import JOB, JOBS
from azureml_local.arm.operations import POLL_AFTER_MS
from azureml_local.arm.request import ARM_HOST, ArmRequest, ArmRoutes
from azureml_local.arm.storage.storage_locations import job_not_found
from azureml_local.http.errors import FrontendError
from azureml_local.store import Condition, Resource

HAS_OUTPUT = (
    "EXISTS (SELECT 1 FROM json_each(body, '$.properties.outputs') AS output "
    "WHERE json_extract(output.value, '$.assetName') = ?)"
)
SCHEDULE = "json_extract(body, '$.schedule')"  # the name of the one that made a job

routes = ArmRoutes()


@routes.route("GET", JOBS)
async def list_jobs(request: ArmRequest) -> Response:
    """List a workspace's jobs, newest first: by view, type, tag, properties, the asset of an output, or a schedule."""
    conditions = [
        *listing.in_view(request),
        *listing.with_value(request, "jobType", "$.properties.jobType"),
        *listing.with_pairs(request, "tag", "$.properties.tags"),
        *listing.with_pairs(request, "properties", "$.properties.properties"),
    ]
    if "assetname" in request.query:
        conditions.append(Condition(HAS_OUTPUT, (request.query["assetname"],)))
    scheduled = listing.flag(request, "scheduled")
    if scheduled is not None:
        conditions.append(Condition(f"{SCHEDULE} IS {'NOT' if scheduled else ''} NULL"))
    if "scheduleid" in request.query:
        schedule = request.query["scheduleid"].rpartition("/")[2].lower()
        conditions.append(Condition(f"lower({SCHEDULE}) = ?", (schedule,)))
    return listing.page(request, JOB_TYPE, request.workspace_id, conditions, listing.NEWEST_FIRST, shown=_shown)


@routes.route("GET", JOB)
async def get(request: ArmRequest) -> Response:
    """Return a job."""
    return JSONResponse(_shown(_require(request)).to_json())


@routes.route("PUT", JOB)
async def create_or_update(request: ArmRequest) -> Response:
    """Submit a job (201), or change what can be changed of one that exists (200)."""
    store = request.context.store
    known = store.get(JOB.format(**request.params))
    if known is None:
        return JSONResponse(_shown(submission.submit(request)).to_json(), 201, headers={"Location": request.url({})})
    _require_no_step(known, "changed")
    properties = job_requests.updated(known, request, submission.read(request))
    body = {**known.body, "properties": properties}
    with store.transaction():
        job = request.put(known.id, JOB_TYPE, request.workspace_id, body)
        request.context.mlflow.update_run(request.workspace_id, known, job)
    return JSONResponse(_shown(job).to_json())


@routes.route("POST", JOB + "/cancel")
async def cancel(request: ArmRequest) -> Response:
    """Begin to cancel a job."""
    job = _require(request)
    status = job.properties["status"]
    if status in job_status.NOT_CANCELED:
        raise FrontendError(400, "UserError", f"Job {job.name} cannot be canceled: its status is {status}.")
    with request.context.store.transaction():
        _request_cancel(request, job)
        return _begun(request, "jobs/cancel", job)


@routes.route("DELETE", JOB)
async def delete(request: ArmRequest) -> Response:
    """Begin to delete a job, which is cancelled where it has not ended. Its files stay; 204 where there is none."""
    job = request.context.store.get(JOB.format(**request.params))
    if job is None:
        return Response(status_code=204)
    _require_no_step(job, "deleted")
    with request.context.store.transaction():
        _request_cancel(request, job)
        return _begun(request, "jobs/delete", job)


def _request_cancel(request: ArmRequest, job: Resource) -> None:
    """Write that a job is to be cancelled, and what a pipeline has begun, where that can be."""
    if job.properties["status"] not in job_status.NOT_CANCELED:
        job_status.change(request.context, job.id, job_status.CANCEL_REQUESTED)
    for child in request.context.store.children(JOB_TYPE, job.id):
        _request_cancel(request, child)


def _require(request: ArmRequest) -> Resource:
    """Return the job in the path, or raise Azure's 404."""
    job = request.context.store.get(JOB.format(**request.params))
    if job is None:
        raise job_not_found(request.params["job"])
    return job


def _require_no_step(job: Resource, done: str) -> None:
    """Raise 400 where a job is a step of a pipeline: such jobs are there, and as they are, as long as the pipeline."""
    pipeline = lineage.parent(job)
    if pipeline:
        message = f"Job {job.name} is a step of the pipeline job {pipeline}, and cannot be {done} by itself."
        raise FrontendError(400, "UserError", message)


def _shown(job: Resource) -> Resource:
    """Return a job as it is seen: without what run history alone shows of it, a pipeline's step without anything.

    azure-ai-ml knows the step of a pipeline by that, and asks run history for it (entities/_job/job.py).
    """
    return replace(job, body={} if lineage.parent(job) else {"properties": job.properties})


def _begun(request: ArmRequest, kind: str, job: Resource) -> Response:
    """Begin an operation on a job, and answer as Azure does: where its result will be, and nothing else."""
    workspace = request.workspace()
    operation_id = f"{job.name}:{workspace.properties['workspaceId']}:{uuid.uuid4()}"
    request.context.operations.begin(kind, job, operation_id)
    locations = ids.LOCATION.format(subscription=request.params["subscription"], location=workspace.body["location"])
    location = f"{ARM_HOST}{locations}/mfeOperationResults/{operation_id}?api-version={request.query['api-version']}"
    return JSONResponse(None, 202, headers={"Location": location, "x-ms-retry-after-ms": str(POLL_AFTER_MS)})
