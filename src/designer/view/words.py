"""A graph in words: what a picture of it says to those who do not see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from designer.declarations import with_article
from designer.view.boxes import INPUT, RESULT, STEP, Box
from designer.view.scene import REMOVED, Scene
from helpers.graph_layout import Edge


def in_lines(scene: Scene, statuses: Mapping[str, str]) -> list[str]:
    """Return a line for each box: what it is, how it stands, what has become of it, and what it gets from where.

    Args:
        scene: whose boxes they are.
        statuses: how steps stand, by their names.
    """
    boxes = scene.placed.boxes
    lines = [f"The pipeline {scene.name}, as a graph."]
    lines += [f"Its parameter {name} is {value}." for name, value in scene.parameters.items()]
    for box in boxes.values():
        status = statuses.get(box.name, "") if box.kind == STEP else ""
        marks = ", ".join(filter(None, (status, scene.changes.get(box.key, ""))))
        now = [edge for edge in scene.edges if scene.changed_edges.get(edge) != REMOVED or box.key in scene.removed]
        came = [(edge.input, _source(boxes, edge)) for edge in now if edge.target == box.key]
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
        return f"is {with_article(box.what)}{f': {box.detail}' if box.detail else ''}"
    if box.kind == RESULT:
        return f"is {_listed(source for _, source in came) or 'nothing'}"
    return f"gets {_listed(f'{source} as {port}' for port, source in came) or 'nothing'}"


def _source(boxes: Mapping[str, Box], edge: Edge) -> str:
    source = boxes[edge.source]
    return f"{edge.output} of {source.name}" if source.kind == STEP else source.name


def _listed(words: Iterable[str]) -> str:
    *some, last = [*words] or [""]
    return f"{', '.join(some)} and {last}" if some else last
