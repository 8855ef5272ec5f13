"""Writing a graph: as a pipeline job or component that a workspace takes, and as YAML."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml

from designer.declarations import LITERALS, Declaration
from designer.graph import Binding, FromInput, FromNode, Graph, GraphInput, Node
from designer.reading import dumped
from designer.rewriting.saved import is_saved
from designer.validation import validate

if TYPE_CHECKING:
    from azure.ai.ml.entities import PipelineComponent, PipelineJob

JOB_SCHEMA = "https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json"
COMPONENT_SCHEMA = "https://azuremlschemas.azureedge.net/latest/pipelineComponent.schema.json"
HERE = "./graph.yml"  # what local paths of a graph are relative to, where they are not whole
OF_A_JOB = (
    "compute",
    "settings",
    "experiment_name",
    "identity",
)  # what a pipeline's YAML has and a component's has not


def pipeline_job(graph: Graph, compute: str | None = None, experiment_name: str | None = None) -> PipelineJob:
    """Return a graph as a job: ``ml_client.jobs.create_or_update`` takes it.

    Args:
        graph: the graph.
        compute: where its steps run that do not say so themselves; None for what the graph says.
        experiment_name: what its runs are listed under.

    Raises:
        GraphError: it cannot be run; all reasons are named.
    """
    from azure.ai.ml import load_job

    validate(graph)
    job = cast("PipelineJob", load_job(io.StringIO(to_yaml(graph)), relative_origin=HERE))
    _give_names(job.jobs, graph)
    job.compute = compute or job.compute
    job.experiment_name = experiment_name or job.experiment_name
    return job


def pipeline_component(
    graph: Graph, name: str, *, version: str | None = None, inputs: Collection[str] | None = None
) -> PipelineComponent:
    """Return a graph as a component: what a batch endpoint deploys (``PipelineComponentBatchDeployment``).

    Args:
        graph: the graph.
        name: the component's.
        version: the component's; None lets the workspace count.
        inputs: the inputs for data that a caller names at each call: by default all but saved models, transformations
            and data, which are fixed. Literals have their defaults, and a caller may name others.

    Raises:
        GraphError: it cannot be run; all reasons are named.
    """
    from azure.ai.ml import load_component

    validate(graph, data_may_be_missing=True)
    fixed = {key: one for key, one in graph.inputs.items() if _is_fixed(key, one, inputs)}
    body = _pipeline(graph, fixed) | {
        "$schema": COMPONENT_SCHEMA,
        "name": name,
        "inputs": {key: _declared(one) for key, one in graph.inputs.items() if key not in fixed},
    }
    body |= {"version": version} if version else {}
    text = yaml.safe_dump({key: one for key, one in body.items() if key not in OF_A_JOB}, sort_keys=False)
    component = cast("PipelineComponent", load_component(io.StringIO(text), relative_origin=HERE))
    _give_names(component.jobs, graph)
    return component


def to_yaml(graph: Graph) -> str:
    """Return a graph as the YAML of a pipeline job, all that its components are in it."""
    body = {"$schema": JOB_SCHEMA} | _pipeline(graph)
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True)


def _is_fixed(name: str, one: GraphInput, inputs: Collection[str] | None) -> bool:
    if one.type in LITERALS:
        return False
    return is_saved(one) if inputs is None else name not in inputs


def _give_names(jobs: Mapping[str, Any], graph: Graph) -> None:
    """Name the components, whose names azure-ai-ml drops where they lie in a pipeline's YAML."""
    for name, job in jobs.items():
        declared = graph.nodes[name].component
        if not declared.id:
            job.component.name, job.component.version = declared.name, declared.version


def _pipeline(graph: Graph, fixed: Mapping[str, GraphInput] | None = None) -> dict[str, Any]:
    """Return a graph as YAML; ``fixed`` inputs are data that steps name themselves."""
    return {
        "type": "pipeline",
        "display_name": graph.name,
        **graph.settings,
        "inputs": {name: _input(one) for name, one in graph.inputs.items()},
        "outputs": {name: _output(graph, name) for name in graph.outputs},
        "jobs": {name: _step(graph, name, node, fixed or {}) for name, node in graph.nodes.items()},
    }


def _input(one: GraphInput) -> Any:
    if one.type in LITERALS:
        return {"type": one.type, "default": one.default, **one.settings} if one.settings else one.default
    return {"type": one.type, "path": one.path, **one.settings}


def _declared(one: GraphInput) -> dict[str, Any]:
    if one.type in LITERALS and one.default is not None:
        return {"type": one.type, "default": one.default, **one.settings}
    return {"type": one.type, **one.settings}


def _output(graph: Graph, name: str) -> dict[str, Any]:
    source = graph.outputs[name]
    declared = graph.nodes[source.node].component.outputs[source.port]
    return {"type": declared.type, **(graph.settings.get("outputs") or {}).get(name, {})}


def _step(graph: Graph, name: str, node: Node, fixed: Mapping[str, GraphInput]) -> dict[str, Any]:
    inputs, outputs = node.settings.get("inputs") or {}, node.settings.get("outputs") or {}
    rest = {key: value for key, value in node.settings.items() if key not in ("inputs", "outputs")}
    written = {port: _bound(one, inputs.get(port), fixed) for port, one in node.bindings.items()}
    returned = {port: f"${{{{parent.outputs.{output}}}}}" for output, port in _returned(graph, name)}
    merged = {port: outputs.get(port, {}) | ({"path": returned[port]} if port in returned else {}) for port in outputs}
    return {
        "type": node.component.body.get("type", "command"),
        "component": node.component.id or inlined(node.component),
        **rest,
        "inputs": written,
        "outputs": {**returned, **merged},
    }


def _returned(graph: Graph, node: str) -> Iterator[tuple[str, str]]:
    for output, source in graph.outputs.items():
        if source.node == node:
            yield output, source.port


def _bound(binding: Binding, settings: Mapping[str, Any] | None, fixed: Mapping[str, GraphInput]) -> Any:
    if not isinstance(binding, FromInput | FromNode):
        return binding
    if isinstance(binding, FromInput) and binding.name in fixed:
        return _input(fixed[binding.name])
    text = (
        f"${{{{parent.inputs.{binding.name}}}}}"
        if isinstance(binding, FromInput)
        else f"${{{{parent.jobs.{binding.node}.outputs.{binding.port}}}}}"
    )
    return {"path": text, **settings} if settings else text


def inlined(component: Declaration) -> Mapping[str, Any]:
    """Return a declaration as it can lie in a pipeline's YAML: with whole paths."""
    return _read(component.path) if component.path else component.body


@cache
def _read(path: Path) -> Mapping[str, Any]:
    from azure.ai.ml import load_component

    component = load_component(path)
    body = dumped(component)
    if includes := body.get("additional_includes"):
        body["additional_includes"] = [str((path.parent / one).resolve()) for one in includes]
    return body
