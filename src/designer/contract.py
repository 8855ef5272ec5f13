"""What a web service of a graph takes, does and gives: the content of its ``graph.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from designer.declarations import LITERALS, Parameter
from designer.errors import GraphError, Problem
from designer.graph import Binding, FromInput, FromNode, Graph, GraphInput, Node
from designer.rewriting.realtime import INPUT, OUTPUT

ASSET, INPUT_OF_GRAPH = "asset", "input"  # what an input for data is to the engine


def contract(graph: Graph, samples: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the content of ``graph.json``.

    Web Service Input and Output are no nodes there: the one is replaced by a request's rows, the other by the answer.

    Args:
        graph: a real-time inference graph.
        samples: for each Web Service Input, by its node's name, what a request has to bring: ``schema``, ``optional``
            and ``example``, see ``designer.samples``.
    """
    entries = {name: str(value_of(node, "name")) for name, node in nodes_of(graph, INPUT).items()}
    exits = nodes_of(graph, OUTPUT)
    inner = {name: node for name, node in graph.nodes.items() if name not in entries and name not in exits}
    return {
        "name": graph.name,
        "nodes": [_node(name, node, entries, ASSET) for name, node in inner.items()],
        "inputs": {entry: samples[name] for name, entry in entries.items()},
        "outputs": {str(value_of(node, "name")): _answer(name, node, entries) for name, node in exits.items()},
        "parameters": dict(_parameters(graph.inputs, inner)),
    }


def runnable(graph: Graph) -> dict[str, Any]:
    """Return a whole graph, e.g. one that trains, as the engine takes it: each port of each node is an output.

    The graph's inputs for data are inputs; outputs are called ``<node>.<port>``.
    """
    ports = [(name, port) for name, node in graph.nodes.items() for port in node.component.outputs]
    return {
        "nodes": [_node(name, node, {}, INPUT_OF_GRAPH) for name, node in graph.nodes.items()],
        "inputs": {name: {} for name, one in graph.inputs.items() if one.type not in LITERALS},
        "outputs": {f"{name}.{port}": {"node": name, "port": port} for name, port in ports},
        "parameters": dict(_parameters(graph.inputs, graph.nodes)),
    }


def nodes_of(graph: Graph, component: str) -> dict[str, Node]:
    """Return the nodes of Web Service Input or Output, whatever name the component is registered by.

    Raises:
        GraphError: there is none; or two of them have the same name in requests or answers.
    """
    found = {name: node for name, node in graph.nodes.items() if node.component.module.rpartition(".")[2] == component}
    if not found:
        title = component.replace("_", " ").title()
        raise GraphError(Problem(f"{graph.name} has no {title}: make a real-time inference pipeline of it first."))
    names: dict[Any, str] = {}
    for node, one in found.items():
        if (first := names.setdefault(value_of(one, "name"), node)) != node:
            raise GraphError(Problem(f"It has the same name as that of {first}; give each its own.", node, "name"))
    return found


def value_of(node: Node, parameter: str) -> Any:
    """Return what a parameter of a node is."""
    return node.bindings.get(parameter, node.component.parameters[parameter].default)


def _node(name: str, node: Node, entries: Mapping[str, str], data: str) -> dict[str, Any]:
    ports = {port: node.bindings[port] for port in node.component.inputs if port in node.bindings}
    declared = {key: one.default for key, one in node.component.parameters.items() if one.default is not None}
    bound = {key: value for key, value in node.bindings.items() if key in node.component.parameters}
    return {
        "name": name,
        "component": node.component.display_name,
        "module": node.component.module,
        "inputs": {port: _source(binding, entries, data) for port, binding in ports.items()},
        "parameters": {
            key: {"parameter": value.name} if isinstance(value, FromInput) else value
            for key, value in {**declared, **bound}.items()  # a job's defaults are the declaration's, too
        },
        "outputs": list(node.component.outputs),
    }


def _answer(name: str, node: Node, entries: Mapping[str, str]) -> dict[str, str]:
    binding = node.bindings.get("dataset")
    if not isinstance(binding, FromNode):
        raise GraphError(Problem("Connect it with the node whose data is the answer.", name, "dataset"))
    return _source(binding, entries, ASSET)


def _source(binding: Binding, entries: Mapping[str, str], data: str) -> dict[str, str]:
    if isinstance(binding, FromNode):
        is_entry = binding.node in entries
        return {"input": entries[binding.node]} if is_entry else {"node": binding.node, "port": binding.port}
    return {data: str(binding)}


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
    if parameter.optional:
        described["optional"] = True
    if parameter.description:
        described["description"] = parameter.description
    return described
