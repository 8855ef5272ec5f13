"""The benchmark behind ``make bench``: writes ``runs/bench.json`` and prints a table.

Everything is measured on loopback, and against a peer in the same run where there is one: the machine's speed changes
from minute to minute, so ours and the peer's turns alternate, and a ratio is the median of the ratios of the pairs. A
peer that is not installed is named, and its rows are left out. The exit status is 1 only where a measurement fails; a
goal that is missed is shown as such.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from environments import find_built
from installation import API, Client, Installation
from jobs import jobs
from load import LoadError, Result, Spec, measure
from peers import MOTO_AUTHORIZATION, PeerMissingError, bare_start, haproxy, moto
from results import Row, table, write

OUTPUT = Path(__file__).parents[2] / "runs" / "bench.json"
START_ROUNDS = 3
DEPLOY_ROUNDS = 3
FIND_ROUNDS = 7
LOAD_ROUNDS = 5
LIST_ROUNDS = 20
JOBS = 10_000
CONNECTIONS = 8
PAUSE = 0.005  # seconds that the slower of the two models takes
BODY = '{"data": [[0.1, 0.2, 0.3, 0.4]]}'
OURS, MOTO, HAPROXY, BARE = "azureml-local", "moto server, S3 GetObject", "HAProxy", "bare inference server"


@dataclass(frozen=True)
class Endpoint:
    """An endpoint with one serving instance, and what is needed to ask it, with or without the router."""

    uri: str
    key: str
    socket: Path

    @property
    def host(self) -> str:
        """The host at which it answers."""
        return urlsplit(self.uri).netloc


def main() -> int:
    """Measure everything, write it down, and return the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # leaves every context on the way
    rows: list[Row] = []
    try:
        for row in measurements():
            print(f"{row.name}: {row.value:.4g} {row.unit}", file=sys.stderr, flush=True)
            rows.append(row)
    except LoadError as error:
        print(f"A measurement failed: {error}", file=sys.stderr)
        return 1
    write(rows, OUTPUT)
    print(table(rows))
    return 0


def measurements() -> Iterator[Row]:
    """Yield every row."""
    yield from starts()
    yield from environments()
    yield from job_list()
    with Installation() as installation:
        installation.start()
        client = Client(installation)
        yield from control_plane(installation, client)
        yield from scoring(installation, client)
        yield from jobs(client)


def starts() -> Iterator[Row]:
    """Start the service in new state folders and in used ones."""
    fresh, used, own, storage = [], [], [], []
    for _ in range(START_ROUNDS):
        with Installation() as installation:
            fresh.append(installation.start())
            installation.stop()
            used.append(installation.start())
            status = installation.status()
            own.append(status["memory_mib"])
            storage.append(status["children_memory_mib"])
    yield Row("ready, new state folder", median(fresh), "s", goal="value <= 3")
    yield Row("ready, used state folder", median(used), "s", goal="value <= 3")
    yield Row("memory of the idle service", median(own), "MiB", goal="value <= 120")
    yield Row("memory of the idle storage", median(storage), "MiB")


def environments() -> Iterator[Row]:
    """Find an environment that was built."""
    ours, uvs = find_built(FIND_ROUNDS)
    ratio = median(our / uv for our, uv in zip(ours, uvs, strict=True))
    name = "a built environment found"
    yield Row(name, median(ours), "s", "uv pip install, nothing to do", median(uvs), ratio, "value <= 0.2")


def control_plane(installation: Installation, client: Client) -> Iterator[Row]:
    """Get a registered model's version; moto's small GET is the peer."""
    url = f"{client.model}?{'&'.join(f'{name}={value}' for name, value in API.items())}"
    ours = Spec(
        address=installation.port,
        request=_request("GET", url, "management.azure.com", {"Authorization": f"Bearer {client.token}"}),
        server_pid=installation.pid,
        tls_name="management.azure.com",
        authority=installation.authority,
        through_proxy=True,
    )
    answer = client.session.get(
        f"https://management.azure.com{url}", headers={"Authorization": f"Bearer {client.token}"}
    )
    try:
        with moto(answer.content) as peer:
            theirs = Spec(
                address=peer.port,
                request=_request("GET", "/bench/model", "127.0.0.1", {"Authorization": MOTO_AUTHORIZATION}),
                server_pid=peer.pid,
            )
            for connections in (1, CONNECTIONS):
                yield from compare(
                    "control plane, GET a model", {OURS: ours, MOTO: theirs}, connections, goals={MOTO: "ratio >= 3"}
                )
    except PeerMissingError as missing:
        _skipped(missing)


def job_list() -> Iterator[Row]:
    """List the first page of many jobs: how long it takes, and what memory."""
    with Installation() as installation:
        installation.start()
        installation.stop()
        installation.fill(JOBS)
        installation.start()
        client = Client(installation)
        client.list_jobs()
        before = installation.status()["memory_mib"]
        seconds = []
        for _ in range(LIST_ROUNDS):
            began = time.perf_counter()
            client.list_jobs()
            seconds.append(time.perf_counter() - began)
        name = f"first page of {JOBS:,} jobs"
        yield Row(name, median(seconds) * 1000, "ms", goal="value <= 50")
        yield Row(f"{name}: memory that listing adds", installation.status()["memory_mib"] - before, "MiB")


