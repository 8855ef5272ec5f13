"""Stores new jobs, and has them run."""

from __future__ import annotations

from typing import Any

from azureml_local.arm.context import Context
from azureml_local.arm.jobs import job_outputs, job_status
from azureml_local.arm.jobs.job_places import JOB_TYPE
from azureml_local.store import Resource


def create(context: Context, job_id: str, parent_id: str, body: dict[str, Any], principal: str) -> Resource:
    """Store a new job and begin to run it: both or neither.

    Args:
        context: the service's.
        job_id: the job's id.
        parent_id: of the workspace, or of the pipeline job whose step this is: a workspace's list leaves those out.
        body: the job's.
        principal: who submitted it.
    """
    with context.store.transaction():
        job = _store(context, job_id, parent_id, body, principal)
        context.store.after_commit(lambda: context.job_runs.start(job))
    return job


def create_ended(context: Context, job_id: str, parent_id: str, body: dict[str, Any], principal: str) -> Resource:
    """Store a new job that has completed already: what it would write is there. Its arguments are :func:`create`'s."""
    with context.store.transaction():
        job = _store(context, job_id, parent_id, body, principal)
        ended = job_status.change(context, job_id, "Completed", also=lambda job: job_outputs.register(context, job))
    return ended or job


def create_failed(
    context: Context, job_id: str, parent_id: str, body: dict[str, Any], principal: str, error: dict[str, str]
) -> Resource:
    """Store a new job that has failed before it ran.

    Args:
        context: the service's.
        job_id: the job's id.
        parent_id: of the workspace.
        body: the job's.
        principal: who would have submitted it.
        error: the ``code`` and ``message`` of why it did not run.
    """
    with context.store.transaction():
        job = _store(context, job_id, parent_id, body, principal)
        return job_status.change(context, job.id, "Failed", error) or job


def _store(context: Context, job_id: str, parent_id: str, body: dict[str, Any], principal: str) -> Resource:
    job = context.store.put(job_id, JOB_TYPE, parent_id, body, principal)
    job_status.begin(context, job)
    return job
