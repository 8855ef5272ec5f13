"""azureml_local.engines.jobs: commands, processes, attempts that exclude each other, and logs.

Placeholders: reference-yaml-core-syntax. Variables and ranks: how-to-train-distributed-gpu. Append blobs take 50,000
blocks (https://learn.microsoft.com/rest/api/storageservices/append-block); a job's life is 21 days
(how-to-manage-quotas).
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from azureml_local.engines import log_blob, staging
from azureml_local.engines.blobs import BlobError, BlobStorage
from azureml_local.engines.compute.nodes import NodeError, OwnNode
from azureml_local.engines.compute.pool import Lease
from azureml_local.engines.jobs import data, execution, fence, runner
from azureml_local.engines.jobs.command import fill_in
from azureml_local.engines.jobs.distribution import port_count, processes, reserved_ports
from azureml_local.engines.jobs.fence import StaleAttemptError
from azureml_local.engines.jobs.runner import KEPT_ANYWAY, JobRunner
from azureml_local.engines.jobs.spec import Attempt, CommandSpec, Distribution, Output, ParallelTask, Result, Storage
from azureml_local.engines.log_blob import LogBlob
from azureml_local.engines.staging import BlobPath
from azureml_local.http.upstream import UpstreamError

SPEC = CommandSpec("/jobs/j", "j", "true", None, {}, {}, {}, {}, BlobPath("azureml", "ExperimentRun/dcid.j"))
VALUES = {"inputs.lr": "0.1", "inputs.text": "a b", "outputs.model": "/m"}


@pytest.mark.parametrize(
    ("command", "filled"),
    [
        ("train ${{inputs.lr}} ${{outputs.model}}", "train 0.1 /m"),
        ("train ${{ inputs.lr }} '${{inputs.text}}' ${{inputs.text}}", "train 0.1 'a b' a b"),
        ("train ${{inputs.none}}", "train "),
        ("train $[[--lr ${{inputs.lr}}]] $[[--n ${{inputs.none}}]]", "train --lr 0.1 "),
        ("train $[[--lr ${{inputs.lr}} --n ${{inputs.none}}]]", "train "),
        ("train $[[--flag]]", "train --flag"),
        ("echo ${HOME} $PATH ${{other.x}}", "echo ${HOME} $PATH ${{other.x}}"),
        ("a\n$[[b ${{inputs.lr}}\nc]]", "a\nb 0.1\nc"),
    ],
)
def test_placeholders(command: str, filled: str) -> None:
    assert fill_in(command, VALUES) == filled


def test_values_are_not_filled_in_again() -> None:
    assert fill_in("${{inputs.a}}", {"inputs.a": "${{inputs.b}}", "inputs.b": "no"}) == "${{inputs.b}}"


def test_pytorch_ranks() -> None:
    distribution = Distribution("PyTorch", instances=2, processes=3)
    planned = [process for node in (0, 1) for process in processes(distribution, node, (4000,))]
    assert [(p.variables["RANK"], p.variables["LOCAL_RANK"], p.variables["NODE_RANK"]) for p in planned] == [
        ("0", "0", "0"), ("1", "1", "0"), ("2", "2", "0"), ("3", "0", "1"), ("4", "1", "1"), ("5", "2", "1"),
    ]  # fmt: skip
    assert {(p.variables["WORLD_SIZE"], p.variables["MASTER_PORT"]) for p in planned} == {("6", "4000")}


@pytest.mark.parametrize(
    ("distribution", "names"),
    [
        (Distribution(), ["std_log.txt"]),
        (Distribution("PyTorch"), ["std_log_process_0.txt"]),
        (Distribution("Mpi", processes=11), [f"std_log_process_{rank:02}.txt" for rank in range(11)]),
        (
            Distribution("TensorFlow", workers=2, parameter_servers=1),
            ["std_log_node_00_ps.txt", "std_log_node_00_worker.txt", "std_log_node_00_worker_1.txt"],
        ),
    ],
)
def test_names_of_logs(distribution: Distribution, names: list[str]) -> None:
    ports = tuple(range(port_count(distribution)))
    assert [process.log for process in processes(distribution, 0, ports)] == names


def test_reserved_ports_can_be_listened_on() -> None:
    with reserved_ports(3) as ports:
        assert len(set(ports)) == 3
        for port in ports:
            with socket.create_server(("127.0.0.1", port)):
                socket.create_connection(("127.0.0.1", port)).close()


# --- attempts ---


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that says it belongs to an attempt in ``tmp_path``."""
    environment = {**os.environ, fence.MARK: str(tmp_path / "1-0" / "exe" / "wd")}
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=environment) as process:
        yield process
        process.kill()


