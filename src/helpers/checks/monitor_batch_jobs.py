"""The exercises of *Monitor batch jobs*.

Queries are tried on a night of the check's own: a table that stands in the query's text, so that nothing has to be in
any log, here or on Azure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from helpers.verdicts import CheckResult, exercise, right, wrong

EVENT_TYPES = {"queued": "JobSubmitted", "running": "JobRunning", "succeeded": "JobSucceeded", "failed": "JobFailed"}
# Minutes after midnight, a job's id, its name, its cluster, and how it stands from then on.
ROWS = (
    (0, "j1", "prepare", "small", "queued"),
    (1, "j1", "prepare", "small", "running"),
    (3, "j1", "prepare", "small", "succeeded"),
    (5, "j2", "report", "small", "queued"),
    (30, "j3", "report", "small", "succeeded"),
    (10, "j3", "report", "small", "running"),
    (1, "j3", "report", "small", "queued"),
    (20, "j4", "score", "small", "failed"),
    (2, "j4", "score", "small", "queued"),
    (6, "j5", "collect", "wide", "queued"),
    (15, "j5", "collect", "wide", "running"),
    (40, "j6", "count", "wide", "queued"),
    (7, "j7", "score", "wide", "queued"),
    (8, "j7", "score", "wide", "running"),
    (9, "j7", "score", "wide", "failed"),
    (7, "j8", "publish", "wide", "queued"),
    (9, "j8", "publish", "wide", "running"),
    (21, "j8", "publish", "wide", "succeeded"),
    (11, "j9", "publish", "wide", "queued"),
    (12, "j9", "publish", "wide", "running"),
    (22, "j9", "publish", "wide", "failed"),
)
WAITING = Counter(("report", "count"))
NAMES = {name for _, _, name, _, _ in ROWS}
SHARES = {"small": 100 / 3, "wide": 200 / 3}
OF_ALL_JOBS = {"small": 25.0, "wide": 40.0}
OF_ROWS = {"small": 100 / 9, "wide": 200 / 12}
NIGHTS, JOBS, ROWS_OF_A_JOB, BYTES, USD = 30, 4000, 3 + 8, 1100, 2.30
COST = NIGHTS * JOBS * ROWS_OF_A_JOB * BYTES / 1e9 * USD


def _source() -> str:
    """Return the night as the beginning of a Kusto query."""
    columns = "TimeGenerated:datetime, JobId:string, JobName:string, ClusterName:string, EventType:string"
    rows = (
        f"datetime(2026-01-01 00:{minute:02d}), '{job}', '{name}', '{cluster}', '{EVENT_TYPES[state]}', '{state}'"
        for minute, job, name, cluster, state in ROWS
    )
    return f"datatable({columns}, ExecutionState:string)[{', '.join(rows)}]"


def _tried(answer: Any) -> Any:
    """Return what a function finds in the night, or the verdict that it is none."""
    if isinstance(answer, Callable):  # type: ignore[arg-type]
        return answer(_source())
    return wrong(f"a function of the beginning of a query is wanted, this is of type {type(answer).__name__}.")


@exercise("monitor_batch_jobs/waiting", "Begin with `def waiting(source):`, and return `ask_logs(f'{source} | ...')`.")
def waiting(answer: Any) -> CheckResult:
    """Accept the names of the two jobs whose latest row says ``queued``, in whatever holds them."""
    import pandas as pd

    found = _tried(answer)
    if isinstance(found, CheckResult):
        return found
    if isinstance(found, pd.DataFrame):
        if "JobName" not in found:
            return wrong(f"the column JobName is wanted; there are {', '.join(map(str, found)) or 'none'}.")
        found = found["JobName"]
    names = Counter(str(name) for name in found)
    if unknown := set(names) - NAMES:
        return wrong(f"{sorted(unknown)[0]!r} is no job of the check's. Does the query begin with `source`?")
    if names == WAITING:
        return right("one of them has a namesake that is long done: the id tells them apart.")
    if names["prepare"] or names["collect"] or names["report"] > 1:
        return wrong("`prepare` was queued, too, an hour ago. How does each job stand in its latest row?")
    if names["score"]:
        return wrong("`score` has failed before it began to run. It does not wait any more.")
    if not names["report"]:
        return wrong("one `report` is done, the other is waiting. Jobs may share a name, but not a JobId.")
    return wrong(f"two jobs are waiting, {' and '.join(sorted(WAITING))}; this says {', '.join(sorted(names))}.")


@exercise(
    "monitor_batch_jobs/failed_share", "Begin with `def failed_share(source):`; first the latest row of each job."
)
def failed_share(answer: Any) -> CheckResult:
    """Accept the percentages of the ended jobs of each cluster that have failed."""
    import pandas as pd

    found = _tried(answer)
    if isinstance(found, CheckResult):
        return found
    if not isinstance(found, pd.DataFrame) or not {"ClusterName", "Share"} <= set(found):
        return wrong("a table with the columns ClusterName and Share is wanted, as `ask_logs` returns it.")
    shares = {str(name): float(share) for name, share in zip(found["ClusterName"], found["Share"], strict=True)}
    if set(shares) != set(SHARES):
        return wrong(f"the clusters are small and wide; this has {', '.join(sorted(shares)) or 'none'}.")
    if _same(shares, SHARES):
        return right("a third, and two thirds.")
    if _same({name: 100 * share for name, share in shares.items()}, SHARES):
        return wrong("these are shares of one; percent are wanted.")
    if _same(shares, {"small": 0.0, "wide": 0.0}) or _same(
        shares, {name: share // 1 for name, share in SHARES.items()}
    ):
        return wrong("whole numbers divided are a whole number in Kusto: multiply by 100.0, not by 100, first.")
    if _same(shares, OF_ALL_JOBS):
        return wrong("this counts jobs that still wait or run as if they had gone well. Keep those that have ended.")
    if _same(shares, OF_ROWS):
        return wrong("this divides by rows. A job has up to three; keep one of each first.")
    said = ", ".join(f"{name} {share:.0f} %" for name, share in sorted(shares.items()))
    return wrong(f"{said}? Of cluster small, three jobs have ended, and one of them has failed.")


def _same(one: dict[str, float], other: dict[str, float]) -> bool:
    return all(abs(one[name] - other[name]) < 0.5 for name in other)


@exercise("monitor_batch_jobs/next_node", "Begin with the columns that say how long jobs were queued.")
def next_node(answer: Any) -> CheckResult:
    """Accept the cluster on which most jobs wait for long."""
    name = str(answer).strip().lower()
    if name == "scoring":
        return right("half of its jobs wait for longer than they run: with a third node they would not.")
    if name == "training":
        return wrong("its jobs run for an hour, and begin at once. Another node would be idle.")
    if name == "reports":
        return wrong("it has bad moments, but half of its jobs wait for five seconds. Elsewhere most wait for minutes.")
    return wrong(f"{answer!r} is none of the three clusters.")


@exercise("monitor_batch_jobs/monthly_cost", "Begin with the rows of one job, then of one night, then of the month.")
def monthly_cost(answer: Any) -> CheckResult:
    """Accept 3.34 USD, give or take the rounding."""
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return wrong(f"a number is wanted, this is of type {type(answer).__name__}.")
    if abs(answer - COST) <= 0.02 * COST:
        return right("a machine costs that in a day. Logs become dear by the categories that nobody asks about.")
    for share, advice in (
        (1 / NIGHTS, "that is one night; the month has thirty."),
        (1 / USD, "those are the gigabytes; each costs 2.30 USD."),
        (3 / ROWS_OF_A_JOB, "that is the one table, AmlComputeJobEvent, alone."),
        (8 / ROWS_OF_A_JOB, "that is the one table, AmlRunStatusChangedEvent, alone."),
        (1 / ROWS_OF_A_JOB, "that is one row of each job; it has eleven."),
        (1e9 / 2**30, "that is with 2³⁰ bytes; here a gigabyte is 10⁹."),
    ):
        if abs(answer - share * COST) <= 0.02 * share * COST:
            return wrong(advice)
    return wrong(f"{answer:g} USD? Jobs * nights * rows * bytes, in gigabytes, times the price.")
