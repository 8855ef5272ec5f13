"""The proxy of jobs on other machines: which way it takes to which host.

The service's edge is no way to hosts that are not Azure's (``start --listen``): these are reached as the machine
reaches them: directly, or through its own proxy. RFC 9110, 9.3.6 (CONNECT).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from azureml_local.engines.jobs.relay import Relay


class Peer:
    """Something that listens: a proxy, where it is sent CONNECT, or a host. It says its name, and what it is sent."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.targets: list[str] = []
        self.port = 0

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if line.startswith(b"CONNECT "):
            await reader.readuntil(b"\r\n\r\n")
            self.targets.append(line.split()[1].decode())
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            line = await reader.readline()
        writer.write(f"{self.name} had {line.decode()}".encode())
        writer.close()


async def through(port: int, target: str) -> tuple[str, str]:
    """Return the status line of a CONNECT, and what is answered then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
    status = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[0]
    writer.write(b"hello\n")
    answer = (await reader.read()).decode()
    writer.close()
    return status, answer


def with_peers(test: Callable[[Peer, Peer, Peer], Awaitable[None]]) -> None:
    async def main() -> None:
        peers = Peer("edge"), Peer("own proxy"), Peer("host")
        servers = [await peer.start() for peer in peers]
        try:
            await test(*peers)
        finally:
            for server in servers:
                server.close()

    asyncio.run(asyncio.wait_for(main(), 30))


@pytest.mark.parametrize(
    "host", ["management.azure.com", "x.blob.core.windows.net", "dc.services.visualstudio.com", "x.azurecr.io"]
)
def test_azures_hosts_are_reached_by_the_edge(host: str) -> None:
    async def test(edge: Peer, own: Peer, _: Peer) -> None:
        relay = Relay(f"127.0.0.1:{edge.port}", f"http://127.0.0.1:{own.port}")
        assert await through(await relay.start(), f"{host}:443") == (
            "HTTP/1.1 200 Connection established",
            "edge had hello\n",
        )
        await relay.close()
        assert (edge.targets, own.targets) == ([f"{host}:443"], [])

    with_peers(test)


def test_others_are_reached_as_the_machine_reaches_them() -> None:
    async def test(edge: Peer, own: Peer, host: Peer) -> None:
        for proxy, answered in ((f"http://127.0.0.1:{own.port}", "own proxy had hello\n"), (None, "host had hello\n")):
            relay = Relay(f"127.0.0.1:{edge.port}", proxy)
            assert (await through(await relay.start(), f"localhost:{host.port}"))[1] == answered
            await relay.close()
        assert edge.targets == []
        assert own.targets == [f"localhost:{host.port}"]

    with_peers(test)


def test_what_cannot_be_reached_or_is_no_connect_is_refused() -> None:
    async def test(edge: Peer, _: Peer, __: Peer) -> None:
        relay = Relay(f"127.0.0.1:{edge.port}", None)
        port = await relay.start()
        for text in (b"CONNECT localhost:1 HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"CONNECT x HTTP/1.1\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(text)
            assert (await reader.read()).startswith(b"HTTP/1.1 502 ")
            writer.close()
        await relay.close()

    with_peers(test)
