"""The logs of an online endpoint, from a diagnostic setting to LogsQueryClient.

What each column means: https://learn.microsoft.com/azure/machine-learning/how-to-monitor-online-endpoints
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import ManagedOnlineEndpoint
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.monitor import MonitorManagementClient
from azure.monitor.query import LogsBatchQuery, LogsQueryClient, LogsQueryError, LogsQueryResult
from log_support import DAY, Logs, send
from support import Arm, Deployed, Scorer, deploy, finish

from azureml_local import admin
from running_service import RunningService

TRAFFIC, CONSOLE, EVENTS = (
    "AmlOnlineEndpointTrafficLog",
    "AmlOnlineEndpointConsoleLog",
    "AmlOnlineEndpointEventLog",
)


@pytest.fixture(scope="module")
def logs(credential: ClientSecretCredential, arm: Arm, client_variables: None) -> Logs:
    return Logs(credential, arm)


@pytest.fixture(scope="module")
def settings(credential: ClientSecretCredential, arm: Arm) -> Any:
    client = MonitorManagementClient(credential, arm.settings.subscription_id, api_version="2021-05-01-preview")
    return client.diagnostic_settings


@pytest.fixture(scope="module")
def watched(deployed: Deployed, settings: Any, logs: Logs, arm: Arm) -> Iterator[str]:
    """The id of the shared endpoint, all of whose logs are collected."""
    endpoint = f"{arm.workspace}/onlineEndpoints/{deployed.endpoint}"
    send(settings, endpoint, logs)
    yield endpoint
    settings.delete(endpoint, "logs")


# --- settings ---


def test_endpoint_has_its_own_categories_and_settings(
    credential: ClientSecretCredential, settings: Any, deployed: Deployed, logs: Logs, arm: Arm
) -> None:
    endpoint = f"{arm.workspace}/onlineEndpoints/{deployed.endpoint}"
    client = MonitorManagementClient(credential, arm.settings.subscription_id, api_version="2021-05-01-preview")
    categories = client.diagnostic_settings_category
    listed = {one.name: one.category_type for one in categories.list(endpoint)}
    assert categories.get(endpoint, TRAFFIC.lower()).name == TRAFFIC
    assert listed == {**dict.fromkeys((TRAFFIC, CONSOLE, EVENTS), "Logs"), "AllMetrics": "Metrics"}
    send(settings, endpoint, logs, TRAFFIC)
    (kept,) = settings.list(endpoint)
    assert settings.get(endpoint, "logs") == kept
    assert kept.id == f"{endpoint.lower()}/providers/microsoft.insights/diagnosticSettings/logs"
    assert [one.category for one in kept.logs] == [TRAFFIC]
    assert list(settings.list(arm.workspace)) == []
    settings.delete(endpoint, "logs")
    with pytest.raises(HttpResponseError, match="Category 'AmlComputeJobEvent' is not supported"):
        send(settings, endpoint, logs, "AmlComputeJobEvent")
    with pytest.raises(HttpResponseError, match="Category 'AmlOnlineEndpointTrafficLog' is not supported"):
        send(settings, arm.workspace, logs, TRAFFIC)


def test_settings_end_with_their_endpoint(ml: MLClient, settings: Any, logs: Logs, arm: Arm, name: str) -> None:
    endpoint = f"{arm.workspace}/onlineEndpoints/{name}"
    with pytest.raises(HttpResponseError, match=f"onlineEndpoints/{name}' under resource group") as caught:
        send(settings, endpoint, logs)
    assert caught.value.status_code == 404
    finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)))
    send(settings, endpoint, logs)
    finish(ml.online_endpoints.begin_delete(name))
    finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)))
    assert list(settings.list(endpoint)) == []
    finish(ml.online_endpoints.begin_delete(name))


# --- traffic ---


def test_each_request_has_a_row(watched: str, scorer: Scorer, deployed: Deployed, logs: Logs, arm: Arm) -> None:
    mine = uuid.uuid4().hex
    agent = f"{mine} {'x' * 100}"
    answer = scorer.post(
        {"data": [1]}, headers={"user-agent": agent, "x-ms-client-request-id": "my-id"}, params={"a": "b"}
    )
    assert answer.status_code == 200
    (row,) = logs.wait(
        f"{TRAFFIC} | where UserAgent startswith '{mine}' | project TimeGenerated, Method, Path, _SubscriptionId, "
        "AzureMLWorkspaceName, EndpointName, DeploymentName, Protocol, ResponseCode, ResponseCodeReason, "
        "ModelStatusCode, RequestPayloadSize, ResponsePayloadSize, UserAgent, XRequestId, XMSClientRequestId, "
        "TotalDurationMs, RequestDurationMs, ResponseDurationMs, RequestThrottlingDelayMs, AuthType, Location, "
        "_ResourceId, IdentityData",
        1,
    )
    when, *request = row[:8]
    assert abs(datetime.datetime.now(datetime.UTC) - when) < datetime.timedelta(minutes=5)
    workspace = arm.settings.workspace
    assert request == [
        "POST",
        "/score",
        arm.settings.subscription_id,
        workspace,
        deployed.endpoint,
        "blue",
        "HTTP/1.1",
    ]
    assert row[8:11] == [200, "OK", 200]
    assert row[11:13] == [len('{"data": [1]}'), len(answer.content)]
    assert row[13] == agent[:70]
    assert row[14:16] == [answer.headers["x-request-id"], "my-id"]
    total, request_ms, answer_ms, delay = row[16:20]
    assert 0 <= request_ms <= answer_ms <= total < 60_000
    assert delay == 0
    assert row[20:] == ["Key", arm.settings.location, watched.lower(), ""]


def test_refusals_have_rows_too(watched: str, scorer: Scorer, logs: Logs, gate: Path) -> None:
    mine = {"user-agent": uuid.uuid4().hex}
    assert scorer.post({}, headers={**mine, "Authorization": "Bearer wrong"}).status_code == 401
    assert scorer.post({}, deployment="absent", headers=mine).status_code == 404
    assert scorer.post({"raise": "on purpose"}, headers=mine).status_code == 424
    assert scorer.post({"wait_for": str(gate)}, deployment="green", headers=mine).status_code == 408
    rows = logs.wait(
        f"{TRAFFIC} | where UserAgent == '{mine['user-agent']}' | project ResponseCode, ResponseCodeReason, "
        "DeploymentName, ModelStatusCode, ModelStatusReason, ResponseDurationMs | order by ResponseCode asc",
        4,
    )
    assert [row[:5] for row in rows] == [
        [401, "Unauthorized", "", None, ""],
        [404, "Not found", "", None, ""],
        [408, "Request timeout", "green", None, ""],
        [424, "Model Error", "blue", 500, "model_error"],
    ]
    assert [row[5] is None for row in rows] == [True, True, True, False]


def test_key_is_in_no_log(watched: str, scorer: Scorer, deployed: Deployed, logs: Logs) -> None:
    mine = {"user-agent": uuid.uuid4().hex}
    scorer.post({"marker": mine["user-agent"]}, headers=mine)
    logs.wait(f"{TRAFFIC} | where UserAgent == '{mine['user-agent']}'", 1)
    for table in (TRAFFIC, CONSOLE, EVENTS):
        everything = str(logs.rows(table))
        assert deployed.primary_key not in everything
        assert deployed.secondary_key not in everything


def test_nothing_is_logged_without_a_setting(watched: str, settings: Any, scorer: Scorer, logs: Logs) -> None:
    send(settings, watched, logs, CONSOLE)
    try:
        unseen, seen = ({"user-agent": uuid.uuid4().hex} for _ in range(2))
        scorer.post({}, headers=unseen)
        send(settings, watched, logs)
        scorer.post({}, headers=seen)
        logs.wait(f"{TRAFFIC} | where UserAgent == '{seen['user-agent']}'", 1)
        assert logs.rows(f"{TRAFFIC} | where UserAgent == '{unseen['user-agent']}'") == []
    finally:
        send(settings, watched, logs)


# --- what containers say and go through ---


def test_console_can_be_joined_with_traffic_by_request_id(watched: str, scorer: Scorer, logs: Logs) -> None:
    """ "You want to trace a request from the network entry point of an online endpoint to the container.\""""
    marker = uuid.uuid4().hex
    scorer.post({"marker": marker})
    (row,) = logs.wait(
        f"{CONSOLE} | where Message has '{marker}' | project Message, ContainerName, DeploymentName, InstanceId, "
        "ContainerImageName, _ResourceId",
        1,
    )
    assert f'asked {{"marker": "{marker}"}}' in row[0]
    assert row[1:3] == ["inference-server", "blue"]
    assert row[3].startswith("blue-")
    assert row[4:] == ["mcr.microsoft.com/azureml/minimal-py311-inference", watched.lower()]


