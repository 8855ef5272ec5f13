"""The metrics that Azure Monitor has of online endpoints and their deployments.

Names, words, units, aggregations and dimensions are those of
https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-machinelearningservices-workspaces-onlineendpoints-metrics
and …-onlineendpoints-deployments-metrics. :data:`LACKING` are those that nothing here measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from azureml_local.arm.online import online_endpoints
from azureml_local.http.errors import AzureError

ENDPOINT_NAMESPACE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
DEPLOYMENT_NAMESPACE = f"{ENDPOINT_NAMESPACE}/deployments"
AVERAGE = ("Average",)
EXTREMES = ("Minimum", "Maximum", "Average")


@dataclass(frozen=True)
class Metric:
    """A metric.

    Args:
        name: in REST; ``title`` in the portal.
        description: what it measures.
        unit: one of the OpenAPI's.
        aggregations: which there are; the last is the primary one.
        dimensions: what tells its series apart.
        category: ``Resource`` or ``Traffic``.
        adds_up: the metric of several series is their sum, such as a number of requests; else their average.
    """

    name: str
    title: str
    description: str
    unit: str
    aggregations: tuple[str, ...] = AVERAGE
    dimensions: tuple[str, ...] = ()
    category: str = "Traffic"
    adds_up: bool = False


def _percentiles(*dimensions: str) -> tuple[Metric, ...]:
    return tuple(
        Metric(
            f"RequestLatency_P{percent}",
            f"Request Latency P{percent}",
            f"The average P{percent} request latency aggregated by all request latency values collected over the "
            "selected time period",
            "MilliSeconds",
            dimensions=dimensions,
        )
        for percent in PERCENTILES
    )


def _utilization(name: str, title: str, of: str, *dimensions: str) -> Metric:
    description = f"Percentage of {of} utilization on an instance. Utilization is reported at one minute intervals."
    return Metric(name, title, description, "Percent", EXTREMES, ("instanceId", *dimensions), "Resource")


PERCENTILES = (50, 90, 95, 99)
OF_ENDPOINT = (
    Metric(
        "NetworkBytes",
        "Network Bytes",
        "The bytes per second served for the endpoint.",
        "BytesPerSecond",
        adds_up=True,
    ),
    Metric(
        "RequestLatency",
        "Request Latency",
        "The average complete interval of time taken for a request to be responded in milliseconds",
        "MilliSeconds",
        dimensions=("deployment",),
    ),
    *_percentiles("deployment"),
    Metric(
        "RequestsPerMinute",
        "Requests Per Minute",
        "The number of requests sent to online endpoint within a minute",
        "Count",
        dimensions=("deployment", "statusCode", "statusCodeClass", "modelStatusCode"),
        adds_up=True,
    ),
)
OF_DEPLOYMENT = (
    _utilization("CpuMemoryUtilizationPercentage", "CPU Memory Utilization Percentage", "memory"),
    _utilization("CpuUtilizationPercentage", "CPU Utilization Percentage", "CPU"),
    Metric(
        "DeploymentCapacity",
        "Deployment Capacity",
        "The number of instances in the deployment.",
        "Count",
        EXTREMES,
        ("instanceId", "State"),
        "Resource",
        adds_up=True,
    ),
    _utilization("DiskUtilization", "Disk Utilization", "disk", "disk"),
    *_percentiles(),
    Metric(
        "RequestsPerMinute",
        "Requests Per Minute",
        "The number of requests sent to online deployment within a minute",
        "Count",
        dimensions=("envoy_response_code",),
        adds_up=True,
    ),
)
# What has metrics, by the kinds of resources: its namespace, and the metrics.
BY_TYPE: Mapping[str, tuple[str, tuple[Metric, ...]]] = {
    online_endpoints.TYPE: (ENDPOINT_NAMESPACE, OF_ENDPOINT),
    online_endpoints.DEPLOYMENT_TYPE: (DEPLOYMENT_NAMESPACE, OF_DEPLOYMENT),
}
LACKING = frozenset(
    (
        "ConnectionsActive",
        "DataCollectionErrorsPerMinute",
        "DataCollectionEventsPerMinute",
        "GpuEnergyJoules",
        "GpuMemoryUtilizationPercentage",
        "GpuUtilizationPercentage",
        "NewConnectionsPerSecond",
    )
)


def find(resource_type: str, name: str) -> Metric | None:
    """Return a metric that resources of a kind have, by its name in any case."""
    _, metrics = BY_TYPE.get(resource_type, ("", ()))
    return next((one for one in metrics if one.name.lower() == name.lower()), None)


def refuse_lacking(name: str) -> None:
    """Raise 501 for a metric, by its name in any case, that Azure has and nothing here measures."""
    lacking = next((one for one in LACKING if one.lower() == name.lower()), None)
    if lacking:
        raise AzureError(501, "NotImplemented", f"azureml-local does not measure {lacking}.", target=lacking)
