"""The resource logs that an Azure ML workspace, an online endpoint and an autoscale setting have in Azure Monitor.

https://learn.microsoft.com/azure/azure-monitor/reference/supported-logs/microsoft-machinelearningservices-workspaces-logs,
…/microsoft-machinelearningservices-workspaces-onlineendpoints-logs and …/microsoft-insights-autoscalesettings-logs
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
EVALUATIONS, SCALE_ACTIONS = OF_AUTOSCALE_SETTING = ("AutoscaleEvaluations", "AutoscaleScaleActions")
# Categories whose table has another name than they.
_TABLES: Mapping[str, str] = {category: f"{category}Log" for category in OF_AUTOSCALE_SETTING}
# Of the categories, the ones that azureml-local writes.
WRITTEN = frozenset(TABLES).union(OF_AUTOSCALE_SETTING).difference(_TABLES.values())


def table_of(category: str) -> str:
    """Return the name of the table that a category's events go to."""
    return _TABLES.get(category, category)


def wants(logs: Iterable[Mapping[str, Any]], category: str) -> bool:
    """Say whether the ``logs`` of a diagnostic setting switch a category of its resource on."""
    return any(one["enabled"] and (one["categoryGroup"] == ALL_LOGS or one["category"] == category) for one in logs)
