"""Where a job runs: the cluster or instance that it names, or serverless compute where it names none.

https://learn.microsoft.com/azure/machine-learning/how-to-use-serverless-compute
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from azureml_local.arm import ids
from azureml_local.arm.compute import compute_clusters, compute_nodes, computes, kubernetes_clusters, quotas, vm_sizes
from azureml_local.arm.context import Context
from azureml_local.arm.jobs import kubernetes_pools
from azureml_local.engines.compute.pool import AllocationError, Pool, Scale
from azureml_local.store import Resource

SERVERLESS = "serverless"  # azure-ai-ml's word, constants/_common.py, SERVERLESS_COMPUTE
# "the default … is determined by quota, cost, performance, and disk size": this size had a job of 2024 that named none.
DEFAULT_SIZE = "Standard_D4s_v3"
SPOT = "Spot"


def pool_for(context: Context, job: Resource) -> Pool:
    """Return the pool that a command job's nodes come from.

    Args:
        context: the service's.
        job: as stored; its ``computeId``, ``resources`` and ``queueSettings`` decide.

    Raises:
        AllocationError: there is no such compute, or it can never have the nodes that the job wants.
    """
    properties = job.properties
    compute_id = properties.get("computeId")
    resources = properties.get("resources") or {}
    nodes = resources.get("instanceCount") or 1
    if compute_id is None:
        tier = (properties.get("queueSettings") or {}).get("jobTier")
        return _serverless(
            context, job, resources.get("instanceType") or DEFAULT_SIZE, nodes, low_priority=tier == SPOT
        )
    compute = context.store.get(compute_id)
    if compute is None:
        raise AllocationError(f"AzureMLCompute cluster {compute_id.rpartition('/')[2]} does not exist")
    state = compute.properties["provisioningState"]
    size = compute.properties["properties"].get("vmSize")  # attached computes have none
    if size and vm_sizes.find(size) is None:
        state = "Failed"  # at the latest in a moment
    if state in ("Failed", "Deleting"):
        message = f"AzureMLCompute cluster {compute.name} is in {state.lower()} state and thus not ready for runs"
        raise AllocationError(message)
    if compute.properties["computeType"] == compute_clusters.COMPUTE_TYPE:
        _require_quota(context, compute_clusters.kind_of(compute), nodes)
    if compute.properties["computeType"] == kubernetes_clusters.COMPUTE_TYPE:
        return kubernetes_pools.pool_for(context, compute, resources.get("instanceType"))
    pool = context.pools.get(compute.id) or computes.open_pool(context, compute)
    if pool is None:
        raise AllocationError(
            f"Compute {compute.name} is of the type {compute.properties['computeType']}: no job runs on it"
        )
    return pool


def _serverless(context: Context, job: Resource, size_name: str, nodes: int, *, low_priority: bool) -> Pool:
    """Return the pool of the nodes of one size that no compute has; they leave as soon as no job wants them."""
    workspace = ids.workspace_of(job.id)
    size = vm_sizes.find(size_name)
    if size is None or size.retired:
        raise AllocationError(
            f"The specified value {size_name} for property Cluster.Properties.VMSize is not a supported VM size."
        )
    tier = SPOT if low_priority else "Standard"
    compute_id = f"{workspace}/{SERVERLESS}/{tier}/{size.name}"
    kind = quotas.Use(compute_id, workspace, size, 0, low_priority)
    _require_quota(context, kind, nodes)
    most = quotas.ceiling(context, kind) // size.vcpus
    return context.pools.set(
        compute_id,
        Scale(0, most, 0.0),
        compute_nodes.room(context, kind),
        _ServerlessEvents(context, kind),
        low_priority=low_priority,
    )


def _require_quota(context: Context, kind: quotas.Use, nodes: int) -> None:
    """Raise Azure's refusal of a job whose nodes the subscription could never have.

    Its words are those of https://github.com/MicrosoftLearning/mslearn-dp100/issues/35.
    """
    limit, needed = quotas.ceiling(context, kind), nodes * kind.size.vcpus
    if needed <= limit:
        return
    family = compute_nodes.family_name(kind.size)
    raise AllocationError(
        "Job submission to AzureML Compute encountered an Exception with status code JobNodeCountExceedsCoreQuota, The "
        f"specified subscription has a {family} family vCPU quota of {limit} and is less than the requested job node "
        f"count of {nodes} which maps to {needed} vCPUs. Talk to your Subscription Admin or refer to "
        f"{compute_nodes.QUOTA_INCREASES} to increase the {family} family vCPU quota"
    )


class _ServerlessEvents(compute_nodes.NodeEvents):
    """Is told of each change of serverless nodes; ``kind`` is what one of them is to the quotas."""

    def __init__(self, context: Context, kind: quotas.Use) -> None:
        super().__init__(context, kind.compute)
        self.kind = kind


@quotas.consumer
def _uses(context: Context) -> Iterable[quotas.Use]:
    return compute_nodes.uses(_kinds_and_pools(context))


def _kinds_and_pools(context: Context) -> Iterator[tuple[quotas.Use, Pool]]:
    for _, pool in context.pools:
        if isinstance(pool.observer, _ServerlessEvents) and pool.size:
            yield pool.observer.kind, pool
