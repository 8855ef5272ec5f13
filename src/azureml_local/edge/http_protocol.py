"""uvicorn's HTTP protocol, made to answer a request with one packet and not to let clients wait for another."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Linux only. Elsewhere a client that waits for an acknowledgement waits a little longer.
QUICK_ACKNOWLEDGEMENT: int | None = getattr(socket, "TCP_QUICKACK", None)

# In a request's ``scope["state"]``: breaks its connection.
ABORT = "abort"


class HttpProtocol(HttpToolsProtocol):
    """Speaks HTTP on one connection of the edge."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to speak, collecting what is written."""
        super().connection_made(cast(asyncio.Transport, CorkedTransport(cast(asyncio.Transport, transport))))
        self.app_state[ABORT] = self.transport.abort

    def data_received(self, data: bytes) -> None:
        """Feed the parser; acknowledge at once what is only a part of a request.

        Clients that go through a proxy leave Nagle's algorithm on (urllib3 does so on purpose): after a request's head
        they hold its body back until the head is acknowledged, and the kernel would wait 40 ms before it does that.
        """
        super().data_received(data)
        cycle = self.cycle
        if QUICK_ACKNOWLEDGEMENT is not None and cycle is not None and cycle.more_body and not cycle.response_complete:
            self._acknowledge(QUICK_ACKNOWLEDGEMENT)

    def _acknowledge(self, option: int) -> None:
        connection = self.transport.get_extra_info("socket")
        if connection is None or connection.fileno() < 0 or connection.family == socket.AF_UNIX:
            return
        # The event loop's own socket object refuses to change options.
        with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
            duplicate.setsockopt(socket.IPPROTO_TCP, option, 1)


class CorkedTransport:
    """A transport that sends at once what is written within one turn of the event loop.

    uvicorn writes a response's head and its body separately: as they are, two TLS records, two system calls, and a
    client that wakes twice.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._pending: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        """Everything but writing and closing is the transport's own."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send ``data`` when this turn of the event loop ends."""
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(data)

    def close(self) -> None:
        """Send what is left, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._pending:
            pending, self._pending = self._pending, []
            self._transport.write(b"".join(pending))
