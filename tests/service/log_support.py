"""What the tests of logs share: asking the Log Analytics workspace that is there, and sending logs to it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from azure.identity import ClientSecretCredential
from azure.mgmt.loganalytics import LogAnalyticsManagementClient
from azure.mgmt.monitor.v2021_05_01_preview import models as monitor_models
from azure.monitor.query import LogsQueryClient, LogsQueryResult
from support import Arm

from running_service import wait_for

DAY = datetime.timedelta(days=1)


class Logs:
    """The client, and the Log Analytics workspace that is there from the start."""

    def __init__(self, credential: ClientSecretCredential, arm: Arm) -> None:
        self.client = LogsQueryClient(credential)
        self.sink = f"{arm.group}/providers/Microsoft.OperationalInsights/workspaces/{arm.settings.log_workspace}"
        workspaces = LogAnalyticsManagementClient(credential, arm.settings.subscription_id).workspaces
        self.guid: str = workspaces.get(arm.settings.resource_group, arm.settings.log_workspace).customer_id

    def rows(self, query: str, **options: Any) -> list[Sequence[Any]]:
        answer = self.client.query_workspace(self.guid, query, **{"timespan": DAY, **options})
        assert isinstance(answer, LogsQueryResult)
        return [list(row) for row in answer.tables[0].rows]

    def wait(self, query: str, number: int) -> list[Sequence[Any]]:
        """Return a query's rows once there are as many."""
        return wait_for(lambda: found if len(found := self.rows(query)) >= number else None, query)


def send(settings: Any, resource: str, logs: Logs, *categories: str) -> None:
    """Send categories of a resource's logs, all where none is named, to the Log Analytics workspace."""
    wanted = [monitor_models.LogSettings(category=one, enabled=True) for one in categories]
    wanted = wanted or [monitor_models.LogSettings(category_group="allLogs", enabled=True)]
    setting = monitor_models.DiagnosticSettingsResource(workspace_id=logs.sink, logs=wanted)
    settings.create_or_update(resource, "logs", setting)
