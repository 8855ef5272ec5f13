"""What became of a graph: which components stayed, went, were replaced, came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from designer.graph import Graph, Node
from designer.rewriting.saved import saved_ports


@dataclass(frozen=True)
class Changes:
    """What is different between two graphs; nodes and inputs by their names.

    Args:
        before: the one.
        after: the other.
        kept: nodes of both, with the same component.
        replaced: nodes of the first, with what stands in their place: a node of the second that has the same name and
            another component, or inputs of it that hold what the node made in the training run.
        removed: other nodes of the first.
        added: other nodes of the second.
        reconnected: those of ``kept`` that get something else than before.
    """

    before: Graph
    after: Graph
    kept: tuple[str, ...]
    replaced: Mapping[str, tuple[str, ...]]
    removed: tuple[str, ...]
    added: tuple[str, ...]
    reconnected: tuple[str, ...]

    def __repr__(self) -> str:
        lines = [f"{self.before.name} -> {self.after.name}"]
        lines += [f"  kept      {_said(name, self.after)}{self._now(name)}" for name in self.kept]
        lines += [f"  replaced  {_said(name, self.before)} by {self._by(by)}" for name, by in self.replaced.items()]
        lines += [f"  removed   {_said(name, self.before)}" for name in self.removed]
        lines += [f"  added     {_said(name, self.after)}" for name in self.added]
        return "\n".join(lines)

    def _now(self, name: str) -> str:
        if name not in self.reconnected:
            return ""
        got = self.after.nodes[name].bindings
        new = [f"{place} is {one}" for place, one in got.items() if one != self.before.nodes[name].bindings.get(place)]
        return f", now {', '.join(new)}" if new else ", with a default again"

    def _by(self, names: tuple[str, ...]) -> str:
        words = [
            self.after.nodes[name].component.display_name
            if name in self.after.nodes
            else f"saved {self.after.inputs[name].path or name}"
            for name in names
        ]
        return " and ".join(words)


def compare(before: Graph, after: Graph) -> Changes:
    """Compare a graph with what became of it, e.g. a training graph with its inference graph."""
    same = [name for name in before.nodes if name in after.nodes]
    kept = [name for name in same if _is_same(before.nodes[name], after.nodes[name])]
    replaced = {name: (name,) for name in same if name not in kept}
    for input_name, source in saved_ports(before, after).items():
        if source.node not in kept:
            replaced[source.node] = (*replaced.get(source.node, ()), input_name)
    return Changes(
        before,
        after,
        tuple(kept),
        {name: replaced[name] for name in before.nodes if name in replaced},
        tuple(name for name in before.nodes if name not in kept and name not in replaced),
        tuple(name for name in after.nodes if name not in before.nodes),
        tuple(name for name in kept if before.nodes[name].bindings != after.nodes[name].bindings),
    )


def _is_same(one: Node, other: Node) -> bool:
    return one.component.module == other.component.module


def _said(name: str, graph: Graph) -> str:
    return f"{name} ({graph.nodes[name].component.display_name})"
