"""azureml_local.engines.replicas: who gets a request, and what becomes of requests when instances come and go.

Limits: https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#http-status-codes, "2 *
max_concurrent_requests_per_instance * instance_count requests to process in parallel". Instances here are stand-ins
that answer when they are told to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from azureml_local.engines import replicas as module
from azureml_local.engines.guard import OUT_OF_MEMORY
from azureml_local.engines.inference_server import InstanceError, LaunchPlan
from azureml_local.engines.probes import UNREACHABLE
from azureml_local.engines.replicas import NotReadyError, ReplicaSet, TooManyRequestsError
from azureml_local.http.upstream import UnreachableError, UpstreamError

LIMIT = 10  # seconds that a test may take
PLAN = LaunchPlan("python", "/app", "/app/score.py", None, {}, 1, 1, 60.0, "/nowhere/log")


class FakeInstance:
    """Stands for an instance, its process and its connection."""

    made: list[FakeInstance]
    fail_to_start: Exception | None

    def __init__(self, plan: LaunchPlan, path: Path, *_: object) -> None:
        self.plan, self.name = plan, path.stem
        self.in_flight = 0
        self.upstream = self.process = self
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.asked: list[asyncio.Future[int]] = []
        self.served = 0
        self.is_reachable = True
        self.is_healthy = asyncio.Event()
        self.is_healthy.set()
        self.hangs: asyncio.Event = asyncio.Event()
        self.verdicts: asyncio.Queue[bool] = asyncio.Queue()
        self.is_stopped = False
        FakeInstance.made.append(self)

    async def start(self) -> None:
        await asyncio.sleep(0)
        if FakeInstance.fail_to_start:
            self.is_stopped = True
            raise FakeInstance.fail_to_start

    async def stop(self) -> int:
        self.is_stopped = True
        self.end(0)
        return self.ended.result()

    def end(self, status: int = 137) -> None:
        """Let the process end, and with it its connections."""
        self.is_reachable = False
        if not self.ended.done():
            self.ended.set_result(status)
        for answer in self.asked:
            if not answer.done():
                answer.set_exception(UpstreamError("the engine closed the connection"))

    async def exchange(
        self, *_: object, seconds: float, largest: int, ended: Callable[[], None]
    ) -> tuple[int, list[Any], bytes]:
        if not self.is_reachable:
            ended()
            raise UnreachableError("nothing answers")
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.asked.append(answer)
        self.served += 1
        try:
            async with asyncio.timeout(seconds):
                status = await asyncio.shield(answer)
        except (TimeoutError, asyncio.CancelledError):
            answer.add_done_callback(lambda _: ended())
            raise
        except UpstreamError:
            ended()
            raise
        ended()
        return status, [], self.name.encode()

    def answer(self) -> None:
        """Answer the request that has waited longest."""
        self.asked.pop(0).set_result(200)

    async def ask(self) -> str | None:
        if self.is_reachable:
            await self.is_healthy.wait()
        return None if self.is_reachable else UNREACHABLE

    async def failed_liveness(self) -> None:
        await self.hangs.wait()

    async def readiness(self) -> AsyncIterator[bool]:
        while True:
            yield await self.verdicts.get()


@pytest.fixture(autouse=True)
def instances(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeInstance.made, FakeInstance.fail_to_start = [], None
    monkeypatch.setattr(module, "Instance", FakeInstance)


def run(scenario: Callable[[ReplicaSet], Awaitable[None]], told: list[str] | None = None, **settings: Any) -> None:
    """Run a scenario on running instances of a plan with ``settings``, and end them."""

    async def main() -> None:
        async with asyncio.timeout(LIMIT):
            events = [] if told is None else told
            replicas = ReplicaSet(replace(PLAN, **settings), Path("/sockets"), {}, lambda name, _: events.append(name))
            await replicas.start()
            await scenario(replicas)
            await replicas.stop()
            await settled()
            assert all(one.is_stopped for one in FakeInstance.made)
            assert replicas._in_flight == 0
            assert not replicas._waiting

    asyncio.run(main())


async def settled() -> None:
    """Let every task go on as far as it can."""
    for _ in range(50):
        await asyncio.sleep(0)


Asked = asyncio.Task[tuple[int, Any, bytes]]


async def ask(replicas: ReplicaSet, count: int = 1) -> list[Asked]:
    """Send requests, one after another."""
    sent = []
    for _ in range(count):
        sent.append(asyncio.ensure_future(replicas.exchange("POST", "/score", [], b"", 100)))
        await settled()
    return sent


def outcomes(sent: list[Asked]) -> list[object]:
    """Say of each request how it ended; None of one that has not."""
    return [None if not one.done() else type(one.exception()) if one.exception() else one.result()[0] for one in sent]


def busy() -> list[int]:
    return [len(one.asked) for one in FakeInstance.made]


def test_one_runs_one_waits_and_more_are_refused() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        sent = await ask(replicas, 4)
        assert busy() == [1]
        assert outcomes(sent) == [None, None, TooManyRequestsError, TooManyRequestsError]
        FakeInstance.made[0].answer()
        await settled()
        assert busy() == [1]
        FakeInstance.made[0].answer()
        await settled()
        assert outcomes(sent) == [200, 200, TooManyRequestsError, TooManyRequestsError]

    run(scenario)


def test_limit_grows_with_instances_and_concurrency() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        sent = await ask(replicas, 14)
        assert busy() == [3, 3]
        assert outcomes(sent).count(TooManyRequestsError) == 2
        for one in FakeInstance.made:
            one.end()

    run(scenario, instance_count=2, max_concurrent=3)


def test_idle_instances_take_turns() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        for _ in range(30):
            await ask(replicas)
            next(one for one in FakeInstance.made if one.asked).answer()
            await settled()
        assert [one.served for one in FakeInstance.made] == [10, 10, 10]

    run(scenario, instance_count=3)


def test_who_waits_gets_the_first_that_is_free() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        sent = await ask(replicas, 3)
        FakeInstance.made[1].answer()
        await settled()
        assert busy() == [1, 1]
        for one in FakeInstance.made:
            one.answer()
        await settled()
        assert outcomes(sent) == [200] * 3

    run(scenario, instance_count=2)


def test_overdue_request_keeps_its_place_until_it_is_answered() -> None:
    """The model goes on with it; nothing else is handed to that instance, and what waits is never sent."""

    async def scenario(replicas: ReplicaSet) -> None:
        overdue = await ask(replicas, 2)
        await asyncio.wait(overdue)
        assert outcomes(overdue) == [TimeoutError, TimeoutError]
        assert FakeInstance.made[0].served == 1
        replicas.apply(replace(replicas.plan, request_timeout=60.0))
        next_ones = await ask(replicas, 2)
        assert outcomes(next_ones) == [None, TooManyRequestsError]
        assert FakeInstance.made[0].served == 1
        FakeInstance.made[0].answer()
        await settled()
        assert FakeInstance.made[0].served == 2
        FakeInstance.made[0].answer()
        await settled()
        assert outcomes(next_ones) == [200, TooManyRequestsError]

    run(scenario, request_timeout=0.05)


def test_client_that_is_gone_keeps_its_place_as_long() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        running, waiting = await ask(replicas, 2)
        waiting.cancel()
        running.cancel()
        await settled()
        sent = await ask(replicas, 2)
        assert outcomes(sent) == [None, TooManyRequestsError]
        FakeInstance.made[0].answer()
        await settled()
        FakeInstance.made[0].answer()
        await settled()
        assert outcomes(sent) == [200, TooManyRequestsError]

    run(scenario)


def test_place_that_came_as_its_client_left_goes_to_the_next() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        _, gone = await ask(replicas, 2)
        FakeInstance.made[0].asked.pop().set_result(200)
        for _ in range(20):
            if replicas._waiting:
                await asyncio.sleep(0)
        assert not gone.done()
        gone.cancel()
        await settled()
        assert outcomes(await ask(replicas, 3)) == [None, None, TooManyRequestsError]
        FakeInstance.made[0].end()

    run(scenario)


def test_request_that_could_not_be_sent_goes_to_another() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        FakeInstance.made[0].is_reachable = False
        sent = await ask(replicas, 2)
        assert busy() == [0, 1]
        for _ in range(2):
            FakeInstance.made[1].answer()
            await settled()
        assert outcomes(sent) == [200, 200]

    run(scenario, instance_count=2)


def test_instance_that_ends_fails_what_it_has_and_nothing_else() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        sent = await ask(replicas, 4)
        assert busy() == [1, 1]
        FakeInstance.made[0].end()
        await settled()
        assert outcomes(sent).count(UpstreamError) == 1
        assert len(FakeInstance.made) == 3
        for _ in range(2):
            for one in FakeInstance.made[1:]:
                if one.asked:
                    one.answer()
                    await settled()
        assert sorted(map(str, outcomes(sent)))[:3] == ["200"] * 3

    run(scenario, instance_count=2)


def test_what_waits_survives_the_only_instance() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        sent = await ask(replicas, 2)
        FakeInstance.made[0].end()
        await settled()
        assert outcomes(sent) == [UpstreamError, None]
        FakeInstance.made[1].answer()
        await settled()
        assert outcomes(sent) == [UpstreamError, 200]

    run(scenario)


def test_instance_that_broke_off_gets_nothing_until_it_answers_its_probe() -> None:
    """A worker that is started anew runs ``init()`` first, and the server lets requests wait for that."""

    async def scenario(replicas: ReplicaSet) -> None:
        sent = await ask(replicas)
        first, second = sorted(FakeInstance.made, key=lambda one: not one.asked)
        first.is_healthy.clear()
        first.asked.pop().set_exception(UpstreamError("the worker is gone"))
        await settled()
        assert outcomes(sent) == [UpstreamError]
        await ask(replicas, 2)
        assert (len(first.asked), len(second.asked)) == (0, 1)
        first.is_healthy.set()
        await settled()
        assert busy() == [1, 1]
        for one in (first, second):
            one.answer()

    run(scenario, instance_count=2)


def test_requests_wait_for_a_lone_instance_that_broke_off() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        sent = await ask(replicas, 2)
        FakeInstance.made[0].is_healthy.clear()
        FakeInstance.made[0].asked.pop().set_exception(UpstreamError("the worker is gone"))
        await settled()
        sent += await ask(replicas, 2)
        assert outcomes(sent) == [UpstreamError, None, None, TooManyRequestsError]
        assert busy() == [0]
        FakeInstance.made[0].is_healthy.set()
        for _ in range(2):
            await settled()
            FakeInstance.made[0].answer()
        await settled()
        assert outcomes(sent) == [UpstreamError, 200, 200, TooManyRequestsError]

    run(scenario)


def test_nothing_is_handed_to_an_instance_in_the_moment_that_it_ends() -> None:
    """Its socket may take connections for a moment longer than there is a worker."""

    async def scenario(replicas: ReplicaSet) -> None:
        await ask(replicas, 2)
        FakeInstance.made[0].is_healthy.clear()
        FakeInstance.made[0].asked[0].set_exception(UpstreamError("the worker is gone"))
        await settled()
        assert FakeInstance.made[0].served == 1
        FakeInstance.made[0].end()
        await settled()
        FakeInstance.made[1].answer()

    run(scenario)


def test_unready_instance_is_out_of_rotation_and_comes_back() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        FakeInstance.made[0].verdicts.put_nowait(False)
        await settled()
        assert outcomes(await ask(replicas)) == [NotReadyError]
        FakeInstance.made[0].verdicts.put_nowait(True)
        await settled()
        sent = await ask(replicas)
        FakeInstance.made[0].answer()
        await settled()
        assert outcomes(sent) == [200]
        assert len(FakeInstance.made) == 1

    run(scenario)


@pytest.mark.parametrize("error", [InstanceError("it ended with exit code 3"), OSError("disk I/O error")], ids=repr)
def test_replacement_is_tried_until_one_starts(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTART_DELAYS", (0.0,))
    told: list[str] = []

    async def scenario(replicas: ReplicaSet) -> None:
        FakeInstance.fail_to_start = error
        FakeInstance.made[0].end()
        await settled()
        assert "BackOff" in told
        FakeInstance.fail_to_start = None
        await settled()
        sent = await ask(replicas)
        FakeInstance.made[-1].answer()
        await settled()
        assert outcomes(sent) == [200]

    run(scenario, told)


def test_hung_instance_is_replaced_and_fails_what_it_has() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        sent = await ask(replicas)
        FakeInstance.made[0].hangs.set()
        await settled()
        assert FakeInstance.made[0].is_stopped
        assert outcomes(sent) == [UpstreamError]
        sent = await ask(replicas)
        FakeInstance.made[1].answer()
        await settled()
        assert outcomes(sent) == [200]

    run(scenario)


def test_end_for_lack_of_memory_is_told() -> None:
    told: list[str] = []

    async def scenario(replicas: ReplicaSet) -> None:
        FakeInstance.made[0].end(OUT_OF_MEMORY)
        await settled()

    run(scenario, told, memory=2.0)
    assert told == ["OOMKilled"]


def test_growing_that_is_given_up_leaves_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the new instances had started, the other had not: the service ends, or begins the operation again."""

    async def start(instance: FakeInstance) -> None:
        if instance is FakeInstance.made[-1]:
            try:
                await asyncio.Event().wait()
            finally:
                await instance.stop()

    async def scenario(replicas: ReplicaSet) -> None:
        monkeypatch.setattr(FakeInstance, "start", start)
        growing = asyncio.ensure_future(replicas.grow(3))
        await settled()
        growing.cancel()
        await settled()
        assert growing.cancelled()
        assert [one.is_stopped for one in FakeInstance.made] == [False, True, True]

    run(scenario)


