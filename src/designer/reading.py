"""Reading a graph: from a pipeline job, sent or not, or its YAML."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml

from designer.declarations import ANY, Declaration, Parameter, declaration
from designer.errors import GraphError, Problem
from designer.graph import Binding, FromInput, FromNode, Graph, GraphInput, Literal, Node
from designer.literals import literal

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Job, PipelineJob

Find = Callable[[str], Declaration]
# https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-pipeline#expression-syntax
FROM_INPUT = re.compile(r"\s*\$\{\{\s*parent\.inputs\.([\w.]+)\s*\}\}\s*")
FROM_NODE = re.compile(r"\s*\$\{\{\s*parent\.jobs\.(\w+)\.outputs\.(\w+)\s*\}\}\s*")
TO_OUTPUT = re.compile(r"\s*\$\{\{\s*parent\.outputs\.(\w+)\s*\}\}\s*")
# What a job that was sent says of itself, and no new one can be given.
OF_THE_RUN = ("name", "id", "status", "services", "creation_context", "properties", "resourceGroup", "$schema", "type")
LOGS = "default"  # an output of every job that was sent
PYTHON_TYPES: Mapping[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}


def read_graph(source: PipelineJob | Path | str) -> Graph:
    """Read the graph of a pipeline: a job made with ``@dsl.pipeline``, or a YAML file or its text.

    Data that a step names itself becomes an input of the graph, called ``<node>_<port>``.

    Args:
        source: the job; or the file's path; or YAML.

    Raises:
        GraphError: a component lies in a workspace: ``graph_of_job`` fetches it.
    """
    return _graph(_body(source), _not_here)


def graph_of_job(ml_client: MLClient, job: Job | str) -> Graph:
    """Read the graph of a job in a workspace, which also has the components that its steps name.

    Args:
        ml_client: the connected workspace.
        job: the pipeline job, or its name.

    Raises:
        GraphError: it is no pipeline.
    """
    found = ml_client.jobs.get(job if isinstance(job, str) else job.name)
    if found.type != "pipeline":
        raise GraphError(Problem(f"The job {found.name} is of type {found.type}; only a pipeline has a graph."))
    return _graph(_body(found), _Workspace(ml_client).find)


def _not_here(reference: str) -> Declaration:
    raise GraphError(
        Problem(f"The component {reference} lies in a workspace: graph_of_job(ml_client, job) fetches it.")
    )


class _Workspace:
    """Fetches components, each once."""

    def __init__(self, ml_client: MLClient) -> None:
        self._ml_client = ml_client
        self._found: dict[str, Declaration] = {}

    def find(self, reference: str) -> Declaration:
        """Return a component's declaration by ``azureml:<name>:<version>``."""
        if reference not in self._found:
            self._found[reference] = self._fetch(reference)
        return self._found[reference]

    def _fetch(self, reference: str) -> Declaration:
        name, _, version = reference.removeprefix("azureml:").rpartition(":")
        component = self._ml_client.components.get(name, version)
        return declaration(dumped(component), id=reference)


def dumped(entity: Any) -> dict[str, Any]:
    """Return what a job's or component's YAML says."""
    text = io.StringIO()
    entity.dump(text)
    body: dict[str, Any] = yaml.safe_load(text.getvalue())
    return body


def _body(source: PipelineJob | Path | str) -> dict[str, Any]:
    """Return a pipeline's YAML, each of its components in it or named."""
    if not isinstance(source, str | Path):
        return dumped(source)
    from azure.ai.ml import load_job

    is_text = isinstance(source, str) and "\n" in source
    text = str(source) if is_text else Path(source).read_text(encoding="utf-8")
    folder = Path.cwd() if is_text else Path(source).resolve().parent
    body = dumped(load_job(io.StringIO(text), relative_origin=str(folder)))
    for name, job in (yaml.safe_load(text).get("jobs") or {}).items():
        component = job.get("component")
        if isinstance(component, dict) and isinstance(body["jobs"][name]["component"], dict):
            # azure-ai-ml drops the names of components that lie in the pipeline's YAML.
            names = {key: component[key] for key in ("name", "version") if key in component}
            body["jobs"][name]["component"] |= names
    return body


