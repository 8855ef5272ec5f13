"""An existing Dask scheduler whose workers are nodes of computes: as commands on this machine attach and see it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from azureml_local.arm.context import Context
from azureml_local.engines.compute.hosts import HostsError, SchedulerSettings
from azureml_local.engines.compute.pool import Pool

TYPE = "local/hosts"


def resume(context: Context) -> None:
    """Go on with the schedulers that were attached before the service was started."""
    for stored in context.store.all_of(TYPE):
        context.hosts.use(SchedulerSettings(**{**stored.body, "computes": tuple(stored.body["computes"])}))


async def attach(context: Context, settings: SchedulerSettings) -> None:
    """Take the nodes of some computes from a scheduler's tagged workers, until it is detached.

    One that is attached for a compute, and is not reached, is replaced; jobs that wait go on waiting.

    Raises:
        HostsError: it is attached already, or another one for one of the computes; it is not reached; a job runs on one
            of the computes or waits for it.
    """
    async with context.hosts.turn:
        if context.hosts.at(settings.address):
            raise HostsError(f"{settings.address} is attached. To change its computes, detach it first.")
        others = {one.settings.address: one for compute in settings.computes if (one := context.hosts.of(compute))}
        for other in others.values():
            if not other.problem:
                names = ", ".join(other.settings.computes)
                raise HostsError(f"The nodes of {names} come from {other.settings.address}: detach that first.")
        pools = context.pools.named(settings.computes)
        _require_idle([pool for pool in pools if not pool.is_elsewhere])
        await context.hosts.connect(settings)
        for address in others:
            await _forget(context, address)
        with context.store.transaction():
            context.store.put(_id(settings.address), TYPE, "", asdict(settings), "")
        await context.pools.choose_starters(pools)


async def detach(context: Context, address: str) -> None:
    """Take the nodes of a scheduler's computes from this machine again.

    Raises:
        HostsError: it is not attached, or a job runs on one of the computes or waits for it.
    """
    async with context.hosts.turn:
        workers = context.hosts.at(address)
        if workers is None:
            known = ", ".join(one.settings.address for one in context.hosts) or "none"
            raise HostsError(f"{address} is not attached. Attached: {known}.")
        pools = context.pools.named(workers.settings.computes)
        _require_idle(pools)
        for pool in pools:
            await pool.end_nodes()
        await _forget(context, address)
        await context.pools.choose_starters(pools)


async def _forget(context: Context, address: str) -> None:
    await context.hosts.leave(address)
    with context.store.transaction():
        context.store.delete(_id(address))


def listed(context: Context) -> list[dict[str, Any]]:
    """Return the schedulers with their tagged workers."""
    jobs = {member.node: member.job for _, pool in context.pools for member in pool.members if member.node}
    return [
        {
            "scheduler": workers.settings.address,
            "computes": list(workers.settings.computes),
            "problem": workers.problem,
            "workers": [
                {
                    "name": worker.name,
                    "address": worker.address,
                    "computes": list(worker.computes),
                    "problem": worker.problem,
                    "node": worker.node.name if worker.node else None,
                    "job": jobs.get(worker.node) if worker.node else None,
                }
                for worker in workers
            ],
        }
        for workers in context.hosts
    ]


def _id(address: str) -> str:
    return f"/azureml-local/hosts/{address}"


def _require_idle(pools: Iterable[Pool]) -> None:
    busy = [pool.name for pool in pools if pool.is_busy]
    if busy:
        raise HostsError(f"Jobs run on {', '.join(busy)}, or wait for it: cancel them, or let them end.")
