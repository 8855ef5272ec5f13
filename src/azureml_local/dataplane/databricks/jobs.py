"""The Jobs API, as far as it is about jobs: https://docs.databricks.com/api/azure/workspace/jobs."""

from __future__ import annotations

import secrets
import time
from typing import Any

from starlette.responses import Response

from azureml_local.arm import databricks
from azureml_local.dataplane.databricks.call import ApiRoutes, Call, Fields, done
from azureml_local.dataplane.databricks.errors import invalid
from azureml_local.dataplane.databricks.job_settings import read_settings
from azureml_local.dataplane.databricks.run_life import LARGEST_ID
from azureml_local.dataplane.databricks.run_life import TYPE as RUN_TYPE
from azureml_local.dataplane.databricks.run_states import ACTIVE
from azureml_local.store import Condition, Resource

TYPE = f"{databricks.TYPE}/jobs"
LARGEST_PAGE = 100
DEFAULT_NAME = "Untitled"
KEYS = {"tasks": "task_key", "job_clusters": "job_cluster_key"}  # lists whose members have a key
DEFAULTS = {"timeout_seconds": 0, "max_concurrent_runs": 1, "format": "MULTI_TASK"}

routes = ApiRoutes("/api/{version}/jobs")


@routes.route("POST", "/create")
async def create(call: Call) -> Response:
    """Make a job."""
    settings = {"name": DEFAULT_NAME, **DEFAULTS, **read_settings(call.sent)}
    job_id = secrets.randbelow(LARGEST_ID)
    body = {
        "job_id": job_id,
        "created_time": int(time.time() * 1000),
        "creator_user_name": call.user,
        "run_as_user_name": call.user,
        "settings": settings,
    }
    call.workspaces.store.put(f"{call.workspace.id}/jobs/{job_id}", TYPE, call.workspace.id, body, call.user)
    return done({"job_id": job_id})


@routes.route("GET", "/get")
async def get(call: Call) -> Response:
    """Return a job."""
    return done(require(call).body)


@routes.route("GET", "/list")
async def list_jobs(call: Call) -> Response:
    """List the jobs, the newest first; ``expand_tasks`` shows their tasks."""
    name = call.sent.text("name", "").lower()
    found = [
        job.body
        for job in reversed(call.workspaces.store.children(TYPE, call.workspace.id))
        if not name or job.body["settings"]["name"].lower() == name
    ]
    expanded = call.sent.flag("expand_tasks", False)
    return page(call.sent, "jobs", [job if expanded else _brief(job) for job in found], LARGEST_PAGE)


@routes.route("POST", "/reset")
async def reset(call: Call) -> Response:
    """Replace a job's settings."""
    settings = read_settings(call.sent.inner("new_settings"))
    job = require(call)
    _save(call, job, {"name": DEFAULT_NAME, **DEFAULTS, **settings})
    return done()


@routes.route("POST", "/update")
async def update(call: Call) -> Response:
    """Change some of a job's settings: tasks and job clusters one by one, by their keys, other members as a whole."""
    job = require(call)
    settings = _without(job.body["settings"], call.sent.texts("fields_to_remove", []))
    new = call.sent.inner("new_settings", Fields({}))
    changed = {**settings, **new.members}
    for name, key in KEYS.items():
        merged = {one[key]: one for one in settings.get(name) or ()}
        merged |= {one.text(key): one.members for one in new.each(name, [])}
        changed[name] = list(merged.values())
    _save(call, job, {"name": DEFAULT_NAME, **DEFAULTS, **read_settings(Fields(changed))})
    return done()


@routes.route("POST", "/delete")
async def delete(call: Call) -> Response:
    """Delete a job; the runs that it has go on."""
    call.workspaces.store.delete(require(call).id)
    return done()