def _graph(body: Mapping[str, Any], find: Find) -> Graph:
    jobs = body.get("jobs") or {}
    declarations = {name: _declaration(job, find) for name, job in jobs.items()}
    nodes = {name: _node(name, job, declarations[name]) for name, job in jobs.items()}
    inputs = {name: _input(name, value, nodes.values()) for name, value in (body.get("inputs") or {}).items()}
    for name, job in jobs.items():
        inputs |= {f"{name}_{port}": _own(value, declarations[name], port) for port, value in _own_data(job)}
    outputs = dict(_outputs(jobs))
    rest = {key: value for key, value in body.items() if key not in (*OF_THE_RUN, "display_name", "inputs", "jobs")}
    rest["outputs"] = {name: one for name, one in (body.get("outputs") or {}).items() if one and name in outputs}
    settings = {key: value for key, value in rest.items() if value not in (None, {}, [])}
    name = str(body.get("display_name") or body.get("name") or "pipeline")
    return Graph(name, nodes, inputs, outputs, settings)


def _declaration(job: Mapping[str, Any], find: Find) -> Declaration:
    component = job["component"]
    return find(component) if isinstance(component, str) else declaration(component)


def _node(name: str, job: Mapping[str, Any], component: Declaration) -> Node:
    bindings: dict[str, Binding] = {}
    settings = {key: value for key, value in job.items() if key not in ("component", "inputs", "outputs", "type")}
    for port, value in (job.get("inputs") or {}).items():
        bindings[port] = _binding(name, port, value, component.parameters.get(port))
        if (
            isinstance(value, dict)
            and value.keys() - {"path", "type"}
            and isinstance(bindings[port], FromInput | FromNode)
        ):
            modes = {key: one for key, one in value.items() if key not in ("path", "type")}
            settings.setdefault("inputs", {})[port] = modes
    for port, value in (job.get("outputs") or {}).items():
        if isinstance(value, dict) and (kept := {key: one for key, one in value.items() if not _is_output(one)}):
            settings.setdefault("outputs", {})[port] = kept
    return Node(component, bindings, {key: value for key, value in settings.items() if value not in (None, {}, [])})


def _is_output(value: Any) -> bool:
    return isinstance(value, str) and TO_OUTPUT.fullmatch(value) is not None


def _binding(node: str, port: str, value: Any, parameter: Parameter | None) -> Binding:
    text = value.get("path") if isinstance(value, dict) else value
    if isinstance(text, str) and (found := FROM_NODE.fullmatch(text)):
        return FromNode(found[1], found[2])
    if isinstance(text, str) and (found := FROM_INPUT.fullmatch(text)):
        return FromInput(found[1])
    if isinstance(value, dict) and parameter is None:
        return FromInput(f"{node}_{port}")
    return cast(Literal, literal(text, parameter.type) if parameter else text)


def _own_data(job: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the inputs of a step that are data which the step itself names."""
    for port, value in (job.get("inputs") or {}).items():
        path = str(value.get("path") or "") if isinstance(value, dict) else ""
        if path and not FROM_NODE.fullmatch(path) and not FROM_INPUT.fullmatch(path):
            yield port, value


def _own(value: Mapping[str, Any], component: Declaration, port: str) -> GraphInput:
    declared = component.inputs.get(port)
    return _data(value, declared.data_type if declared else ANY)


def _data(value: Mapping[str, Any], data_type: str) -> GraphInput:
    settings = {key: one for key, one in value.items() if key not in ("type", "path") and one is not None}
    path = value.get("path")
    return GraphInput(
        str(value.get("type", "uri_folder")), None if path is None else str(path), None, data_type, settings
    )


def _input(name: str, value: Any, nodes: Any) -> GraphInput:
    """Read an input of the pipeline; what it is for, the first port or parameter says that gets it."""
    places = [
        (node.component, place) for node in nodes for place, one in node.bindings.items() if one == FromInput(name)
    ]
    ports = [component.inputs[place] for component, place in places if place in component.inputs]
    parameters = [component.parameters[place] for component, place in places if place in component.parameters]
    if isinstance(value, dict) and value.get("type") not in PYTHON_TYPES.values():
        return _data(value, next((port.data_type for port in ports if port.data_type != ANY), ANY))
    settings: Mapping[str, Any] = {}
    if isinstance(value, dict):
        settings = {key: one for key, one in value.items() if key not in ("type", "default") and one is not None}
        wanted, value = value["type"], value.get("default")
    else:
        wanted = parameters[0].type if parameters else PYTHON_TYPES.get(type(value), "string")
    default: Literal | None = None if value is None else literal(value, wanted)
    return GraphInput(wanted, default=default, settings=settings)


def _outputs(jobs: Mapping[str, Any]) -> Iterator[tuple[str, FromNode]]:
    for name, job in jobs.items():
        for port, value in (job.get("outputs") or {}).items():
            text = value.get("path") if isinstance(value, dict) else value
            if isinstance(text, str) and (found := TO_OUTPUT.fullmatch(text)):
                yield found[1], FromNode(name, port)
