"""azureml_local.http.upstream against a server that misbehaves as told. Framing and reuse of connections: RFC 9112,
sections 6, 7 and 9; 1xx and HEAD: RFC 9110, 15.2 and 9.3.2."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from azureml_local.http import upstream as upstream_module
from azureml_local.http.upstream import BODY_HIGH_WATER, Address, UnreachableError, Upstream, UpstreamError

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(serve: Serve, client: Callable[[Upstream], Awaitable[None]], path: Path | None = None) -> int:
    """Let ``client`` talk to ``serve``; return how many connections it took."""
    taken = 0

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        taken += 1
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def main() -> None:
        if path:
            server = await asyncio.start_unix_server(accept, path)
            address = Address(socket=path)
        else:
            server = await asyncio.start_server(accept, "127.0.0.1", 0)
            address = Address(port=server.sockets[0].getsockname()[1])
        upstream = Upstream(address)
        try:
            await asyncio.wait_for(client(upstream), 20)
        finally:
            upstream.close()
            server.close()

    asyncio.run(main())
    return taken


def answering(*answers: bytes) -> Serve:
    """Return a server that answers the requests of a connection in turn; requests have no body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()

    return serve


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Kind: good\r\n\r\nhi"


def test_connection_is_used_again() -> None:
    async def client(upstream: Upstream) -> None:
        for _ in range(3):
            with await upstream.send("GET", "/", [(b"host", b"x")]) as response:
                assert (response.status, await response.read()) == (200, b"hi")
                assert response.header(b"x-kind") == b"good"

    assert run(answering(OK, OK, OK), client) == 1


def test_unix_socket(tmp_path: Path) -> None:
    async def client(upstream: Upstream) -> None:
        with await upstream.send("GET", "/", []) as response:
            assert await response.read() == b"hi"

    run(answering(OK), client, tmp_path / "s")


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    ],
    ids=str,
)
def test_framings(answer: bytes, body: bytes) -> None:
    async def client(upstream: Upstream) -> None:
        for _ in range(2):
            with await upstream.send("GET", "/", []) as response:
                assert response.status in (200, 204)
                assert await response.read() == body
            with await upstream.send("GET", "/", []) as response:
                assert b"".join([piece async for piece in response.chunks()]) == body

    closes = b"close" in answer or b"HTTP/1.0" in answer or b"until" in answer
    run(answering(*[answer] * (1 if closes else 4)), client)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"no http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 1_000_000,
    ],
    ids=lambda answer: repr(answer[:60]),
)
def test_response_that_breaks_off_is_an_error_and_never_a_short_body(answer: bytes) -> None:
    async def client(upstream: Upstream) -> None:
        with pytest.raises(UpstreamError), await upstream.send("GET", "/", []) as response:
            await response.read()
        with pytest.raises(UpstreamError), await upstream.send("GET", "/", []) as response:
            async for _ in response.chunks():
                pass

    run(answering(answer), client)


