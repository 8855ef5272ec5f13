"""Requests to the engines: one small HTTP/1.1 client on the event loop's own transports.

They are on this machine. A node on another one reaches those that it needs through the edge, by TLS.

General clients (aiohttp, httpx) spend more on a request than the whole of the edge does; scoring through them lost a
third of the model server's throughput. This one parses with httptools, streams both ways, and reuses a connection
only if the server keeps it.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httptools

Headers = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    # RFC 9110, 7.6.1
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
TARGET = re.compile(r"[!-~]+")  # visible ASCII; all else is percent-encoded
NOT_SENT_AS_GIVEN = HOP_BY_HOP | {b"content-length"}
BODY_HIGH_WATER = 512 * 1024  # bytes that wait for a slow reader before the socket is no longer read
LARGEST_RESPONSE_HEAD = 64 * 1024
CONNECT_SECONDS = 10.0  # to reach an edge, and to come to terms with it
IDLE_SECONDS = 2.0  # Node closes an idle connection after 5 s; one reused in that moment would lose its request


class UpstreamError(Exception):
    """The engine could not be reached, or broke off before its response was complete."""


class UnreachableError(UpstreamError):
    """No connection could be made: nothing of the request was sent."""


class BodyTooLargeError(UpstreamError):
    """The response is larger than the reader takes."""


@dataclass(frozen=True)
class ThroughEdge:
    """A host that a service's edge answers for, as it is reached from another machine.

    Args:
        edge: where the edge is reached from there, ``HOST:PORT``, or ``[HOST]:PORT`` for IPv6.
        host: the host.
        authority: the certificate of the edge's authority, PEM: the only one that is trusted.
    """

    edge: str
    host: str
    authority: str


@dataclass(frozen=True)
class Address:
    """Where an engine listens: a TCP port on loopback, a Unix socket, or behind the edge of another machine."""

    port: int | None = None
    socket: Path | None = None
    behind: ThroughEdge | None = None


class Upstream:
    """A client for one address.

    Args:
        address: where the engine listens.
        idle_connections: how many unused connections are kept.
    """

    def __init__(self, address: Address, idle_connections: int = 16) -> None:
        self.address = address
        self._idle: deque[_Connection] = deque(maxlen=idle_connections)

    async def send(
        self, method: str, target: str, headers: Headers, body: bytes | AsyncIterator[bytes] = b""
    ) -> UpstreamResponse:
        """Send a request and return its response once the head has arrived.

        Args:
            method: the HTTP method.
            target: path and query, percent-encoded.
            headers: sent as they are; those of one hop are left out, the body's framing is added.
            body: all of it, or its pieces as they come.

        Raises:
            UpstreamError: nothing listens there, or the connection broke before the head was complete.
        """
        connection = await self._connection()
        try:
            await connection.write_request(method, target, headers, body)
            await connection.head_received()
        except BaseException:
            connection.abort()
            raise
        return UpstreamResponse(self, connection)

    async def exchange(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: bytes,
        *,
        seconds: float,
        largest: int,
        ended: Callable[[], None] = lambda: None,
    ) -> tuple[int, Headers, bytes]:
        """Send a request and return status, headers and body of its response: one wait, for small whole messages.

        Args:
            method: the HTTP method.
            target: path and query, percent-encoded.
            headers: see :meth:`send`.
            body: all of it.
            seconds: how long the response may take.
            largest: how many bytes the response's body may have.
            ended: called once, when the engine is no longer at the request. That is now, except after a TimeoutError:
                the engine does not know that nobody waits, and goes on.

        Raises:
            TimeoutError: the response was not complete in time.
            BodyTooLargeError: the response's body is larger.
            UnreachableError: nothing listens there, and nothing was sent.
            UpstreamError: the connection broke.
        """
        try:
            connection = await self._connection()
        except BaseException:
            ended()
            raise
        timer = asyncio.get_running_loop().call_later(seconds, connection.time_out)
        try:
            connection.write_whole_request(method, target, headers, body)
            content = await connection.whole_response(largest)
            response = connection.status, connection.headers, content
        except (TimeoutError, asyncio.CancelledError):
            connection.leave(ended)
            raise
        except BaseException:
            connection.abort()
            ended()
            raise
        finally:
            timer.cancel()
        self.release(connection)
        ended()
        return response

    async def _connection(self) -> _Connection:
        loop = asyncio.get_running_loop()
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed and loop.time() - connection.idle_since < IDLE_SECONDS:
                return connection
            connection.abort()
        try:
            if self.address.behind:
                connection = await _connect_through(self.address.behind)
            elif self.address.socket:
                _, connection = await loop.create_unix_connection(_Connection, str(self.address.socket))
            else:
                _, connection = await loop.create_connection(_Connection, "127.0.0.1", self.address.port or 0)
        except OSError as error:
            raise UnreachableError(f"nothing answers at {self.address}: {error}") from error
        return connection

    def release(self, connection: _Connection) -> None:
        """Keep ``connection`` for the next request, or close it if its response is not complete."""
        if connection.is_reusable and len(self._idle) < (self._idle.maxlen or 0):
            connection.reset()
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.abort()

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop().abort()


async def _connect_through(address: ThroughEdge) -> _Connection:
    """Return a connection to a host behind the edge. Raises OSError where that cannot be reached, or refuses."""
    loop = asyncio.get_running_loop()
    host, _, port = address.edge.rpartition(":")
    plain = await asyncio.to_thread(socket.create_connection, (host.strip("[]"), int(port)), CONNECT_SECONDS)
    try:
        plain.setblocking(False)
        async with asyncio.timeout(CONNECT_SECONDS):
            await loop.sock_sendall(plain, f"CONNECT {address.host}:443 HTTP/1.1\r\n\r\n".encode("ascii"))
            head = b""
            while b"\r\n\r\n" not in head:  # nothing follows it: in TLS the client speaks first
                piece = await loop.sock_recv(plain, LARGEST_RESPONSE_HEAD)
                if not piece or len(head) > LARGEST_RESPONSE_HEAD:
                    raise ConnectionError(f"the edge at {address.edge} gives no proper answer")
                head += piece
        if not head.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(f"the edge at {address.edge} says: {head.decode('latin-1').strip()}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=address.authority)
        _, connection = await loop.create_connection(
            _Connection, sock=plain, ssl=context, server_hostname=address.host, ssl_handshake_timeout=CONNECT_SECONDS
        )
    except BaseException:
        plain.close()
        raise
    return connection


class UpstreamResponse:
    """A response whose head has arrived. Read it to its end, or leave it: use it as a context manager."""

    def __init__(self, upstream: Upstream, connection: _Connection) -> None:
        self._upstream = upstream
        self._connection = connection
        self.status: int = connection.status
        self.headers: Headers = connection.headers

    def __enter__(self) -> UpstreamResponse:
        return self

    def __exit__(self, *_: object) -> None:
        self._upstream.release(self._connection)

    def header(self, name: bytes) -> bytes | None:
        """Return a header's value; ``name`` in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    async def read(self) -> bytes:
        """Return the whole body. Raises UpstreamError where it breaks off."""
        return await self._connection.read_all()

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises UpstreamError where it breaks off."""
        return self._connection.read_chunks()


class _Connection(asyncio.Protocol):
    """One connection; at most one request on it at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.is_closed = False
        self.idle_since = 0.0
        self._writable: asyncio.Event | None = None  # made when it is first needed
        self._waiter: asyncio.Future[None] | None = None
        self._when_left: Callable[[], None] | None = None
        self.reset()

    def reset(self) -> None:
        """Make ready for the next response."""
        self._parser = httptools.HttpResponseParser(self)
        self.status = 0
        self.headers: Headers = []
        self._keeps_alive = False
        self._is_in_use = False
        self._is_sent = False
        self._head_complete = False
        self._complete = False
        self._failure: Exception | None = None
        self._largest_whole: int | None = None
        self._body: list[bytes] = []
        self._buffered = 0
        self._head_size = 0
        self._is_head_request = False

    @property
    def is_reusable(self) -> bool:
        """Whether both request and response are complete, and the server keeps the connection."""
        return self._is_sent and self._complete and self._keeps_alive and not self.is_closed

    def abort(self) -> None:
        """Close at once."""
        self.is_closed = True
        self.transport.abort()

    # --- what the caller does ---

    def write_whole_request(self, method: str, target: str, headers: Headers, body: bytes) -> None:
        head = self._head(method, target, headers, b"content-length: %d" % len(body))
        self.transport.write(head + body)
        self._is_sent = True

    def _head(self, method: str, target: str, headers: Headers, framing: bytes) -> bytes:
        """Return a request's head. Raises UpstreamError where a part of it would be taken for more than that part."""
        if not TARGET.fullmatch(target):
            raise UpstreamError("the request's target holds what no URL may")
        lines = [f"{method} {target} HTTP/1.1".encode("ascii")]
        lines += [name + b": " + value for name, value in headers if name not in NOT_SENT_AS_GIVEN]
        lines += [framing, b"", b""]
        head = b"\r\n".join(lines)
        if head.count(b"\n") >= len(lines) or head.count(b"\r") >= len(lines):
            raise UpstreamError("a header of the request holds a line's end")
        self._is_in_use = True
        self._is_head_request = method == "HEAD"
        return head

    async def write_request(
        self, method: str, target: str, headers: Headers, body: bytes | AsyncIterator[bytes]
    ) -> None:
        if isinstance(body, bytes):
            self.write_whole_request(method, target, headers, body)
            return
        declared = next((value for name, value in headers if name == b"content-length"), None)
        framing = b"content-length: " + declared if declared else b"transfer-encoding: chunked"
        self.transport.write(self._head(method, target, headers, framing))
        async for piece in body:
            if self.is_closed or self._head_complete:
                return  # answered before the body's end: the answer says why
            self.transport.write(piece if declared else b"%x\r\n%b\r\n" % (len(piece), piece))
            if self._writable:
                await self._writable.wait()
        if not declared:
            self.transport.write(b"0\r\n\r\n")
        self._is_sent = True

    async def whole_response(self, largest: int) -> bytes:
        self._largest_whole = largest
        while not self._complete:
            await self._progress()
        if self._failure:  # too large with its last piece
            raise self._failure
        return b"".join(self._body)

    def fail(self, error: Exception) -> None:
        """End the connection and whoever waits for it."""
        self._failure = self._failure or error
        self.abort()
        self._wake()

    def time_out(self) -> None:
        """Let who waits for the response wait no longer; the connection stays."""
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(TimeoutError())

    def leave(self, ended: Callable[[], None]) -> None:
        """Close as soon as the response is complete; ``ended`` is called when the connection is closed."""
        if self.is_closed or self._complete:
            self.abort()
            ended()
        else:
            self._when_left = ended

    async def head_received(self) -> None:
        while not self._head_complete:
            await self._progress()

    async def read_all(self) -> bytes:
        while not self._complete:
            self.transport.resume_reading()
            await self._progress()
        return b"".join(self._body)

    async def read_chunks(self) -> AsyncIterator[bytes]:
        while True:
            if self._body:
                pieces, self._body, self._buffered = self._body, [], 0
                self.transport.resume_reading()
                yield b"".join(pieces)
            elif self._complete:
                return
            else:
                await self._progress()

    async def _progress(self) -> None:
        """Wait until something more of the response has arrived."""
        if self._failure:
            raise self._failure
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    # --- what the event loop calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        if self._writable:
            self._writable.set()
            self._writable = None

    def data_received(self, data: bytes) -> None:
        if not self._is_in_use:  # nobody has asked: it would be taken for the answer to the next request
            self.abort()
            return
        if not self._head_complete:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.fail(UpstreamError(f"the engine's response is no HTTP: {error}"))
        if not self._head_complete and self._head_size > LARGEST_RESPONSE_HEAD:
            self.fail(UpstreamError("the engine's response head is too large"))
        if self._largest_whole is None:
            if self._buffered > BODY_HIGH_WATER and not self._complete:
                self.transport.pause_reading()
            self._wake()
        elif self._buffered > self._largest_whole:
            self.fail(BodyTooLargeError(f"the engine's response is larger than {self._largest_whole} bytes"))
        elif self._complete:
            self._wake()
            if self._when_left:
                self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        if self._when_left:
            self._when_left()
        self.resume_writing()
        ends_here = self._head_complete and not self._complete and self._has_no_length()
        if ends_here:
            self._complete = True
        elif not self._complete:
            self._failure = self._failure or UpstreamError(f"the engine closed the connection: {exc or 'no answer'}")
        self._wake()

    def _has_no_length(self) -> bool:
        return not any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    # --- what the parser calls ---

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # 100 Continue: the response is still to come
            self.headers = []
            return
        self.status = status
        self._head_complete = True
        if self._is_head_request:
            # Its length belongs to the body that GET would have brought; the parser would wait for it.
            self._complete = True

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._buffered += len(body)

    def on_message_complete(self) -> None:
        if self._head_complete:
            self._complete = True
            self._keeps_alive = self._parser.should_keep_alive()
