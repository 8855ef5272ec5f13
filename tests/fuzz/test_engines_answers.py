"""Whatever an engine answers (a deployment's code is its user's), the client for engines returns it, or says that it is
no answer; it neither hangs nor fails otherwise, and the next request is not touched."""

from __future__ import annotations

import asyncio
import contextlib

from examples import examples
from generators import mutated_bytes
from hypothesis import given
from hypothesis import strategies as st

from azureml_local.http.upstream import Address, Upstream, UpstreamError

ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 500 Oops\r\nConnection: close\r\n\r\nuntil the end",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
)
PIECES = (
    b"\r\n", b"\n", b"\0", b" ", b":", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n",
    b"fffffff\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"HTTP/9.9 999 ", b" folded\r\n", b"-1",
    b"Connection: upgrade\r\nUpgrade: x\r\n", b"A" * 70_000, b"\xff\xfe",
)  # fmt: skip
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"


async def ask(upstream: Upstream, is_whole: bool) -> bytes:
    if is_whole:
        _, _, body = await upstream.exchange("GET", "/", [], b"", seconds=20, largest=100_000)
        return body
    with await upstream.send("GET", "/", []) as response:
        return await response.read()


@examples(100)
@given(mutated_bytes(ANSWERS, PIECES), st.booleans())
def test_answer_of_an_engine(text: bytes, is_whole: bool) -> None:
    async def main() -> None:
        answers = [text, GOOD]
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            """Give one answer a connection, as its end is the end of what may be half an answer."""
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answers.pop(0))
                writer.write_eof()
                await reader.read()  # until the client has seen the end, too
            writer.close()
            ended.set()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        upstream = Upstream(Address(port=server.sockets[0].getsockname()[1]))
        try:
            async with asyncio.timeout(30):
                with contextlib.suppress(UpstreamError):
                    await ask(upstream, is_whole)
                await ended.wait()
                assert await ask(upstream, is_whole) == b"good"
        finally:
            upstream.close()
            server.close()

    asyncio.run(main())
