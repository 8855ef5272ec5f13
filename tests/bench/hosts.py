"""Batch scoring on one host and on two: what a second one saves where each has a core of its own.

A machine whose cores are virtual runs one that is busy alone faster than two: so the same work is done by one process
and by two, too, without Azure ML. What of the hosts' ratio is not theirs is what a second host costs.

The hosts are those of tests/heavy: network namespaces, for which it takes root. They share this machine's disk and
processors, so each worker, and all that it starts, is held to one core; service and storage share the same cores, as
they would not on machines of their own.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import pytest
from batch_client import BatchClient
from batch_data import rows
from batch_peers import loop, mini_batches
from batch_scoring import CLUSTER, Run, Scoring
from dask_hosts import operator
from installation import SCRIPTS, Installation
from network_hosts import network
from results import Row

from running_service import wait_for

HOSTS = 2
ROUNDS = 2
# About a minute's work for one host: what a second one cannot halve takes some seconds, however long the work.
ROWS, ROWS_A_FILE, TREES = 500_000, 10_000, 2_000
NAME = f"batch scoring, {ROWS:,} rows, a core a host"


def hosts() -> Iterator[Row]:
    """Score on one host and on two, in turns."""
    try:
        yield from _measured()
    except pytest.skip.Exception as reason:
        print(f"SKIPPED: batch scoring on two hosts: {reason}", file=sys.stderr)


def _measured() -> Iterator[Row]:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < HOSTS:
        pytest.skip(f"{HOSTS} hosts with a core each need {HOSTS} cores")
    with (
        tempfile.TemporaryDirectory(prefix="azl-", dir="/tmp") as name,
        network(HOSTS) as net,
        Installation() as installation,
        operator(net, CLUSTER, Path(name)) as site,
    ):
        installation.start("--listen", net.address)
        for core, host in zip(cores, net.hosts, strict=False):
            site.start_worker(host, "taskset", "--cpu-list", str(core))
        wait_for(lambda: site.attach(installation.root), "the scheduler is attached")
        client = BatchClient(installation)
        client.create_cluster(CLUSTER, HOSTS)
        work = rows(ROWS, ROWS_A_FILE, TREES)
        scorings = []
        for count in range(1, HOSTS + 1):
            folder = Path(name, str(count))
            folder.mkdir()
            scorings.append(Scoring(client, work, folder, f"hosts-{count}", nodes=count))
        for scoring in scorings:
            scoring.run()  # environments, and the nodes themselves
        batches = mini_batches(scorings[0].files, work.mini_batch_size)
        output = Path(name, "predictions.csv")
        runs: list[list[Run]] = []
        alone: list[list[float]] = []
        for _ in range(ROUNDS):
            runs.append([scoring.run() for scoring in scorings])
            counts = range(1, HOSTS + 1)
            alone.append([loop(SCRIPTS / work.script, scorings[0].model, batches, output, count) for count in counts])
    one, two = zip(*runs, strict=True)
    yield _by_one(f"{NAME}, {HOSTS} hosts", [run.total for run in two], [run.total for run in one], "ratio <= 0.6")
    one_process, two_processes = zip(*alone, strict=True)
    yield _by_one(f"{NAME}: {HOSTS} processes without Azure ML", two_processes, one_process)
    for what, figure in (
        ("from the first mini-batch on", lambda run: run.seconds),
        ("invoked until the first mini-batch", lambda run: run.until_first),
        ("after the last mini-batch's beginning", lambda run: run.after_last),
    ):
        yield _by_one(f"{NAME}: {what}, {HOSTS} hosts", [figure(run) for run in two], [figure(run) for run in one])


def _by_one(name: str, two: Sequence[float], one: Sequence[float], goal: str | None = None) -> Row:
    ratio = median(ours / theirs for ours, theirs in zip(two, one, strict=True))
    return Row(name, median(two), "s", "one", median(one), ratio, goal)
