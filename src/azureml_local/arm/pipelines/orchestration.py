"""Drives a pipeline job to its end: begins each step as soon as what it needs is there.

Nothing is remembered but what is stored: after a restart of the service a pipeline goes on with the children that it
has. On Azure, too, a step has a job from when it begins, and one that never could begin has none
(https://learn.microsoft.com/python/api/azureml-pipeline-core/azureml.pipeline.core.run.pipelinerun, get_steps).
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

from azureml_local.arm import ids
from azureml_local.arm.context import Context
from azureml_local.arm.jobs import job_creation, job_places, job_requests, job_status, lineage
from azureml_local.arm.jobs.job_places import JOB_TYPE
from azureml_local.arm.jobs.submission import request_for
from azureml_local.arm.pipelines import control_outputs, references, requests, reuse, steps
from azureml_local.arm.pipelines.execution_log import ExecutionLog, text
from azureml_local.arm.pipelines.graph import Graph
from azureml_local.engines.jobs.runner import JobError
from azureml_local.http.errors import AzureError
from azureml_local.identity.tokens import Principal
from azureml_local.store import Resource

PASSED = "Completed"


async def run(context: Context, job: Resource) -> None:
    """Run a pipeline job to its end.

    Raises:
        JobError: a step did not complete.
        AzureError: something that a step is made of is gone.
    """
    log = ExecutionLog(context.blobs, job.name)
    try:
        await _Orchestration(context, job, log).run()
    finally:
        await log.close()


class _Children:
    """The jobs that a pipeline's steps have at one moment, by the steps' names."""

    def __init__(self, jobs: dict[str, Resource]) -> None:
        self.jobs = jobs

    @property
    def unfinished(self) -> list[Resource]:
        return [job for job in self.jobs.values() if _status(job) not in job_status.ENDED]

    @property
    def passed(self) -> list[str]:
        return [step for step, job in self.jobs.items() if _status(job) == PASSED]

    @property
    def failed(self) -> list[str]:
        return [step for step, job in self.jobs.items() if _status(job) in job_status.ENDED and _status(job) != PASSED]

    def uri_of(self, reference: references.StepOutput) -> str | None:
        """Return where a step's output lies; None where the step did not complete."""
        job = self.jobs.get(reference.step)
        return job_places.output_uri(job, reference.name) if job and _status(job) == PASSED else None

    def value_of(self, reference: references.StepOutput) -> str | None:
        """Return the value that a step has said for an output; None where the step did not complete.

        Raises:
            JobError: it completed, and did not say it.
        """
        job = self.jobs.get(reference.step)
        if job is None or _status(job) != PASSED:
            return None
        values = control_outputs.values(job)
        if reference.name not in values:
            raise JobError(
                "UserError",
                f"Step '{reference.step}' has completed without a value for its output '{reference.name}': its run has "
                f"none in the property {control_outputs.PROPERTY}.",
            )
        return values[reference.name]


