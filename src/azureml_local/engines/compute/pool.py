"""A compute's nodes: as many as its queue of jobs wants, between a least and a most, and none idle for longer than set.

Jobs are given nodes in the order in which they asked, all that one wants or none: a job of several nodes whose processes
wait for each other would otherwise hold some for ever.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from dataclasses import dataclass, field

from azureml_local.clock import real_seconds
from azureml_local.engines.compute.nodes import Node, NodeError, Nodes

logger = logging.getLogger(__name__)

START_AGAIN_AFTER = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds, where a node did not start


class NodeState(enum.StrEnum):
    """What a node is at, in Azure's words (``nodeState`` of a cluster's list of nodes)."""

    PREPARING = "preparing"
    IDLE = "idle"
    RUNNING = "running"
    LEAVING = "leaving"
    PREEMPTED = "preempted"
    UNUSABLE = "unusable"


@dataclass(frozen=True)
class Scale:
    """How many nodes a compute has: at least, at most, and how many seconds one may be idle beyond the least."""

    least: int
    most: int
    idle_seconds: float


@dataclass(eq=False)
class Member:
    """A node of a pool. ``job`` is the job that has it."""

    state: NodeState = NodeState.PREPARING
    node: Node | None = None
    job: str | None = None
    idle_timer: asyncio.TimerHandle | None = None


@dataclass(eq=False)
class Lease:
    """The nodes that a job has, in the order of their ranks."""

    job: str
    members: list[Member]

    @property
    def nodes(self) -> list[Node]:
        """The nodes."""
        return [member.node for member in self.members if member.node]


@dataclass(eq=False)
class _Request:
    job: str
    count: int
    granted: asyncio.Future[Lease] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Pool:
    """The nodes of one compute.

    Args:
        nodes: starts them.
        scale: how many.
        environment: added to the environment of each node.
        on_change: called when a node has come, gone or changed its state.
    """

    def __init__(
        self, nodes: Nodes, scale: Scale, environment: Callable[[], Mapping[str, str]], on_change: Callable[[], None]
    ) -> None:
        self._nodes = nodes
        self._scale = scale
        self._environment = environment
        self._on_change = on_change
        self.members: list[Member] = []
        self._queue: deque[_Request] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures = 0  # in a row, to start a node
        self._is_closed = False

    def counts(self) -> Counter[NodeState]:
        """Return how many nodes are in each state."""
        return Counter(member.state for member in self.members)

    @property
    def scale(self) -> Scale:
        """How many nodes there may be."""
        return self._scale

    @scale.setter
    def scale(self, scale: Scale) -> None:
        self._scale = scale
        self.reconcile()

    @property
    def target(self) -> int:
        """How many nodes are wanted now."""
        busy = sum(member.job is not None for member in self.members)
        idle = sum(member.state == NodeState.IDLE for member in self.members)
        waiting = sum(request.count for request in self._queue)
        return min(max(self._scale.least, busy + max(waiting, idle)), self._scale.most)

    async def acquire(self, job: str, count: int) -> Lease:
        """Return ``count`` nodes for a job once they are there; to wait no longer, cancel."""
        request = _Request(job, count)
        self._queue.append(request)
        self.reconcile()
        try:
            return await request.granted
        except asyncio.CancelledError:
            if request.granted.done() and not request.granted.cancelled():
                self.release(request.granted.result())
            else:
                self._queue.remove(request)
                self.reconcile()
            raise

    def release(self, lease: Lease) -> None:
        """Take back a job's nodes."""
        for member in lease.members:
            member.job = None
            if member.state == NodeState.RUNNING:
                self._become_idle(member)
        self.reconcile()

    async def close(self) -> None:
        """End every node."""
        self._is_closed = True
        for request in self._queue:
            request.granted.cancel()
        self._queue.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(member.node.stop() for member in self.members if member.node))
        self.members.clear()

    def reconcile(self) -> None:
        """Give nodes to the jobs that are next, and begin to start or to end nodes where their number is not right."""
        if self._is_closed:
            return
        self._grant()
        alive = sum(member.state in (NodeState.PREPARING, NodeState.IDLE, NodeState.RUNNING) for member in self.members)
        for _ in range(self.target - alive):
            member = Member()
            self.members.append(member)
            self._spawn(self._start(member))
        for member in self.members:
            if member.state == NodeState.IDLE and member.idle_timer is None and alive > self._scale.least:
                delay = 0.0 if alive > self._scale.most else real_seconds(self._scale.idle_seconds)
                member.idle_timer = asyncio.get_running_loop().call_later(delay, self._retire, member)
        self._on_change()

    def _grant(self) -> None:
        idle = [member for member in self.members if member.state == NodeState.IDLE]
        while self._queue and self._queue[0].count <= len(idle):
            request = self._queue.popleft()
            taken, idle = idle[: request.count], idle[request.count :]
            for member in taken:
                member.job, member.state = request.job, NodeState.RUNNING
                self._stop_timer(member)
            request.granted.set_result(Lease(request.job, taken))

    async def _start(self, member: Member) -> None:
        """Start a node and watch it to its end."""
        if self._failures:
            await asyncio.sleep(START_AGAIN_AFTER[min(self._failures, len(START_AGAIN_AFTER)) - 1])
        try:
            member.node = await self._nodes.start_node(self._environment())
        except (NodeError, OSError) as error:
            logger.warning("a node did not start: %s", error)
            self._failures += 1
            self._forget(member)
            return
        self._failures = 0
        self._become_idle(member)
        self.reconcile()
        await asyncio.shield(member.node.process.ended)
        self._forget(member)

    def _become_idle(self, member: Member) -> None:
        member.state = NodeState.IDLE

    def _retire(self, member: Member) -> None:
        """End a node that was idle long enough, if there are still more than the least."""
        member.idle_timer = None
        alive = sum(one.state in (NodeState.PREPARING, NodeState.IDLE, NodeState.RUNNING) for one in self.members)
        if member.state != NodeState.IDLE or alive <= self._scale.least:
            return
        member.state = NodeState.LEAVING
        assert member.node is not None  # noqa: S101 - it was idle
        self._spawn(member.node.stop())
        self._on_change()

    def _forget(self, member: Member) -> None:
        self._stop_timer(member)
        if member in self.members:
            self.members.remove(member)
        self.reconcile()

    def _stop_timer(self, member: Member) -> None:
        if member.idle_timer:
            member.idle_timer.cancel()
            member.idle_timer = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
