"""Autoscale settings: which deployment Azure Monitor scales, by which profiles.

https://learn.microsoft.com/rest/api/monitor/autoscale-settings, 2022-10-01; azure-mgmt-monitor has the models. What a
recorded answer looks like: azure-sdk-for-python, azure-mgmt-monitor's recording of test_autoscale_settings. Codes and
words of refusals are those of public reports, where there is one; else the code is ``BadRequest``.

A setting stays when its target is deleted (https://github.com/Azure/azure-powershell/issues/3774), and acts again
on one that is made under the same id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from azureml_local.arm import calendars, ids
from azureml_local.arm.autoscale import engine, profiles
from azureml_local.arm.autoscale.profiles import Rule
from azureml_local.arm.metrics import definitions
from azureml_local.arm.names import require_location
from azureml_local.arm.online import online_deployments
from azureml_local.arm.request import ArmRequest, ArmRoutes, missing
from azureml_local.arm.request_models import MisfitError
from azureml_local.http.errors import AzureError, MonitorError
from azureml_local.store import Resource

TYPE = engine.TYPE
READ = f"{TYPE}/read"
SETTINGS = f"{ids.RESOURCE_GROUP}/providers/{TYPE}"
# What would be sent, and is not.
NOTIFIED = ("customEmails", "sendToSubscriptionAdministrator", "sendToSubscriptionCoAdministrators")
MALFORMED = "Request content is not well formed or supported."

routes = ArmRoutes()


@routes.route("GET", f"{ids.SUBSCRIPTION}/providers/{TYPE}")
async def list_in_subscription(request: ArmRequest) -> Response:
    """List the settings of the subscription that the caller may read."""
    return _listed(request, request.context.store.all_of(TYPE))


@routes.route("GET", SETTINGS)
async def list_in_group(request: ArmRequest) -> Response:
    """List the settings of a resource group that the caller may read."""
    return _listed(request, request.context.store.children(TYPE, ids.RESOURCE_GROUP.format(**request.params)))


@routes.route("GET", ids.AUTOSCALE_SETTING)
async def get(request: ArmRequest) -> Response:
    """Return a setting."""
    return JSONResponse(_json(_stored(request)))


@routes.route("PUT", ids.AUTOSCALE_SETTING)
async def create_or_update(request: ArmRequest) -> Response:
    """Create or replace a setting; 201 where it is new, 200 where it existed. It acts at once."""
    request.read("MonitorAutoscaleSettingResource", _unreadable)
    known = request.context.store.get(_id(request))
    setting = _written(request, known, request.body["location"], request.body.get("tags") or {}, request.properties)
    return JSONResponse(_json(setting), 200 if known else 201)


@routes.route("PATCH", ids.AUTOSCALE_SETTING)
async def update(request: ArmRequest) -> Response:
    """Change a setting's tags and members of its properties."""
    request.read("MonitorAutoscaleSettingResourcePatch", _unreadable)
    known = _stored(request)
    tags = request.body.get("tags")
    given = {name: value for name, value in (request.body.get("properties") or {}).items() if value is not None}
    tags = known.body["tags"] if tags is None else tags
    setting = _written(request, known, known.body["location"], tags, {**known.properties, **given})
    return JSONResponse(_json(setting))


@routes.route("DELETE", ids.AUTOSCALE_SETTING)
async def delete(request: ArmRequest) -> Response:
    """Delete a setting; the deployment keeps the instances that it has. 204 where there is none."""
    setting = request.context.store.get(_id(request))
    if setting is None:
        return Response(status_code=204)
    engine.disarm(request.context, setting.id)
    request.context.store.delete(setting.id)
    return Response(status_code=200)


def _written(
    request: ArmRequest, known: Resource | None, location: str, tags: Mapping[str, str], asked: Mapping[str, Any]
) -> Resource:
    """Store a setting as it is asked for, and let it act. Raises AzureError where it cannot be."""
    properties = {name: value for name, value in asked.items() if value is not None}
    _refuse_lacking(properties)
    target = _target(request, known, properties)
    try:
        read = profiles.read(properties)
    except ValueError as error:
        raise MonitorError(400, "BadRequest", f"The autoscale setting is invalid: {error}.") from error
    for profile in read:
        for rule in profile.rules:
            _require_metric(request, rule)
    setting_id = known.id if known else _id(request)
    body = {
        "location": require_location(location),
        "tags": dict(tags),
        "properties": {
            "enabled": True,
            "notifications": [],
            **properties,
            "name": setting_id.rpartition("/")[2],
            "targetResourceUri": target.id,
        },
        engine.STATE: {**(known.body[engine.STATE] if known else {}), "calendar": calendars.begun()},
    }
    setting = request.put(setting_id, TYPE, ids.RESOURCE_GROUP.format(**request.params), body)
    engine.arm(request.context, setting.id)
    return setting


