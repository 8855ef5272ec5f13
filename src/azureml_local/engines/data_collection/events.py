"""Collected data as CloudEvents, each one line of JSON (https://github.com/cloudevents/spec/blob/main/cloudevents/formats/json-format.md).

The members and their order are those of the samples in
https://learn.microsoft.com/azure/machine-learning/how-to-collect-production-data#store-collected-data-in-blob-storage.
"""

from __future__ import annotations

import datetime
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from azureml_local.http.upstream import Headers

PREFIX = "ce-"
JSON = "application/json"
TYPE = "azureml.inference."
ID = re.compile(r"[A-Za-z0-9-]{1,64}")  # it names the blob of data that has one of its own
NOT_IN_NAME = re.compile(r"[^a-z0-9]")  # what the specification does not allow in the name of an attribute
# What an event says of itself, which nothing that is collected may say otherwise.
OWN = frozenset(
    ("specversion", "id", "source", "type", "datacontenttype", "time", "data", "dataref", "datainblob", "contentrange")
)


@dataclass(frozen=True)
class Event:
    """What is to be collected.

    ``attributes`` are the event's beside those that say what it is and what its data is.
    """

    name: str  # of the collection
    body: bytes
    content_type: str
    time: datetime.datetime
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    attributes: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def is_json(self) -> bool:
        """Whether the body is JSON that may stand in a line as it is, but for its line breaks: it is UTF-8, too."""
        if self.content_type and not self.content_type.lower().startswith(JSON):
            return False
        try:
            json.loads(self.body.decode(), parse_constant=_refuse)
        except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
            return False
        return True

    def line(self, source: str, data: bytes, **more: str) -> bytes:
        """Return the event as a line.

        Args:
            source: the id of the deployment that it comes from.
            data: JSON that goes into ``data``; nothing for an event without it.
            more: further members, e.g. where the data lies.
        """
        time = self.time.strftime("%Y-%m-%dT%H:%M:%SZ")
        head = {
            "specversion": "1.0",
            "id": self.id,
            "source": source,
            "type": TYPE + self.name,
            "datacontenttype": self.content_type or JSON,
            "time": time,
        }
        size = len(self.body)
        tail = {**more, **self.attributes, "contentrange": f"bytes 0-{max(size - 1, 0)}/{size}"}
        members = [_members(head), *([b'"data":' + _on_one_line(data)] if data else []), _members(tail)]
        return b"{" + b",".join(members) + b"}\n"


def of_client(headers: Headers, body: bytes) -> Event:
    """Return the event that azureml-ai-monitoring posts: its attributes come as headers (``worker/sender.py``).

    Raises:
        ValueError: a header that each event has is missing or malformed; the message names it.
    """
    found = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    kind = found.get(PREFIX + "type", "")
    if not kind.startswith(TYPE):
        raise ValueError(f"ce-type is '{kind[:64]}'; it must be {TYPE}<collection>")
    try:
        time = datetime.datetime.fromtimestamp(float(found[PREFIX + "time"]), datetime.UTC)
    except (KeyError, ValueError, OverflowError, OSError) as error:
        raise ValueError(f"ce-time is '{found.get('ce-time', '')[:64]}'; it must be seconds since 1970") from error
    sent = ((name.removeprefix(PREFIX), value) for name, value in found.items() if name.startswith(PREFIX))
    attributes = attributes_of((name, value) for name, value in sent)
    if "xrequestid" in attributes:
        attributes = {"correlationid": attributes["xrequestid"], **attributes}
    sent_id = found.get("trace-id", "")
    return Event(
        kind.removeprefix(TYPE).lower(),
        body,
        found.get("content-type", ""),
        time,
        sent_id if ID.fullmatch(sent_id) else str(uuid.uuid4()),
        attributes,
    )


def attributes_of(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return attributes by names as the specification allows them: ``x-request-id`` becomes ``xrequestid``."""
    named = {NOT_IN_NAME.sub("", name.lower()): value for name, value in pairs}
    return {name: value for name, value in named.items() if name and name not in OWN}


def _members(values: Mapping[str, str]) -> bytes:
    return json.dumps(values, separators=(",", ":"))[1:-1].encode()


def _on_one_line(data: bytes) -> bytes:
    """Return JSON without line breaks, which in JSON are nothing but space."""
    return data.replace(b"\n", b" ").replace(b"\r", b" ")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
