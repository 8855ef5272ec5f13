"""What drives jobs to their ends: every end is written, once, with all that comes with it, whatever happens meanwhile.

The store is a real one; what runs a job is a stand-in that says what the test wants.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from azureml_local import store as store_module
from azureml_local.arm.jobs import job_runs, job_status, jobs
from azureml_local.arm.jobs.job_runs import JobRuns
from azureml_local.arm.monitor.resource_logs import ResourceLogs
from azureml_local.arm.operations import Operations
from azureml_local.engines.compute.pool import AllocationError
from azureml_local.engines.jobs.runner import JobError
from azureml_local.http.errors import FrontendError
from azureml_local.store import Resource, Store

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/p/workspaces/w"
JOB = f"{WORKSPACE}/jobs/j"
SECONDS = 30
Observe = Callable[[str], None]


class Runner:
    """Runs jobs by awaiting what a test gives it."""

    def __init__(self) -> None:
        self.work: Callable[[Observe], Awaitable[None]]
        self.is_running = asyncio.Event()
        self.begun = 0
        self.kept: list[str] = []
        self.abandoned: list[Any] = []
        self.may_abandon = asyncio.Event()
        self.may_abandon.set()
        self.forgotten: list[str] = []

    async def run(self, _: Any, __: Any, observe: Observe, log_metrics: object) -> int:
        self.begun += 1
        self.is_running.set()
        await self.work(observe)
        return self.begun

    async def abandon(self, _: str, outputs: Any) -> None:
        self.abandoned.append(outputs)
        await self.may_abandon.wait()

    async def forget(self, job_id: str) -> None:
        self.forgotten.append(job_id)

    async def forget_all_but(self, job_ids: list[str]) -> None:
        self.kept = job_ids
        await asyncio.sleep(0)  # it takes its time, and what else was begun goes on


class Mlflow:
    """Is told of runs."""

    def __init__(self) -> None:
        self.statuses: list[str] = []
        self.deleted: list[str] = []

    def set_status(self, _: str, __: str, status: str) -> None:
        self.statuses.append(status)

    def delete_run(self, _: str, run_id: str) -> None:
        self.deleted.append(run_id)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "state.db")
    store.put(WORKSPACE, "workspaces", "", {"properties": {"workspaceId": "guid"}}, "me")
    yield store
    store.close()


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_runs, "pool_for", lambda context, job: None)
    monkeypatch.setattr(job_runs.job_specs, "command_spec", lambda context, job: None)
    monkeypatch.setattr(store_module, "WRITE_AGAIN_AFTER", 0.01)


def put(store: Store, status: str = "Starting", name: str = "j", **outputs: dict[str, Any]) -> Resource:
    properties = {
        "jobType": "Command",
        "status": status,
        "properties": {},
        "outputs": outputs,
        "computeId": "/computes/c",
        "displayName": name,
        "experimentName": "Default",
    }
    job_id = f"{WORKSPACE}/jobs/{name}"
    return store.put(
        job_id, "workspaces/jobs", WORKSPACE, {"properties": properties, "run": {"statusRevision": 0}}, "me"
    )


def status(store: Store, job_id: str = JOB) -> str:
    job = store.get(job_id)
    assert job is not None
    return str(job.properties["status"])


def output(kind: str = "uri_folder", name: str | None = None) -> dict[str, Any]:
    return {"jobOutputType": kind, "uri": None, "assetName": name, "assetVersion": None, "description": None}


def context_with(store: Store, runner: Runner | None = None) -> Any:
    events = ResourceLogs(store, lambda: None)
    return SimpleNamespace(store=store, operations=Operations(store), runner=runner, mlflow=Mlflow(), events=events)


def driven(store: Store, test: Callable[[JobRuns, Runner], Awaitable[None]]) -> None:
    """Run a test with jobs that are driven."""

    async def run() -> None:
        runner = Runner()
        runs = JobRuns(context_with(store, runner))
        async with asyncio.timeout(SECONDS):
            await test(runs, runner)
            await runs.close()

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the store has no events
        await asyncio.sleep(0.005)


async def forever(_: Observe) -> None:
    await asyncio.Event().wait()


def fails(error: BaseException) -> Callable[[Observe], Awaitable[None]]:
    async def work(_: Observe) -> None:
        raise error

    return work


def test_statuses_times_and_outputs_of_a_job_that_completes(store: Store) -> None:
    async def work(observe: Observe) -> None:
        for one in ("Preparing", "Queued", "Running", "Running", "Finalizing"):
            observe(one)
            assert status(store) == one

    async def test(runs: JobRuns, runner: Runner) -> None:
        runner.work = work
        runs.start(put(store, data=output(name="rows"), plain=output(), model=output("mlflow_model")))
        await until(lambda: status(store) == "Completed")

    driven(store, test)
    job = store.get(JOB)
    assert job is not None
    assert job.body["run"]["startTime"] < job.body["run"]["endTime"]
    assert job.body["run"]["statusRevision"] == 5
    assert set(job.properties["properties"]) == {"StartTimeUtc", "EndTimeUtc"}
    assert job.body["run"]["outputs"] == {
        "data": f"{WORKSPACE}/data/rows/versions/1",
        "plain": f"{WORKSPACE}/data/azureml_j_output_data_plain/versions/1",
        "model": f"{WORKSPACE}/models/azureml_j_output_model/versions/1",
    }
    model = store.get(job.body["run"]["outputs"]["model"])
    assert model is not None
    assert model.properties["jobName"] == "j"
    assert model.properties["modelUri"].endswith("/datastores/workspaceblobstore/paths/azureml/j/model/")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (JobError("UserError", "exit 3"), "UserError", "exit 3"),
        (FrontendError(404, "UserError", "no such data"), "UserError", "no such data"),
        (RuntimeError("secret"), "ServiceError", "azureml-local failed on this job; its log has the details."),
        (
            AllocationError("AzureMLCompute cluster c does not exist"),
            "UserError",
            "AzureMLCompute cluster c does not exist",
        ),
    ],
    ids=["job", "named", "unforeseen", "compute"],
)
def test_failures_are_told_and_register_nothing(store: Store, error: BaseException, code: str, message: str) -> None:
    async def test(runs: JobRuns, runner: Runner) -> None:
        runner.work = fails(error)
        runs.start(put(store, data=output(name="rows")))
        await until(lambda: status(store) == "Failed")
        # What never reached the runner in this life of the service may have in a former one.
        assert runner.abandoned == ([{}] if isinstance(error, AllocationError | FrontendError) else [])

    driven(store, test)
    job = store.get(JOB)
    assert job is not None
    assert job.body["run"]["error"] == {"code": code, "message": message}
    assert store.get(f"{WORKSPACE}/data/rows") is None


def test_cancelled_before_it_began_and_while_it_ran(store: Store) -> None:
    async def test(runs: JobRuns, runner: Runner) -> None:
        runner.work = forever
        runs.start(put(store))
        await runs.end(JOB)
        assert status(store) == "Canceled"
        assert runner.begun == 0
        runs.start(put(store))
        await runner.is_running.wait()
        job_status.change(context_with(store), JOB, "CancelRequested")
        job_status.change(context_with(store), JOB, "Running")  # what a node says too late
        assert status(store) == "CancelRequested"
        await runs.end(JOB)
        assert status(store) == "Canceled"

    driven(store, test)


def test_what_completes_although_it_is_to_be_cancelled_has_completed(store: Store) -> None:
    async def test(runs: JobRuns, runner: Runner) -> None:
        async def work(_: Observe) -> None:
            job_status.change(context_with(store), JOB, "CancelRequested")

        runner.work = work
        runs.start(put(store))
        await until(lambda: status(store) == "Completed")
        await runs.end(JOB)
        assert status(store) == "Completed"

    driven(store, test)


def test_what_the_services_end_cuts_off_is_run_again(store: Store) -> None:
    async def first(runs: JobRuns, runner: Runner) -> None:
        runner.work = forever
        runs.start(put(store))
        await runner.is_running.wait()

    async def second(runs: JobRuns, runner: Runner) -> None:
        runner.work = fails(JobError("UserError", "x"))
        put(store, "Completed", "done")
        put(store, "CancelRequested", "unwanted")
        await runs.resume()
        await until(lambda: status(store) == "Failed")
        assert runner.begun == 1
        assert runner.kept == [JOB, f"{WORKSPACE}/jobs/unwanted"]
        assert status(store, f"{WORKSPACE}/jobs/unwanted") == "CancelRequested"
        await runs.end(f"{WORKSPACE}/jobs/unwanted")  # as its operation does, which is resumed, too
        assert status(store, f"{WORKSPACE}/jobs/unwanted") == "Canceled"
        assert runner.abandoned == [{}]
        assert set(runner.forgotten) == {JOB, f"{WORKSPACE}/jobs/unwanted"}

    driven(store, first)
    assert status(store) == "Starting"
    driven(store, second)


def test_end_that_cannot_be_written_registers_nothing_and_is_written_later(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the disk is full: the write fails after the output was registered."""
    save, refused = store.save, []

    def full(resource: Resource) -> None:
        save(resource)
        if "outputs" in resource.body["run"] and len(refused) < 2:
            refused.append(store.get(f"{WORKSPACE}/data/rows/versions/1"))
            raise sqlite3.OperationalError("database or disk is full")

    async def work(_: Observe) -> None:
        return

    async def test(runs: JobRuns, runner: Runner) -> None:
        runner.work = work
        runs.start(put(store, data=output(name="rows")))
        await until(lambda: len(refused) == 1)
        assert store.get(f"{WORKSPACE}/data/rows") is None
        assert status(store) == "Starting"
        await until(lambda: status(store) == "Completed")

    monkeypatch.setattr(store, "save", full)
    driven(store, test)
    assert all(refused)
    container = store.get(f"{WORKSPACE}/data/rows")
    assert container is not None
    assert container.properties["latestVersion"] == "1"


