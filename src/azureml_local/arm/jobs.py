"""Jobs: command jobs, from submission to their end.

https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-command
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, Response

from azureml_local.arm import assets, codes, curated_environments, ids, listing
from azureml_local.arm.computes import open_pool
from azureml_local.arm.context import Context
from azureml_local.arm.durations import seconds
from azureml_local.arm.request import ArmRequest, ArmRoutes
from azureml_local.arm.storage_locations import locate
from azureml_local.arm.store import Resource, timestamp
from azureml_local.edge import hosts
from azureml_local.engines.jobs.distribution import PLANS
from azureml_local.engines.jobs.runner import JobError
from azureml_local.engines.jobs.spec import CommandSpec, Distribution, Input, InputMode, Output, OutputMode
from azureml_local.engines.staging import BlobPath
from azureml_local.http.errors import AzureError, FrontendError

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

    async def resume(self) -> None:
        """Run the jobs again that the end of the service cut off, and forget what is left of others."""
        unfinished = [job for job in self._context.store.all_of(TYPE) if job.properties["status"] not in ENDED]
        await self._context.runner.forget_all_but([job.id for job in unfinished])
        for job in unfinished:
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
            if job.properties["status"] == "CancelRequested":
                await self._context.runner.abandon(_spec(self._context, job))
                self._set(job_id, "Canceled")
            else:
                await self._run(job)
                self._set(job_id, "Completed")
            await self._context.runner.forget(job_id)
        except JobError as error:
            self._set(job_id, error.status, error={"code": error.code, "message": str(error)})
            await self._context.runner.forget(job_id)
        except asyncio.CancelledError:
            if key in self._tasks:  # not the service's own end
                self._set(job_id, "Canceled")
                await self._context.runner.forget(job_id)
            raise
        except Exception:
            logger.exception("job %s failed in the service", job_id)
            self._set(job_id, "Failed", error={"code": "ServiceError", "message": "The service's log says why."})

    async def _run(self, job: Resource) -> None:
        pool = self._context.pools.get(job.properties["computeId"])
        if pool is None:
            compute = self._context.store.get(job.properties["computeId"])
            assert compute is not None  # noqa: S101 - checked at submission
            pool = open_pool(self._context, compute)

        def observe(status: str) -> None:
            self._set(job.id, status)

        await self._context.runner.run(_spec(self._context, job), pool, observe)

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
    _require_served(request.properties)
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
    return CommandSpec(
        id=job.id,
        job=job.name,
        command=properties["command"],
        code=code,
        environment=environment,
        environment_variables=properties.get("environmentVariables") or {},
        inputs={name: _input(context, workspace_id, given) for name, given in properties["inputs"].items()},
        outputs={
            name: _output(context, workspace_id, job.name, name, given)
            for name, given in properties["outputs"].items()
            if name != "default"
        },
        artifacts=BlobPath(ARTIFACTS, f"ExperimentRun/dcid.{job.name}"),
        variables=_variables(workspace_id, job),
        vm_size=_vm_size(context, properties["computeId"]),
        distribution=_distribution(properties),
        timeout=seconds(limits["timeout"]) if limits.get("timeout") else None,
    )


def _variables(workspace_id: str, job: Resource) -> Mapping[str, str]:
    """Return what Azure ML tells every job of itself in its environment."""
    experiment = job.properties["experimentName"]
    _, _, subscription, _, group, *_ = workspace_id.split("/")
    return {
        "AZUREML_ARM_SUBSCRIPTION": subscription,
        "AZUREML_ARM_RESOURCEGROUP": group,
        "AZUREML_ARM_WORKSPACE_NAME": workspace_id.rpartition("/")[2],
        "AZUREML_ARM_PROJECT_NAME": experiment,
        "AZUREML_EXPERIMENT_SCOPE": f"{workspace_id}/experiments/{experiment}",
        "AZUREML_WORKSPACE_SCOPE": workspace_id,
        "AZUREML_RUN_ID": job.name,
        "AZUREML_ROOT_RUN_ID": job.name,
    }


def _vm_size(context: Context, compute_id: str) -> str:
    compute = context.store.get(compute_id)
    return (compute.properties["properties"].get("vmSize") or "") if compute else ""


def _distribution(properties: Mapping[str, Any]) -> Distribution:
    given = properties.get("distribution") or {}
    return Distribution(
        kind=given.get("distributionType"),
        instances=(properties.get("resources") or {}).get("instanceCount") or 1,
        processes=given.get("processCountPerInstance") or 1,
        workers=given.get("workerCount") or 0,
        parameter_servers=given.get("parameterServerCount") or 0,
    )


def _input(context: Context, workspace_id: str, given: Mapping[str, Any]) -> Input:
    if given["jobInputType"] == LITERAL:
        return Input(literal=given["value"])
    uri, mode = given["uri"], InputMode(given.get("mode") or InputMode.MOUNT)
    if _is_public(uri):
        return Input(uri=uri, mode=mode)
    return Input(source=locate(context, workspace_id, uri), uri=uri, mode=mode)


def _is_public(uri: str) -> bool:
    """Say whether a URI is an address on the Internet that is not Azure's."""
    address = urlsplit(uri)
    return address.scheme in ("http", "https") and not hosts.is_azure(address.hostname or "")


def _output(context: Context, workspace_id: str, job: str, name: str, given: Mapping[str, Any]) -> Output:
    uri = given.get("uri") or f"azureml://datastores/workspaceblobstore/paths/azureml/{job}/{name}/"
    return Output(
        target=locate(context, workspace_id, uri),
        uri=uri,
        is_file=given["jobOutputType"] == "uri_file",
        mode=OutputMode(given.get("mode") or OutputMode.MOUNT),
    )


def _require_served(properties: Mapping[str, Any]) -> None:
    """Raise 501 for a command job that asks for what azureml-local lacks, by name."""
    kind = (properties.get("distribution") or {}).get("distributionType")
    if kind not in PLANS:
        raise AzureError(501, "NotImplemented", f"azureml-local lacks the distribution {kind} of command jobs.")
    for name, given in (properties.get("inputs") or {}).items():
        mode = given.get("mode") or InputMode.MOUNT
        if given["jobInputType"] != LITERAL and mode not in list(InputMode):
            raise AzureError(501, "NotImplemented", f"azureml-local lacks the mode {mode}, of input '{name}'.")
