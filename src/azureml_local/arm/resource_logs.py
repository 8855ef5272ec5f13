"""Resource logs: what happens to a workspace's jobs and computes, on its way to those who asked for it.

An event is written to the outbox for each Log Analytics workspace that a diagnostic setting sends its category to. One
of a job or a run is written in the transaction of the change that it tells of: it is there if, and only if, the change
is. Nodes change without a transaction: an event of theirs, or of their cluster's, is written at once, and lost where it
cannot be (see :mod:`azureml_local.arm.cluster_events`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from azureml_local.arm import log_categories
from azureml_local.arm.log_events import Event
from azureml_local.arm.store import Resource, Store, timestamp
from azureml_local.engines.log_store.tables import TABLES

# https://learn.microsoft.com/azure/azure-monitor/service-limits, "Maximum size for field values"
LONGEST_TEXT = 32 * 1024


class ResourceLogs:
    """Takes events.

    Args:
        store: holds the diagnostic settings and the outbox.
        wake: called once there are new events on disk.
    """

    def __init__(self, store: Store, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake
        # Of this run of the service: a database that is put back from a copy uses sequence numbers again.
        self._writer = uuid.uuid4().hex

    def emit(self, workspace_id: str, event: Event, *, generated_at: str | None = None) -> None:
        """Tell of an event: without a diagnostic setting that wants its category, a query on an index and no more.

        Args:
            workspace_id: the Azure ML workspace that it happened in.
            event: what has happened; see :mod:`azureml_local.arm.log_events`.
            generated_at: when, as ISO 8601 text in UTC; by default now.
        """
        settings = self._store.children(log_categories.SETTING_TYPE, workspace_id)
        sinks = {
            setting.properties["workspaceId"].lower()
            for setting in settings
            if event.category in log_categories.wanted(setting.properties["logs"])
        }
        if not sinks:
            return
        workspace = self._store.get(workspace_id)
        assert workspace is not None  # noqa: S101 - its settings are deleted with it
        when = generated_at or timestamp()
        for sink in sinks:
            log_workspace = self._store.get(sink)
            if log_workspace:  # it can be deleted, and come back
                guid = log_workspace.properties["customerId"]
                record = _record(workspace, event, guid, when)
                self._store.put_event(self._writer, guid, event.category, when, json.dumps(record))
        self._store.after_commit(self._wake)


def _record(workspace: Resource, event: Event, log_workspace: str, when: str) -> dict[str, Any]:
    """Return an event's columns with those that every table has; without what has no value."""
    standard = {
        "TenantId": log_workspace,
        "TimeGenerated": when,
        "Type": event.category,
        "SourceSystem": "Azure",
        "_IsBillable": "True",
        "_ResourceId": workspace.key,
        "_SubscriptionId": workspace.key.split("/")[2],
    }
    table = TABLES[event.category]
    columns = {name: _fitting(value) for name, value in event.record(workspace).items() if value is not None}
    columns |= {name: value for name, value in standard.items() if name in table}
    return {**columns, "_BilledSize": len(json.dumps(columns))}


def _fitting(value: Any) -> Any:
    """Return what can be stored: of a text the first part, and what it has that no character is, replaced."""
    return value[:LONGEST_TEXT].encode(errors="replace").decode() if isinstance(value, str) else value
