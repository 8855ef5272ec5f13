"""Log Analytics workspaces and diagnostic settings, through azure-mgmt-loganalytics and azure-mgmt-monitor.

Truth comes from Azure's OpenAPI (Microsoft.OperationalInsights 2025-07-01, Microsoft.Insights 2021-05-01-preview), the
clients' own deserialisers (every answer is held against their models, see conftest.py), Azure Monitor's documentation,
and for the words of refusals from the public reports that the modules under test name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.loganalytics import LogAnalyticsManagementClient
from azure.mgmt.loganalytics import models as la
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.monitor.v2021_05_01_preview import models as monitor_models
from support import Arm, finish

from running_service import RunningService

JOB, CLUSTER, NODE, RUN = (
    "AmlComputeJobEvent",
    "AmlComputeClusterEvent",
    "AmlComputeClusterNodeEvent",
    "AmlRunStatusChangedEvent",
)


@pytest.fixture(scope="module")
def workspaces(service: RunningService, credential: ClientSecretCredential) -> Any:
    return LogAnalyticsManagementClient(credential, service.settings.subscription_id).workspaces


@pytest.fixture(scope="module")
def monitor(service: RunningService, credential: ClientSecretCredential) -> MonitorManagementClient:
    return MonitorManagementClient(credential, service.settings.subscription_id, api_version="2021-05-01-preview")


@pytest.fixture(scope="module")
def group(service: RunningService) -> str:
    return service.settings.resource_group


@pytest.fixture
def settings(monitor: MonitorManagementClient, arm: Arm) -> Iterator[Any]:
    """The operations on diagnostic settings; afterwards the workspace has none."""
    yield monitor.diagnostic_settings
    for setting in list(monitor.diagnostic_settings.list(arm.workspace)):
        monitor.diagnostic_settings.delete(arm.workspace, setting.name)


def create(workspaces: Any, group: str, name: str, **properties: Any) -> la.Workspace:
    parameters = la.Workspace(location="eastus", properties=la.WorkspaceProperties(**properties))
    workspace: la.Workspace = finish(workspaces.begin_create_or_update(group, name, parameters))
    return workspace


def sink(arm: Arm) -> str:
    return f"{arm.group}/providers/Microsoft.OperationalInsights/workspaces/{arm.settings.log_workspace}"


def setting(arm: Arm, *categories: str, **changes: Any) -> monitor_models.DiagnosticSettingsResource:
    logs = [monitor_models.LogSettings(category=category, enabled=True) for category in categories]
    return monitor_models.DiagnosticSettingsResource(**{"workspace_id": sink(arm), "logs": logs, **changes})


def refused(call: Any, *arguments: Any, status: int = 400, code: str = "BadRequest") -> str:
    """Return the words with which a call is refused."""
    with pytest.raises(HttpResponseError) as caught:
        call(*arguments)
    assert (caught.value.status_code, caught.value.error.code) == (status, code), caught.value
    return str(caught.value.error.message)


# --- Log Analytics workspaces ---


def test_one_workspace_is_there_from_the_start(workspaces: Any, group: str, arm: Arm) -> None:
    found = workspaces.get(group, arm.settings.log_workspace)
    assert (found.id, found.type) == (sink(arm), "Microsoft.OperationalInsights/workspaces")
    properties = found.properties
    assert (properties.sku.name, properties.retention_in_days) == ("PerGB2018", 30)
    assert properties.provisioning_state == "Succeeded"
    assert found.id in {one.id for one in workspaces.list()}
    assert found.id in {one.id for one in workspaces.list_by_resource_group(group)}


def test_workspace_lives(workspaces: Any, group: str, name: str, arm: Arm) -> None:
    created = create(workspaces, group, name, retention_in_days=90)
    path = created.id
    assert arm.request("PUT", path, {"location": "East US", "tags": {"a": "b"}}).status_code == 200
    again = workspaces.get(group, name.upper())
    assert (again.id, again.location, again.tags) == (created.id, "eastus", {"a": "b"})
    assert again.properties.customer_id == created.properties.customer_id
    assert again.properties.created_date == created.properties.created_date
    patch = la.WorkspacePatch(properties=la.WorkspaceProperties(retention_in_days=730))
    patched = workspaces.update(group, name, patch)
    assert (patched.properties.retention_in_days, patched.tags) == (730, {"a": "b"})
    finish(workspaces.begin_delete(group, name, force=True))
    with pytest.raises(ResourceNotFoundError, match=r"was not found\. For more details please go to"):
        workspaces.get(group, name)
    assert arm.request("DELETE", path).status_code == 204


def test_deleted_workspace_comes_back_unless_it_was_forced(workspaces: Any, group: str, name: str, arm: Arm) -> None:
    """ "To recover the workspace, create it again with the same name, in the same … resource group and location.\""""
    first = create(workspaces, group, name, retention_in_days=90)
    finish(workspaces.begin_delete(group, name))
    elsewhere = arm.request("PUT", first.id, {"location": "westeurope"})
    assert (elsewhere.status_code, elsewhere.json()["error"]["code"]) == (409, "Conflict")
    back = create(workspaces, group, name)
    assert back.properties.customer_id == first.properties.customer_id
    assert back.properties.retention_in_days == 90
    finish(workspaces.begin_delete(group, name, force=True))
    new = create(workspaces, group, name)
    assert new.properties.customer_id != first.properties.customer_id
    finish(workspaces.begin_delete(group, name, force=True))


