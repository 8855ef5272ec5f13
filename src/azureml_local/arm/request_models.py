"""What Azure knows of each request body: ``request_models.json``, derived from Microsoft's own clients.

Azure ML's frontend reads JSON with Newtonsoft's Json.NET, strictly: a member that it does not know is refused
(``MissingMemberHandling.Error``), names and the words of enumerations match in any case
(https://www.newtonsoft.com/json/help/html/DeserializeWithCaseInsensitivePropertyNames.htm), ``null`` is as good as
absent. What only Azure may set is ignored (https://github.com/Azure/azure-resource-manager-rpc, "read-only
properties"), so that clients can send back what they got.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("request_models.json")
LONGEST_SHOWN = 60  # characters of a value in a message
LONGEST_PATH = 200
INT32 = range(-(2**31), 2**31)
SECRET = ("keys", "keyvalue", "secrets")  # members whose values no message shows
TEXT = ("str", "datetime", "duration")
# Of invocations of batch endpoints: Microsoft's example sends its numbers as text (azureml-examples,
# cli/batch-score-rest.sh), which Json.NET reads as numbers.
INT_OR_TEXT = "intOrText"
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,10}")
SCALARS: Mapping[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(TEXT, ((str,), "text")),
    "int": ((int,), "a whole number of 32 bits"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
}


class MisfitError(ValueError):
    """A body is not as its model says.

    Args:
        message: what is wrong, and what would be right.
        path: the member that is wrong, e.g. ``properties.traffic.blue``.
    """

    def __init__(self, message: str, path: str) -> None:
        self.path = path[:LONGEST_PATH]
        super().__init__(f"{message} Path '{self.path}'.")


@dataclass(frozen=True)
class _Member:
    name: str
    type: str
    required: bool
    read_only: bool


@dataclass(frozen=True)
class _Object:
    members: Mapping[str, _Member]  # by their names in lower case
    discriminator: str | None
    subtypes: Mapping[str, str]  # by the discriminator's values in lower case


@dataclass(frozen=True)
class _Models:
    objects: Mapping[str, _Object]
    enums: Mapping[str, Mapping[str, str]]  # the words by themselves in lower case


def fit(body: Any, model: str) -> Any:
    """Return ``body`` as Azure would read it: names and words in Azure's case, without what only Azure may set.

    Args:
        body: what was sent; it stays as it is.
        model: the name of its type in ``request_models.json``.

    Raises:
        MisfitError: a member is unknown, missing or of another type.
    """
    return _fit(body, model, "")


def _fit(value: Any, kind: str, path: str) -> Any:
    if value is None or kind == "any":
        return value
    if kind in SCALARS or kind == INT_OR_TEXT:
        return _scalar(value, kind, path)
    if kind.startswith("["):
        return [
            _item(item, kind[1:-1], f"{path}[{at}]") for at, item in enumerate(_require(value, list, "a list", path))
        ]
    if kind.startswith("{"):
        return {key: _value(item, kind[1:-1], f"{path}.{key}") for key, item in _members(value, path)}
    if kind in _models().enums:
        return _word(value, _models().enums[kind], path)
    return _object(value, kind, path)


def _item(value: Any, kind: str, path: str) -> Any:
    if value is None and kind != "any":
        raise _wrong(value, "left out of the list", path)
    return _fit(value, kind, path)


def _value(value: Any, kind: str, path: str) -> Any:
    """Fit a dictionary's value. Azure turns scalars into text there: azure-ai-ml itself sends numbers."""
    if kind == "str" and isinstance(value, bool | int | float):
        return str(value)
    return _fit(value, kind, path)


def _scalar(value: Any, kind: str, path: str) -> Any:
    if kind == INT_OR_TEXT:
        kind = "int"
        if isinstance(value, str) and WHOLE_NUMBER.fullmatch(value):
            value = int(value)
    types, name = SCALARS[kind]
    # In Python, though not in JSON, true and false are numbers.
    if not isinstance(value, types) or (isinstance(value, bool) and kind != "bool"):
        raise _wrong(value, name, path)
    if kind == "int" and value not in INT32:
        raise _wrong(value, name, path)
    return value


def _word(value: Any, words: Mapping[str, str], path: str) -> str:
    word = words.get(value.lower()) if isinstance(value, str) else None
    if word is None:
        raise _wrong(value, f"one of {', '.join(words.values())}", path)
    return word


def _object(value: Any, kind: str, path: str) -> dict[str, Any]:
    model = _models().objects[kind]
    if model.discriminator:
        return _object(*_discriminated(value, model, path), path)
    fitted: dict[str, Any] = {}
    for name, item in _members(value, path):
        member = model.members.get(name.lower())
        where = f"{path}.{name}".lstrip(".")
        if member is None:
            raise MisfitError(f"Could not find member '{name[:LONGEST_SHOWN]}' on object of type '{kind}'.", where)
        if not member.read_only:
            fitted[member.name] = _fit(item, member.type, where)
    for member in model.members.values():
        if member.required and fitted.get(member.name) in (None, ""):
            where = f"{path}.{member.name}".lstrip(".")
            raise MisfitError(f"Required property '{member.name}' not found on object of type '{kind}'.", where)
    return fitted


def _discriminated(value: Any, model: _Object, path: str) -> tuple[dict[str, Any], str]:
    """Return the object with its deciding member in Azure's case, and the type that this member decides on."""
    assert model.discriminator is not None  # noqa: S101 - asked by the caller
    name = model.discriminator
    sent = {key: item for key, item in _members(value, path) if key.lower() != name.lower()}
    word = next((item for key, item in value.items() if key.lower() == name.lower()), None)
    words = {subtype.lower(): subtype for subtype in model.subtypes}
    word = _word(word, words, f"{path}.{name}".lstrip("."))
    return {name: word, **sent}, model.subtypes[word]


def _members(value: Any, path: str) -> Any:
    return _require(value, dict, "an object", path).items()


def _require(value: Any, wanted: type, name: str, path: str) -> Any:
    if not isinstance(value, wanted):
        raise _wrong(value, name, path)
    return value


def _wrong(value: Any, wanted: str, path: str) -> MisfitError:
    shown = json.dumps(value)
    if any(segment in SECRET for segment in path.lower().split(".")):
        shown = "that was sent"
    elif len(shown) > LONGEST_SHOWN:
        shown = f"{shown[:LONGEST_SHOWN]}..."
    return MisfitError(f"The value {shown} is not valid; it must be {wanted}.", path)


@cache
def _models() -> _Models:
    stored = json.loads(FILE.read_text())
    return _Models(
        {name: _read_object(**entry) for name, entry in stored["objects"].items()},
        {name: {word.lower(): word for word in words} for name, words in stored["enums"].items()},
    )


def _read_object(
    members: Mapping[str, str], discriminator: str | None = None, subtypes: Mapping[str, str] | None = None
) -> _Object:
    read = {
        name.lower(): _Member(name, kind.strip("!-"), kind.endswith("!"), kind == "-") for name, kind in members.items()
    }
    return _Object(read, discriminator, subtypes or {})
