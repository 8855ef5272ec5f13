"""The nodes of pipelines, each with its component: what one is given, and the job that it will be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from azureml_local.arm.jobs.job_specs import LITERAL
from azureml_local.arm.pipelines import control_outputs, interfaces, references, settings
from azureml_local.arm.pipelines.interfaces import InterfaceError

COMMAND, PARALLEL, PIPELINE = "command", "parallel", "pipeline"
# What a parallel node or component says beside its inputs and outputs.
PARALLEL_SETTINGS = (
    "task",
    "input_data",
    "mini_batch_size",
    "partition_keys",
    "error_threshold",
    "mini_batch_error_threshold",
    "max_concurrency_per_instance",
    "retry_settings",
    "logging_level",
)


@dataclass(frozen=True)
class Node:
    """A node with its component.

    Args:
        kind: its type.
        sent: as azure-ai-ml sends it.
        spec: the component's specification.
        inputs: what the component takes.
        outputs: what it gives: ``type`` and ``mode`` of each.
    """

    kind: str
    sent: Mapping[str, Any]
    spec: Mapping[str, Any]
    inputs: Mapping[str, interfaces.Input]
    outputs: Mapping[str, Mapping[str, Any]]

    @property
    def given(self) -> dict[str, Any]:
        """What is sent for its inputs, those of groups by their names with dots; ones without a value are left out."""
        sent = self.sent.get("inputs") or {}
        return {name: one for name, one in sent.items() if one is not None and _has_value(one)}

    def needs(self, *, optional: bool = True) -> set[str]:
        """Return the steps whose outputs it is given, with or without those for its optional inputs."""
        given = {name: one for name, one in self.given.items() if optional or not self.inputs[name].optional}
        return {one.step for one in references.within(given) if isinstance(one, references.StepOutput)}

    def job_inputs(self) -> dict[str, Any]:
        """Return its inputs in the form of a job's; what refers to something else is in ``value`` or ``uri``."""
        given = self.given
        found = {name: _job_input(declared, given.get(name)) for name, declared in self.inputs.items()}
        return {name: one for name, one in found.items() if one}

    def job_outputs(self) -> dict[str, Any]:
        """Return its outputs in the form of a job's. Raises InterfaceError where the component has no such output."""
        sent = self.sent.get("outputs") or {}
        unknown = [name for name in sent if name not in self.outputs]
        if unknown:
            known = listed(self.outputs)
            raise InterfaceError(f"there is no output '{unknown[0]}'; the component's outputs are: {known}")
        return {name: _job_output(declared, sent.get(name) or {}) for name, declared in self.outputs.items()}

    def settings(self) -> dict[str, Any]:
        """Return what is sent beside its inputs and outputs."""
        return {name: value for name, value in self.sent.items() if name not in ("inputs", "outputs")}


def of_command(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a command component says of the job that it will be, beside its settings."""
    return {
        "command": spec.get("command"),
        "codeId": _plain_id(spec.get("code")),
        "environmentId": _plain_id(spec.get("environment")),
    }


def of_parallel(sent: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job can say of a parallel step; the rest of it is in the step's ``parallel``.

    Where there is no script, it runs the model.
    """
    task = parallel(sent, spec).get("task") or {}
    script, arguments = task.get("entry_script") or task.get("model"), task.get("program_arguments")
    return {
        "command": " ".join(part for part in (script, arguments) if part) or None,
        "codeId": _plain_id(task.get("code")),
        "environmentId": _plain_id(task.get("environment")),
    }


def parallel(sent: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a parallel node, or else its component, says of how its input is split and worked on."""
    found = {name: sent.get(name, spec.get(name)) for name in PARALLEL_SETTINGS}
    return {name: value for name, value in found.items() if value is not None}


def _plain_id(asset_id: str | None) -> str | None:
    """Return an asset's id without the ``azureml:`` that YAML has before it; ``azureml://registries/…`` is whole."""
    prefixed = ("azureml:/subscriptions/", "azureml:azureml:")
    return asset_id.removeprefix("azureml:") if asset_id and asset_id.startswith(prefixed) else asset_id


def listed(names: Iterable[str]) -> str:
    """Return names for a sentence."""
    return ", ".join(names) or "none"


def _has_value(given: Mapping[str, Any]) -> bool:
    return given.get("value") is not None or given.get("uri") is not None


def _job_input(declared: interfaces.Input, sent: Mapping[str, Any] | None) -> dict[str, Any] | None:
    given = sent or {"value": declared.default}
    if given.get("value", given.get("uri")) is None:
        return None
    if not declared.is_data:
        return {"jobInputType": LITERAL, "value": str(given["value"])}
    return {
        "jobInputType": given["job_input_type"] if given.get("uri") else declared.kind,
        "uri": given.get("uri") or given["value"],
        "mode": settings.input_mode(given.get("mode")) or settings.input_mode(declared.mode),
    }


def _job_output(declared: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "jobOutputType": control_outputs.job_output_type(sent.get("job_output_type") or declared["type"]),
        "uri": sent.get("uri"),
        "mode": settings.output_mode(sent.get("mode")) or settings.output_mode(declared["mode"]),
        "assetName": sent.get("name"),
        "assetVersion": sent.get("version"),
    }
