"""What is logged, and what somebody finds in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from helpers.waiting import pauses

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

TRAFFIC, JOBS, ALL = "AmlOnlineEndpointTrafficLog", "AmlComputeJobEvent", "allLogs"
SETTINGS_VERSION = "2021-05-01-preview"
SPAN = timedelta(days=1)


def sinks(owner: TokenCredential, resource: str, category: str) -> tuple[str, ...]:
    """Return the ids of the Log Analytics workspaces to which a resource sends a category of its logs."""
    from azure.mgmt.monitor import MonitorManagementClient

    monitor = MonitorManagementClient(owner, resource.split("/")[2], api_version=SETTINGS_VERSION)
    return tuple(
        str(setting.workspace_id)
        for setting in monitor.diagnostic_settings.list(resource)
        if setting.workspace_id and any(_sends(log, category) for log in setting.logs or ())
    )


def _sends(log: Any, category: str) -> bool:
    return bool(log.enabled) and (log.category == category or log.category_group == ALL)


class Reader:
    """Somebody who asks a log.

    Args:
        who: whose credential is shown.
        owner: looks up which log is meant.
        sink: the id of the Log Analytics workspace.
        patience: for how many seconds a row is waited for.
    """

    def __init__(self, who: TokenCredential, owner: TokenCredential, sink: str, patience: float) -> None:
        from azure.mgmt.loganalytics import LogAnalyticsManagementClient
        from azure.monitor.query import LogsQueryClient

        _, _, subscription, _, group, *_, name = sink.split("/")
        workspaces = LogAnalyticsManagementClient(owner, subscription).workspaces
        self._workspace = str(workspaces.get(group, name).customer_id)
        self._logs = LogsQueryClient(who)
        self._patience = patience

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return what a query finds in the last day.

        Raises:
            azure.core.exceptions.HttpResponseError: it is refused, or wrong.
        """
        from azure.monitor.query import LogsQueryPartialResult

        span = (datetime.now(UTC) - SPAN, datetime.now(UTC) + SPAN)
        answer = self._logs.query_workspace(self._workspace, query, timespan=span)
        tables = answer.partial_data if isinstance(answer, LogsQueryPartialResult) else answer.tables
        table = tables[0]
        return [dict(zip(table.columns, row, strict=True)) for row in table.rows]

    def until(self, query: str, is_enough: Callable[[list[dict[str, Any]]], bool], what: str) -> list[dict[str, Any]]:
        """Return what a query finds, once that is enough or patience ends."""
        from azure.core.exceptions import HttpResponseError

        rows: list[dict[str, Any]] = []
        with tqdm(desc=f"… {what} (on Azure: 5 to 15 minutes)", bar_format="{desc}{postfix}", leave=False) as line:
            for seconds in pauses():
                try:
                    rows = self.rows(query)
                except HttpResponseError as error:
                    # A new log of Azure's does not know a table before its first row.
                    if error.status_code != 400 or seconds > self._patience:
                        raise
                if is_enough(rows) or seconds > self._patience:
                    break
                line.set_postfix_str(f"{seconds:.0f} s")
        return rows