@pytest.mark.parametrize(
    ("sku", "days", "allowed"),
    [
        ("PerGB2018", 29, "30 to 730"),
        ("PerGB2018", 731, "30 to 730"),
        ("PerGB2018", 7, "30 to 730"),
        ("Free", 30, "7 to 7"),
    ],
)
def test_retention_that_the_tier_lacks(
    sku: str, days: int, allowed: str, workspaces: Any, group: str, name: str
) -> None:
    with pytest.raises(HttpResponseError) as caught:
        create(workspaces, group, name, sku=la.WorkspaceSku(name=sku), retention_in_days=days)
    assert caught.value.status_code == 400
    assert f"The value provided for retention is invalid. the expected value should be between {allowed}" in str(
        caught.value
    )
    with pytest.raises(ResourceNotFoundError):
        workspaces.get(group, name)


@pytest.mark.parametrize("bad", ["abc", "-abcd", "abcd-", "a_bcd", "a" * 64])
def test_bad_workspace_name(bad: str, arm: Arm) -> None:
    path = sink(arm).rpartition("/")[0] + f"/{bad}"
    answer = arm.request("PUT", path, {"location": "eastus"})
    assert (answer.status_code, answer.json()["error"]["target"]) == (400, "name")


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({}, 400, "location"),
        ({"location": "eastus", "properties": {"colour": "red"}}, 400, "colour"),
        ({"location": "eastus", "properties": {"retentionInDays": "30"}}, 400, "retentionInDays"),
        ({"location": "eastus", "properties": {"workspaceCapping": {"dailyQuotaGb": 1}}}, 501, "workspaceCapping"),
        ({"location": "eastus", "properties": {"publicNetworkAccessForQuery": "Disabled"}}, 501, "ForQuery"),
        ({"location": "eastus", "identity": {"type": "SystemAssigned"}}, 501, "identit"),
    ],
)
def test_workspace_that_cannot_be(body: Any, status: int, word: str, name: str, arm: Arm) -> None:
    answer = arm.request("PUT", sink(arm).rpartition("/")[0] + f"/{name}", body)
    assert answer.status_code == status
    assert word in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/tables", "/sharedKeys", "/savedSearches/a"])
def test_what_is_below_a_workspace_is_named(path: str, arm: Arm) -> None:
    answer = arm.request("GET", sink(arm) + path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "NotImplemented")
    assert path in answer.json()["error"]["message"]


# --- diagnostic settings ---


def test_categories_are_azures(monitor: MonitorManagementClient, arm: Arm) -> None:
    listed = {one.name: one for one in monitor.diagnostic_settings_category.list(arm.workspace)}
    assert len(listed) == 27
    assert {JOB, CLUSTER, NODE, RUN, "ModelsReadEvent", "AllMetrics"} <= set(listed)
    assert (listed[JOB].category_type, listed[JOB].category_groups) == ("Logs", ["allLogs"])
    assert listed["AllMetrics"].category_type == "Metrics"
    one = monitor.diagnostic_settings_category.get(arm.workspace, JOB.lower())
    assert (one.id, one.name) == (listed[JOB].id, JOB)
    with pytest.raises(ResourceNotFoundError):
        monitor.diagnostic_settings_category.get(arm.workspace, "Weather")


def test_setting_lives(settings: Any, arm: Arm) -> None:
    asked = setting(arm, JOB.lower(), CLUSTER, log_analytics_destination_type="Dedicated")
    created = settings.create_or_update(arm.workspace, "Logs", asked)
    # In the answers of Azure Monitor the resource's id is in lower case; see azure-rest-api-specs issue 22400.
    assert created.id == f"{arm.workspace.lower()}/providers/microsoft.insights/diagnosticSettings/Logs"
    assert (created.type, created.workspace_id) == ("Microsoft.Insights/diagnosticSettings", sink(arm))
    assert [(log.category, log.category_group, log.enabled) for log in created.logs] == [
        (JOB, None, True),
        (CLUSTER, None, True),
    ]
    assert (created.logs[0].retention_policy.enabled, created.logs[0].retention_policy.days) == (False, 0)
    assert (created.storage_account_id, created.event_hub_name, created.metrics) == (None, None, [])
    assert settings.get(arm.workspace, "logs") == created
    assert list(settings.list(arm.workspace)) == [created]
    replaced = settings.create_or_update(arm.workspace, "Logs", setting(arm, RUN))
    assert [log.category for log in replaced.logs] == [RUN]
    settings.delete(arm.workspace, "Logs")
    assert refused(settings.get, arm.workspace, "Logs", status=404, code="ResourceNotFound") == (
        "The diagnostic setting 'Logs' doesn't exist."
    )
    settings.delete(arm.workspace, "Logs")  # 204


