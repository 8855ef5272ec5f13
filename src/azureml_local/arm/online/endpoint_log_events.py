"""The events that an online endpoint writes to Azure Monitor: its traffic, and what its containers say and go through.

Columns: https://learn.microsoft.com/azure/machine-learning/how-to-monitor-online-endpoints#log-column-details. No
source says what stands in ``OperationName``: it stays empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from azureml_local.arm.monitor.log_categories import CONSOLE, EVENTS, TRAFFIC
from azureml_local.arm.monitor.log_events import Record
from azureml_local.store import Resource


@dataclass(frozen=True, slots=True)
class TrafficEvent:
    """One scoring request.

    Args:
        endpoint: its name; ``deployment`` is empty where none was chosen.
        auth_type: the endpoint's ``authMode``; ``caller`` is the object id of who showed a token.
        status, reason: what the client was answered; ``model_status``, ``model_reason`` what the model has.
        request_size, answer_size: in bytes, without headers.
        total_ms, request_ms, answer_ms: from the request's start to the answer's last byte, to the request's last byte,
            and to the answer's first byte; None for what did not come to pass.
    """

    category: ClassVar[str] = TRAFFIC

    endpoint: str
    deployment: str
    location: str
    auth_type: str
    caller: str | None
    method: str
    path: str
    protocol: str
    user_agent: str
    request_id: str
    client_request_id: str
    status: int
    reason: str
    model_status: int | None
    model_reason: str | None
    request_size: int
    answer_size: int
    total_ms: int
    request_ms: int | None
    answer_ms: int | None

    def record(self, workspace: Resource) -> Record:
        """Return the event's own columns."""
        return {
            "AuthType": self.auth_type,
            "AzureMLWorkspaceId": workspace.properties["workspaceId"],
            "AzureMLWorkspaceName": workspace.name,
            "DeploymentName": self.deployment,
            "EndpointName": self.endpoint,
            "IdentityData": self.caller,
            "Location": self.location,
            "Method": self.method,
            "ModelStatusCode": self.model_status,
            "ModelStatusReason": self.model_reason,
            "Path": self.path,
            "Protocol": self.protocol,
            "RequestDurationMs": self.request_ms,
            "RequestPayloadSize": self.request_size,
            "RequestThrottlingDelayMs": 0,
            "ResponseCode": self.status,
            "ResponseCodeReason": self.reason,
            "ResponseDurationMs": self.answer_ms,
            "ResponsePayloadSize": self.answer_size,
            "ResponseThrottlingDelayMs": 0,
            "TotalDurationMs": self.total_ms,
            "UserAgent": self.user_agent,
            "XMSClientRequestId": self.client_request_id,
            "XRequestId": self.request_id,
        }


@dataclass(frozen=True, slots=True)
class ConsoleEvent:
    """A line that a container wrote to its console.

    Args:
        container: ``inference-server`` or ``storage-initializer``; ``image`` is what it runs, empty where it was built.
    """

    category: ClassVar[str] = CONSOLE

    deployment: str
    instance_id: str
    container: str
    image: str
    message: str

    def record(self, workspace: Resource) -> Record:
        """Return the event's own columns."""
        return {
            "DeploymentName": self.deployment,
            "InstanceId": self.instance_id,
            "ContainerName": self.container,
            "ContainerImageName": self.image,
            "Message": self.message,
        }


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """Something in a container's life, such as ``Pulled``, ``Started`` or ``BackOff``."""

    category: ClassVar[str] = EVENTS

    deployment: str
    instance_id: str
    name: str
    message: str

    def record(self, workspace: Resource) -> Record:
        """Return the event's own columns."""
        return {
            "DeploymentName": self.deployment,
            "InstanceId": self.instance_id,
            "Name": self.name,
            "Message": self.message,
        }
