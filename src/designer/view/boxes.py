"""A graph as boxes and edges: what a picture of it shows, before it has a place or colours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from designer.declarations import ANY, DATA_TYPES, LITERALS, Declaration, Parameter
from designer.declarations import Port as DeclaredPort
from designer.graph import Binding, FromInput, FromNode, Graph, GraphInput, Node
from designer.view.looks import DATA, OUTPUT
from helpers.graph_layout import Edge

STEP, INPUT, RESULT = "step", "input", "output"  # kinds of boxes; a key is a kind and a name, as in "step score"
UNNAMED = "the caller says which"  # data without a path


@dataclass(frozen=True)
class Port:
    """A port of a box: its name (empty where a box has but one, which needs none), and what goes through it."""

    name: str
    carries: str
    optional: bool = False
    description: str = ""


@dataclass(frozen=True)
class Setting:
    """A parameter of a component in a graph: its value as text, and whether that is only its default."""

    name: str
    value: str
    is_default: bool
    description: str = ""


@dataclass(frozen=True)
class Box:
    """A component in a graph, an asset that enters it, or an output of it.

    Args:
        key: its kind and name, e.g. ``"step score"``, ``"input flights"``, ``"output predictions"``.
        title: what stands in it, e.g. the component's display name.
        detail: what stands below that, e.g. the step's name.
        category: the part of the component library.
        what: what it is, in a few words, e.g. its category, ``dataset``, ``trained model``.
        inputs: its input ports, in order.
        outputs: its output ports, in order.
        settings: its parameters, in order.
        description: what it does.
    """

    key: str
    title: str
    detail: str
    category: str
    what: str
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    settings: tuple[Setting, ...] = ()
    description: str = ""

    @property
    def kind(self) -> str:
        """``"step"``, ``"input"`` or ``"output"``."""
        return self.key.partition(" ")[0]

    @property
    def name(self) -> str:
        """Its name in the graph."""
        return self.key.partition(" ")[2]


def boxes(graph: Graph) -> dict[str, Box]:
    """Return the boxes of a graph by their keys: its data and saved assets, its components, its outputs.

    A port that something is bound to, but that the component does not have, is there, too: people look for mistakes.
    """
    assets = [_asset(name, one) for name, one in graph.inputs.items() if not is_literal(one)]
    steps = [_step(name, node, graph.inputs) for name, node in graph.nodes.items()]
    results = [_result(name, source, graph.nodes) for name, source in graph.outputs.items()]
    found = {box.key: box for box in (*assets, *steps, *results)}
    for edge in _edges(graph, found):
        source, target = found[edge.source], found[edge.target]
        found[edge.source] = replace(source, outputs=_with(source.outputs, edge.output))
        found[edge.target] = replace(found[edge.target], inputs=_with(target.inputs, edge.input))
    return found


def edges(graph: Graph) -> tuple[Edge, ...]:
    """Return what goes from box to box. What is bound to something that is not there goes nowhere."""
    return _edges(graph, boxes(graph))


def _edges(graph: Graph, there: Mapping[str, Box]) -> tuple[Edge, ...]:
    found = (*_edges_into_steps(graph), *_edges_into_results(graph))
    return tuple(edge for edge in found if edge.source in there and edge.target in there)


def _with(ports: tuple[Port, ...], name: str) -> tuple[Port, ...]:
    if any(port.name == name for port in ports):
        return ports
    return (*ports, Port(name, "nothing", description="The component has no such port."))


def is_literal(graph_input: GraphInput) -> bool:
    """Say whether an input of a graph is a parameter, rather than data or an asset, which has a box of its own."""
    return graph_input.type in LITERALS


def _edges_into_steps(graph: Graph) -> Iterator[Edge]:
    for name, node in graph.nodes.items():
        for port, bound in node.bindings.items():
            if isinstance(bound, FromNode):
                yield Edge(f"{STEP} {bound.node}", bound.port, f"{STEP} {name}", port)
            elif isinstance(bound, FromInput) and port not in node.component.parameters:
                yield Edge(f"{INPUT} {bound.name}", "", f"{STEP} {name}", port)


def _edges_into_results(graph: Graph) -> Iterator[Edge]:
    yield from (
        Edge(f"{STEP} {source.node}", source.port, f"{RESULT} {name}") for name, source in graph.outputs.items()
    )


def _asset(name: str, one: GraphInput) -> Box:
    carries = DATA_TYPES.get(one.data_type, one.data_type)
    detail = "" if one.path else UNNAMED  # a picture is stored: it does not name what is another asset elsewhere
    return Box(f"{INPUT} {name}", name, detail, DATA, carries, outputs=(Port("", carries),), description=one.path or "")


def _result(name: str, source: FromNode, nodes: Mapping[str, Node]) -> Box:
    declared = nodes[source.node].component.outputs.get(source.port) if source.node in nodes else None
    carries = _port(declared).carries if declared else DATA_TYPES[ANY]
    return Box(f"{RESULT} {name}", name, "output of the pipeline", OUTPUT, carries, (Port("", carries),))


def _step(name: str, node: Node, graph_inputs: Mapping[str, GraphInput]) -> Box:
    component = node.component
    return Box(
        f"{STEP} {name}",
        component.display_name,
        name,
        component.category,
        component.category,
        tuple(_port(port) for port in component.inputs.values()),
        tuple(_port(port) for port in component.outputs.values()),
        tuple(_settings(component, node.bindings, graph_inputs)),
        component.description,
    )


def _port(port: DeclaredPort) -> Port:
    return Port(port.name, DATA_TYPES.get(port.data_type, port.data_type), port.optional, port.description)


def _settings(
    component: Declaration, bindings: Mapping[str, Binding], graph_inputs: Mapping[str, GraphInput]
) -> Iterator[Setting]:
    for name, parameter in component.parameters.items():
        bound = bindings.get(name)
        value = _default(parameter) if bound is None else _value(bound, graph_inputs)
        yield Setting(name, value, bound is None, parameter.description)


def _default(parameter: Parameter) -> str:
    return "not set" if parameter.default is None else _as_text(parameter.default)


def _value(bound: Binding, graph_inputs: Mapping[str, GraphInput]) -> str:
    if isinstance(bound, FromNode):
        return f"{bound.port} of {bound.node}"
    if isinstance(bound, FromInput):
        now = graph_inputs.get(bound.name)
        return f"{bound.name} of the pipeline" + (
            f" = {_as_text(now.default)}" if now and now.default is not None else ""
        )
    return _as_text(bound)


def _as_text(value: object) -> str:
    """Return a literal as Azure ML writes it: booleans in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)
