"""Diagnostic settings of workspaces, online endpoints and autoscale settings: which logs go to which Log Analytics
workspace.

https://learn.microsoft.com/rest/api/monitor/diagnostic-settings, 2021-05-01-preview; azure-mgmt-monitor has the models.
Azure Monitor's errors are not in Resource Manager's frame; their words are those of public reports.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.monitor import log_analytics
from azureml_local.arm.monitor.log_categories import (
    ALL_LOGS,
    METRICS,
    OF_AUTOSCALE_SETTING,
    OF_ENDPOINT,
    OF_WORKSPACE,
    SETTING_TYPE,
    WRITTEN,
    wants,
)
from azureml_local.arm.online import online_endpoints
from azureml_local.arm.request import ArmRequest, ArmRoutes, Handler, missing
from azureml_local.arm.request_models import MisfitError
from azureml_local.http.errors import AzureError, MonitorError
from azureml_local.store import Resource

# What has settings, and the categories of its logs.
OWNERS: Mapping[str, tuple[str, ...]] = {
    ids.WORKSPACE: OF_WORKSPACE,
    online_endpoints.ENDPOINT: OF_ENDPOINT,
    ids.AUTOSCALE_SETTING: OF_AUTOSCALE_SETTING,
}
SETTINGS = f"/providers/{SETTING_TYPE}"
SETTING = SETTINGS + "/{setting}"
CATEGORY_TYPE = f"{ids.INSIGHTS}/diagnosticSettingsCategories"
CATEGORIES = f"/providers/{CATEGORY_TYPE}"
MOST = 5  # https://learn.microsoft.com/azure/azure-monitor/service-limits#diagnostic-settings
# https://learn.microsoft.com/azure/azure-monitor/platform/diagnostic-settings: 1 to 260 characters, without these.
NAME = re.compile(r"[^*<>%&:\\?+/#]{1,260}")
RESOURCE_ID = re.compile(r"/(subscriptions|providers)/[^/]+(/[^/]+)+")
OTHER_SINKS = ("storageAccountId", "eventHubAuthorizationRuleId", "serviceBusRuleId", "marketplacePartnerId")
LACKING = dict.fromkeys(OTHER_SINKS, bool)
WRITE = "Microsoft.Insights/diagnosticSettings/write"
# What a caller needs of the sink: https://github.com/MicrosoftDocs/azure-docs/issues/80159
USE_SINK = "Microsoft.OperationalInsights/workspaces/sharedKeys/action"

routes = ArmRoutes()


def _route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Return a decorator that declares a handler below each kind of owner."""

    def declare(handler: Handler) -> Handler:
        for owner in OWNERS:
            routes.add(method, owner + path, handler)
        return handler

    return declare


@_route("GET", CATEGORIES)
async def list_categories(request: ArmRequest) -> Response:
    """List the categories of logs that the resource has on Azure, and that of its metrics."""
    names = _categories(request)
    logs = [_category(request, name, {"categoryType": "Logs", "categoryGroups": [ALL_LOGS]}) for name in names]
    return JSONResponse({"value": [*logs, _metrics(request)]})


@_route("GET", CATEGORIES + "/{category}")
async def get_category(request: ArmRequest) -> Response:
    """Return a category."""
    asked = request.params["category"].lower()
    if asked == METRICS.lower():
        return JSONResponse(_metrics(request))
    name = next((one for one in _categories(request) if one.lower() == asked), None)
    if name is None:
        message = f"The diagnostic setting category '{request.params['category']}' doesn't exist."
        raise MonitorError(404, "ResourceNotFound", message)
    return JSONResponse(_category(request, name, {"categoryType": "Logs", "categoryGroups": [ALL_LOGS]}))


@_route("GET", SETTINGS)
async def list_settings(request: ArmRequest) -> Response:
    """List a resource's settings."""
    return JSONResponse({"value": [_json(one) for one in _settings(request)]})


@_route("GET", SETTING)
async def get(request: ArmRequest) -> Response:
    """Return a setting."""
    setting = request.context.store.get(_setting_id(request))
    if setting is None:
        message = f"The diagnostic setting '{request.params['setting']}' doesn't exist."
        raise MonitorError(404, "ResourceNotFound", message)
    return JSONResponse(_json(setting))


