"""What the control plane works with, put together by the service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from azureml_local.arm.jobs.tracking import Tracking
from azureml_local.arm.monitor.resource_logs import ResourceLogs
from azureml_local.arm.operations import Operations
from azureml_local.arm.storage.stored_accounts import StorageAccounts
from azureml_local.arm.timers import Timers
from azureml_local.engines.azurite import Azurite
from azureml_local.engines.blobs import BlobStorage
from azureml_local.engines.compute.hosts import Hosts
from azureml_local.engines.compute.pools import Pools
from azureml_local.engines.jobs.runner import JobRunner
from azureml_local.engines.log_store.client import LogStore
from azureml_local.engines.metric_store import MetricStore
from azureml_local.engines.serving import Serving
from azureml_local.home import Settings
from azureml_local.identity.authorizer import Authorizer
from azureml_local.identity.directory import Directory
from azureml_local.identity.tokens import TokenService
from azureml_local.store import Resource, Store


class Router(Protocol):
    """The scoring router as the control plane sees it."""

    def refresh(self, endpoint_id: str) -> None:
        """Learn an endpoint anew, or forget it where it was deleted."""


class JobRuns(Protocol):
    """The jobs under way, as the control plane sees them."""

    def start(self, job: Resource) -> None:
        """Begin to run a job."""

    async def ended(self, job_id: str) -> None:
        """Return once a job has ended, and its end is written."""

    async def end(self, job_id: str) -> None:
        """Cancel a job, and return once it has ended and nothing of it runs."""

    async def end_below(self, parent_id: str) -> None:
        """Cancel the jobs of a workspace, or of a pipeline's steps, and return once nothing of them runs."""


class Databricks(Protocol):
    """What is in Databricks workspaces, as the control plane sees it."""

    async def delete_workspace(self, workspace: Resource) -> None:
        """Delete a workspace, and end what runs in it."""


@dataclass
class Context:
    """The installation's settings, its store and operations, who may do what, and the engines that act on resources."""

    settings: Settings
    store: Store
    operations: Operations
    tokens: TokenService
    directory: Directory
    authorizer: Authorizer
    blobs: BlobStorage
    accounts: StorageAccounts
    azurite: Azurite
    serving: Serving
    router: Router
    pools: Pools
    hosts: Hosts
    runner: JobRunner
    events: ResourceLogs
    log_store: LogStore
    mlflow: Tracking
    metrics: MetricStore
    job_runs: JobRuns = field(init=False)
    databricks: Databricks = field(init=False)
    timers: Timers = field(default_factory=Timers)
