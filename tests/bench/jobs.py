"""Command jobs: what a job costs beside the command that it runs, and whether that runs as fast as without it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from installation import Client
from results import Row

CLUSTER = "bench"
ROUNDS = 7
TRAINING_ROUNDS = 3
HELLO = "echo hello"
# Trains a small network for about a second, and says how many seconds its process has lived.
TRAINING = """
import time, psutil, torch
torch.manual_seed(0)
data, labels = torch.randn(4096, 256), torch.randint(0, 10, (4096,))
model = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
for _ in range(20):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(data), labels).backward()
    optimizer.step()
print(time.time() - psutil.Process().create_time())
"""


def jobs(client: Client) -> Iterator[Row]:
    """Run jobs, and beside each the same command without one."""
    client.create_cluster(CLUSTER)
    cold = _took(client, HELLO)
    yield Row("hello job, submitted to Completed, from zero nodes", cold, "s", goal="value <= 3")
    warm, bare, dask = [], [], []
    with _dask() as submit:
        for _ in range(ROUNDS):
            warm.append(_took(client, HELLO))
            bare.append(_subprocess())
            dask.append(submit())
    name = "hello job, submitted to Completed, on a node that is there"
    yield Row(name, median(warm), "s", "subprocess", median(bare), goal="value <= 0.7")
    yield Row(name, median(warm), "s", "Dask submit of a subprocess", median(dask))
    ours, theirs = [], []
    for _ in range(TRAINING_ROUNDS):
        ours.append(float(client.job_log(client.run_job(CLUSTER, f"python -c '{TRAINING}'"))))
        script = subprocess.run([sys.executable, "-c", TRAINING], stdout=subprocess.PIPE, text=True, check=True)
        theirs.append(float(script.stdout))
    ratio = median(our / their for our, their in zip(ours, theirs, strict=True))
    yield Row("training in a job", median(ours), "s", "the bare script", median(theirs), ratio, "ratio <= 1.05")


def _took(client: Client, command: str) -> float:
    began = time.perf_counter()
    client.run_job(CLUSTER, command)
    return time.perf_counter() - began


def _subprocess() -> float:
    began = time.perf_counter()
    subprocess.run(["/bin/bash", "-c", HELLO], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


@contextmanager
def _dask() -> Iterator:
    """Yield a function that runs the command on a bare Dask worker, and returns the seconds that it took."""
    from distributed import Client as DaskClient
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        DaskClient(cluster) as dask,
    ):

        def submit() -> float:
            began = time.perf_counter()
            dask.submit(_subprocess, pure=False).result()
            return time.perf_counter() - began

        submit()  # so that the worker has imported what it needs
        yield submit
