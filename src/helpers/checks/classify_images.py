"""The exercises of *Classify images*."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from helpers.verdicts import CheckResult, exercise, right, wrong

HARMLESS = {"b", "e", "f"}
WHY_NOT = {
    "a": "nobody writes a mirrored 7, and the network would spend itself on learning it.",
    "c": "by 180 degrees a 6 becomes a 9.",
    "d": "upside down, a 6 is nearly a 9, and a 2 nearly a 5.",
}
WHY_SO = {
    "b": "people write at a slant, by 10 degrees and more.",
    "e": "scanners and pens differ: lighter or darker, the digit is the same.",
    "f": "a digit that sits a pixel to the side of its box is still that digit.",
}


@exercise(
    "classify_images/harmless", 'Go through the table with the digits 2, 6 and 7 in mind; then `harmless = {"..."}`.'
)
def harmless(answer: Any) -> CheckResult:
    """Accept the letters of what leaves a digit what it is: rotation by 10 degrees, color jitter, random crop."""
    letters = _letters(answer)
    if letters is None:
        return wrong('letters are wanted, for example {"a", "b"}.')
    if unknown := sorted(letters - {*HARMLESS, *WHY_NOT}):
        return wrong(f"{unknown[0]!r} is no letter of the table.")
    if harmful := sorted(letters - HARMLESS):
        return wrong(f"{harmful[0]}: {WHY_NOT[harmful[0]]}")
    if missing := sorted(HARMLESS - letters):
        return wrong(f"one is missing: {WHY_SO[missing[0]]}")
    return right("each of these makes a digit that somebody might have written.")


def _letters(answer: Any) -> set[str] | None:
    if not isinstance(answer, Iterable) or isinstance(answer, dict):
        return None
    parts = answer.replace(",", " ").replace(" ", "") if isinstance(answer, str) else [*answer]
    return {one.strip().lower() for one in parts} if all(isinstance(one, str) for one in parts) else None


@exercise(
    "classify_images/as_data_uri", "Begin with `def as_data_uri(file):`; the lesson's cell makes one for PNG files."
)
def as_data_uri(answer: Any) -> CheckResult:
    """Accept a function that makes the data URI of a PNG and of a JPEG file, each with its own type."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    with tempfile.TemporaryDirectory() as folder:
        for suffix, kind in ((".png", "image/png"), (".jpg", "image/jpeg")):
            file = Path(folder) / f"scan{suffix}"
            file.write_bytes(_image(kind))
            if complaint := _wrong_uri(answer(file), kind, file.read_bytes()):
                return wrong(f"of a {suffix} file {complaint}")
    return right("the bytes of the file in 64 harmless characters, and before them what they are.")


def _image(kind: str) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.new("RGB", (5, 5), "white").save(content, kind.removeprefix("image/"))
    return content.getvalue()


def _wrong_uri(found: Any, kind: str, content: bytes) -> str:
    """Say what is wrong with a data URI; nothing where it is right."""
    if not isinstance(found, str):
        return f"it returns a value of type {type(found).__name__}; a data URI is a text."
    header, comma, encoded = found.partition(",")
    if not header.startswith("data:"):
        return "what it returns does not begin with data:."
    if not comma or header != f"data:{kind};base64":
        return f"the URI begins {header[:40]!r}; it should begin 'data:{kind};base64,'."
    if encoded.startswith("b'"):
        return "the text holds Python's b'...': base64 gives bytes, and .decode() makes a text of them."
    try:
        found_content = base64.b64decode(encoded, validate=True)
    except ValueError:
        return "what comes after the comma is no base64."
    return "" if found_content == content else "the bytes in it are not those of the file."


@exercise("classify_images/for_a_clerk", "Begin with `def for_a_clerk(rows, least):`; a row is a dictionary.")
def for_a_clerk(answer: Any) -> CheckResult:
    """Accept a function that returns the ids of rows whose highest probability is below a limit."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    rows = [_row("sure.png", 0.97), _row("torn.png", 0.41), _row("just.png", 0.8), _row("nearly.png", 0.79)]
    cases: list[tuple[str, list[dict[str, Any]], float, list[str]]] = [
        ("of four rows", rows, 0.8, ["torn.png", "nearly.png"]),
        ("with a limit that none is below", rows, 0.1, []),
        ("without rows", [], 0.8, []),
    ]
    for what, given, least, wanted in cases:
        found = _ids(answer, given, least)
        if found is None:
            return wrong(f"{what} it returns no list of ids.")
        if what == "of four rows" and sorted(found) == sorted([*wanted, "just.png"]):
            return wrong("a row with just the limit is not below it.")
        if sorted(found) != sorted(wanted):
            return wrong(f"{what}, and a limit of {least}, it should return {wanted}, not {found}.")
    return right("the model knows when it is not sure, and you make use of that.")


def _row(name: str, certainty: float) -> dict[str, Any]:
    """A row of an answer: an id, ten probabilities, the digit. The most probable digit differs from row to row."""
    digit = len(name) % 10
    others = (1 - certainty) / 9
    probabilities = {f"Scored Probabilities_{one}": certainty if one == digit else others for one in range(10)}
    return {"id": name, **probabilities, "Scored Labels": str(digit)}


def _ids(answer: Callable[..., Any], rows: list[dict[str, Any]], least: float) -> list[str] | None:
    found = answer([dict(row) for row in rows], least)
    if isinstance(found, str) or not isinstance(found, Iterable):
        return None
    found = [*found]
    return found if all(isinstance(one, str) for one in found) else None