@routes.route("POST", "/run-now")
async def run_now(call: Call) -> Response:
    """Begin a run of a job; the same ``idempotency_token`` leads to the same run."""
    job = require(call)
    call.sent.refuse(("jar_params", "dbt_commands", "sql_params", "spark_submit_params", "python_named_params", "only"))
    known = same_request(call)
    if known:
        return done({"run_id": known.body["run_id"], "number_in_job": known.body["run_id"]})
    settings = job.body["settings"]
    if not settings["tasks"]:
        raise invalid(f"Job {job.name} has no tasks to run.")
    body = {
        "job_id": job.body["job_id"],
        "run_name": settings["name"],
        "run_type": "JOB_RUN",
        "settings": settings,
        "job_parameters": _job_parameters(settings, call.sent.mapping("job_parameters", {})),
        "overriding_parameters": _overriding(call.sent),
        "idempotency_token": call.sent.text("idempotency_token", None),
    }
    runs = call.workspaces.runs
    begin = runs.skip if _is_busy(call, job) else runs.submit
    run = begin(call.workspace.id, body, call.user)
    return done({"run_id": run.body["run_id"], "number_in_job": run.body["run_id"]})


def require(call: Call) -> Resource:
    """Return the job that a request names. Raises 400, as Databricks does."""
    job_id = call.sent.integer("job_id")
    job = call.workspaces.store.get(f"{call.workspace.id}/jobs/{job_id}")
    if job is None:
        raise invalid(f"Job {job_id} does not exist.")
    return job


def same_request(call: Call) -> Resource | None:
    """Return the run that the request's ``idempotency_token`` has begun already, or None."""
    token = call.sent.text("idempotency_token", None)
    if token is None:
        return None
    if len(token) > 64:  # https://docs.databricks.com/api/azure/workspace/jobs/runnow
        raise invalid("The idempotency_token must have at most 64 characters.")
    has_token = Condition("json_extract(body, '$.idempotency_token') = ?", (token,))
    return next(iter(call.workspaces.store.select(RUN_TYPE, call.workspace.id, [has_token])), None)


def page(sent: Fields, name: str, found: list[dict[str, Any]], largest: int) -> Response:
    """Return a page of a list, and the tokens of those beside it."""
    limit = sent.integer("limit", 20) or largest
    start = sent.integer("page_token" if sent.text("page_token", None) else "offset", 0)
    if not 0 < limit <= largest or start < 0:
        raise invalid(f"limit must be 1 to {largest}, and page_token one that an answer has given.")
    end = start + limit
    answer: dict[str, Any] = {name: found[start:end], "has_more": end < len(found)}
    if end < len(found):
        answer["next_page_token"] = str(end)
    if start:
        answer["prev_page_token"] = str(max(0, start - limit))
    return done(answer)


def _without(settings: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Return settings without some members; ``tasks/KEY`` and ``job_clusters/KEY`` are one of a list. Raises 400."""
    kept = dict(settings)
    for path in names:
        name, slash, wanted = path.partition("/")
        if not slash:
            kept.pop(name, None)
        elif name in KEYS:
            kept[name] = [one for one in kept.get(name) or () if one[KEYS[name]] != wanted]
        else:
            raise invalid(f"{path} cannot be removed: nested fields can be of {' and '.join(KEYS)} only.")
    return kept


def _save(call: Call, job: Resource, settings: dict[str, Any]) -> None:
    job.body["settings"] = settings
    call.workspaces.store.save(job)


def _brief(job: dict[str, Any]) -> dict[str, Any]:
    settings = {name: value for name, value in job["settings"].items() if name not in ("tasks", "job_clusters")}
    return {**job, "settings": settings}


def _job_parameters(settings: dict[str, Any], given: dict[str, str]) -> list[dict[str, str]]:
    declared = {one["name"]: one["default"] for one in settings.get("parameters") or ()}
    names = dict.fromkeys([*declared, *given])
    return [
        {"name": name, "default": declared.get(name, ""), "value": given.get(name, declared.get(name, ""))}
        for name in names
    ]


def _overriding(sent: Fields) -> dict[str, Any]:
    given = {
        "python_params": sent.texts("python_params", None),
        "notebook_params": sent.mapping("notebook_params", None),
    }
    return {name: value for name, value in given.items() if value is not None}


def _is_busy(call: Call, job: Resource) -> bool:
    active = [
        run
        for run in call.workspaces.store.children(RUN_TYPE, call.workspace.id)
        if run.body.get("job_id") == job.body["job_id"] and run.body["state"]["life_cycle_state"] in ACTIVE
    ]
    return len(active) >= int(job.body["settings"]["max_concurrent_runs"])
