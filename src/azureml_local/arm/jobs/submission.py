"""Submits jobs: on a caller's request, and on behalf of whoever invoked a batch endpoint or wrote a schedule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from azureml_local.arm import ids
from azureml_local.arm.assets import assets
from azureml_local.arm.context import Context
from azureml_local.arm.jobs import job_creation, job_requests
from azureml_local.arm.pipelines import component_jobs, judging, source_jobs
from azureml_local.arm.pipelines import requests as pipeline_requests
from azureml_local.arm.request import ArmRequest
from azureml_local.http.errors import AzureError, said
from azureml_local.identity.tokens import Principal
from azureml_local.store import Resource

JOBS = ids.WORKSPACE + "/jobs"
JOB = JOBS + "/{job}"
BARE = ("displayName", "experimentName", "description", "tags")  # of a job that cannot be read


def read(request: ArmRequest) -> dict[str, Any]:
    """Return the ``properties`` of the job that a request's body describes, as they are stored.

    Raises:
        AzureError: 400 where it is no job, 501 where azureml-local lacks what it asks for.
    """
    component_jobs.complete(request)
    source_jobs.complete(request)
    kind = job_requests.read(request)
    return pipeline_requests.read(request) if kind == "Pipeline" else job_requests.read_command(request)


def submit(request: ArmRequest) -> Resource:
    """Store the new job that a request's body describes, and begin to run it.

    Raises:
        AzureError: 400 where it is no job or names what does not exist, 501 where azureml-local lacks what it asks for.
    """
    return job_creation.create(*_place(request), judge(request), request.principal.object_id)


def judge(request: ArmRequest) -> dict[str, Any]:
    """Return what is stored of the job that a request's body describes.

    Raises:
        AzureError: as :func:`submit` does.
    """
    body = _begun(request)
    if body["properties"]["jobType"] == "Pipeline":
        _require_readable_components(request, body["properties"])
        body["plan"] = judging.plan(request, body["properties"])
    else:
        job_requests.require_existing(request, body["properties"])
    return body


def _require_readable_components(request: ArmRequest, properties: dict[str, Any]) -> None:
    """Raise 403 where a pipeline names a component of a registry that its submitter may not read."""
    for node in (properties, *(properties["jobs"] or {}).values()):
        named = node.get("componentId") if isinstance(node, dict) else None
        assets.require_readable(request, named if isinstance(named, str) else None)


def submit_failed(request: ArmRequest, error: AzureError) -> Resource:
    """Store the job that a request's body describes as one that has failed before it ran.

    So who is not there to be answered finds what happened among the jobs.

    Args:
        request: would have been submitted; its body is that of a job.
        error: what it was refused with.
    """
    try:
        body = _begun(request)
    except AzureError:  # what it names is gone, without which it cannot be read: what it says of itself must do
        bare = {member: request.properties.get(member) for member in BARE} | {"jobType": "Pipeline"}
        body = _begun(replace(request, body={"properties": bare}))
    return job_creation.create_failed(
        *_place(request),
        body,
        request.principal.object_id,
        {"code": error.code, "message": said(error)},
    )


def _begun(request: ArmRequest) -> dict[str, Any]:
    return {"properties": read(request), "run": {"statusRevision": 0}}


def _place(request: ArmRequest) -> tuple[Context, str, str]:
    return request.context, JOB.format(**request.params), request.workspace_id


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
