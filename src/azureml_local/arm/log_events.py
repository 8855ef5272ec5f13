"""The events that azureml-local writes to Azure Monitor: for each kind what a caller knows, and the columns it makes.

One line tells of a change, within the transaction that makes it::

    with context.store.transaction():
        context.store.save(job)
        context.events.emit(workspace.id, JobEvent("JobFailed", job_id=…, job_name=…, experiment=…, error_message=…))

The columns' meanings are in Azure Monitor's table reference (see :mod:`azureml_local.engines.log_store.tables`), and,
with more words, in Azure ML's own of 2019 (azure-docs, articles/machine-learning/monitor-resource-reference.md). Times
are ISO 8601 text in UTC, as :func:`azureml_local.arm.store.timestamp` returns them. What is ``None`` or left out has no
value: an empty string where the column is text. Columns that no source describes, and those of Azure's VM images
(``Publisher``, ``Offer``, ``Sku``, ``Version``), stay empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from azureml_local.arm.store import Resource

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
    """A job was submitted, runs, or has ended.

    Args:
        event: what has happened.
        job_id: the run's id; ``job_name`` is its display name or the same.
        experiment: the experiment's name; ``experiment_id`` its id.
        cluster_id: the id of the compute that it runs on; None for serverless compute.
        node_id: the node that it runs on, once it does.
        error_message: why it failed; ``error_details`` is the whole error as JSON.
        api_version: of the request that created it.
    """

    category: ClassVar[str] = "AmlComputeJobEvent"

    event: JobEventType
    job_id: str
    job_name: str
    experiment: str
    experiment_id: str | None = None
    cluster_id: str | None = None
    node_id: str | None = None
    provisioning_state: str = "Succeeded"
    error_message: str | None = None
    error_details: str | None = None
    tool_type: str | None = None
    api_version: str | None = None

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
            "NodeId": self.node_id,
            "ProvisioningState": self.provisioning_state,
            "JobErrorMessage": self.error_message,
            "ErrorDetails": self.error_details,
            "ToolType": self.tool_type,
            "CreationApiVersion": self.api_version,
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
        vm_size, vm_family: as :mod:`azureml_local.arm.vm_sizes` writes them; ``vcpus`` of one node.
        provisioning_state, allocation_state: as the compute's own properties say (``Steady``, ``Resizing``), the
            latter since ``allocation_state_since``.
        quota: the vCPUs that the family may use, and those that it uses.
        error_codes: why it could not be created or resized.
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
    provisioning_state: str = "Succeeded"
    allocation_state: str = "Steady"
    allocation_state_since: str | None = None
    quota: tuple[int, int] | None = None
    created_by: str | None = None
    subnet_id: str | None = None
    error_codes: str | None = None
    api_version: str | None = None

    def record(self, workspace: Resource) -> Record:
        """Return the event's own columns."""
        allocated, utilized = self.quota or (None, None)
        return {
            "EventType": self.event,
            "OperationName": self.event,
            "ClusterName": self.name,
            "ClusterType": "AmlCompute",
            "ProvisioningState": self.provisioning_state,
            "AllocationState": self.allocation_state,
            "AllocationStateTransitionTime": self.allocation_state_since,
            "ClusterErrorCodes": self.error_codes,
            "CoreCount": self.vcpus * self.nodes.current,
            "CreatedBy": self.created_by,
            "CreationApiVersion": self.api_version,
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
            "QuotaAllocated": _text(allocated),
            "QuotaUtilized": _text(utilized),
            "ScalingType": "manual" if self.minimum == self.maximum else "auto",
            "SubnetId": self.subnet_id,
            "VmFamilyName": self.vm_family,
            "VmPriority": self.priority,
            "VmSize": self.vm_size.upper(),  # as in Azure's sample queries: STANDARD_D1_V2
        }


@dataclass(frozen=True)
class NodeEvent:
    """A node was allocated, has booted, begins or ends a task, or leaves.

    Args:
        event: what has happened, e.g. ``NodeAllocated``; no public source has Azure's words.
        resize_started, resize_ended: of the resize that brought it; ``task_started``, ``task_ended`` of its last task.
        active_seconds: how long it was there in all; set when it leaves.
    """

    category: ClassVar[str] = "AmlComputeClusterNodeEvent"

    event: str
    node_id: str
    cluster: str
    vm_size: str
    vm_family: str
    priority: Priority
    cluster_created: str | None = None
    resize_started: str | None = None
    resize_ended: str | None = None
    allocated: str | None = None
    booted: str | None = None
    task_started: str | None = None
    task_ended: str | None = None
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
            "ResizeStartTime": self.resize_started,
            "ResizeEndTime": self.resize_ended,
            "NodeAllocationTime": self.allocated,
            "NodeBootTime": self.booted,
            "StartTaskStartTime": self.task_started,
            "StartTaskEndTime": self.task_ended,
            "TotalE2ETimeInSeconds": _text(self.active_seconds),
        }


@dataclass(frozen=True)
class RunStatusEvent:
    """A run's status has changed.

    Args:
        run_id: the job's name; ``parent_run_id`` and ``root_run_id`` those of the pipeline job that it is a step of.
        status: the new one, e.g. ``Running`` or ``Completed``.
        user: who or what has changed it.
    """

    category: ClassVar[str] = "AmlRunStatusChangedEvent"

    run_id: str
    status: str
    parent_run_id: str | None = None
    root_run_id: str | None = None
    user: str | None = None
    message: str | None = None

    def record(self, workspace: Resource) -> Record:
        """Return the event's own columns."""
        return {
            "OperationName": "RunStatusChanged",
            "RunId": self.run_id,
            "ParentRunId": self.parent_run_id,
            "RootRunId": self.root_run_id or self.run_id,
            "Status": self.status,
            "Message": self.message,
            "Level": "Error" if self.status == "Failed" else "Informational",
            "Location": workspace.body["location"],
            "TriggeringUserName": self.user,
            "WorkspaceId": workspace.properties["workspaceId"],
            "WorkspaceName": workspace.name,
        }


def _text(number: float | None) -> str | None:
    return None if number is None else str(number)
