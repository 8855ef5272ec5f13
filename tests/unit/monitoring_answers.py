"""Answers to the exercises of *Monitor batch jobs*. Queries are really asked: of the log store's engine, of no log."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from azureml_local.engines.log_store.server import LogFile

LATEST = "summarize arg_max(TimeGenerated, *) by JobId"
IS_QUEUED = "where ExecutionState =~ 'Queued'"
ENDED = "where ExecutionState in ('succeeded', 'failed')"
SHARE = "summarize Ended = count(), Failed = countif(ExecutionState == 'failed') by ClusterName"
PERCENT = "project ClusterName, Share = 100.0 * Failed / Ended"


@cache
def _log_file() -> LogFile:
    return LogFile(Path(tempfile.mkdtemp()) / "logs.duckdb")


def _found(query: str) -> pd.DataFrame:
    """What the lesson's ``ask_logs`` returns, without a service: a table that stands in the query needs no log."""
    table = json.loads(_log_file().kusto({"text": query, "workspaces": []}))["tables"][0]
    return pd.DataFrame(table["rows"], columns=[column["name"] for column in table["columns"]])


def _asking(*steps: str) -> Callable[[str], pd.DataFrame]:
    return lambda source: _found(" | ".join((source, *steps)))


RIGHT: dict[str, list[object]] = {
    "monitor_batch_jobs/waiting": [
        _asking(LATEST, "where ExecutionState == 'queued'", "project JobName"),
        _asking(
            "summarize arg_max(TimeGenerated, ExecutionState, JobName) by JobId", "where ExecutionState =~ 'Queued'"
        ),
        _asking(
            "summarize States = make_set(ExecutionState), JobName = take_any(JobName) by JobId",
            "where array_length(States) == 1",
        ),
        lambda source: _found(f"{source} | summarize n = count() by JobId, JobName | where n == 1")["JobName"].tolist(),
        lambda source: set(_asking(LATEST, "where ExecutionState == 'queued'")(source)["JobName"]),
    ],
    "monitor_batch_jobs/failed_share": [
        _asking(LATEST, ENDED, SHARE, PERCENT),
        _asking(ENDED, SHARE, PERCENT),
        _asking(ENDED, SHARE, "project ClusterName, Share = round(100.0 * Failed / Ended, 1), Ended"),
        lambda source: _asking(LATEST, ENDED, SHARE, PERCENT)(source).sort_values("ClusterName", ascending=False),
    ],
    "monitor_batch_jobs/next_node": ["scoring", "Scoring", " scoring "],
    "monitor_batch_jobs/monthly_cost": [3.3396, 3.34, 3.3, np.float64(3.3396)],
}

WRONG: dict[str, list[tuple[object, str]]] = {
    "monitor_batch_jobs/waiting": [
        (_asking("where ExecutionState == 'queued'", "project JobName"), "in its latest row"),
        (_asking("summarize arg_max(TimeGenerated, *) by JobName", "where ExecutionState == 'queued'"), "not a JobId"),
        (
            lambda source: _found(
                f"{source} | where ExecutionState == 'queued' | join kind=leftanti ({source} | "
                "where ExecutionState == 'running') on JobId | project JobName"
            ),
            "failed before it began",
        ),
        (_asking(LATEST, "where ExecutionState == 'queued'", "project JobId"), "the column JobName is wanted"),
        (_asking(LATEST, "where ExecutionState == 'queued'", "take 0"), "not a JobId"),
        (lambda source: _found("print JobName = 'JFK by dest'"), "begin with `source`"),
        (lambda source: None, "TypeError"),
        ("AmlComputeJobEvent | where ExecutionState == 'queued'", "of type str"),
        (pd.DataFrame({"JobName": ["report", "count"]}), "of type DataFrame"),
    ],
    "monitor_batch_jobs/failed_share": [
        (_asking(LATEST, SHARE, PERCENT), "as if they had gone well"),
        (_asking(SHARE, PERCENT), "divides by rows"),
        (_asking(LATEST, ENDED, SHARE, "project ClusterName, Share = 1.0 * Failed / Ended"), "shares of one"),
        (_asking(LATEST, ENDED, SHARE, "project ClusterName, Share = 100 * Failed / Ended"), "by 100.0"),
        (_asking(LATEST, ENDED, SHARE, "project ClusterName, Share = 100 * (Failed / Ended)"), "by 100.0"),
        (_asking(LATEST, ENDED, SHARE), "the columns ClusterName and Share"),
        (_asking(LATEST, ENDED, "where ClusterName == 'wide'", SHARE, PERCENT), "this has wide"),
        (
            _asking(LATEST, ENDED, SHARE, "project ClusterName, Share = 100.0 - 100.0 * Failed / Ended"),
            "three jobs have ended",
        ),
        (lambda source: {"small": 33.3, "wide": 66.7}, "the columns ClusterName and Share"),
        (33.3, "of type float"),
    ],
    "monitor_batch_jobs/next_node": [
        ("training", "would be idle"),
        ("reports", "half of its jobs wait for five seconds"),
        ("narrow", "none of the three"),
        (["scoring", "reports"], "none of the three"),
    ],
    "monitor_batch_jobs/monthly_cost": [
        (0.111, "one night"),
        (1.452, "gigabytes; each costs"),
        (0.911, "AmlComputeJobEvent, alone"),
        (2.429, "AmlRunStatusChangedEvent, alone"),
        (0.3036, "one row of each job"),
        (3.11, "2³⁰"),
        (3340, "Jobs * nights"),
        ("3.34 USD", "of type str"),
        (True, "of type bool"),
    ],
}
