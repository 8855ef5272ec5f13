"""The status of a job, and what it brings with it: times, properties, the error that run history shows, log events.

A first status is written by :func:`begin`, every change of it made by :func:`change`. The statuses are those of
``JobStatus`` in the OpenAPI, stable/2025-12-01.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping
from typing import Any

from azureml_local.arm import ids
from azureml_local.arm.context import Context
from azureml_local.arm.jobs import lineage
from azureml_local.arm.jobs.job_places import JOB_TYPE
from azureml_local.arm.monitor.log_events import JobEvent, JobEventType, RunStatusEvent
from azureml_local.engines.mlflow_server.experiments import experiment_id
from azureml_local.store import Condition, Resource, Store, timestamp

FIRST = "Starting"
CANCEL_REQUESTED = "CancelRequested"
ENDED = ("Completed", "Failed", "Canceled")
# A job whose user code has ended is not cancelled any more.
NOT_CANCELED = ("Finalizing", *ENDED)
# The statuses of which AmlComputeJobEvent tells.
EVENTS: Mapping[str, JobEventType] = {
    FIRST: "JobSubmitted",
    "Running": "JobRunning",
    "Completed": "JobSucceeded",
    "Failed": "JobFailed",
    "Canceled": "JobCanceled",
}


def begin(context: Context, job: Resource) -> None:
    """Make the run of a job that was just stored, and tell of it; part of the store's present transaction."""
    properties = job.properties
    context.mlflow.create_run(
        ids.workspace_of(job.id),
        job.name,
        experiment=properties["experimentName"],
        display_name=properties["displayName"],
        user=job.created_by,
        tags={**properties["tags"], **lineage.tags(job)},
    )
    _tell(context, job)


def change(
    context: Context,
    job_id: str,
    status: str,
    error: dict[str, str] | None = None,
    also: Callable[[Resource], None] = lambda _: None,
) -> Resource | None:
    """Give a job another status, in one transaction with all that comes with it.

    A job that has ended stays as it is; one that is to be cancelled has no other status before its end.

    Args:
        context: the service's.
        job_id: the job's id.
        status: the new status.
        error: ``code`` and ``message`` of what made the job fail.
        also: called in the transaction with the job as it is then.

    Returns:
        the changed job; None where its status stays.
    """
    store = context.store
    with store.transaction():
        job = store.get(job_id)
        known = job.properties["status"] if job else status
        if job is None or known in (status, *ENDED) or (known == CANCEL_REQUESTED and status not in ENDED):
            return None
        run: dict[str, Any] = {**job.body["run"], "statusRevision": job.body["run"]["statusRevision"] + 1}
        properties = {**job.properties["properties"]}
        if status == "Running" and "startTime" not in run:
            run["startTime"] = timestamp()
            properties["StartTimeUtc"] = _plain_time()
        if status in ENDED:
            run["endTime"] = timestamp()
            properties["EndTimeUtc"] = _plain_time()
        if error:
            run["error"] = error
        changed = job.with_properties(status=status, properties=properties)
        changed.body["run"] = run
        store.save(changed)
        also(changed)
        context.mlflow.set_status(ids.workspace_of(job.id), job.name, status)
        _tell(context, changed)
        return changed


def _tell(context: Context, job: Resource) -> None:
    """Write the log events of a job's present status."""
    properties, error = job.properties, job.body["run"].get("error")
    workspace_id, status = ids.workspace_of(job.id), properties["status"]
    message = error["message"] if error else None
    run = RunStatusEvent(
        job.name, lineage.root(job), status, parent=lineage.parent(job), user=job.created_by, message=message
    )
    context.events.emit(workspace_id, run)
    has_compute = properties["jobType"] != "Pipeline" and not lineage.is_reused(job)
    if status in EVENTS and has_compute:
        event = JobEvent(
            EVENTS[status],
            job_id=job.name,
            job_name=properties["displayName"],
            experiment=properties["experimentName"],
            experiment_id=str(experiment_id(properties["experimentName"])),
            cluster_id=properties["computeId"],
            error_message=message,
            error_details=json.dumps(error) if error else None,
        )
        context.events.emit(workspace_id, event)


def unfinished(store: Store, workspace_id: str | None = None) -> list[Resource]:
    """Return the jobs of a workspace, or of all, that have not ended, oldest first."""
    marks = ", ".join("?" * len(ENDED))
    return store.select(
        JOB_TYPE, workspace_id, [Condition(f"json_extract(body, '$.properties.status') NOT IN ({marks})", ENDED)]
    )


def _plain_time() -> str:
    """Return the present time as Azure writes it into a job's properties, e.g. ``2026-03-31 18:14:56``."""
    return f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M:%S}"
