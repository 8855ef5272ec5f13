"""Kusto queries over the log store: what Microsoft's samples ask, what a stranger's text must not do, what is refused.

The samples are in kusto_samples.py; the shapes of answers are those of
https://learn.microsoft.com/azure/azure-monitor/logs/api/response-format, the errors' outer link that of .../api/errors.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from azureml_local.arm.monitor.log_events import JobEvent
from azureml_local.arm.online.endpoint_log_events import ConsoleEvent, ContainerEvent, TrafficEvent
from azureml_local.engines.log_store import client
from azureml_local.home import Home
from azureml_local.store import LogEvent
from kusto_samples import CONSOLE, EVENTS, LONGEST, OF_JOBS, OTHERS, TRAFFIC
from log_store import OTHER_WORKSPACE, SECONDS, WORKSPACE, Logs, running, state_folder

ENDPOINT = f"{WORKSPACE}/onlineEndpoints/churn"
OTHER_ENDPOINT = f"{WORKSPACE}/onlineEndpoints/churn2"
Act = Callable[["Queries"], Awaitable[None]]


class Queries:
    """The log store with the logs of two endpoints in one workspace's sink, and of a workspace in another's."""

    def __init__(self, logs: Logs) -> None:
        self.logs = logs
        first, second = logs.log_workspace("first"), logs.log_workspace("second")
        self.first, self.second = first.properties["customerId"], second.properties["customerId"]
        for endpoint in (ENDPOINT, OTHER_ENDPOINT):
            logs.send([], to=first, of=endpoint)
        logs.send([], to=second, of=OTHER_WORKSPACE)

    async def fill(self) -> None:
        emit = self.logs.events.emit
        for endpoint in (ENDPOINT, OTHER_ENDPOINT):
            for status in (200, 424):
                emit(endpoint, traffic(status))
            emit(endpoint, ConsoleEvent("blue", "blue-1", "inference-server", "img", "request id-200 took {}"))
            emit(endpoint, ContainerEvent("blue", "blue-1", "BackOff", "Back-off restarting failed container"))
        emit(OTHER_WORKSPACE, JobEvent("JobSubmitted", "j", "j", "e"), generated_at="2026-11-22T23:59:59.5Z")
        emit(OTHER_WORKSPACE, JobEvent("JobSucceeded", "j", "j", "e"), generated_at="2026-11-23T00:00:01.25Z")
        await self.logs.shipped()

    async def ask(self, text: str, seconds: float = 30, **scope: Any) -> tuple[int, Any]:
        asked = {"text": text, "workspaces": [self.first, self.second], **scope}
        status, body = await self.logs.log_store.kusto(asked, seconds)
        return status, json.loads(body)

    async def rows(self, text: str, **scope: Any) -> list[list[Any]]:
        status, body = await self.ask(text, **scope)
        assert status == 200, body
        rows: list[list[Any]] = body["tables"][0]["rows"]
        return rows

    async def refusal(self, text: str, **scope: Any) -> tuple[str, str]:
        """Return code and message of the innermost error."""
        status, error = await self.ask(text, **scope)
        assert status == 400, error
        while "innererror" in error:
            error = error["innererror"]
        return error["code"], error["message"]


def traffic(status: int, path: str = "/score") -> TrafficEvent:
    return TrafficEvent(
        endpoint="churn",
        deployment="blue",
        location="eastus",
        auth_type="Key",
        caller=None,
        method="POST",
        path=path,
        protocol="HTTP/1.1",
        user_agent="curl",
        request_id=f"id-{status}",
        client_request_id="",
        status=status,
        reason="OK",
        model_status=status,
        model_reason="",
        request_size=1,
        answer_size=2,
        total_ms=3,
        request_ms=1,
        answer_ms=2,
    )


@pytest.fixture
def home() -> Iterator[Home]:
    with state_folder() as folder:
        yield folder


def scenario(home: Home, act: Act) -> None:
    async def run() -> None:
        async with asyncio.timeout(SECONDS), running(home) as logs:
            queries = Queries(logs)
            await queries.fill()
            await act(queries)

    asyncio.run(run())


def test_samples_of_microsoft_and_of_operators(home: Home) -> None:
    async def act(queries: Queries) -> None:
        failed = await queries.rows(TRAFFIC)
        assert [row[10] for row in failed] == [424, 424]
        console = await queries.rows(CONSOLE)
        assert sorted(row[2:6] for row in console) == [
            ["group", "ws", "churn", "blue"],
            ["group", "ws", "churn2", "blue"],
        ]
        assert {row[7] for row in await queries.rows(EVENTS)} == {"BackOff"}
        assert (await queries.rows(LONGEST))[0][:2] == ["00:00:01.7500000", "e"]
        for text in (*OTHERS, *OF_JOBS):
            await queries.rows(text)
        by_table = "union withsource=Table AmlOnlineEndpointConsoleLog, AmlComputeJobEvent | summarize count() by Table"
        assert sorted(await queries.rows(by_table)) == [["AmlComputeJobEvent", 2], ["AmlOnlineEndpointConsoleLog", 2]]
        text = "AmlOnlineEndpointTrafficLog | summarize percentiles(TotalDurationMs, 50, 95) by EndpointName"
        _, body = await queries.ask(text)
        assert [one["name"] for one in body["tables"][0]["columns"]] == [
            "EndpointName",
            "percentile_TotalDurationMs_50",
            "percentile_TotalDurationMs_95",
        ]

    scenario(home, act)


def test_columns_and_values_have_azures_types(home: Home) -> None:
    async def act(queries: Queries) -> None:
        text = (
            "print s='a', i=int(1), l=long(9007199254740993), r=1.5, b=true, t=datetime(2026-11-22T13:20:30.5Z), "
            "d=dynamic({'a': [1, 2]}), g=guid(0b1f6471-1bf0-4dda-aec3-111122223333), span=1d + 2h, none=int(null), "
            "infinite=1.0/0"
        )
        status, body = await queries.ask(text, statistics=True)
        assert status == 200
        table = body["tables"][0]
        assert table["name"] == "PrimaryResult"
        assert {one["name"]: one["type"] for one in table["columns"]} == {
            "s": "string",
            "i": "int",
            "l": "long",
            "r": "real",
            "b": "bool",
            "t": "datetime",
            "d": "dynamic",
            "g": "guid",
            "span": "timespan",
            "none": "int",
            "infinite": "real",
        }
        *values, dynamic, guid, span, none, infinite = table["rows"][0]
        assert values == ["a", 1, 9007199254740993, 1.5, True, "2026-11-22T13:20:30.500000Z"]
        assert json.loads(dynamic) == {"a": [1, 2]}
        assert (guid, span, none) == ("0b1f6471-1bf0-4dda-aec3-111122223333", "1.02:00:00", None)
        assert infinite == "Infinity"
        assert body["statistics"]["query"]["datasetStatistics"][0]["tableRowCount"] == 1

    scenario(home, act)


def test_scope_is_what_is_seen(home: Home) -> None:
    async def act(queries: Queries) -> None:
        count, jobs = "AmlOnlineEndpointTrafficLog | count", "AmlComputeJobEvent | count"
        assert await queries.rows(count) == [[4]]
        assert await queries.rows(count, workspaces=[queries.second]) == [[0]]
        assert await queries.rows(jobs, workspaces=[queries.first]) == [[0]]
        assert await queries.rows(count, workspaces=[]) == [[0]]
        assert await queries.rows(count, workspaces=["' OR true OR '"]) == [[0]]
        assert await queries.rows(count, resource=ENDPOINT.lower()) == [[2]]  # and not that of churn2
        assert await queries.rows(count, resource=WORKSPACE.lower()) == [[4]]
        assert await queries.rows("AmlComputeClusterNodeEvent | count", resource=WORKSPACE.lower()) == [[0]]
        assert await queries.rows(jobs, begin="2026-11-23T00:00:00") == [[1]]
        assert await queries.rows(jobs, end="2026-11-23T00:00:00") == [[1]]
        assert await queries.rows(jobs, begin="2026-11-22T23:59:59.500000", end="2026-11-23T00:00:01.25") == [[1]]

    scenario(home, act)


def test_mistakes_are_told_as_azure_tells_them(home: Home) -> None:
    async def act(queries: Queries) -> None:
        unresolved = "Failed to resolve table or column expression named"
        traffic_log = "AmlOnlineEndpointTrafficLog"
        assert await queries.refusal("Absent") == ("SEM0100", f"{unresolved} 'Absent'")
        assert await queries.refusal("Absent | take 1") == ("SEM0100", f"'take' operator: {unresolved} 'Absent'")
        assert await queries.refusal(traffic_log.lower()) == ("SEM0100", f"{unresolved} '{traffic_log.lower()}'")
        column = "Failed to resolve column or scalar expression named"
        assert await queries.refusal(f"{traffic_log} | where Absent == 1") == (
            "SEM0100",
            f"'where' operator: {column} 'Absent'",
        )
        assert await queries.refusal(f"{traffic_log} | take 5 | project responsecode") == (
            "SEM0100",
            f"'project' operator: {column} 'responsecode'",
        )
        assert await queries.refusal(f"{traffic_log} | summarize count() by Absent") == (
            "SEM0100",
            f"'summarize' operator: {column} 'Absent'",
        )
        assert "'=='" in (await queries.refusal(f"{traffic_log} | where Method = 'POST'"))[1]
        assert await queries.rows("print datetime(9999-12-31) + 1d") == [[None]]
        code, message = await queries.refusal(f"{traffic_log} | wherex")
        assert (code, message) == ("SYN0002", "Query could not be parsed at 'wherex' on line [1,31]")
        assert (await queries.refusal(""))[0] == "SYN0002"
        assert (await queries.refusal(f"{traffic_log} | where ("))[0] == "SYN0002"
        assert (await queries.refusal(f"{traffic_log} | extend a = absent(1)"))[0] == "SEM0260"
        status, error = await queries.ask("Absent")
        assert (status, error["code"], error["message"]) == (400, "SemanticError", "A semantic error occurred.")
        status, error = await queries.ask("|")
        assert (error["code"], error["message"]) == ("SyntaxError", "A recognition error occurred in the query.")

    scenario(home, act)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{table} | order by Method | extend rank = row_rank_dense(Method)", "row_rank_dense"),
        ("{table} | partition by Method (take 1)", "partition"),
        ("find in ({table}) where Method == 'x'", "find"),
        ("{table} | evaluate pivot(Method)", "evaluate"),
        ("{table} | summarize variance(now() - TimeGenerated)", "timespans"),
        ('externaldata(a:string)["https://example.com/a"]', "externaldata"),
        ('workspace("w").{table}', "workspace"),
        ("declare query_parameters(a:string = 'x'); print a", "parameters"),
        ('cluster("c").database("d").{table}', "clusters"),
    ],
)
def test_what_is_lacking_is_named(text: str, named: str, home: Home) -> None:
    async def act(queries: Queries) -> None:
        code, message = await queries.refusal(text.format(table="AmlOnlineEndpointTrafficLog"))
        assert code == "NotImplemented"
        assert named in message
        assert "azureml-local lacks" in message

    scenario(home, act)


def test_text_of_a_stranger_reaches_nothing_else(home: Home) -> None:
    async def act(queries: Queries) -> None:
        table = "AmlOnlineEndpointTrafficLog"
        for text in (
            '["/etc/hostname"]',
            f'["{queries.logs.home.database}"]',
            "duckdb_tables",
            "sqlite_master",
            "pg_class",
            '["intake"]["received"]',
            "received",
            f'database("logs").{table}',
            f'database("main").{table}',
            f'database("temp").{table}',
            'database("intake").received',
            'print read_text("/etc/hostname")',
            'print getenv("HOME")',
            f'{table} | where Method == "x" union (database("logs").{table})',
            ".show tables",
            f".set-or-append {table} <| print 1",
            f".drop table {table}",
            "// a comment\n.show databases",
            "print 1; drop table AmlComputeJobEvent",
            "union database('*').*",
        ):
            await queries.refusal(text)
        for text in (  # these are queries: they see what they may, or nothing
            "union *| count",
            f"""{table} | where Method == "'; DROP TABLE {table}; --" | count""",
            f"""{table} | extend ["a\\"; DROP TABLE {table}; --"] = 1 | count""",
        ):
            status, body = await queries.ask(text, workspaces=[])
            assert status == 400 or body["tables"][0]["rows"] == [[0]], text
        assert await queries.rows(f"{table} | count") == [[4]]

    scenario(home, act)


