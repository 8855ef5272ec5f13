"""What one client may ask for, and how long it may take: sizes, times and numbers are all bounded (CWE-400).

Statuses: RFC 9110, 15.5.9 (408), 15.5.14 (413), 15.5.15 (414), 15.6.4 (503); RFC 6585, 5 (431). The times are tested on
an edge of their own whose limits are a fraction of a second; that the limits hold is tested, not how long they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import resource
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from targets import Endpoint

from azureml_local.edge import hosts, limits
from azureml_local.edge.proxy import Edge
from azureml_local.edge.tls import Authority
from raw_client import exchange, exchange_all, plain, statuses, tunnel
from running_service import RunningService

ARM = "management.azure.com"
CONNECT = b"CONNECT management.azure.com:443 HTTP/1.1\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nHost: management.azure.com\r\n"
MIB = 1024 * 1024


def status(service: RunningService, text: bytes) -> int:
    answer = exchange(service, ARM, text)
    assert answer is not None
    return answer.status


# --- sizes ---


def test_size_of_the_url(service: RunningService) -> None:
    def asked(size: int) -> int:
        return status(service, b"GET /" + b"a" * (size - 1) + b" HTTP/1.1\r\nHost: management.azure.com\r\n\r\n")

    assert asked(limits.LARGEST_TARGET) == 401
    assert asked(limits.LARGEST_TARGET + 1) == 414
    assert asked(limits.LARGEST_TARGET * 2) == 414


def test_longest_name_of_a_blob_fits(service: RunningService) -> None:
    """https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata:
    1,024 characters, each of them up to nine bytes in a URL."""
    host = f"{service.settings.storage_account}.blob.core.windows.net"
    answer = exchange(service, host, f"GET /ccc/{'%E6%97%A5' * 1024} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer is not None
    assert answer.status in (401, 403, 404), answer


def test_number_of_headers(service: RunningService) -> None:
    def asked(number: int) -> int:
        headers = b"".join(b"X-%d: y\r\n" % index for index in range(number - 1))
        return status(service, b"GET / HTTP/1.1\r\nHost: management.azure.com\r\n" + headers + b"\r\n")

    assert asked(limits.MOST_HEADERS) == 401
    assert asked(limits.MOST_HEADERS + 1) == 431


def test_size_of_headers(service: RunningService) -> None:
    host = len(b"Host") + len(ARM) + len(b"X")

    def asked(size: int) -> int:
        return status(
            service, b"GET / HTTP/1.1\r\nHost: management.azure.com\r\nX: " + b"a" * (size - host) + b"\r\n\r\n"
        )

    assert asked(limits.LARGEST_HEADERS) == 401
    assert asked(limits.LARGEST_HEADERS + 1) == 431


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"GET / HTTP/1.1\r\n", b"G"])
def test_head_without_end(start: bytes, service: RunningService) -> None:
    assert statuses(exchange_all(service, ARM, start + b"a" * 1_000_000)) in ([400], [414], [431])


def test_trailers_are_counted_too(service: RunningService) -> None:
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
    few, many = (b"".join(b"X-%d: y\r\n" % index for index in range(number)) for number in (10, 200_000))
    assert statuses(exchange_all(service, ARM, head + few + b"\r\nGET / HTTP/1.0\r\n\r\n")) == [401, 401]
    assert statuses(exchange_all(service, ARM, head + many))[-1] == 431


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 4194305\r\n\r\n", b"Content-Length: 18446744073709551615\r\n\r\n", b"chunked"]
)
def test_body_for_resource_manager_413(
    framing: bytes, service: RunningService, token_for: Callable[[str], str], workspace: str
) -> None:
    """4 MiB: https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits."""
    token = token_for("https://management.azure.com")
    head = (
        f"PUT {workspace}/models/large/versions/1?api-version=2024-10-01 HTTP/1.1\r\nHost: {ARM}\r\n"
        f"Authorization: Bearer {token}\r\n"
    ).encode()
    if framing == b"chunked":
        framing = b"Transfer-Encoding: chunked\r\n\r\n" + b"100000\r\n" + b" " * MIB + b"\r\n"
        framing += (b"100000\r\n" + b" " * MIB + b"\r\n") * 4
    answer = exchange(service, ARM, head + framing)
    assert answer is not None
    assert answer.status == 413
    assert b"RequestContentTooLarge" in answer.body


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_bodies_are_not_unpacked(
    coding: str, service: RunningService, token_for: Callable[[str], str], workspace: str
) -> None:
    """Nothing here decompresses, so that no bomb goes off (CWE-409): 100 MB of blanks are 100 kB of no JSON."""
    bomb = gzip.compress(b" " * 100 * MIB, 1)
    head = (
        f"PUT {workspace}/models/bomb/versions/1?api-version=2024-10-01 HTTP/1.1\r\nHost: {ARM}\r\n"
        f"Authorization: Bearer {token_for('https://management.azure.com')}\r\n"
        f"Content-Type: application/json\r\nContent-Encoding: {coding}\r\nContent-Length: {len(bomb)}\r\n\r\n"
    )
    answer = exchange(service, ARM, head.encode() + bomb)
    assert answer is not None
    assert answer.status == 400


def test_body_for_the_token_endpoint_413(service: RunningService) -> None:
    host = "login.microsoftonline.com"
    body = b"x" * 70_000
    head = f"POST /{service.settings.tenant_id}/oauth2/v2.0/token HTTP/1.1\r\nHost: {host}\r\n"
    answer = exchange(service, host, head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert answer is not None
    assert answer.status == 413


def test_payload_is_refused_by_its_declared_size_before_it_is_sent(
    service: RunningService, key_endpoint: Endpoint
) -> None:
    """Also by an endpoint without deployments, which could answer nothing else than 404: nobody waits for 1 TB."""
    key = key_endpoint.keys["primaryKey"]
    head = f"POST /score HTTP/1.1\r\nHost: {key_endpoint.host}\r\nAuthorization: Bearer {key}\r\n"
    answer = exchange(service, key_endpoint.host, head.encode() + b"Content-Length: 1000000000000\r\n\r\n{")
    assert answer is not None
    assert answer.status == 413


# --- many at once ---


def test_three_hundred_slow_clients_hold_up_nobody(service: RunningService, key_endpoint: Endpoint) -> None:
    """Slowloris: https://en.wikipedia.org/wiki/Slowloris_(cyber_attack)."""
    with contextlib.ExitStack() as held:
        for index in range(300):
            connection = held.enter_context(plain(service))
            connection.sendall((b"", b"CONN", CONNECT[:-2], CONNECT, b"GET / HTTP/1.1\r\nHost: l", b"\x16")[index % 6])
        for _ in range(20):
            connection = held.enter_context(tunnel(service, ARM))
            connection.sendall(HEAD + b"Content-Length: 100\r\n\r\n{")
        answer = exchange(service, ARM, b"GET / HTTP/1.1\r\nHost: management.azure.com\r\n\r\n")
        assert answer is not None
        assert answer.status == 401
        scored = exchange(
            service, key_endpoint.host, f"GET /score HTTP/1.1\r\nHost: {key_endpoint.host}\r\n\r\n".encode()
        )
        assert scored is not None
        assert scored.status == 401


