"""Run history: what a job's run is at, its logs, and where its outputs lie.

The routes are those of the public OpenAPI (Microsoft.MachineLearningServices.RunHistory, stable/v1.0) that azure-ai-ml
uses.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from azureml_local.arm import ids, jobs
from azureml_local.arm.context import Context

WORKSPACE = "/history/v1.0" + ids.WORKSPACE
LOG_HOURS = 8


def routes(context: Context) -> list[Route]:
    """Return the routes."""

    async def details(request: Request) -> Response:
        job = context.store.get(jobs.JOB.format(**request.path_params))
        assert job is not None  # noqa: S101
        prefix = f"ExperimentRun/dcid.{job.name}/"
        names = await context.blobs.list_blobs(jobs.ARTIFACTS, prefix)
        sas = context.blobs.container_sas(jobs.ARTIFACTS, LOG_HOURS)
        logs = [name for name in names if name.removeprefix(prefix).startswith(("user_logs/", "system_logs/"))]
        return JSONResponse(
            {
                "runId": job.name,
                "target": job.properties["computeId"].rpartition("/")[2],
                "status": job.properties["status"],
                "startTimeUtc": job.body["run"].get("startTime"),
                "endTimeUtc": job.body["run"].get("endTime"),
                "error": {"error": job.body["run"]["error"]} if job.body["run"].get("error") else None,
                "warnings": [],
                "tags": job.properties.get("tags") or {},
                "properties": job.properties.get("properties") or {},
                "logFiles": {
                    name.removeprefix(prefix): f"https://{context.blobs.host}/{jobs.ARTIFACTS}/{name}?{sas}"
                    for name in logs
                },
            }
        )

    return [Route(WORKSPACE + "/runs/{job}/details", details)]
