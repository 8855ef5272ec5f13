"""Resource logs: what happens to jobs, computes and endpoints, on its way to those who asked for it.

An event is written to the outbox for each Log Analytics workspace that a diagnostic setting sends its category to. One
of a job or a run is written in the transaction of the change that it tells of: it is there if, and only if, the change
is. Nodes change without a transaction: an event of theirs, or of their cluster's, is written at once, and lost where it
cannot be (see :mod:`azureml_local.arm.compute.cluster_events`). What endpoints write comes in such numbers that it goes
to the log store directly (see :mod:`azureml_local.engines.log_store.stream`).
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from azureml_local.arm import ids
from azureml_local.arm.monitor import log_categories
from azureml_local.arm.monitor.log_events import Event
from azureml_local.engines.log_store.tables import TABLES
from azureml_local.store import Resource, Store, timestamp

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
        self.settings_changed = asyncio.Event()  # set when a diagnostic setting is written
        # Of this run of the service: a database that is put back from a copy uses sequence numbers again.
        self._writer = uuid.uuid4().hex

    def emit(self, resource_id: str, event: Event, *, generated_at: str | None = None) -> None:
        """Tell of an event: without a diagnostic setting that wants its category, a query on an index and no more.

        Args:
            resource_id: the workspace, endpoint or autoscale setting that it happened in.
            event: what has happened; see :mod:`azureml_local.arm.monitor.log_events`.
            generated_at: when, as ISO 8601 text in UTC; by default now.
        """
        sinks = self.sinks(resource_id, event.category)
        if not sinks:
            return
        workspace = self._store.get(ids.workspace_of(resource_id))
        assert workspace is not None  # noqa: S101 - its settings are deleted with it
        when = generated_at or timestamp()
        for guid in sinks:
            line = record(resource_id, workspace, event, guid, when)
            self._store.put_event(self._writer, guid, log_categories.table_of(event.category), when, line)
        self._store.after_commit(self._wake)

    def sinks(self, resource_id: str, category: str) -> Mapping[str, str]:
        """Return the Log Analytics workspaces that a resource sends a category to.

        Returns:
            When each was last told so (ISO 8601 text in UTC), by their guids.
        """
        found: dict[str, str] = {}
        for setting in self._store.children(log_categories.SETTING_TYPE, resource_id):
            if log_categories.wants(setting.properties["logs"], category):
                log_workspace = self._store.get(setting.properties["workspaceId"])
                if log_workspace:  # it can be deleted, and come back
                    found[log_workspace.properties["customerId"]] = setting.modified_at
        return found


def record(resource_id: str, workspace: Resource, event: Event, log_workspace: str, when: str) -> str:
    """Return the JSON of an event's columns with those that every table has; without what has no value.

    Args:
        resource_id: the workspace or endpoint that it happened in; ``workspace`` is that workspace, or the endpoint's.
            An autoscale setting lies in none: it is its own ``workspace``.
        event: what has happened.
        log_workspace: the guid of the Log Analytics workspace that it is for.
        when: it happened, as ISO 8601 text in UTC.
    """
    resource, name = resource_id.lower(), log_categories.table_of(event.category)
    standard = {
        "TenantId": log_workspace,
        "TimeGenerated": when,
        "Type": name,
        "SourceSystem": "Azure",
        "_IsBillable": "True",
        "_ResourceId": resource,
        "_SubscriptionId": resource.split("/")[2],
    }
    table = TABLES[name]
    columns = {name: _fitting(value) for name, value in event.record(workspace).items() if value is not None}
    columns |= {name: value for name, value in standard.items() if name in table}
    line = json.dumps(columns)
    return f'{line[:-1]}, "_BilledSize": {len(line)}}}'


def _fitting(value: Any) -> Any:
    """Return what can be stored: of a text the first part, and what it has that no character is, replaced."""
    return value[:LONGEST_TEXT].encode(errors="replace").decode() if isinstance(value, str) else value
