"""The job that a step of a pipeline is, once all that it waited for is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from azureml_local.arm.jobs.job_places import DEFAULT
from azureml_local.arm.jobs.job_specs import LITERAL
from azureml_local.arm.pipelines import places, references

# Returns where another step's output lies, or which value it is; None where there is none, because that step failed.
OutputOf = Callable[[references.StepOutput], str | None]


def properties(
    step: Mapping[str, Any], pipeline: Mapping[str, Any], names: tuple[str, str], uri_of: OutputOf, value_of: OutputOf
) -> dict[str, Any]:
    """Return the properties to submit a step with.

    Args:
        step: of a plan.
        pipeline: the pipeline job's properties.
        names: of the pipeline's job, and of the step's.
        uri_of: where another step's output lies.
        value_of: which value it is, where it is one.
    """
    planned = step["properties"]
    inputs = {name: _input(one, pipeline["inputs"], uri_of, value_of) for name, one in planned["inputs"].items()}
    return {
        **planned,
        "inputs": {name: one for name, one in inputs.items() if one},
        "outputs": _outputs(step, pipeline, names),
    }


def _input(
    planned: Mapping[str, Any], inputs: Mapping[str, Any], uri_of: OutputOf, value_of: OutputOf
) -> dict[str, Any] | None:
    """Return an input of the job; None where it is optional, and there is nothing for it."""
    reference = references.parse(planned.get("value") or planned.get("uri"))
    if isinstance(reference, references.StepOutput) and planned["jobInputType"] == LITERAL:
        value = value_of(reference)
        return None if value is None else {**planned, "value": value}
    if isinstance(reference, references.StepOutput):
        uri = uri_of(reference)
        return {**planned, "uri": uri} if uri else None
    if isinstance(reference, references.Input):
        given = inputs.get(reference.name)
        if given is None or given["jobInputType"] == LITERAL:
            return given and {"jobInputType": LITERAL, "value": given["value"]}
        return {
            **planned,
            "jobInputType": given["jobInputType"],
            "uri": given["uri"],
            "mode": planned["mode"] or given["mode"],
        }
    if "value" in planned:
        return {**planned, "value": references.replaced(planned["value"], lambda one: _literal(one, inputs))}
    return dict(planned)


def _literal(reference: references.Reference, inputs: Mapping[str, Any]) -> str:
    """Return the literal that a reference stands for; what it can be was judged with the plan."""
    assert isinstance(reference, references.Input)  # noqa: S101 - judged with the plan
    return str(inputs[reference.name]["value"])


def _outputs(step: Mapping[str, Any], pipeline: Mapping[str, Any], names: tuple[str, str]) -> dict[str, Any]:
    of_pipeline, job = names
    datastore = places.datastore_of(pipeline["settings"])
    outputs = {}
    for name, planned in step["properties"]["outputs"].items():
        if name == DEFAULT:
            continue
        promised = pipeline["outputs"].get(step["promised"].get(name), {})
        uri = places.filled(planned["uri"], job, name, datastore)
        if promised.get("uri"):
            uri = places.filled(promised["uri"], of_pipeline, step["promised"][name], datastore)
        outputs[name] = {**planned, "uri": uri, "mode": promised.get("mode") or planned["mode"]}
    return outputs
