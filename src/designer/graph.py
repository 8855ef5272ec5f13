"""A graph of the Designer: components, what their ports are connected to, and what goes in and out of the whole.

It is an Azure ML pipeline (v2): ``reading`` and ``writing`` turn one into the other, and lose nothing of it. A graph
does not change: each edit returns a new one. Ports are named as text: ``"clean.cleaned_dataset"``; a node's name alone
stands for its only port, or its first one for data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from designer.declarations import ANY, DATA_TYPES, Declaration, Parameter, Port, first_port
from designer.errors import GraphError, Problem

Literal = str | int | float | bool


@dataclass(frozen=True)
class FromInput:
    """What a port or parameter gets from an input of the graph: ``${{parent.inputs.<name>}}``."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class FromNode:
    """What a port gets from another node: ``${{parent.jobs.<node>.outputs.<port>}}``."""

    node: str
    port: str

    def __str__(self) -> str:
        return f"{self.node}.{self.port}"


Binding = FromInput | FromNode | Literal


@dataclass(frozen=True)
class GraphInput:
    """An input of the graph: a dataset or a saved model or transformation, or a literal that a caller may change.

    Args:
        type: Azure's, e.g. ``uri_folder``, ``custom_model``, ``number``.
        path: where data is, e.g. ``azureml:flights:1``; None for a literal, and for data that a caller must name.
        default: a literal's value.
        data_type: the Designer's type of data, e.g. ``ModelDirectory``.
        settings: what else its YAML says, e.g. ``mode``.
    """

    type: str
    path: str | None = None
    default: Literal | None = None
    data_type: str = ANY
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Node:
    """A component in a graph, and what each of its ports and parameters gets. What is left out has its default.

    Args:
        component: its declaration.
        bindings: what each port or parameter gets, by its name.
        settings: what else the step's YAML says, in its shape: ``compute``, ``resources``, modes of outputs, ...
    """

    component: Declaration
    bindings: Mapping[str, Binding] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def bound(self, **bindings: Binding | None) -> Node:
        """Return the node with other bindings; None takes one away."""
        merged = {**self.bindings, **bindings}
        return replace(self, bindings={name: value for name, value in merged.items() if value is not None})

    def without(self, binding: Binding) -> Node:
        """Return the node without what is bound in this way."""
        return replace(self, bindings={name: value for name, value in self.bindings.items() if value != binding})

    def rebound(self, old: Binding, new: Binding | None) -> Node:
        """Return the node with something else wherever it got ``old``; None for nothing."""
        return self.without(old) if new is None else replace(self, bindings=_exchanged(self.bindings, old, new))


def _exchanged(bindings: Mapping[str, Any], old: Binding, new: Binding) -> dict[str, Any]:
    return {name: new if value == old else value for name, value in bindings.items()}


