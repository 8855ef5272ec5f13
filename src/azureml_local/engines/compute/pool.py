"""A compute's nodes: as many as its queue of jobs wants, between a least and a most, and none idle beyond its time.

Jobs are given nodes in the order in which they asked, all that one wants or none: a job of several nodes whose
processes wait for each other would otherwise hold some for ever. For the same reason no node is started for a job that
cannot have all of its nodes yet.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import random
import secrets
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from azureml_local.clock import real_seconds
from azureml_local.engines.compute.nodes import Node, NodeError

logger = logging.getLogger(__name__)

START_AGAIN_AFTER = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds that a node which did not start stays unusable
PREEMPTED_FOR = 60.0  # seconds of the service's clock that a preempted node stays in the counts
HOUR = 3600.0


class NodeState(enum.StrEnum):
    """What a node is at, in Azure's words and in the order of its counts (``nodeStateCounts`` of a cluster)."""

    PREPARING = "preparing"
    RUNNING = "running"
    IDLE = "idle"
    UNUSABLE = "unusable"
    LEAVING = "leaving"
    PREEMPTED = "preempted"


GONE = (NodeState.LEAVING, NodeState.PREEMPTED)  # no job is given such a node any more


class AllocationError(Exception):
    """A job can never have the nodes that it wants."""


class PreemptionError(Exception):
    """Nothing was preempted; the message says why."""


@dataclass(frozen=True)
class Scale:
    """How many nodes a compute has: at least, at most, and how many seconds one may be idle beyond the least."""

    least: int
    most: int
    idle_seconds: float


@dataclass(frozen=True)
class Preemption:
    """How often nodes of low priority are taken away: ``rate`` times an hour for each node, by the service's clock.

    The times between are drawn from an exponential distribution, as those of events that do not depend on each other
    are. The same ``seed`` draws the same times for a pool's first, second, … node.
    """

    rate: float = 0.0
    seed: int = 0


@dataclass(eq=False)
class Member:
    """A node of a pool.

    Args:
        name: Azure's form of a node's id.
        created: when it was asked for.
        hazard: the cumulative hazard at which it is preempted, drawn from an exponential distribution of mean 1.
        state: what it is at.
        node: the node itself, once it has started.
        job: the job that has it.
        idle_since: by the loop's clock.
    """

    name: str
    created: datetime
    hazard: float
    state: NodeState = NodeState.PREPARING
    node: Node | None = None
    job: str | None = None
    idle_since: float = 0.0
    life: asyncio.Task[None] = field(init=False)
    idle_timer: asyncio.TimerHandle | None = None
    preemption_timer: asyncio.TimerHandle | None = None


@dataclass(eq=False)
class Lease:
    """The nodes that a job has, in the order of their ranks."""

    job: str
    members: list[Member]

    @property
    def nodes(self) -> list[Node]:
        """The nodes."""
        return [member.node for member in self.members if member.node]


class Starter(Protocol):
    """What starts nodes; see :class:`azureml_local.engines.compute.nodes.Nodes`.

    ``is_elsewhere`` says that they are on other machines than the service's, ``why_not_more`` why there are not more.
    """

    is_elsewhere: bool

    @property
    def why_not_more(self) -> str:
        """See above; empty where the capacity of the service's machine says so."""

    async def start_node(self, name: str) -> Node:
        """Start a node."""


class Observer(Protocol):
    """Is told of each change in a pool."""

    def node_changed(self, pool: Pool, member: Member) -> None:
        """Learn that a node has come into a state."""

    def node_gone(self, pool: Pool, member: Member) -> None:
        """Learn that a node is no longer in the pool."""

    def busy_changed(self, pool: Pool) -> None:
        """Learn that the first job has a node or waits for one, or that none does any more."""

    def allocation_changed(self, pool: Pool) -> None:
        """Learn that the pool has begun to resize, or is steady."""


