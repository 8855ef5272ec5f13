"""The logs of jobs and of pipelines' steps, from a diagnostic setting of the workspace to LogsQueryClient.

Truth: the columns of https://learn.microsoft.com/azure/azure-monitor/reference/tables/amlcomputejobevent and
.../amlrunstatuschangedevent. That the table of a compute's jobs has steps, and no pipelines, follows from its words
("AmlCompute Job events"): a pipeline runs on no compute.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from azure.ai.ml import MLClient, dsl
from azure.ai.ml.entities import AmlCompute
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.monitor import MonitorManagementClient
from azure.monitor.query import LogsQueryPartialResult, LogsQueryStatus
from azure.storage.blob import BlobServiceClient
from job_support import Jobs
from log_support import DAY, Logs, send
from pipeline_support import Pipelines, Ran, fail, write
from support import Arm, finish

from running_service import RunningService

CLUSTER = "logged"
RUN, JOB = "AmlRunStatusChangedEvent", "AmlComputeJobEvent"


@pytest.fixture(scope="module")
def logs(ml: MLClient, credential: ClientSecretCredential, arm: Arm) -> Iterator[Logs]:
    """The logs, to which the workspace sends those of its jobs."""
    logs = Logs(credential, arm)
    monitor = MonitorManagementClient(credential, arm.settings.subscription_id, api_version="2021-05-01-preview")
    send(monitor.diagnostic_settings, arm.workspace, logs, RUN, JOB)
    yield logs
    monitor.diagnostic_settings.delete(arm.workspace, "logs")


@pytest.fixture(scope="module")
def pipelines(ml: MLClient, arm: Arm, service: RunningService, logs: Logs) -> Iterator[Pipelines]:
    cluster = AmlCompute(name=CLUSTER, size="Standard_DS3_v2", max_instances=2, idle_time_before_scale_down=600)
    finish(ml.compute.begin_create_or_update(cluster))
    settings = service.settings
    address = f"https://{settings.storage_account}.blob.core.windows.net"
    yield Pipelines(Jobs(ml, arm, BlobServiceClient(address, settings.storage_key)))
    finish(ml.compute.begin_delete(CLUSTER))


@dsl.pipeline(name="inner")
def inner() -> Any:
    deep = write(number=2)
    return {"out": deep.outputs.out}


@dsl.pipeline(name="logged", compute=CLUSTER)
def logged() -> Any:
    good = write(number=1)
    bad = fail()
    nested = inner()
    return {"good": good.outputs.out, "bad": bad.outputs.out, "nested": nested.outputs.out}


@pytest.fixture(scope="module")
def ran(pipelines: Pipelines) -> Ran:
    """A pipeline with a good step, a bad one, and a pipeline within, of which one fails."""
    return pipelines.run(logged(), continue_on_step_failure=True)


@pytest.mark.slow
def test_runs_say_of_which_pipeline_they_are(ran: Ran, logs: Logs) -> None:
    last = f"{RUN} | where RootRunId == '{ran.name}' | summarize arg_max(TimeGenerated, *) by RunId"
    rows = logs.wait(f"{last} | where Status in ('Completed', 'Failed') | project RunId, ParentRunId, Status", 5)
    standing = {run: (parent, status) for run, parent, status in rows}
    within = ran.child("nested")
    assert standing == {
        ran.name: ("", "Failed"),
        ran.child("good").name: (ran.name, "Completed"),
        ran.child("bad").name: (ran.name, "Failed"),
        within.name: (ran.name, "Completed"),
        within.child("deep").name: (within.name, "Completed"),
    }


def test_steps_are_jobs_of_the_compute_and_pipelines_are_not(ran: Ran, logs: Logs) -> None:
    query = f"""let runs = {RUN} | where RootRunId == '{ran.name}' | distinct RunId;
        {JOB} | where JobId in (runs) | order by JobName asc, TimeGenerated asc
        | project JobName, ExecutionState, ClusterName"""
    assert logs.wait(query, 9) == [
        [step, state, CLUSTER]
        for step, end in (("bad", "failed"), ("deep", "succeeded"), ("good", "succeeded"))
        for state in ("queued", "running", end)
    ]


def test_why_a_step_has_failed(ran: Ran, logs: Logs) -> None:
    bad = f"{JOB} | where JobId == '{ran.child('bad').name}' and EventType == 'JobFailed'"
    code = "extract('status code ([0-9]+)', 1, JobErrorMessage, typeof(long))"
    assert logs.wait(f"{bad} | project Code = {code}, ErrorCode = parse_json(ErrorDetails).code", 1) == [
        [3, '"UserError"']
    ]


def test_a_reused_step_runs_on_no_compute(pipelines: Pipelines, ran: Ran, logs: Logs) -> None:
    again = pipelines.run(logged(), continue_on_step_failure=True)
    good = again.child("good").name
    assert logs.wait(f"{RUN} | where RunId == '{good}' and Status == 'Completed' | distinct RootRunId", 1) == [
        [again.name]
    ]
    assert logs.rows(f"{JOB} | where JobId == '{good}'") == []


def test_time_in_each_state(ran: Ran, logs: Logs) -> None:
    query = f"""{JOB} | where JobId == '{ran.child("good").name}' | order by TimeGenerated asc
        | extend Seconds = (next(TimeGenerated) - TimeGenerated) / 1s
        | where isnotnull(Seconds) | project ExecutionState, Seconds > 0"""
    assert logs.wait(query, 2) == [["queued", True], ["running", True]]


def test_wrong_queries_are_refused_as_the_client_expects_it(logs: Logs) -> None:
    for query, code, word in (
        ("AmlComputeJobEvents | count", "SemanticError", "'AmlComputeJobEvents'"),
        (f"{JOB} | sumarize count()", "SyntaxError", "'sumarize' on line [1,22]"),
        (f"{JOB} | evaluate pivot(ExecutionState)", "SemanticError", "azureml-local lacks 'evaluate'"),
    ):
        with pytest.raises(HttpResponseError) as caught:
            logs.rows(query)
        assert (caught.value.status_code, caught.value.error.code) == (400, "BadArgumentError")
        assert caught.value.error.innererror["code"] == code
        assert word in caught.value.error.innererror["innererror"]["message"]


@pytest.mark.slow
def test_an_answer_that_is_not_whole_is_partial(logs: Logs) -> None:
    answer = logs.client.query_workspace(logs.guid, "range n from 1 to 500001 step 1", timespan=DAY)
    assert isinstance(answer, LogsQueryPartialResult)
    assert answer.status == LogsQueryStatus.PARTIAL
    assert len(answer.partial_data[0].rows) == 500_000
    assert answer.partial_error.code == "PartialError"
