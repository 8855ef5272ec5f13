"""The events that azureml-local writes to Azure Monitor: for each kind what a caller knows, and the columns it makes.

One line tells of a change, within the transaction that makes it::

    with context.store.transaction():
        context.store.save(job)
        context.events.emit(workspace.id, JobEvent("JobFailed", job_id=…, job_name=…, experiment=…, error_message=…))

The columns' meanings are in Azure Monitor's table reference (see :mod:`azureml_local.engines.log_store.tables`), and,
with more words, in Azure ML's own of 2019 (azure-docs, articles/machine-learning/monitor-resource-reference.md). Times
are ISO 8601 text in UTC, as :func:`azureml_local.store.timestamp` returns them. What is ``None`` or left out has no
value: an empty string where the column is text. Columns that no source describes, those of Azure's VM images
(``Publisher``, ``Offer``, ``Sku``, ``Version``), and those of what there is not here or is not kept, such as subnets,
and the times of a node's boot and of its resize, stay empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from azureml_local.store import Resource

Record = Mapping[str, Any]
Priority = Literal["Dedicated", "LowPriority"]

# EventType and OperationName (Azure's sample queries ask for either), and the ExecutionState that goes with each.
# The reference names the first four "for example"; of a job that was canceled it says nothing.
JobEventType = Literal["JobSubmitted", "JobRunning", "JobSucceeded", "JobFailed", "JobCanceled"]
EXECUTION_STATES: Mapping[JobEventType, str] = {
    "JobSubmitted": "queued",
    "JobRunning": "running",
    "JobSucceeded": "succeeded",
    "JobFailed": "failed",
    "JobCanceled": "canceled",
}


class Event(Protocol):
    """What can be written to a table of Azure Monitor."""

    category: ClassVar[str]

    def record(self, workspace: Resource) -> Record:
        """Return the event's own columns; ``None`` where one has no value."""


@dataclass(frozen=True)
class JobEvent:
    """A job of a compute was submitted, runs, or has ended; also a pipeline's step, but not the pipeline.

    Args:
        event: what has happened.
        job_id: the run's id; ``job_name`` is its display name or the same.
        experiment: the experiment's name; ``experiment_id`` its id.
        cluster_id: the id of the compute that it runs on; None for serverless compute.
        error_message: why it failed; ``error_details`` is the whole error as JSON.
    """

    category: ClassVar[str] = "AmlComputeJobEvent"

    event: JobEventType
    job_id: str
    job_name: str
    experiment: str
    experiment_id: str | None = None
    cluster_id: str | None = None
    error_message: str | None = None
    error_details: str | None = None

    def record(self, workspace: Resource) -> Record:
        """Return the event's own columns."""
        _, _, subscription, _, group, *_ = workspace.id.split("/")
        return {
            "EventType": self.event,
            "OperationName": self.event,
            "ExecutionState": EXECUTION_STATES[self.event],
            "JobId": self.job_id,
            "JobName": self.job_name,
            "ExperimentId": self.experiment_id,
            "ExperimentName": self.experiment,
            "ClusterId": self.cluster_id,
            "ClusterName": self.cluster_id and self.cluster_id.rpartition("/")[2],
            "ClusterResourceGroupName": self.cluster_id and self.cluster_id.split("/")[4],
            "ProvisioningState": "Succeeded",
            "JobErrorMessage": self.error_message,
            "ErrorDetails": self.error_details,
            "CustomerSubscriptionId": subscription,
            "ResourceGroupName": group,
            "WorkspaceName": workspace.name,
        }


@dataclass(frozen=True, kw_only=True)
class NodeCounts:
    """How many nodes a cluster has in each state; ``preempted`` ones are no longer among ``current``."""

    current: int
    target: int
    idle: int = 0
    running: int = 0
    preparing: int = 0
    leaving: int = 0
    unusable: int = 0
    preempted: int = 0


