"""Where each box of a graph and each of its ports goes, and the ways of the edges: the same in both pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from designer.view.boxes import Box, Port
from helpers.graph_layout import MARGIN, Edge, Layout, Place, curve, layers

BOX_HEIGHT, LEAST_WIDTH, ROW_GAP = 84, 168, 46  # pixels, as are the following
TITLE_LETTER, LETTER, PORT_LETTER = 8.7, 7.0, 6.2  # the width of one, in the widest of the usual fonts
PADDING, PORT_GAP = 30, 18


@dataclass(frozen=True)
class Placed:
    """A graph's boxes and edges with their places.

    Args:
        boxes: by their keys, in the graph's order: each after those that it needs something from.
        places: of the boxes, by their keys.
        paths: of the edges, in SVG's words.
        width: of all, with a margin.
        height: of all, with a margin.
    """

    boxes: Mapping[str, Box]
    places: Mapping[str, Place]
    paths: Mapping[Edge, str]
    width: float
    height: float


def place(boxes: Mapping[str, Box], edges: Iterable[Edge]) -> Placed:
    """Give boxes their places: what needs something is below it."""
    edges = tuple(edges)
    sources = {edge.target for edge in edges}
    rows = layers(boxes, edges, falls=lambda key: key not in sources)
    places = {key: _place(box) for key, box in boxes.items()}
    layout = Layout(places, rows, edges, BOX_HEIGHT, settle=True, gap=ROW_GAP)
    paths = {edge: _path(edge, way) for edge, way in layout.ways.items()}
    ordered = {place.key: boxes[place.key] for row in layout.rows for place in row if not place.is_bend}
    return Placed(ordered, layout.places, paths, max(layout.width, 2 * MARGIN), layout.height)


def _path(edge: Edge, way: list[Place]) -> str:
    start = way[0].x + way[0].outputs.get(edge.output, 0.0)
    return curve(way, start, way[-1].x + way[-1].inputs.get(edge.input, 0.0), tip=7.0)


def _place(box: Box) -> Place:
    lines = (len(box.title) * TITLE_LETTER, len(box.detail) * LETTER, len(box.what) * LETTER)
    width = max(LEAST_WIDTH, *(line + PADDING for line in lines), _needed(box.inputs), _needed(box.outputs))
    return Place(box.key, width, BOX_HEIGHT, _offsets(box.outputs, width), _offsets(box.inputs, width))


def _widths(ports: tuple[Port, ...]) -> list[float]:
    return [len(port.name) * PORT_LETTER + PORT_GAP for port in ports]


def _needed(ports: tuple[Port, ...]) -> float:
    return sum(_widths(ports))


def _offsets(ports: tuple[Port, ...], width: float) -> dict[str, float]:
    """Return how far ports are from the middle of a box, so that their names have room side by side."""
    spare = (width - _needed(ports)) / len(ports) if ports else 0.0
    rooms = [room + spare for room in _widths(ports)]
    return {
        port.name: end - room / 2 - width / 2 for port, room, end in zip(ports, rooms, accumulate(rooms), strict=True)
    }
