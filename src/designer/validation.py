"""What is wrong with a graph, found before anything runs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from typing import Any

from designer.declarations import ANY, DATA_TYPES, LITERALS, Declaration, Parameter, Port, with_article
from designer.errors import GraphError, Problem
from designer.graph import Binding, FromInput, FromNode, Graph, GraphInput, Node, fits

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
HERE_DOCUMENT = re.compile(r"<<'(\w+)'")  # where a command takes a text of several lines: up to a line with this word
MODELS = ("custom_model", "mlflow_model", "triton_model")  # Azure's types of models; others are of data
WORDS = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "True or False"}


def validate(graph: Graph, data_may_be_missing: bool = False) -> None:
    """Check that a graph can be run.

    Args:
        graph: the graph.
        data_may_be_missing: whether inputs may have no data yet, because a caller will name it.

    Raises:
        GraphError: it cannot; ``problems`` holds all reasons, each with its node and its port or parameter.
    """
    if found := problems(graph, data_may_be_missing):
        raise GraphError(*found)


def problems(graph: Graph, data_may_be_missing: bool = False) -> list[Problem]:
    """Return all that is wrong with a graph; empty where it can be run. The arguments are those of ``validate``."""
    found = [] if graph.nodes else [Problem("There is no component in the graph.")]
    for name, node in graph.nodes.items():
        found += _of_node(graph, name, node)
    found += _of_outputs(graph)
    found += _cycles(graph)
    found += () if data_may_be_missing else _without_value(graph)
    return found


def _of_node(graph: Graph, name: str, node: Node) -> Iterator[Problem]:
    for place in node.bindings:
        if place not in node.component.inputs and place not in node.component.parameters:
            yield Problem(
                f"{node.component.display_name} has no port or parameter {place!r}; {_has(node, place)}", name, place
            )
    for port in node.component.inputs.values():
        if reason := _wrong_port(graph, name, port, node.bindings.get(port.name)):
            yield Problem(reason, name, port.name)
    for parameter in node.component.parameters.values():
        yield from _of_parameter(graph, name, parameter, node.bindings.get(parameter.name))


def _has(node: Node, place: str) -> str:
    there = [*node.component.inputs, *node.component.parameters]
    return f"it has {_listed(there)}.{_meant(place, there)}"


def _wrong_port(graph: Graph, node: str, port: Port, bound: Binding | None) -> str:
    """Say what is wrong with what a port is connected with, and what would be right; empty where nothing is."""
    needs = f"it needs {_kind(port.data_type)}"
    if bound is None:
        return "" if port.optional else f"The port is not connected; {needs}{_offers(graph, node, port)}."
    if not isinstance(bound, FromInput | FromNode):
        return f"{bound!r} is a value; {needs} from another node or an input{_offers(graph, node, port)}."
    wrong = _wrong_input(graph, port, bound.name) if isinstance(bound, FromInput) else _wrong_source(graph, bound)
    made = graph.data_type(bound)
    if wrong or fits(made, port.data_type):
        return wrong
    return f"{bound} is {_kind(made)}; {needs}{_offers(graph, node, port)}."


def _wrong_input(graph: Graph, port: Port, name: str) -> str:
    one = graph.inputs.get(name)
    if one is None:
        return _no_input(graph, name)
    if one.type in LITERALS:
        return f"The input {name!r} is a parameter; the port needs {_kind(port.data_type)}."
    if (one.type in MODELS) != (port.type in MODELS):
        return f"The input {name!r} is of type {one.type}; the port needs one of type {port.type}."
    return ""


def _wrong_source(graph: Graph, source: FromNode) -> str:
    if source.node not in graph.nodes:
        return f"The node {source.node!r} is not there.{_meant(source.node, graph.nodes)}"
    there = graph.nodes[source.node].component.outputs
    if source.port not in there:
        return f"{source.node} has no output port {source.port!r}; it has {_listed(there)}.{_meant(source.port, there)}"
    return ""


def _kind(data_type: str) -> str:
    """Return a type of data with its article, in words and as the Designer calls it."""
    return f"{with_article(DATA_TYPES.get(data_type, data_type))} ({data_type})"


def _offers(graph: Graph, node: str, port: Port) -> str:
    """Name output ports of other nodes that would be right."""
    there = [
        f"{name}.{output.name}"
        for name, other in graph.nodes.items()
        for output in other.component.outputs.values()
        if name != node and output.data_type == port.data_type != ANY
    ]
    return f", e.g. {_listed(there[:3], 'or')}" if there else ""


def _of_parameter(graph: Graph, node: str, parameter: Parameter, bound: Binding | None) -> Iterator[Problem]:
    if isinstance(bound, FromNode):
        yield Problem(f"A parameter takes {WORDS[parameter.type]}, not what {bound} carries.", node, parameter.name)
    elif isinstance(bound, FromInput):
        yield from _of_exposed(graph, node, parameter, bound.name)
    elif bound is not None:
        if reason := wrong_value(parameter, bound) or _ends_early(graph.nodes[node].component, parameter, bound):
            yield Problem(reason, node, parameter.name)
    elif parameter.default is None and not parameter.optional:
        yield Problem(f"The parameter has no value; it needs {_right(parameter)}.", node, parameter.name)


def _of_exposed(graph: Graph, node: str, parameter: Parameter, name: str) -> Iterator[Problem]:
    one = graph.inputs.get(name)
    if one is None:
        yield Problem(_no_input(graph, name), node, parameter.name)
    elif one.type not in LITERALS:
        yield Problem(f"The input {name!r} is data; the parameter takes {WORDS[parameter.type]}.", node, parameter.name)
    elif one.default is not None and (reason := wrong_value(parameter, one.default)):
        yield Problem(f"The input {name!r}: {reason}", node, parameter.name)


def wrong_value(parameter: Parameter, value: Any) -> str:
    """Say what is wrong with a parameter's value, and what would be right; empty where nothing is."""
    right = f"it needs {_right(parameter)}."
    is_bool = isinstance(value, bool) and parameter.type != "boolean"
    if is_bool or not isinstance(value, TYPES[parameter.type]):
        return f"{value!r} is not {WORDS[parameter.type]}; {right}"
    if parameter.enum and value not in parameter.enum:
        return f"{value!r} is not possible; {right}{_meant(str(value), parameter.enum)}"
    if isinstance(value, float | int) and not _in_bounds(parameter, value):
        return f"{value!r} is out of bounds; {right}"
    return ""


