"""Right and wrong answers to the exercises on images in the Designer."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]


def _as_data_uri(
    kind: str = "", header: str = "data:{kind};base64,", encoded: Callable[[bytes], str] | None = None
) -> Callable[[Any], str]:
    """A function that makes a data URI, or one with a plausible fault."""

    def answer(file: Any) -> str:
        content = Path(file).read_bytes()
        text = encoded(content) if encoded else base64.b64encode(content).decode()
        return header.format(kind=kind or mimetypes.guess_type(str(file))[0]) + text

    return answer


def _by_a_table(file: Path) -> str:
    kinds = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
    return f"data:{kinds[file.suffix]};base64,{base64.b64encode(file.read_bytes()).decode('ascii')}"


def _for_a_clerk(form: Callable[[list[str]], Any] = list, below: bool = True, sure: bool = False) -> Callable[..., Any]:
    """A function that picks the rows of which a model is not sure, or one with a plausible fault."""

    def answer(rows: Rows, least: float) -> Any:
        found = []
        for row in rows:
            certainty = max(value for name, value in row.items() if "Probabilities_" in name)
            unsure = certainty < least if below else certainty <= least
            if unsure != sure:
                found.append(row["id"])
        return form(found)

    return answer


def _by_what_was_read(rows: Rows, least: float) -> list[str]:
    return [row["id"] for row in rows if row["Scored Probabilities_" + row["Scored Labels"]] < least]


def _by_zero(rows: Rows, least: float) -> list[str]:
    return [row["id"] for row in rows if row["Scored Probabilities_0"] < least]


RIGHT: dict[str, list[Any]] = {
    "classify_images/harmless": [{"b", "e", "f"}, ["f", "e", "b"], "bef", "b, e, f", ("B", "E", "F")],
    "classify_images/as_data_uri": [_as_data_uri(), _by_a_table],
    "classify_images/for_a_clerk": [_for_a_clerk(), _for_a_clerk(tuple), _for_a_clerk(set), _by_what_was_read],
}
WRONG: dict[str, list[tuple[Any, str]]] = {
    "classify_images/harmless": [
        ({"a", "b", "e", "f"}, "nobody writes a mirrored 7"),
        ({"b", "c", "e", "f"}, "a 6 becomes a 9"),
        ({"b", "d"}, "upside down"),
        ({"b"}, "one is missing: scanners and pens differ"),
        ({"b", "e"}, "a pixel to the side"),
        ({"b", "e", "f", "x"}, "'x' is no letter of the table"),
        (set(), "one is missing"),
        (3, "letters are wanted"),
        ([1, 2], "letters are wanted"),
        ({"b": True}, "letters are wanted"),
    ],
    "classify_images/as_data_uri": [
        (_as_data_uri("image/png"), "of a .jpg file the URI begins 'data:image/png;base64'"),
        (_as_data_uri("image/jpg"), "of a .png file the URI begins"),
        (_as_data_uri(header=""), "does not begin with data:"),
        (_as_data_uri(header="data:{kind},"), "it should begin 'data:image/png;base64,'"),
        (_as_data_uri(encoded=lambda content: str(base64.b64encode(content))), "Python's b'...'"),
        (_as_data_uri(encoded=lambda content: content.hex() + "!"), "no base64"),
        (_as_data_uri(encoded=lambda content: base64.b64encode(content[1:]).decode()), "not those of the file"),
        (lambda file: base64.b64encode(Path(file).read_bytes()), "of type bytes; a data URI is a text"),
        ("data:image/png;base64,iVBORw0KGgo=", "a function is wanted"),
    ],
    "classify_images/for_a_clerk": [
        (_for_a_clerk(below=False), "a row with just the limit is not below it"),
        (_for_a_clerk(sure=True), "it should return ['torn.png', 'nearly.png']"),
        (_by_zero, "it should return ['torn.png', 'nearly.png']"),
        (lambda rows, least: [row for row in rows if row["Scored Probabilities_0"] < least], "no list of ids"),
        (lambda rows, least: "torn.png", "no list of ids"),
        (lambda rows, least: 2, "no list of ids"),
        (["torn.png"], "a function is wanted"),
    ],
}
