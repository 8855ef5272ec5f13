"""A graph run here and now, in this process: to try it on a few rows, before it is sent to a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from designer.contract import runnable
from designer.declarations import LITERALS
from designer.errors import GraphError, Problem
from designer.graph import FromInput, Graph, Literal


def run_in_process(graph: Graph, data: Mapping[str, Any] | None = None, **parameters: Literal) -> dict[str, Any]:
    """Run a whole graph in memory, and return what each port carries.

    Args:
        graph: the graph; a learner's own components must be importable.
        data: for each of the graph's inputs for data, what it is, e.g. a Dataset; or the folder that holds it.
        parameters: values for its other inputs; those left out have their defaults.

    Returns:
        By node and port, e.g. ``outputs["score.scored_dataset"].frame``.

    Raises:
        GraphError: an input has no data.
        NodeError: a component failed; it says which, and why.
        EngineError: the graph cannot run.
    """
    from designer_modules.engine import Engine

    wanted = [name for name, one in graph.inputs.items() if one.type not in LITERALS]
    if missing := [name for name in wanted if name not in (data or {})]:
        raise GraphError(*(Problem("The input has no data; hand it over in data.", place=name) for name in missing))
    given = {name: _held(graph, name, one) for name, one in (data or {}).items()}
    return Engine(runnable(graph)).run(given, parameters)  # type: ignore[no-any-return]


def _held(graph: Graph, name: str, given: Any) -> Any:
    """Return what a folder holds, as the first component reads it that gets it."""
    from designer_modules import registry

    if not isinstance(given, str | Path):
        return given
    for node in graph.nodes.values():
        for port in node.component.inputs:
            if node.bindings.get(port) == FromInput(name):
                return registry.inputs_of(registry.find(node.component.module))[port].read(str(given))
    return given
