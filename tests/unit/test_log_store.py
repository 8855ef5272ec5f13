"""From a change of state to a table of Azure Monitor: which events are written, as what, and for how long.

Tables, columns and types are those of https://learn.microsoft.com/azure/azure-monitor/reference/tables/amlcomputejobevent
and its neighbours; settings as https://learn.microsoft.com/azure/azure-monitor/platform/diagnostic-settings says.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator

import duckdb
import pytest

from azureml_local.arm.monitor import log_analytics, log_categories
from azureml_local.arm.monitor.log_events import (
    EXECUTION_STATES,
    ClusterEvent,
    Event,
    JobEvent,
    NodeCounts,
    NodeEvent,
    RunStatusEvent,
)
from azureml_local.arm.online.endpoint_log_events import ConsoleEvent, ContainerEvent, TrafficEvent
from azureml_local.engines.log_store import client
from azureml_local.engines.log_store.client import LogStoreError
from azureml_local.engines.log_store.tables import TABLES
from azureml_local.home import Home
from azureml_local.store import timestamp
from log_store import JOB, OTHER_WORKSPACE, SECONDS, WORKSPACE, Logs, running, state_folder

COMPUTE = f"{WORKSPACE}/computes/cpu-cluster"
WHEN = "2026-11-22T13:20:30.123456Z"
EVENTS: tuple[Event, ...] = (
    JobEvent(
        "JobFailed",
        "run-1",
        "Job 1",
        "exp",
        "exp-id",
        COMPUTE,
        error_message="exit code 1",
        error_details='{"code": "UserError"}',
    ),
    ClusterEvent(
        "ClusterResized",
        "cpu-cluster",
        NodeCounts(current=1, target=3, running=1, preparing=2, preempted=1),
        minimum=0,
        maximum=4,
        idle_seconds=120,
        vm_size="Standard_DS3_v2",
        vm_family="standardDSv2Family",
        vcpus=4,
        priority="LowPriority",
        allocation_state="Resizing",
        allocation_state_since=WHEN,
        quota=(300, 4),
        created_by="ann",
    ),
    NodeEvent(
        "NodeAllocated",
        "tvmps_1",
        "cpu-cluster",
        "Standard_DS3_v2",
        "standardDSv2Family",
        "Dedicated",
        cluster_created=WHEN,
        allocated=WHEN,
        active_seconds=12.5,
    ),
    RunStatusEvent("run-1", "night-1", "Failed", parent="pipeline-1", user="ann", message="exit code 1"),
    TrafficEvent(
        endpoint="e",
        deployment="blue",
        location="eastus",
        auth_type="Key",
        caller=None,
        method="POST",
        path="/score",
        protocol="HTTP/1.1",
        user_agent="curl",
        request_id="id",
        client_request_id="mine",
        status=424,
        reason="Model Error",
        model_status=500,
        model_reason="model_error",
        request_size=12,
        answer_size=0,
        total_ms=7,
        request_ms=1,
        answer_ms=6,
    ),
    ConsoleEvent("blue", "blue-1a2b", "inference-server", "image", "Init complete"),
    ContainerEvent("blue", "blue-1a2b", "Started", "Started container inference-server"),
)


@pytest.fixture
def home() -> Iterator[Home]:
    with state_folder() as folder:
        yield folder


def scenario(home: Home, act: Callable[[Logs], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(SECONDS), running(home) as logs:
            await act(logs)

    asyncio.run(run())


def test_nothing_runs_before_there_is_an_event_that_somebody_wants(home: Home) -> None:
    async def act(logs: Logs) -> None:
        logs.submit("nobody-asked")
        logs.send(["AmlRunStatusChangedEvent"], to=logs.log_workspace("logs"))
        logs.submit("asked-for-others")
        logs.log_store.apply_retention()
        await asyncio.sleep(0)
        assert logs.store.waiting_events(1) == []
        assert logs.process() is None
        assert not logs.home.log_store.exists()
        logs.send([JOB], to=logs.log_workspace("logs"))
        logs.submit("wanted")
        assert await logs.jobs() == ["wanted"]
        assert logs.process() is not None

    scenario(home, act)


def test_duckdb_is_loaded_by_its_process_only() -> None:
    code = "import sys, azureml_local.service, azureml_local.cli; sys.exit('duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_event_is_there_if_and_only_if_its_change_is(home: Home) -> None:
    async def act(logs: Logs) -> None:
        logs.send([], to=logs.log_workspace("logs"))
        with pytest.raises(ZeroDivisionError), logs.store.transaction():
            logs.submit("rolled-back")
            raise ZeroDivisionError
        with logs.store.transaction():
            logs.submit("a")
            logs.submit("b")
        assert await logs.jobs() == ["a", "b"]

    scenario(home, act)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.category)
def test_record_has_columns_of_its_table_only(event: Event, home: Home) -> None:
    logs = Logs(home)
    workspace = logs.store.get(WORKSPACE)
    assert workspace is not None
    record = event.record(workspace)
    logs.store.close()
    types = {"string": str, "int": int, "real": float, "datetime": str}
    assert set(record) <= set(TABLES[event.category])
    for name, value in record.items():
        assert value is None or isinstance(value, types[TABLES[event.category][name]]), name


def test_rows_are_complete(home: Home) -> None:
    async def act(logs: Logs) -> None:
        sink = logs.log_workspace("logs")
        logs.send([], to=sink)
        for event in EVENTS:
            logs.events.emit(WORKSPACE, event, generated_at=WHEN)
        await logs.shipped()
        rows = {}
        for event in EVENTS:
            (row,) = await logs.rows(event.category)
            rows[event.category] = row
            assert set(row) == set(TABLES[event.category])
            assert (row["Type"], row["TimeGenerated"], row["SourceSystem"]) == (event.category, WHEN, "Azure")
            assert (row["TenantId"], row["_IsBillable"]) == (sink.properties["customerId"], "True")
            assert 100 < row["_BilledSize"] < 2000
            if "_ResourceId" in row:
                assert row["_ResourceId"] == WORKSPACE.lower()
                assert row["_SubscriptionId"] == WORKSPACE.split("/")[2]
            # A string is never null: https://learn.microsoft.com/kusto/query/scalar-data-types/null-values
            for name, kind in TABLES[event.category].items():
                assert row[name] is not None or kind != "string", name
        job = rows[JOB]
        assert (job["EventType"], job["OperationName"], job["ExecutionState"]) == ("JobFailed", "JobFailed", "failed")
        assert (job["ClusterName"], job["ClusterResourceGroupName"]) == ("cpu-cluster", "Group")
        assert (job["WorkspaceName"], job["ResourceGroupName"]) == ("ws", "Group")
        assert (job["JobErrorMessage"], json.loads(job["ErrorDetails"])) == ("exit code 1", {"code": "UserError"})
        assert job["TFWorkerCount"] == ""
        cluster = rows["AmlComputeClusterEvent"]
        assert (cluster["CurrentNodeCount"], cluster["TargetNodeCount"], cluster["CoreCount"]) == (1, 3, 4)
        assert (cluster["IsResizeGrow"], cluster["ScalingType"], cluster["PreemptedNodeCount"]) == ("True", "auto", "1")
        assert (cluster["VmSize"], cluster["QuotaAllocated"]) == ("STANDARD_DS3_V2", "300")
        assert cluster["AllocationStateTransitionTime"] == WHEN
        node = rows["AmlComputeClusterNodeEvent"]
        assert (node["NodeAllocationTime"], node["NodeBootTime"]) == (WHEN, None)
        assert (node["TotalE2ETimeInSeconds"], node["ClusterCreationTime"]) == ("12.5", WHEN)
        run = rows["AmlRunStatusChangedEvent"]
        assert (run["RunId"], run["Status"], run["Level"]) == ("run-1", "Failed", "Error")
        assert (run["ParentRunId"], run["RootRunId"]) == ("pipeline-1", "night-1")
        assert (run["WorkspaceId"], run["Location"]) == ("guid", "eastus")

    scenario(home, act)


def test_whatever_a_job_says_is_written(home: Home) -> None:
    """Half a surrogate pair is what undecodable output becomes; the longest field has 32 KiB, as in Azure."""

    async def act(logs: Logs) -> None:
        logs.send([], to=logs.log_workspace("logs"))
        said = ["\x00 \x1b[0m \r\n\t\\u0041", "grüße 😀 'quoted\" $1 %s", "\ud800undecodable", "x" * 100_000]
        for text in said:
            logs.events.emit(WORKSPACE, JobEvent("JobFailed", "j", "j", "e", error_message=text))
        await logs.shipped()
        written = [row["JobErrorMessage"] for row in await logs.rows(JOB)]
        assert written == [*said[:2], "?undecodable", "x" * 32 * 1024]

    scenario(home, act)


def test_times_can_be_reckoned_with(home: Home) -> None:
    """Azure's sample query "Display top 5 longest job runs" subtracts them."""

    async def act(logs: Logs) -> None:
        logs.send([], to=logs.log_workspace("logs"))
        logs.events.emit(WORKSPACE, JobEvent("JobSubmitted", "j", "j", "e"), generated_at="2026-11-22T23:59:59.5Z")
        logs.events.emit(WORKSPACE, JobEvent("JobSucceeded", "j", "j", "e"), generated_at="2026-11-23T00:00:01.25Z")
        await logs.shipped()
        answer = await logs.log_store.query(
            f"SELECT epoch(max(TimeGenerated) - min(TimeGenerated)) AS seconds FROM {JOB} WHERE JobId = ?", ["j"]
        )
        assert answer == {"columns": ["seconds"], "rows": [[1.75]]}

    scenario(home, act)