def test_memory_and_time_are_limited(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "GRACE", 5.0)

    async def act(queries: Queries) -> None:
        process = queries.logs.process()
        endless = "range a from 1 to 1000000 step 1 | extend k = 1 | join kind=inner (range b from 1 to 1000000 step 1 "
        endless += "| extend k = 1) on k | summarize sum(a * b % 7)"
        status, error = await queries.ask(endless, 0.5)
        assert (status, error["code"]) == (504, "GatewayTimeout")
        large = f"range a from 1 to 1000000 step 1 | summarize make_list(strcat('{'x' * 1000}', a))"
        code, message = await queries.refusal(large)
        assert (code, "E_LOW_MEMORY_CONDITION" in message) == ("-2133196793", True)
        await queries.refusal("print " + "(" * 3000 + "1" + ")" * 3000)
        assert await queries.rows("print 1") == [[1]]
        assert queries.logs.process() == process

    scenario(home, act)


@pytest.mark.slow
def test_more_than_azure_returns_is_cut_off_with_its_partial_error(home: Home) -> None:
    async def act(queries: Queries) -> None:
        status, body = await queries.ask("range a from 1 to 500001 step 1")
        assert (status, len(body["tables"][0]["rows"])) == (200, 500_000)
        error = body["error"]
        assert (error["code"], error["message"]) == (
            "PartialError",
            "There were some errors when processing your query.",
        )
        inner = error["details"][0]["innererror"]
        assert inner["code"] == "-2133196797"
        assert "exceed the set limit of 500000 records" in inner["message"]
        status, body = await queries.ask("range a from 1 to 100 step 1 | extend b = strrep('x', 1000000)")
        assert (status, len(body["tables"][0]["rows"])) == (200, 67)
        assert "67108864 bytes" in body["error"]["details"][0]["innererror"]["message"]
        assert "error" not in (await queries.ask("range a from 1 to 1000 step 1"))[1]

    scenario(home, act)


def test_render_is_told_where_it_is_asked_for(home: Home) -> None:
    async def act(queries: Queries) -> None:
        text = 'print x = 1 | render barchart with (title = "Requests", xtitle = "when")'
        assert "render" not in (await queries.ask(text))[1]
        _, body = await queries.ask(text, render=True)
        assert (body["render"]["visualization"], body["render"]["title"]) == ("barchart", "Requests")
        assert (body["render"]["xTitle"], body["render"]["kind"]) == ("when", None)

    scenario(home, act)


def test_ten_thousand_rows_of_traffic_are_there_once(home: Home) -> None:
    """Also where each batch is sent twice, as it is when its acknowledgement was lost."""

    async def act(queries: Queries) -> None:
        rows = [
            LogEvent(number, "traffic-1", traffic(200).category, json.dumps({"TenantId": queries.first, "Path": "/x"}))
            for number in range(1, 10_001)
        ]
        for begin in range(0, len(rows), 1000):
            await queries.logs.log_store.append(rows[begin : begin + 1000])
            await queries.logs.log_store.append(rows[begin : begin + 1000])
        count = await queries.rows("AmlOnlineEndpointTrafficLog | where Path == '/x' | count")
        assert count == [[10_000]]

    scenario(home, act)
