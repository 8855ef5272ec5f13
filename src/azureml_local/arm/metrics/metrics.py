"""Azure Monitor's metrics of online endpoints and deployments: their definitions and values.

https://learn.microsoft.com/rest/api/monitor/metrics/list, …/metric-definitions/list and …/metric-namespaces/list;
azure-mgmt-monitor has the models (2021-05-01). Intervals are of the service's clock, time stamps are true: with a clock
that is 60 times as fast, the points of ``PT1M`` are a second apart.
"""

from __future__ import annotations

import datetime
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local import clock
from azureml_local.arm import ids
from azureml_local.arm.durations import seconds
from azureml_local.arm.metrics import definitions, filters, series
from azureml_local.arm.metrics.definitions import Metric
from azureml_local.arm.online import online_deployments, online_endpoints
from azureml_local.arm.request import ArmRequest, ArmRoutes, missing
from azureml_local.engines.metric_store import KEPT, MINUTE, Point, Sample
from azureml_local.http.errors import AzureError, MonitorError
from azureml_local.store import Resource

OWNERS = (online_endpoints.ENDPOINT, online_deployments.DEPLOYMENT)
INTERVALS = ("PT1M", "PT5M", "PT15M", "PT30M", "PT1H", "PT6H", "PT12H", "P1D")
# What would leave out series, put them in order, or put them together, and is not done. Names are in lower case.
LACKING = ("top", "orderby", "rollupby")
FULL = "FULL"  # the whole timespan as one interval
USUAL_TIMESPAN = 3600.0  # seconds of the service's clock
# The members of a value, and how each is made of a sample.
AGGREGATIONS = {
    "average": lambda sample: sample.total / sample.count,
    "count": lambda sample: sample.count,
    "minimum": lambda sample: sample.minimum,
    "maximum": lambda sample: sample.maximum,
    "total": lambda sample: sample.total,
}

routes = ArmRoutes()


async def list_definitions(request: ArmRequest) -> Response:
    """List the metrics that the resource has here."""
    owner = _owner(request)
    namespace, metrics = definitions.BY_TYPE[owner.type]
    return JSONResponse({"value": [_definition(owner, namespace, metric) for metric in metrics]})


async def list_namespaces(request: ArmRequest) -> Response:
    """List the resource's only namespace of metrics."""
    owner = _owner(request)
    namespace, _ = definitions.BY_TYPE[owner.type]
    name = namespace.lower().replace("/", "-")
    shown = {
        "id": f"{owner.id}/providers/microsoft.insights/metricNamespaces/{name}",
        "name": name,
        "type": f"{ids.INSIGHTS}/metricNamespaces",
        "classification": "Platform",
        "properties": {"metricNamespaceName": namespace},
    }
    return JSONResponse({"value": [shown]})


async def list_values(request: ArmRequest) -> Response:
    """Return what metrics were over a timespan."""
    owner = _owner(request)
    for name in LACKING:
        if request.query.get(name):
            message = f"azureml-local lacks the parameter {name} of queries of metrics."
            raise AzureError(501, "NotImplemented", message, target=name)
    namespace, metrics = definitions.BY_TYPE[owner.type]
    asked = request.query.get("metricnamespace") or namespace
    if asked.lower() != namespace.lower():
        raise _bad(f"The metric namespace '{asked}' is not one of {owner.name}: it has '{namespace}'.")
    names = [name.strip() for name in request.query.get("metricnames", "").split(",") if name.strip()]
    wanted = [_metric(owner, name) for name in names] or [metrics[0]]
    start, end = _timespan(request)
    interval = request.query.get("interval") or INTERVALS[0]
    length = _length(interval, end - start)
    conditions, aggregations = _conditions(request, wanted), _aggregations(request)
    is_data = (request.query.get("resulttype") or "Data").lower() == "data"
    value = []
    for metric in wanted:
        points = request.context.metrics.read(owner.id, metric.name, start, end)
        named = aggregations or [metric.aggregations[-1].lower()]
        shown = [
            {
                "metadatavalues": _metadata(key),
                **({"data": _data(those, named, start, end, length)} if is_data else {}),
            }
            for key, those in _series(metric, points, conditions)
        ]
        value.append(_shown(owner, metric, shown))
    answer = {
        "cost": 0,
        "timespan": f"{_time(start)}/{_time(end)}",
        **({"interval": interval} if is_data else {}),
        "value": value,
        "namespace": namespace,
        "resourceregion": _region(request, owner),
    }
    return JSONResponse(answer)


