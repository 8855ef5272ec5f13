"""The proxy of a job on another machine than the service's: on that machine's loopback, for as long as the job runs.

Azure's hosts are reached through the service's edge, which is no way to any other; every other host is reached as that
machine reaches it.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from azureml_local.edge import hosts
from azureml_local.edge.proxy import CONNECT_TIMEOUT, connect_out, copy

HEAD_SECONDS = 15.0


class Relay:
    """A proxy for HTTPS.

    Args:
        edge: where the service's edge is reached from here, ``HOST:PORT``.
        own_proxy: this machine's own for the Internet, or None.
    """

    def __init__(self, edge: str, own_proxy: str | None) -> None:
        self._edge = urlsplit(f"http://{edge}")
        self._own_proxy = urlsplit(own_proxy) if own_proxy else None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """Listen on loopback, and return the port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """End every connection."""
        if self._server:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            host, port = await _asked(reader)
            proxy = self._edge if hosts.is_azure(host) or hosts.application_of(host) else self._own_proxy
            async with asyncio.timeout(CONNECT_TIMEOUT):
                there, back = await connect_out(proxy, host, port)
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
            writer.write(f"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nX-Why: {str(error)!a}\r\n\r\n".encode())
            writer.close()
            return
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(copy(reader, back), copy(there, writer))
        except OSError:
            return  # one of the two has broken off: the other is told by the end of its connection
        finally:
            back.close()
            writer.close()


async def _asked(reader: asyncio.StreamReader) -> tuple[str, int]:
    """Return the host and port of a CONNECT request. Raises ValueError for any other."""
    async with asyncio.timeout(HEAD_SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
    method, target, *_ = head.decode("latin-1").split(" ", 2)
    host, _, port = target.rpartition(":")
    if method != "CONNECT":
        raise ValueError("this is a proxy for HTTPS")
    return host.strip("[]").rstrip(".").lower(), int(port)
