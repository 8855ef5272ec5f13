"""An HTTPS proxy that answers for Azure's hosts, on loopback and where the user has it listen besides.

A client sends ``CONNECT host:443``. For a host that is served here the connection is upgraded to TLS in place
(``loop.start_tls``) and handed to uvicorn's HTTP protocol: one hop, no second socket. Any other host is tunnelled
untouched, through the user's own upstream proxy where there is one. A request that is no CONNECT is answered by the
``local`` application (health, managed identity).
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import SplitResult, unquote, urlsplit

from uvicorn.server import ServerState

from azureml_local.edge import hosts, limits
from azureml_local.edge.http_protocol import HttpProtocol, http_config, plain_answer
from azureml_local.edge.tls import Authority

logger = logging.getLogger(__name__)

HOST = re.compile(r"[a-z0-9._-]{1,253}|[0-9a-f:.]{2,45}")
LARGEST_HEAD = 16 * 1024
LAST_ANSWERS = 10.0  # seconds that requests in flight get when the service ends
CONNECT_TIMEOUT = 30.0  # seconds for a host that is not served, or for the user's proxy, to answer
TUNNEL_CHUNK = 64 * 1024


class Edge:
    """Accepts connections and hands each to its application.

    Args:
        applications: ASGI applications by name; the names of :data:`hosts.SERVED` and ``local``.
        authority: certifies the served hosts.
        upstream_proxy: ``http://[user:password@]host:port`` for hosts that are not served, or None.
    """

    def __init__(self, applications: Mapping[str, Any], authority: Authority, upstream_proxy: str | None) -> None:
        self.authority = authority
        self.upstream_proxy = urlsplit(upstream_proxy) if upstream_proxy else None
        self.state = ServerState()
        self.tasks: set[asyncio.Task[None]] = set()
        self.beginning: set[FirstBytes] = set()  # connections of which it is not known yet who speaks on
        self._most_connections = limits.most_connections()
        self._configs = {name: http_config(app) for name, app in applications.items()}

    async def listen(self, address: str, port: int, *, only_served: bool = False) -> asyncio.Server:
        """Take a port of ``address``, 0 for a free one; connections are accepted once the server starts serving.

        Args:
            address: of this machine.
            port: of it.
            only_served: there it speaks for the served hosts alone: it opens no way to others, and nothing is said in
                plain text.

        Raises:
            OSError: the port is taken.
        """
        return await asyncio.get_running_loop().create_server(
            lambda: FirstBytes(self, only_served=only_served), address, port, backlog=512, start_serving=False
        )

    @property
    def is_full(self) -> bool:
        """Whether as many clients are connected as can be served: speaking HTTP, tunnelled, or just beginning."""
        return len(self.state.connections) + len(self.tasks) + len(self.beginning) > self._most_connections

    def http_protocol(self, application: str, host: str | None) -> HttpProtocol:
        """Return a protocol that speaks HTTP to ``application`` on a connection to ``host``; None for the edge."""
        return HttpProtocol(self._configs[application], self.state, host)

    def spawn(self, coroutine: Any) -> None:
        """Run ``coroutine`` beside the event loop, and keep it from being collected before it ends."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def close(self) -> None:
        """End every connection, those with a request in flight after its answer."""
        for connection in list(self.state.connections):
            connection.shutdown()
        if self.state.tasks:
            await asyncio.wait(set(self.state.tasks), timeout=LAST_ANSWERS)
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


