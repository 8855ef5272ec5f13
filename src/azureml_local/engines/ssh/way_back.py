"""The way from an attached machine to the service's proxy: for a job's processes, to Azure's hosts and the Internet.

The proxy itself leads wherever this machine does. An attached machine is somebody else's, so that what only programs on
this one may reach, on its loopback or in its network, is not to be reached from there.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import ipaddress
import logging
import re
import socket
from typing import TYPE_CHECKING, Any

from azureml_local.edge import hosts

if TYPE_CHECKING:
    from asyncssh import SSHReader, SSHWriter

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
NO_WAY = "403 No Way To Private Addresses"
OWN_DOMAINS = ("localhost", "localdomain")
# Without a dot it is a network's own. Where it ends in a number, it is read as an address, however that is written:
# https://url.spec.whatwg.org/#ends-in-a-number-checker
INTERNET_NAME = re.compile(r"([a-z0-9_-]+\.)+(?!([0-9]+|0x[0-9a-f]*)\Z)[a-z0-9_-]+")


class _RefusedError(Exception):
    """A request that is not handed on; the message is the status line's end."""


async def relay(
    reader: SSHReader[bytes], writer: SSHWriter[bytes], port: int, token: str, *, has_upstream: bool
) -> None:
    """Hand a connection from the machine to the proxy that listens here, if it has the password.

    Args:
        reader: what comes from the machine.
        writer: what goes there.
        port: the proxy's.
        token: the password.
        has_upstream: the proxy hands on to the user's own, which looks names up that nobody may know here.
    """
    import asyncssh

    try:
        head = await _head_for_proxy(await reader.readuntil(b"\r\n\r\n"), token, has_upstream)
        proxy_reader, proxy_writer = await asyncio.open_connection(LOOPBACK, port)
        proxy_writer.write(head)
        try:
            await asyncio.gather(_copy(reader, proxy_writer), _copy(proxy_reader, writer))
        finally:
            proxy_writer.close()
    except _RefusedError as refused:
        writer.write(f"HTTP/1.1 {refused}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
    except (asyncssh.Error, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        logger.info("a connection from an attached machine broke off: %s", error)
    finally:
        writer.close()


async def _head_for_proxy(head: bytes, token: str, has_upstream: bool) -> bytes:
    """Return the head of a CONNECT request as the proxy here is sent it. Raises _RefusedError."""
    request, *lines = head.decode("latin-1").split("\r\n")
    given = next((line for line in lines if line.lower().startswith("proxy-authorization:")), "")
    if not hmac.compare_digest(given.partition(":")[2].strip().encode(), _basic(token)):
        raise _RefusedError("407 Proxy Authentication Required")
    method, _, target = request.partition(" ")
    host, _, port = target.partition(" ")[0].rpartition(":")
    if method != "CONNECT" or not port.isdecimal():
        raise _RefusedError("403 This is a proxy for HTTPS")
    place = await _public(host.strip("[]").rstrip(".").lower(), has_upstream)
    return f"CONNECT {place}:{port} HTTP/1.1\r\n\r\n".encode("latin-1")


async def _public(host: str, has_upstream: bool) -> str:
    """Return what the proxy is to connect to: no host of this machine's own, or of its network.

    A name that this machine looks up is replaced by its address, so that it is not another one when the proxy does.

    Raises:
        _RefusedError: it is one.
    """
    if hosts.is_azure(host) or hosts.application_of(host):
        return host
    if host.rpartition(".")[2] in OWN_DOMAINS:
        raise _RefusedError(NO_WAY)
    if has_upstream and INTERNET_NAME.fullmatch(host):
        return host  # the user's proxy looks it up, and connects from where it is
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _RefusedError("502 Unknown Host") from error
    address = str(found[0][4][0])
    if not ipaddress.ip_address(address.partition("%")[0]).is_global:
        raise _RefusedError(NO_WAY)
    return f"[{address}]" if ":" in address else address


def _basic(token: str) -> bytes:
    return b"Basic " + base64.b64encode(f"job:{token}".encode())


async def _copy(source: Any, sink: Any) -> None:
    while piece := await source.read(64 * 1024):
        sink.write(piece)
        await sink.drain()
    sink.write_eof()
