"""The load generator: a closed loop of connections in one process of its own, the same for every server.

``wrk`` would be the usual tool, but it cannot open a connection through a proxy's ``CONNECT``, as clients of the local
service do, and a relay that does it for ``wrk`` would be one hop more on one side of the comparison only. So each
connection is opened here, through ``CONNECT`` and with TLS where the server wants it, before the clock starts, and from
then on does nothing but send one prepared request and read its answer. There is no event loop and no HTTP library in
between: plain sockets on epoll cost the two cores, which the server needs too, the least that Python can
(``client_cpu_ms`` says how much). A server that closes the connection after its answer is connected to anew, inside the
measured time, because that is what its clients have to do as well.

Reads a :class:`Spec` as a line of JSON on standard input and writes a :class:`Result` as JSON on standard output. Any
answer but 200 ends the run with exit status 1, unless answers are counted by status: then a connection that breaks
counts as one, and is opened again.
"""

from __future__ import annotations

import json
import math
import re
import selectors
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from statistics import quantiles

import psutil

WARM_UP = 0.3  # seconds before anything is counted
CHUNK = 64 * 1024
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
BROKEN = "broken"  # stands for the status of a request whose connection ended before its answer did


class LoadError(Exception):
    """The server did not answer as it should have."""


@dataclass(frozen=True)
class Spec:
    """What to ask whom.

    Args:
        address: a port, or the path of a Unix socket.
        request: the whole request, sent as it is.
        host: where the port is.
        server_pid: the process whose CPU time is counted, where it matters.
        tls_name: the host that the certificate must name; without it there is no TLS.
        authority: the file of the certificate authority.
        through_proxy: open a tunnel to ``tls_name``, port 443, with ``CONNECT`` first.
        connections: how many, each with one request at a time.
        seconds: how long requests are counted; None: until standard input ends.
        any_status: count the answers by their status, where otherwise each must be 200.
    """

    address: int | str
    request: str
    host: str = "127.0.0.1"
    server_pid: int | None = None
    tls_name: str | None = None
    authority: str | None = None
    through_proxy: bool = False
    connections: int = 8
    seconds: float | None = 1.5
    any_status: bool = False


