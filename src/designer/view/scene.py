"""What a picture shows: the boxes and edges of a graph, or of two over each other, and what has become of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from designer.comparison import Changes
from designer.graph import Graph
from designer.view.boxes import INPUT, STEP, Box, boxes, edges, is_literal
from designer.view.placing import Placed, place
from helpers.graph_layout import Edge

KEPT, REPLACED, ADDED, REMOVED = "kept", "replaced", "added", "removed"


@dataclass(frozen=True)
class Scene:
    """What is to be seen.

    Args:
        name: the pipeline's.
        boxes: by their keys.
        edges: between them.
        parameters: the pipeline's own, with their values.
        changes: what has become of boxes compared with another graph, by their keys: ``kept``, ``replaced``,
            ``added``, ``removed``; empty where nothing is compared.
        changed_edges: the same of edges.
    """

    name: str
    boxes: Mapping[str, Box]
    edges: tuple[Edge, ...]
    parameters: Mapping[str, object] = field(default_factory=dict)
    changes: Mapping[str, str] = field(default_factory=dict)
    changed_edges: Mapping[Edge, str] = field(default_factory=dict)

    @cached_property
    def placed(self) -> Placed:
        """Its boxes and edges, each with its place."""
        return place(self.boxes, self.edges)

    @property
    def removed(self) -> list[str]:
        """The keys of boxes that are no longer there."""
        return [key for key, change in self.changes.items() if change == REMOVED]


def scene(graph: Graph, changes: Changes | None = None) -> Scene:
    """Return the scene of a graph; with ``changes``, of which it is one side, what has become of each part."""
    there, ways = boxes(graph), edges(graph)
    if not changes:
        return Scene(graph.name, there, ways, _parameters(graph))
    other = changes.before if graph == changes.after else changes.after
    new = ADDED if graph == changes.after else REMOVED
    return Scene(
        graph.name,
        there,
        ways,
        _parameters(graph),
        {key: _change(key, changes, boxes(other), new) for key in there},
        {edge: KEPT if edge in edges(other) else new for edge in ways},
    )


def one_over_the_other(changes: Changes) -> Scene:
    """Return two graphs as one: the second, and what of the first is no longer there."""
    before, after = scene(changes.before, changes), scene(changes.after, changes)
    gone = {key: REMOVED for key in before.boxes if key not in after.boxes}
    there = {**after.boxes, **{key: before.boxes[key] for key in gone}}
    seen = [_as_seen(there, edge) for edge in before.edges]
    lost = [edge for edge in seen if edge not in after.edges and _has_ports(there, edge)]
    return Scene(
        f"{before.name} → {after.name}",
        there,
        (*after.edges, *lost),
        after.parameters,
        {**after.changes, **gone},
        {**after.changed_edges, **dict.fromkeys(lost, REMOVED)},
    )


def _parameters(graph: Graph) -> dict[str, object]:
    return {name: one.default for name, one in graph.inputs.items() if is_literal(one)}


def _change(key: str, changes: Changes, other: Mapping[str, Box], new: str) -> str:
    kind, _, name = key.partition(" ")
    if kind == STEP:
        is_replaced = name in changes.replaced and (new == REMOVED or name in changes.after.nodes)
        return REPLACED if is_replaced else KEPT if name in changes.kept else new
    if kind == INPUT and new == ADDED and any(name in by for by in changes.replaced.values()):
        return REPLACED
    return KEPT if key in other else new


def _as_seen(there: Mapping[str, Box], edge: Edge) -> Edge:
    """Let an edge begin where it is to be seen: at the only output of a box that has replaced the one it came from.

    A box that is no longer there would otherwise look as if nothing had ever come into it.
    """
    outputs = [port.name for port in there[edge.source].outputs]
    return replace(edge, output=outputs[0]) if len(outputs) == 1 else edge


def _has_ports(there: Mapping[str, Box], edge: Edge) -> bool:
    """Say whether both ends are to be seen: a box of the second graph may have other ports than that of the first."""
    return edge.output in [port.name for port in there[edge.source].outputs] and edge.input in [
        port.name for port in there[edge.target].inputs
    ]
