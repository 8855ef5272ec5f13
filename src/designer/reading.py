"""Reading a graph: from a pipeline job, sent or not, or its YAML."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml

from designer.declarations import ANONYMOUS, ANY, LITERALS, Declaration, Parameter, Port, declaration
from designer.errors import GraphError, Problem
from designer.graph import Binding, FromInput, FromNode, Graph, GraphInput, Literal, Node
from designer.literals import literal

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Job, PipelineComponent, PipelineJob

Fetched = Callable[[Collection[str]], dict[str, Declaration]]  # components of a workspace, by what pipelines call them
# https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-pipeline#expression-syntax
FROM_INPUT = re.compile(r"\s*\$\{\{\s*parent\.inputs\.([\w.]+)\s*\}\}\s*")
FROM_NODE = re.compile(r"\s*\$\{\{\s*parent\.jobs\.(\w+)\.outputs\.(\w+)\s*\}\}\s*")
TO_OUTPUT = re.compile(r"\s*\$\{\{\s*parent\.outputs\.(\w+)\s*\}\}\s*")
IN_A_WORKSPACE = re.compile(r"/components/([^/]+)/versions/([^/]+)$")
ASSET = re.compile(r"azureml:(//|/subscriptions/|[^/:@]+[:@][^/]+$)")
# What a job that was sent says of itself, and no new one can be given.
OF_THE_RUN = ("name", "id", "status", "services", "creation_context", "properties", "resourceGroup", "$schema", "type")
LOGS = "default"  # an output of every job that was sent
PYTHON_TYPES: Mapping[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}


def read_graph(source: PipelineJob | PipelineComponent | Path | str) -> Graph:
    """Read the graph of a pipeline: a job made with ``@dsl.pipeline``, or a YAML file or its text.

    Data that a step names itself becomes an input of the graph, called ``<node>_<port>``; paths of local data become
    whole.

    Args:
        source: the job, or a pipeline component; or the file's path; or YAML.

    Raises:
        GraphError: only the name of a component is here, and the rest in a workspace: ``graph_of_job`` fetches it; or a
            step runs no component.
    """
    pipeline, folder = (source, Path.cwd()) if not isinstance(source, str | Path) else _loaded(source)
    return _graph(pipeline, folder, _not_here)


def graph_of_job(ml_client: MLClient, job: Job | str) -> Graph:
    """Read the graph of a job in a workspace, which also has the components that its steps name.

    Args:
        ml_client: the connected workspace.
        job: the pipeline job, or its name.

    Raises:
        GraphError: it is no pipeline; or a step runs no component.
    """
    found = ml_client.jobs.get(job if isinstance(job, str) else job.name)
    if found.type != "pipeline":
        raise GraphError(Problem(f"The job {found.name} is of type {found.type}; only a pipeline has a graph."))
    fetched = partial(_fetched, ml_client)
    if found.jobs or not isinstance(found.component, str):
        return _graph(found, Path.cwd(), fetched)
    # A batch endpoint has started it: its steps are those of a component.
    graph = _graph(_component(ml_client, found.component), Path.cwd(), fetched)
    given = dumped(found).get("inputs") or {}
    inputs = {
        name: _input(name, given[name], graph.nodes.values(), Path.cwd()) for name in graph.inputs if name in given
    }
    return replace(graph, name=str(found.display_name), inputs={**graph.inputs, **inputs})


def _not_here(references: Collection[str]) -> dict[str, Declaration]:
    if references:
        names = ", ".join(references)
        raise GraphError(Problem(f"Of {names} only the name is here: graph_of_job(ml_client, job) fetches the rest."))
    return {}


def _fetched(ml_client: MLClient, references: Collection[str]) -> dict[str, Declaration]:
    """Return components that a workspace has, by ``azureml:<name>:<version>``."""

    def fetch(reference: str) -> Declaration:
        component = _component(ml_client, reference)
        # Its own name is another one where it was sent with a job: there it is called azureml_anonymous.
        return declaration(dumped(component), id=f"azureml:{_named(reference)[0]}:{component.version}")

    with ThreadPoolExecutor() as pool:
        return dict(zip(references, pool.map(fetch, references), strict=True))


def _component(ml_client: MLClient, reference: str) -> Any:
    name, option = _named(reference)
    return ml_client.components.get(name, **option)


def _named(reference: str) -> tuple[str, dict[str, str]]:
    """Return the name and the version, or label, that a reference to a component says."""
    if found := IN_A_WORKSPACE.search(reference):
        return found[1], {"version": found[2]}
    name, mark, version = re.split("([:@])", reference.removeprefix("azureml:"), maxsplit=1)
    return name, {"version" if mark == ":" else "label": version}


def dumped(entity: Any) -> dict[str, Any]:
    """Return what a job's or component's YAML says."""
    text = io.StringIO()
    entity.dump(text)
    body: dict[str, Any] = yaml.safe_load(text.getvalue())
    return body


def _loaded(source: Path | str) -> tuple[Any, Path]:
    """Load a pipeline's YAML, and return it with the folder that its paths start from."""
    from azure.ai.ml import load_job

    is_text = isinstance(source, str) and "\n" in source
    text = str(source) if is_text else Path(source).read_text(encoding="utf-8")
    file = (Path.cwd() / "text.yml") if is_text else Path(source).resolve()
    job: Any = load_job(io.StringIO(text), relative_origin=str(file))
    for name, step in (yaml.safe_load(text).get("jobs") or {}).items():
        if isinstance(step.get("component"), dict):
            # azure-ai-ml drops the names of components that lie in the pipeline's YAML.
            component = job.jobs[name].component
            component.name = step["component"].get("name", component.name)
            component.version = str(step["component"].get("version", component.version))
    return job, file.parent


