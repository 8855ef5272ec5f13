"""A route table for paths whose fixed segments match in any case, as Azure Resource Manager's do.

``{name}`` matches one segment. A lookup walks the path's segments once, whatever the number of routes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import unquote

Handler = TypeVar("Handler")


@dataclass
class _Node(Generic[Handler]):
    literals: dict[str, _Node[Handler]] = field(default_factory=dict)
    wildcard: _Node[Handler] | None = None
    handlers: dict[str, tuple[Handler, str, tuple[str, ...]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Match(Generic[Handler]):
    """What a path led to: a handler with its template and parameters, or (``handler`` None) the methods it allows."""

    handler: Handler | None
    template: str
    params: dict[str, str]
    allowed: tuple[str, ...]


class Routes(Generic[Handler]):
    """Handlers by method and path template.

    Args:
        prefix: stands before the template of each route.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self._root: _Node[Handler] = _Node()
        self._declared: list[tuple[str, str, Handler]] = []

    def __iter__(self):  # type: ignore[no-untyped-def] # (method, template, handler), in the order of declaration
        return iter(self._declared)

    def route(self, method: str, template: str) -> Callable[[Handler], Handler]:
        """Return a decorator that declares a handler."""

        def declare(handler: Handler) -> Handler:
            self.add(method, self.prefix + template, handler)
            return handler

        return declare

    def add(self, method: str, template: str, handler: Handler) -> None:
        """Declare ``handler`` for ``method`` and ``template``. Raises ValueError where there is one already."""
        node = self._root
        names = []
        for segment in _segments(template):
            if segment.startswith("{"):
                names.append(segment.strip("{}"))
                node.wildcard = node.wildcard or _Node()
                node = node.wildcard
            else:
                node = node.literals.setdefault(segment.lower(), _Node())
        if method in node.handlers:
            raise ValueError(f"{method} {template} is declared twice")
        node.handlers[method] = (handler, template, tuple(names))
        self._declared.append((method, template, handler))

    def include(self, other: Routes[Handler]) -> None:
        """Add every route of ``other``."""
        for method, template, handler in other:
            self.add(method, template, handler)

    def match(self, method: str, path: str) -> Match[Handler] | None:
        """Return what ``path`` (still percent-encoded) leads to, or None where it leads nowhere."""
        found = _walk(self._root, _segments(path), 0, [])
        if found is None:
            return None
        node, values = found
        if method not in node.handlers:
            return Match(None, "", {}, tuple(sorted(node.handlers)))
        handler, template, names = node.handlers[method]
        return Match(handler, template, dict(zip(names, map(unquote, values), strict=True)), tuple(node.handlers))


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _walk(
    node: _Node[Handler], segments: list[str], at: int, values: list[str]
) -> tuple[_Node[Handler], list[str]] | None:
    if at == len(segments):
        return (node, values) if node.handlers else None
    literal = node.literals.get(segments[at].lower())
    if literal is not None:
        found = _walk(literal, segments, at + 1, values)
        if found:
            return found
    if node.wildcard is not None:
        return _walk(node.wildcard, segments, at + 1, [*values, segments[at]])
    return None
