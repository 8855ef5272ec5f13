"""The log of a pipeline, from the jobs that its steps have: it only grows, and names five of many.

Truth: a public log of such a run, https://kedro-azureml.readthedocs.io (Quickstart).
"""

from __future__ import annotations

import itertools

from azureml_local.arm.pipelines.execution_log import text
from azureml_local.store import Resource


def job(name: str, created: str, ended: str | None = None) -> Resource:
    run = {"parent": "p", "root": "p", "step": name, **({"endTime": f"2026-01-01T00:00:{ended}Z"} if ended else {})}
    time = f"2026-01-01T00:00:{created}Z"
    return Resource(f"/jobs/{name}", "workspaces/jobs", {"run": run}, time, "me", time, "me", 1)


def test_jobs_begun_together_are_in_one_line() -> None:
    lines = text([job(f"j{n}", "01.000000") for n in range(7)]).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("[2026-01-01 00:00:01Z] Submitting 7 runs, first five are: ")
    assert [named.partition(":")[2] for named in lines[0].rpartition(": ")[2].split(",")] == [
        "j0",
        "j1",
        "j2",
        "j3",
        "j4",
    ]


def test_later_there_are_more_lines_and_never_other_ones() -> None:
    moments = [
        [job("a", "01.000000"), job("b", "01.100000")],
        [job("a", "01.000000", "02.000000"), job("b", "01.100000")],
        [job("a", "01.000000", "02.000000"), job("b", "01.100000"), job("c", "02.100000")],
        [job("a", "01.000000", "02.000000"), job("b", "01.100000", "03.000000"), job("c", "02.100000", "03.500000")],
    ]
    logs = [text(jobs) for jobs in moments]
    assert [len(log.splitlines()) for log in logs] == [1, 2, 3, 5]
    for earlier, later in itertools.pairwise(logs):
        assert later.startswith(earlier)
    assert logs[-1].splitlines()[1] == "[2026-01-01 00:00:02Z] Completing processing run id a."
