"""Drives a pipeline job to its end: begins each step as soon as what it needs has passed.

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
from azureml_local.arm.pipelines import graph, references, requests, steps
from azureml_local.engines.jobs.runner import JobError
from azureml_local.identity.tokens import Principal
from azureml_local.store import Resource

PASSED = "Completed"


async def run(context: Context, job: Resource) -> None:
    """Run a pipeline job to its end.

    Raises:
        JobError: a step did not complete.
    """
    await _Orchestration(context, job).run()


class _Orchestration:
    """One pipeline job under way.

    Args:
        context: the service's.
        job: the pipeline job.
    """

    def __init__(self, context: Context, job: Resource) -> None:
        self._context = context
        self._job = job
        self._steps: Mapping[str, Any] = job.body["plan"]["steps"]
        self._waiting: dict[asyncio.Task[None], str] = {}

    async def run(self) -> None:
        job_status.change(self._context, self._job.id, "Running")
        for step, child in self._children().items():
            if child.properties["status"] not in job_status.ENDED:
                self._wait_for(step, child)
        while True:
            for step in self._ready():
                self._wait_for(step, self._begin(step))
            if not self._waiting:
                break
            done, _ = await asyncio.wait(self._waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del self._waiting[task]
            if self._failed() and not self._settings["continue_on_step_failure"]:
                await self._cancel_steps()
                break
        self._note_outputs()
        self._require_passed()

    @property
    def _settings(self) -> Mapping[str, Any]:
        settings: Mapping[str, Any] = self._job.properties["settings"]
        return settings

    def _children(self) -> dict[str, Resource]:
        """Return the jobs that there are of steps."""
        children = self._context.store.children(JOB_TYPE, self._job.id)
        return {lineage.step(child) or "": child for child in children}

    def _ready(self) -> list[str]:
        children = self._children()
        needs = {name: step["needs"] for name, step in self._steps.items()}
        passed = [name for name, child in children.items() if child.properties["status"] == PASSED]
        return graph.ready(needs, children, passed)

    def _failed(self) -> list[str]:
        """Return the steps that have ended otherwise than well."""
        return [
            name
            for name, child in self._children().items()
            if child.properties["status"] in job_status.ENDED and child.properties["status"] != PASSED
        ]

    def _begin(self, name: str) -> Resource:
        """Store the job of a step, and begin to run it."""
        job, step, child = self._job, self._steps[name], str(uuid.uuid4())
        workspace_id = ids.workspace_of(job.id)
        sent = steps.properties(step, job.properties, (job.name, child), self._uri_of)
        body: dict[str, Any] = {"run": {"statusRevision": 0, **lineage.of_step(job, name)}}
        if "plan" in step:
            body["plan"] = step["plan"]
            sent["settings"] = self._settings
        request = request_for(self._context, workspace_id, child, sent, Principal("", job.created_by))
        job_requests.read(request)
        body["properties"] = requests.read(request) if "plan" in step else job_requests.read_step(request)
        if "parallel" in step:
            body["parallel"] = step["parallel"]
        return job_creation.create(self._context, f"{workspace_id}/jobs/{child}", job.id, body, job.created_by)

    def _uri_of(self, reference: references.StepOutput) -> str | None:
        child = self._children().get(reference.step)
        return job_places.output_uri(child, reference.name) if child else None

    def _wait_for(self, step: str, child: Resource) -> None:
        self._waiting[asyncio.ensure_future(self._context.job_runs.ended(child.id))] = step

    async def _cancel_steps(self) -> None:
        await asyncio.gather(*(self._context.job_runs.end(child.id) for child in self._children().values()))

    def _note_outputs(self) -> None:
        """Write where the pipeline's outputs lie: where the steps that promised them have put them."""
        store, places = self._context.store, {}
        for name, child in self._children().items():
            if child.properties["status"] == PASSED:
                for output, promised in self._steps[name]["promised"].items():
                    places[promised] = job_places.output_uri(child, output)
        with store.transaction():
            job = store.get(self._job.id)
            if job:
                job.body["run"]["places"] = places
                store.save(job)

    def _require_passed(self) -> None:
        """Raise where a step did not complete, in the words that Azure has for it."""
        failed = self._failed()
        if failed:
            nodes = ", ".join(f"/{name}" for name in failed)
            raise JobError(
                "UserError",
                f"Pipeline has failed child jobs. Failed nodes: {nodes}. For more details and logs, please go to the "
                "job detail page and check the child jobs.",
            )