class FirstBytes(asyncio.Protocol):
    """Reads a connection's first request line, and with it decides who speaks on."""

    def __init__(self, edge: Edge, *, only_served: bool = False) -> None:
        self.edge = edge
        self.only_served = only_served
        self.received = bytearray()
        self.transport: asyncio.Transport
        self.deadline: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock for the request's head."""
        self.transport = cast(asyncio.Transport, transport)
        self.deadline = asyncio.get_running_loop().call_later(limits.HEAD_SECONDS, self.transport.abort)
        self.edge.beginning.add(self)
        if self.edge.is_full:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections are open.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._end()

    def data_received(self, data: bytes) -> None:
        """Collect the head; hand over as soon as it is known what it is."""
        self.received += data
        if not self.received.startswith(b"CONNECT "[: len(self.received)]):
            if self.only_served:
                self._refuse(HTTPStatus.FORBIDDEN, "This is a proxy for HTTPS: send CONNECT.")
            else:
                self._hand_over_plain()
        elif b"\r\n\r\n" in self.received:
            self._hand_over_connect()
        elif len(self.received) > LARGEST_HEAD:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The CONNECT request is too long.")

    def _end(self) -> None:
        self.deadline.cancel()
        self.edge.beginning.discard(self)

    def _hand_over_plain(self) -> None:
        self._end()
        protocol = self.edge.http_protocol("local", None)
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        protocol.data_received(bytes(self.received))

    def _hand_over_connect(self) -> None:
        head, _, rest = bytes(self.received).partition(b"\r\n\r\n")
        target = head.split(b" ", 2)[1].decode("ascii", "replace")
        host, _, port = target.rpartition(":")
        host = host.strip("[]").rstrip(".").lower()
        if rest or not HOST.fullmatch(host) or not port.isdecimal() or not 0 < int(port) < 65536:
            # A client may send nothing before our answer (RFC 9110, 9.3.6).
            self._refuse(HTTPStatus.BAD_REQUEST, "CONNECT needs host:port, and nothing after its head.")
            return
        self._end()
        application = hosts.application_of(host) if port == "443" else None
        if application:
            self.transport.pause_reading()
            self.edge.spawn(_serve(self.edge, self.transport, host, application))
        elif hosts.is_azure(host):
            self._refuse(
                HTTPStatus.NOT_IMPLEMENTED,
                f"azureml-local does not serve {host}. It is a host of Azure, so the request was not sent on.",
            )
        elif self.only_served:
            self._refuse(HTTPStatus.FORBIDDEN, f"From here azureml-local is no way to {host}: reach it directly.")
        else:
            self.transport.pause_reading()
            self.edge.spawn(_tunnel(self.edge, self.transport, host, int(port)))

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        logger.warning("refused: %s", message)
        _answer_plainly(self.transport, status, message)


async def _serve(edge: Edge, transport: asyncio.Transport, host: str, application: str) -> None:
    """Upgrade a connection to TLS and let ``application`` answer on it."""
    loop = asyncio.get_running_loop()
    protocol = edge.http_protocol(application, host)
    try:
        context = edge.authority.context_for(hosts.certificate_name(host))
        transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        secure = await loop.start_tls(
            transport,
            protocol,
            context,
            server_side=True,
            ssl_handshake_timeout=limits.HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=limits.CLOSE_SECONDS,
        )
    except (OSError, ConnectionError, asyncio.CancelledError) as error:
        # Most often the client does not trust our authority; it shows its own message.
        logger.info("TLS handshake for %s failed: %s", host, error)
        transport.abort()
        return
    if secure is None:  # the client left during the handshake
        return
    protocol.connection_made(secure)


async def _tunnel(edge: Edge, transport: asyncio.Transport, host: str, port: int) -> None:
    """Carry bytes between the client and a host that is not ours, reading neither."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            reader, writer = await connect_out(edge.upstream_proxy, host, port)
    except (OSError, ValueError) as error:
        _answer_plainly(transport, HTTPStatus.BAD_GATEWAY, f"{host}:{port} cannot be reached: {error}.")
        return
    client_reader = asyncio.StreamReader(limit=TUNNEL_CHUNK)
    client_protocol = asyncio.StreamReaderProtocol(client_reader)
    transport.set_protocol(client_protocol)
    client_protocol.connection_made(transport)
    client_writer = asyncio.StreamWriter(transport, client_protocol, client_reader, loop)
    client_writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    transport.resume_reading()
    try:
        await asyncio.gather(copy(client_reader, writer), copy(reader, client_writer))
    except OSError as error:  # a time-out of the kernel's is no ConnectionError
        logger.info("tunnel to %s:%d broke: %s", host, port, error)
    finally:
        writer.close()
        client_writer.close()


async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Carry bytes on as they come, and their end."""
    while chunk := await source.read(TUNNEL_CHUNK):
        sink.write(chunk)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()


async def connect_out(
    proxy: SplitResult | None, host: str, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection to a host, through a proxy where one is given.

    Raises:
        OSError: it cannot be reached, or the proxy refuses.
    """
    if proxy is None:
        return await asyncio.open_connection(host, port)
    reader, writer = await asyncio.open_connection(
        proxy.hostname, proxy.port or (443 if proxy.scheme == "https" else 80), ssl=proxy.scheme == "https" or None
    )
    credentials = ""
    if proxy.username:
        pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        credentials = f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}\r\n"
    writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{credentials}\r\n".encode())
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        writer.close()
        raise ConnectionError("the upstream proxy gave no proper answer") from error
    except BaseException:
        writer.close()
        raise
    status_line = head.partition(b"\r\n")[0].decode("ascii", "replace")
    if not re.match(r"HTTP/1\.[01] 200( |$)", status_line):
        writer.close()
        raise ConnectionError(f"the upstream proxy answered '{status_line}'")
    return reader, writer


def _answer_plainly(transport: asyncio.Transport, status: HTTPStatus, message: str) -> None:
    transport.write(plain_answer(status, message))
    transport.close()
