"""azureml_local.engines.compute.pool, with nodes that are no processes: who gets which nodes, and how many there are.

What is right: "Autoscale … to the maximum based on the job demand", "idle seconds before scale down", "low priority"
(https://learn.microsoft.com/azure/machine-learning/how-to-create-attach-compute-cluster), the states of nodes in
Azure's OpenAPI (NodeState), all nodes of a job or none (design.md, "compute cluster").
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from azureml_local.engines.compute import pool as module
from azureml_local.engines.compute.nodes import NodeError
from azureml_local.engines.compute.pool import (
    AllocationError,
    Member,
    NodeState,
    Pool,
    Preemption,
    PreemptionError,
    Scale,
)

FOREVER = 10_000.0
SECONDS = 20


class FakeNode:
    """A node without a process. ``die`` ends it as kill -9 does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.preempted = False
        self.is_ending = False
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def is_lost(self) -> bool:
        return self.is_ending or self.ended.done()

    def die(self) -> None:
        self.ended.set_result(137)

    async def stop(self) -> None:
        self.is_ending = True
        await asyncio.sleep(0)
        if not self.ended.done():
            self.ended.set_result(0)


class FakeNodes:
    """Starts nodes once ``gate`` is open; fails the next ``failures`` starts."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures = 0
        self.started: list[FakeNode] = []
        self.starts = 0

    async def start_node(self, name: str) -> Any:
        self.starts += 1
        await self.gate.wait()
        if self.failures:
            self.failures -= 1
            raise NodeError("it did not start")
        node = FakeNode(name)
        self.started.append(node)
        return node


class Recorder:
    """Notes each change of a pool."""

    def __init__(self) -> None:
        self.states: dict[str, list[str]] = {}
        self.allocations: list[str] = []

    def node_changed(self, pool: Pool, member: Member) -> None:
        self.states.setdefault(member.name, []).append(str(member.state))

    def node_gone(self, pool: Pool, member: Member) -> None:
        self.states[member.name].append("gone")

    def busy_changed(self, pool: Pool) -> None:
        pass

    def allocation_changed(self, pool: Pool) -> None:
        self.allocations.append("Resizing" if pool.is_resizing else "Steady")


class Case:
    """A pool and what stands around it. ``room`` is how many nodes more there may be."""

    def __init__(self, least: int, most: int, idle: float = FOREVER, *, low_priority: bool = False) -> None:
        self.nodes, self.recorder, self.room = FakeNodes(), Recorder(), 1000
        self.pool = Pool(
            self.nodes,
            "cpu",
            Scale(least, most, idle),
            lambda: self.room,
            self.recorder,
            low_priority=low_priority,
        )
        self.pool.reconcile()

    def ask(self, job: str, count: int = 1) -> asyncio.Task[module.Lease]:
        return asyncio.get_running_loop().create_task(self.pool.acquire(job, count))

    async def counts(self, **wanted: int) -> None:
        """Wait until so many nodes are in each state, and none in any other."""
        await until(
            lambda: {str(state): n for state, n in self.pool.counts().items()} == wanted, lambda: self.pool.counts()
        )


async def until(condition: Callable[[], bool], shown: Callable[[], object] = lambda: "") -> None:
    try:
        async with asyncio.timeout(SECONDS):
            while not condition():  # noqa: ASYNC110 - nothing tells of every change
                await asyncio.sleep(0.001)
    except TimeoutError:
        raise AssertionError(f"never came: {shown()}") from None


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_AGAIN_AFTER", (0.01, 0.02))


def run(
    scenario: Callable[[Case], Awaitable[None]], least: int = 0, most: int = 2, idle: float = FOREVER, **options: bool
) -> Recorder:
    async def main() -> Recorder:
        case = Case(least, most, idle, **options)
        async with asyncio.timeout(SECONDS):
            await scenario(case)
            await case.pool.close()
        assert case.pool.members == []
        assert all(node.ended.done() for node in case.nodes.started)
        return case.recorder

    return asyncio.run(main())


def test_there_are_no_nodes_before_a_job_wants_one() -> None:
    async def scenario(case: Case) -> None:
        await settle()
        assert (case.pool.members, case.pool.target, case.pool.is_resizing) == ([], 0, False)
        lease = await case.ask("a")
        (node,) = lease.nodes
        assert node is case.nodes.started[0]
        assert (case.pool.target, case.pool.size) == (1, 1)

    recorder = run(scenario)
    assert list(recorder.states.values()) == [["preparing", "idle", "running", "leaving", "gone"]]
    assert recorder.allocations[:2] == ["Resizing", "Steady"]


def test_the_least_is_kept_and_idle_nodes_beyond_it_leave() -> None:
    async def scenario(case: Case) -> None:
        await case.counts(idle=1)
        leases = [await case.ask(job) for job in "abc"]
        await case.counts(running=3)
        for lease in leases:
            case.pool.release(lease)
        await case.counts(idle=1)
        assert case.pool.target == 1

    run(scenario, least=1, most=3, idle=0.02)


def test_a_node_that_is_needed_again_does_not_leave() -> None:
    async def scenario(case: Case) -> None:
        lease = await case.ask("a")
        case.pool.release(lease)
        again = await case.ask("b")
        await asyncio.sleep(0.1)  # longer than a node may be idle
        assert again.nodes == lease.nodes
        await case.counts(running=1)

    run(scenario, idle=0.05)


def test_the_first_of_two_nodes_waits_for_the_second_however_short_idle_may_be() -> None:
    async def scenario(case: Case) -> None:
        case.nodes.gate.clear()
        asked = case.ask("a", 2)
        await settle()
        first, _ = case.pool.members
        first.node = FakeNode(first.name)  # type: ignore[assignment]
        case.pool._become_idle(first)
        case.pool.reconcile()
        await settle()
        assert first.state == NodeState.IDLE
        case.nodes.gate.set()
        assert len((await asked).nodes) == 2

    run(scenario, idle=0.0)


def test_jobs_get_nodes_in_turn_all_or_none() -> None:
    async def scenario(case: Case) -> None:
        first = await case.ask("a")
        wide = case.ask("b", 2)
        last = case.ask("c")
        await settle()
        assert not wide.done() and not last.done()  # one node is free, but it is not c's turn
        case.pool.release(first)
        lease = await wide
        assert len(set(lease.nodes)) == 2
        assert not last.done()
        case.pool.release(lease)
        await last

    run(scenario)


def test_no_node_is_started_for_a_job_that_cannot_have_all() -> None:
    async def scenario(case: Case) -> None:
        case.room = 1
        wide = case.ask("a", 2)
        await settle()
        assert (case.nodes.starts, case.pool.lacks_room) == (0, True)
        case.room = 2
        case.pool.reconcile()
        assert len((await wide).nodes) == 2
        assert not case.pool.lacks_room

    run(scenario)


def test_two_pools_that_share_room_do_not_wait_for_each_other() -> None:
    async def main() -> None:
        one, two = Case(0, 2, 0.02), Case(0, 2, 0.02)
        pools = (one.pool, two.pool)
        for case in (one, two):
            case.pool._room = lambda: 2 - sum(pool.size for pool in pools)
        singles = [await one.ask("a"), await two.ask("b")]
        wide = [one.ask("c", 2), two.ask("d", 2)]
        for case, lease in zip((one, two), singles, strict=True):
            case.pool.release(lease)

        async def work(case: Case, asked: asyncio.Task[module.Lease]) -> None:
            case.pool.release(await asked)

        done = asyncio.gather(work(one, wide[0]), work(two, wide[1]))
        async with asyncio.timeout(SECONDS):
            while not done.done():  # what Pools.retry does where a node has gone
                await asyncio.sleep(0.005)
                for pool in pools:
                    if pool.lacks_room:
                        pool.reconcile()
            await done
            await asyncio.gather(one.pool.close(), two.pool.close())

    asyncio.run(main())


def test_a_job_that_wants_more_than_the_most_is_refused() -> None:
    async def scenario(case: Case) -> None:
        message = "Requested 3 nodes but AzureMLCompute cluster only has 2 maximum nodes"
        with pytest.raises(AllocationError, match=message):
            await case.pool.acquire("a", 3)
        running, waiting = await case.ask("b", 2), case.ask("c", 2)
        await settle()
        case.pool.scale = Scale(0, 1, FOREVER)
        with pytest.raises(AllocationError, match="Requested 2 nodes"):
            await waiting
        assert all(node.is_lost is False for node in running.nodes)
        assert case.nodes.starts == 2

    run(scenario)


def test_nodes_with_jobs_stay_when_the_most_shrinks_and_leave_afterwards() -> None:
    async def scenario(case: Case) -> None:
        leases = [await case.ask(job) for job in "abc"]
        waiting = case.ask("d")
        case.pool.scale = Scale(0, 1, FOREVER)
        await case.counts(running=3)
        assert (case.pool.target, case.pool.is_resizing) == (1, True)
        case.pool.release(leases[0])
        await case.counts(running=2)
        assert not waiting.done()
        case.pool.release(leases[1])
        await case.counts(running=1)
        assert not waiting.done()
        case.pool.release(leases[2])
        await waiting
        await case.counts(running=1)
        assert not case.pool.is_resizing

    run(scenario, most=3)


def test_idle_nodes_leave_at_once_when_the_most_shrinks() -> None:
    async def scenario(case: Case) -> None:
        case.pool.release(await case.ask("a", 2))
        await case.counts(idle=2)
        case.pool.scale = Scale(0, 1, FOREVER)
        await case.counts(idle=1)
        case.pool.scale = Scale(0, 0, FOREVER)
        await case.counts()

    run(scenario)


def test_a_job_that_waits_no_longer_leaves_its_place() -> None:
    async def scenario(case: Case) -> None:
        case.nodes.gate.clear()
        first, second = case.ask("a", 2), case.ask("b")
        await settle()
        first.cancel()
        case.nodes.gate.set()
        assert len((await second).nodes) == 1
        assert first.cancelled()

    run(scenario)


def test_a_cancelled_job_keeps_no_node_that_it_was_given_meanwhile() -> None:
    async def scenario(case: Case) -> None:
        held = await case.ask("a")
        asked = case.ask("b")
        await settle()
        case.pool.release(held)
        assert [member.job for member in case.pool.members] == ["b"]
        asked.cancel()  # before it has resumed
        await asyncio.wait([asked])
        assert asked.cancelled()
        assert [member.job for member in case.pool.members] == [None]
        await case.counts(idle=1)

    run(scenario, most=1)


def test_a_request_that_is_being_cancelled_is_passed_over() -> None:
    async def scenario(case: Case) -> None:
        held = await case.ask("a", 2)
        first, second = case.ask("b"), case.ask("c")
        await settle()
        first.cancel()  # not resumed yet, so that its request is still the queue's first
        case.pool.release(held)
        assert (await second).job == "c"
        assert first.cancelled()

    run(scenario)


def test_a_node_that_dies_under_a_job_is_replaced() -> None:
    async def scenario(case: Case) -> None:
        lease = await case.ask("a")
        case.nodes.started[0].die()
        await case.counts()
        case.pool.release(lease)
        again = await case.ask("a")
        assert again.nodes == case.nodes.started[1:]

    run(scenario)


def test_a_dead_node_is_given_to_nobody_although_its_end_was_not_noticed() -> None:
    async def scenario(case: Case) -> None:
        lease = await case.ask("a")
        waiting = case.ask("b")
        await settle()
        case.nodes.started[0].die()
        case.pool.release(lease)
        assert (await waiting).nodes == case.nodes.started[1:]

    run(scenario, most=1)


def test_an_idle_node_that_dies_is_unusable_for_a_while_and_replaced() -> None:
    async def scenario(case: Case) -> None:
        await case.counts(idle=1)
        case.nodes.started[0].die()
        await until(lambda: case.nodes.starts == 2)
        await case.counts(idle=1)

    recorder = run(scenario, least=1)
    first, *_ = recorder.states.values()
    assert first == ["preparing", "idle", "unusable", "gone"]


def test_nodes_that_do_not_start_are_unusable_and_tried_again_ever_more_slowly() -> None:
    async def scenario(case: Case) -> None:
        case.nodes.failures = 3
        begun = time.monotonic()
        await case.ask("a")
        assert time.monotonic() - begun >= 0.01 + 0.02 + 0.02
        assert case.pool.start_error is None

    recorder = run(scenario)
    *failed, started = [states[:2] for states in recorder.states.values()]
    assert (failed, started) == ([["preparing", "unusable"]] * 3, ["preparing", "idle"])


def test_an_unusable_node_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_AGAIN_AFTER", (FOREVER,))

    async def scenario(case: Case) -> None:
        case.nodes.failures = 1
        case.ask("a")
        await case.counts(unusable=1)
        case.pool.reconcile()
        assert (case.nodes.starts, case.pool.start_error) == (1, "it did not start")

    run(scenario)


def test_a_preempted_node_is_counted_and_its_job_gets_another() -> None:
    async def scenario(case: Case) -> None:
        lease = await case.ask("a")
        name = case.pool.preempt()
        (node,) = case.nodes.started
        assert (name, node.preempted) == (node.name, True)
        await case.counts(preempted=1)
        assert case.pool.size == 0
        case.pool.release(lease)
        again = await case.ask("a")
        assert again.nodes == case.nodes.started[1:]
        await case.counts(preempted=1, running=1)

    recorder = run(scenario, low_priority=True)
    first, *_ = recorder.states
    assert first.startswith("tvmps_") and first.endswith("_p")


def test_a_preempted_node_is_forgotten_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PREEMPTED_FOR", 0.01)

    async def scenario(case: Case) -> None:
        case.pool.release(await case.ask("a"))
        case.pool.preempt()
        await case.counts()

    run(scenario, low_priority=True)


def test_a_node_is_preempted_as_it_starts() -> None:
    async def scenario(case: Case) -> None:
        case.nodes.gate.clear()
        asked = case.ask("a")
        await settle()
        case.pool.preempt(case.pool.members[0].name)
        await case.counts(preempted=1, preparing=1)
        case.nodes.gate.set()
        (node,) = (await asked).nodes
        assert case.nodes.started == [node]

    run(scenario, low_priority=True)


def test_a_node_that_is_preempted_in_the_moment_it_has_started_serves_nobody() -> None:
    async def scenario(case: Case) -> None:
        case.nodes.gate.clear()
        asked = case.ask("a")
        await settle()
        case.nodes.gate.set()
        case.pool.preempt()
        (node,) = (await asked).nodes
        assert not node.is_lost
        await case.counts(preempted=1, running=1)

    run(scenario, low_priority=True)


def test_only_nodes_of_low_priority_that_exist_are_preempted() -> None:
    async def dedicated(case: Case) -> None:
        await case.ask("a")
        with pytest.raises(PreemptionError, match="'cpu' is dedicated"):
            case.pool.preempt()

    async def absent(case: Case) -> None:
        with pytest.raises(PreemptionError, match="no node now"):
            case.pool.preempt()
        with pytest.raises(PreemptionError, match="no node 'x'"):
            case.pool.preempt("x")

    run(dedicated)
    run(absent, low_priority=True)


def test_the_rate_takes_nodes_away_by_itself_and_the_seed_decides_when() -> None:
    draws: list[list[float]] = []

    async def scenario(case: Case) -> None:
        case.pool.preemption = Preemption(rate=1e9, seed=7)
        await case.ask("a")
        await until(lambda: case.pool.counts()[NodeState.PREEMPTED] >= 1)
        case.pool.preemption = Preemption(rate=0.0, seed=7)
        draws.append([member.hazard for member in case.pool.members][:1])

    run(scenario, low_priority=True)
    run(scenario, low_priority=True)
    assert draws[0] == draws[1]


def test_no_rate_preempts_a_dedicated_node() -> None:
    async def scenario(case: Case) -> None:
        case.pool.preemption = Preemption(rate=1e9)
        await case.ask("a")
        assert all(member.preemption_timer is None for member in case.pool.members)

    run(scenario)


def test_a_pool_that_is_closed_refuses_who_waits_and_who_comes() -> None:
    async def scenario(case: Case) -> None:
        await case.ask("a")
        waiting = case.ask("b")
        await settle()
        await case.pool.close()
        for asked in (waiting, case.ask("c")):
            with pytest.raises(AllocationError, match="AzureMLCompute cluster cpu does not exist"):
                await asked

    run(scenario, most=1)


def test_nodes_that_start_end_with_the_pool() -> None:
    async def scenario(case: Case) -> None:
        case.nodes.gate.clear()
        case.ask("a")
        await settle()

    run(scenario, least=2)


def test_jobs_go_on_waiting_when_all_nodes_are_ended() -> None:
    async def scenario(case: Case) -> None:
        lease = await case.ask("a")
        case.room = 0
        await case.pool.end_nodes()
        await case.counts()
        case.pool.release(lease)
        waiting = case.ask("a")
        await settle()
        assert not waiting.done()
        case.room = 1
        case.pool.reconcile()
        await waiting

    run(scenario)


def test_a_node_is_watched_also_where_nobody_can_tell_whether_there_is_room() -> None:
    async def scenario() -> None:
        case = Case(0, 2)
        lease = await case.ask("a")

        def room() -> int:
            raise RuntimeError("the workspace is gone")

        case.pool._room = room
        second = case.ask("b")
        await asyncio.sleep(0)
        assert case.pool.lacks_room
        lease.nodes[0].die()
        await case.counts()
        case.pool._room = lambda: 1
        case.pool.reconcile()
        assert len((await second).nodes) == 1

    asyncio.run(scenario())
