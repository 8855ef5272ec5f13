"""Ours and its peers under the same load, in turns, and what of that becomes rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median

from load import Result, Spec, measure
from results import Row

OURS = "azureml-local"
LOAD_ROUNDS = 5


def compare(
    name: str, specs: Mapping[str, Spec], connections: int, goals: Mapping[str, str], most_added_ms: float | None = None
) -> Iterator[Row]:
    """Measure each server in turn, again and again, and yield ours by each peer: throughput, latency, CPU where known.

    Args:
        name: what is measured.
        specs: how each is asked; ours is ``OURS``.
        connections: how many.
        goals: what is wanted of the throughput, by peer.
        most_added_ms: what is wanted of the p99 latency: how much more than the only peer's ours may be.
    """
    name += f", {connections} connection{'s' if connections > 1 else ''}"
    results: dict[str, list[Result]] = {who: [] for who in specs}
    for _ in range(LOAD_ROUNDS):
        for who, spec in specs.items():
            results[who].append(measure(replace(spec, connections=connections)))
    ours = results.pop(OURS)
    for peer, theirs in results.items():
        yield _by_peer(name, "requests/s", peer, ours, theirs, lambda result: result.rate, goals.get(peer))
        yield _by_peer(f"{name}: median latency", "ms", peer, ours, theirs, lambda result: result.p50_ms)
        yield _by_peer(f"{name}: p99 latency", "ms", peer, ours, theirs, lambda result: result.p99_ms)
        if specs[peer].server_pid:
            label = f"{name}: server's CPU"
            yield _by_peer(label, "ms/request", peer, ours, theirs, lambda result: result.server_cpu_ms)
            label = f"{name}: load generator's CPU"
            yield _by_peer(label, "ms/request", peer, ours, theirs, lambda result: result.client_cpu_ms)
    if most_added_ms is not None:
        (theirs,) = results.values()
        added = median(our.p99_ms - their.p99_ms for our, their in zip(ours, theirs, strict=True))
        yield Row(f"{name}: p99 latency added", added, "ms", goal=f"value <= {most_added_ms:g}")


def _by_peer(
    name: str,
    unit: str,
    peer: str,
    ours: Sequence[Result],
    theirs: Sequence[Result],
    figure: Callable[[Result], float],
    goal: str | None = None,
) -> Row:
    mine, others = [figure(result) for result in ours], [figure(result) for result in theirs]
    ratio = median(own / other for own, other in zip(mine, others, strict=True))
    return Row(name, median(mine), unit, peer, median(others), ratio, goal)


def request(method: str, target: str, host: str, headers: Mapping[str, str], body: str = "") -> str:
    """Return a request as it is sent."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "User-Agent: bench", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", body])