def test_what_was_got_can_be_put(settings: Any, arm: Arm) -> None:
    group = [monitor_models.LogSettings(category_group="alllogs", enabled=True)]
    created = settings.create_or_update(arm.workspace, "all", setting(arm, logs=group))
    assert [(log.category, log.category_group) for log in created.logs] == [(None, "allLogs")]
    assert settings.create_or_update(arm.workspace, "all", created) == created


def test_errors_are_in_no_frame_as_azure_monitors_are(arm: Arm) -> None:
    """The raw answer in https://github.com/hashicorp/terraform-provider-azurerm/pull/27801."""
    answer = arm.get("/providers/Microsoft.Insights/diagnosticSettings/absent")
    assert answer.json() == {"code": "ResourceNotFound", "message": "The diagnostic setting 'absent' doesn't exist."}


LOGS = "An entry of properties.logs needs a category or a categoryGroup."
MIX = "Diagnostic setting does not support mix of log category and log category group."
POLICY = "Diagnostic settings does not support retention for new diagnostic settings."


@pytest.mark.parametrize(
    ("logs", "message"),
    [
        ([{"category": "Weather", "enabled": True}], "Category 'Weather' is not supported."),
        ([{"category": "Weather", "enabled": False}], "Category 'Weather' is not supported."),
        ([{"categoryGroup": "someLogs", "enabled": True}], "Category group 'someLogs' is not supported."),
        ([{"category": JOB, "enabled": True}, {"categoryGroup": "allLogs", "enabled": True}], MIX),
        ([{"category": JOB, "enabled": True, "retentionPolicy": {"enabled": True, "days": 3}}], POLICY),
        ([{"category": JOB, "enabled": True}, {"category": JOB, "enabled": False}], f"properties.logs has '{JOB}' 2 "),
        ([{"enabled": True}], LOGS),
        ([None], "properties.logs[0]"),
        ([{"category": JOB}], "'enabled' not found"),
        ([{"category": JOB, "enabled": "yes"}], "properties.logs[0].enabled"),
        ({}, "properties.logs"),
    ],
    ids=str,
)
def test_logs_that_azure_refuses(logs: Any, message: str, arm: Arm) -> None:
    body = {"properties": {"workspaceId": sink(arm), "logs": logs}}
    answer = arm.put("/providers/Microsoft.Insights/diagnosticSettings/bad", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")
    assert message in answer.json()["message"]
    assert arm.get("/providers/Microsoft.Insights/diagnosticSettings/bad").status_code == 404


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"logs": [{"category": "ModelsReadEvent", "enabled": True}]}, "ModelsReadEvent"),
        ({"logs": [{"categoryGroup": "audit", "enabled": True}]}, "audit"),
        ({"metrics": [{"category": "AllMetrics", "enabled": True}]}, "metrics"),
        ({"storageAccountId": "/subscriptions/s/x"}, "storageAccountId"),
        ({"eventHubAuthorizationRuleId": "/subscriptions/s/x", "eventHubName": "h"}, "eventHubAuthorizationRuleId"),
        ({"serviceBusRuleId": "/subscriptions/s/x"}, "serviceBusRuleId"),
        ({"marketplacePartnerId": "/subscriptions/s/x"}, "marketplacePartnerId"),
    ],
    ids=str,
)
def test_what_azureml_local_lacks_is_named(changes: dict[str, Any], named: str, arm: Arm) -> None:
    body = {"properties": {"workspaceId": sink(arm), **changes}}
    answer = arm.put("/providers/Microsoft.Insights/diagnosticSettings/bad", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "NotImplemented")
    assert named in answer.json()["error"]["message"]


def test_switched_off_are_taken(settings: Any, arm: Arm) -> None:
    """Azure's portal and templates send every category, and switch off what is not wanted."""
    off = [monitor_models.LogSettings(category=name, enabled=False) for name in ("ModelsReadEvent", "RunEvent")]
    metrics = [monitor_models.MetricSettings(category="AllMetrics", enabled=False)]
    created = settings.create_or_update(arm.workspace, "off", setting(arm, logs=off, metrics=metrics))
    assert [log.enabled for log in created.logs] == [False, False]
    assert [(one.category, one.enabled) for one in created.metrics] == [("AllMetrics", False)]


