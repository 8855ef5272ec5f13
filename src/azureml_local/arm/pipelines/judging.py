"""Judges a pipeline when it is submitted: its graph, and each job that a step of it will be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from azureml_local.arm.jobs import job_requests, parallel_specs
from azureml_local.arm.pipelines import places, references, requests
from azureml_local.arm.pipelines.plans import Plan
from azureml_local.arm.pipelines.refusals import about
from azureml_local.arm.request import ArmRequest


def plan(request: ArmRequest, properties: dict[str, Any]) -> Plan:
    """Return the plan of a pipeline whose properties were read, after every step of it was judged.

    Raises:
        AzureError: 400 where it cannot be run, 501 where azureml-local lacks what it asks for.
    """
    made = requests.plan(request, properties)
    _judge(request, made, properties["settings"], ())
    return made


def _judge(request: ArmRequest, made: Plan, settings: Mapping[str, Any], within: tuple[str, ...]) -> None:
    for name, step in made["steps"].items():
        where = (*within, name)
        if "plan" in step:
            _judge(request, step["plan"], settings, where)
            continue
        with about(".".join(where)):
            if "parallel" in step:
                parallel_specs.read(step["parallel"], step["properties"]["inputs"], step["properties"]["outputs"])
            properties = _as_far_as_known(step["properties"], places.datastore_of(settings))
            _judge_job(request, properties, is_parallel="parallel" in step)


def _judge_job(request: ArmRequest, properties: dict[str, Any], *, is_parallel: bool) -> None:
    """Raise what a job with these properties would be refused with."""
    asked = replace(request, params={**request.params, "job": "step"}, body={"properties": properties})
    job_requests.read(asked)
    job_requests.require_existing(asked, job_requests.read_command(asked, is_parallel=is_parallel))


def _as_far_as_known(properties: Mapping[str, Any], datastore: str | None) -> dict[str, Any]:
    """Return a step's properties without the inputs that are known only when the step begins."""
    inputs = {
        name: given
        for name, given in properties["inputs"].items()
        if not any(references.within(given.get("uri") or given.get("value")))
    }
    # How many nodes a cluster has may change until the step begins; a step that asks for more fails then.
    resources = dict(properties.get("resources") or {})
    if isinstance(resources.get("instanceCount"), int):
        resources["instanceCount"] = min(resources["instanceCount"], 1)
    outputs = places.all_filled(properties["outputs"], "step", datastore)
    return {**properties, "inputs": inputs, "outputs": outputs, "resources": resources or None}
