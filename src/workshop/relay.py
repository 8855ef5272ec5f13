"""The way out of a learner's own network: to the hub and the board, and through a proxy to the internet.

A learner's network has a loopback of its own, so that what their service, kernels, jobs and local deployments open is
theirs alone: much of that has no password (a training job's rendezvous, a deployment to local Docker). This process is
in both networks: it listens in the learner's, on sockets that were made there, and connects in the machine's. It runs
as nobody, whom a learner can neither signal nor trace. Nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import ipaddress
import os
import re
import signal
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial

LOOPBACK = "127.0.0.1"
PROXY_PORT = 3128  # in the learner's network, as Squid's is
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
NOBODY = 65534
MOST_CONNECTIONS = 128  # at a time: no learner is to keep the hub busy
LONGEST_HEAD = 8192
LAST_PORT = 65535
SECONDS_TO_CONNECT = 30.0
CONNECT = re.compile(rb"CONNECT (?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5}) HTTP/1\.[01]\r\n")

libc = ctypes.CDLL(None, use_errno=True)


class RefusedError(Exception):
    """The proxy does not connect; the message is the rest of its status line."""


class OwnNetwork:
    """A network of this process's own, which it enters for good; it is to be root's.

    Args:
        ports: of the machine's loopback, to be reached at the same ports of the new one.
    """

    def __init__(self, ports: Iterable[int]) -> None:
        self._machines = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _check(libc.unshare(CLONE_NEWNET))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
        self._listeners = {port: socket.create_server((LOOPBACK, port)) for port in {*ports, PROXY_PORT}}

    def start_relay(self) -> int:
        """Start a relay; return its process number. It ends by SIGTERM."""
        process = os.fork()
        if process == 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            _check(libc.setns(self._machines, CLONE_NEWNET))
            _become_nobody()
            asyncio.run(_serve(self._listeners))
        return process

    def leave_to_root(self) -> None:
        """Close, in a process that is to be a learner's, what only root's may have."""
        os.close(self._machines)
        for listener in self._listeners.values():
            listener.close()


def environment() -> dict[str, str]:
    """Return the variables by which programs in such a network find the proxy."""
    proxy, direct = f"http://{LOOPBACK}:{PROXY_PORT}", f"localhost,{LOOPBACK},::1"
    return {"HTTPS_PROXY": proxy, "https_proxy": proxy, "NO_PROXY": direct, "no_proxy": direct}


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


async def _serve(listeners: Mapping[int, socket.socket]) -> None:
    """Relay until this process is ended."""
    places = asyncio.Semaphore(MOST_CONNECTIONS)

    async def relay(port: int, reader: StreamReader, writer: StreamWriter) -> None:
        async with places:
            await (_proxy(reader, writer) if port == PROXY_PORT else _forward(LOOPBACK, port, reader, writer))

    for port, listener in listeners.items():
        await asyncio.start_server(partial(_until_broken, partial(relay, port)), sock=listener, limit=LONGEST_HEAD)
    await asyncio.Event().wait()


async def _until_broken(relay: Callable[..., Awaitable[None]], reader: StreamReader, writer: StreamWriter) -> None:
    """Relay a connection; that one end breaks it off is no failure."""
    try:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await relay(reader, writer)
    finally:
        writer.close()


async def _proxy(reader: StreamReader, writer: StreamWriter) -> None:
    """Answer a CONNECT request."""
    try:
        host, port = target(await reader.readuntil(b"\r\n\r\n"))
        await _forward(await _elsewhere(host, port), port, reader, writer, greeting=b"HTTP/1.1 200 Connected\r\n\r\n")
    except RefusedError as refused:
        writer.write(f"HTTP/1.1 {refused}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()


def target(head: bytes) -> tuple[str, int]:
    """Return the host and the port that a request's head asks for. Raises RefusedError for anything but CONNECT."""
    found = CONNECT.match(head)
    if not found or int(found[3]) > LAST_PORT:
        raise RefusedError("403 This Is A Proxy For HTTPS")
    return (found[1] or found[2]).decode(), int(found[3])


async def _elsewhere(host: str, port: int) -> str:
    """Return the address of a host that is not this machine. Raises RefusedError.

    A name is replaced by its address, so that it is not another one when it is connected to.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise RefusedError("502 Unknown Host") from error
    address = ipaddress.ip_address(str(found[0][4][0]).partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    # Link-local addresses answer with credentials on clouds' machines.
    if address.is_link_local or address.is_multicast or _is_ours(address):
        raise RefusedError("403 No Way To This Machine")
    return str(address)


def _is_ours(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Say whether an address is this machine's: only such can be bound, and the unspecified one."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family) as trial:
        try:
            trial.bind((str(address), 0))
        except OSError:
            return False
    return True


async def _forward(host: str, port: int, reader: StreamReader, writer: StreamWriter, greeting: bytes = b"") -> None:
    """Connect, and carry bytes both ways until both ends are done."""
    async with asyncio.timeout(SECONDS_TO_CONNECT):
        far_reader, far_writer = await asyncio.open_connection(host, port)
    try:
        writer.write(greeting)
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
    finally:
        far_writer.close()


async def _copy(source: StreamReader, sink: StreamWriter) -> None:
    while piece := await source.read(2**16):
        sink.write(piece)
        await sink.drain()
    sink.write_eof()
