"""A score: how long until the first one, what the way to the model costs, and what other servers take."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from statistics import median

from comparing import OURS, compare
from endpoints import BODY, Endpoint, around_endpoint, serve, through_endpoint
from installation import MOST_CONNECTIONS, Client, Installation
from load import Spec
from peers import PeerMissingError, bare_start, haproxy
from results import Row

HAPROXY, BARE = "HAProxy", "bare inference server"
DEPLOY_ROUNDS = 3
CONNECTIONS = 8
PAUSE = 0.005  # seconds that the slower of the two models takes
MOST_ADDED_MS = 3


def scoring(installation: Installation, client: Client) -> Iterator[Row]:
    """Deploy both models; score through their endpoints, around them, and through HAProxy."""
    trivial, row = _deployed(installation, client)
    yield row
    slower = serve(installation, client, "bench-slower", client.scripted("pause.py", PAUSE=str(PAUSE)))
    for connections in (CONNECTIONS, MOST_CONNECTIONS):
        name = f"scoring, model of {PAUSE * 1000:g} ms"
        specs = {OURS: through_endpoint(installation, slower), BARE: around_endpoint(slower)}
        yield from compare(name, specs, connections, {BARE: "ratio >= 0.9"}, MOST_ADDED_MS)
    specs = {OURS: through_endpoint(installation, trivial), BARE: around_endpoint(trivial)}
    try:
        with haproxy(trivial.host, trivial.key, trivial.socket, installation.root) as peer:
            specs[HAPROXY] = Spec(
                address=peer.port,
                request=specs[OURS].request,
                server_pid=peer.pid,
                tls_name=trivial.host,
                authority=str(installation.root / "haproxy.pem"),
            )
            yield from compare("scoring, trivial model", specs, CONNECTIONS, {HAPROXY: "ratio >= 0.85"})
    except PeerMissingError as missing:
        print(f"SKIPPED: {missing}", file=sys.stderr)
        yield from compare("scoring, trivial model", specs, CONNECTIONS, {})


def _deployed(installation: Installation, client: Client) -> tuple[Endpoint, Row]:
    """Deploy the trivial model several times; return the last, and how long it takes until there is a score."""
    properties = client.scripted("pause.py", PAUSE="0")
    uri, key = client.create_endpoint("bench-trivial")["properties"]["scoringUri"], client.key("bench-trivial")
    seconds, bare_seconds = [], []
    for attempt in range(DEPLOY_ROUNDS):
        if attempt:
            client.delete_deployment("bench-trivial", f"attempt-{attempt - 1}")
        began = time.perf_counter()
        client.deploy("bench-trivial", f"attempt-{attempt}", properties)
        client.score(uri, key, BODY)
        seconds.append(time.perf_counter() - began)
        (plan,) = (installation.root / "deployments").glob("*/current/launch.json")
        bare_seconds.append(bare_start(plan))
    (socket,) = installation.instances()
    ratio = median(ours / bare for ours, bare in zip(seconds, bare_seconds, strict=True))
    name = "deployment begun to first score"
    row = Row(name, median(seconds), "s", f"{BARE} started", median(bare_seconds), ratio, "value <= 3")
    return Endpoint(uri, key, socket), row
