"""uvicorn's HTTP protocol, made strict, bounded in size and time, and quick to answer.

Strict: a connection was asked for by the name of one host, and serves requests to that host only (RFC 9110, 7.4), so
that no application is reached under another one's name. Bounded: see :mod:`azureml_local.edge.limits`. Quick: a
response is one packet, and clients do not wait for acknowledgements.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from http import HTTPStatus
from typing import Any, NoReturn, cast

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from azureml_local.edge import limits

# Linux only. Elsewhere a client that waits for an acknowledgement waits a little longer.
QUICK_ACKNOWLEDGEMENT: int | None = getattr(socket, "TCP_QUICKACK", None)

# In a request's ``scope["state"]``: breaks its connection.
ABORT = "abort"
# The names of this machine, for connections that are to the edge itself. Any other name in ``Host`` was resolved by
# a browser to 127.0.0.1 because a web page told it to (DNS rebinding).
LOOPBACK_HOSTS = frozenset((b"127.0.0.1", b"localhost", b"[::1]"))
TARGET_TOO_LONG = f"The URL is longer than {limits.LARGEST_TARGET} bytes."
HEADERS_TOO_LARGE = f"The headers are more than {limits.MOST_HEADERS} or larger than {limits.LARGEST_HEADERS} bytes."
HOST_HEADER = re.compile(rb"([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")


class RefusedError(Exception):
    """A request that is answered before any application sees it."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def http_config(application: ASGIApp) -> Config:
    """Return uvicorn's settings for an application behind :class:`HttpProtocol`."""
    config = Config(
        _until_client_leaves(application),
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody stands before the edge whose X-Forwarded headers could be believed
        timeout_keep_alive=limits.IDLE_SECONDS,
        interface="asgi3",
    )
    config.load()
    return config


