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
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from batch_client import BatchClient
from batch_scoring import batch_scoring
from comparing import OURS, compare, request
from containers import containers
from designer_graph import designer_graph
from designer_service import designer_service
from environments import find_built
from hosts import hosts
from installation import API, Client, Installation
from jobs import jobs
from load import LoadError, Spec
from log_queries import log_queries
from many_endpoints import many_endpoints
from model_servers import model_servers
from observed import observed
from peers import MOTO_AUTHORIZATION, PeerMissingError, moto
from pipelines import pipeline_steps
from results import Row, table, write
from rollout import rollout
from scoring import CONNECTIONS, scoring

OUTPUT = Path(__file__).parents[2] / "runs" / "bench.json"
START_ROUNDS = 3
FIND_ROUNDS = 7
LIST_ROUNDS = 20
JOBS = 10_000
MOTO = "moto server, S3 GetObject"


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
    yield from log_queries()
    yield from containers()
    with Installation() as installation:
        installation.start()
        client = Client(installation)
        yield from control_plane(installation, client)
        yield from scoring(installation, client)
        yield from model_servers(installation, client)
        yield from designer_service(installation, client)
        yield from rollout(installation, client)
        yield from observed(installation, client)
        yield from jobs(client)
    with Installation() as installation:
        installation.start()
        yield from pipeline_steps(BatchClient(installation))
        yield from designer_graph(BatchClient(installation))
        yield from batch_scoring(installation)
    yield from many_endpoints()
    yield from hosts()


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
        request=request("GET", url, "management.azure.com", {"Authorization": f"Bearer {client.token}"}),
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
                request=request("GET", "/bench/model", "127.0.0.1", {"Authorization": MOTO_AUTHORIZATION}),
                server_pid=peer.pid,
            )
            for connections in (1, CONNECTIONS):
                yield from compare(
                    "control plane, GET a model", {OURS: ours, MOTO: theirs}, connections, goals={MOTO: "ratio >= 3"}
                )
    except PeerMissingError as missing:
        print(f"SKIPPED: {missing}", file=sys.stderr)


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


if __name__ == "__main__":
    sys.exit(main())
