"""Pipeline components that are made of a job: ``sourceJobId``, by which batch deployments use a job's pipeline again.

https://learn.microsoft.com/azure/machine-learning/how-to-use-batch-pipeline-from-job. What the job was given is the
default of each input, so that the pipeline can run again without any.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from azureml_local.arm.jobs import job_places
from azureml_local.arm.request import ArmRequest
from azureml_local.http.errors import FrontendError
from azureml_local.store import Resource

LITERAL = "literal"
# A job does not say of which type its literals are; the first that fits is taken.
LITERALS = {"integer": r"-?(0|[1-9]\d*)", "number": r"-?\d+(\.\d+)?([eE][+-]?\d+)?", "boolean": r"(?i:true|false)"}


def identified(request: ArmRequest) -> ArmRequest:
    """Return the request for an anonymous component of a job as one for a version of its own.

    azure-ai-ml asks for the same one for each job, ``azureml_anonymous`` in version 1
    (``BatchDeploymentOperations._validate_component``), and goes by the id in the answer.
    """
    source = (request.properties.get("componentSpec") or {}).get("sourceJobId")
    if not source or not request.properties.get("isAnonymous"):
        return request
    return replace(request, params={**request.params, "version": _name(str(source))})


def completed(request: ArmRequest, properties: dict[str, Any]) -> dict[str, Any]:
    """Return a component's ``properties`` with what the job has that it is made of; others as they are.

    Raises:
        FrontendError: 400, there is no such job, it is none of a pipeline, or the component is in a registry.
    """
    spec = properties["componentSpec"]
    source = spec.get("sourceJobId")
    if not source:
        return properties
    job = _pipeline(request, str(source))
    made = {
        "type": "pipeline",
        "inputs": {name: _input(given) for name, given in job.properties["inputs"].items()},
        "outputs": {
            name: {"type": given["jobOutputType"]}
            for name, given in job.properties["outputs"].items()
            if name != job_places.DEFAULT
        },
        "jobs": job.properties["jobs"],
    }
    kept = {name: value for name, value in spec.items() if value not in (None, {})}
    return {**properties, "componentSpec": {**made, **kept, "sourceJobId": job.name}}


def _name(source: str) -> str:
    return source.removeprefix("azureml:").rpartition("/")[2]


def _pipeline(request: ArmRequest, source: str) -> Resource:
    if "workspace" not in request.params:
        message = "properties.componentSpec.sourceJobId: a registry has no jobs. Make the component in the job's "
        raise FrontendError(400, "UserError", message + "workspace, then publish it to the registry without.")
    name = _name(source)
    job = request.context.store.get(f"{request.workspace_id}/jobs/{name}")
    if job is None or job.properties.get("jobType") != "Pipeline":
        what = f"Job {name} not found." if job is None else f"Job {name} is no pipeline job."
        raise FrontendError(400, "UserError", f"properties.componentSpec.sourceJobId: {what}")
    if not job.properties["jobs"]:
        what = f"Job {name} runs the component {job.properties['componentId']}: use that."
        raise FrontendError(400, "UserError", f"properties.componentSpec.sourceJobId: {what}")
    return job


def _input(given: Mapping[str, Any]) -> dict[str, Any]:
    if given["jobInputType"] != LITERAL:
        return {"type": given["jobInputType"], "default": given["uri"]}
    value = given["value"]
    kind = next((name for name, pattern in LITERALS.items() if re.fullmatch(pattern, value)), "string")
    return {"type": kind, "default": value}
