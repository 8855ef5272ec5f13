"""What was asked of an online endpoint, and what it answered: told once a request to whoever listens.

A listener is called on the event loop, right after the last byte of the answer: it takes what it needs and returns;
what takes time it does elsewhere. It is also told of what the router refused, and of requests that are copied to a
mirror (``is_mirrored``), whose answers no client sees.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from starlette.types import Scope, Send

from azureml_local.http.upstream import Headers


@dataclass(slots=True)
class Exchange:
    """One request and its answer.

    ``endpoint_id`` is empty where the host is no endpoint's, ``deployment`` where none was chosen yet. ``request_id``
    is the router's own. ``request_headers`` are the client's, with its key or token: never keep those. ``caller`` is
    the object id of the identity whose token of Entra's was accepted; keys, and tokens of the endpoint's own, name
    nobody.
    ``began_at`` is in seconds since 1970; the other times, by ``time.perf_counter()``, are when the request began, when
    its body was there, and when the answer's first and last byte went out (0.0 for what did not come to pass).
    """

    request_id: str
    method: str
    target: str  # path and query
    protocol: str  # e.g. HTTP/1.1
    request_headers: Headers
    began_at: float
    began: float
    endpoint_id: str = ""
    caller: str | None = None
    deployment: str = ""
    is_mirrored: bool = False
    request_body: bytes = b""
    received: float = 0.0
    status: int = 0
    answer_headers: Headers | tuple[()] = ()
    answer_body: bytes = b""
    first_byte: float = 0.0
    last_byte: float = 0.0

    @classmethod
    def begin(cls, scope: Scope, request_id: str) -> Exchange:
        """Return what is known when a request begins."""
        target = scope["raw_path"].decode("latin-1")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        protocol = f"HTTP/{scope['http_version']}"
        return cls(request_id, scope["method"], target, protocol, scope["headers"], time.time(), time.perf_counter())

    def to_mirror(self, deployment: str) -> Exchange:
        """Return the copy of this request that goes to another deployment."""
        return replace(self, deployment=deployment, is_mirrored=True)

    def receive(self, body: bytes) -> None:
        """Note that the request is complete."""
        self.request_body = body
        self.received = time.perf_counter()

    def noting(self, send: Send) -> Send:
        """Return a ``send`` that also notes the answer."""

        async def note(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.status, self.answer_headers = message["status"], message["headers"]
                self.first_byte = time.perf_counter()
            else:
                self.answer_body += message.get("body", b"")
            await send(message)
            self.last_byte = time.perf_counter()

        return note


Listener = Callable[[Exchange], None]
