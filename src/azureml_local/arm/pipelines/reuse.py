"""Reuse: a step that an earlier pipeline has run with the same of everything takes over what that has left.

https://learn.microsoft.com/azure/machine-learning/how-to-debug-pipeline-reuse-issues: the component is deterministic,
neither pipeline was forced to run anew, and code, environment, inputs, parameters, settings of outputs and of the run
are the same. Data is the same where its address is: what azure-ai-ml uploads has its content's hash in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from azureml_local.arm import ids
from azureml_local.arm.assets import assets
from azureml_local.arm.context import Context
from azureml_local.arm.jobs import job_places, lineage
from azureml_local.arm.jobs.job_specs import LITERAL, resolve_input
from azureml_local.arm.pipelines import control_outputs
from azureml_local.store import Resource, timestamp

TYPE = "workspaces/reusableSteps"  # by their keys: which job has run such a step
# What a run is made of, of a job's properties; inputs, outputs and the environment are looked at more closely.
PARTS = (
    "command",
    "codeId",
    "computeId",
    "distribution",
    "environmentVariables",
    "identity",
    "limits",
    "queueSettings",
    "resources",
)


def key(context: Context, workspace_id: str, step: Mapping[str, Any], properties: Mapping[str, Any]) -> str:
    """Return what two jobs of steps have in common where one can take the other's place.

    Args:
        context: the service's.
        workspace_id: where the job is.
        step: of the plan; where its outputs go is as planned, not as it turned out.
        properties: of the job.

    Raises:
        AzureError: its environment, or data that is an asset, does not exist any more.
    """
    inputs = {
        name: given
        if given["jobInputType"] == LITERAL
        else {**given, "uri": resolve_input(context, workspace_id, given)}
        for name, given in properties["inputs"].items()
    }
    made_of = {
        **{name: properties[name] for name in PARTS},
        "environment": assets.environment(context, properties["environmentId"]),
        "inputs": inputs,
        "outputs": {
            name: [one["jobOutputType"], one["mode"], one["uri"]] for name, one in step["properties"]["outputs"].items()
        },
        "parallel": step.get("parallel"),
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def remember(context: Context, job: Resource) -> None:
    """Note that a job that has completed can be taken over; part of the store's present transaction."""
    reusable = job.body["run"].get("reuseKey")
    if reusable:
        workspace_id = ids.workspace_of(job.id)
        context.store.put(_id(workspace_id, reusable), TYPE, workspace_id, {"job": job.id}, job.created_by)


def find(context: Context, workspace_id: str, reusable: str) -> Resource | None:
    """Return the job whose outputs can be taken over; None where there is none, or none any more."""
    noted = context.store.get(_id(workspace_id, reusable))
    return context.store.get(noted.body["job"]) if noted else None


def taken_over(original: Resource) -> dict[str, Any]:
    """Return what the run of a job says that takes over the outputs of another."""
    outputs = [name for name in original.properties["outputs"] if name != job_places.DEFAULT]
    return {
        "startTime": timestamp(),
        "places": {name: job_places.output_uri(original, name) for name in outputs},
        "reused": original.name,
    }


def shown(original: Resource) -> dict[str, str]:
    """Return the properties by which Azure ML shows that a job has taken over the outputs of another."""
    pipeline = lineage.parent(original) or ""
    said = original.properties["properties"].get(control_outputs.PROPERTY)
    return {
        **({control_outputs.PROPERTY: said} if said else {}),
        "azureml.isreused": "true",
        "azureml.reusedrunid": original.name,
        "azureml.reusednodeid": lineage.node_id(original),
        "azureml.reusedpipeline": pipeline,
        "azureml.reusedpipelinerunid": pipeline,
    }


def _id(workspace_id: str, reusable: str) -> str:
    return f"{workspace_id}/reusableSteps/{reusable}"