@dataclass(frozen=True)
class Graph:
    """A graph.

    Args:
        name: what the pipeline is called.
        nodes: its components, by the names of its steps.
        inputs: by name.
        outputs: by name; each is what a node's port carries.
        settings: what else the pipeline's YAML says, in its shape: ``compute``, ``tags``, modes of outputs, ...
    """

    name: str
    nodes: Mapping[str, Node]
    inputs: Mapping[str, GraphInput] = field(default_factory=dict)
    outputs: Mapping[str, FromNode] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        lines = [self.name]
        lines += [f"  input {name}: {one.path or one.default}" for name, one in self.inputs.items()]
        for name, node in self.nodes.items():
            given = ", ".join(f"{place} = {_shown(bound)}" for place, bound in node.bindings.items())
            lines.append(f"  {name} ({node.component.display_name}): {given}")
        lines += [f"  output {name}: {source}" for name, source in self.outputs.items()]
        return "\n".join(lines)

    # --- edits: each returns a new graph ---

    def add(self, node: str, component: Declaration, **bindings: Literal) -> Graph:
        """Add a component.

        Args:
            node: what its step is called.
            component: e.g. ``Library()["split_data"]``.
            bindings: values of its parameters; what its ports get, as text: ``dataset="clean.cleaned_dataset"``.

        Raises:
            GraphError: there is such a node; or no such port or parameter.
        """
        if node in self.nodes or node in self.inputs:
            raise GraphError(Problem("There is one of that name already; take another.", node))
        bare = self._with_node(node, Node(component))
        made = Node(component, {name: bare._bound(node, name, value) for name, value in bindings.items()})
        return self._with_node(node, made)

    def insert(
        self, node: str, component: Declaration, *, after: str, before: str | None = None, **bindings: Literal
    ) -> Graph:
        """Put a component between two that are connected.

        Args:
            node: what its step is called.
            component: e.g. ``Library()["normalize_data"]``.
            after: the port that its data comes from, e.g. ``"clean.cleaned_dataset"`` or ``"clean"``; or an input.
            before: the node, or the port, that gets what it makes; all that got their data there where None.
            bindings: values of its parameters; what its other ports get.

        Raises:
            GraphError: a node or port is not there; the two are not connected; the component does not fit between.
        """
        source = self.source(after)
        data_type = self.data_type(source)
        added = self.add(node, component, **bindings)
        target = _fitting(node, component.inputs.values(), data_type, "takes", bindings)
        result = FromNode(node, _fitting(node, component.outputs.values(), data_type, "makes"))
        cut = self._rebound(source, result, before)
        inserted = added.nodes[node].bound(**{target: source})
        return replace(cut, nodes={**cut.nodes, node: inserted})

    def remove(self, node: str) -> Graph:
        """Take a component away. What got its data gets what the component got, where that is of the same type.

        Raises:
            GraphError: there is no such node.
        """
        removed = self._node(node)
        graph = replace(self, nodes={name: one for name, one in self.nodes.items() if name != node})
        for port in removed.component.outputs.values():
            graph = graph._rebound(FromNode(node, port.name), _passed_on(removed, port))
        return graph.pruned_inputs(self)

    def connect(self, source: str, target: str) -> Graph:
        """Connect an output of a node, or an input of the graph, with another node's port or an output of the graph.

        Args:
            source: e.g. ``"clean.cleaned_dataset"``; or the name of an input.
            target: e.g. ``"split.dataset"``; a name that is no node's becomes an output of the graph.

        Raises:
            GraphError: a node or port is not there.
        """
        found = self.source(source)
        if "." not in target and target not in self.nodes:
            if isinstance(found, FromInput):
                raise GraphError(Problem("An output of the graph comes from a node, not from an input.", place=target))
            return replace(self, outputs={**self.outputs, target: found})
        name, port = self._target(target, self.data_type(found))
        return self._with_node(name, self.nodes[name].bound(**{port: found}))

    def set(self, node: str, **parameters: Literal | None) -> Graph:
        """Set parameters of a node; None gives one its default again.

        Raises:
            GraphError: there is no such node or parameter.
        """
        found = self._node(node)
        for name in parameters:
            if name not in found.component.parameters:
                raise GraphError(_no_such("parameter", name, found.component.parameters, node))
        return self._with_node(node, found.bound(**parameters)).pruned_inputs(self)

    def expose(self, node: str, name: str, as_input: str | None = None) -> Graph:
        """Make a parameter of a node, or what a port gets, an input of the pipeline that a caller may change.

        In a web service such a parameter is one of the ``GlobalParameters``.

        Args:
            node: the node.
            name: its parameter, or its port for data.
            as_input: what the input is called; as the parameter where None. One that is there is shared.

        Raises:
            GraphError: there is no such node, port or parameter.
        """
        found = self._node(node)
        exposed = as_input or name
        port: Port | Parameter | None = found.component.parameters.get(name) or found.component.inputs.get(name)
        if port is None:
            raise GraphError(
                _no_such("port or parameter", name, [*found.component.inputs, *found.component.parameters], node)
            )
        made = self.inputs.get(exposed) or self._as_input(port, found.bindings.get(name))
        graph = replace(self, inputs={**self.inputs, exposed: made})
        bound = found.bound(**{name: FromInput(exposed)})
        return graph._with_node(node, bound).pruned_inputs(self)

    def renamed(self, name: str) -> Graph:
        """Return the graph with another name."""
        return replace(self, name=name)

    # --- what edits and the rewrite share ---

    def source(self, text: str) -> FromInput | FromNode:
        """Return what a text names: an input of the graph, or an output port.

        Raises:
            GraphError: there is none.
        """
        if text in self.inputs:
            return FromInput(text)
        node, _, port = text.partition(".")
        outputs = self._node(node).component.outputs
        if port and port not in outputs:
            raise GraphError(_no_such("output port", port, outputs, node))
        if not port and not outputs:
            raise GraphError(Problem("It has no output port.", node))
        return FromNode(node, port or next(iter(outputs)))

    def data_type(self, source: FromInput | FromNode) -> str:
        """Return the Designer's type of what an input or output port carries.

        An output of any type, e.g. Web Service Input's, carries what came in by the port of any type.
        """
        seen: set[FromNode] = set()
        found: Binding | None = source
        while isinstance(found, FromNode) and found not in seen and found.node in self.nodes:
            seen.add(found)
            node = self.nodes[found.node]
            made = node.component.outputs.get(found.port)
            if made is None or made.data_type != ANY:
                return made.data_type if made else ANY
            found = node.bindings.get(first_port(node.component.inputs, ANY))
        return self.inputs[found.name].data_type if isinstance(found, FromInput) and found.name in self.inputs else ANY

    def pruned_inputs(self, before: Graph | None = None) -> Graph:
        """Return the graph without the inputs that no node uses; with ``before``, only those that one used there."""
        goes = {name for name in self.inputs if before is None or before._uses(name)}
        kept = {name: one for name, one in self.inputs.items() if name not in goes or self._uses(name)}
        return replace(self, inputs=kept)

    def _uses(self, name: str) -> bool:
        return any(FromInput(name) in node.bindings.values() for node in self.nodes.values())

    def _node(self, name: str) -> Node:
        if name not in self.nodes:
            raise GraphError(_no_such("node", name, self.nodes))
        return self.nodes[name]

    def _with_node(self, name: str, node: Node) -> Graph:
        return replace(self, nodes={**self.nodes, name: node})

    def _bound(self, node: str, name: str, value: Literal) -> Binding:
        component = self.nodes[node].component
        if name in component.parameters:
            return value
        if name not in component.inputs:
            raise GraphError(_no_such("port or parameter", name, [*component.inputs, *component.parameters], node))
        return self.source(str(value))

    def _target(self, text: str, data_type: str) -> tuple[str, str]:
        node, _, port = text.partition(".")
        inputs = self._node(node).component.inputs
        if port and port not in inputs:
            raise GraphError(_no_such("input port", port, inputs, node))
        return node, port or _fitting(node, inputs.values(), data_type, "takes")

    def _rebound(self, old: FromInput | FromNode, new: Binding | None, before: str | None = None) -> Graph:
        """Give all that got ``old`` something else; with ``before``, this node or port only."""
        if before is not None:
            return self._rebound_at(old, new, before)
        nodes = {name: node.rebound(old, new) for name, node in self.nodes.items()}
        outputs = self.outputs
        if isinstance(new, FromNode):
            outputs = _exchanged(self.outputs, old, new)
        elif isinstance(old, FromNode):
            outputs = {name: one for name, one in self.outputs.items() if one != old}
        return replace(self, nodes=nodes, outputs=outputs)

    def _rebound_at(self, old: FromInput | FromNode, new: Binding | None, before: str) -> Graph:
        name, _, port = before.partition(".")
        node = self._node(name)
        ports = [one for one, bound in node.bindings.items() if bound == old and port in ("", one)]
        if not ports:
            raise GraphError(Problem(f"It does not get its data from {old}.", name, port))
        return self._with_node(name, node.bound(**dict.fromkeys(ports, new)))

    def _as_input(self, port: Port | Parameter, bound: Binding | None) -> GraphInput:
        if isinstance(bound, FromInput):
            return self.inputs[bound.name]
        if isinstance(port, Port):
            return GraphInput(port.type, data_type=port.data_type)
        return GraphInput(port.type, default=port.default if bound is None or isinstance(bound, FromNode) else bound)


