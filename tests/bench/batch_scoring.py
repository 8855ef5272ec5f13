"""Batch scoring: as fast as a loop over processes, what a mini-batch and the first one cost, and whether it grows.

Ours is an invocation of a batch endpoint: two nodes with a worker each. It counts from its first mini-batch until the
job has completed, its predictions in storage; the peers count from when their processes have loaded the model until the
predictions are in a file. What comes before is shown by itself.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from batch_client import BatchClient
from batch_data import Work, images, rows
from batch_peers import dask_bag, loop, mini_batches
from installation import SCRIPTS, Installation
from memory import Memory
from results import Row

CLUSTER = "bench-batch"
NODES = 2
ROUNDS = 3
LONG_ROUNDS = 1  # of what takes a minute, in which the machine's changes even out
OURS_BY_PEER = "ratio >= 0.9"  # of the throughput
FEW, MANY = 10, 1_000  # mini-batches
GROWTH = (10_000, 100_000, 1_000_000)  # rows


def batch_scoring(installation: Installation) -> Iterator[Row]:
    """Measure everything."""
    client = BatchClient(installation)
    client.create_cluster(CLUSTER, NODES)
    for work in (rows(100_000, rows_a_file=100), images(10_000, mini_batch_size=10)):
        yield from against_peers(client, work)
    yield from overhead(client)
    yield from growth(installation, client)


class Scoring:
    """An endpoint that does a piece of work, and its files in storage and on the disk."""

    def __init__(self, client: BatchClient, work: Work, folder: Path, name: str, nodes: int = NODES) -> None:
        self._client = client
        self._endpoint = f"bench-{name}"
        self._notes = folder / "notes"
        self.files, self.model = folder / "files", folder / "model"
        for path, content in {self.model / "model.pkl": work.model, **_placed(self.files, work.files)}.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        self._notes.mkdir()
        self._folder = client.upload(work.files)
        model = client.register_model(f"bench-{name}", {"model.pkl": work.model}, "custom_model")
        settings = {
            "miniBatchSize": work.mini_batch_size,
            "maxConcurrencyPerInstance": 1,
            "resources": {"instanceCount": nodes},
        }
        client.serve_batch(self._endpoint, CLUSTER, work.script, model, settings, str(self._notes))

    def run(self) -> Run:
        """Do the work once."""
        for file in self._notes.iterdir():
            file.unlink()
        invoked = time.time()
        job = self._client.invoke(self._endpoint, self._folder)
        self._client.job_completed(job)
        completed = time.time()
        begun = sorted(float(line) for file in self._notes.iterdir() for line in file.read_text().splitlines())
        return Run(job, invoked, begun, completed)


class Run:
    """When it happened: the invocation, each mini-batch's beginning, and the end; seconds since 1970."""

    def __init__(self, job: str, invoked: float, begun: list[float], completed: float) -> None:
        self.job = job
        self.total = completed - invoked
        self.seconds = completed - begun[0]
        self.until_first = begun[0] - invoked
        self.after_last = completed - begun[-1]
        self.between = (begun[-1] - begun[0]) / (len(begun) - 1)


def against_peers(client: BatchClient, work: Work) -> Iterator[Row]:
    """Do the same work with ours and with each peer, in turns."""
    name = f"batch scoring, {work.name}, {NODES} processes"
    peers = {"multiprocessing": loop, "Dask bag": dask_bag}
    theirs: dict[str, list[float]] = {peer: [] for peer in peers}
    with _folder() as folder:
        scoring = Scoring(client, work, folder, work.script.removesuffix(".py").replace("_", "-"))
        scoring.run()  # nodes, and their copies of the files
        ours = []
        for _ in range(LONG_ROUNDS):
            ours.append(scoring.run())
            for peer, score in peers.items():
                batches = mini_batches(scoring.files, work.mini_batch_size)
                output = folder / "predictions.csv"
                theirs[peer].append(score(SCRIPTS / work.script, scoring.model, batches, output, NODES))
                _check(client.predictions(ours[-1].job), output.read_bytes())
    seconds = [run.seconds for run in ours]
    for peer, took in theirs.items():
        ratio = median(their / our for our, their in zip(seconds, took, strict=True))
        yield Row(name, median(seconds), "s", peer, median(took), ratio, OURS_BY_PEER)
    yield Row(f"{name}: invoked until the first mini-batch", median(run.until_first for run in ours), "s")
    yield Row(f"{name}: after the last mini-batch's beginning", median(run.after_last for run in ours), "s")


def overhead(client: BatchClient) -> Iterator[Row]:
    """Score with a script that does nothing: what is left is ours."""
    for count in (FEW, MANY):
        files = {f"{number:04}.txt": b"" for number in range(count)}
        with _folder() as folder:
            work = Work("nothing", "score_nothing.py", b"", files, mini_batch_size=1)
            scoring = Scoring(client, work, folder, f"nothing-{count}", nodes=1)
            scoring.run()
            runs = [scoring.run() for _ in range(ROUNDS)]
        goal = "value <= 1.5" if count == FEW else None
        first = median(run.until_first for run in runs)
        yield Row(f"invoked until the first of {count:,} mini-batches, on a node that is there", first, "s", goal=goal)
    yield Row("a mini-batch, one worker", median(run.between for run in runs) * 1000, "ms", goal="value <= 15")


def growth(installation: Installation, client: BatchClient) -> Iterator[Row]:
    """Score more and more rows: how long it takes, and what memory."""
    seconds, memory = {}, {}
    for count in GROWTH:
        with _folder() as folder, Memory(installation.pid) as used:
            scoring = Scoring(client, rows(count, rows_a_file=1_000, trees=10), folder, f"rows-{count}")
            scoring.run()
            used.peaks.clear()
            run = scoring.run()
            seconds[count], memory[count] = run.seconds, dict(used.peaks)
            assert client.predictions(run.job).count(b"\n") == count
        yield Row(f"{count:,} rows scored", seconds[count], "s")
    _, fewer, most = GROWTH
    by_rows = seconds[most] / seconds[fewer] / (most / fewer)
    yield Row(f"a row's time of {most:,} by that of {fewer:,}", by_rows, "", goal="value <= 1.1")
    for process, peak in memory[most].items():
        name = f"memory of {process}, {most:,} rows"
        yield Row(name, peak, "MiB", f"{fewer:,} rows", memory[fewer][process], peak / memory[fewer][process])


def _check(ours: bytes, theirs: bytes) -> None:
    """Compare results, which may be in any order."""
    if sorted(ours.splitlines()) != sorted(theirs.splitlines()):
        raise RuntimeError("ours and the peer's predictions differ")


def _placed(folder: Path, files: Mapping[str, bytes]) -> dict[Path, bytes]:
    return {folder / name: content for name, content in files.items()}


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="azl-", dir="/tmp") as name:
        yield Path(name)