def test_status_that_cannot_be_written_does_not_stop_the_job(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(observe: Observe) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(store, "save", fail)
            observe("Running")

    def fail(_: Resource) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async def test(runs: JobRuns, runner: Runner) -> None:
        runner.work = work
        runs.start(put(store))
        await until(lambda: status(store) == "Completed")

    driven(store, test)


def test_jobs_of_a_workspace_end_with_it(store: Store) -> None:
    async def test(runs: JobRuns, runner: Runner) -> None:
        runner.work = forever
        for name in ("a", "b"):
            runs.start(put(store, name=name))
        await runner.is_running.wait()
        await runs.end_below(WORKSPACE)
        assert {status(store, f"{WORKSPACE}/jobs/{name}") for name in ("a", "b")} == {"Canceled"}

    driven(store, test)


@pytest.mark.parametrize("known", ["Running", "Finalizing", "CancelRequested"])
def test_job_whose_deletion_was_cut_off_does_not_run_again(store: Store, known: str) -> None:
    async def test(runs: JobRuns, runner: Runner) -> None:
        runner.work = forever
        runner.may_abandon.clear()
        runs._context.operations.begin("jobs/delete", put(store, known), "operation")
        await runs.resume()
        await until(lambda: bool(runner.abandoned))
        runner.may_abandon.set()
        await until(lambda: store.get(JOB) is None)
        assert runner.begun == 0

    driven(store, test)


def test_pipeline_that_ends_with_its_workspace_does_not_go_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service was killed while the workspace was deleted, and goes on with that: the steps take a while to end."""
    began: list[str] = []

    async def orchestrate(_: object, job: Resource) -> None:
        began.append(job.name)

    monkeypatch.setattr(job_runs.orchestration, "run", orchestrate)
    pipeline = put(store, "Running", "p")
    store.save(pipeline.with_properties(jobType="Pipeline"))
    step = put(store, "Running", "s")
    store.delete(step.id)
    store.put(step.id, step.type, pipeline.id, step.body, "me")

    async def test(runs: JobRuns, runner: Runner) -> None:
        runner.may_abandon.clear()
        ending = asyncio.ensure_future(runs.end_below(WORKSPACE))
        await until(lambda: bool(runner.abandoned))
        await runs.resume()
        runner.may_abandon.set()
        await ending
        assert began == []
        assert {status(store, pipeline.id), status(store, step.id)} == {"Canceled"}

    driven(store, test)


def test_job_that_is_deleted_is_to_be_cancelled_unless_its_code_has_ended(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "JOB", f"{WORKSPACE}/jobs/{{job}}")

    async def test(runs: JobRuns, runner: Runner) -> None:
        runner.work = forever
        runner.may_abandon.clear()
        for before, after in (("Running", "CancelRequested"), ("Finalizing", "Finalizing"), ("Failed", "Failed")):
            job = put(store, before, before.lower())
            request = SimpleNamespace(
                context=runs._context,
                params={"subscription": "s", "job": job.name},
                query={"api-version": "1"},
                workspace=lambda: SimpleNamespace(properties={"workspaceId": "guid"}, body={"location": "eastus"}),
            )
            answer = await jobs.delete(cast(Any, request))
            assert answer.status_code == 202
            assert status(store, job.id) == after
        runner.may_abandon.set()
        await until(lambda: not store.select("workspaces/jobs", WORKSPACE))

    driven(store, test)


def test_job_ends_although_what_it_names_is_gone(store: Store) -> None:
    """Its workspace could not be deleted before it has ended."""
    gone = {**output(), "uri": "azureml://datastores/gone/paths/x", "mode": "ReadWriteMount"}

    async def test(runs: JobRuns, runner: Runner) -> None:
        put(store, "CancelRequested", rows=gone)
        await runs.end(JOB)
        assert status(store) == "Canceled"
        assert runner.abandoned == [{}]

    driven(store, test)


def test_version_that_another_job_has_registered_meanwhile_is_not_claimed(store: Store) -> None:
    async def work(_: Observe) -> None:
        return

    async def test(runs: JobRuns, runner: Runner) -> None:
        runner.work = work
        for name in ("first", "second"):
            given = {**output(name="rows"), "assetVersion": "7"}
            runs.start(put(store, name=name, data=given, other=output()))
            await until(lambda name=name: status(store, f"{WORKSPACE}/jobs/{name}") in job_status.ENDED)  # type: ignore[misc]

    driven(store, test)
    first, second = (store.get(f"{WORKSPACE}/jobs/{name}") for name in ("first", "second"))
    assert first is not None
    assert second is not None
    assert (first.properties["status"], second.properties["status"]) == ("Completed", "Failed")
    error = second.body["run"]["error"]
    assert error["code"] == "UserError"
    assert "output data" in error["message"]
    assert "version 7 of rows" in error["message"]
    assert "outputs" not in second.body["run"]
    assert store.get(f"{WORKSPACE}/data/azureml_second_output_data_other") is None
    version = store.get(f"{WORKSPACE}/data/rows/versions/7")
    assert version is not None
    assert "/first/" in version.properties["dataUri"]


def test_deleted_job_leaves_no_run(store: Store) -> None:
    async def run() -> None:
        context = context_with(store, Runner())
        JobRuns(context)
        job = put(store, "Completed")
        context.operations.begin("jobs/delete", job, "operation")
        async with asyncio.timeout(SECONDS):
            await until(lambda: store.get(JOB) is None)
        assert context.mlflow.deleted == ["j"]
        await context.operations.close()

    asyncio.run(run())