for _owner_template in OWNERS:
    for _path, _handler in (
        ("metrics", list_values),
        ("metricDefinitions", list_definitions),
        ("metricNamespaces", list_namespaces),
    ):
        routes.add("GET", f"{_owner_template}/providers/{ids.INSIGHTS}/{_path}", _handler)


def _owner(request: ArmRequest) -> Resource:
    template = request.template.rpartition(f"/providers/{ids.INSIGHTS}/")[0]
    owner = request.context.store.get(template.format(**request.params))
    if owner is None:
        kind, _, name = template.rpartition("/providers/")[2].format(**request.params).rpartition("/")
        raise missing(request.params, kind, name)
    return owner


def _metric(owner: Resource, name: str) -> Metric:
    """Return a metric of the resource. Raises 501 for one that only azureml-local lacks, 400 for one that Azure lacks.

    The words: https://github.com/Azure/azure-sdk-for-net/issues/29584.
    """
    metric = definitions.find(owner.type, name)
    if metric:
        return metric
    definitions.refuse_lacking(name)
    namespace, metrics = definitions.BY_TYPE[owner.type]
    provider, _, kind = namespace.partition("/")
    raise _bad(
        f"Failed to find metric configuration for provider: {provider}, resource Type: {kind}, metric: {name}, Valid "
        f"metrics: {','.join(one.name for one in metrics)}"
    )


def _timespan(request: ArmRequest) -> tuple[float, float]:
    """Return the asked timespan, in seconds since 1970, without what is to come and what is kept no more."""
    now = time.time()
    text = request.query.get("timespan")
    if text:
        begin, _, finish = text.partition("/")
        start, end = _seconds(begin), _seconds(finish)
        if start >= end:
            raise _bad(f"The timespan '{text}' is invalid: its start must be before its end.")
    else:
        start, end = now - clock.real_seconds(USUAL_TIMESPAN), now
    end = min(end, now)
    return min(max(start, now - clock.real_seconds(KEPT)), end), end


