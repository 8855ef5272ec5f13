"""Jobs: command jobs, from submission to their end.

https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-command
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import assets, codes, curated_environments, ids, listing
from azureml_local.arm.context import Context
from azureml_local.arm.durations import seconds
from azureml_local.arm.job_computes import pool_for
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.arm.storage_locations import locate
from azureml_local.arm.store import Resource, timestamp
from azureml_local.engines.compute.pool import AllocationError
from azureml_local.engines.jobs.runner import JobError
from azureml_local.engines.jobs.spec import CommandSpec, Distribution, Input, Output
from azureml_local.engines.staging import BlobPath
from azureml_local.http.errors import FrontendError

logger = logging.getLogger(__name__)

JOBS = ids.WORKSPACE + "/jobs"
JOB = JOBS + "/{job}"
TYPE = "workspaces/jobs"
ENDED = frozenset(("Completed", "Failed", "Canceled"))
LITERAL = "literal"
ARTIFACTS = "azureml"  # the container of the datastore workspaceartifactstore

routes = ArmRoutes()


class JobRuns:
    """The jobs that have not ended, each driven by a task."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, job: Resource) -> None:
        """Begin to run a job, or go on after a restart of the service."""
        task = asyncio.get_running_loop().create_task(self._drive(job.id))
        self._tasks[job.key] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.key, None))

    def cancel(self, job: Resource) -> None:
        """Begin to end a job."""
        self._set(job.id, "CancelRequested")
        task = self._tasks.get(job.key)
        if task:
            task.cancel("cancelled by its user")

    def resume(self) -> None:
        """Run the jobs again that the end of the service cut off."""
        for job in self._context.store.all_of(TYPE):
            if job.properties["status"] not in ENDED:
                self.start(job)

    async def close(self) -> None:
        """End what runs; the jobs are run again at the next start."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _drive(self, job_id: str) -> None:
        job = self._context.store.get(job_id)
        assert job is not None  # noqa: S101 - stored before
        key = job.key
        try:
            await self._run(job)
            self._set(job_id, "Completed")
        except JobError as error:
            self._set(job_id, "Failed", error={"code": error.code, "message": str(error)})
        except AllocationError as error:
            self._set(job_id, "Failed", error={"code": "UserError", "message": str(error)})
        except asyncio.CancelledError:
            if key in self._tasks:  # not the service's own end
                self._set(job_id, "Canceled")
            raise
        except Exception:
            logger.exception("job %s failed in the service", job_id)
            self._set(job_id, "Failed", error={"code": "ServiceError", "message": "The service's log says why."})

    async def _run(self, job: Resource) -> None:
        pool = pool_for(self._context, job)
        attempt = job.body["run"].get("attempt", 0) + 1

        def observe(status: str) -> None:
            self._set(job.id, status)

        await self._context.runner.run(_spec(self._context, job), pool, attempt, observe)

    def _set(self, job_id: str, status: str, error: Mapping[str, Any] | None = None) -> None:
        with self._context.store.transaction():
            job = self._context.store.get(job_id)
            if job is None or job.properties["status"] in ENDED:
                return
            run = {**job.body["run"]}
            if status == "Running":
                run.setdefault("startTime", timestamp())
            if status in ENDED:
                run["endTime"] = timestamp()
            if error:
                run["error"] = dict(error)
            job = job.with_properties(status=status)
            job.body["run"] = run
            self._context.store.save(job)


@routes.route("GET", JOBS)
async def list_jobs(request: ArmRequest) -> Response:
    """List a workspace's jobs, newest first."""
    found = listing.in_view(request, request.context.store.children(TYPE, request.workspace_id))
    return listing.page(request, [_public(job) for job in found], (listing.CREATED, True))


@routes.route("GET", JOB)
async def get(request: ArmRequest) -> Response:
    """Return a job."""
    return JSONResponse(_public(require(request)).to_json())


