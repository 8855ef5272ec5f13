"""What Sphinx's pages lack on a phone and for a screen reader: an extension of Sphinx that ``config.yml`` names."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

_NAMELESS_COLUMN = re.compile(r'<th class="head">(?:<p></p>)?</th>')
_PICTURE = re.compile(r'<img [^>]*?src="(?P<source>[^":]+)"[^>]*>')
_NOTEBOOK = re.compile(r'href="(?P<path>[^":#]+)\.ipynb(?:#(?P<heading>[^"]+))?"')


def setup(app: Any) -> dict[str, bool]:
    """Enter it with Sphinx."""
    app.connect("html-page-context", _finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _finish(_app: Any, _page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    if "body" in context:
        context["body"] = finished(context["body"])


def finished(body: str) -> str:
    """Return a page's body, finished.

    The corner of a table is no header: a screen reader would announce one without a name. A picture is a link to
    itself: on a phone it is wider than its box, and what can be scrolled must be reached by keyboard. What a cell has
    printed links to lessons as JupyterLab does: to notebooks, and to headings with their capitals.
    """
    body = _NOTEBOOK.sub(_page_of_notebook, body)
    body = _NAMELESS_COLUMN.sub("<td></td>", body)
    return _PICTURE.sub(lambda match: f'<a class="picture" href="{match["source"]}">{match[0]}</a>', body)


def _page_of_notebook(link: re.Match[str]) -> str:
    heading = f"#{_id(unquote(link['heading']))}" if link["heading"] else ""
    return f'href="{link["path"]}.html{heading}"'


def _id(heading: str) -> str:
    """Return a heading's id in the page, as docutils makes it."""
    return re.sub(r"^[-0-9]+|-+$", "", re.sub(r"[^a-z0-9]+", "-", heading.lower()))