def _until_client_leaves(application: ASGIApp) -> ASGIApp:
    """Return an application for which a client that leaves is no failure to be logged."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await application(scope, receive, send)
        except ClientDisconnect:
            return

    return served


class HttpProtocol(HttpToolsProtocol):
    """Speaks HTTP on one connection of the edge.

    Args:
        config: of :func:`http_config`.
        state: the edge's connections and tasks.
        host: the host that the connection was asked for; None for one to the edge itself.
    """

    def __init__(self, config: Config, state: ServerState, host: str | None) -> None:
        super().__init__(config, state, {})
        self._host = host.encode("ascii") if host else None
        # After a TLS handshake, the client's first bytes (and its leaving) may come before connection_made() is called.
        self._early = bytearray()
        self._is_made = self._is_lost = False
        self._refusal: RefusedError | None = None
        self._in_head = False
        self._in_body = False
        self._pending = 0  # bytes since the head began, or since the last piece of the body
        self._received = 0
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    # --- what the transport calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to speak, collecting what is written; a client that asks for nothing is not waited for longer."""
        if self._is_lost:
            return
        super().connection_made(cast(asyncio.Transport, CorkedTransport(cast(asyncio.Transport, transport))))
        self.app_state[ABORT] = self.transport.abort
        self._is_made = True
        self._await_request()
        if self._early:
            self.data_received(bytes(self._early))

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop every clock."""
        self._is_lost = True
        if not self._is_made:
            return
        self._unset_keepalive_if_required()
        self._set_deadline(None)
        self._stop_unread()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; acknowledge at once what is only a part of a request, and watch the time for the rest.

        Clients that go through a proxy leave Nagle's algorithm on (urllib3 does so on purpose): after a request's head
        they hold its body back until the head is acknowledged, and the kernel would wait 40 ms before it does that.
        """
        if not self._is_made:
            self._early += data
            return
        was_in_head = self._in_head
        self._received += len(data)
        self._pending += len(data)
        super().data_received(data)
        if self._in_head or self._in_body:
            self._await_rest(was_in_head)
        else:
            if self._deadline:
                self._set_deadline(None)
            if self.cycle is None or self.cycle.response_complete:
                self._await_request()  # what came was the rest of a request that is answered already, or an empty line

    def pause_writing(self) -> None:
        """Wait for a client that is slow to read its response, but not for ever."""
        super().pause_writing()
        self._watch_unread()

    def resume_writing(self) -> None:
        """The client reads on."""
        self._stop_unread()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no proper request, or was refused, and close."""
        refusal = self._refusal or RefusedError(HTTPStatus.BAD_REQUEST, msg)
        self.transport.write(plain_answer(refusal.status, str(refusal)))
        self.transport.close()

    # --- what the parser calls; an exception makes it stop, and leads to send_400_response() ---

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Check the request's head, then begin to answer it."""
        self._in_head, self._in_body = False, True
        self._pending = 0
        self._check_head()
        super().on_headers_complete()
        self.headers = []  # takes what follows a chunked body (trailers), which comes too late to be checked
        if self.parser.should_upgrade():  # which is not done; the parser takes nothing more from this connection
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._in_body = False
        self._pending = 0
        super().on_message_complete()

    # --- checks ---

    def _check_head(self) -> None:
        """Refuse a request that is too large, is not for the connection's host, or has two of what there is one of."""
        size = authorizations = 0
        named: list[bytes] = []
        for name, value in self.headers:
            size += len(name) + len(value)
            if name == b"host":
                named.append(value)
            elif name == b"authorization":
                authorizations += 1
        if len(self.url) > limits.LARGEST_TARGET:
            self._stop(HTTPStatus.REQUEST_URI_TOO_LONG, TARGET_TOO_LONG)
        if size > limits.LARGEST_HEADERS or len(self.headers) > limits.MOST_HEADERS:
            self._stop(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEADERS_TOO_LARGE)
        if authorizations > 1:
            self._stop(HTTPStatus.BAD_REQUEST, "The request has two Authorization headers.")
        if named != [self._host]:
            self._settle_host(named)
        if self.url[:1] != b"/":
            self._require_own_authority()

    def _settle_host(self, named: list[bytes]) -> None:
        """Bring another spelling of the connection's host into the usual one. Refuse any other host, and two."""
        # RFC 9112, 3.2; before HTTP/1.1 the header was optional.
        if len(named) > 1 or (not named and self.parser.get_http_version() != "1.0"):
            self._stop(HTTPStatus.BAD_REQUEST, "The request must have one Host header.")
        if named and not self._is_on_unix_socket():
            self._require_same_host(named[0])
        if self._host:
            self.headers[:] = [pair for pair in self.headers if pair[0] != b"host"] + [(b"host", self._host)]

    def _is_on_unix_socket(self) -> bool:
        """Say whether only the service's own user gets here. No browser does, and the docker command names the path."""
        connection = self.transport.get_extra_info("socket")
        return connection is not None and connection.family == socket.AF_UNIX

    def _require_own_authority(self) -> None:
        """Check a target in absolute form (RFC 9112, 3.2.2), as clients send it to proxies that read along."""
        scheme, _, rest = self.url.partition(b"://")
        if scheme.lower() not in (b"http", b"https") or (b"/" not in rest and b"?" not in rest):
            self._stop(HTTPStatus.BAD_REQUEST, "The request's target must be a path.")
        self._require_same_host(re.split(rb"[/?]", rest, maxsplit=1)[0])

    def _require_same_host(self, named: bytes) -> None:
        found = HOST_HEADER.fullmatch(named.lower())
        if found is None:
            self._stop(HTTPStatus.BAD_REQUEST, "The Host header names no host.")
        host, port = found[1].removesuffix(b"."), found[2]
        if self._host is None and host in LOOPBACK_HOSTS:
            return
        if self._host is None or host != self._host or port not in (None, b"443"):
            own = self._host.decode() if self._host else "this machine"
            self._stop(HTTPStatus.MISDIRECTED_REQUEST, f"This connection is to {own}; the request is for another host.")

    def _stop(self, status: HTTPStatus, message: str) -> NoReturn:
        """Make the parser stop, and the refusal be sent."""
        self._refusal = RefusedError(status, message)
        raise self._refusal

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self._refusal = RefusedError(status, message)
        self.send_400_response(message)

    # --- clocks, and what is still to come ---

    def _await_rest(self, was_in_head: bool) -> None:
        """Watch the time and the size of a request of which only a part has come; acknowledge that part."""
        if self.transport.is_closing():
            return
        allowed = limits.LARGEST_HEADERS + (limits.LARGEST_TARGET if self._in_head else 0)
        if self._in_head and len(self.url) > limits.LARGEST_TARGET:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG, TARGET_TOO_LONG)
        elif self._pending > allowed or len(self.headers) > limits.MOST_HEADERS:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEADERS_TOO_LARGE)
        elif self._in_head:
            if not was_in_head or self._deadline is None:
                self._set_deadline(limits.HEAD_SECONDS, self._head_is_late)
        else:
            if was_in_head or self._deadline is None:
                self._start_lap()
            if QUICK_ACKNOWLEDGEMENT is not None and not self.cycle.response_complete:
                self._acknowledge(QUICK_ACKNOWLEDGEMENT)

    def _await_request(self) -> None:
        """Close the connection unless a request begins in time."""
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _set_deadline(self, seconds: float | None, then: Any = None, *arguments: Any) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, then, *arguments) if seconds else None

    def _head_is_late(self) -> None:
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"The request's head took more than {limits.HEAD_SECONDS:g} s.")

    def _start_lap(self) -> None:
        self._set_deadline(limits.BODY_LAP_SECONDS, self._end_lap, self._received)

    def _end_lap(self, received_before: int) -> None:
        """Refuse a body that comes too slowly; while the application does not read, the client cannot help it."""
        enough = limits.SLOWEST_BODY * limits.BODY_LAP_SECONDS
        if self.flow.read_paused or self._received - received_before >= enough:
            self._start_lap()
        elif self.cycle.response_started:
            self.transport.close()
        else:
            message = f"The request's body came at less than {limits.SLOWEST_BODY} bytes a second."
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, message)

    def _watch_unread(self) -> None:
        size = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(limits.UNREAD_SECONDS, self._end_unread, size)

    def _end_unread(self, size_before: int) -> None:
        if self.transport.get_write_buffer_size() < size_before:
            self._watch_unread()
        else:
            self.transport.abort()

    def _stop_unread(self) -> None:
        if self._unread:
            self._unread.cancel()
            self._unread = None

    def _acknowledge(self, option: int) -> None:
        connection = self.transport.get_extra_info("socket")
        if connection is None or connection.fileno() < 0 or connection.family == socket.AF_UNIX:
            return
        # The event loop's own socket object refuses to change options.
        with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
            duplicate.setsockopt(socket.IPPROTO_TCP, option, 1)


def plain_answer(status: HTTPStatus, message: str) -> bytes:
    """Return a response in plain text, after which the connection is closed."""
    body = message.encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


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