def test_failed_deployment_is_told(
    ml: MLClient, settings: Any, logs: Logs, deployed: Deployed, arm: Arm, name: str
) -> None:
    finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)))
    send(settings, f"{arm.workspace}/onlineEndpoints/{name}", logs)
    poller = deploy(ml, name, "broken", environment=deployed.environment, script="init_raises.py")
    with pytest.raises(HttpResponseError):
        finish(poller)
    mine = f"| where _ResourceId endswith '/onlineendpoints/{name}' | order by TimeGenerated asc"
    console = logs.wait(f"{CONSOLE} {mine} | where Message has 'Traceback' | project DeploymentName, ContainerName", 1)
    assert console[0] == ["broken", "inference-server"]
    events = logs.wait(f"{EVENTS} {mine} | where Name == 'BackOff' | project DeploymentName, Message, InstanceId", 1)
    assert events[0][0] == "broken"
    names = [one for (one,) in logs.rows(f"{EVENTS} {mine} | project Name")]
    assert names[:2] == ["Pulling", "Pulled"]
    assert names.index("Created") < names.index("Started") < names.index("BackOff")
    finish(ml.online_endpoints.begin_delete(name))
    assert logs.rows(f"{EVENTS} {mine} | project Name") == [[one] for one in names], "logs outlive their endpoint"


