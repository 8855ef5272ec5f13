"""The graph as people know it from the Designer: boxes, ports, how each step stands, what has changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from designer.graph import Graph
from designer.view.picture import Picture


def show(shown: Graph, statuses: Mapping[str, str] | None = None) -> Any:
    """Return a graph as Jupyter shows it.

    Args:
        shown: a graph.
        statuses: how its steps stand, by their names, as ``helpers.step_statuses`` returns them.
    """
    return Picture(shown, statuses or {})
