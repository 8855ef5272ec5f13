"""A graph in words: what a picture of it says to those who do not see it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from designer.graph import Graph
from designer.view.boxes import INPUT, RESULT, STEP, Box, is_literal
from helpers.graph_layout import Edge


def in_lines(
    graph: Graph,
    boxes: Mapping[str, Box],
    edges: Collection[Edge],
    statuses: Mapping[str, str],
    changes: Mapping[str, str],
) -> list[str]:
    """Return a line for each box: what it is, how it stands, what has become of it, and what it gets from where.

    Args:
        graph: whose boxes they are.
        boxes: by their keys, in the order in which they are told.
        edges: between them.
        statuses: how steps stand, by their names.
        changes: what has become of boxes, by their keys.
    """
    lines = [f"The pipeline {graph.name}, as a graph."]
    lines += [f"Its parameter {name} is {one.default}." for name, one in graph.inputs.items() if is_literal(one)]
    for box in boxes.values():
        status = statuses.get(box.name, "") if box.kind == STEP else ""
        marks = ", ".join(filter(None, (status, changes.get(box.key, ""))))
        came = [(edge.input, _source(boxes, edge)) for edge in edges if edge.target == box.key]
        lines.append(f"{_called(box)}{f' ({marks})' if marks else ''} {_gets(box, came)}.")
    return lines


def settings_in_lines(boxes: Mapping[str, Box]) -> Iterator[str]:
    """Yield a line for each component whose parameters the graph sets."""
    for box in boxes.values():
        given = [f"{one.name} = {one.value}" for one in box.settings if not one.is_default]
        if given:
            yield f"Parameters of {box.name}: {', '.join(given)}."


def _called(box: Box) -> str:
    return f"{box.name}: {box.title}" if box.kind == STEP else f"The {box.kind} {box.name}"


def _gets(box: Box, came: list[tuple[str, str]]) -> str:
    if box.kind == INPUT:
        return (
            f"is the {box.what} {box.description}"
            if box.description != box.detail
            else f"is a {box.what}: {box.detail}"
        )
    if box.kind == RESULT:
        return f"is {_listed(source for _, source in came) or 'nothing'}"
    return f"gets {_listed(f'{source} as {port}' for port, source in came) or 'nothing'}"


def _source(boxes: Mapping[str, Box], edge: Edge) -> str:
    source = boxes[edge.source]
    return f"{edge.output} of {source.name}" if source.kind == STEP else source.name


def _listed(words: Iterable[str]) -> str:
    *some, last = [*words] or [""]
    return f"{', '.join(some)} and {last}" if some else last
