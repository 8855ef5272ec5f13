"""azureml_local.edge.proxy through the user's own proxy (RFC 9110, 9.3.6 and 11.7), against proxies that are told how
to behave. A client always gets an answer."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from azureml_local.edge import hosts
from azureml_local.edge.proxy import Edge
from azureml_local.edge.tls import Authority

Proxy = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def ask(
    tmp_path: Path, proxy: Proxy, scheme: str = "http://", target: str = "packages.example:443", says: bytes = b""
) -> bytes:
    """Let a client ask for a tunnel; return all that it gets."""

    async def nothing(scope: object, receive: object, send: object) -> None:
        raise AssertionError("no application is asked")

    async def main() -> bytes:
        upstream = await asyncio.start_server(proxy, "127.0.0.1", 0)
        port = upstream.sockets[0].getsockname()[1]
        applications = dict.fromkeys((*hosts.SERVED.values(), "local"), nothing)
        edge = Edge(applications, Authority(tmp_path, hosts.domains()), f"{scheme}127.0.0.1:{port}")
        server = await edge.listen("127.0.0.1", 0)
        await server.start_serving()
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        received = b""
        try:
            async with asyncio.timeout(3):
                if says:
                    received = await reader.readuntil(b"\r\n\r\n")
                    writer.write(says)
                    writer.write_eof()
                received += await reader.read()
        finally:
            writer.close()
            server.close()
            upstream.close()
            await edge.close()
        return received

    return asyncio.run(main())


def test_tunnel_through_the_users_proxy_with_its_credentials(tmp_path: Path) -> None:
    heads = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nVia: corp\r\n\r\n")
        writer.write((await reader.read()).upper())
        writer.close()

    received = ask(tmp_path, proxy, "http://us%40er:p%3Aw@", says=b"hello")
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.endswith(b"\r\n\r\nHELLO")
    assert heads[0].startswith(b"CONNECT packages.example:443 HTTP/1.1\r\n")
    credentials = base64.b64encode(b"us@er:p:w")
    assert b"\r\nProxy-Authorization: Basic " + credentials + b"\r\n" in heads[0]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        b"",
        b"HTTP/1.1 200",
        b"nonsense\r\n\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
    ids=lambda answer: repr(answer[:40]),
)
def test_proxy_that_refuses_or_breaks_off_is_a_bad_gateway(answer: bytes, tmp_path: Path) -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    received = ask(tmp_path, proxy)
    assert received.startswith(b"HTTP/1.1 502 ")
    assert b"packages.example:443" in received


def test_served_and_azures_hosts_never_reach_the_users_proxy(tmp_path: Path) -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError("the proxy was asked")

    assert ask(tmp_path, proxy, target="x.queue.core.windows.net:443").startswith(b"HTTP/1.1 501 ")
