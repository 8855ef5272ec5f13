"""The little MyST Markdown that the book's pages are put together with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

_CODE = r"(```.*?```|`[^`]*`)"
_LINK = re.compile(_CODE + r"|(?<=\])\((?P<target>[^)\s]+)\)", re.DOTALL)
_SPECIAL = re.compile(_CODE + r"|([\\*_{}\[\]<>#|$~])")


def targets(text: str) -> Iterator[str]:
    """Yield where the links and images in ``text`` lead to, in order; what looks like one in code is none."""
    return (match["target"] for match in _LINK.finditer(text) if match["target"])


def with_targets(text: str, change: Callable[[str], str]) -> str:
    """Return ``text`` with each link's and image's target replaced by what ``change`` makes of it."""
    return _LINK.sub(lambda match: f"({change(match['target'])})" if match["target"] else match[0], text)


def plain(text: str) -> str:
    """Return Markdown that shows ``text`` as it is; what stands between backticks is code."""
    return _SPECIAL.sub(lambda match: match[1] or f"\\{match[2]}", text)


def code(source: str, language: str) -> str:
    """Return a block of code, however many backticks are in it."""
    longest = max((len(run) for run in re.findall(r"`+", source)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{source.rstrip()}\n{fence}\n"


def folded(title: str, content: str) -> str:
    """Return what shows only ``title`` until a reader opens it."""
    return f":::::{{dropdown}} {title}\n{content.rstrip()}\n:::::\n"


def classed(name: str, content: str) -> str:
    """Return ``content`` in a box of a CSS class."""
    return f"::::::{{container}} {name}\n{content.rstrip()}\n::::::\n"


def anchor(heading: str) -> str:
    """Return what a link to a heading ends with, as GitHub and MyST make it of the heading's text."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def contents(caption: str, places: Sequence[str]) -> str:
    """Return a part of the book's table of contents, which is shown beside each page and nowhere else."""
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(places) + "\n```\n"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
