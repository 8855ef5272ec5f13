"""The Jobs API, as far as it is about runs: https://docs.databricks.com/api/azure/workspace/jobs/submit."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from starlette.responses import Response

from azureml_local.dataplane.databricks.call import ApiRoutes, Call, done
from azureml_local.dataplane.databricks.errors import DatabricksError, invalid
from azureml_local.dataplane.databricks.job_settings import read_settings
from azureml_local.dataplane.databricks.jobs import page, same_request
from azureml_local.dataplane.databricks.run_life import TYPE
from azureml_local.dataplane.databricks.run_states import ACTIVE
from azureml_local.store import Resource

LARGEST_PAGE = 26
LARGEST_LOG = 5 * 2**20  # bytes, as documented of ``logs``
LARGEST_RESULT = 5 * 2**20
# What of the stored is not shown as it is.
HIDDEN = ("settings", "spec", "idempotency_token", "began", "error", "error_trace", "result", "cluster_id")
TIMES = ("setup_duration", "execution_duration", "cleanup_duration", "end_time")

routes = ApiRoutes("/api/{version}/jobs/runs")


@routes.route("POST", "/submit")
async def submit(call: Call) -> Response:
    """Begin a run without a job; the same ``idempotency_token`` leads to the same run."""
    known = same_request(call)
    if known:
        return done({"run_id": known.body["run_id"]})
    settings = read_settings(call.sent)
    if not settings["tasks"]:
        raise invalid("Missing required field: tasks")
    body = {
        "run_name": call.sent.text("run_name", "Untitled"),
        "run_type": "SUBMIT_RUN",
        "settings": settings,
        "job_parameters": [],
        "idempotency_token": call.sent.text("idempotency_token", None),
    }
    run = call.workspaces.runs.submit(call.workspace.id, body, call.user)
    return done({"run_id": run.body["run_id"]})


@routes.route("GET", "/get")
async def get(call: Call) -> Response:
    """Return a run, or one of its tasks by the task's run id."""
    run, task = _require(call)
    return done(_shown_task(call, run, task) if task else _shown(call, run))


@routes.route("GET", "/list")
async def list_runs(call: Call) -> Response:
    """List the runs, the newest first."""
    job_id, kind = call.sent.integer("job_id", None), call.sent.text("run_type", None)
    only_active, only_completed = call.sent.flag("active_only", False), call.sent.flag("completed_only", False)
    if only_active and only_completed:
        raise invalid("active_only and completed_only cannot both be true.")
    since, until = call.sent.integer("start_time_from", None), call.sent.integer("start_time_to", None)
    found = [
        run
        for run in reversed(call.workspaces.store.children(TYPE, call.workspace.id))
        if job_id in (None, run.body.get("job_id"))
        and kind in (None, run.body["run_type"])
        and not (only_active and not _is_active(run))
        and not (only_completed and _is_active(run))
        and (since is None or run.body["start_time"] >= since)
        and (until is None or run.body["start_time"] <= until)
    ]
    expanded = call.sent.flag("expand_tasks", False)
    return page(call.sent, "runs", [_shown(call, run, with_tasks=expanded) for run in found], LARGEST_PAGE)


@routes.route("POST", "/cancel")
async def cancel(call: Call) -> Response:
    """Begin to cancel a run; one that has ended stays as it is."""
    run, _ = _require(call)
    call.workspaces.in_background(call.workspaces.runs.cancel(run))
    return done()


@routes.route("POST", "/cancel-all")
async def cancel_all(call: Call) -> Response:
    """Begin to cancel the runs of a job."""
    call.sent.refuse(("all_queued_runs",))  # nothing is queued here
    job_id = call.sent.integer("job_id")
    for run in call.workspaces.store.children(TYPE, call.workspace.id):
        if run.body.get("job_id") == job_id:
            call.workspaces.in_background(call.workspaces.runs.cancel(run))
    return done()


@routes.route("POST", "/delete")
async def delete(call: Call) -> Response:
    """Forget a run that has ended."""
    run, _ = _require(call)
    if _is_active(run):
        message = f"Run {run.name} is still active and cannot be deleted. Cancel it first."
        raise DatabricksError(400, "INVALID_STATE", message)
    call.workspaces.runs.delete(run)
    return done()


