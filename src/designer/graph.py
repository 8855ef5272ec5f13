"""A graph of the Designer: components, what their ports are connected to, and what goes in and out of the whole.

It is an Azure ML pipeline (v2): ``read`` and ``job`` turn one into the other, and lose nothing that the graph is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from designer.declarations import Declaration

Literal = str | int | float | bool


@dataclass(frozen=True)
class FromInput:
    """What a port or parameter gets from an input of the graph: ``${{parent.inputs.<name>}}``."""

    name: str


@dataclass(frozen=True)
class FromNode:
    """What a port gets from another node: ``${{parent.jobs.<node>.outputs.<port>}}``."""

    node: str
    port: str


Binding = FromInput | FromNode | Literal


@dataclass(frozen=True)
class GraphInput:
    """An input of the graph: a dataset or a saved model or transformation, or a literal that a caller may change.

    Args:
        type: Azure's, e.g. ``uri_folder``, ``custom_model``, ``number``.
        path: where data is, e.g. ``azureml:flights:1``; None for a literal, and for data that a caller must name.
        default: a literal's value.
        data_type: the Designer's type of data, e.g. ``ModelDirectory``.
    """

    type: str
    path: str | None = None
    default: Literal | None = None
    data_type: str = "AnyDirectory"


@dataclass(frozen=True)
class Node:
    """A component in a graph, and what each of its ports and parameters gets. What is left out has its default."""

    component: Declaration
    bindings: Mapping[str, Binding] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """A graph.

    Args:
        name: what the pipeline is called.
        nodes: its components, by the names of its steps.
        inputs: by name.
        outputs: by name; each is what a node's port carries.
    """

    name: str
    nodes: Mapping[str, Node]
    inputs: Mapping[str, GraphInput] = field(default_factory=dict)
    outputs: Mapping[str, FromNode] = field(default_factory=dict)
