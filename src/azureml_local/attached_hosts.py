"""An existing Dask scheduler whose workers are nodes of computes: as commands on this machine attach and see it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from azureml_local.arm.context import Context
from azureml_local.engines.compute.hosts import HostsError, SchedulerSettings
from azureml_local.engines.compute.pool import Pool

ID, TYPE = "/azureml-local/hosts", "local/hosts"


def resume(context: Context) -> None:
    """Go on with the scheduler that was attached before the service was started."""
    stored = context.store.get(ID)
    if stored:
        context.hosts.use(SchedulerSettings(**{**stored.body, "computes": tuple(stored.body["computes"])}))


async def attach(context: Context, settings: SchedulerSettings) -> None:
    """Take the nodes of some computes from a scheduler's tagged workers, until they are detached.

    Raises:
        HostsError: another one is attached, it is not reached, or a job runs on one of the computes or waits for it.
    """
    if context.hosts.settings:
        raise HostsError(f"{context.hosts.settings.address} is attached: azureml-local hosts detach ends that.")
    pools = context.pools.named(settings.computes)
    _require_idle(pools)
    await context.hosts.connect(settings)
    with context.store.transaction():
        context.store.put(ID, TYPE, "", asdict(settings), "")
    await context.pools.choose_starters(pools)


async def detach(context: Context) -> None:
    """Take nodes from this machine again.

    Raises:
        HostsError: nothing is attached, or a job runs on one of the computes or waits for it.
    """
    settings = context.hosts.settings
    if settings is None:
        raise HostsError("No scheduler is attached.")
    pools = context.pools.named(settings.computes)
    _require_idle(pools)
    for pool in pools:
        await pool.end_nodes()
    await context.hosts.close()
    with context.store.transaction():
        context.store.delete(ID)
    await context.pools.choose_starters(pools)


def listed(context: Context) -> dict[str, Any]:
    """Return the scheduler and its tagged workers."""
    hosts = context.hosts
    jobs = {member.node: member.job for _, pool in context.pools for member in pool.members if member.node}
    return {
        "scheduler": hosts.settings.address if hosts.settings else None,
        "computes": list(hosts.settings.computes) if hosts.settings else [],
        "problem": hosts.problem,
        "workers": [
            {
                "name": worker.name,
                "address": worker.address,
                "computes": list(worker.computes),
                "problem": worker.problem,
                "node": worker.node.name if worker.node else None,
                "job": jobs.get(worker.node) if worker.node else None,
            }
            for worker in hosts
        ],
    }


def _require_idle(pools: Iterable[Pool]) -> None:
    busy = [pool.name for pool in pools if pool.is_busy]
    if busy:
        raise HostsError(f"Jobs run on {', '.join(busy)}, or wait for it: cancel them, or let them end.")
