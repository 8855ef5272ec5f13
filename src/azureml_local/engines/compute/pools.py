"""The pools of all computes, by the computes' ids in any case."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from azureml_local.engines.compute.nodes import Nodes
from azureml_local.engines.compute.pool import Pool, Scale


class Pools:
    """Makes pools and ends them.

    Args:
        nodes: starts their nodes.
        environment: returns what is added to the environment of each node.
    """

    def __init__(self, nodes: Nodes, environment: Callable[[], Mapping[str, str]]) -> None:
        self._nodes = nodes
        self._environment = environment
        self._pools: dict[str, Pool] = {}

    def get(self, compute_id: str) -> Pool | None:
        """Return a compute's nodes, or None where it has none."""
        return self._pools.get(compute_id.lower())

    def set(self, compute_id: str, scale: Scale, on_change: Callable[[], None]) -> Pool:
        """Make a compute's pool, or scale the one that it has."""
        pool = self.get(compute_id)
        if pool is None:
            pool = self._pools[compute_id.lower()] = Pool(self._nodes, scale, self._environment, on_change)
            pool.reconcile()
        else:
            pool.scale = scale
        return pool

    async def remove(self, compute_id: str) -> None:
        """End a compute's nodes."""
        pool = self._pools.pop(compute_id.lower(), None)
        if pool:
            await pool.close()

    async def close(self) -> None:
        """End every node."""
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        await self._nodes.close()
