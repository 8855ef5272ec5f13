"""The same script over the same files without Azure ML: a loop over a pool of processes, and Dask's bag.

Both load the model before the clock starts, and it stops when every row is in one CSV file on the disk.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import ModuleType

import pandas as pd

STARTS_WITHIN = 120  # seconds, for all processes to have loaded the model
# One thread a process, as in ours: the processes share the machine's cores.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
MiniBatch = Sequence[str]

SCRIPT: ModuleType


def mini_batches(folder: Path, size: int) -> list[MiniBatch]:
    """Return the files of a folder, in the order of their names, ``size`` at a time."""
    files = sorted(map(str, folder.iterdir()))
    return [files[first : first + size] for first in range(0, len(files), size)]


def loop(script: Path, model: Path, batches: Sequence[MiniBatch], output: Path, processes: int) -> float:
    """Score with a pool of processes of the standard library, and return how many seconds it took."""
    context = multiprocessing.get_context("spawn")  # as in ours: nothing is inherited
    loaded = context.Barrier(processes + 1)
    with _environment(model), context.Pool(processes, _load_and_wait, (script, loaded)) as pool:
        loaded.wait(STARTS_WITHIN)
        began = time.perf_counter()
        _write(pool.imap(_score, batches), output)
        return time.perf_counter() - began


def dask_bag(script: Path, model: Path, batches: Sequence[MiniBatch], output: Path, processes: int) -> float:
    """Score with a bag of Dask on a cluster of processes, and return how many seconds it took."""
    from dask import bag
    from distributed import Client, LocalCluster

    with (
        _environment(model),
        LocalCluster(processes, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(processes)
        client.run(_load, script)
        began = time.perf_counter()
        _write(bag.from_sequence(batches).map(_score).compute(), output)
        return time.perf_counter() - began


def _load(script: Path) -> None:
    global SCRIPT
    sys.path.insert(0, str(script.parent))
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec and spec.loader
    SCRIPT = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(SCRIPT)
    SCRIPT.init()


def _load_and_wait(script: Path, loaded: Barrier) -> None:
    _load(script)
    loaded.wait(STARTS_WITHIN)


def _score(mini_batch: MiniBatch) -> pd.DataFrame:
    return SCRIPT.run(mini_batch)


def _write(results: Iterable[pd.DataFrame], output: Path) -> None:
    with output.open("w") as file:
        for rows in results:
            rows.to_csv(file, sep=" ", header=False, index=False)


@contextmanager
def _environment(model: Path) -> Iterator[None]:
    """Set what the script and its processes find in their environment."""
    variables = {**ONE_THREAD, "AZUREML_MODEL_DIR": str(model)}
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
