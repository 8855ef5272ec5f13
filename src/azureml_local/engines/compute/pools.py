"""The pools of all computes, by the computes' ids in any case."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator

from azureml_local.engines.compute.hosts import Hosts, HostStarter
from azureml_local.engines.compute.nodes import Nodes
from azureml_local.engines.compute.pool import Observer, Pool, Scale

logger = logging.getLogger(__name__)


def machine_capacity() -> int:
    """Return how many nodes this machine holds at a time, of all computes together.

    A node takes some 90 MiB, and a core while it works; a job of several nodes has to be possible on two cores, too.
    """
    return max(8, 2 * (os.cpu_count() or 1))


class Pools:
    """Makes pools and ends them.

    Args:
        nodes: starts the nodes on this machine.
        capacity: how many of these there may be in all.
        hosts: makes nodes of workers on other machines, for the computes that they are tagged with.
    """

    def __init__(self, nodes: Nodes, capacity: int, hosts: Hosts) -> None:
        self._nodes = nodes
        self.capacity = capacity
        self._hosts = hosts
        self._pools: dict[str, Pool] = {}
        self._preparing: asyncio.Task[None] | None = None

    def __iter__(self) -> Iterator[tuple[str, Pool]]:
        """Yield each compute's id in lower case with its pool."""
        return iter(self._pools.items())

    def get(self, compute_id: str) -> Pool | None:
        """Return a compute's nodes, or None where it has none."""
        return self._pools.get(compute_id.lower())

    def set(
        self,
        compute_id: str,
        scale: Scale,
        room: Callable[[], int],
        observer: Observer,
        *,
        low_priority: bool = False,
    ) -> Pool:
        """Make a compute's pool, or scale the one that it has; the arguments are those of :class:`Pool`."""
        pool = self.get(compute_id)
        if pool is not None:
            pool.scale = scale
            return pool
        name = compute_id.rpartition("/")[2]
        starter = self._hosts.starter(name) or self._nodes
        if self._preparing is None and not starter.is_elsewhere:  # so that the first node need not wait for it
            self._preparing = asyncio.get_running_loop().create_task(self._prepare())
        made = Pool(
            starter,
            name,
            scale,
            lambda: min(room(), self._left(made)),
            observer,
            low_priority=low_priority,
        )
        self._pools[compute_id.lower()] = made
        made.reconcile()
        return made

    @property
    def capacity_left(self) -> int:
        """How many nodes more this machine holds."""
        return self.capacity - sum(pool.size for pool in self._pools.values() if not pool.is_elsewhere)

    def _left(self, pool: Pool) -> int:
        """Return how many nodes more a pool can have, of this machine or of its tagged workers."""
        starter = pool.starter
        if not isinstance(starter, HostStarter):
            return self.capacity_left
        return starter.count - sum(one.size for one in self._pools.values() if one.starter is starter)

    def named(self, names: Collection[str]) -> list[Pool]:
        """Return the pools of the computes of these names, in any case."""
        lower = {name.lower() for name in names}
        return [pool for pool in self._pools.values() if pool.name.lower() in lower]

    async def choose_starters(self, pools: Iterable[Pool]) -> None:
        """Have pools, no job of which runs or waits, take their nodes from where those are now to come from."""
        for pool in pools:
            await pool.end_nodes()
            pool.starter = self._hosts.starter(pool.name) or self._nodes
            pool.reconcile()

    def retry(self) -> None:
        """Start the nodes for which there was no room, now that there may be."""
        for pool in list(self._pools.values()):
            if pool.lacks_room:
                pool.reconcile()

    async def _prepare(self) -> None:
        try:
            await self._nodes.prepare()
        except OSError as error:
            logger.warning("nodes cannot be started yet: %s", error)  # the first node tries again

    async def remove(self, compute_id: str) -> None:
        """End a compute's nodes."""
        pool = self._pools.pop(compute_id.lower(), None)
        if pool:
            await self.end([pool])

    def take_below(self, workspace_id: str) -> list[Pool]:
        """Forget the pools of all computes in a workspace, and return them to be ended."""
        prefix = f"{workspace_id.lower()}/"
        return [self._pools.pop(compute_id) for compute_id in list(self._pools) if compute_id.startswith(prefix)]

    async def end(self, pools: list[Pool]) -> None:
        """End the nodes of pools that were forgotten; what waits for room may have theirs."""
        await asyncio.gather(*(pool.close() for pool in pools))
        self.retry()

    async def close(self) -> None:
        """End every node."""
        if self._preparing:
            await self._preparing
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        await self._nodes.close()
