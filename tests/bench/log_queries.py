"""A million rows of job events: what the lesson on monitoring asks of them, beside SQL that asks DuckDB the same.

The queries are asked as a client asks them, over HTTP, each with the whole table in its sight; the peer has the same
file, as many threads, and neither HTTP nor Kusto to read.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
from installation import Client, Installation
from results import Row

from azureml_local.arm.monitor import log_analytics
from azureml_local.engines.log_store.server import CONFIG, LogFile
from azureml_local.home import Home
from azureml_local.store import Store

ROUNDS = 9
JOBS = 333_334  # of three rows each
PEER = "DuckDB, SQL by hand"
GOAL = "value <= 300"
SCOPE = "https://api.loganalytics.io/.default"
# A job every three seconds until now: submitted, running, ended. Every 20th fails, for one of nine reasons.
FILL = """
INSERT INTO AmlComputeJobEvent BY NAME
SELECT
    ? AS TenantId, 'AmlComputeJobEvent' AS Type, 'Azure' AS SourceSystem, 1000.0 AS _BilledSize, 'True' AS _IsBillable,
    ? AS _ResourceId, split_part(_ResourceId, '/', 3) AS _SubscriptionId,
    split_part(_ResourceId, '/', 9) AS WorkspaceName,
    (now() AT TIME ZONE 'UTC') - to_seconds((? - job) * 3)
        + to_milliseconds([0, 5000 + hash(job) % 20000, 30000 + hash(job + 1) % 600000][step + 1]) AS TimeGenerated,
    'job-' || job AS JobId, 'step ' || hash(job) % 5 AS JobName, 'experiment ' || hash(job) % 20 AS ExperimentName,
    'cluster-' || hash(job) % 7 AS ClusterName,
    ['queued', 'running', if(hash(job) % 20 = 0, 'failed', 'succeeded')][step + 1] AS ExecutionState,
    ['JobSubmitted', 'JobRunning', if(hash(job) % 20 = 0, 'JobFailed', 'JobSucceeded')][step + 1] AS EventType,
    if(ExecutionState = 'failed', 'Execution failed. User process ''python'' exited with status code 1. Error: '
        || 'Traceback (most recent call last):' || chr(10) || if(hash(job) % 3 = 0, 'ValueError', 'KeyError')
        || ': reason ' || hash(job) % 9, '') AS JobErrorMessage,
    '' AS ErrorDetails
