"""What Azure Monitor hears of a cluster and its nodes: a log event for each change, as it happens.

No public source has Azure's words for what happens to them. Here a node's event is named after the state that it comes
into, e.g. ``NodeIdle``; a cluster's says what its allocation has become.
"""

from __future__ import annotations

import logging
import sqlite3
from datetime import UTC, datetime

from azureml_local.arm.compute import compute_nodes, quotas
from azureml_local.arm.compute.quotas import Use
from azureml_local.arm.context import Context
from azureml_local.arm.monitor.log_events import ClusterEvent, Event, NodeCounts, NodeEvent, Priority
from azureml_local.engines.compute.pool import Member, NodeState, Pool
from azureml_local.store import Resource

logger = logging.getLogger(__name__)

CREATED, DELETED = "ClusterCreated", "ClusterDeleted"
RESIZING, STEADY = "ClusterResizing", "ClusterSteady"
GONE = "NodeDeallocated"


class ClusterEvents(compute_nodes.NodeEvents):
    """Is told of each change of a cluster's nodes, and writes it to the log.

    Args:
        context: the service's.
        kind: what a node of the cluster is to the quotas.
    """

    def __init__(self, context: Context, kind: Use) -> None:
        super().__init__(context, kind.compute)
        self._kind = kind

    def node_changed(self, pool: Pool, member: Member) -> None:
        """Learn that a node has come into a state."""
        super().node_changed(pool, member)
        self._write(self._of_node(f"Node{member.state.title()}", member))

    def node_gone(self, pool: Pool, member: Member) -> None:
        """Learn that a node is gone."""
        super().node_gone(pool, member)
        self._write(self._of_node(GONE, member, (datetime.now(UTC) - member.created).total_seconds()))

    def allocation_changed(self, pool: Pool) -> None:
        """Learn that the nodes begin to become more or less, or do not any more."""
        super().allocation_changed(pool)
        self.tell(RESIZING if pool.is_resizing else STEADY, pool)

    def tell(self, event: str, pool: Pool) -> None:
        """Write that something has happened to the cluster."""
        counts, size, cluster = pool.counts(), self._kind.size, self._stored
        nodes = NodeCounts(
            current=pool.size,
            target=pool.target,
            **{str(state): counts[state] for state in NodeState},
        )
        self._write(
            ClusterEvent(
                event,
                name=pool.name,
                nodes=nodes,
                minimum=pool.scale.least,
                maximum=pool.scale.most,
                idle_seconds=round(pool.scale.idle_seconds),
                vm_size=size.name,
                vm_family=size.family,
                vcpus=size.vcpus,
                priority=self._priority,
                allocation_state="Resizing" if pool.is_resizing else "Steady",
                allocation_state_since=pool.allocated_at.isoformat(),
                quota=(quotas.ceiling(self._context, self._kind), pool.size * size.vcpus),
                created_by=cluster.created_by if cluster else None,
            )
        )

    @property
    def _stored(self) -> Resource | None:
        """The cluster; None where it is deleted already, while its last nodes leave."""
        return self._context.store.get(self._kind.compute)

    @property
    def _priority(self) -> Priority:
        return "LowPriority" if self._kind.low_priority else "Dedicated"

    def _of_node(self, event: str, member: Member, active_seconds: float | None = None) -> NodeEvent:
        size, cluster = self._kind.size, self._stored
        return NodeEvent(
            event,
            node_id=member.name,
            cluster=self._kind.compute.rpartition("/")[2],
            vm_size=size.name,
            vm_family=size.family,
            priority=self._priority,
            cluster_created=cluster.created_at if cluster else None,
            allocated=member.created.isoformat(),
            active_seconds=active_seconds,
        )

    def _write(self, event: Event) -> None:
        """Write an event. Nodes come and go whether or not it can be written."""
        try:
            self._context.events.emit(self._kind.workspace, event)
        except sqlite3.OperationalError as error:
            logger.error("an event of %s is lost: %s", self._kind.compute, error)
