"""What computes of every kind have in common that have nodes: sizes, quotas, and who is told of a node's changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from azureml_local.arm.compute import quotas, vm_sizes
from azureml_local.arm.compute.computes import ProvisioningError
from azureml_local.arm.compute.vm_sizes import Size
from azureml_local.arm.context import Context
from azureml_local.engines.compute.pool import Member, Pool

logger = logging.getLogger(__name__)

QUOTA_INCREASES = "https://docs.microsoft.com/azure/machine-learning/how-to-manage-quotas#request-quota-increases"


def supported_size(name: str, compute_type: str) -> Size:
    """Return a size. Raises Azure's error where it has none of the name, or does not take it for this kind of compute.

    The error is that of https://github.com/Azure/MachineLearningNotebooks/issues/1169.
    """
    size = vm_sizes.find(name)
    if size and not size.retired and compute_type in size.compute_types():
        return size
    supported = (
        size.name.upper()
        for family in vm_sizes.families().values()
        for size in family.sizes
        if not size.retired and compute_type in size.compute_types()
    )
    raise ProvisioningError(
        "InvalidPropertyValue",
        f"The specified value {name} for property Cluster.Properties.VMSize is not a supported VM size. See additional "
        "details for supported VM sizes.",
        (("SupportedVMSizes", ",".join(supported)),),
    )


def require_quota(context: Context, kind: quotas.Use, nodes: int) -> None:
    """Raise Azure's error where the subscription could not even have a compute's first nodes.

    Whether others use it up is not asked here: nodes wait until there is room. Words (sic) from
    https://github.com/dotnet/machinelearning-modelbuilder/issues/2140 and https://github.com/Azure/mlops-v2/issues/81.
    """
    limit, needed = quotas.ceiling(context, kind), nodes * kind.size.vcpus
    if needed <= limit:
        return
    if kind.low_priority:
        which, advice, noun = "total", "", "node"
    else:
        which, noun = f"{family_name(kind.size)} family", "nodes"
        advice = f" Talk to your Subscription Admin or refer to {QUOTA_INCREASES} to increase the family quota"
    raise ProvisioningError(
        "ClusterMinNodesExceedCoreQuota",
        f"The specified subscription has a {which} vCPU quota of {limit} and cannot accomodate for at least {nodes} "
        f"requested managed compute {noun} which maps to {needed} vCPUs.{advice}",
    )


def family_name(size: Size) -> str:
    """Return the name of a size's family as messages have it, e.g. ``Standard DSv2``."""
    return quotas.name_of(vm_sizes.families()[size.family]).partition(" Family ")[0]


def room(context: Context, kind: quotas.Use) -> Callable[[], int]:
    """Return a function that returns how many nodes more of a kind the quotas admit."""
    return lambda: quotas.room(context, kind) // kind.size.vcpus


def why_not_more(context: Context, kind: quotas.Use, pool: Pool) -> list[dict[str, Any]] | None:
    """Return what keeps a pool from the nodes that it lacks, as Azure's ``errors``; None where nothing does."""
    found = []
    if pool.lacks_room:
        free = quotas.room(context, kind)
        if pool.is_elsewhere:
            found.append(("OutOfCapacity", pool.starter.why_not_more))
        elif context.pools.capacity_left <= max(free, 0) // kind.size.vcpus:
            found.append(
                ("OutOfCapacity", f"This machine holds {context.pools.capacity} nodes at a time, of all computes.")
            )
        else:
            message = f"{family_name(kind.size)} family vCPUs are used up: {max(free, 0)} are left, a node takes "
            found.append(("ClusterCoreQuotaReached", f"{message}{kind.size.vcpus}."))
    if pool.start_error:
        found.append(("AllocationFailed", pool.start_error))
    return [{"error": {"code": code, "message": message}} for code, message in found] or None


class NodeEvents:
    """Is told of each change of a compute's nodes: the one place from which these become known.

    Args:
        context: the service's.
        compute_id: the compute's.
    """

    def __init__(self, context: Context, compute_id: str) -> None:
        self._context = context
        self._compute_id = compute_id

    def node_changed(self, pool: Pool, member: Member) -> None:
        """Learn that a node has come into a state."""
        logger.debug("node %s of %s is %s", member.name, self._compute_id, member.state)

    def node_gone(self, pool: Pool, member: Member) -> None:
        """Learn that a node is gone: there may be room for others."""
        logger.debug("node %s of %s is gone", member.name, self._compute_id)
        asyncio.get_running_loop().call_soon(self._context.pools.retry)

    def busy_changed(self, pool: Pool) -> None:
        """Learn that the first job has a node or waits for one, or that none does any more."""
        logger.debug("%s is %s", self._compute_id, "busy" if pool.is_busy else "idle")

    def allocation_changed(self, pool: Pool) -> None:
        """Learn that the nodes begin to become more or less, or do not any more."""
        logger.debug("%s is %s", self._compute_id, "resizing" if pool.is_resizing else "steady")


def uses(kinds: Iterable[tuple[quotas.Use, Pool]]) -> Iterator[quotas.Use]:
    """Yield what computes take of the quotas now, by the nodes that they have."""
    for kind, pool in kinds:
        yield replace(kind, vcpus=pool.size * kind.size.vcpus)