def test_growing_gives_what_waits_to_the_new_ones() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        sent = await ask(replicas, 2)
        await replicas.grow(3)
        replicas.apply(replace(replicas.plan, instance_count=3))
        await settled()
        assert sum(busy()) == 2
        sent += await ask(replicas, 5)
        assert outcomes(sent) == [None] * 6 + [TooManyRequestsError]
        for _ in range(2):
            for one in FakeInstance.made:
                one.answer()
                await settled()
        assert outcomes(sent) == [200] * 6 + [TooManyRequestsError]

    run(scenario)


def test_growth_that_fails_changes_nothing() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        FakeInstance.fail_to_start = InstanceError("it ended with exit code 3")
        with pytest.raises(InstanceError, match="exit code 3"):
            await replicas.grow(3)
        sent = await ask(replicas)
        FakeInstance.made[0].answer()
        await settled()
        assert outcomes(sent) == [200]
        for one in FakeInstance.made[1:]:
            one.is_stopped = True  # it never started: there is nothing to stop

    run(scenario)


def test_shrinking_takes_idle_ones_and_lets_busy_ones_finish() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        sent = await ask(replicas, 2)
        shrinking = asyncio.ensure_future(replicas.shrink(1))
        await settled()
        idle = next(one for one in FakeInstance.made if not one.served)
        busy_ones = [one for one in FakeInstance.made if one.served]
        assert not any(one.is_stopped for one in busy_ones)
        assert not shrinking.done()
        for one in busy_ones:
            one.answer()
        await shrinking
        assert idle.is_stopped
        assert sorted(one.is_stopped for one in busy_ones) == [False, True]
        assert outcomes(sent) == [200, 200]
        assert len(FakeInstance.made) == 3  # none was replaced

    run(scenario, instance_count=3)


def test_instance_that_leaves_gets_nothing_more_and_is_not_waited_for_for_ever() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        hanging = await ask(replicas, 2)
        await replicas.shrink(1)
        stays = next(one for one in FakeInstance.made if not one.is_stopped)
        await asyncio.wait(hanging)
        assert UpstreamError in outcomes(hanging) or outcomes(hanging) == [TimeoutError] * 2
        stays.answer()
        await settled()
        assert len(FakeInstance.made) == 2

    run(scenario, instance_count=2, request_timeout=0.05)


def test_draining_answers_what_runs_and_what_waits() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        sent = await ask(replicas, 2)
        draining = asyncio.ensure_future(replicas.drain())
        await settled()
        for _ in range(2):
            assert not draining.done()
            FakeInstance.made[0].answer()
            await settled()
        await draining
        assert outcomes(sent) == [200, 200]
        assert FakeInstance.made[0].is_stopped

    run(scenario)


def test_stopping_refuses_what_waits() -> None:
    async def scenario(replicas: ReplicaSet) -> None:
        sent = await ask(replicas, 2)
        await replicas.stop()
        await settled()
        assert outcomes(sent) == [UpstreamError, NotReadyError]

    run(scenario)