def test_as_many_connections_as_there_are_descriptors_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of open files is raised to what is needed, as far as that is allowed."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: asked.append(both))
    for soft, hard, most in (
        (1024, 4096, (4096 - 512) // 2),
        (256, 256, 1),
        (1024, resource.RLIM_INFINITY, 4096),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 4096),
        (1_000_000, 1_000_000, 4096),
    ):
        monkeypatch.setattr(resource, "getrlimit", lambda _, both=(soft, hard): both)
        assert limits.most_connections() == most
    assert asked == [(4096, 4096), (256, 256), (8704, resource.RLIM_INFINITY)]


# --- times, on an edge of its own ---


Client = Callable[[Edge, int], Awaitable[None]]


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition of the edge's; the time is bounded by the test's."""
    while not condition():  # noqa: ASYNC110 - what the edge does raises no event here
        await asyncio.sleep(0.01)


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Read the whole body, and answer; ``/large`` with what fills every buffer on the way."""
    while (message := await receive())["type"] != "http.disconnect":
        if not message["more_body"]:
            break
    else:
        return
    body = b"x" * (64 * MIB if scope["path"] == "/large" else 5)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def with_edge(tmp_path: Path, client: Client, run: Callable[..., Any] = uvloop.run) -> None:
    """Let ``client`` talk to an edge whose every application is ``hello``; afterwards nothing of it is open."""

    async def main() -> None:
        edge = Edge(dict.fromkeys((*hosts.SERVED.values(), "local"), hello), Authority(tmp_path, hosts.domains()), None)
        server = await edge.listen("127.0.0.1", 0)
        await server.start_serving()
        try:
            async with asyncio.timeout(60):
                await client(edge, server.sockets[0].getsockname()[1])
                await until(lambda: not (edge.beginning or edge.tasks or edge.state.connections))
        finally:
            server.close()
            await edge.close()

    run(main())


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD", "IDLE", "BODY_LAP", "UNREAD", "CLOSE"):
        monkeypatch.setattr(limits, f"{name}_SECONDS", 0.3)


