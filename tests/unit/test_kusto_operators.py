"""Kusto's operators and functions that duckdb-kql lacks, on small tables whose answers are known.

What each does is in https://learn.microsoft.com/kusto/query; where a page has an example, the answer is that of the
page. The words of a refusal that asks for ``serialize`` are public reports' ("Function 'row_cumsum' cannot be invoked.
The row set must be serialized.").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from azureml_local.engines.log_store.kusto import errors
from azureml_local.engines.log_store.server import Event, LogFile

Ask = Callable[[str], list[list[Any]]]
# Two jobs, of which one failed, and one that waits.
STEPS = (
    ("a", 0, "JobSubmitted", "queued"),
    ("a", 30, "JobRunning", "running"),
    ("a", 90, "JobSucceeded", "succeeded"),
    ("b", 60, "JobSubmitted", "queued"),
    ("b", 70, "JobRunning", "running"),
    ("b", 80, "JobFailed", "failed"),
    ("c", 100, "JobSubmitted", "queued"),
)
NUMBERS = "datatable(g:string, n:long, s:timespan)['x', 1, 10s, 'x', 3, 20s, 'y', 5, 1m]"


def event(number: int, job: str, second: int, kind: str, state: str) -> Event:
    record = {
        "TenantId": "tenant",
        "TimeGenerated": f"2026-11-25T00:{second // 60:02d}:{second % 60:02d}",
        "JobId": job,
        "EventType": kind,
        "ExecutionState": state,
        "JobErrorMessage": "no such file; exit code 3" if state == "failed" else "",
        "ClusterName": "gpu" if job == "c" else "cpu",
    }
    return "writer", number, "AmlComputeJobEvent", record


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogFile]:
    file = LogFile(Path(tmp_path_factory.mktemp("logs")) / "logs.duckdb")
    file.append([event(number, *step) for number, step in enumerate(STEPS, 1)])
    run = {"TenantId": "tenant", "TimeGenerated": "2026-11-25", "RunId": "a", "Status": "Completed"}
    file.append([("writer", 100, "AmlRunStatusChangedEvent", run)])
    yield file
    file.close()


@pytest.fixture
def table(log: LogFile) -> Callable[[str], dict[str, Any]]:
    def ask(text: str) -> dict[str, Any]:
        answer = json.loads(log.kusto({"text": text, "workspaces": ["tenant"]}))
        found: dict[str, Any] = answer["tables"][0]
        return found

    return ask


@pytest.fixture
def ask(table: Callable[[str], dict[str, Any]]) -> Ask:
    return lambda text: table(text)["rows"]


@pytest.fixture
def columns(table: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, str]]:
    return lambda text: {one["name"]: one["type"] for one in table(text)["columns"]}


@pytest.fixture
def refusal(log: LogFile) -> Callable[[str], tuple[str, str]]:
    def ask(text: str) -> tuple[str, str]:
        with pytest.raises(errors.KustoError) as caught:
            log.kusto({"text": text, "workspaces": ["tenant"]})
        error = caught.value.body
        while "innererror" in error:
            error = error["innererror"]
        return error["code"], error["message"]

    return ask


# --- rows in their order ---


def test_time_in_each_state_is_that_of_the_next_row(ask: Ask) -> None:
    text = """AmlComputeJobEvent
        | order by JobId asc, TimeGenerated asc
        | extend Until = next(TimeGenerated), Same = next(JobId) == JobId
        | where Same
        | project JobId, ExecutionState, Seconds = (Until - TimeGenerated) / 1s"""
    assert ask(text) == [
        ["a", "queued", 30.0],
        ["a", "running", 60.0],
        ["b", "queued", 10.0],
        ["b", "running", 10.0],
    ]


def test_rows_before_and_after_and_their_numbers(ask: Ask) -> None:
    ordered = "range n from 1 to 4 step 1 | order by n asc"
    text = f"{ordered} | extend before = prev(n), second = prev(n, 2, -1), after = next(n), row = row_number()"
    assert ask(text) == [[1, None, -1, 2, 1], [2, 1, -1, 3, 2], [3, 2, 1, 4, 3], [4, 3, 2, None, 4]]
    assert ask(f"{ordered} | extend s = row_cumsum(n) | summarize make_list(s)") == [["[1, 3, 6, 10]"]]
    assert ask(f"{ordered} | project r = row_number(0)") == [[0], [1], [2], [3]]
    assert ask(f"{ordered} | where prev(n) == 2") == [[3]]
    assert ask("range n from 3 to 1 step -1 | serialize r = row_number()") == [[3, 1], [2, 2], [1, 3]]


def test_order_is_kept_over_many_rows(ask: Ask) -> None:
    text = (
        "range n from 1 to 300000 step 1 | extend key = (n * 7919) % 300007 | order by key asc "
        "| extend before = prev(key), row = row_number() | where before >= key or row < 1 | count"
    )
    assert ask(text) == [[0]]


@pytest.mark.parametrize(
    "text",
    [
        "range n from 1 to 3 step 1 | extend before = prev(n)",
        "range n from 1 to 3 step 1 | order by n asc | summarize s = sum(n) by n | extend before = prev(s)",
        "print 1 | join kind=inner (range n from 1 to 3 step 1 | where next(n) == 1) on $left.print_0 == $right.n",
    ],
)
def test_rows_without_an_order_have_none_before(text: str, refusal: Callable[[str], tuple[str, str]]) -> None:
    code, message = refusal(text)
    assert code == "SEM0001"
    assert "cannot be invoked. The row set must be serialized." in message


@pytest.mark.parametrize("text", ["| serialize |", "|serialize\n|", "| where JobId == '| serialize |' | serialize |"])
def test_serialize_without_columns(text: str, ask: Ask) -> None:
    rows = ask(f"AmlComputeJobEvent {text} project r = row_number()")
    assert [row for (row,) in rows] == list(range(1, len(rows) + 1))


def test_a_later_mistake_is_where_it_is_written(refusal: Callable[[str], tuple[str, str]]) -> None:
    text = "AmlComputeJobEvent | serialize | wherex"
    assert refusal(text)[1] == "Query could not be parsed at 'wherex' on line [1,34]"


# --- aggregates ---


def test_spans_of_time_are_summed_and_averaged(table: Any) -> None:
    found = table(f"{NUMBERS} | summarize sum(s), avg(s), max(s), percentile(s, 50), stdev(s), avg(n), sum(n)")
    assert [one["type"] for one in found["columns"]] == ["timespan"] * 5 + ["real", "long"]
    assert found["rows"] == [["00:01:30", "00:00:30", "00:01:00", "00:00:20", "00:00:26.4575130", 3.0, 9]]
    assert table(f"{NUMBERS} | where n > 9 | summarize sum(s), sum(n), avg(n)")["rows"] == [["00:00:00", 0, "NaN"]]


def test_spans_of_time_fall_into_bins(ask: Ask) -> None:
    assert ask(f"{NUMBERS} | extend t = s + 0s | summarize count() by bin(t, 15s) | order by t asc") == [
        ["00:00:00", 1],
        ["00:00:15", 1],
        ["00:01:00", 1],
    ]
    assert ask("print a = bin(datetime(2026-11-25T10:07), 1h), b = bin(-1s, 1m), c = bin(7, 2)") == [
        ["2026-11-25T10:00:00Z", "-00:01:00", 6]
    ]


def test_aggregates_of_what_fulfils_a_condition(ask: Ask) -> None:
    text = """AmlComputeJobEvent
        | summarize Submitted = minif(TimeGenerated, EventType == "JobSubmitted"),
            Started = minif(TimeGenerated, EventType == "JobRunning"),
            Ended = maxif(TimeGenerated, ExecutionState in ("succeeded", "failed")) by JobId
        | project JobId, Queued = Started - Submitted, Ran = Ended - Started
        | order by JobId asc"""
    assert ask(text) == [["a", "00:00:30", "00:01:00"], ["b", "00:00:10", "00:00:10"], ["c", None, None]]
    assert ask(f"{NUMBERS} | summarize avgif(n, g == 'x'), sumif(n, g == 'x'), avgif(s, g == 'x')") == [
        [2.0, 4, "00:00:15"]
    ]
    assert ask(f"{NUMBERS} | summarize make_list_if(n, n > 1), make_set_if(g, n < 4), take_anyif(g, n == 5)") == [
        ["[3, 5]", '["x"]', "y"]
    ]
    assert ask(f"{NUMBERS} | summarize count_distinct(g), count_distinctif(n, g == 'x'), variancep(n)") == [
        [2, 2, 8 / 3]
    ]


def test_bags_are_merged(ask: Ask) -> None:
    ((bag,),) = ask(f"{NUMBERS} | summarize make_bag(bag_pack(g, n))")
    assert set(json.loads(bag)) == {"x", "y"}
    ((bag,),) = ask(f"{NUMBERS} | summarize b = make_bag_if(bag_pack(g, n), g == 'y')")
    assert json.loads(bag) == {"y": 5}
    assert ask(f"{NUMBERS} | where n > 9 | summarize b = make_bag(bag_pack(g, n))") == [["{}"]]


def test_percentiles(table: Any, refusal: Callable[[str], tuple[str, str]]) -> None:
    found = table("range n from 1 to 100 step 1 | summarize percentiles(n, 50, 95), p = percentiles(n, 5)")
    assert [one["name"] for one in found["columns"]] == ["percentile_n_50", "percentile_n_95", "p"]
    assert found["rows"] == [[50, 95, 5]]
    assert table("range n from 1 to 100 step 1 | summarize percentiles_array(n, 50, 95)")["rows"] == [["[50,95]"]]
    code, message = refusal("range n from 1 to 9 step 1 | summarize (a, b) = percentiles(n, 50, 95)")
    assert (code, "percentile() once for each" in message) == ("NotImplemented", True)


# --- columns ---


def test_columns_are_kept_put_first_and_left_out_by_pattern(columns: Callable[[str], dict[str, str]]) -> None:
    table = "datatable(a1:string, b:string, a2:string, c:string)['', '', '', '']"
    assert list(columns(f"{table} | project-keep c, a*")) == ["a1", "a2", "c"]
    assert list(columns(f"{table} | project-reorder c, a*")) == ["c", "a1", "a2", "b"]
    assert list(columns(f"{table} | project-away a*, c")) == ["b"]
    assert list(columns(f"{table} | project-keep absent*, b")) == ["b"]
    assert list(
        columns(f"{table} | project-keep c | project-reorder c | as named | join kind=inner ({table}) on c")
    ) == [
        "c",
        "a1",
        "b",
        "a2",
        "c1",
    ]


def test_unknown_column_is_named(refusal: Callable[[str], tuple[str, str]]) -> None:
    code, message = refusal("AmlComputeJobEvent | project-keep Absent")
    assert (code, message) == ("SEM0100", "Failed to resolve column or scalar expression named 'Absent'")
    assert refusal("AmlComputeJobEvent | project-keep Absent*")[1] == "No column is left: Absent*"


def test_rows_that_differ_and_samples(ask: Ask) -> None:
    assert ask("AmlComputeJobEvent | project ClusterName | distinct * | count") == [[2]]
    assert ask("AmlComputeJobEvent | sample 3 | count") == [[3]]
    assert ask("AmlComputeJobEvent | sample-distinct 2 of JobId | count") == [[2]]


# --- search ---


@pytest.mark.slow
def test_search_finds_words_in_any_column(ask: Ask) -> None:
    assert ask('AmlComputeJobEvent | search "exit code" | project $table, JobId') == [["AmlComputeJobEvent", "b"]]
    assert ask('AmlComputeJobEvent | search "exi" | count') == [[0]]
    assert ask('AmlComputeJobEvent | search "exi*" | count') == [[1]]
    assert ask('AmlComputeJobEvent | search "*xit*" and JobId == "b" | count') == [[1]]
    assert ask('AmlComputeJobEvent | search "JobSubmitted" or ExecutionState == "failed" | count') == [[4]]
    text = (
        'search in (AmlComputeJobEvent, AmlRunStatusChangedEvent) "a" | summarize count() by $table | order by $table'
    )
    assert ask(text) == [["AmlRunStatusChangedEvent", 1], ["AmlComputeJobEvent", 3]]
    assert ask('search "Completed" | project $table, RunId') == [["AmlRunStatusChangedEvent", "a"]]
    assert ask('search in (Aml*) "no such file" | count') == [[1]]


def test_search_sees_what_its_caller_sees(log: LogFile) -> None:
    answer = json.loads(log.kusto({"text": 'search "failed" | count', "workspaces": []}))
    assert answer["tables"][0]["rows"] == [[0]]


# --- series ---


def test_series_have_each_step(table: Any) -> None:
    text = """let begin = datetime(2026-11-25);
        AmlComputeJobEvent
        | make-series Events = count(), Failed = countif(EventType == "JobFailed") default = -1
            on TimeGenerated from begin to begin + 3m step 1m by ClusterName
        | order by ClusterName asc"""
    found = table(text)
    assert {one["name"]: one["type"] for one in found["columns"]} == {
        "ClusterName": "string",
        "Events": "dynamic",
        "Failed": "dynamic",
        "TimeGenerated": "dynamic",
    }
    (cpu, events, failed, times), (gpu, alone, nothing, _) = found["rows"]
    assert (cpu, json.loads(events), json.loads(failed)) == ("cpu", [2, 4, 0], [0, 1, -1])
    assert (gpu, json.loads(alone), json.loads(nothing)) == ("gpu", [0, 1, 0], [-1, 0, -1])
    assert json.loads(times)[1] == "2026-11-25T00:01:00.0000000Z"


def test_series_without_bounds_begin_and_end_with_the_data(ask: Ask) -> None:
    ((counts, times),) = ask("AmlComputeJobEvent | make-series count() on TimeGenerated step 30s")
    assert (json.loads(counts), json.loads(times)[0]) == ([1, 1, 3, 2], "2026-11-25T00:00:00.0000000Z")
    ((sums, axis),) = ask("range n from 1 to 6 step 1 | make-series sum(n) on n from 1 to 7 step 3")
    assert (json.loads(sums), json.loads(axis)) == ([6, 15], [1, 4])
    assert ask("AmlComputeJobEvent | where JobId == 'z' | make-series count() on TimeGenerated step 1m") == []


@pytest.mark.parametrize(
    "aggregate", ["n = dcount(JobId)", "n=dcount(JobId) default = 5", "hint.shufflekey=JobId n = dcount(JobId)"]
)
def test_series_of_one_named_aggregate(aggregate: str, table: Any) -> None:
    """The grammar takes ``n = dcount`` for a parameter, as it stands before a parenthesis."""
    day = "from datetime(2026-11-25) to datetime(2026-11-25 00:02) step 1m"
    found = table(f"AmlComputeJobEvent | make-series {aggregate}, Rows = count() on TimeGenerated {day} by ClusterName")
    assert [one["name"] for one in found["columns"]] == ["ClusterName", "n", "Rows", "TimeGenerated"]
    assert {row[0]: json.loads(row[1]) for row in found["rows"]} == {
        "cpu": [1, 2],
        "gpu": [5 if "5" in aggregate else 0, 1],
    }


def test_series_become_rows_again(ask: Ask) -> None:
    text = """AmlComputeJobEvent
        | make-series n = count() on TimeGenerated from datetime(2026-11-25) to datetime(2026-11-25 00:02) step 1m
        | mv-expand TimeGenerated to typeof(datetime), n to typeof(long)"""
    assert ask(text) == [[2, "2026-11-25T00:00:00Z"], [5, "2026-11-25T00:01:00Z"]]


def test_series_that_are_too_long_are_refused(refusal: Callable[[str], tuple[str, str]]) -> None:
    day = "from datetime(2026-11-25) to datetime(2026-11-26)"
    assert (
        "more than 1048576" in refusal(f"AmlComputeJobEvent | make-series count() on TimeGenerated {day} step 1ms")[1]
    )


# --- functions ---


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("format_timespan(29h + 5m + 6s, 'd.HH:mm:ss')", "1.05:05:06"),
        ("format_timespan(90500ms, 'm:ss.fff')", "1:30.500"),
        ("format_timespan(3d, 'ddd')", "003"),
        ("extract('exit code ([0-9]+)', 1, 'exit code 3', typeof(long)) + 1", 4),
        ("extract('took (.*)', 1, 'took 00:00:05', typeof(timespan)) / 1s", 5.0),
        ("bin_at(datetime(2026-11-25T10:07), 1h, datetime(2026-11-25T00:30))", "2026-11-25T09:30:00Z"),
        ("unixtime_seconds_todatetime(86400)", "1970-01-02T00:00:00Z"),
        ("unixtime_milliseconds_todatetime(1500)", "1970-01-01T00:00:01.500000Z"),
        ("bag_has_key(dynamic({'a': 1}), 'a')", True),
        ("array_length(bag_keys(dynamic({'a': 1, 'b': 2})))", 2),
        ("array_length(set_union(dynamic([1, 2]), dynamic([2, 3])))", 3),
        ("tostring(set_intersect(dynamic([1, 2]), dynamic([2, 3])))", "[2]"),
        ("tostring(set_difference(dynamic([1, 2]), dynamic([2, 3])))", "[1]"),
        ("strcmp('a', 'b')", -1),
        ("tohex(255)", "ff"),
        ("url_decode(url_encode('a b&c'))", "a b&c"),
        ("extract_json('$.a', '{\"a\": 5}')", "5"),
        ("rand() < 1", True),
    ],
)
def test_functions(expression: str, value: Any, ask: Ask) -> None:
    assert ask(f"print x = {expression}") == [[value]]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("AmlComputeJobEvent | extend h = hash(JobId)", "hash()"),
        ("AmlComputeJobEvent | summarize hll(JobId)", "hll()"),
        ("AmlComputeJobEvent | extend i = ingestion_time()", "ingestion_time()"),
        ("AmlComputeJobEvent | top-nested 2 of JobId by count()", "top-nested"),
        ("AmlComputeJobEvent | mv-apply x = split(JobId, '') on (where x == 'a')", "mv-apply"),
        ("AmlComputeJobEvent | make-series kind=nonempty count() on TimeGenerated step 1h", "kind"),
        ("AmlComputeJobEvent | project-reorder Job* asc", "asc"),
    ],
)
def test_what_is_lacking_still_is_named(text: str, named: str, refusal: Callable[[str], tuple[str, str]]) -> None:
    code, message = refusal(text)
    assert code == "NotImplemented"
    assert named in message


def test_text_that_is_no_json_has_no_members(refusal: Callable[[str], tuple[str, str]]) -> None:
    assert "parse_json()" in refusal("AmlComputeJobEvent | where JobErrorMessage.code == 'x'")[1]


def test_names_of_operators_are_quoted(ask: Ask) -> None:
    """What a caller writes as a column's name goes into SQL in three places more."""
    table = """datatable(["a\\" FROM x; --"]:string)['v']"""
    assert ask(f"{table} | project-keep ['a\\\" FROM x; --']") == [["v"]]
    assert ask(f"{table} | search 'v' | count") == [[1]]
