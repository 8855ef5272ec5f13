"""The logs of a deployment that is made after its endpoint's diagnostic setting, as a lesson does it."""

from __future__ import annotations

import datetime

from azure.ai.ml import MLClient
from azure.ai.ml.entities import ManagedOnlineEndpoint
from azure.identity import ClientSecretCredential
from azure.mgmt.loganalytics import LogAnalyticsManagementClient
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.monitor.v2021_05_01_preview import models as monitor_models
from azure.monitor.query import LogsQueryClient, LogsQueryResult
from support import Arm, Deployed, deploy, finish

from running_service import wait_for


def test_deployment_that_comes_after_the_setting_is_followed(
    ml: MLClient, arm: Arm, credential: ClientSecretCredential, deployed: Deployed, name: str
) -> None:
    group, log_workspace = arm.settings.resource_group, arm.settings.log_workspace
    workspaces = LogAnalyticsManagementClient(credential, arm.settings.subscription_id).workspaces
    sink = workspaces.get(group, log_workspace)
    settings = MonitorManagementClient(
        credential, arm.settings.subscription_id, api_version="2021-05-01-preview"
    ).diagnostic_settings
    endpoint = finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)))
    wanted = [monitor_models.LogSettings(category_group="allLogs", enabled=True)]
    settings.create_or_update(
        endpoint.id, "logs", monitor_models.DiagnosticSettingsResource(workspace_id=sink.id, logs=wanted)
    )
    finish(deploy(ml, name, "later", environment=deployed.environment))
    client = LogsQueryClient(credential)

    def has_row(table: str, text: str) -> bool:
        query = f"{table} | where _ResourceId endswith '{name}' and Message has '{text}'"
        answer = client.query_workspace(sink.customer_id, query, timespan=datetime.timedelta(hours=1))
        assert isinstance(answer, LogsQueryResult)
        return bool(answer.tables[0].rows)

    wait_for(lambda: has_row("AmlOnlineEndpointConsoleLog", "later"), "what its script prints")
    wait_for(lambda: has_row("AmlOnlineEndpointEventLog", "ready"), "that it is ready")
    finish(ml.online_endpoints.begin_delete(name))
