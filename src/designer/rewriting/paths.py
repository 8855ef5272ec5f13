"""Where rows go in a training graph: where they come in, which component scores, what depends on them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from designer.declarations import ANY, DATA_TYPES, DATASET, IMAGES, MODEL, TRANSFORMATION, UNTRAINED, Port
from designer.errors import GraphError, Problem
from designer.graph import FromInput, FromNode, Graph, Node

ROWS = (DATASET, IMAGES)  # the types of data that rows are in
SCORES, PASSES_ON = "scores", "passes_data_on"
Source = FromInput | FromNode


def scored_rows(graph: Graph, scorer: str | None = None) -> FromNode:
    """Return the port that scored rows leave by.

    Args:
        graph: the training graph.
        scorer: the node that scores, where there are several; or one of its ports; or any whose data is the answer.

    Raises:
        GraphError: there is none, or there are several and none is chosen.
    """
    if scorer:
        found = graph.source(scorer)
        if isinstance(found, FromInput):
            raise GraphError(Problem("It is an input of the graph; a component that scores is needed.", place=scorer))
        return found
    scorers = [name for name, node in graph.nodes.items() if node.component.at_inference == SCORES]
    scorers = scorers or [name for name, node in graph.nodes.items() if _scores(node)]
    last = [name for name in scorers if not _upstream_of_others(graph, name, scorers)]
    if not last:
        raise GraphError(
            Problem("No component scores rows with a trained model; connect Score Model (or Assign Data to Clusters).")
        )
    if len(last) > 1:
        raise GraphError(Problem(f"Several components score: {', '.join(last)}; choose one, as in scorer={last[0]!r}."))
    outputs = graph.nodes[last[0]].component.outputs.values()
    return FromNode(last[0], next(port.name for port in outputs if port.data_type not in (MODEL,)))


def _scores(node: Node) -> bool:
    """Say whether a component that does not say so scores, by its ports: a model and rows in, rows out."""
    taken = {port.data_type for port in node.component.inputs.values()}
    made = {port.data_type for port in node.component.outputs.values()}
    return MODEL in taken and MODEL not in made and bool(taken & {*ROWS}) and bool(made & {*ROWS})


def _upstream_of_others(graph: Graph, name: str, others: Collection[str]) -> bool:
    return bool(dependents(graph, [FromNode(name, port) for port in graph.nodes[name].component.outputs]) & {*others})


def dependents(graph: Graph, sources: Collection[Source]) -> set[str]:
    """Return the nodes that get something from these inputs or ports, or from one another that does."""
    found: set[str] = set()
    waiting = [*sources]
    while waiting:
        source = waiting.pop()
        for name, node in graph.nodes.items():
            if name not in found and source in node.bindings.values():
                found.add(name)
                waiting += [FromNode(name, port) for port in node.component.outputs]
    return found


def entrances(graph: Graph, end: FromNode, chosen: Sequence[str]) -> list[Source]:
    """Return where rows come in that leave by a port: the inputs and ports that are chosen, else the usual one.

    Raises:
        GraphError: one is not there, or what it carries does not get to the port, or is no data.
    """
    sources = [graph.source(text) for text in chosen]
    for source in sources:
        node, port = (source.node, source.port) if isinstance(source, FromNode) else ("", source.name)
        if end.node not in dependents(graph, [source]):
            raise GraphError(Problem(f"What it carries does not get to {end}, where scored rows leave.", node, port))
        if graph.data_type(source) in (MODEL, TRANSFORMATION, UNTRAINED):
            carries = DATA_TYPES[graph.data_type(source)]
            raise GraphError(Problem(f"It carries a {carries}; rows can come in where there is a dataset.", node, port))
    return sources or [entrance(graph, end)]


def entrance(graph: Graph, end: FromNode) -> Source:
    """Return where the rows come in that leave by a port: an input of the graph, or the port of a data source.

    Upwards from there: at each component the first port that rows come by. With Join Data, that is the left one.
    """
    seen: set[str] = set()
    source: Source = end
    while isinstance(source, FromNode) and source.node not in seen:
        seen.add(source.node)
        node = graph.nodes[source.node]
        upper = [
            bound
            for port in node.component.inputs.values()
            if isinstance(bound := node.bindings.get(port.name), FromInput | FromNode)
            and _brings_rows(node, port, bound)
        ]
        if not upper:
            return source
        source = upper[0]
    return source


def _brings_rows(node: Node, port: Port, bound: Source) -> bool:
    """Say whether rows come by a port. What reads files, e.g. Import Data, is a data source itself."""
    if port.data_type in ROWS:
        return True
    made = {one.data_type for one in node.component.outputs.values()}
    return port.data_type == ANY and (isinstance(bound, FromNode) or not made & {*ROWS})