@_route("PUT", SETTING)
async def create_or_update(request: ArmRequest) -> Response:
    """Create or replace a setting."""
    request.read("DiagnosticSettingsResource", _unreadable)
    request.body["properties"] = request.body.get("properties") or {}
    owner, name, setting_id = _owner(request), request.params["setting"], _setting_id(request)
    if not NAME.fullmatch(name):
        raise _bad(f"The diagnostic setting name '{name}' has more than 260 characters or one of '*<>%&:\\?+/#'.")
    request.refuse_lacking(LACKING)
    sink = _sink(request)
    logs = [_log(one, _categories(request)) for one in request.properties.get("logs") or ()]
    metrics = [_metric(one) for one in request.properties.get("metrics") or ()]
    if any(one["category"] for one in logs) and any(one["categoryGroup"] for one in logs):
        raise _bad("Diagnostic setting does not support mix of log category and log category group.")
    _require_once([one["category"] or one["categoryGroup"] for one in logs])
    others = [one for one in _settings(request) if one.key != setting_id.lower()]
    if len(others) >= MOST:
        message = f"The limit of {MOST} diagnostic settings was reached. To create new setting '{name}', delete an "
        raise MonitorError(409, "Conflict", f"{message}existing one.")
    _require_own_sink(sink, [one for one in _categories(request) if wants(logs, one)], others)
    kept = {
        **dict.fromkeys((*OTHER_SINKS, "eventHubName")),
        "workspaceId": sink.id,
        "logs": logs,
        "metrics": metrics,
        "logAnalyticsDestinationType": request.properties.get("logAnalyticsDestinationType"),
    }
    setting = request.put(setting_id, SETTING_TYPE, owner.id, {"properties": kept})
    request.context.events.settings_changed.set()
    return JSONResponse(_json(setting))


@_route("DELETE", SETTING)
async def delete(request: ArmRequest) -> Response:
    """Delete a setting; what was logged stays. 204 where there is none."""
    setting = request.context.store.get(_setting_id(request))
    if setting is None:
        return Response(status_code=204)
    request.context.store.delete(setting.id)
    return Response(status_code=200)


def _sink(request: ArmRequest) -> Resource:
    """Return the Log Analytics workspace that is asked for."""
    sink_id = request.properties.get("workspaceId")
    if not sink_id:
        raise _bad("At least one data sink needs to be specified.")
    if not RESOURCE_ID.fullmatch(sink_id):
        # https://github.com/Azure/azure-powershell/issues/4465; Resource Manager finds this before Azure Monitor does.
        raise AzureError(
            400,
            "LinkedInvalidPropertyId",
            f"Property id '{sink_id}' at path 'properties.workspaceId' is invalid. Expect fully qualified resource Id "
            "that start with '/subscriptions/{subscriptionId}' or '/providers/{resourceProviderNamespace}/'.",
        )
    request.require_linked(WRITE, _setting_id(request), USE_SINK, sink_id)
    sink = request.context.store.get(sink_id)
    if sink is None or sink.type != log_analytics.TYPE:
        # https://github.com/MicrosoftDocs/azure-docs/issues/78615
        raise MonitorError(404, "ResourceNotFound", f"The resource '{sink_id.lower()}' doesn't exist.")
    return sink


def _log(asked: Mapping[str, Any], categories: tuple[str, ...]) -> dict[str, Any]:
    """Return one entry of ``logs`` in Azure's case. Raises 400 for what Azure lacks, 501 for what is not written."""
    category, group = asked.get("category") or None, asked.get("categoryGroup") or None
    if category is None and group is None:
        raise _bad("An entry of properties.logs needs a category or a categoryGroup.")
    if category:
        category = _known(category, categories, "Category '{}' is not supported.")
    if group:
        group = _known(group, (ALL_LOGS, "audit"), "Category group '{}' is not supported.")
    lacks_category = category and category not in WRITTEN
    if asked["enabled"] and (lacks_category or (group and group != ALL_LOGS)):
        raise AzureError(
            501,
            "NotImplemented",
            f"azureml-local writes no logs of '{category or group}'; it writes those of "
            f"{', '.join(sorted(WRITTEN.intersection(categories)))}.",
            target=category or group,
        )
    return {
        "category": category,
        "categoryGroup": group,
        "enabled": asked["enabled"],
        "retentionPolicy": _policy(asked),
    }