def _components(pipeline: Any, jobs: Mapping[str, Any], fetched: Fetched) -> dict[str, Declaration]:
    """Return the components of a pipeline's steps, by the names of the steps."""
    for name, job in jobs.items():
        if "component" not in job:  # e.g. a sweep
            raise GraphError(
                Problem(f"It is of type {job['type']}; a graph has only steps that run a component.", name)
            )
    there = {name: pipeline.jobs[name].component for name in jobs}
    references = dict.fromkeys(one for one in there.values() if isinstance(one, str))
    known = fetched(list(references))
    return {name: known[one] if isinstance(one, str) else _declared(one) for name, one in there.items()}


def _declared(component: Any) -> Declaration:
    body = dumped(component)
    if includes := body.get("additional_includes"):
        body["additional_includes"] = [str((Path(component.base_path) / one).resolve()) for one in includes]
    found = IN_A_WORKSPACE.search(component.id or "")
    is_registered = found and found[1] != ANONYMOUS  # else it was sent with another job, and is still here as a whole
    return declaration(body, id=f"azureml:{found[1]}:{found[2]}" if found and is_registered else "")


def _graph(pipeline: Any, folder: Path, fetched: Fetched) -> Graph:
    body = dumped(pipeline)
    # In YAML, azure-ai-ml sorts everything by name.
    jobs, given, made = (
        {name: body[part][name] for name in there if name in body.get(part, {})}
        for part, there in (("jobs", pipeline.jobs), ("inputs", pipeline.inputs), ("outputs", pipeline.outputs))
    )
    components = _components(pipeline, jobs, fetched)
    nodes = {name: _node(name, job, components[name]) for name, job in jobs.items()}
    inputs = {name: _input(name, value, nodes.values(), folder) for name, value in given.items()}
    for name, job in jobs.items():
        inputs |= {f"{name}_{port}": _own(value, components[name], port, folder) for port, value in _own_data(job)}
    found = dict(_outputs(jobs))
    outputs = {name: found[name] for name in made if name in found}
    rest = {key: value for key, value in body.items() if key not in (*OF_THE_RUN, "display_name", "inputs", "jobs")}
    rest["outputs"] = {name: one for name, one in made.items() if one and name in outputs}
    settings = {key: value for key, value in rest.items() if value not in (None, {}, [])}
    name = str(body.get("display_name") or body.get("name") or "pipeline")
    return Graph(name, nodes, inputs, outputs, settings)