# --- queries ---


def test_query_by_resource(watched: str, scorer: Scorer, logs: Logs, arm: Arm) -> None:
    mine = {"user-agent": uuid.uuid4().hex}
    scorer.post({}, headers=mine)
    query = f"{TRAFFIC} | where UserAgent == '{mine['user-agent']}' | count"
    logs.wait(f"{TRAFFIC} | where UserAgent == '{mine['user-agent']}'", 1)
    for resource, number in ((watched, 1), (arm.workspace, 1), (arm.group, 1), (logs.sink, 1)):
        answer = logs.client.query_resource(resource, query, timespan=None)
        assert isinstance(answer, LogsQueryResult)
        assert [list(row) for row in answer.tables[0].rows] == [[number]], resource
    with pytest.raises(HttpResponseError) as caught:
        logs.client.query_resource(f"{watched}-absent", query, timespan=None)
    assert caught.value.status_code == 404


def test_other_address_and_query_string(logs: Logs, credential: ClientSecretCredential, arm: Arm) -> None:
    client = LogsQueryClient(credential, endpoint="https://api.loganalytics.azure.com")
    assert isinstance(client.query_workspace(logs.guid, "print a = 1", timespan=None), LogsQueryResult)
    token = credential.get_token("https://api.loganalytics.io/.default").token
    answer = arm.session.get(
        f"https://api.loganalytics.io/v1/workspaces/{logs.guid}/query",
        params={"query": "print a = 1", "timespan": "PT1H"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )
    assert answer.json()["tables"][0]["rows"] == [[1]]


def test_batch_answers_each_query_for_itself(logs: Logs) -> None:
    good, bad, elsewhere = logs.client.query_batch(
        [
            LogsBatchQuery(logs.guid, "print a = 1", timespan=DAY, include_statistics=True),
            LogsBatchQuery(logs.guid, "Absent", timespan=DAY),
            LogsBatchQuery(str(uuid.uuid4()), "print 1", timespan=DAY),
        ]
    )
    assert isinstance(good, LogsQueryResult)
    assert (list(good.tables[0].rows[0]), good.tables[0].columns) == ([1], ["a"])
    assert good.statistics
    assert isinstance(bad, LogsQueryError)
    assert (bad.code, "expression named 'Absent'" in bad.message) == ("BadArgumentError", True)
    assert isinstance(elsewhere, LogsQueryError)
    assert elsewhere.code == "WorkspaceNotFoundError"


def test_timespans_and_preferences(logs: Logs) -> None:
    now = datetime.datetime.now(datetime.UTC)
    for timespan in (None, DAY, (now - DAY, now), (now - DAY, DAY)):
        answer = logs.client.query_workspace(
            logs.guid,
            "print a = now() | render piechart",
            timespan=timespan,
            server_timeout=20,
            include_visualization=True,
            additional_workspaces=[logs.sink, logs.sink.rpartition("/")[2], logs.guid],
        )
        assert isinstance(answer, LogsQueryResult)
        assert answer.visualization is not None
        assert answer.visualization["visualization"] == "piechart"
        assert answer.tables[0].columns_types == ["datetime"]
    with pytest.raises(HttpResponseError, match="Gateway timeout"):
        endless = "range a from 1 to 1000000 step 1 | extend k = 1 | join kind=inner (range b from 1 to 1000000 step 1 "
        endless += "| extend k = 1) on k | summarize sum(a * b % 7)"
        logs.client.query_workspace(logs.guid, endless, timespan=None, server_timeout=1, retry_total=0)


def test_errors_are_azures(logs: Logs) -> None:
    with pytest.raises(HttpResponseError) as caught:
        logs.rows("Absent | take 1")
    assert caught.value.status_code == 400
    body = caught.value.response.json()["error"]
    assert (body["code"], body["message"]) == ("BadArgumentError", "The request had some invalid properties")
    assert uuid.UUID(body["correlationId"])
    assert body["innererror"] == {
        "code": "SemanticError",
        "message": "A semantic error occurred.",
        "innererror": {
            "code": "SEM0100",
            "message": "'take' operator: Failed to resolve table or column expression named 'Absent'",
        },
    }
    for workspace, code in ((str(uuid.uuid4()), "WorkspaceNotFoundError"), ("no guid", "PathNotFoundError")):
        with pytest.raises(HttpResponseError) as caught:
            logs.client.query_workspace(workspace, "print 1", timespan=None)
        assert (caught.value.status_code, caught.value.response.json()["error"]["code"]) == (404, code)


@pytest.mark.parametrize("body", [{}, {"query": ""}, {"query": 5}, {"query": "print 1", "timespan": "an hour"}])
def test_request_that_is_none(body: Any, logs: Logs, arm: Arm, credential: ClientSecretCredential) -> None:
    answer = raw(arm, credential, f"/v1/workspaces/{logs.guid}/query", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadArgumentError")


@pytest.mark.parametrize("one", [{"headers": [1]}, {"headers": "prefer"}, 7], ids=str)
def test_batch_that_is_none(one: Any, arm: Arm, credential: ClientSecretCredential) -> None:
    answer = raw(arm, credential, "/v1/$batch", {"requests": [one]})
    assert answer.status_code == 400
    assert "requests must be a list of queries" in answer.text


def test_query_needs_a_token_for_it(logs: Logs, arm: Arm) -> None:
    url = f"https://api.loganalytics.io/v1/workspaces/{logs.guid}/query"
    without = arm.session.post(url, json={"query": "print 1"}, timeout=60)
    assert (without.status_code, without.json()["error"]["code"]) == (401, "AuthenticationFailed")
    for token, code in ((arm.token, "InvalidAuthenticationTokenAudience"), ("x", "InvalidAuthenticationToken")):
        answer = arm.session.post(
            url, json={"query": "print 1"}, headers={"Authorization": f"Bearer {token}"}, timeout=60
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, code)


def test_query_needs_a_role(service: RunningService, logs: Logs, watched: str) -> None:
    """https://learn.microsoft.com/azure/azure-monitor/logs/manage-access"""
    name = "i" + uuid.uuid4().hex[:10]
    made = admin.call(service.home, "POST", "/identities", {"name": name, "role": None, "scope": None})
    credential = ClientSecretCredential(made["AZURE_TENANT_ID"], made["AZURE_CLIENT_ID"], made["AZURE_CLIENT_SECRET"])
    client = LogsQueryClient(credential)
    for ask, of in ((client.query_workspace, logs.guid), (client.query_resource, watched)):
        with pytest.raises(HttpResponseError) as caught:
            ask(of, "print 1", timespan=None)
        assert (caught.value.status_code, caught.value.response.json()["error"]["code"]) == (
            403,
            "InsufficientAccessError",
        )
    admin.call(service.home, "DELETE", f"/identities/{name}")
    made = admin.call(
        service.home,
        "POST",
        "/identities",
        {"name": name, "role": "Log Analytics Reader", "scope": logs.sink},
    )
    credential = ClientSecretCredential(made["AZURE_TENANT_ID"], made["AZURE_CLIENT_ID"], made["AZURE_CLIENT_SECRET"])
    answer = LogsQueryClient(credential).query_workspace(logs.guid, "print a = 1", timespan=None)
    assert isinstance(answer, LogsQueryResult)
    admin.call(service.home, "DELETE", f"/identities/{name}")


def raw(arm: Arm, credential: ClientSecretCredential, path: str, body: Any) -> Any:
    token = credential.get_token("https://api.loganalytics.io/.default").token
    headers = {"Authorization": f"Bearer {token}"}
    return arm.session.post(f"https://api.loganalytics.io{path}", json=body, headers=headers, timeout=60)
