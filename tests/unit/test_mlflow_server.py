"""azureml_local.engines.mlflow_server and azureml_local.arm.jobs.tracking: what needs no service."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from alembic import command
from alembic.script import ScriptDirectory
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase

from azureml_local.arm.jobs.tracking import NOTE, STATUSES, Tracking
from azureml_local.engines import mlflow_server
from azureml_local.engines.mlflow_server import MlflowServer, MlflowServerError
from azureml_local.engines.mlflow_server.experiments import experiment_id
from azureml_local.engines.mlflow_server.stores import _open_store
from azureml_local.identity.tokens import TokenService
from azureml_local.store import Store

WORKSPACE_ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


def test_id_of_an_experiment_follows_from_its_name() -> None:
    """SQLite's integers have 64 bits, one of them the sign; MLflow's clients know experiment 0 as ``Default``."""
    assert experiment_id("Default") == 0
    ids = {experiment_id(name) for name in ("default", "a", "A", "grüße", "x" * 256)}
    assert len(ids) == 5
    assert all(0 < one < 2**63 for one in ids)
    assert experiment_id("a") == experiment_id("a")


def test_database_of_an_older_mlflow_is_brought_up_to_date_beside_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "w.db"
    address = f"sqlite:///{path}"
    engine = sqlalchemy.create_engine(address)
    InitialBase.metadata.create_all(engine)
    config = utils._get_alembic_config(address)
    former = ScriptDirectory.from_config(config).get_revision("head").down_revision
    assert isinstance(former, str)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, former)
    engine.dispose()
    store = _open_store(path)
    experiment = store.create_experiment("a")
    assert experiment == str(experiment_id("a"))
    assert (tmp_path / f"w.db.{former}").exists()
    store._dispose_engine()
    assert _open_store(path).get_experiment(experiment).name == "a"
    assert len(list(tmp_path.iterdir())) == 2


def job(run_id: str, **changes: Any) -> dict[str, Any]:
    """What the service tells of a new job."""
    new = {
        "run_id": run_id,
        "experiment": "e",
        "name": "first",
        "user": "ann",
        "tags": {"team": "a"},
        "start_time": 1,
        "status": "SCHEDULED",
        "end_time": None,
    }
    return {**new, **changes}


def test_job_of_a_name_used_again_has_a_run_of_its_own(tmp_path: Path) -> None:
    store = _open_store(tmp_path / "w.db")
    store.write_jobs([job("j"), job("other")])
    store.log_metric("j", Metric("loss", 1.0, 1, 0))
    store.log_param("j", Param("lr", "0.1"))
    experiment = store.get_experiment_by_name("e").experiment_id
    place = store.create_logged_model(experiment, "model", "j").artifact_location
    store.write_jobs([{"run_id": "j", "deleted": True}, {"run_id": "absent", "deleted": True}, job("j", name="second")])
    run = store.get_run("j")
    assert (run.info.run_name, run.data.metrics, run.data.params) == ("second", {}, {})
    assert store.search_logged_models([experiment]) == []
    assert store.create_logged_model(experiment, "model", "j").artifact_location == place
    store.write_jobs([{"run_id": "j", "deleted": True}, {"run_id": "j", "status": "FINISHED", "end_time": 2}])
    with pytest.raises(MlflowException, match="not found"):
        store.get_run("j")
    assert store.get_run("other").info.run_name == "first"


def test_changes_of_a_job_reach_its_run_and_leave_what_it_logged(tmp_path: Path) -> None:
    store = _open_store(tmp_path / "w.db")
    store.write_jobs([job("j")])
    store.set_tag("j", RunTag("own", "kept"))
    store.write_jobs([{"run_id": "j", "name": "renamed", "tags": {"team": "b", "new": "n"}}])
    store.write_jobs([{"run_id": "j", "status": "FINISHED", "end_time": 2}])
    run = store.get_run("j")
    assert (run.info.run_name, run.info.status, run.info.end_time) == ("renamed", "FINISHED", 2)
    tags = {"team": "b", "new": "n", "own": "kept", "mlflow.runName": "renamed", "mlflow.user": "ann"}
    assert run.data.tags == tags


def test_metrics_of_a_job_reach_its_run(tmp_path: Path) -> None:
    store = _open_store(tmp_path / "w.db")
    store.write_jobs([job("j", metrics={"Remaining Mini Batches": (9, 1), "Failed Items": (0, 1)})])
    store.write_jobs(
        [{"run_id": "j", "metrics": {"Remaining Mini Batches": (4, 2)}}, {"run_id": "absent", "metrics": {}}]
    )
    assert store.get_run("j").data.metrics == {"Remaining Mini Batches": 4, "Failed Items": 0}
    assert [metric.value for metric in store.get_metric_history("j", "Remaining Mini Batches")] == [9, 4]


# --- the child ---


def test_start_that_fails_is_told_to_all_who_wait_and_tried_again_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[int] = []

    def failing(listener: int) -> list[str]:
        starts.append(listener)
        return [sys.executable, "-c", "import sys; sys.exit('no such luck')"]

    monkeypatch.setattr(mlflow_server, "_command", failing)

    async def main() -> None:
        server = MlflowServer(tmp_path / "mlflow", tmp_path, tmp_path / "log")
        asked = [server.send("w", "GET", "/health") for _ in range(3)]
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(answer, MlflowServerError)
            assert str(tmp_path / "log") in str(answer)
        assert len(starts) == 1
        with pytest.raises(MlflowServerError):
            await server.send("w", "GET", "/health")
        assert len(starts) == 2
        await server.stop()

    asyncio.run(main())
    assert "no such luck" in (tmp_path / "log").read_text()
    assert not (tmp_path / "mlflow.sock").exists()


def test_server_that_was_never_needed_is_not_started(tmp_path: Path) -> None:
    asyncio.run(MlflowServer(tmp_path / "mlflow", tmp_path, tmp_path / "log").stop())
    assert list(tmp_path.iterdir()) == []


# --- what it is told of jobs ---


class Server:
    """Takes down what it is told of jobs; ``meanwhile`` happens while it is told."""

    def __init__(self) -> None:
        self.told: list[Sequence[Mapping[str, Any]]] = []
        self.meanwhile: Any = None

    async def write_jobs(self, workspace: str, jobs: Sequence[Mapping[str, Any]]) -> None:
        self.told.append(jobs)
        if self.meanwhile:
            self.meanwhile()

    async def send(self, *_: object) -> None:
        pass


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "state.db")
    store.put(WORKSPACE_ID, "workspaces", "", {"properties": {"workspaceId": "w"}}, "ann")
    return store


def told(tracking: Tracking, store: Store) -> None:
    """Send a request about the workspace."""
    workspace = store.get(WORKSPACE_ID)
    assert workspace is not None
    asyncio.run(tracking.send(workspace, "GET", "/"))


def test_server_is_told_of_jobs_once_and_before_the_next_request(store: Store, tmp_path: Path) -> None:
    server = Server()
    tracking = Tracking(store, TokenService(tmp_path / "key", "t"), server)  # type: ignore[arg-type]
    for job in ("one", "two"):
        tracking.create_run(WORKSPACE_ID, job, experiment="e", display_name=job, user="ann", tags={})
    tracking.set_status(WORKSPACE_ID, "one", "Completed")
    assert server.told == []
    told(tracking, store)
    told(tracking, store)
    ((one, two),) = server.told
    assert (one["run_id"], one["status"], one["experiment"]) == ("one", "FINISHED", "e")
    assert one["end_time"] >= one["start_time"]
    assert (two["run_id"], two["status"], two["end_time"]) == ("two", "SCHEDULED", None)
    tracking.set_status(WORKSPACE_ID, "two", "Running")
    told(tracking, store)
    assert server.told[1:] == [[{"run_id": "two", "status": "RUNNING", "end_time": None}]]


def test_what_changes_while_the_server_is_told_is_told_next(store: Store, tmp_path: Path) -> None:
    server = Server()
    tracking = Tracking(store, TokenService(tmp_path / "key", "t"), server)  # type: ignore[arg-type]
    tracking.create_run(WORKSPACE_ID, "one", experiment="e", display_name="one", user="ann", tags={})
    server.meanwhile = lambda: tracking.set_status(WORKSPACE_ID, "one", "Failed")
    told(tracking, store)
    server.meanwhile = None
    told(tracking, store)
    assert [jobs[0]["status"] for jobs in server.told] == ["SCHEDULED", "FAILED"]
    assert store.children(NOTE, WORKSPACE_ID) == []


def test_run_of_a_deleted_job_is_deleted_before_the_next_of_its_name_is_made(store: Store, tmp_path: Path) -> None:
    server = Server()
    tracking = Tracking(store, TokenService(tmp_path / "key", "t"), server)  # type: ignore[arg-type]

    def submit(display_name: str) -> None:
        tracking.create_run(WORKSPACE_ID, "j", experiment="e", display_name=display_name, user="ann", tags={})

    def delete() -> None:
        tracking.delete_run(WORKSPACE_ID, "j")

    submit("never told of")
    delete()
    submit("second")
    server.meanwhile = delete
    told(tracking, store)
    server.meanwhile = None
    submit("third")
    told(tracking, store)
    steps = [[one.get("name", "deleted") for one in jobs] for jobs in server.told]
    assert steps == [["deleted", "second"], ["deleted", "third"]]
    assert store.children(NOTE, WORKSPACE_ID) == []


def test_what_changes_of_a_job_is_told(store: Store, tmp_path: Path) -> None:
    server = Server()
    tracking = Tracking(store, TokenService(tmp_path / "key", "t"), server)  # type: ignore[arg-type]
    properties = {"displayName": "a", "tags": {"team": "x", "kept": "y"}}
    job = store.put(f"{WORKSPACE_ID}/jobs/j", "workspaces/jobs", WORKSPACE_ID, {"properties": properties}, "ann")
    tracking.update_run(WORKSPACE_ID, job, job)
    assert store.children(NOTE, WORKSPACE_ID) == []
    renamed = job.with_properties(displayName="b")
    tagged = renamed.with_properties(tags={"team": "z", "kept": "y"})
    tracking.update_run(WORKSPACE_ID, job, renamed)
    tracking.update_run(WORKSPACE_ID, renamed, tagged)
    tracking.update_run(WORKSPACE_ID, tagged, tagged.with_properties(tags={"team": "z", "kept": "y", "new": "n"}))
    told(tracking, store)
    assert server.told == [[{"run_id": "j", "name": "b", "tags": {"team": "z", "new": "n"}}]]


def test_last_metrics_of_a_job_are_told(store: Store, tmp_path: Path) -> None:
    server = Server()
    tracking = Tracking(store, TokenService(tmp_path / "key", "t"), server)  # type: ignore[arg-type]
    tracking.log_metrics(WORKSPACE_ID, "j", {"Remaining Mini Batches": 9, "Failed Items": 0})
    tracking.log_metrics(WORKSPACE_ID, "j", {"Remaining Mini Batches": 4})
    told(tracking, store)
    ((note,),) = server.told
    assert {name: value for name, (value, _) in note["metrics"].items()} == {
        "Remaining Mini Batches": 4,
        "Failed Items": 0,
    }


def test_many_jobs_are_told_in_batches(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("azureml_local.arm.jobs.tracking.BATCH", 2)
    server = Server()
    tracking = Tracking(store, TokenService(tmp_path / "key", "t"), server)  # type: ignore[arg-type]
    for job in "abcde":
        tracking.create_run(WORKSPACE_ID, job, experiment="e", display_name=job, user="ann", tags={})
    left: list[int] = []
    server.meanwhile = lambda: left.append(len(store.children(NOTE, WORKSPACE_ID)))
    told(tracking, store)
    assert [[one["run_id"] for one in jobs] for jobs in server.told] == [["a", "b"], ["c", "d"], ["e"]]
    assert left == [5, 3, 1]


def test_statuses_are_those_of_azures_table() -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow#filter-runs-by-status"""
    documented = {
        "NotStarted": "Scheduled",
        "Queued": "Scheduled",
        "Preparing": "Scheduled",
        "Running": "Running",
        "Completed": "Finished",
        "Failed": "Failed",
        "Canceled": "Killed",
    }
    assert {name: STATUSES[name].capitalize() for name in documented} == documented
