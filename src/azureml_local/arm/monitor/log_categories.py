"""The resource logs that an Azure ML workspace and an online endpoint have in Azure Monitor, by category.

https://learn.microsoft.com/azure/azure-monitor/reference/supported-logs/microsoft-machinelearningservices-workspaces-logs
and …/microsoft-machinelearningservices-workspaces-onlineendpoints-logs
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from azureml_local.engines.log_store.tables import TABLES

SETTING_TYPE = "Microsoft.Insights/diagnosticSettings"
ALL_LOGS = "allLogs"
METRICS = "AllMetrics"
OF_WORKSPACE = (
    "AmlComputeClusterEvent",
    "AmlComputeClusterNodeEvent",
    "AmlComputeCpuGpuUtilization",
    "AmlComputeJobEvent",
    "AmlRunStatusChangedEvent",
    "ComputeInstanceEvent",
    "DataLabelChangeEvent",
    "DataLabelReadEvent",
    "DataSetChangeEvent",
    "DataSetReadEvent",
    "DataStoreChangeEvent",
    "DataStoreReadEvent",
    "DeploymentEventACI",
    "DeploymentEventAKS",
    "DeploymentReadEvent",
    "EnvironmentChangeEvent",
    "EnvironmentReadEvent",
    "InferencingOperationACI",
    "InferencingOperationAKS",
    "ModelsActionEvent",
    "ModelsChangeEvent",
    "ModelsReadEvent",
    "PipelineChangeEvent",
    "PipelineReadEvent",
    "RunEvent",
    "RunReadEvent",
)
TRAFFIC, CONSOLE, EVENTS = OF_ENDPOINT = (
    "AmlOnlineEndpointTrafficLog",
    "AmlOnlineEndpointConsoleLog",
    "AmlOnlineEndpointEventLog",
)
WRITTEN = frozenset(TABLES)  # of these, the ones that azureml-local writes


def wants(logs: Iterable[Mapping[str, Any]], category: str) -> bool:
    """Say whether the ``logs`` of a diagnostic setting switch a category of its resource on."""
    return any(one["enabled"] and (one["categoryGroup"] == ALL_LOGS or one["category"] == category) for one in logs)