def _seconds(text: str) -> float:
    try:
        moment = datetime.datetime.fromisoformat(text.strip().replace(" ", "+"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
        return moment.astimezone(datetime.UTC).timestamp()
    except (ValueError, OverflowError) as error:  # the latter in the years 1 and 9999
        wanted = "it must look like 2026-01-31T18:00:00Z/2026-01-31T19:00:00Z"
        raise _bad(f"'{text[:100]}' is no time of a timespan; {wanted}.") from error


def _length(interval: str, timespan: float) -> float:
    """Return how many real seconds an interval is."""
    if interval.upper() == FULL:
        return max(timespan, clock.real_seconds(MINUTE))
    if interval.upper() not in INTERVALS:
        message = f"Detect invalid time grain input: {interval[:100]}, supported ones are: {','.join(INTERVALS)}"
        raise _bad(message)
    return clock.real_seconds(seconds(interval.upper()))


def _conditions(request: ArmRequest, wanted: Iterable[Metric]) -> filters.Conditions:
    text = request.query.get("$filter")
    if not text:
        return {}
    try:
        conditions = filters.parse(text)
    except ValueError as error:
        raise _bad(f"The filter is invalid: {error}.") from error
    for metric in wanted:
        for name in conditions:
            if name not in (one.lower() for one in metric.dimensions):
                known = ", ".join(metric.dimensions) or "none"
                raise _bad(f"Metric {metric.name} does not support the dimension '{name}'. Its dimensions: {known}.")
    return conditions


Key = tuple[tuple[str, str], ...]  # the values of the dimensions that are told apart


def _series(
    metric: Metric, points: Iterable[Point], conditions: filters.Conditions
) -> list[tuple[Key, dict[float, list[Sample]]]]:
    """Return the metric's minutes for each combination of the dimensions that the filter names."""
    names = [name for name in metric.dimensions if name.lower() in conditions]
    found: defaultdict[Key, list[Point]] = defaultdict(list)
    for point in points:
        if filters.matches(conditions, point.dimensions):
            found[tuple((name, point.dimensions.get(name, "")) for name in names)].append(point)
    return [(key, series.minutes(metric, those)) for key, those in sorted(found.items())]


def _aggregations(request: ArmRequest) -> list[str]:
    """Return the asked aggregations, if any."""
    asked = [name.strip().lower() for name in (request.query.get("aggregation") or "").split(",") if name.strip()]
    for name in asked:
        if name not in AGGREGATIONS:
            raise _bad(f"The aggregation '{name[:100]}' is not one of {', '.join(AGGREGATIONS)}.")
    return asked


def _data(
    samples: Mapping[float, list[Sample]], names: Iterable[str], start: float, end: float, length: float
) -> list[dict[str, Any]]:
    """Return the value of each interval of the timespan; one in which nothing was measured has a time only."""
    found = series.grains(samples, length)
    return [
        {"timeStamp": _time(begin), **(_values(found[begin], names) if begin in found else {})}
        for begin in _begins(start, end, length)
    ]


def _begins(start: float, end: float, length: float) -> Iterator[float]:
    first, last = math.floor(start / length + 1e-9), math.ceil(end / length - 1e-9)
    for number in range(first, last):
        yield number * length


def _values(samples: list[Sample], names: Iterable[str]) -> dict[str, float]:
    sample = series.merged(samples)
    return {name: AGGREGATIONS[name](sample) for name in names}


def _metadata(key: Key) -> list[dict[str, Any]]:
    return [{"name": {"value": name.lower(), "localizedValue": name.lower()}, "value": value} for name, value in key]


def _shown(owner: Resource, metric: Metric, timeseries: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"{owner.id}/providers/{ids.INSIGHTS}/metrics/{metric.name}",
        "type": f"{ids.INSIGHTS}/metrics",
        "name": _name(metric),
        "displayDescription": metric.description,
        "unit": metric.unit,
        "timeseries": timeseries,
        "errorCode": "Success",
    }


def _definition(owner: Resource, namespace: str, metric: Metric) -> dict[str, Any]:
    dimensions = [{"value": name, "localizedValue": name} for name in metric.dimensions]
    return {
        "id": f"{owner.id}/providers/microsoft.insights/metricdefinitions/{metric.name}",
        "resourceId": owner.id,
        "namespace": namespace,
        "category": metric.category,
        "name": _name(metric),
        "displayDescription": metric.description,
        "isDimensionRequired": False,
        "unit": metric.unit,
        "primaryAggregationType": metric.aggregations[-1],
        "supportedAggregationTypes": list(metric.aggregations),
        "metricAvailabilities": [
            {"timeGrain": interval, "retention": f"P{int(KEPT / 86400)}D"} for interval in INTERVALS
        ],
        **({"dimensions": dimensions} if dimensions else {}),
    }


def _name(metric: Metric) -> dict[str, str]:
    return {"value": metric.name, "localizedValue": metric.title}


def _region(request: ArmRequest, owner: Resource) -> str:
    return str(owner.body.get("location") or request.context.settings.location)


def _time(moment: float) -> str:
    text = datetime.datetime.fromtimestamp(moment, datetime.UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00").removesuffix(".000") + "Z"


def _bad(message: str) -> AzureError:
    return MonitorError(400, "BadRequest", message)