@routes.route("PUT", JOB)
async def create_or_update(request: ArmRequest) -> Response:
    """Submit a job, or change what can be changed of one."""
    request.read("JobBase")
    job_id = JOB.format(**request.params)
    properties = {
        **request.properties,
        "displayName": request.properties.get("displayName") or request.params["job"],
        "experimentName": request.properties.get("experimentName") or "Default",
        "status": "Starting",
        "isArchived": False,
        "inputs": request.properties.get("inputs") or {},
        "outputs": {
            **(request.properties.get("outputs") or {}),
            "default": {
                "jobOutputType": "uri_folder",
                "mode": "ReadWriteMount",
                "uri": f"azureml://datastores/workspaceartifactstore/ExperimentRun/dcid.{request.params['job']}",
            },
        },
        "services": _services(request),
    }
    job = request.put(job_id, TYPE, request.workspace_id, {"properties": properties, "run": {}})
    request.context.job_runs.start(job)
    return JSONResponse(_public(job).to_json(), 201)


@routes.route("POST", JOB + "/cancel")
async def cancel(request: ArmRequest) -> Response:
    """Begin to cancel a job."""
    request.context.job_runs.cancel(require(request))
    return Response(status_code=200)


def require(request: ArmRequest) -> Resource:
    """Return the job in the path, or raise Azure's 404."""
    job = request.context.store.get(JOB.format(**request.params))
    if job is None:
        message = f"Job with name: {request.params['job']} not found."
        raise FrontendError(404, "UserError", "The specified resource was not found.", detail=("JobNotFound", message))
    return job


def _public(job: Resource) -> Resource:
    """Return a job without what only the service knows of its run."""
    job.body.pop("run", None)
    return job


def _services(request: ArmRequest) -> dict[str, Any]:
    workspace = request.workspace()
    location = workspace.body["location"]
    return {
        "Tracking": {
            "jobServiceType": "Tracking",
            "endpoint": f"azureml://{location}.api.azureml.ms/mlflow/v1.0{workspace.id}?",
        },
        "Studio": {
            "jobServiceType": "Studio",
            "endpoint": f"https://ml.azure.com/runs/{request.params['job']}?wsid={workspace.id}",
        },
    }


def _spec(context: Context, job: Resource) -> CommandSpec:
    """Return what a job is to run, every id in it resolved."""
    properties = job.properties
    workspace_id = job.id.partition("/jobs/")[0]
    environment_id = properties["environmentId"]
    environment = (
        curated_environments.properties_of(environment_id)
        or assets.resolve(context, environment_id, "environments").properties
    )
    code = None
    if properties.get("codeId"):
        code = locate(context, workspace_id, codes.resolve(context, properties["codeId"]).properties["codeUri"])
    limits = properties.get("limits") or {}
    distribution = properties.get("distribution") or {}
    return CommandSpec(
        job=job.name,
        command=properties["command"],
        code=code,
        environment=environment,
        environment_variables=properties.get("environmentVariables") or {},
        inputs={name: _input(context, workspace_id, given) for name, given in properties["inputs"].items()},
        outputs={
            name: Output(given["jobOutputType"], _target(context, workspace_id, job.name, name, given))
            for name, given in properties["outputs"].items()
            if name != "default"
        },
        artifacts=BlobPath(ARTIFACTS, f"ExperimentRun/dcid.{job.name}"),
        distribution=Distribution(
            distribution.get("distributionType"),
            (properties.get("resources") or {}).get("instanceCount") or 1,
            distribution.get("processCountPerInstance") or 1,
        ),
        timeout=seconds(limits["timeout"]) if limits.get("timeout") else None,
    )


def _input(context: Context, workspace_id: str, given: Mapping[str, Any]) -> Input:
    if given["jobInputType"] == LITERAL:
        return Input(LITERAL, literal=given["value"])
    return Input(given["jobInputType"], source=locate(context, workspace_id, given["uri"]))


def _target(context: Context, workspace_id: str, job: str, name: str, given: Mapping[str, Any]) -> BlobPath:
    uri = given.get("uri") or f"azureml://datastores/workspaceblobstore/paths/azureml/{job}/{name}/"
    return locate(context, workspace_id, uri)