@dataclass(frozen=True)
class ClusterEvent:
    """A cluster was created, resized or deleted, or counts its nodes anew.

    Args:
        event: what has happened, e.g. ``ClusterResized``; no public source has Azure's words.
        nodes: its nodes after it.
        minimum, maximum: the scale settings; ``idle_seconds`` before it scales down.
        vm_size, vm_family: as :mod:`azureml_local.arm.compute.vm_sizes` writes them; ``vcpus`` of one node.
        allocation_state: as the compute's own properties say (``Steady``, ``Resizing``), since
            ``allocation_state_since``.
        quota: the vCPUs that the family may use, and those that it uses.
        created_by: the object id of whoever made it.
    """

    category: ClassVar[str] = "AmlComputeClusterEvent"

    event: str
    name: str
    nodes: NodeCounts
    minimum: int
    maximum: int
    idle_seconds: int
    vm_size: str
    vm_family: str
    vcpus: int
    priority: Priority
    allocation_state: str
    allocation_state_since: str
    quota: tuple[int, int]
    created_by: str | None

    def record(self, workspace: Resource) -> Record:
        """Return the event's own columns."""
        allocated, utilized = self.quota
        return {
            "EventType": self.event,
            "OperationName": self.event,
            "ClusterName": self.name,
            "ClusterType": "AmlCompute",
            "ProvisioningState": "Succeeded",
            "AllocationState": self.allocation_state,
            "AllocationStateTransitionTime": self.allocation_state_since,
            "CoreCount": self.vcpus * self.nodes.current,
            "CreatedBy": self.created_by,
            "CurrentNodeCount": self.nodes.current,
            "TargetNodeCount": self.nodes.target,
            "IdleNodeCount": self.nodes.idle,
            "RunningNodeCount": self.nodes.running,
            "PreparingNodeCount": self.nodes.preparing,
            "LeavingNodeCount": self.nodes.leaving,
            "UnusableNodeCount": self.nodes.unusable,
            "PreemptedNodeCount": str(self.nodes.preempted),
            "InitialNodeCount": self.minimum,
            "MinimumNodeCount": self.minimum,
            "MaximumNodeCount": self.maximum,
            "NodeIdleTimeSecondsBeforeScaleDown": self.idle_seconds,
            "IsResizeGrow": str(self.nodes.target > self.nodes.current),
            "QuotaAllocated": str(allocated),
            "QuotaUtilized": str(utilized),
            "ScalingType": "manual" if self.minimum == self.maximum else "auto",
            "VmFamilyName": self.vm_family,
            "VmPriority": self.priority,
            "VmSize": self.vm_size.upper(),  # as in Azure's sample queries: STANDARD_D1_V2
        }


@dataclass(frozen=True)
class NodeEvent:
    """A node was asked for, is idle, runs a job, or leaves.

    Args:
        event: what has happened, e.g. ``NodeIdle``; no public source has Azure's words.
        cluster: the cluster's name; ``cluster_created`` is when it was made, None where it is no longer known.
        allocated: when the node was asked for.
        active_seconds: how long it was there in all; set when it is gone.
    """

    category: ClassVar[str] = "AmlComputeClusterNodeEvent"

    event: str
    node_id: str
    cluster: str
    vm_size: str
    vm_family: str
    priority: Priority
    cluster_created: str | None
    allocated: str
    active_seconds: float | None = None

    def record(self, workspace: Resource) -> Record:
        """Return the event's own columns."""
        return {
            "OperationName": self.event,
            "NodeId": self.node_id,
            "ClusterName": self.cluster,
            "ClusterCreationTime": self.cluster_created,
            "VmSize": self.vm_size.upper(),
            "VmFamilyName": self.vm_family,
            "VmPriority": self.priority,
            "NodeAllocationTime": self.allocated,
            "TotalE2ETimeInSeconds": None if self.active_seconds is None else str(self.active_seconds),
        }


@dataclass(frozen=True)
class RunStatusEvent:
    """A run's status has changed.

    Args:
        run_id: the job's name.
        root: that of the outermost pipeline job that it is part of, its own where there is none.
        status: the new one, e.g. ``Running`` or ``Completed``.
        parent: the name of the pipeline job that it is a step of.
        user: who or what has changed it.
    """

    category: ClassVar[str] = "AmlRunStatusChangedEvent"

    run_id: str
    root: str
    status: str
    parent: str | None = None
    user: str | None = None
    message: str | None = None

    def record(self, workspace: Resource) -> Record:
        """Return the event's own columns."""
        return {
            "OperationName": "RunStatusChanged",
            "RunId": self.run_id,
            "ParentRunId": self.parent,
            "RootRunId": self.root,
            "Status": self.status,
            "Message": self.message,
            "Level": "Error" if self.status == "Failed" else "Informational",
            "Location": workspace.body["location"],
            "TriggeringUserName": self.user,
            "WorkspaceId": workspace.properties["workspaceId"],
            "WorkspaceName": workspace.name,
        }
