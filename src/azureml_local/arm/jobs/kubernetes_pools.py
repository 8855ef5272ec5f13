"""The nodes of jobs on an attached Kubernetes cluster: one pool for each instance type, a node being a pod.

https://learn.microsoft.com/azure/machine-learning/how-to-manage-kubernetes-instance-types. A node lasts for as long as
a job wants it, and asks the cluster for what its instance type requests; a job that finds no room waits, as on Azure.
"""

from __future__ import annotations

from azureml_local.arm.compute import compute_nodes, kubernetes_clusters
from azureml_local.arm.context import Context
from azureml_local.engines.compute.pool import AllocationError, Member, Pool, Scale
from azureml_local.engines.kubernetes.scheduling import Pod
from azureml_local.http.errors import FrontendError, said
from azureml_local.store import Resource


def pool_for(context: Context, compute: Resource, instance_type: str | None) -> Pool:
    """Return the pool of the nodes of one instance type; by default the cluster's default.

    Raises:
        AllocationError: the cluster cannot be used, or has no such instance type.
    """
    try:
        kubernetes_clusters.require_usable(context, compute.id)
        pod = kubernetes_clusters.pod(context, compute, instance_type)
    except FrontendError as error:
        raise AllocationError(f"Azure Machine Learning Kubernetes job failed. {said(error)}") from error
    pool_id = f"{compute.id}/instanceTypes/{pod.instance_type}"
    known = context.pools.get(pool_id)
    if known and isinstance(known.observer, _PodEvents):
        known.observer.pod = pod  # the instance type may have been changed
    events = _PodEvents(context, pool_id, pod)
    return context.pools.set(pool_id, Scale(0, context.pools.capacity, 0.0), events.room, events)


class _PodEvents(compute_nodes.NodeEvents):
    """Counts the nodes of a pool as pods of its cluster."""

    def __init__(self, context: Context, pool_id: str, pod: Pod) -> None:
        super().__init__(context, pool_id)
        self.pod = pod
        self._pool_id = pool_id
        self._scheduler = context.serving.scheduler

    def room(self) -> int:
        """Return how many nodes more the cluster has room for."""
        pool = self._context.pools.get(self._pool_id)
        self._scheduler.restore(self._pool_id, self.pod, pool.size if pool else 0)
        return self._scheduler.room(self.pod)

    def node_changed(self, pool: Pool, member: Member) -> None:
        """Learn that a node has come into a state: its pod has a place."""
        self._scheduler.restore(self._pool_id, self.pod, pool.size)
        super().node_changed(pool, member)

    def node_gone(self, pool: Pool, member: Member) -> None:
        """Learn that a node is gone: its pod is, too."""
        self._scheduler.shrink(self._pool_id, pool.size)
        super().node_gone(pool, member)