def _shown(bound: Binding) -> str:
    return str(bound) if isinstance(bound, FromInput | FromNode) else repr(bound)


def fits(made: str, taken: str) -> bool:
    """Say whether a port that takes one type of data can be connected with one that makes another."""
    return made == taken or ANY in (made, taken)


def _fitting(node: str, ports: Any, data_type: str, verb: str, taken: Mapping[str, Any] | None = None) -> str:
    """Return the first port for a type of data: one of just this type before one of any.

    What carries any, as Web Service Input does, says nothing of which: the first port is for what comes first.
    """
    found = [port for port in ports if fits(data_type, port.data_type) and port.name not in (taken or {})]
    found.sort(key=lambda port: data_type not in (ANY, port.data_type))
    if not found:
        raise GraphError(Problem(f"It {verb} no {DATA_TYPES.get(data_type, data_type)}: {_ports(ports)}.", node))
    return str(found[0].name)


def _ports(ports: Any) -> str:
    return (
        ", ".join(f"{port.name} is {DATA_TYPES.get(port.data_type, port.data_type)}" for port in ports)
        or "there is no such port"
    )


def _passed_on(node: Node, port: Port) -> FromInput | FromNode | None:
    """Return what a node got through its first input of the type that an output has."""
    for one in node.component.inputs.values():
        bound = node.bindings.get(one.name)
        if one.data_type == port.data_type and isinstance(bound, FromInput | FromNode):
            return bound
    return None


def _no_such(kind: str, name: str, there: Any, node: str = "") -> Problem:
    known = ", ".join(there) or "none"
    return Problem(f"There is no {kind} {name!r}; there are: {known}.", node, name if node else "")
