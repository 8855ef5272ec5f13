"""Drives stored jobs to their ends, each by a task; the store says how each stands.

A job outlives the service's process: what its end cut off is run again at the next start, as a further attempt.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping

from azureml_local.arm import ids
from azureml_local.arm.context import Context
from azureml_local.arm.jobs import job_outputs, job_specs, job_status, lineage, parallel_specs
from azureml_local.arm.jobs.job_computes import pool_for
from azureml_local.arm.jobs.job_places import JOB_TYPE
from azureml_local.arm.pipelines import orchestration, reuse
from azureml_local.engines.compute.pool import AllocationError
from azureml_local.engines.jobs.execution import SERVICE_FAILED
from azureml_local.engines.jobs.runner import JobError
from azureml_local.http.errors import AzureError
from azureml_local.store import Resource, once_written

logger = logging.getLogger(__name__)


class JobRuns:
    """The jobs that have not ended, each driven by a task."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[str] = set()  # jobs that no task drives, and that are being ended
        self._ends: dict[str, asyncio.Future[None]] = {}  # of jobs whose end is waited for

        async def cancel(job: Resource) -> None:
            await self.end(job.id)

        async def delete(job: Resource) -> None:
            await self.end(job.id)
            with context.store.transaction():
                self._delete(job)

        context.operations.register("jobs/cancel", cancel, keeps_state=True)
        context.operations.register("jobs/delete", delete, keeps_state=True)

    def _delete(self, job: Resource) -> None:
        """Delete a job that has ended, with the jobs of its steps; part of the store's present transaction."""
        for child in self._context.store.children(JOB_TYPE, job.id):
            self._delete(child)
        self._context.store.delete(job.id)
        self._context.mlflow.delete_run(ids.workspace_of(job.id), job.name)

    def start(self, job: Resource) -> None:
        """Begin to run a job, or go on after a restart of the service."""
        task = asyncio.get_running_loop().create_task(self._drive(job))
        self._tasks[job.key] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.key, None))

    async def resume(self) -> None:
        """Run the jobs again that the end of the service cut off, and forget what is left of others.

        Those to be cancelled are ended by that operation, as are those that are deleted, or whose workspace is: such
        operations, cut off as well, go on while this waits.
        """
        store = self._context.store
        await self._context.runner.forget_all_but([job.id for job in job_status.unfinished(store)])
        for job in job_status.unfinished(store):
            if job.properties["status"] != job_status.CANCEL_REQUESTED and job.key not in self._ending:
                self.start(job)

    async def ended(self, job_id: str) -> None:
        """Return once a job has ended, and its end is written."""
        job = self._context.store.get(job_id)
        if job and job.properties["status"] not in job_status.ENDED:
            end = self._ends.setdefault(job.key, asyncio.get_running_loop().create_future())
            await asyncio.shield(end)

    async def end(self, job_id: str) -> None:
        """Cancel a job and the steps that it has, and return once all have ended and nothing of them runs."""
        key = job_id.lower()
        task = self._tasks.get(key)
        job = self._context.store.get(job_id)
        if task is None:
            self._ending.add(key)
        try:
            if task:
                task.cancel("the job was cancelled")
                await asyncio.wait([task])
            elif job and job.properties["status"] not in job_status.ENDED:  # the service ended meanwhile
                await self._abandon(job)
            if job:  # what drives a pipeline has ended: it begins no further step
                await self.end_below(job.id)
            await self._end(lambda: job_status.change(self._context, job_id, "Canceled"), job_id)
        finally:
            self._ending.discard(key)

    async def _abandon(self, job: Resource) -> None:
        """End what is left of a job that no task drives, and keep what it has written where that has a place."""
        if job.properties["jobType"] == "Pipeline":  # whose steps are jobs of their own
            return
        try:
            outputs = job_specs.outputs(self._context, job)
        except AzureError as failure:
            logger.warning("outputs of the cancelled job %s are not in storage: %s", job.id, failure.message)
            outputs = {}
        await self._context.runner.abandon(job.id, outputs)

    async def end_below(self, parent_id: str) -> None:
        """Cancel the jobs of a workspace, or of a pipeline's steps, and return once nothing of them runs."""
        jobs = job_status.unfinished(self._context.store, parent_id)
        await asyncio.gather(*(self.end(job.id) for job in jobs))

    async def close(self) -> None:
        """Stop the jobs; they are run again at the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel("the service ends")
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _drive(self, job: Resource) -> None:
        """Run a job and write how it ended. Who cancels this task writes the end, or leaves the job to be resumed."""
        error: JobError
        try:
            await self._run(job)
            await self._end(lambda: self._complete(job.id), job.id)
            return
        except JobError as failure:
            error = failure
        except (
            AllocationError,
            AzureError,
        ) as failure:  # it can never have its nodes, or something that it names is gone
            await self._context.runner.abandon(job.id, {})  # of a former life of the service
            error = JobError("UserError", str(failure))
        except Exception:
            logger.exception("job %s failed in the service", job.id)
            error = JobError("ServiceError", SERVICE_FAILED)
        details = {"code": error.code, "message": str(error)}
        await self._end(lambda: job_status.change(self._context, job.id, error.status, details), job.id)

    async def _run(self, job: Resource) -> None:
        """Run a job to its end. Raises JobError or AzureError where it fails."""
        if job.properties["jobType"] == "Pipeline":
            await orchestration.run(self._context, job)
            return
        pool = pool_for(self._context, job)
        spec = job_specs.command_spec(self._context, job)
        await self._context.runner.run(
            spec, pool, lambda status: self._observe(job.id, status), lambda metrics: self._log_metrics(job, metrics)
        )

    def _complete(self, job_id: str) -> None:
        """Write that a job has completed, and register its outputs: both or neither."""
        job_status.change(self._context, job_id, "Completed", also=self._keep)

    def _keep(self, job: Resource) -> None:
        job_outputs.register(self._context, job)
        reuse.remember(self._context, job)

    def _observe(self, job_id: str, status: str) -> None:
        """Write a status on the way. Where the disk is full it is left out: the job goes on, and its end is written."""
        try:
            job_status.change(self._context, job_id, status)
        except sqlite3.OperationalError as failure:
            logger.error("that job %s is %s cannot be written: %s", job_id, status, failure)

    def _log_metrics(self, job: Resource, metrics: Mapping[str, float]) -> None:
        """Give a job's run what was measured of it. Where the disk is full it is left out, as statuses are."""
        task = parallel_specs.task(job)
        above = lineage.parent(job) if task and task.pushes_metrics else None
        try:
            with self._context.store.transaction():
                for run in (job.name, above):
                    if run:
                        self._context.mlflow.log_metrics(ids.workspace_of(job.id), run, metrics)
        except sqlite3.OperationalError as failure:
            logger.error("metrics of job %s cannot be written: %s", job.id, failure)

    async def _end(self, write: Callable[[], object], job_id: str) -> None:
        """Write a job's end as soon as it can be written, and forget what it has left."""
        await once_written(write, f"the end of job {job_id}")
        await self._context.runner.forget(job_id)
        waited_for = self._ends.pop(job_id.lower(), None)
        if waited_for:
            waited_for.set_result(None)
