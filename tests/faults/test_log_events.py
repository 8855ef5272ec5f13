"""What a job and a cluster leave in the tables of Azure Monitor.

Truth: the columns and EventTypes of Azure Monitor's table reference (AmlComputeJobEvent and its neighbours). The tables
are read with DuckDB itself once the service has ended; queries through Azure's client come with the query service.
"""

from __future__ import annotations

import datetime
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from clients import Clients

from running_service import command_line, start_service, wait_for

IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
CLUSTER = "logged"
ENDED = ("Completed", "Failed")


class Workspace:
    """A workspace of a service, over plain HTTP."""

    def __init__(self, clients: Clients) -> None:
        settings = clients.settings
        self.group = f"/subscriptions/{settings.subscription_id}/resourceGroups/{settings.resource_group}/providers"
        self.path = f"{self.group}/Microsoft.MachineLearningServices/workspaces/{settings.workspace}"
        self.logs = f"{self.group}/Microsoft.OperationalInsights/workspaces/{settings.log_workspace}"
        self._session = clients.session
        token = clients.credential.get_token("https://management.azure.com/.default").token
        self._session.headers["Authorization"] = f"Bearer {token}"

    def request(self, method: str, path: str, body: Any = None, version: str = "2024-10-01") -> Any:
        url = f"https://management.azure.com{self.path}{path}?api-version={version}"
        answer = self._session.request(method, url, json=body, timeout=60)
        assert answer.ok, answer.text
        return answer

    def send_logs(self) -> None:
        wanted = {"workspaceId": self.logs, "logs": [{"categoryGroup": "allLogs", "enabled": True}]}
        path = "/providers/Microsoft.Insights/diagnosticSettings/all"
        self.request("PUT", path, {"properties": wanted}, "2021-05-01-preview")

    def ended(self, begun: Any) -> None:
        """Wait for the end of an operation."""
        url = begun.headers["Azure-AsyncOperation"]
        wait_for(lambda: self._session.get(url, timeout=60).json()["status"] == "Succeeded", url)

    def run(self, name: str, line: str) -> None:
        """Run a job to its end."""
        job = {
            "jobType": "Command",
            "command": line,
            "computeId": CLUSTER,
            "experimentName": "logs",
            "environmentId": f"{self.path}/environments/tiny/versions/1",
        }
        self.request("PUT", f"/jobs/{name}", {"properties": job})
        wait_for(lambda: self.request("GET", f"/jobs/{name}").json()["properties"]["status"] in ENDED, f"{name} ended")


@pytest.fixture(scope="module")
def tables() -> Iterator[dict[str, list[dict[str, Any]]]]:
    """The tables, after one job that completed and one that failed on a cluster that was deleted then."""
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp"))
    try:
        workspace = Workspace(Clients(start_service(root)))
        workspace.send_logs()
        workspace.request("PUT", "/environments/tiny/versions/1", {"properties": {"image": IMAGE}})
        scale = {"minNodeCount": 0, "maxNodeCount": 1, "nodeIdleTimeBeforeScaleDown": "PT10M"}
        of_size = {"vmSize": "Standard_DS3_v2", "scaleSettings": scale}
        cluster = {"location": "eastus", "properties": {"computeType": "AmlCompute", "properties": of_size}}
        workspace.ended(workspace.request("PUT", f"/computes/{CLUSTER}", cluster))
        workspace.run("good", "echo hello")
        workspace.run("bad", "exit 3")
        workspace.ended(workspace.request("DELETE", f"/computes/{CLUSTER}"))
        command_line(root, "stop")
        with duckdb.connect(str(root / "log_store" / "logs.duckdb"), read_only=True) as db:
            yield {table: rows(db, table) for (table,) in db.execute("SHOW TABLES").fetchall()}
    finally:
        command_line(root, "reset", "--yes")


def rows(db: duckdb.DuckDBPyConnection, table: str) -> list[dict[str, Any]]:
    found = db.execute(f'SELECT * FROM "{table}" ORDER BY TimeGenerated')
    return [dict(zip([name for name, *_ in found.description or ()], row, strict=True)) for row in found.fetchall()]


def test_job_events(tables: dict[str, list[dict[str, Any]]]) -> None:
    events = {
        name: [
            (one["EventType"], one["ExecutionState"]) for one in tables["AmlComputeJobEvent"] if one["JobId"] == name
        ]
        for name in ("good", "bad")
    }
    begun = [("JobSubmitted", "queued"), ("JobRunning", "running")]
    assert events == {"good": [*begun, ("JobSucceeded", "succeeded")], "bad": [*begun, ("JobFailed", "failed")]}
    failed = tables["AmlComputeJobEvent"][-1]
    assert (failed["ClusterName"], failed["ExperimentName"]) == (CLUSTER, "logs")
    assert "exited with status code 3" in failed["JobErrorMessage"]


def test_run_status_events(tables: dict[str, list[dict[str, Any]]]) -> None:
    statuses = [one["Status"] for one in tables["AmlRunStatusChangedEvent"] if one["RunId"] == "good"]
    assert statuses == ["Starting", "Preparing", "Queued", "Running", "Finalizing", "Completed"]


def test_cluster_and_node_events(tables: dict[str, list[dict[str, Any]]]) -> None:
    cluster = tables["AmlComputeClusterEvent"]
    assert [cluster[0]["EventType"], cluster[-1]["EventType"]] == ["ClusterCreated", "ClusterDeleted"]
    assert max(one["RunningNodeCount"] for one in cluster) <= cluster[0]["MaximumNodeCount"] == 1
    nodes = tables["AmlComputeClusterNodeEvent"]
    assert len({one["NodeId"] for one in nodes}) == 1
    events = [one["OperationName"] for one in nodes]
    assert events[:4] == ["NodePreparing", "NodeIdle", "NodeRunning", "NodeIdle"]
    assert events[-2:] == ["NodeLeaving", "NodeDeallocated"]
    assert {(one["ClusterName"], one["VmSize"]) for one in nodes} == {(CLUSTER, "STANDARD_DS3_V2")}
    (made_by,) = {one["CreatedBy"] for one in cluster}
    assert made_by
    (gone,) = [one for one in nodes if one["OperationName"] == "NodeDeallocated"]
    made = datetime.datetime.fromisoformat(gone["ClusterCreationTime"]).replace(tzinfo=None)
    assert made < gone["NodeAllocationTime"]
    assert float(gone["TotalE2ETimeInSeconds"]) > 0