@dataclass(eq=False)
class _Request:
    job: str
    count: int
    granted: asyncio.Future[Lease] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Pool:
    """The nodes of one compute.

    Args:
        nodes: starts them.
        name: the compute's.
        scale: how many.
        room: returns how many nodes more there may be.
        observer: is told of each change.
        low_priority: nodes can be preempted.
    """

    def __init__(
        self,
        nodes: Starter,
        name: str,
        scale: Scale,
        room: Callable[[], int],
        observer: Observer,
        *,
        low_priority: bool = False,
    ) -> None:
        self.name = name
        self.members: list[Member] = []
        self.low_priority = low_priority
        self.target = 0  # how many nodes are wanted now
        self.is_resizing = False
        self.allocated_at = datetime.now(UTC)  # when it last began to resize, or became steady
        self.lacks_room = False  # for nodes that jobs wait for
        self.start_error: str | None = None  # why the last node did not start
        self.starter = nodes
        self._scale = scale
        self._room = room
        self.observer = observer
        self._preemption = Preemption()
        self._draws = random.Random(0)  # noqa: S311 - decides when a node is taken, and nothing that is secret
        self._queue: deque[_Request] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures = 0  # in a row, of nodes that did not start or ended idle
        self._needed = 0
        self._is_closed = False
        self._was_busy = False  # when the observer was last told

    # --- what others see ---

    def counts(self) -> Counter[NodeState]:
        """Return how many nodes are in each state."""
        return Counter(member.state for member in self.members)

    @property
    def size(self) -> int:
        """How many nodes there are: all but those that were preempted."""
        return sum(member.state != NodeState.PREEMPTED for member in self.members)

    @property
    def is_elsewhere(self) -> bool:
        """Whether its nodes are on other machines than the service's."""
        return self.starter.is_elsewhere

    @property
    def is_busy(self) -> bool:
        """Whether a job has a node or waits for one."""
        return bool(self._queue) or any(member.job for member in self.members)

    # --- what is asked of it ---

    @property
    def scale(self) -> Scale:
        """How many nodes there may be. Where there are more, those leave that have no job, others after theirs."""
        return self._scale

    @scale.setter
    def scale(self, scale: Scale) -> None:
        self._scale = scale
        self.reconcile()

    @property
    def preemption(self) -> Preemption:
        """How often nodes are taken away; set it, and the times of the present nodes are drawn anew."""
        return self._preemption

    @preemption.setter
    def preemption(self, preemption: Preemption) -> None:
        self._preemption = preemption
        self._draws = random.Random(preemption.seed)  # noqa: S311 - as above
        for member in self.members:
            member.hazard = self._draws.expovariate(1.0)
            _cancel(member, "preemption_timer")
            self._arm_preemption(member)

    async def acquire(self, job: str, count: int) -> Lease:
        """Return ``count`` nodes for a job once they are there; to wait no longer, cancel.

        Raises:
            AllocationError: there will never be so many, or the compute is deleted.
        """
        request = _Request(job, count)
        self._queue.append(request)
        self.reconcile()
        try:
            return await request.granted
        except asyncio.CancelledError:
            if request in self._queue:
                self._queue.remove(request)
                self.reconcile()
            elif request.granted.done() and not request.granted.cancelled() and not request.granted.exception():
                self.release(request.granted.result())
            raise

    def release(self, lease: Lease) -> None:
        """Take back a job's nodes."""
        for member in lease.members:
            member.job = None
            if member.state == NodeState.RUNNING and member.node and not member.node.is_lost:
                self._failures = 0
                self._become_idle(member)
        self.reconcile()

    def preempt(self, name: str | None = None) -> str:
        """Take a node away as Azure does with those of low priority, and return its name.

        Args:
            name: which; None for one that has a job, or else for any.

        Raises:
            PreemptionError: there is no such node, or the compute is not of low priority.
        """
        if not self.low_priority:
            raise PreemptionError(
                f"Compute '{self.name}' is dedicated: its nodes are never preempted. Make it with tier low_priority."
            )
        present = [member for member in self.members if member.state not in GONE and name in (None, member.name)]
        if not present:
            which = f"no node '{name}' that can be preempted" if name else "no node now; submit a job first"
            raise PreemptionError(f"Compute '{self.name}' has {which}.")
        member = next((member for member in present if member.job), present[0])
        self._preempt(member)
        return member.name

    async def end_nodes(self) -> None:
        """End every node. What runs on them is lost; what waits goes on waiting."""
        leaving = list(self.members)
        for member in leaving:
            self._set(member, NodeState.LEAVING)
        await asyncio.gather(*(self._end(member) for member in leaving))

    async def close(self) -> None:
        """End every node, and refuse the jobs that wait."""
        self._is_closed = True
        self.reconcile()
        await self.end_nodes()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.members.clear()

    def reconcile(self) -> None:
        """Give nodes to the jobs that are next, and begin to start or to end nodes where their number is not right."""
        self._refuse()
        if self._is_closed:
            return
        self._grant()
        alive = self._alive()
        self._needed = max(self._fitting(self._scale.most), self._scale.least)
        self.lacks_room = False
        if self._needed > alive:
            most = min(alive + self._free(), self._scale.most)
            affordable = max(self._fitting(most), min(self._scale.least, most))
            self.lacks_room, self._needed = affordable < self._needed, affordable
        self.target = min(max(self._needed, alive), self._scale.most)
        for _ in range(self.target - alive):
            self._add()
        self._arm_idle_timers()
        self._note_allocation()
        self._note_busy()

    # --- how many ---

    def _alive(self) -> int:
        return sum(member.state not in GONE for member in self.members)

    def _busy(self) -> int:
        return sum(member.job is not None and member.state not in GONE for member in self.members)

    def _free(self) -> int:
        """Return how many nodes more there may be. A question that fails ends no node's life: it is asked again."""
        try:
            return max(self._room(), 0)
        except Exception:
            logger.exception("whether there is room for nodes of %s cannot be told", self.name)
            return 0

    def _fitting(self, most: int) -> int:
        """Return how many nodes the jobs take that run, and those that are next and fit among ``most`` beside them."""
        taken = self._busy()
        for request in self._queue:
            if taken + request.count > most:
                break
            taken += request.count
        return taken

    def _refuse(self) -> None:
        for request in list(self._queue):
            if self._is_closed:
                message = f"AzureMLCompute cluster {self.name} does not exist"
            elif request.count > self._scale.most:
                most = self._scale.most
                message = f"Requested {request.count} nodes but AzureMLCompute cluster only has {most} maximum nodes"
            else:
                continue
            self._queue.remove(request)
            if not request.granted.done():
                request.granted.set_exception(AllocationError(message))

    def _grant(self) -> None:
        idle = [member for member in self.members if member.state == NodeState.IDLE]
        while self._queue:
            request = self._queue[0]
            if request.granted.cancelled():  # its job does not know it yet
                self._queue.popleft()
                continue
            if request.count > len(idle) or self._busy() + request.count > self._scale.most:
                return
            self._queue.popleft()
            taken, idle = idle[: request.count], idle[request.count :]
            for member in taken:
                member.job = request.job
                _cancel(member, "idle_timer")
                self._set(member, NodeState.RUNNING)
            request.granted.set_result(Lease(request.job, taken))

    def _note_allocation(self) -> None:
        """Say whether nodes come or go, as Azure's allocationState does."""
        moving = any(member.state in (NodeState.PREPARING, NodeState.LEAVING) for member in self.members)
        is_resizing = moving or self.size != self.target
        if is_resizing != self.is_resizing:
            self.is_resizing = is_resizing
            self.allocated_at = datetime.now(UTC)
            self.observer.allocation_changed(self)

    def _note_busy(self) -> None:
        if self.is_busy != self._was_busy:
            self._was_busy = self.is_busy
            self.observer.busy_changed(self)

    # --- a node's life ---

    def _add(self) -> None:
        kind = "p" if self.low_priority else "d"
        name = f"tvmps_{secrets.token_hex(32)}_{kind}"
        member = Member(name, datetime.now(UTC), self._draws.expovariate(1.0))
        self.members.append(member)
        member.life = self._spawn(self._live(member))
        self._arm_preemption(member)
        self.observer.node_changed(self, member)

    async def _live(self, member: Member) -> None:
        """Start a node and watch it to its end."""
        try:
            member.node = await self.starter.start_node(member.name)
        except (NodeError, OSError) as error:
            if member.state not in GONE:
                await self._be_unusable(member, str(error))
                self._forget(member)
            return
        if member.state in GONE:
            return  # who decided that ends it
        self.start_error = None
        self._become_idle(member)
        self.reconcile()
        await asyncio.shield(member.node.ended)
        if member.state in GONE:
            return
        logger.warning("node %s of %s ended by itself", member.name, self.name)
        if member.state == NodeState.IDLE:
            await self._be_unusable(member, f"Node {member.name} ended by itself.")
        self._forget(member)

    async def _be_unusable(self, member: Member, error: str) -> None:
        """Keep a node's place for a while: what ends as it starts is not started over and over."""
        self.start_error = error
        logger.warning("node %s of %s is unusable: %s", member.name, self.name, error)
        self._set(member, NodeState.UNUSABLE)
        self._note_allocation()
        delay = START_AGAIN_AFTER[min(self._failures, len(START_AGAIN_AFTER) - 1)]
        self._failures += 1
        await asyncio.sleep(delay)

    def _become_idle(self, member: Member) -> None:
        member.idle_since = asyncio.get_running_loop().time()
        self._set(member, NodeState.IDLE)

    def _arm_idle_timers(self) -> None:
        alive = self._alive()
        loop = asyncio.get_running_loop()
        idle_seconds = 0.0 if alive > self._scale.most else real_seconds(self._scale.idle_seconds)
        for member in self.members:
            _cancel(member, "idle_timer")
            if member.state == NodeState.IDLE and alive > self._needed:
                member.idle_timer = loop.call_at(member.idle_since + idle_seconds, self._retire, member)

    def _retire(self, member: Member) -> None:
        """End a node that was idle long enough."""
        self._set(member, NodeState.LEAVING)
        self._spawn(self._end(member))
        self.reconcile()

    def _arm_preemption(self, member: Member) -> None:
        if not self.low_priority or not self._preemption.rate or member.state in GONE:
            return
        delay = real_seconds(member.hazard / self._preemption.rate * HOUR)
        member.preemption_timer = asyncio.get_running_loop().call_later(delay, self._preempt, member)

    def _preempt(self, member: Member) -> None:
        if member.node:
            member.node.preempted = True
        self._set(member, NodeState.PREEMPTED)
        self._spawn(self._be_preempted(member))
        self.reconcile()

    async def _be_preempted(self, member: Member) -> None:
        await self._stop(member)
        await asyncio.sleep(real_seconds(PREEMPTED_FOR))
        self._forget(member)

    async def _end(self, member: Member) -> None:
        await self._stop(member)
        self._forget(member)

    async def _stop(self, member: Member) -> None:
        """End a node's process, also one that is starting."""
        if member.node:
            await member.node.stop()
        else:
            member.life.cancel()
            await asyncio.wait([member.life])

    def _set(self, member: Member, state: NodeState) -> None:
        if member.state == state:
            return
        member.state = state
        if state in GONE:
            _cancel(member, "idle_timer")
            _cancel(member, "preemption_timer")
        self.observer.node_changed(self, member)

    def _forget(self, member: Member) -> None:
        if member not in self.members:
            return
        _cancel(member, "idle_timer")
        _cancel(member, "preemption_timer")
        self.members.remove(member)
        self.observer.node_gone(self, member)
        self.reconcile()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _cancel(member: Member, timer: str) -> None:
    handle: asyncio.TimerHandle | None = getattr(member, timer)
    if handle:
        handle.cancel()
        setattr(member, timer, None)