class _Orchestration:
    """One pipeline job under way.

    Args:
        context: the service's.
        job: the pipeline job.
        log: its log.
    """

    def __init__(self, context: Context, job: Resource, log: ExecutionLog) -> None:
        self._context = context
        self._job = job
        self._log = log
        self._workspace_id = ids.workspace_of(job.id)
        self._settings: Mapping[str, Any] = job.properties["settings"]
        self._steps: Mapping[str, Any] = job.body["plan"]["steps"]
        spares = self._settings["continue_run_on_failed_optional_input"]
        self._graph = Graph(
            {name: step["needs"] for name, step in self._steps.items()},
            {name: step["spares"] if spares else () for name, step in self._steps.items()},
        )

    async def run(self) -> None:
        job_status.change(self._context, self._job.id, "Running")
        try:
            await self._run_steps()
        except Exception:
            await self._context.job_runs.end_below(self._job.id)
            raise
        children = self._children()
        self._log.write(text(children.jobs.values()))
        self._note_outputs(children)
        self._require_passed(children)

    async def _run_steps(self) -> None:
        waiting: dict[str, asyncio.Task[None]] = {}
        try:
            while await self._go_on(waiting):
                await asyncio.wait(waiting.values(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting.values():
                task.cancel()

    async def _go_on(self, waiting: dict[str, asyncio.Task[None]]) -> bool:
        """Begin what can begin, and say whether there is something to wait for.

        Args:
            waiting: the tasks that wait for the jobs of steps, by the jobs' keys; is changed.
        """
        children = self._children()
        if children.failed and not self._settings["continue_on_step_failure"]:
            await self._context.job_runs.end_below(self._job.id)
            return False
        await self._begin_ready(children)
        self._log.write(text(children.jobs.values()))
        unfinished = {job.key: job for job in children.unfinished}
        for key in waiting.keys() - unfinished.keys():
            del waiting[key]
        for key in unfinished.keys() - waiting.keys():
            waiting[key] = asyncio.ensure_future(self._context.job_runs.ended(unfinished[key].id))
        return bool(waiting)

    def _children(self) -> _Children:
        children = self._context.store.children(JOB_TYPE, self._job.id)
        return _Children({lineage.step(child) or "": child for child in children})

    async def _begin_ready(self, children: _Children) -> None:
        """Begin every step that can begin, and add its job to ``children``.

        One that takes over what an earlier run has left has ended at once, so that others can begin then.
        """
        while ready := self._graph.ready(children.jobs, children.passed, children.failed):
            for step in ready:
                if self._is_to_end():
                    return
                children.jobs[step] = self._begin(step, children)
                await asyncio.sleep(0)  # whoever asks the service meanwhile does not wait for all of them

    def _is_to_end(self) -> bool:
        """Say whether the pipeline is being cancelled or deleted: whoever does that ends the steps that it has."""
        job = self._context.store.get(self._job.id)
        return job is None or _status(job) in (job_status.CANCEL_REQUESTED, *job_status.ENDED)

    def _begin(self, name: str, children: _Children) -> Resource:
        """Store the job of a step, and begin to run it, or take over what an earlier run of it has left."""
        child = str(uuid.uuid4())
        body = self._body(name, child, children)
        reusable = self._reuse_key(name, body)
        original = reuse.find(self._context, self._workspace_id, reusable) if reusable else None
        create = job_creation.create
        if original:
            body["run"] |= reuse.taken_over(original)
            body["properties"]["properties"] |= reuse.shown(original)
            create = job_creation.create_ended
        elif reusable:
            body["run"]["reuseKey"] = reusable
        return create(self._context, f"{self._workspace_id}/jobs/{child}", self._job.id, body, self._job.created_by)

    def _reuse_key(self, name: str, body: Mapping[str, Any]) -> str | None:
        """Return by what another run of a step is known to be the same; None where none can take its place."""
        step = self._steps[name]
        if "plan" in step or not step["isDeterministic"] or self._settings["force_rerun"]:
            return None
        try:
            return reuse.key(self._context, self._workspace_id, step, body["properties"])
        except AzureError:  # something that the step is made of is gone: its job fails, and says what
            return None

    def _body(self, name: str, child: str, children: _Children) -> dict[str, Any]:
        """Return the job of a step as it is stored."""
        job, step = self._job, self._steps[name]
        sent = steps.properties(step, job.properties, (job.name, child), children.uri_of, children.value_of)
        body: dict[str, Any] = {"run": {"statusRevision": 0, **lineage.of_step(job, name, step["module"])}}
        if "plan" in step:
            body["plan"] = step["plan"]
            sent |= {"settings": self._settings, "computeId": job.properties["computeId"]}
        if "parallel" in step:
            body["parallel"] = step["parallel"]
        request = request_for(self._context, self._workspace_id, child, sent, Principal("", job.created_by))
        job_requests.read(request)
        body["properties"] = (
            requests.read(request)
            if "plan" in step
            else job_requests.read_command(request, is_parallel="parallel" in step)
        )
        return body

    def _note_outputs(self, children: _Children) -> None:
        """Write where the pipeline's outputs lie: where the steps that promised them have put them."""
        places = {
            promised: job_places.output_uri(children.jobs[step], output)
            for step in children.passed
            for output, promised in self._steps[step]["promised"].items()
        }
        passed = [(children.jobs[step], self._steps[step]["promised"]) for step in children.passed]
        values = control_outputs.promised(passed)
        store = self._context.store
        with store.transaction():
            job = store.get(self._job.id)
            if job:
                job.body["run"]["places"] = places
                job.properties["properties"].update(values)
                store.save(job)

    def _require_passed(self, children: _Children) -> None:
        """Raise where a step did not complete, in the words that Azure has for it."""
        if children.failed:
            nodes = ", ".join(f"/{name}" for name in children.failed)
            raise JobError(
                "UserError",
                f"Pipeline has failed child jobs. Failed nodes: {nodes}. For more details and logs, please go to the "
                "job detail page and check the child jobs.",
            )


def _status(job: Resource) -> str:
    status: str = job.properties["status"]
    return status
