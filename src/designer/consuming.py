"""Programs that ask a web service, with its real columns and address: what the studio's tab *Consume* offers to copy.

They differ from the studio's in that the key does not stand in them, and that the certificate is checked.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pprint import pformat
from typing import TYPE_CHECKING, Any

from designer.openapi import example_request

if TYPE_CHECKING:
    from designer.packaging import Package

TEMPLATES = Path(__file__).parent / "consumers"
WIDTH = 110
IMAGE = "the content of an image file as a data URI, data:image/png;base64,..."
MOST_CATEGORIES = 10  # that a comment names


@dataclass(frozen=True)
class _Language:
    """How a language writes what is put into its template.

    Args:
        text: a string.
        value: a request.
        comment: what a line of a comment begins with.
    """

    text: Callable[[str], str]
    value: Callable[[Any], str]
    comment: str


def _python(value: Any) -> str:
    return pformat(value, width=WIDTH, sort_dicts=False)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2)


LANGUAGES: Mapping[str, _Language] = {
    "python": _Language(json.dumps, _python, "#"),
    "python-urllib": _Language(json.dumps, _python, "#"),
    "curl": _Language(shlex.quote, _json, "#"),
    "javascript": _Language(json.dumps, _json, "//"),
    "csharp": _Language(json.dumps, _json, "//"),
}


def consumer_code(package: Package, scoring_uri: str, language: str = "python") -> str:
    """Return a program that sends a package's example to an endpoint and prints what comes back.

    It reads the key from the environment variable ``SCORING_KEY``, and ends with another exit status than 0 where it is
    refused.

    Args:
        package: the web service's.
        scoring_uri: the endpoint's, e.g. ``ml_client.online_endpoints.get("flights").scoring_uri``.
        language: ``python`` (requests), ``python-urllib``, ``curl`` (bash), ``javascript`` (Node) or ``csharp``.

    Raises:
        ValueError: there is no such language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"There is no consumer code in {language!r}; there is in: {', '.join(LANGUAGES)}.")
    written = LANGUAGES[language]
    values = {
        "__NAME__": json.dumps(package.contract["name"]),
        "__COLUMNS__": "\n".join(f"{written.comment} {line}" for line in _columns(package.contract)),
        "__SCORING_URI__": written.text(scoring_uri),
        "__REQUEST__": written.value(example_request(package.contract)),
    }
    template = (TEMPLATES / f"{language}.txt").read_text(encoding="utf-8")
    return re.sub("|".join(values), lambda place: values[place[0]], template)


def _columns(contract: Mapping[str, Any]) -> list[str]:
    """Say what a request takes, a line a column. Names are quoted as JSON has them: none can end the comment."""
    lines = []
    for name, one in contract["inputs"].items():
        lines.append(f"The columns of {json.dumps(name)}:")
        for column in one["schema"]["columns"]:
            optional = ", may be left out" if column["name"] in one["optional"] else ""
            lines.append(f"  {json.dumps(column['name'])}: {_kind(column)}{optional}")
    return lines


def _kind(column: Mapping[str, Any]) -> str:
    categories = column.get("categories")
    if not categories:
        return IMAGE if column["type"] == "Image" else str(column["type"])
    more = ", ..." if len(categories) > MOST_CATEGORIES else ""
    return "one of " + ", ".join(map(json.dumps, categories[:MOST_CATEGORIES])) + more