def test_every_event_of_a_job_has_a_state() -> None:
    """The reference: "queued, running, succeeded, failed"; and one for a job that was canceled."""
    assert list(EXECUTION_STATES.values()) == ["queued", "running", "succeeded", "failed", "canceled"]


def test_each_setting_gets_what_it_asks_for(home: Home) -> None:
    async def act(logs: Logs) -> None:
        first, second, off = (logs.log_workspace(name) for name in ("first", "second", "third"))
        logs.send([JOB], to=first)
        logs.send([], to=second)
        logs.send([JOB], to=off, enabled=False)
        logs.send([JOB], to=first, of=OTHER_WORKSPACE)
        logs.submit("j")
        logs.submit("k", OTHER_WORKSPACE)
        logs.events.emit(WORKSPACE, EVENTS[3])
        await logs.shipped()
        rows = await logs.rows(JOB)
        assert sorted((row["JobId"], row["TenantId"]) for row in rows) == sorted(
            [
                ("j", first.properties["customerId"]),
                ("j", second.properties["customerId"]),
                ("k", first.properties["customerId"]),
            ]
        )
        (row,) = await logs.rows("AmlRunStatusChangedEvent")
        assert row["TenantId"] == second.properties["customerId"]

    scenario(home, act)


def test_deleted_sink_takes_nothing_until_it_comes_back(home: Home) -> None:
    async def act(logs: Logs) -> None:
        sink = logs.log_workspace("logs")
        logs.send([], to=sink)
        logs.store.delete(sink.id)
        logs.submit("meanwhile")
        assert logs.store.waiting_events(1) == []
        logs.log_workspace("logs")
        logs.submit("afterwards")
        assert await logs.jobs() == ["afterwards"]

    scenario(home, act)