def _target(request: ArmRequest, known: Resource | None, properties: Mapping[str, Any]) -> Resource:
    """Return the deployment to be scaled. Raises 400, 404 or 409 where it cannot be that one."""
    target_id = properties.get("targetResourceUri") or ""
    if not target_id:
        # https://github.com/Azure/azure-sdk-for-net/issues/43948
        message = f"{MALFORMED} properties.targetResourceUri is missing; it must be the id of a deployment."
        raise MonitorError(400, "UnsupportedRequestContent", message)
    if known and known.properties["targetResourceUri"].lower() != target_id.lower():
        # https://github.com/Azure/Moodle/issues/311
        group = request.params["resource_group"]
        raise MonitorError(
            400,
            "TargetResourceIdIsImmutable",
            f"The autoscale setting '{known.name}' under resource group '{group}' is referencing target resource "
            f"'{known.properties['targetResourceUri']}'. The target resource reference is immutable. If you want to "
            "change it, please create a new autoscale setting with a different name.",
        )
    target = request.context.store.get(target_id)
    if target is None:
        # The code: https://github.com/Azure/azure-powershell/issues/11710
        raise MonitorError(404, "TargetResourceNotFound", f"The target resource '{target_id}' does not exist.")
    if target.type != online_deployments.TYPE or target.body.get("kind") != "Managed":
        raise MonitorError(
            400,
            "BadRequest",
            f"The target resource '{target_id}' cannot be scaled by an autoscale setting; a managed online deployment "
            "can.",
        )
    other = _other(request, target)
    if other:
        # The status: https://github.com/hashicorp/terraform-provider-azurerm/issues/8712
        raise MonitorError(
            409, "Conflict", f"The autoscale setting '{other.name}' scales '{target.id}' already; it can have only one."
        )
    return target


def _other(request: ArmRequest, target: Resource) -> Resource | None:
    return next(
        (
            one
            for one in request.context.store.all_of(TYPE)
            if one.key != _id(request).lower() and one.properties["targetResourceUri"].lower() == target.key
        ),
        None,
    )


def _require_metric(request: ArmRequest, rule: Rule) -> None:
    """Raise 404 where a rule's resource does not exist, 400 or 501 where it has no such metric, or dimension."""
    resource = request.context.store.get(rule.resource_id)
    if resource is None:
        message = f"The resource '{rule.resource_id}', whose metric {rule.metric} a rule uses, does not exist."
        raise MonitorError(404, "ResourceNotFound", message)
    metric = definitions.find(resource.type, rule.metric)
    if metric is None:
        definitions.refuse_lacking(rule.metric)
    namespace, metrics = definitions.BY_TYPE.get(resource.type, ("", ()))
    if metric is None or rule.namespace.lower() not in ("", namespace.lower()):
        # Its first sentence: https://github.com/Azure/azure-cli/issues/25986
        known = ", ".join(one.name for one in metrics) or "none"
        raise MonitorError(
            400,
            "UnsupportedMetric",
            f"resource: {rule.resource_id}, metricnamespace: {rule.namespace or 'metricNamespace is null'}, "
            f"metricname: {rule.metric}. The resource's metrics are: {known}.",
        )
    for name in rule.dimensions:
        if name not in (one.lower() for one in metric.dimensions):
            known = ", ".join(metric.dimensions) or "none"
            message = f"The metric {metric.name} has no dimension '{name}'; it has: {known}."
            raise MonitorError(400, "BadRequest", message)


def _refuse_lacking(properties: Mapping[str, Any]) -> None:
    """Raise 400 for what Azure refuses for deployments, 501 for what would not be done."""
    policy = properties.get("predictiveAutoscalePolicy") or {}
    if policy.get("scaleMode", "Disabled") != "Disabled":
        # https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-predictive
        message = f"predictiveAutoscalePolicy.scaleMode is {policy['scaleMode']}; only virtual machine scale sets have "
        raise MonitorError(400, "BadRequest", f"{message}predictive autoscale.")
    for notification in properties.get("notifications") or ():
        email = notification.get("email") or {}
        if notification.get("webhooks") or any(email.get(name) for name in NOTIFIED):
            message = "azureml-local sends no notifications of autoscale, neither e-mails nor to webhooks."
            raise AzureError(501, "NotImplemented", message, target="notifications")
    for profile in properties.get("profiles") or ():
        for rule in profile.get("rules") or ():
            if rule["scaleAction"]["type"] == "ServiceAllowedNextValue":
                message = "azureml-local lacks scale actions of the type ServiceAllowedNextValue."
                raise AzureError(501, "NotImplemented", message, target="type")


def _id(request: ArmRequest) -> str:
    return ids.AUTOSCALE_SETTING.format(**request.params)


def _stored(request: ArmRequest) -> Resource:
    setting = request.context.store.get(_id(request))
    if setting is None:
        raise missing(request.params, "microsoft.insights/autoscalesettings", request.params["autoscale_setting"])
    return setting


def _listed(request: ArmRequest, settings: list[Resource]) -> Response:
    return JSONResponse({"value": [_json(one) for one in settings if request.permits(READ, one.id)]})


def _json(setting: Resource) -> dict[str, Any]:
    """Return a setting as Azure does, which writes the provider's part of the id in lower case here."""
    group = setting.id.partition("/providers/")[0]
    shown = {name: value for name, value in setting.body.items() if name != engine.STATE}
    return {
        "id": f"{group}/providers/microsoft.insights/autoscalesettings/{setting.name}",
        "name": setting.name,
        "type": f"{ids.INSIGHTS}/autoscaleSettings",
        **shown,
    }


def _unreadable(misfit: MisfitError) -> AzureError:
    return MonitorError(400, "UnsupportedRequestContent", f"{MALFORMED} {misfit}")
