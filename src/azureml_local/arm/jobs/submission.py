"""Submits jobs: on a caller's request, and on behalf of whoever invoked a batch endpoint or made a schedule."""

from __future__ import annotations

from typing import Any

from azureml_local.arm import ids
from azureml_local.arm.context import Context
from azureml_local.arm.jobs import job_requests, job_status
from azureml_local.arm.jobs.job_places import JOB_TYPE
from azureml_local.arm.request import ArmRequest
from azureml_local.http.errors import AzureError
from azureml_local.identity.tokens import Principal
from azureml_local.store import Resource

JOBS = ids.WORKSPACE + "/jobs"
JOB = JOBS + "/{job}"


def submit(request: ArmRequest) -> Resource:
    """Store the new job that a request's body describes, and begin to run it.

    Raises:
        AzureError: 400 where it is no job or names what does not exist, 501 where azureml-local lacks what it asks for.
    """
    context = request.context
    properties = judge(request)
    with context.store.transaction():
        job = _store(request, properties)
        context.store.after_commit(lambda: context.job_runs.start(job))
    return job


def judge(request: ArmRequest) -> dict[str, Any]:
    """Return the ``properties`` of the job that a request's body describes, as they would be stored.

    Raises:
        AzureError: as :func:`submit` does.
    """
    properties = job_requests.read(request)
    job_requests.require_existing(request, properties)
    return properties


def submit_failed(request: ArmRequest, error: AzureError) -> Resource:
    """Store the job that a request's body describes as one that has failed before it ran.

    So who is not there to be answered finds what happened among the jobs.

    Args:
        request: would have been submitted; its body is that of a job.
        error: what it was refused with.
    """
    with request.context.store.transaction():
        job = _store(request, job_requests.read(request))
        details = {"code": error.code, "message": error.message}
        failed = job_status.change(request.context, job.id, "Failed", details)
    return failed or job


def _store(request: ArmRequest, properties: dict[str, Any]) -> Resource:
    body = {"properties": properties, "run": {"statusRevision": 0}}
    job = request.put(JOB.format(**request.params), JOB_TYPE, request.workspace_id, body)
    job_status.begin(request.context, job)
    return job


def request_for(
    context: Context, workspace_id: str, name: str, properties: dict[str, Any], principal: Principal
) -> ArmRequest:
    """Return the request that a principal would have sent to submit a job, for :func:`submit`.

    Args:
        context: the service's.
        workspace_id: of an existing workspace.
        name: the job's.
        properties: the ``properties`` of a ``JobBase``.
        principal: whose job it is.
    """
    _, _, subscription, _, group, *_, workspace = workspace_id.split("/")
    params = {"subscription": subscription, "resource_group": group, "workspace": workspace, "job": name}
    return ArmRequest(
        context, JOB.format(**params), JOB, params, query={}, body={"properties": properties}, principal=principal
    )
