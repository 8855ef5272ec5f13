"""Where the boxes of a graph go in its picture: in rows, each below those it needs, and the ways of the edges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, pairwise

BEND_WIDTH = 12  # pixels, as are the following
GAP, LAYER_GAP, MARGIN = 26, 44, 14
SWEEPS, SETTLINGS = 8, 24  # how often rows are ordered, and placed, anew
STRAIGHT = 8.0  # how much more an edge wants to pass a row without a bend than a box wants to be below another


@dataclass(frozen=True)
class Edge:
    """What goes from one node of a graph into another.

    Args:
        source: the key of a node.
        output: its port; empty where an input of the pipeline goes in.
        target: the key of the other.
        input: its port; empty where ports are not told apart.
    """

    source: str
    output: str
    target: str
    input: str = ""


@dataclass
class Place:
    """A box, or where an edge passes a row, and its place in the picture.

    Args:
        outputs: how far its output ports are from its middle, to the right, by their names; others are in the middle.
        inputs: the same of its input ports.
    """

    key: str
    width: float
    height: float
    outputs: Mapping[str, float] = field(default_factory=dict)
    inputs: Mapping[str, float] = field(default_factory=dict)
    x: float = 0.0  # its middle
    y: float = 0.0  # its upper edge
    is_bend: bool = False

    @property
    def left(self) -> float:
        """The x of its left edge."""
        return self.x - self.width / 2


@dataclass(frozen=True)
class _Piece:
    """What of an edge lies between two rows: its ends, and how far they are from the middles of their places."""

    upper: Place
    leaves: float
    lower: Place
    enters: float


def layers(keys: Iterable[str], edges: Collection[Edge], falls: Callable[[str], bool]) -> dict[str, int]:
    """Return in which row each node is: below what it needs; one that ``falls``, just above who needs it first."""
    needs = defaultdict(list)
    for edge in edges:
        needs[edge.target].append(edge.source)
    found: dict[str, int] = {}

    def layer(key: str) -> int:
        if key not in found:
            found[key] = 0  # a cycle ends here: nobody can send such a pipeline, but look at it
            found[key] = max((layer(source) + 1 for source in needs[key]), default=0)
        return found[key]

    keys = list(keys)
    for key in keys:
        layer(key)
    for key in keys:
        if falls(key):
            found[key] = min((found[edge.target] for edge in edges if edge.source == key), default=found[key] + 1) - 1
    return found


class Layout:
    """Nodes in rows, ordered so that few edges cross; an edge that passes a row has a place of its own there.

    Args:
        places: of each node, by its key.
        rows: in which row each is, by its key; see ``layers``.
        edges: between them.
        bend_height: of the places where edges pass a row; that of its highest box keeps them clear of all.
        settle: whether to order again while that makes fewer edges cross, and to place each node below its neighbours
            rather than each row in the middle.
        gap: between two rows.
    """

    def __init__(
        self,
        places: Mapping[str, Place],
        rows: Mapping[str, int],
        edges: Iterable[Edge],
        bend_height: float,
        *,
        settle: bool = False,
        gap: float = LAYER_GAP,
    ) -> None:
        self.places = places
        self.ways: dict[Edge, list[Place]] = {}
        self.rows: list[list[Place]] = [[] for _ in range(max(rows.values(), default=-1) + 1)]
        self._gap = gap
        self._bend_height = bend_height
        self._above: dict[int, list[_Piece]] = defaultdict(list)
        self._below: dict[int, list[_Piece]] = defaultdict(list)
        for key, row in rows.items():
            self.rows[row].append(places[key])
        for edge in edges:
            self.ways[edge] = self._way(edge, rows)
        self._order_once()
        if settle:
            self._order_better()
            self._settle()
        self._finish()

    def _way(self, edge: Edge, rows: Mapping[str, int]) -> list[Place]:
        way = [self.places[edge.source]]
        for row in range(rows[edge.source] + 1, rows[edge.target]):
            bend = Place(f"{edge.source} {edge.output}", BEND_WIDTH, self._bend_height, is_bend=True)
            # What one output sends to several steps goes one way as far as it can.
            same = [place for place in self.rows[row] if place.key == bend.key]
            way.append(same[0] if same else bend)
            if not same:
                self.rows[row].append(bend)
        way.append(self.places[edge.target])
        for upper, lower in pairwise(way):
            piece = _Piece(upper, upper.outputs.get(edge.output, 0.0), lower, lower.inputs.get(edge.input, 0.0))
            self._above[id(lower)].append(piece)
            self._below[id(upper)].append(piece)
        return way

    def _wish_from_above(self, place: Place) -> float:
        pieces = self._above[id(place)]
        return sum(one.upper.x + one.leaves - one.enters for one in pieces) / len(pieces) if pieces else float("inf")

    def _order_once(self) -> None:
        for row in self.rows:
            row.sort(key=self._wish_from_above)
            _place_in_row(row)

    def _order_better(self) -> None:
        """Order the rows by what is below them, then above, and so on; keep the order in which fewest edges cross."""
        best, crossings = [list(row) for row in self.rows], self._crossings()
        for sweep in range(SWEEPS):
            if not crossings:
                break
            for row in self.rows if sweep % 2 else reversed(self.rows):
                row.sort(key=partial(self._wish, are_above=bool(sweep % 2)))
                _place_in_row(row)
            if (found := self._crossings()) < crossings:
                best, crossings = [list(row) for row in self.rows], found
        self.rows[:] = best
        for row in self.rows:
            _place_in_row(row)

    def _neighbours(self, place: Place, are_above: bool) -> list[tuple[float, float]]:
        """Return where the pieces of one side would have a place, each with how much it matters."""
        if are_above:
            return [(one.upper.x + one.leaves - one.enters, _weight(one)) for one in self._above[id(place)]]
        return [(one.lower.x + one.enters - one.leaves, _weight(one)) for one in self._below[id(place)]]

    def _wish(self, place: Place, *, are_above: bool) -> float:
        return _middle(self._neighbours(place, are_above), place.x)

    def _crossings(self) -> int:
        found = 0
        for row in self.rows:
            pieces = {id(piece): piece for place in row for piece in self._below[id(place)]}.values()
            ends = {(one.upper.x + one.leaves, one.lower.x + one.enters) for one in pieces}
            found += sum((a[0] - b[0]) * (a[1] - b[1]) < 0 for a, b in combinations(ends, 2))
        return found

    def _settle(self) -> None:
        """Move each place towards its neighbours above and below, as far as those beside it leave room."""
        for turn in range(SETTLINGS):
            for row in reversed(self.rows) if turn % 2 else self.rows:
                wishes = [self._neighbours(place, True) + self._neighbours(place, False) for place in row]
                wanted = [_middle(wish, place.x) for wish, place in zip(wishes, row, strict=True)]
                weights = [sum(weight for _, weight in wish) or 0.01 for wish in wishes]
                for place, x in zip(row, _nearest(wanted, weights, list(_distances(row))), strict=True):
                    place.x = x

    def _finish(self) -> None:
        y = float(MARGIN)
        for row in self.rows:
            height = max((place.height for place in row), default=0.0)
            for place in row:
                place.y = y + (height - place.height) / 2
            y += height + self._gap
        everything = [place for row in self.rows for place in row]
        leftmost = min((place.left for place in everything), default=0.0)
        for place in everything:
            place.x += MARGIN - leftmost
        self.width = max((place.x + place.width / 2 for place in everything), default=0.0) + MARGIN
        self.height = y - self._gap + MARGIN


def _middle(wishes: list[tuple[float, float]], otherwise: float) -> float:
    weights = sum(weight for _, weight in wishes)
    return sum(x * weight for x, weight in wishes) / weights if weights else otherwise


def _weight(piece: _Piece) -> float:
    return STRAIGHT if piece.upper.is_bend and piece.lower.is_bend else 1.0 + piece.upper.is_bend + piece.lower.is_bend


def _place_in_row(row: list[Place]) -> None:
    x = -(sum(place.width for place in row) + GAP * (len(row) - 1)) / 2
    for place in row:
        place.x = x + place.width / 2
        x += place.width + GAP


def _distances(row: list[Place]) -> Iterator[float]:
    """Yield how far the middle of each place has to be from that of the one before."""
    yield 0.0
    yield from ((one.width + other.width) / 2 + GAP for one, other in pairwise(row))


def _nearest(wanted: list[float], weights: list[float], distances: list[float]) -> Iterator[float]:
    """Yield positions at least ``distances`` apart, in order, as near to the wanted ones as can be (least squares).

    Less their distances, they must not decrease: isotonic regression, by pooling adjacent violators.
    """
    offsets = [sum(distances[: n + 1]) for n in range(len(distances))]
    pools: list[tuple[float, float, int]] = []  # the middle of some neighbours, their weight, how many they are
    for x, weight, offset in zip(wanted, weights, offsets, strict=True):
        pool = (x - offset, weight, 1)
        while pools and pools[-1][0] >= pool[0]:
            middle, heavy, many = pools.pop()
            pool = ((middle * heavy + pool[0] * pool[1]) / (heavy + pool[1]), heavy + pool[1], many + pool[2])
        pools.append(pool)
    positions = (middle for middle, _, many in pools for _ in range(many))
    yield from (x + offset for x, offset in zip(positions, offsets, strict=True))


def curve(way: list[Place], start: float, end: float, tip: float = 2.0) -> str:
    """Return the path of an edge in SVG's words: curves between the rows, straight down where it passes one.

    Args:
        way: the places that it joins.
        start: the x at which it leaves the first.
        end: the x at which it enters the last.
        tip: how much sooner than that it ends.
    """
    x, y = start, way[0].y + way[0].height
    path = f"M{x:.1f} {y:.1f}"
    for place in way[1:]:
        is_last = place is way[-1]
        to = end if is_last else place.x
        middle = (y + place.y) / 2
        path += f" C{x:.1f} {middle:.1f} {to:.1f} {middle:.1f} {to:.1f} {place.y - tip * is_last:.1f}"
        if not is_last:
            path += f" V{place.y + place.height:.1f}"
        x, y = to, place.y + place.height
    return path