def _metric(asked: Mapping[str, Any]) -> dict[str, Any]:
    words = f"Metric category '{{}}' is not supported, supported categories are: '{METRICS}'"
    category = _known(asked.get("category") or "", (METRICS,), words)
    if asked["enabled"]:
        raise AzureError(501, "NotImplemented", "azureml-local lacks metrics in Azure Monitor.", target=METRICS)
    return {
        "category": category,
        "timeGrain": asked.get("timeGrain"),
        "enabled": False,
        "retentionPolicy": _policy(asked),
    }


def _policy(asked: Mapping[str, Any]) -> dict[str, Any]:
    if (asked.get("retentionPolicy") or {}).get("enabled"):
        raise _bad("Diagnostic settings does not support retention for new diagnostic settings.")
    return {"enabled": False, "days": 0}


def _known(asked: str, known: Iterable[str], refusal: str) -> str:
    """Return a word as Azure writes it. Raises 400 where it is none."""
    word = next((one for one in known if one.lower() == asked.lower()), None)
    if word is None:
        raise _bad(refusal.format(asked))
    return word


def _require_once(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise _bad(f"properties.logs has '{name}' {names.count(name)} times; once is enough.")


def _require_own_sink(sink: Resource, categories: list[str], others: list[Resource]) -> None:
    """Raise 409 where another setting sends one of the categories to the same sink already."""
    for other in others:
        shared = next((one for one in categories if wants(other.properties["logs"], one)), None)
        if shared and other.properties["workspaceId"].lower() == sink.key:
            raise MonitorError(
                409,
                "Conflict",
                f"Data sink '{sink.id}' is already used in diagnostic setting '{other.name}' for category "
                f"'{shared}'. Data sinks can't be reused in different settings on the same category for the same "
                "resource.",
            )


def _owner(request: ArmRequest) -> Resource:
    """Return the resource whose settings the path leads to, or raise Resource Manager's 404."""
    template = request.template.rpartition(f"/providers/{ids.INSIGHTS}/")[0]
    owner = request.context.store.get(template.format(**request.params))
    if owner is None:
        kind, _, name = template.rpartition("/providers/")[2].format(**request.params).rpartition("/")
        raise missing(request.params, kind, name)
    return owner


def _categories(request: ArmRequest) -> tuple[str, ...]:
    return OWNERS[request.template.rpartition(f"/providers/{ids.INSIGHTS}/")[0]]


def _setting_id(request: ArmRequest) -> str:
    return f"{_owner(request).id}{SETTINGS}/{request.params['setting']}"


def _settings(request: ArmRequest) -> list[Resource]:
    return request.context.store.children(SETTING_TYPE, _owner(request).id)


def _metrics(request: ArmRequest) -> dict[str, Any]:
    return _category(request, METRICS, {"categoryType": "Metrics"})


def _category(request: ArmRequest, name: str, properties: dict[str, Any]) -> dict[str, Any]:
    kind = f"microsoft.insights/{CATEGORY_TYPE.rpartition('/')[2]}"
    category_id = f"{_owner(request).key}/providers/{kind}/{name}"
    return {"id": category_id, "name": name, "type": kind, "properties": properties}


def _json(setting: Resource) -> dict[str, Any]:
    """Return a setting as Azure does, which writes the resource's id in lower case here."""
    owner = setting.id.rpartition(f"/providers/{ids.INSIGHTS}/")[0].lower()
    return {
        "id": f"{owner}/providers/microsoft.insights/diagnosticSettings/{setting.name}",
        "name": setting.name,
        "type": SETTING_TYPE,
        **setting.body,
    }


def _unreadable(misfit: MisfitError) -> AzureError:
    return _bad(f"The request body is invalid. {misfit}")


def _bad(message: str) -> AzureError:
    return MonitorError(400, "BadRequest", message)