def test_nothing_listens(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(UpstreamError):
            await Upstream(Address(socket=tmp_path / "absent")).send("GET", "/", [])

    asyncio.run(main())


def test_answer_to_head_has_a_length_and_no_body() -> None:
    async def client(upstream: Upstream) -> None:
        with await upstream.send("HEAD", "/", []) as response:
            assert response.header(b"content-length") == b"5000"
            assert await response.read() == b""
        with await upstream.send("GET", "/", []) as response:
            assert await response.read() == b"hi"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" if head.startswith(b"HEAD") else OK)

    run(serve, client)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with the head and the body that came."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        body = b""
        if b"transfer-encoding: chunked" in head:
            while size := int(await reader.readline(), 16):
                body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
        else:
            length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length"))
            body = await reader.readexactly(int(length.split(b":")[1]))
        answer = head + body
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def test_headers_of_one_hop_are_left_out_and_the_framing_is_ours() -> None:
    sent = [
        (b"host", b"x"),
        (b"connection", b"close"),
        (b"keep-alive", b"5"),
        (b"te", b"trailers"),
        (b"upgrade", b"h2c"),
        (b"content-length", b"999"),
        (b"x-own", b"kept"),
    ]

    async def client(upstream: Upstream) -> None:
        with await upstream.send("POST", "/p?q=1", sent, b"body") as response:
            head, _, body = (await response.read()).partition(b"\r\n\r\n")
        assert body == b"body"
        lines = head.split(b"\r\n")
        assert lines[0] == b"POST /p?q=1 HTTP/1.1"
        assert sorted(lines[1:]) == [b"content-length: 4", b"host: x", b"x-own: kept"]

    run(echo, client)


def test_streamed_bodies() -> None:
    async def client(upstream: Upstream) -> None:
        with await upstream.send("PUT", "/", [(b"content-length", b"6")], pieces(b"abc", b"def")) as response:
            assert (await response.read()).endswith(b"content-length: 6\r\n\r\nabcdef")
        with await upstream.send("PUT", "/", [], pieces(b"abc", b"de")) as response:
            assert (await response.read()).endswith(b"transfer-encoding: chunked\r\n\r\nabcde")
        large = b"x" * 5_000_000
        with await upstream.send("PUT", "/", [], pieces(large, large)) as response:
            assert (await response.read()).endswith(large + large)

    assert run(echo, client) == 1


def test_connection_whose_request_was_not_sent_to_its_end_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer may come before the request's body (RFC 9112, 9.3). What was not sent must not be missing before the
    next request: the server would take that request for the body, and its answer would be another's."""
    answered: list[asyncio.Event] = []
    original = upstream_module._Connection.on_headers_complete

    def complete(connection: upstream_module._Connection) -> None:
        original(connection)
        answered[0].set()

    monkeypatch.setattr(upstream_module._Connection, "on_headers_complete", complete)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"PUT"):
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            await reader.readexactly(10)  # the next request, where that is sent on this connection
            return
        writer.write(OK)

    async def slow() -> AsyncIterator[bytes]:
        await answered[0].wait()
        yield b"0123456789"

    async def client(upstream: Upstream) -> None:
        answered.append(asyncio.Event())
        with await upstream.send("PUT", "/", [(b"content-length", b"10")], slow()) as response:
            assert response.status == 403
            assert await response.read() == b"no"
        with await upstream.send("GET", "/", []) as response:
            assert (response.status, await response.read()) == (200, b"hi")

    assert run(serve, client) == 2


def test_response_that_is_left_unread_does_not_reach_the_next_request() -> None:
    async def client(upstream: Upstream) -> None:
        with await upstream.send("GET", "/", []) as response:
            assert response.status == 200
        with await upstream.send("GET", "/", []) as response:
            assert await response.read() == b"x" * 100_000

    large = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
    run(answering(large, large), client)


def test_connection_that_the_server_closed_while_idle_is_not_used() -> None:
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        writer.close()
        await writer.wait_closed()
        closed.set()

    async def client(upstream: Upstream) -> None:
        for _ in range(3):
            closed.clear()
            with await upstream.send("GET", "/", []) as response:
                assert await response.read() == b"hi"
            await closed.wait()
            for _ in range(5):
                await asyncio.sleep(0)

    assert run(serve, client) == 3


def test_slow_reader_holds_the_server_back() -> None:
    """At most about the high-water mark waits in memory, the rest with the server."""
    total = 64 * 1024 * 1024
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent < total:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async def client(upstream: Upstream) -> None:
        with await upstream.send("GET", "/", []) as response:
            before = -1
            while before != sent:  # until the server is held back
                before = sent
                for _ in range(200):
                    await asyncio.sleep(0)
            assert BODY_HIGH_WATER <= sent < total // 2
            received = 0
            async for piece in response.chunks():
                received += len(piece)
            assert received == total

    run(serve, client)


@pytest.mark.parametrize(
    "target", ["/a b", "/a\r\nX: y", "/a HTTP/1.1\r\n\r\nDELETE /b", "/a\n", "/a\0", "/ü", "", "/a\x7f"]
)
def test_target_that_would_be_more_than_a_target_is_never_sent(target: str) -> None:
    """Request splitting (CWE-113); RFC 9112, 3.2: a request target holds no white space."""

    async def client(upstream: Upstream) -> None:
        with pytest.raises(UpstreamError):
            await upstream.send("GET", target, [])
        with pytest.raises(UpstreamError):
            await upstream.exchange("GET", target, [], b"", seconds=5, largest=100)
        with await upstream.send("GET", "/", []) as response:
            assert await response.read() == b"hi"

    run(answering(OK), client)