@contextlib.asynccontextmanager
async def secure(port: int, tmp_path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A TLS connection to a served host."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(CONNECT)
    await reader.readuntil(b"\r\n\r\n")
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    await writer.start_tls(context, server_hostname=ARM)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("sent", [b"", b"C", CONNECT[:-2], CONNECT, b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"\r\n"])
def test_client_that_stops_in_the_middle_is_let_go(
    sent: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that never begins with TLS."""
    monkeypatch.setattr(limits, "HANDSHAKE_SECONDS", 0.3)

    async def client(edge: Edge, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    with_edge(tmp_path, client)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),
        (b"G", b"HTTP/1.1 408 "),
        (HEAD, b"HTTP/1.1 408 "),
        (HEAD + b"Content-Length: 10\r\n\r\n", b"HTTP/1.1 408 "),
        (HEAD + b"Content-Length: 10\r\n\r\n12345", b"HTTP/1.1 408 "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", b"HTTP/1.1 408 "),
        (HEAD + b"Content-Length: 2\r\n\r\n{}", b"HTTP/1.1 200 "),  # and then it is idle
    ],
)
def test_request_that_stops_in_the_middle_408(sent: bytes, answer: bytes, tmp_path: Path) -> None:
    async def client(edge: Edge, port: int) -> None:
        async with secure(port, tmp_path) as (reader, writer):
            writer.write(sent)
            assert (await reader.read())[:13] == answer

    with_edge(tmp_path, client)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("start", [b"GET /", HEAD + b"X: ", HEAD + b"Content-Length: 1000000\r\n\r\n"])
def test_request_that_drips_408(start: bytes, tmp_path: Path) -> None:
    """A byte now and then does not buy more time."""

    async def client(edge: Edge, port: int) -> None:
        async with secure(port, tmp_path) as (reader, writer):
            writer.write(start)

            async def drip() -> None:
                with contextlib.suppress(ConnectionError):
                    while True:
                        writer.write(b"a")
                        await writer.drain()
                        await asyncio.sleep(0.05)

            dripping = asyncio.create_task(drip())
            assert (await reader.read())[:13] == b"HTTP/1.1 408 "
            dripping.cancel()

    with_edge(tmp_path, client)


def test_body_that_comes_slowly_but_steadily_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_LAP_SECONDS", 1.0)  # less than the body takes in all

    async def client(edge: Edge, port: int) -> None:
        async with secure(port, tmp_path) as (reader, writer):
            writer.write(HEAD + b"Connection: close\r\nContent-Length: 20000\r\n\r\n")
            for _ in range(20):
                writer.write(b"a" * 1000)
                await asyncio.sleep(0.1)
            assert (await reader.read())[:13] == b"HTTP/1.1 200 "

    with_edge(tmp_path, client)


@pytest.mark.usefixtures("short")
def test_client_that_reads_nothing_is_let_go(tmp_path: Path) -> None:
    async def client(edge: Edge, port: int) -> None:
        async with secure(port, tmp_path) as (_, writer):
            writer.transport.pause_reading()
            writer.write(b"GET /large HTTP/1.1\r\nHost: management.azure.com\r\n\r\n")
            await until(lambda: edge.state.connections)
            await until(lambda: not edge.state.connections)

    with_edge(tmp_path, client)


def test_one_client_too_many_503(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is connected is served on; as soon as somebody leaves, the next is served, too."""
    monkeypatch.setattr(limits, "most_connections", lambda: 3)

    async def client(edge: Edge, port: int) -> None:
        async with secure(port, tmp_path) as (reader, writer):
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            await until(lambda: len(edge.beginning) == 2)
            refused, _ = await asyncio.open_connection("127.0.0.1", port)
            assert (await refused.read())[:13] == b"HTTP/1.1 503 "
            writer.write(HEAD + b"Content-Length: 2\r\n\r\n{}")
            assert (await reader.readuntil(b"\r\n\r\n"))[:13] == b"HTTP/1.1 200 "
            for _, other in idle:
                other.close()
            await until(lambda: not edge.beginning)
            async with secure(port, tmp_path) as (second, asking):
                asking.write(HEAD + b"Content-Length: 2\r\n\r\n{}")
                assert (await second.readuntil(b"\r\n\r\n"))[:13] == b"HTTP/1.1 200 "

    with_edge(tmp_path, client)


@pytest.mark.parametrize("run", [uvloop.run, asyncio.run], ids=["uvloop", "asyncio"])
def test_request_in_the_packet_that_ends_the_handshake(run: Callable[..., Any], tmp_path: Path) -> None:
    """A client need not wait for anything between the two (RFC 8446, 2); on a busy machine they arrive together."""

    async def client(edge: Edge, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(CONNECT)
        await reader.readuntil(b"\r\n\r\n")
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=ARM)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65536))
        tls.write(HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
        writer.write(outgoing.read())  # the end of the handshake, and the request
        received = b""
        while not received.endswith(b"xxxxx"):
            incoming.write(await reader.read(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                while piece := tls.read():
                    received += piece
        assert received.startswith(b"HTTP/1.1 200 ")
        writer.close()

    with_edge(tmp_path, client, run)
