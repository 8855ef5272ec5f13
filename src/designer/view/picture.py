"""The static picture of a graph: an SVG with the same in words, as papermill, nbval and GitHub show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from designer.view.boxes import STEP, Box, Port
from designer.view.looks import CATEGORIES, CHANGES, Change, category, state
from designer.view.scene import KEPT, Scene
from designer.view.words import in_lines, settings_in_lines
from helpers.graph_layout import MARGIN, Place
from helpers.svg import INK, PAPER, document, image, in_words, text

STRIP, RADIUS = 7, 8  # pixels, as are the following
LEAST_WIDTH, LEGEND_ROW, LEGEND_LETTER, SWATCH = 420.0, 20, 6.6, 12


@dataclass(frozen=True)
class Picture:
    """A graph as Jupyter shows it.

    Args:
        scene: what is shown.
        statuses: how steps stand, by their names, e.g. ``{"score": "Running"}``; empty where nothing runs.
    """

    scene: Scene
    statuses: Mapping[str, str] = field(default_factory=dict)

    @property
    def alt(self) -> str:
        """The picture in words, a line for each box."""
        return "\n".join(in_lines(self.scene, self.statuses))

    @property
    def svg(self) -> str:
        """The picture, as an SVG document."""
        placed = self.scene.placed
        legend, height = _legend(self)
        parts = (*_edges(self), *(part for box in placed.boxes.values() for part in _box(self, box)), *legend)
        return document(self.width, height, self.alt, parts)

    @property
    def width(self) -> float:
        """How wide it is, in pixels."""
        return max(self.scene.placed.width, LEAST_WIDTH)

    @property
    def html(self) -> str:
        """The picture as an image, and below it the same in words, to be opened."""
        words = "\n".join((self.alt, *settings_in_lines(self.scene.placed.boxes)))
        return image(self.svg, self.alt) + in_words(words)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.alt}


@dataclass(frozen=True)
class SideBySide:
    """Two pictures beside each other, or, where there is no room, one below the other."""

    pictures: tuple[Picture, ...]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        html = "".join(
            f'<figure style="flex: 1 1 {round(min(one.width, 480))}px; margin: 0"><figcaption>'
            f"<b>{escape(one.scene.name)}</b></figcaption>{one.html}</figure>"
            for one in self.pictures
        )
        html = f'<div style="display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start">{html}</div>'
        return {"text/html": html, "text/plain": "\n".join(one.alt for one in self.pictures)}


def _edges(picture: Picture) -> Iterator[str]:
    for edge, path in picture.scene.placed.paths.items():
        look = CHANGES[picture.scene.changed_edges.get(edge, KEPT)]
        yield f'<path class="edge" d="{path}" fill="none" {_stroke(look, 1.6)} marker-end="url(#tip)"/>'


def _stroke(look: Change, width: float) -> str:
    dashes = f' stroke-dasharray="{look.dashes}"' if look.dashes else ""
    return f'stroke="{look.line}" stroke-width="{width}"{dashes}'


def _box(picture: Picture, box: Box) -> Iterator[str]:
    """Draw a box: its outline, a strip in its category's colour, three lines, its ports."""
    at = picture.scene.placed.places[box.key]
    status = picture.statuses.get(box.name, "") if box.kind == STEP else ""
    mark, colour = state(status)
    change = picture.scene.changes.get(box.key, KEPT)
    look = CHANGES[change]
    stands = [f"{mark}{status}"] if status else []
    stands += [f"{look.mark} {change}"] if change != KEPT else []
    yield _outline(at, colour if status else look.fill, _stroke(look, 1.4 if change == KEPT else 3))
    yield _strip(at, category(box.category))
    title, below = (32, 64) if box.detail else (38, 56)  # of three lines, or two
    yield text(at.x, at.y + title, 14, escape(box.title), bold=True)
    if box.detail:
        yield text(at.x, at.y + 48, 11.5, escape(box.detail))
    yield text(at.x, at.y + below, 11.5, escape(" · ".join(stands) or box.what), bold=bool(stands))
    for port in box.inputs:
        yield from _port(port, at.x + at.inputs[port.name], at.y, names_at=13.0)
    for port in box.outputs:
        yield from _port(port, at.x + at.outputs[port.name], at.y + at.height, names_at=-6.0)


def _outline(at: Place, fill: str, stroke: str) -> str:
    place = f'x="{at.left:.1f}" y="{at.y:.1f}" width="{at.width:.1f}" height="{at.height}" rx="{RADIUS}"'
    return f'<rect class="box" {place} fill="{fill}" {stroke}/>'


def _strip(at: Place, colour: str) -> str:
    """Colour a box's left edge, within its round corners."""
    left, top, below = at.left + 0.7, at.y + 0.7, at.y + at.height - 0.7
    return (
        f'<path d="M{left + STRIP:.1f} {top:.1f} H{left + RADIUS:.1f} A{RADIUS} {RADIUS} 0 0 0 {left:.1f} '
        f"{top + RADIUS:.1f} V{below - RADIUS:.1f} A{RADIUS} {RADIUS} 0 0 0 {left + RADIUS:.1f} {below:.1f} "
        f'H{left + STRIP:.1f} Z" fill="{colour}"/>'
    )


def _port(port: Port, x: float, y: float, names_at: float) -> Iterator[str]:
    fill = PAPER if port.optional else INK  # a ring: may stay unconnected
    yield f'<circle class="port" cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{INK}" stroke-width="1.4"/>'
    if port.name:
        yield text(x, y + names_at, 10, escape(port.name))


def _legend(picture: Picture) -> tuple[list[str], float]:
    """Draw what the colours mean below the graph; return that, and the height of the whole."""
    entries = [*_category_entries(picture), *_change_entries(picture)]
    parts, x, y = [], float(MARGIN), picture.scene.placed.height + LEGEND_ROW / 2
    for swatch, words in entries:
        width = SWATCH + 6 + len(words) * LEGEND_LETTER + 18
        if x > MARGIN and x + width > picture.width:
            x, y = float(MARGIN), y + LEGEND_ROW
        parts.append(f'<rect x="{x:.1f}" y="{y - SWATCH + 2:.1f}" width="{SWATCH}" height="{SWATCH}" rx="3" {swatch}/>')
        parts.append(f'<text x="{x + SWATCH + 6:.1f}" y="{y:.1f}" font-size="11.5" fill="{INK}">{escape(words)}</text>')
        x += width
    return parts, (y + MARGIN if entries else picture.scene.placed.height)


def _category_entries(picture: Picture) -> Iterator[tuple[str, str]]:
    there = dict.fromkeys(box.category for box in picture.scene.placed.boxes.values())
    for name in sorted(there, key=[*CATEGORIES, *there].index):
        yield f'fill="{category(name)}"', name


def _change_entries(picture: Picture) -> Iterator[tuple[str, str]]:
    for name in (name for name in CHANGES if name in picture.scene.changes.values()):
        look = CHANGES[name]
        yield f'fill="{look.fill}" {_stroke(look, 2)}', f"{look.mark} {name}: {look.means}"