def scoring(installation: Installation, client: Client) -> Iterator[Row]:
    """Deploy both models; score through their endpoints, around them, and through HAProxy."""
    deployments = installation.root / "deployments"
    seconds, bare_seconds = [], []
    for attempt in range(DEPLOY_ROUNDS):
        if attempt:
            client.delete_deployment("bench-trivial", f"attempt-{attempt - 1}")
        endpoint, took = deploy(installation, client, "bench-trivial", f"attempt-{attempt}", 0)
        seconds.append(took)
        (plan,) = deployments.glob("*/current/launch.json")
        bare_seconds.append(bare_start(plan))
    ratio = median(ours / bare for ours, bare in zip(seconds, bare_seconds, strict=True))
    name = "deployment begun to first score"
    yield Row(name, median(seconds), "s", f"{BARE} started", median(bare_seconds), ratio, "value <= 3")

    slower, _ = deploy(installation, client, "bench-slower", "only", PAUSE)
    name = f"scoring, model of {PAUSE * 1000:g} ms"
    specs = {OURS: through_endpoint(installation, slower), BARE: around_endpoint(slower)}
    yield from compare(name, specs, CONNECTIONS, goals={BARE: "ratio >= 0.9"})

    name = "scoring, trivial model"
    specs = {OURS: through_endpoint(installation, endpoint), BARE: around_endpoint(endpoint)}
    try:
        with haproxy(endpoint.host, endpoint.key, endpoint.socket, installation.root) as peer:
            specs[HAPROXY] = Spec(
                address=peer.port,
                request=specs[OURS].request,
                server_pid=peer.pid,
                tls_name=endpoint.host,
                authority=str(installation.root / "haproxy.pem"),
            )
            yield from compare(name, specs, CONNECTIONS, goals={HAPROXY: "ratio >= 0.85"})
    except PeerMissingError as missing:
        _skipped(missing)
        yield from compare(name, specs, CONNECTIONS, goals={})


def deploy(
    installation: Installation, client: Client, name: str, deployment: str, pause: float
) -> tuple[Endpoint, float]:
    """Deploy to an endpoint of its own and score once; return the endpoint and the seconds that both took."""
    uri = client.create_endpoint(name)["properties"]["scoringUri"]
    key = client.key(name)
    sockets = installation.root / "run"
    known = set(sockets.iterdir())
    began = time.perf_counter()
    client.deploy(name, deployment, pause)
    client.score(uri, key, BODY)
    elapsed = time.perf_counter() - began
    (socket,) = set(sockets.iterdir()) - known
    return Endpoint(uri, key, socket), elapsed


def through_endpoint(installation: Installation, endpoint: Endpoint) -> Spec:
    """Return how the endpoint is asked as clients ask it."""
    return Spec(
        address=installation.port,
        request=_scoring_request(endpoint),
        server_pid=installation.pid,
        tls_name=endpoint.host,
        authority=installation.authority,
        through_proxy=True,
    )


def around_endpoint(endpoint: Endpoint) -> Spec:
    """Return how the very same instance is asked at its own socket, without TLS, key or routing."""
    return Spec(address=str(endpoint.socket), request=_scoring_request(endpoint))


def compare(name: str, specs: Mapping[str, Spec], connections: int, goals: Mapping[str, str]) -> Iterator[Row]:
    """Measure each server in turn, again and again, and yield ours by each peer: throughput, and CPU where known."""
    name += f", {connections} connection{'s' if connections > 1 else ''}"
    results: dict[str, list[Result]] = {who: [] for who in specs}
    for _ in range(LOAD_ROUNDS):
        for who, spec in specs.items():
            results[who].append(measure(replace(spec, connections=connections)))
    ours = results.pop(OURS)
    for peer, theirs in results.items():
        yield _by_peer(name, "requests/s", peer, [o.rate for o in ours], [t.rate for t in theirs], goals.get(peer))
    yield Row(f"{name}: median latency", median(o.p50_ms for o in ours), "ms")
    for peer, theirs in results.items():
        if specs[peer].server_pid:
            cpu = [o.server_cpu_ms for o in ours], [t.server_cpu_ms for t in theirs]
            yield _by_peer(f"{name}: server's CPU", "ms/request", peer, *cpu)
            client = [o.client_cpu_ms for o in ours], [t.client_cpu_ms for t in theirs]
            yield _by_peer(f"{name}: load generator's CPU", "ms/request", peer, *client)


def _by_peer(
    name: str, unit: str, peer: str, ours: Sequence[float], theirs: Sequence[float], goal: str | None = None
) -> Row:
    ratio = median(mine / other for mine, other in zip(ours, theirs, strict=True))
    return Row(name, median(ours), unit, peer, median(theirs), ratio, goal)


def _scoring_request(endpoint: Endpoint) -> str:
    headers = {"Authorization": f"Bearer {endpoint.key}", "Content-Type": "application/json"}
    return _request("POST", urlsplit(endpoint.uri).path, endpoint.host, headers, BODY)


def _request(method: str, target: str, host: str, headers: Mapping[str, str], body: str = "") -> str:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "User-Agent: bench", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", body])


def _skipped(missing: PeerMissingError) -> None:
    print(f"SKIPPED: {missing}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