def test_attempts_are_counted_and_only_the_latest_enters(tmp_path: Path) -> None:
    assert asyncio.run(fence.next_attempt(tmp_path)) == 1
    fence.enter(tmp_path, 1).close()
    assert asyncio.run(fence.next_attempt(tmp_path)) == 2
    with pytest.raises(StaleAttemptError):
        fence.enter(tmp_path, 1)
    fence.enter(tmp_path, 2).close()


def test_next_attempt_waits_for_the_nodes_of_the_former(tmp_path: Path) -> None:
    async def main() -> int:
        await fence.next_attempt(tmp_path)
        first, second = fence.enter(tmp_path, 1), fence.enter(tmp_path, 1)  # two nodes
        following = asyncio.ensure_future(fence.next_attempt(tmp_path))
        first.close()
        await asyncio.wait([following], timeout=0.2)
        assert not following.done()
        second.close()
        return await following

    assert asyncio.run(main()) == 2


def test_next_attempt_ends_what_outlived_its_node(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    async def main() -> None:
        await fence.next_attempt(tmp_path)
        assert sleeper.poll() is None
        await fence.next_attempt(tmp_path)

    asyncio.run(main())
    assert sleeper.wait(15) == -9


def test_only_a_jobs_own_processes_are_ended(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    for other in (tmp_path / "1", tmp_path.parent / (tmp_path.name + "x"), tmp_path / "1-0" / "exe" / "w"):
        asyncio.run(fence.end_processes(other))
    assert psutil.Process(sleeper.pid).status() != psutil.STATUS_ZOMBIE


# --- logs ---


class Blob:
    """Stands for an append blob: every so often an answer is lost, before or after the block was taken."""

    def __init__(self, *failures: str) -> None:
        self.content = b""
        self.blocks = 0
        self.failures = list(failures)

    async def create_append_blob(self, *_: str) -> None:
        self.content = b""

    async def append(self, _: str, __: str, piece: bytes, position: int) -> None:
        failure = self.failures.pop(0) if self.failures else ""
        if failure == "before":
            raise UpstreamError("nothing answers")
        if position != len(self.content):
            raise BlobError(412, "the blob ends elsewhere")
        self.content += piece
        self.blocks += 1
        if failure == "after":
            raise UpstreamError("broke off")
        if failure == "full":
            raise BlobError(500, "no room")


def written(blob: Blob, *pieces: bytes) -> None:
    async def main() -> None:
        opened = LogBlob(cast(BlobStorage, blob), "c", "log")
        for piece in pieces:
            opened.write(piece)
            await asyncio.sleep(0)
        await opened.close()

    asyncio.run(main())


def test_nothing_is_lost_or_twice_when_storage_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "LOOK_AGAIN_AFTER", 0.0)
    blob = Blob("", "before", "after", "", "after", "before")
    pieces = [b"%d," % number for number in range(50)]
    written(blob, *pieces)
    assert blob.content == b"".join(pieces)


def test_refusal_is_told_at_the_end() -> None:
    with pytest.raises(BlobError, match="no room"):
        written(Blob("full"), b"a", b"b", b"c")


def test_large_text_goes_in_blocks_that_storage_takes() -> None:
    blob = Blob()
    written(blob, b"x" * (2 * log_blob.LARGEST_BLOCK + 1))
    assert (len(blob.content), blob.blocks) == (2 * log_blob.LARGEST_BLOCK + 1, 3)


def test_pace_lasts_as_long_as_a_job_may() -> None:
    seconds, before = 0.0, 0
    for most, pause in log_blob.PACE:
        seconds += (most - before) * pause
        before = most
    assert before == 50_000
    assert seconds > 21 * 24 * 3600


def test_blocks_are_few_when_they_must_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes between two of them goes with the next, and the end does not wait for its time."""
    monkeypatch.setattr(log_blob, "PACE", ((2, 0.0), (100, 600.0)))
    blob = Blob()
    pieces = [b"%d," % number for number in range(100)]
    written(blob, *pieces)
    assert blob.content == b"".join(pieces)
    assert blob.blocks <= 5


def test_job_whose_nodes_end_each_time_fails_and_those_that_were_taken_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that ends its own node would otherwise begin again for ever."""
    ends = [NodeError("Node a was preempted.", taken=True)] * 4
    ends += [NodeError(f"Node {name} ended.") for name in ("b", "c", "d", "e")]
    statuses: list[str] = []
    released: list[str] = []

    class Pool:
        is_elsewhere = False

        async def acquire(self, job: str, _: int) -> Lease:
            return Lease(job, [])

        def release(self, lease: Lease) -> None:
            released.append(lease.job)

    async def attempt(*_: object) -> None:
        raise ends.pop(0)

    async def prepare(*_: object) -> None:
        return

    jobs = JobRunner.__new__(JobRunner)
    monkeypatch.setattr(jobs, "_attempt", attempt, raising=False)
    monkeypatch.setattr(jobs, "_environments", None, raising=False)
    monkeypatch.setattr(jobs, "_blobs", None, raising=False)
    monkeypatch.setattr(runner, "interpreter_for", prepare)
    outcome = asyncio.run(jobs._run(SPEC, cast(Any, Pool()), statuses.append, tmp_path / "job", lambda _: None))
    assert outcome.error is not None
    code, message, status = outcome.error
    assert (code, status) == ("ServiceError", "Failed")
    assert "Node d ended." in message
    assert [str(error) for error in ends] == ["Node e ended."]
    assert statuses == ["Preparing", *["Queued"] * 7]
    assert len(released) == 7


class Process:
    """Stands for a node's process."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def stop(self) -> None:
        self.ended.set_result(0)


@pytest.mark.parametrize(("is_stopped", "preempted"), [(False, False), (True, False), (True, True)])
def test_node_that_the_service_ends_was_taken_and_one_that_dies_was_not(is_stopped: bool, preempted: bool) -> None:
    """As where its compute is stopped, deleted or has fewer nodes from now on."""

    async def cancel(*_: object, **__: object) -> None:
        return

    async def main() -> NodeError:
        future = SimpleNamespace(result=asyncio.Event().wait)
        client = cast(Any, SimpleNamespace(submit=lambda *_, **__: future, cancel=cancel))
        process = Process()
        node = OwnNode("n", "tls://127.0.0.1:1", client, cast(Any, process))
        node.preempted = preempted
        working = asyncio.ensure_future(node.run(cancel))
        await asyncio.sleep(0)
        await (node.stop() if is_stopped else process.stop())
        with pytest.raises(NodeError) as caught:
            await working
        return caught.value

    assert asyncio.run(main()).taken == is_stopped


def test_job_that_is_cancelled_as_it_ends_leaves_nothing_on_its_nodes() -> None:
    finished: list[str] = []

    class Part:
        kept_anyway = ()

        def __init__(self, name: str) -> None:
            self.name = name
            self.task = asyncio.ensure_future(self.work())
            self.may_end = asyncio.Event()
            self.is_ending = asyncio.Event()

        async def work(self) -> Result:
            return Result(None, 1.0)

        async def stop(self) -> Result:
            self.is_ending.set()
            await self.may_end.wait()
            return await self.task

        async def finish(self, modes: object) -> None:
            assert modes == ()
            finished.append(self.name)

    async def main() -> None:
        parts = [Part("a"), Part("b")]
        attempt = runner._Attempt(1, lambda _: None, lambda _: None)
        ending = asyncio.ensure_future(runner._on_nodes(cast(Any, parts), attempt, None))
        await parts[0].is_ending.wait()
        ending.cancel()
        for part in parts:
            part.may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await ending

    asyncio.run(main())
    assert sorted(finished) == ["a", "b"]


UNNAMEABLE = os.fsdecode(b"caf\xe9")  # no UTF-8, so that no blob can have the name


def test_part_says_which_file_it_cannot_keep(tmp_path: Path) -> None:
    asyncio.run(fence.next_attempt(tmp_path))
    storage = Storage("account", "a2V5", 1)
    part = execution.Part(Attempt(SPEC, 1, 0, str(tmp_path), sys.executable, (), {}, storage))
    part._say = lambda *_: None  # type: ignore[method-assign]
    part._work.joinpath("outputs").mkdir(parents=True)
    part._work.joinpath("outputs", UNNAMEABLE).touch()
    error = asyncio.run(part.finish(()))
    assert error is not None
    assert "could not be brought into storage" in error
    assert "caf\\udce9" in error


def test_outputs_are_delivered_although_a_log_cannot_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    delivered: list[object] = []

    async def deliver(*given: object) -> None:
        delivered.append(given[-1])

    monkeypatch.setattr(execution.data, "deliver", deliver)
    asyncio.run(fence.next_attempt(tmp_path))
    part = execution.Part(Attempt(SPEC, 1, 0, str(tmp_path), sys.executable, (), {}, Storage("account", "a2V5", 1)))
    part._say = lambda *_: None  # type: ignore[method-assign]
    part._work.joinpath("logs").mkdir(parents=True)
    part._work.joinpath("logs", UNNAMEABLE).touch()
    error = asyncio.run(part.finish(KEPT_ANYWAY))
    assert error is not None
    assert delivered == [KEPT_ANYWAY]


def test_what_ends_processes_is_not_broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another node fails as this one, which has done its part, ends its workers."""
    ending, may_end, ended = asyncio.Event(), asyncio.Event(), []

    class Workers:
        def __init__(self, *_: object) -> None: ...

        def start(self) -> None: ...

        async def run(self, _: object) -> str | None:
            return "too many have failed"

        async def end_processes(self) -> None:
            ending.set()
            await may_end.wait()
            ended.append(True)

    async def staged(_: object) -> dict[str, str]:
        return {}

    async def main() -> Result:
        await fence.next_attempt(tmp_path)
        spec = replace(SPEC, parallel=ParallelTask("score.py", "", "data"))
        attempt = Attempt(spec, 1, 0, str(tmp_path), sys.executable, (), {}, Storage("account", "a2V5", 1))
        part = execution.Part(attempt)
        running = asyncio.ensure_future(part.run())
        await ending.wait()
        stopping = asyncio.ensure_future(part.stop())
        await asyncio.sleep(0)
        may_end.set()
        await stopping
        return await running

    monkeypatch.setattr(execution, "Supervisor", Workers)
    monkeypatch.setattr(execution.Part, "_stage", staged)
    monkeypatch.setattr(execution.Part, "_say", lambda *_: None)
    monkeypatch.setattr(execution.Part, "_report", lambda *_: None)
    result = asyncio.run(main())
    assert ended == [True]
    assert result.error == "too many have failed"


def test_job_is_cancelled_although_a_file_cannot_be_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    jobs = JobRunner.__new__(JobRunner)
    jobs._folder, jobs._blobs = tmp_path, cast(BlobStorage, None)
    place = data.output_place(tmp_path / SPEC.key, "model")
    place.mkdir(parents=True)
    (place / UNNAMEABLE).touch()
    asyncio.run(jobs._deliver(SPEC.id, {"model": Output(BlobPath("azureml", "m"))}))
    assert "caf\\udce9" in caplog.text
