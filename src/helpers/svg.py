"""What pictures of graphs are made of: an SVG document with a text, and how Jupyter gets it."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape

INK, PAPER = "#10243e", "#ffffff"
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def document(width: float, height: float, alt: str, parts: Iterable[str]) -> str:
    """Return an SVG document on paper, whose edges can end in ``url(#tip)``; ``alt`` is what it says in words."""
    wide, high = round(width), round(height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        f'role="img" font-family="{FONTS}">',
        f"<title>{escape(alt)}</title>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 10 5 0 10z" fill="{INK}"/></marker></defs>',
        f'<rect width="100%" height="100%" fill="{PAPER}"/>',
        *parts,
        "</svg>",
    ]
    return "\n".join(lines)


def text(x: float, y: float, size: float, words: str, *, bold: bool = False) -> str:
    """Return a line of text around ``x``; ``words`` is markup."""
    weight = ' font-weight="700"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}"{weight} text-anchor="middle" fill="{INK}">{words}</text>'


def image(svg: str, alt: str) -> str:
    """Return an HTML image. In an output of its own, as Jupyter shows SVG that comes as such, it would have no text."""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(alt)}">'


def in_words(words: str) -> str:
    """Return what a picture shows as text that a reader can open."""
    return f"<details><summary>in words</summary>{escape(words).replace(chr(10), '<br>')}</details>"
