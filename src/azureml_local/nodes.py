"""The nodes of computes, as commands on this machine see them and take those of low priority away on purpose."""

from __future__ import annotations

from typing import Any

from azureml_local.arm.compute import computes
from azureml_local.arm.context import Context
from azureml_local.engines.compute.pool import Pool, PreemptionError
from azureml_local.store import Resource

MOST_PREEMPTIONS = 3600.0  # an hour, for each node


def listed(context: Context, compute: str | None) -> list[dict[str, Any]]:
    """Return the nodes of one compute, or of all, serverless ones included.

    Raises:
        PreemptionError: there is no such compute.
    """
    chosen = _find(context, compute).key if compute else ""
    return [
        {
            "compute": compute_id.split("/", 8)[8],
            "node": member.name,
            "state": str(member.state),
            "job": member.job,
            "created": member.created.isoformat(timespec="seconds"),
        }
        for compute_id, pool in context.pools
        # An attached Kubernetes cluster has a pool for each instance type, below it.
        if not chosen or f"{compute_id}/".startswith(f"{chosen}/")
        for member in pool.members
    ]


def preempt(context: Context, compute: str, node: str | None) -> str:
    """Take a node away and return its name; without ``node``, one that has a job, or else any.

    Raises:
        PreemptionError: there is no such compute or node, or it is not of low priority.
    """
    return _pool(context, _find(context, compute)).preempt(node)


def set_preemption(context: Context, compute: str, rate: float, seed: int) -> None:
    """Set how often the nodes of a cluster are taken away; the setting is kept until it is changed.

    Args:
        context: the service's.
        compute: the cluster's name, or ``workspace/name``.
        rate: how many preemptions are expected of each node in an hour of the service's clock; 0 for none.
        seed: decides when they happen.

    Raises:
        PreemptionError: there is no such compute, it is not of low priority, or the rate is out of bounds.
    """
    if not 0 <= rate <= MOST_PREEMPTIONS:
        raise PreemptionError(f"The rate is {rate:g}; it must be 0 to {MOST_PREEMPTIONS:g} preemptions an hour.")
    found = _find(context, compute)
    if not _pool(context, found).low_priority:
        raise PreemptionError(f"Compute '{found.name}' is dedicated: its nodes are never preempted.")
    found.body["preemption"] = {"rate": rate, "seed": seed}
    context.store.save(found)
    computes.open_pool(context, found)


def _find(context: Context, name: str) -> Resource:
    """Return a compute by its name, or by ``workspace/name`` where several workspaces have one of that name."""
    found = [
        compute
        for compute in context.store.all_of(computes.TYPE)
        if name.lower() in (compute.name.lower(), f"{compute.id.split('/')[-3]}/{compute.name}".lower())
    ]
    if len(found) > 1:
        which = ", ".join(f"{compute.id.split('/')[-3]}/{compute.name}" for compute in found)
        raise PreemptionError(f"Several computes are called '{name}': {which}. Name the workspace, too.")
    if not found:
        known = ", ".join(compute.name for compute in context.store.all_of(computes.TYPE)) or "none"
        raise PreemptionError(f"There is no compute '{name}'. There are: {known}.")
    return found[0]


def _pool(context: Context, compute: Resource) -> Pool:
    pool = context.pools.get(compute.id)
    if pool is None:
        raise PreemptionError(
            f"Compute '{compute.name}' has no nodes: it is {compute.properties['provisioningState']}."
        )
    return pool