@dataclass(frozen=True)
class Result:
    """What came of it: requests per second, milliseconds per request, and how many answers had which status."""

    rate: float
    p50_ms: float
    p99_ms: float
    server_cpu_ms: float
    client_cpu_ms: float
    statuses: dict[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """How many requests were not answered with 200."""
        return sum(count for status, count in self.statuses.items() if status != "200")


def measure(spec: Spec) -> Result:
    """Run ``spec`` in a process of its own. Raises LoadError where an answer is not 200."""
    process = _start(spec)
    return _result(process, spec.seconds)


@contextmanager
def load(spec: Spec) -> Iterator[Callable[[], Result]]:
    """Keep the server busy for as long as the block lasts; yields the function that ends it and returns the result."""
    process = _start(replace(spec, seconds=None, any_status=True))
    try:
        yield lambda: _result(process, 0)
    finally:
        process.kill()
        process.wait()


def _start(spec: Spec) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdin.write(json.dumps(asdict(spec)) + "\n")
    process.stdin.flush()
    return process


def _result(process: subprocess.Popen[str], seconds: float) -> Result:
    """Close its standard input and wait for what it says."""
    output, errors = process.communicate(timeout=seconds + 60)
    if process.returncode:
        raise LoadError(errors.strip())
    return Result(**json.loads(output))


class Connection:
    """One connection to the server, opened again whenever the server has closed it."""

    def __init__(self, spec: Spec, context: ssl.SSLContext | None, selector: selectors.BaseSelector) -> None:
        self.spec = spec
        self.context = context
        self.selector = selector
        self.request = spec.request.encode()
        self.sent_at = 0.0
        self.received = b""
        self._open()

    def send(self) -> None:
        """Send the request."""
        self.received = b""
        self.sent_at = time.perf_counter()
        try:
            self.socket.sendall(self.request)
        except OSError:
            if not self.spec.any_status:
                raise  # else it is found broken when it is read

    def read(self) -> str | None:
        """Read what has arrived; return the answer's status once it is complete, ``BROKEN`` where it never will be.

        Raises LoadError where the status is not 200, unless any is to be counted.
        """
        try:
            piece = self.socket.recv(CHUNK)
        except ssl.SSLWantReadError:  # a record without content, such as a session ticket
            return None
        except OSError:
            piece = b""
        self.received += piece
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not piece:
            return self._broken()
        if not separator:
            return None
        status, length = head[9:12].decode(), LENGTH.search(head)
        if not head.startswith(b"HTTP/1.") or length is None or (status != "200" and not self.spec.any_status):
            raise LoadError(f"the answer was {self.received.decode(errors='replace')}")
        if len(body) < int(length[1]):
            return None
        if CLOSES.search(head):
            self._open_again()
        return status

    def _broken(self) -> str:
        if not self.spec.any_status:
            raise LoadError(f"the server closed the connection after {self.received!r}")
        self._open_again()
        return BROKEN

    def _open_again(self) -> None:
        self.selector.unregister(self.socket)
        self.socket.close()
        self._open()

    def _open(self) -> None:
        if isinstance(self.spec.address, str):
            plain = socket.socket(socket.AF_UNIX)
            plain.connect(self.spec.address)
        else:
            plain = socket.create_connection((self.spec.host, self.spec.address))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = plain
        if self.spec.through_proxy:
            plain.sendall(f"CONNECT {self.spec.tls_name}:443 HTTP/1.1\r\n\r\n".encode())
            answer = plain.recv(CHUNK)  # nothing can follow it: TLS begins with the client's word
            if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(b"\r\n\r\n"):
                raise LoadError(f"CONNECT was answered {answer!r}")
        if self.context:
            self.socket = self.context.wrap_socket(plain, server_hostname=self.spec.tls_name)
        self.socket.setblocking(False)
        self.selector.register(self.socket, selectors.EVENT_READ, self)


def generate(spec: Spec) -> Result:
    """Keep every connection busy for the warm-up and the counted time."""
    context = ssl.create_default_context(cafile=spec.authority) if spec.tls_name else None
    selector = selectors.DefaultSelector()
    connections = [Connection(spec, context, selector) for _ in range(spec.connections)]
    for connection in connections:
        connection.send()
    statuses: Counter[str] = Counter()
    if spec.seconds is None:
        selector.register(sys.stdin, selectors.EVENT_READ)
    else:
        _serve_until(time.perf_counter() + WARM_UP, selector, statuses)
        statuses.clear()
    server_before, client_before, began = _cpu(spec.server_pid), time.process_time(), time.perf_counter()
    latencies = _serve_until(began + (spec.seconds or math.inf), selector, statuses)
    elapsed = time.perf_counter() - began
    server_cpu, client_cpu = _cpu(spec.server_pid) - server_before, time.process_time() - client_before
    for connection in connections:
        connection.socket.close()
    if len(latencies) < 2:
        raise LoadError(f"the server answered {len(latencies)} requests in {elapsed:.1f} s")
    count = len(latencies)
    percentiles = quantiles(latencies, n=100)
    return Result(
        rate=count / elapsed,
        p50_ms=percentiles[49] * 1000,
        p99_ms=percentiles[98] * 1000,
        server_cpu_ms=server_cpu / count * 1000,
        client_cpu_ms=client_cpu / count * 1000,
        statuses=dict(statuses),
    )


def _serve_until(deadline: float, selector: selectors.BaseSelector, statuses: Counter[str]) -> list[float]:
    """Answer each complete response with the next request, until standard input ends where the selector watches it.

    Returns how long each took, in seconds, and counts its status.
    """
    latencies = []
    while (now := time.perf_counter()) < deadline:
        for key, _ in selector.select(None if deadline == math.inf else deadline - now):
            connection: Connection | None = key.data
            if connection is None:
                return latencies
            if status := connection.read():
                latencies.append(time.perf_counter() - connection.sent_at)
                statuses[status] += 1
                connection.send()
    return latencies


def _cpu(pid: int | None) -> float:
    if pid is None:
        return 0.0
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    try:
        print(json.dumps(asdict(generate(Spec(**json.loads(sys.stdin.readline()))))))
    except (LoadError, OSError) as error:
        sys.exit(str(error))