FROM range(?) AS jobs(job), range(3) AS steps(step)
"""
SQL_LATEST = """
SELECT * FROM AmlComputeJobEvent QUALIFY row_number() OVER (PARTITION BY JobId ORDER BY TimeGenerated DESC) = 1"""
REASON = "([A-Za-z]+Error): ([^\\n]+)"
# What is asked, by name: in Kusto, and in SQL.
QUESTIONS = {
    "a job's life": (
        """AmlComputeJobEvent
        | where JobId == 'job-77777' | order by TimeGenerated asc | project EventType, ExecutionState""",
        """SELECT EventType, ExecutionState FROM AmlComputeJobEvent
        WHERE JobId = 'job-77777' ORDER BY TimeGenerated""",
    ),
    "jobs by state": (
        "AmlComputeJobEvent | summarize arg_max(TimeGenerated, *) by JobId | summarize count() by ExecutionState",
        f"SELECT ExecutionState, count(*) FROM ({SQL_LATEST}) GROUP BY ALL",
    ),
    "failures by reason": (
        f"""AmlComputeJobEvent | where EventType == 'JobFailed'
        | extend Kind = extract(@'{REASON}', 1, JobErrorMessage), Reason = extract(@'{REASON}', 2, JobErrorMessage)
        | summarize count() by Kind, Reason""",
        f"""SELECT regexp_extract(JobErrorMessage, '{REASON}', 1) AS kind,
            regexp_extract(JobErrorMessage, '{REASON}', 2) AS reason, count(*)
        FROM AmlComputeJobEvent WHERE EventType = 'JobFailed' GROUP BY ALL""",
    ),
    "failures that say a word": (
        "AmlComputeJobEvent | where JobErrorMessage has 'KeyError' | summarize count() by ClusterName",
        """SELECT ClusterName, count(*) FROM AmlComputeJobEvent
        WHERE contains(lower(JobErrorMessage), 'keyerror') GROUP BY ALL""",
    ),
    "times by cluster": (
        """AmlComputeJobEvent
        | summarize Submitted = minif(TimeGenerated, EventType == 'JobSubmitted'),
            Started = minif(TimeGenerated, EventType == 'JobRunning'),
            Ended = maxif(TimeGenerated, ExecutionState in ('succeeded', 'failed')) by JobId, JobName, ClusterName
        | extend Queued = (Started - Submitted) / 1s, Ran = (Ended - Started) / 1s
        | summarize Jobs = count(), avg(Queued), avg(Ran), percentile(Queued, 95) by ClusterName""",
        """SELECT ClusterName, count(*), avg(queued), avg(ran), quantile_disc(queued, 0.95) FROM (
            SELECT ClusterName, epoch(started - submitted) AS queued, epoch(ended - started) AS ran FROM (
                SELECT JobId, JobName, ClusterName,
                    min(TimeGenerated) FILTER (WHERE EventType = 'JobSubmitted') AS submitted,
                    min(TimeGenerated) FILTER (WHERE EventType = 'JobRunning') AS started,
                    max(TimeGenerated) FILTER (WHERE ExecutionState IN ('succeeded', 'failed')) AS ended
                FROM AmlComputeJobEvent GROUP BY ALL
            )
        ) GROUP BY ClusterName""",
    ),
    "events by the hour": (
        """AmlComputeJobEvent
        | summarize Events = count(), Failed = countif(EventType == 'JobFailed') by bin(TimeGenerated, 1h)
        | order by TimeGenerated asc""",
        """SELECT date_trunc('hour', TimeGenerated) AS hour, count(*),
            count(*) FILTER (WHERE EventType = 'JobFailed')
        FROM AmlComputeJobEvent GROUP BY ALL ORDER BY hour""",
    ),
    "who waits for too long": (
        """AmlComputeJobEvent | summarize arg_max(TimeGenerated, *) by JobId
        | where ExecutionState == 'queued' and TimeGenerated < ago(15s)
        | project JobName, ClusterName, Waiting = now() - TimeGenerated""",
        f"""SELECT JobName, ClusterName, now() AT TIME ZONE 'UTC' - TimeGenerated FROM ({SQL_LATEST})
        WHERE ExecutionState = 'queued' AND TimeGenerated < now() AT TIME ZONE 'UTC' - INTERVAL 15 SECONDS""",
    ),
    "the longest jobs (Microsoft's sample)": (
        """AmlComputeJobEvent | where EventType == 'JobSubmitted'
        | join kind=inner (AmlComputeJobEvent | where EventType == 'JobSucceeded'
            | project StopTime = TimeGenerated, JobId) on JobId
        | project Duration = StopTime - TimeGenerated, ExperimentName, ClusterName, JobName
        | top 5 by Duration desc nulls last""",
        """SELECT ended.TimeGenerated - begun.TimeGenerated AS duration, begun.ExperimentName, begun.ClusterName,
            begun.JobName
        FROM AmlComputeJobEvent AS begun JOIN AmlComputeJobEvent AS ended USING (JobId)
        WHERE begun.EventType = 'JobSubmitted' AND ended.EventType = 'JobSucceeded'
        ORDER BY duration DESC LIMIT 5""",
    ),
}


def log_queries() -> Iterator[Row]:
    """Ask each question in turns, of the service and of DuckDB."""
    with Installation() as installation:
        installation.start()
        workspace = installation.workspace()
        installation.stop()
        guid = _sink(installation)
        file = _fill(installation, [guid, workspace.lower(), JOBS, JOBS])
        with tempfile.TemporaryDirectory() as folder:
            copy = shutil.copy(file, folder)
            installation.start()
            yield from _compare(Client(installation), guid, duckdb.connect(copy, read_only=True, config=CONFIG))


def _sink(installation: Installation) -> str:
    """Return the guid of the Log Analytics workspace that is there from the start."""
    store = Store(Home(installation.root).database)
    (workspace,) = store.all_of(log_analytics.TYPE)
    store.close()
    return str(workspace.properties["customerId"])


def _fill(installation: Installation, parameters: Sequence[Any]) -> Path:
    """Write the rows; the service must not run meanwhile."""
    folder = Home(installation.root).log_store
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / "logs.duckdb"
    LogFile(file).close()  # makes the tables
    with duckdb.connect(str(file)) as db:
        db.execute(FILL, parameters)
    return file


def _compare(client: Client, guid: str, peer: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    token = client.new_token(SCOPE)
    url = f"https://api.loganalytics.io/v1/workspaces/{guid}/query"
    for name, (kusto, sql) in QUESTIONS.items():
        ours, theirs = [], []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            answer = client.post_json(url, {"query": kusto}, token)
            between = time.perf_counter()
            rows = peer.execute(sql).fetchall()
            ours.append((between - began) * 1000)
            theirs.append((time.perf_counter() - between) * 1000)
        found = answer["tables"][0]["rows"]
        if len(found) != len(rows):
            raise RuntimeError(f"{name}: {len(found)} rows, and {len(rows)} of {PEER}")
        ratio = median(our / their for our, their in zip(ours, theirs, strict=True))
        yield Row(f"a million rows of logs, {name}", median(ours), "ms", PEER, median(theirs), ratio, GOAL)
