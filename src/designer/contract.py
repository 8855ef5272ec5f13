"""What a web service of a graph takes, does and gives: the content of its ``graph.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from designer.declarations import Parameter
from designer.graph import FromInput, FromNode, Graph, GraphInput, Node

WEB_SERVICE_INPUT, WEB_SERVICE_OUTPUT = "web_service_input", "web_service_output"


class PackageError(Exception):
    """A graph cannot become a web service; or one that was packaged does not score its own example."""


def contract(graph: Graph, samples: Mapping[str, Path]) -> dict[str, Any]:
    """Return the content of ``graph.json``.

    Web Service Input and Output are no nodes there: the one is replaced by a request's rows, the other by the answer.

    Args:
        graph: a real-time inference graph.
        samples: for each Web Service Input, by its node's name, the folder of the dataset that it has in the pipeline:
            its columns are what a request has to bring.

    Raises:
        PackageError: the graph has no Web Service Input, or no Web Service Output.
    """
    entries = {name: node for name, node in graph.nodes.items() if is_component(node, WEB_SERVICE_INPUT)}
    exits = {name: node for name, node in graph.nodes.items() if is_component(node, WEB_SERVICE_OUTPUT)}
    for found, what in ((entries, "Web Service Input"), (exits, "Web Service Output")):
        if not found:
            raise PackageError(f"{graph.name} has no {what}: make a real-time inference pipeline of it first.")
    inner = {name: node for name, node in graph.nodes.items() if name not in entries and name not in exits}
    names = {name: str(_value(node, "name")) for name, node in entries.items()}
    return {
        "name": graph.name,
        "nodes": [_node(name, node, names) for name, node in inner.items()],
        "inputs": {names[name]: _input(node, samples[name]) for name, node in entries.items()},
        "outputs": {str(_value(node, "name")): _source(node.bindings["dataset"], names) for node in exits.values()},
        "parameters": dict(_parameters(graph.inputs, inner)),
    }


def is_component(node: Node, name: str) -> bool:
    """Say whether a node is of a component of ours, whatever name it is registered by."""
    return node.component.module.rpartition(".")[2] == name


def _value(node: Node, parameter: str) -> Any:
    return node.bindings.get(parameter, node.component.parameters[parameter].default)


def _node(name: str, node: Node, entries: Mapping[str, str]) -> dict[str, Any]:
    ports = {port: node.bindings[port] for port in node.component.inputs if port in node.bindings}
    literals = {key: node.bindings[key] for key in node.component.parameters if key in node.bindings}
    return {
        "name": name,
        "component": node.component.display_name,
        "module": node.component.module,
        "inputs": {port: _source(binding, entries) for port, binding in ports.items()},
        "parameters": {
            key: {"parameter": value.name} if isinstance(value, FromInput) else value for key, value in literals.items()
        },
        "outputs": list(node.component.outputs),
    }


def _source(binding: Any, entries: Mapping[str, str]) -> dict[str, str]:
    if isinstance(binding, FromInput):
        return {"asset": binding.name}
    if not isinstance(binding, FromNode):
        raise PackageError(f"{binding!r} goes into a port: a port gets what another node or an input carries.")
    if binding.node in entries:
        return {"input": entries[binding.node]}
    return {"node": binding.node, "port": binding.port}


def _input(node: Node, sample: Path) -> dict[str, Any]:
    from designer_modules import Dataset
    from designer_modules.serving.answers import rows_of

    dataset = Dataset.load(sample)
    label = _value(node, "label_column") or dataset.label
    frame = dataset.frame
    complete = frame.dropna()
    example = rows_of(
        "the sample", (frame if complete.empty else complete).head(1).drop(columns=label or [], errors="ignore")
    )
    return {"schema": dataset.schema(), "optional": [label] if label else [], "example": example}


def _parameters(inputs: Mapping[str, GraphInput], nodes: Mapping[str, Node]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the parameters of the graph, with the bounds of the component's parameter that they are for."""
    for node in nodes.values():
        for name, parameter in node.component.parameters.items():
            binding = node.bindings.get(name)
            if isinstance(binding, FromInput):
                yield binding.name, _parameter(inputs[binding.name], parameter)


def _parameter(given: GraphInput, parameter: Parameter) -> dict[str, Any]:
    described: dict[str, Any] = {"type": given.type, "default": given.default}
    bounds = {"enum": list(parameter.enum) or None, "min": parameter.min, "max": parameter.max}
    described.update({name: value for name, value in bounds.items() if value is not None})
    if parameter.description:
        described["description"] = parameter.description
    return described
