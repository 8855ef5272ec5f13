"""A client that sends bytes as they are: what no well-behaved library would let a test send."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
from dataclasses import dataclass

from running_service import RunningService

SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """A response: its status, headers by their names in lower case, and body."""

    status: int
    headers: dict[str, str]
    body: bytes


def plain(service: RunningService) -> socket.socket:
    """Return a connection to the edge itself."""
    return socket.create_connection(("127.0.0.1", service.port), SECONDS)


def tunnel(service: RunningService, host: str, server_name: str | None = None) -> ssl.SSLSocket:
    """Return a TLS connection to a served host, as a client behind the proxy has it."""
    connection = plain(service)
    connection.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    established = b""
    while b"\r\n\r\n" not in established:
        piece = connection.recv(1000)
        assert piece, f"the proxy closed the connection after {established!r}"
        established += piece
    assert established.startswith(b"HTTP/1.1 200 "), established
    context = ssl.create_default_context(cafile=str(service.home.tls / "ca.pem"))
    context.check_hostname = server_name is None
    return context.wrap_socket(connection, server_hostname=server_name or host)


def read_answer(connection: socket.socket, method: str = "GET") -> Answer | None:
    """Return the next response; None where the connection ends instead. For one response a connection."""
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        body = response.read()
    except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError):
        return None
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def end_sending(connection: socket.socket) -> None:
    """Say that no more will be sent, without a word of TLS's (``SSLSocket.shutdown`` would end the decryption, too)."""
    with contextlib.suppress(OSError):  # the server was faster
        socket.socket.shutdown(connection, socket.SHUT_WR)


def read_all(connection: socket.socket) -> bytes:
    """Return everything until the server closes."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except (ConnectionError, ssl.SSLError):
        pass
    return received


def statuses(received: bytes) -> list[int]:
    """Return the statuses of all responses in ``received``; our bodies hold no status line."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([0-9]{3}) [A-Z]", received)]


def exchange(service: RunningService, host: str | None, data: bytes, method: str = "GET") -> Answer | None:
    """Send bytes to a host (None: to the edge itself) and return the first response."""
    with tunnel(service, host) if host else plain(service) as connection:
        connection.sendall(data)
        return read_answer(connection, method)


def exchange_all(service: RunningService, host: str | None, data: bytes) -> bytes:
    """Send bytes and return everything that comes until the server closes."""
    with tunnel(service, host) if host else plain(service) as connection:
        connection.sendall(data)
        return read_all(connection)
