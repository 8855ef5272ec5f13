"""What is wrong with a graph, said before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a graph.

    Args:
        reason: what, and what would be right.
        node: the node that it is about; empty for the graph as a whole.
        place: the node's port or parameter; empty for the node as a whole. Of the graph: an input or output.
    """

    reason: str
    node: str = ""
    place: str = ""

    def __str__(self) -> str:
        where = ".".join(part for part in (self.node, self.place) if part)
        return f"{where}: {self.reason}" if where else self.reason


class GraphError(Exception):
    """A graph cannot be run, or not be changed in this way.

    Args:
        problems: all that is wrong with it.
    """

    def __init__(self, *problems: Problem) -> None:
        self.problems: Sequence[Problem] = problems
        super().__init__("\n".join(map(str, problems)))
