"""What real-time and batch inference graphs have in common: all between where rows enter and where they leave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from designer.declarations import ANY, DATASET, IMAGES, MODEL, TRANSFORMATION, UNTRAINED, Declaration, first_port
from designer.errors import GraphError, Problem
from designer.graph import Binding, FromInput, FromNode, Graph, GraphInput, Node
from designer.rewriting.paths import PASSES_ON, ROWS, Source, dependents
from designer.rewriting.saved import input_name

APPLIERS = {DATASET: "apply_transformation", IMAGES: "apply_image_transformation"}
LABEL_COLUMN = "label_column"  # the parameter of components that train
EDIT_METADATA = "metadata.edit_metadata"
LABEL = "label"  # a word for the column with this role


class Inference:
    """Takes over from a training graph what a request's rows go through.

    Args:
        training: the training graph.
        entrances: where rows come in there, and what they come from now.
        library: has the components that the inference graph needs besides.

    Attributes:
        nodes: those taken over so far, by name.
        inputs: those that they need, by name.
        models: the ports of the training graph that made the models.
    """

    def __init__(self, training: Graph, entrances: Mapping[Source, Source], library: Mapping[str, Declaration]) -> None:
        self._training = training
        self._entrances = entrances
        self._library = library
        self._dependents = dependents(training, [*entrances])
        self.nodes: dict[str, Node] = {}
        self.inputs: dict[str, GraphInput] = {}
        self.models: list[FromNode] = []

    def take(self, binding: Binding) -> Binding:
        """Return what stands for what a port or parameter got, after taking over what makes it.

        Raises:
            GraphError: a component that trains makes data that a request's rows would need.
        """
        if isinstance(binding, FromInput | FromNode) and binding in self._entrances:
            return self._entrances[binding]
        if isinstance(binding, FromInput):
            self.inputs[binding.name] = self._training.inputs[binding.name]
            return binding
        return self._take_made(binding) if isinstance(binding, FromNode) else binding

    def _take_made(self, source: FromNode) -> FromInput | FromNode:
        component = self._training.nodes[source.node].component
        made = component.outputs[source.port].data_type
        if made == MODEL:
            self.models.append(source)
        if made in (MODEL, TRANSFORMATION, UNTRAINED) or source.node not in self._dependents:
            return self._saved(source)
        if component.at_inference == PASSES_ON and len(self._ports_with_rows(source.node)) == 1:
            return self._rows_of(source.node)
        if first_port(component.outputs, MODEL):
            raise GraphError(
                Problem(
                    f"It trains a model, and goes; but {source.port} is needed to score. "
                    "Connect what needs it with a component that asks the trained model, e.g. Score Model.",
                    source.node,
                    source.port,
                )
            )
        if fitted := first_port(component.outputs, TRANSFORMATION):
            self._apply(source.node, FromNode(source.node, fitted), made)
            return self._only_output(source.node)
        self._keep(source.node)
        return source

    def _keep(self, name: str) -> None:
        if name not in self.nodes:
            node = self._training.nodes[name]
            bindings = {place: self.take(bound) for place, bound in node.bindings.items()}
            self.nodes[name] = Node(node.component, bindings, node.settings)

    def _apply(self, name: str, fitted: FromNode, made: str) -> None:
        """Put a component that applies a saved transformation in the place of the one that fitted it."""
        if name in self.nodes:
            return
        component = self._library[APPLIERS.get(made, APPLIERS[DATASET])]
        fits, rows = (first_port(component.inputs, *types) for types in ((TRANSFORMATION,), (*ROWS, ANY)))
        bindings: dict[str, Binding] = {fits: self._saved(fitted), rows: self._rows_of(name)}
        settings = self._training.nodes[name].settings
        self.nodes[name] = Node(component, bindings, _of_the_step(settings))

    def _only_output(self, name: str) -> FromNode:
        return FromNode(name, next(iter(self.nodes[name].component.outputs)))

    def _rows_of(self, name: str) -> FromInput | FromNode:
        """Return what stands for the rows that a component gets."""
        bindings = self._training.nodes[name].bindings
        (bound, *_) = (bindings[port] for port in self._ports_with_rows(name))  # only nodes that have one are asked
        taken = self.take(bound)
        assert isinstance(taken, FromInput | FromNode)  # noqa: S101 - what comes by a port is no literal
        return taken

    def _ports_with_rows(self, name: str) -> list[str]:
        """Return the ports by which a component gets rows that come in, those for rows first."""
        node = self._training.nodes[name]
        ports = [port.name for port in node.component.inputs.values() if port.data_type in ROWS]
        ports += [port for port in node.component.inputs if port not in ports]
        return [port for port in ports if self._comes_in(node.bindings.get(port))]

    def _comes_in(self, bound: Binding | None) -> bool:
        is_entrance = isinstance(bound, FromInput | FromNode) and bound in self._entrances
        return is_entrance or (isinstance(bound, FromNode) and bound.node in self._dependents)

    def _saved(self, source: FromNode) -> FromInput:
        port = self._training.nodes[source.node].component.outputs[source.port]
        name = input_name(source)
        self.inputs[name] = GraphInput(port.type, data_type=port.data_type)
        return FromInput(name)

    @property
    def label(self) -> str:
        """The column that the models learned to predict, as it is called where the rows come in; empty for none."""
        for model in self.models:
            found = self._training.nodes[model.node].bindings.get(LABEL_COLUMN, "")
            if isinstance(found, FromInput):
                found = self._training.inputs[found.name].default or ""
            if label := self._where_it_comes_in(model.node, _one_column(str(found))):
                return as_parameter(label)
        return ""

    def _where_it_comes_in(self, name: str, label: str) -> str:
        """Follow the label upwards, from a component to where rows come in; Edit Metadata may have named it anew."""
        for port in self._ports_with_rows(name):
            bound = self._training.nodes[name].bindings[port]
            if isinstance(bound, FromNode) and bound not in self._entrances:
                return self._where_it_comes_in(bound.node, label_before(self._training.nodes[bound.node], label))
        return label

    def in_order(self) -> dict[str, Node]:
        """Return the nodes in the order that they have in the training graph, others before them."""
        others = {name: node for name, node in self.nodes.items() if name not in self._training.nodes}
        return others | {name: self.nodes[name] for name in self._training.nodes if name in self.nodes}


def _of_the_step(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that hold for a step with whatever component."""
    return {name: value for name, value in settings.items() if name in ("compute", "resources", "comment")}


def label_before(node: Node, label: str) -> str:
    """Return what the label is called before a component: Edit Metadata may rename it, or be what says that it is one.

    Args:
        node: the component.
        label: what it is called after it; empty, or the word ``label``, where none has said it yet.
    """
    if node.component.module != EDIT_METADATA:
        return label
    edited, new = (_listed(str(node.bindings.get(name, ""))) for name in ("column", "new_column_names"))
    if label in ("", LABEL) and node.bindings.get("fields") == "Labels" and len(edited) == 1:
        return edited[0]
    return dict(zip(new, edited, strict=False)).get(label, label) if label else ""


def as_parameter(name: str) -> str:
    """Return a column's name as a parameter says it that stands in apostrophes in a component's command."""
    needs_list = name.startswith("[") or any(mark in name for mark in ",'")
    return json.dumps([name]).replace("'", "\\u0027") if needs_list else name


def _one_column(selected: str) -> str:
    """Return the column that is selected by its name, or by a JSON list of one; empty for none or several."""
    names = _listed(selected)
    return names[0] if len(names) == 1 else ""


def _listed(selected: str) -> list[str]:
    from designer_modules.columns import listed

    names: list[str] = listed(selected)
    return names
