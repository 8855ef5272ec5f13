"""The resource logs that an Azure ML workspace has in Azure Monitor, by category, and what a diagnostic setting wants.

https://learn.microsoft.com/azure/azure-monitor/reference/supported-logs/microsoft-machinelearningservices-workspaces-logs
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from azureml_local.engines.log_store.tables import TABLES

SETTING_TYPE = "Microsoft.Insights/diagnosticSettings"
ALL_LOGS = "allLogs"
METRICS = "AllMetrics"
CATEGORIES = (
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
WRITTEN = frozenset(TABLES)  # of these, the ones that azureml-local writes


def wanted(logs: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return the categories that the ``logs`` of a diagnostic setting switch on, groups resolved."""
    found: set[str] = set()
    for one in logs:
        if one["enabled"]:
            found.update(WRITTEN if one["categoryGroup"] == ALL_LOGS else (one["category"],))
    return frozenset(found)
