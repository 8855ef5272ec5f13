"""What it costs a request to be written down: in the traffic log, and with its payload among the collected data."""

from __future__ import annotations

from collections.abc import Iterator

from comparing import OURS, compare
from endpoints import serve, through_endpoint
from installation import Client, Installation
from results import Row

CONNECTIONS = 8
UNOBSERVED = "nothing written down"
ALL = {"dataCollectionMode": "Enabled", "samplingRate": 1.0}


def observed(installation: Installation, client: Client) -> Iterator[Row]:
    """Score with the trivial model at endpoints that differ in what is written down."""
    trivial = client.scripted("pause.py", PAUSE="0")
    collecting = {**trivial, "dataCollector": {"collections": {"request": ALL, "response": ALL}}}
    plain = serve(installation, client, "bench-unobserved", trivial)
    logged = serve(installation, client, "bench-logged", trivial)
    client.log_traffic("bench-logged")
    collected = serve(installation, client, "bench-collected", collecting)
    for what, endpoint in {"traffic logged": logged, "payloads collected": collected}.items():
        specs = {who: through_endpoint(installation, one) for who, one in ((OURS, endpoint), (UNOBSERVED, plain))}
        yield from compare(f"scoring, trivial model, {what}", specs, CONNECTIONS, {})