@routes.route("GET", "/get-output")
async def get_output(call: Call) -> Response:
    """Return what a task has printed, what it failed of, and what a notebook has exited with."""
    run, task = _require(call)
    if task is None:
        # As in https://github.com/databricks/databricks-sdk-py/issues/375; it holds for a run of one task, too.
        raise invalid(
            "Retrieving the output of runs with multiple tasks is not supported. Please retrieve the output of each "
            "individual task run instead."
        )
    logs, is_cut = await asyncio.to_thread(_tail, call.workspaces.runs.log(task))
    body = task.body
    found = {
        "metadata": _shown_task(call, run, task),
        "logs": logs,
        "logs_truncated": is_cut,
        "error": body.get("error"),
        "error_trace": body.get("error_trace"),
    }
    if "notebook_task" in body["spec"]:
        result = body.get("result") or ""
        found["notebook_output"] = {"result": result[:LARGEST_RESULT], "truncated": len(result) > LARGEST_RESULT}
    return done(found)


def _require(call: Call) -> tuple[Resource, Resource | None]:
    """Return the run that a request names, and the task where it names one by its run id. Raises 400."""
    run_id = call.sent.integer("run_id")
    runs = call.workspaces.runs
    run = runs.get(call.workspace.id, run_id)
    if run:
        return run, None
    task = runs.task(call.workspace.id, run_id)
    run = call.workspaces.store.get(task.id.partition("/tasks/")[0]) if task else None
    if run is None:
        raise invalid(f"Run {run_id} does not exist.")
    return run, task


def _is_active(run: Resource) -> bool:
    return run.body["state"]["life_cycle_state"] in ACTIVE


def _shown(call: Call, run: Resource, *, with_tasks: bool = True) -> dict[str, Any]:
    body, tasks = run.body, call.workspaces.runs.tasks(run)
    found = {
        **{name: value for name, value in body.items() if name not in HIDDEN and value is not None},
        "number_in_job": body["run_id"],
        "original_attempt_run_id": body["run_id"],
        "attempt_number": 0,
        "trigger": "ONE_TIME",
        "format": "MULTI_TASK",
        "run_page_url": _page(call, run),
        **_durations(body, tasks),
    }
    if with_tasks:
        found["tasks"] = [_shown_task(call, run, task) for task in tasks]
        found["job_clusters"] = body["settings"].get("job_clusters") or []
    return found


def _shown_task(call: Call, run: Resource, task: Resource) -> dict[str, Any]:
    body = task.body
    found = {
        **body["spec"],
        **{name: value for name, value in body.items() if name not in HIDDEN and value is not None},
        "job_id": run.body.get("job_id"),
        "job_run_id": run.body["run_id"],
        "run_name": run.body["run_name"],
        "creator_user_name": run.body["creator_user_name"],
        "attempt_number": 0,
        "run_page_url": _page(call, task),
        **{name: body.get(name, 0) for name in TIMES},
    }
    if body.get("cluster_id"):
        found["cluster_instance"] = {"cluster_id": body["cluster_id"], "spark_context_id": str(body["run_id"])}
    return {name: value for name, value in found.items() if value is not None}


def _durations(body: dict[str, Any], tasks: list[Resource]) -> dict[str, int]:
    """Return how long a run took; of one with several tasks only the whole is said."""
    end = body.get("end_time", 0)
    found = {"end_time": end, "setup_duration": 0, "execution_duration": 0, "cleanup_duration": 0}
    if end:
        found["run_duration"] = end - body["start_time"]
    if len(tasks) == 1:
        found |= {name: tasks[0].body.get(name, 0) for name in TIMES if name != "end_time"}
    return found


def _page(call: Call, run: Resource) -> str:
    properties = call.workspace.properties
    job = run.body.get("job_id", run.body["run_id"])
    return f"https://{properties['workspaceUrl']}/?o={properties['workspaceId']}#job/{job}/run/{run.body['run_id']}"


def _tail(file: Path) -> tuple[str, bool]:
    """Return the end of what a task has printed, and whether that is not all."""
    if not file.exists():
        return "", False
    with file.open("rb") as log:
        size = log.seek(0, 2)
        log.seek(max(0, size - LARGEST_LOG))
        return log.read().decode(errors="replace"), size > LARGEST_LOG
