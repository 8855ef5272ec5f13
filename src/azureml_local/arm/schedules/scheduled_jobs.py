"""The jobs of a schedule: what each is, and its submission on behalf of whoever wrote the schedule last.

Who changes another's schedule says what its jobs do, and so must not have them done in the other's name.

https://learn.microsoft.com/azure/machine-learning/how-to-schedule-pipeline-job
"""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from azureml_local.arm import ids
from azureml_local.arm.context import Context
from azureml_local.arm.jobs import submission
from azureml_local.arm.pipelines import source_jobs
from azureml_local.arm.request import ArmRequest
from azureml_local.http.errors import AzureError, authorization_failed
from azureml_local.identity.tokens import Principal
from azureml_local.store import Resource

SUBMIT = f"{ids.PROVIDER}/workspaces/jobs/write"
EXPRESSION = re.compile(r"\$\{\{\s*(name|creation_context\.trigger_time)\s*\}\}")
EVALUATED = ("value", "uri")  # the members of an input or output in which expressions are evaluated
LONGEST_NAME = 255  # of a job


def definition(request: ArmRequest, given: dict[str, Any]) -> dict[str, Any]:
    """Return the ``properties`` of the jobs that a job definition stands for, whole.

    A definition may name a pipeline job that there is (``sourceJobId``), and say what is to be different. What that is
    now is kept: it may be deleted, or changed.

    Raises:
        AzureError: 400 where there is no such job, or where the definition is none of a job that can be submitted.
    """
    name, now = request.params["schedule"], datetime.datetime.now(datetime.UTC)
    named = submission.request_for(request.context, request.workspace_id, name, given, request.principal)
    source_jobs.complete(named)
    whole = {member: value for member, value in named.body["properties"].items() if member != "sourceJobId"}
    properties = _properties(whole, name, name, now)
    submission.judge(replace(named, body={"properties": properties}))
    return whole


def submit(context: Context, schedule: Resource, time: datetime.datetime) -> Resource:
    """Submit the job of a schedule for a time.

    Raises:
        AzureError: 403 where whoever wrote the schedule may not submit jobs any more; what submission raises.
    """
    return _mark(context, schedule, submission.submit(_permitted(_request(context, schedule, time))))


def submit_unattended(context: Context, schedule: Resource, time: datetime.datetime) -> Resource:
    """Submit the job of a schedule for a time; where it cannot be, store one that failed, which says why."""
    request = _request(context, schedule, time)
    try:
        job = submission.submit(_permitted(request))
    except AzureError as error:
        job = submission.submit_failed(request, error)
    return _mark(context, schedule, job)


def store_unforeseen(context: Context, schedule: Resource, time: datetime.datetime) -> Resource:
    """Store the job of a schedule for a time as one that failed, because the service itself failed at it."""
    error = AzureError(500, "ServiceError", "azureml-local failed on this job; its log has the details.")
    whole = schedule.body["definition"]
    bare = {name: whole.get(name) for name in submission.BARE} | {"jobType": "Pipeline"}
    bare_schedule = replace(schedule, body={**schedule.body, "definition": bare})
    return _mark(context, schedule, submission.submit_failed(_request(context, bare_schedule, time), error))


def _request(context: Context, schedule: Resource, time: datetime.datetime) -> ArmRequest:
    workspace_id = ids.workspace_of(schedule.id)
    shown = f"{schedule.name}-{time:%Y%m%dT%H%M%SZ}"
    name = _free_name(context, workspace_id, shown[-LONGEST_NAME + 4 :].lstrip("-_"))
    properties = _properties(schedule.body["definition"], shown, name, time)
    author = context.directory.holder(schedule.modified_by) or Principal("", schedule.modified_by)
    return submission.request_for(context, workspace_id, name, properties, author)


def _permitted(request: ArmRequest) -> ArmRequest:
    """Return a request; raise 403 where its principal may not submit jobs, or is no more."""
    principal = request.principal
    is_known = request.context.directory.holder(principal.object_id)
    if not (is_known and request.permits(SUBMIT, request.workspace_id)):
        raise authorization_failed(principal.object_id, SUBMIT, request.path)
    return request


def _mark(context: Context, schedule: Resource, job: Resource) -> Resource:
    """Note which schedule has made a job."""
    marked = replace(job, body={**job.body, "schedule": schedule.name})
    context.store.save(marked)
    return marked


def _free_name(context: Context, workspace_id: str, wanted: str) -> str:
    """Return a name that no job has: a schedule may be triggered at a time at which it is due, too."""
    names = itertools.chain((wanted,), (f"{wanted}-{number}" for number in itertools.count(2)))
    return next(name for name in names if context.store.get(f"{workspace_id}/jobs/{name}") is None)


def _properties(whole: Mapping[str, Any], shown: str, name: str, time: datetime.datetime) -> dict[str, Any]:
    """Return the ``properties`` of one job: its display name, and inputs and outputs without expressions."""
    values = {"name": name, "creation_context.trigger_time": f"{time:%Y-%m-%dT%H:%M:%SZ}"}
    evaluated = {
        kind: {key: _evaluated(given, values) for key, given in (whole.get(kind) or {}).items()}
        for kind in ("inputs", "outputs")
    }
    return {**whole, **evaluated, "displayName": shown}


def _evaluated(given: Any, values: Mapping[str, str]) -> Any:
    if not isinstance(given, dict):
        return given
    texts = {member: given[member] for member in EVALUATED if isinstance(given.get(member), str)}
    return {**given, **{key: EXPRESSION.sub(lambda found: values[found[1]], text) for key, text in texts.items()}}