@pytest.mark.parametrize("header", [(b"a", b"b\r\nc: d"), (b"a", b"b\n"), (b"a\r\nb", b"c"), (b"a", b"b\r")])
def test_header_that_would_be_more_than_a_header_is_never_sent(header: tuple[bytes, bytes]) -> None:
    async def client(upstream: Upstream) -> None:
        with pytest.raises(UpstreamError):
            await upstream.send("GET", "/", [header])

    run(answering(OK), client)


def test_overdue_answer_is_waited_for_although_nobody_wants_it() -> None:
    """Until then the engine is at the request: ``ended`` says when it no longer is."""

    async def client(upstream: Upstream) -> None:
        ended = asyncio.Event()
        with pytest.raises(TimeoutError):
            await upstream.exchange("GET", "/", [], b"", seconds=0.05, largest=100, ended=ended.set)
        assert not ended.is_set()
        may_answer.set()
        await ended.wait()

    may_answer = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await may_answer.wait()
        writer.write(OK)
        assert await reader.read() == b""  # the connection is of no more use

    run(serve, client)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + b"x" * 200], ids=len)
def test_overdue_request_ends_with_its_connection_too(answer: bytes) -> None:
    async def client(upstream: Upstream) -> None:
        ended = asyncio.Event()
        with pytest.raises(TimeoutError):
            await upstream.exchange("GET", "/", [], b"", seconds=0.05, largest=100, ended=ended.set)
        may_end.set()
        await ended.wait()

    may_end = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await may_end.wait()
        writer.write(answer)

    run(serve, client)


def test_cancelled_request_ends_when_it_is_answered() -> None:
    async def client(upstream: Upstream) -> None:
        ended = asyncio.Event()
        asked = asyncio.ensure_future(upstream.exchange("GET", "/", [], b"", seconds=20, largest=100, ended=ended.set))
        await was_asked.wait()
        asked.cancel()
        await asyncio.wait([asked])
        assert not ended.is_set()
        may_answer.set()
        await ended.wait()

    was_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        was_asked.set()
        await may_answer.wait()
        writer.write(OK)

    run(serve, client)


def test_ended_is_told_once_whatever_happens(tmp_path: Path) -> None:
    async def client(upstream: Upstream) -> None:
        told: list[str] = []
        await upstream.exchange("GET", "/", [], b"", seconds=5, largest=100, ended=lambda: told.append("answered"))
        with pytest.raises(UpstreamError):
            await upstream.exchange("GET", "/", [], b"", seconds=5, largest=1, ended=lambda: told.append("too large"))
        nobody = Upstream(Address(socket=tmp_path / "nobody"))
        with pytest.raises(UnreachableError):
            await nobody.exchange("GET", "/", [], b"", seconds=5, largest=1, ended=lambda: told.append("unreachable"))
        await asyncio.sleep(0)
        assert told == ["answered", "too large", "unreachable"]

    run(answering(OK, OK), client)


def test_request_that_is_cancelled_as_its_answer_comes_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing more will come on its connection that could tell of the end, and the engine may keep it open."""
    asked: asyncio.Future[object]
    complete = upstream_module._Connection.on_message_complete

    def completed(connection: upstream_module._Connection) -> None:
        complete(connection)
        asyncio.get_running_loop().call_soon(asked.cancel)

    monkeypatch.setattr(upstream_module._Connection, "on_message_complete", completed)

    async def client(upstream: Upstream) -> None:
        nonlocal asked
        ended = asyncio.Event()
        asked = asyncio.ensure_future(upstream.exchange("GET", "/", [], b"", seconds=20, largest=100, ended=ended.set))
        await asyncio.wait([asked])
        assert asked.cancelled()
        assert ended.is_set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        assert await reader.read() == b""  # it is not used again

    run(serve, client)
