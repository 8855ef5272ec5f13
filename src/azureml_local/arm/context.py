"""What the control plane works with, put together by the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from azureml_local.arm.operations import Operations
from azureml_local.arm.store import Store
from azureml_local.arm.tracking import Tracking
from azureml_local.engines.blobs import BlobStorage
from azureml_local.engines.serving import Serving
from azureml_local.home import Settings
from azureml_local.identity.authorizer import Authorizer
from azureml_local.identity.directory import Directory
from azureml_local.identity.tokens import TokenService


class Router(Protocol):
    """The scoring router as the control plane sees it."""

    def serves(self, name: str) -> bool:
        """Say whether an endpoint answers at this host."""

    def refresh(self, endpoint_id: str) -> None:
        """Learn an endpoint anew, or forget it where it was deleted."""


@dataclass(frozen=True)
class Context:
    """The installation's settings, its store and operations, who may do what, and the engines that act on resources."""

    settings: Settings
    store: Store
    operations: Operations
    tokens: TokenService
    directory: Directory
    authorizer: Authorizer
    blobs: BlobStorage
    serving: Serving
    router: Router
    mlflow: Tracking