def _node(name: str, job: Mapping[str, Any], component: Declaration) -> Node:
    inputs = job.get("inputs") or {}
    places = [*(place for place in (*component.inputs, *component.parameters) if place in inputs), *inputs]
    bindings = {place: _binding(name, place, inputs[place], component.parameters.get(place)) for place in places}
    settings = {key: value for key, value in job.items() if key not in ("component", "inputs", "outputs", "type")}
    settings["inputs"] = _modes({port: one for port, one in inputs.items() if _is_expression(one)})
    settings["outputs"] = _modes(job.get("outputs") or {})
    return Node(component, bindings, {key: value for key, value in settings.items() if value not in (None, {}, [])})


def _modes(ports: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a step says of its ports besides what they are connected with."""
    modes = {
        port: {key: value for key, value in one.items() if key != "type" and not _is_expression(value)}
        for port, one in ports.items()
        if isinstance(one, dict)
    }
    return {port: one for port, one in modes.items() if one}


def _is_expression(value: Any) -> bool:
    """Say whether a value, or its path, is of an input, a step or an output of the pipeline."""
    text = value.get("path") if isinstance(value, dict) else value
    return isinstance(text, str) and any(one.fullmatch(text) for one in (FROM_INPUT, FROM_NODE, TO_OUTPUT))


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
        if isinstance(value, dict) and value.get("path") and not _is_expression(value):
            yield port, value


def _own(value: Mapping[str, Any], component: Declaration, port: str, folder: Path) -> GraphInput:
    declared = component.inputs.get(port)
    return _data(value, declared.data_type if declared else ANY, folder)


def _data(value: Mapping[str, Any], data_type: str, folder: Path) -> GraphInput:
    settings = {key: one for key, one in value.items() if key not in ("type", "path") and one is not None}
    path = _place(str(value["path"]), folder) if value.get("path") else None
    return GraphInput(str(value.get("type", "uri_folder")), path, data_type=data_type, settings=settings)


def _place(path: str, folder: Path) -> str:
    """Return where data is. In YAML, azure-ai-ml writes local paths as if they were assets: ``azureml:./data``."""
    if ASSET.match(path):
        return path
    bare = path.removeprefix("azureml:")
    return bare if "://" in bare else str((folder / bare).resolve())


def _input(name: str, value: Any, nodes: Collection[Node], folder: Path) -> GraphInput:
    """Read an input of the pipeline; what it is for, the first port or parameter says that gets it."""
    takers = [
        node.component.inputs.get(place) or node.component.parameters.get(place)
        for node in nodes
        for place, bound in node.bindings.items()
        if bound == FromInput(name)
    ]
    if not isinstance(value, dict):
        wanted = next(
            (one.type for one in takers if isinstance(one, Parameter)), PYTHON_TYPES.get(type(value), "string")
        )
        value = {"type": wanted, "default": value}
    if value.get("type") not in LITERALS:
        data_types = (one.data_type for one in takers if isinstance(one, Port) and one.data_type != ANY)
        return _data(value, next(data_types, ANY), folder)
    default: Literal | None = None if value.get("default") is None else literal(value["default"], value["type"])
    settings = {key: one for key, one in value.items() if key not in ("type", "default") and one is not None}
    return GraphInput(value["type"], default=default, settings=settings)


def _outputs(jobs: Mapping[str, Any]) -> Iterator[tuple[str, FromNode]]:
    for name, job in jobs.items():
        for port, value in (job.get("outputs") or {}).items():
            text = value.get("path") if isinstance(value, dict) else value
            if isinstance(text, str) and (found := TO_OUTPUT.fullmatch(text)):
                yield found[1], FromNode(name, port)
