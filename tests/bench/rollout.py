"""New versions of a deployment while clients score: no request may fail, and how much slower they get."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from statistics import median

from endpoints import serve, through_endpoint
from installation import Client, Installation
from load import load, measure
from results import Row

VERSIONS = 3
CONNECTIONS = 8


def rollout(installation: Installation, client: Client) -> Iterator[Row]:
    """Replace a deployment's version several times under constant load, then scale it out and in."""
    name = "bench-rollout"
    first = client.scripted("pause.py", PAUSE="0.005", VERSION="0")
    endpoint = serve(installation, client, name, first)
    spec = replace(through_endpoint(installation, endpoint), connections=CONNECTIONS)
    quiet = measure(spec)
    seconds = []
    with load(spec) as end:
        for version in range(1, VERSIONS + 1):
            began = time.perf_counter()
            client.deploy(name, "only", client.scripted("pause.py", PAUSE="0.005", VERSION=str(version)))
            seconds.append(time.perf_counter() - began)
        for instances in (3, 1):
            client.deploy(name, "only", client.scripted("pause.py", PAUSE="0.005", VERSION=str(VERSIONS)), instances)
        busy = end()
    label = f"{VERSIONS} rolling updates, scale-out to 3 and in to 1, {CONNECTIONS} connections"
    yield Row(f"{label}: requests failed", busy.failed, f"of {sum(busy.statuses.values()):,}", goal="value <= 0")
    yield Row(f"{label}: p99 latency", busy.p99_ms, "ms", "without updates", quiet.p99_ms, busy.p99_ms / quiet.p99_ms)
    yield Row("a rolling update under load", median(seconds), "s")
    client.delete_deployment(name, "only")