def test_records_are_kept_as_long_as_their_workspace_says(home: Home) -> None:
    async def act(logs: Logs) -> None:
        month, year = logs.log_workspace("month"), logs.log_workspace("year", retentionInDays=365)
        logs.send([], to=month)
        logs.send([], to=year)
        for days in (0, 29.9, 30.1, 364, 366):
            logs.submit(f"{days}", generated_at=timestamp(days))
        await logs.shipped()
        logs.log_store.apply_retention()
        assert await kept(logs, month.properties["customerId"]) == {"0", "29.9"}
        assert await kept(logs, year.properties["customerId"]) == {"0", "29.9", "30.1", "364"}
        logs.log_workspace("year", retentionInDays=30)
        logs.log_store.apply_retention()
        await until(logs, lambda rows: len(rows) == 4)
        logs.store.delete(month.id)
        logs.log_store.apply_retention()
        await until(logs, lambda rows: len(rows) == 2)
        assert await kept(logs, year.properties["customerId"]) == {"0", "29.9"}

    async def kept(logs: Logs, guid: str) -> set[str]:
        await until(logs, lambda rows: "366" not in rows)
        answer = await logs.log_store.query(f"SELECT JobId FROM {JOB} WHERE TenantId = ?", [guid])
        return {job for (job,) in answer["rows"]}

    async def until(logs: Logs, condition: Callable[[list[str]], bool]) -> None:
        while not condition(await logs.jobs()):
            await logs.log_store.query("SELECT 1")

    scenario(home, act)


def test_table_gets_the_columns_of_a_later_version(home: Home) -> None:
    async def write(logs: Logs) -> None:
        logs.send([], to=logs.log_workspace("logs"))
        logs.submit("before")
        await logs.shipped()

    async def read(logs: Logs) -> None:
        logs.submit("after")
        await logs.shipped()
        rows = await logs.rows(JOB)
        assert [(row["JobId"], row["JobName"]) for row in rows] == [("before", None), ("after", "after")]

    scenario(home, write)
    with duckdb.connect(str(home.log_store / "logs.duckdb")) as db:
        db.execute(f"ALTER TABLE {JOB} DROP COLUMN JobName")  # as if the table had come with an earlier version
    scenario(home, read)