def _ends_early(component: Declaration, parameter: Parameter, value: Any) -> str:
    """Say how a text would end before its end in a component's command, where Azure puts it as it is: the rest would
    be the shell's to run. Empty where nothing of it does.
    """
    command, place = str(component.body.get("command", "")), f"${{{{inputs.{parameter.name}}}}}"
    if f"'{place}'" in command and "'" in str(value):
        return (
            f"{value!r} holds an apostrophe, which would end it in the component's command; "
            "where columns are selected, write it as \\u0027 in a JSON list."
        )
    ends = set(HERE_DOCUMENT.findall(command)) if place in command.splitlines() else set()
    if found := ends & set(str(value).splitlines()):
        return f"It holds the line {min(found)}, which would end it in the component's command; change that line."
    return ""


def _in_bounds(parameter: Parameter, value: float) -> bool:
    low = -math.inf if parameter.min is None else parameter.min
    high = math.inf if parameter.max is None else parameter.max
    return math.isfinite(value) and low <= value <= high


def _right(parameter: Parameter) -> str:
    if parameter.enum:
        return f"one of {_listed(map(repr, parameter.enum), 'or')}"
    bounds = {"at least": parameter.min, "at most": parameter.max}
    said = " and ".join(f"{word} {bound}" for word, bound in bounds.items() if bound is not None)
    return f"{WORDS[parameter.type]} of {said}" if said else WORDS[parameter.type]


def _of_outputs(graph: Graph) -> Iterator[Problem]:
    for name, source in graph.outputs.items():
        if reason := _wrong_source(graph, source):
            yield Problem(reason, place=name)


def _cycles(graph: Graph) -> Iterator[Problem]:
    needs = {name: [one for one in _sources(node) if one in graph.nodes] for name, node in graph.nodes.items()}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        way = error.args[1]
        yield Problem(
            f"The nodes go in a circle: {' -> '.join(way)}; a graph has none. Take one connection away.", way[0]
        )


def _sources(node: Node) -> list[str]:
    """Return the names of the nodes that a node gets something from."""
    return [bound.node for bound in node.bindings.values() if isinstance(bound, FromNode)]


def _without_value(graph: Graph) -> Iterator[Problem]:
    for name, one in graph.inputs.items():
        if not _has_value(one) and not one.settings.get("optional"):
            wanted = WORDS[one.type] if one.type in LITERALS else f"the path of {_kind(one.data_type)}"
            yield Problem(f"The input has no value; it needs {wanted}.", place=name)


def _has_value(one: GraphInput) -> bool:
    return (one.default if one.type in LITERALS else one.path) is not None


def _no_input(graph: Graph, name: str) -> str:
    return f"The graph has no input {name!r}; it has {_listed(graph.inputs)}.{_meant(name, graph.inputs)}"


def _meant(name: str, there: Iterable[str]) -> str:
    close = get_close_matches(name, list(there), 1)
    return f" Is {close[0]!r} meant?" if close else ""


def _listed(words: Iterable[str], last: str = "and") -> str:
    *some, end = [*words] or ["none"]
    return f"{', '.join(some)} {last} {end}" if some else end