def test_unknown_metric_category(settings: Any, arm: Arm) -> None:
    metrics = [monitor_models.MetricSettings(category="Gateway Requests", enabled=True)]
    assert refused(settings.create_or_update, arm.workspace, "bad", setting(arm, metrics=metrics)) == (
        "Metric category 'Gateway Requests' is not supported, supported categories are: 'AllMetrics'"
    )


@pytest.mark.parametrize(
    ("workspace_id", "status", "code", "message"),
    [
        (None, 400, "BadRequest", "At least one data sink needs to be specified."),
        ("", 400, "BadRequest", "At least one data sink needs to be specified."),
        ("1c11b111-111e-1f11", 400, "LinkedInvalidPropertyId", "Property id '1c11b111-111e-1f11' at path "),
        ("{sink}-absent", 404, "ResourceNotFound", "-absent' doesn't exist."),
        ("{workspace}", 404, "ResourceNotFound", "doesn't exist."),
    ],
)
def test_sink_that_is_none(
    workspace_id: str | None, status: int, code: str, message: str, settings: Any, arm: Arm
) -> None:
    asked = workspace_id and workspace_id.format(sink=sink(arm), workspace=arm.workspace)
    words = refused(
        settings.create_or_update,
        arm.workspace,
        "bad",
        setting(arm, JOB, workspace_id=asked),
        status=status,
        code=code,
    )
    assert message in words


def test_one_sink_takes_a_category_once(settings: Any, arm: Arm, workspaces: Any, group: str, name: str) -> None:
    other = create(workspaces, group, name)
    settings.create_or_update(arm.workspace, "first", setting(arm, JOB, CLUSTER))
    words = refused(
        settings.create_or_update, arm.workspace, "second", setting(arm, NODE, JOB), status=409, code="Conflict"
    )
    assert words == (
        f"Data sink '{sink(arm)}' is already used in diagnostic setting 'first' for category '{JOB}'. Data sinks can't "
        "be reused in different settings on the same category for the same resource."
    )
    everything = [monitor_models.LogSettings(category_group="allLogs", enabled=True)]
    refused(
        settings.create_or_update,
        arm.workspace,
        "second",
        setting(arm, logs=everything),
        status=409,
        code="Conflict",
    )
    settings.create_or_update(arm.workspace, "second", setting(arm, NODE))
    settings.create_or_update(arm.workspace, "third", setting(arm, JOB, workspace_id=other.id))
    assert [one.name for one in settings.list(arm.workspace)] == ["first", "second", "third"]
    finish(workspaces.begin_delete(group, name, force=True))


def test_five_settings_and_no_more(settings: Any, arm: Arm) -> None:
    for number in range(5):
        settings.create_or_update(arm.workspace, f"s{number}", setting(arm))
    words = refused(settings.create_or_update, arm.workspace, "s5", setting(arm), status=409, code="Conflict")
    assert (
        words == "The limit of 5 diagnostic settings was reached. To create new setting 's5', delete an existing one."
    )
    settings.create_or_update(arm.workspace, "s4", setting(arm, JOB))  # an update is none more


@pytest.mark.parametrize("bad", ["a*b", "a<b", "a" * 261])
def test_bad_setting_name(bad: str, arm: Arm) -> None:
    answer = arm.put(f"/providers/Microsoft.Insights/diagnosticSettings/{bad}", {"properties": {}})
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")


def test_settings_end_with_their_workspace(arm: Arm, name: str) -> None:
    path = f"{arm.workspace.rpartition('/')[0]}/{name}"
    assert arm.put(path, {"location": "eastus"}).status_code == 201
    settings = f"{path}/providers/Microsoft.Insights/diagnosticSettings"
    assert arm.put(f"{settings}/s", {"properties": {"workspaceId": sink(arm)}}).status_code == 200
    assert arm.request("DELETE", path).status_code == 200
    gone = arm.get(settings)
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "ResourceNotFound")
    assert arm.put(path, {"location": "eastus"}).status_code == 201
    assert arm.get(settings).json() == {"value": []}
    assert arm.request("DELETE", path).status_code == 200


@pytest.mark.parametrize("of", ["/onlineEndpoints/e/deployments/d", "/computes/c", ""])
def test_settings_of_other_resources_are_named(of: str, arm: Arm) -> None:
    owner = arm.workspace + of if of else arm.group
    answer = arm.get(f"{owner}/providers/Microsoft.Insights/diagnosticSettings")
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "NotImplemented")
    assert "diagnostic settings of a workspace" in answer.json()["error"]["message"]