def test_outdated_records_are_gone_after_a_restart(home: Home) -> None:
    async def write(logs: Logs) -> None:
        logs.send([], to=logs.log_workspace("logs", retentionInDays=730))
        for days in (1, 100):
            logs.submit(f"{days}", generated_at=timestamp(days))
        assert len(await logs.jobs()) == 2

    async def read(logs: Logs) -> None:
        logs.log_workspace("logs", retentionInDays=30)
        assert await logs.jobs() == ["1"]

    scenario(home, write)
    scenario(home, read)


def test_waiting_events_are_bounded_by_retention_too(home: Home) -> None:
    logs = Logs(home)
    for name in ("gone", "kept"):
        logs.send([], to=logs.log_workspace(name), of=WORKSPACE if name == "kept" else OTHER_WORKSPACE)
    for days in (1, 29, 31):
        logs.submit(f"{days}", generated_at=timestamp(days))
    logs.submit("of-a-deleted-workspace", OTHER_WORKSPACE)
    gone = logs.log_workspace("gone")
    logs.store.delete(gone.id)
    logs.store.delete_outdated_events(log_analytics.retention(logs.store))
    assert [json.loads(event.record)["JobId"] for event in logs.store.waiting_events(9)] == ["1", "29"]
    logs.store.close()


def test_deleted_workspace_keeps_its_records_while_it_can_come_back(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = Logs(home)
    sink = logs.log_workspace("logs", retentionInDays=90)
    guid = sink.properties["customerId"]
    deleted = sink.id.replace("/workspaces/", "/deletedWorkspaces/")
    logs.store.delete(sink.id)
    logs.store.put(deleted, log_analytics.DELETED_TYPE, "", sink.body, "me")
    assert log_analytics.retention(logs.store) == {guid: 90}
    monkeypatch.setattr(log_analytics, "RECOVERABLE_DAYS", -1)  # it was deleted longer ago
    assert log_analytics.retention(logs.store) == {}
    assert logs.log_workspace("logs").properties["customerId"] != guid
    logs.store.close()


def test_queries_reach_nothing_but_the_tables(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(logs: Logs) -> None:
        for sql in (
            "SELECT * FROM read_text('/etc/hostname')",
            f"COPY {JOB} TO '{logs.home.root}/out.csv'",
            f"ATTACH '{logs.home.database}' AS state",
            "SET enable_external_access = true",
            "INSTALL httpfs",
        ):
            with pytest.raises(LogStoreError):
                await logs.log_store.query(sql)
        with pytest.raises(LogStoreError, match="absent"):
            await logs.log_store.query("SELECT * FROM absent")
        assert await logs.log_store.query("SELECT 1 AS one") == {"columns": ["one"], "rows": [[1]]}
        assert not (logs.home.root / "out.csv").exists()
        monkeypatch.setattr(client, "LARGEST_ANSWER", 1000)
        with pytest.raises(LogStoreError, match="more than 1000 bytes"):
            await logs.log_store.query("SELECT repeat('x', 1000000)")
        process = logs.process()
        assert await logs.log_store.query("SELECT 1 AS one") == {"columns": ["one"], "rows": [[1]]}
        assert logs.process() == process

    scenario(home, act)


def test_files_and_socket_are_the_users_alone(home: Home) -> None:
    async def act(logs: Logs) -> None:
        assert await logs.rows(JOB) == []
        for path in (logs.home.log_store, logs.file, logs.home.sockets / "logs.sock"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path

    scenario(home, act)


def test_categories_are_tables() -> None:
    assert set(TABLES) == {log_categories.table_of(category) for category in log_categories.WRITTEN}
    of_autoscale = log_categories.OF_AUTOSCALE_SETTING  # see tests/service/test_autoscale.py
    assert log_categories.WRITTEN.difference(of_autoscale) == {event.category for event in EVENTS}
    assert {*log_categories.OF_WORKSPACE, *log_categories.OF_ENDPOINT, *of_autoscale} >= log_categories.WRITTEN


def test_timestamps_compare_as_text() -> None:
    """The outbox compares them so."""
    now = timestamp()
    assert len(now) == len("2026-11-22T13:20:30.123456Z")
    assert datetime.datetime.fromisoformat(now) - datetime.datetime.fromisoformat(timestamp(1)) > datetime.timedelta(
        hours=23
    )
    assert timestamp(1) < now
