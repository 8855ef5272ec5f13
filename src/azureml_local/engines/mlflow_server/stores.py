"""MLflow's own tracking store on SQLite, one database a workspace, and what Azure ML does otherwise. Runs in the child.

MLflow has workspaces, too, but keeps the runs of all in one table, by their ids: two workspaces of Azure ML may each
have a job of the same name.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import flask
import sqlalchemy
from mlflow.entities import ExperimentTag, LifecycleStage, LoggedModel, Metric
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, NOT_IMPLEMENTED
from mlflow.store.db import utils
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlLoggedModel, SqlRun, SqlTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME, MLFLOW_USER
from sqlalchemy.orm import Session

from azureml_local.engines.mlflow_server import WORKSPACE_HEADER
from azureml_local.engines.mlflow_server.experiments import experiment_id

ARTIFACT_ROOT = "mlflow-artifacts:/"  # the client asks the tracking server for files, which are the service's part
WORKSPACE = re.compile(r"[0-9a-f-]{36}")


class WorkspaceStore(SqlAlchemyStore):  # type: ignore[misc] # MLflow is not checked
    """The experiments, runs and logged models of one workspace."""

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: list[ExperimentTag] | None = None
    ) -> str:
        """Create an experiment; its files lie where the workspace keeps those of all runs."""
        if artifact_location:
            raise MlflowException(
                "azureml-local lacks artifact_location: the files of runs lie in the workspace's storage.",
                NOT_IMPLEMENTED,
            )
        created: str = super().create_experiment(name, None, tags)
        return created

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Refuse, as Azure ML does."""
        raise MlflowException(
            f"Experiment {experiment_id} cannot be renamed to '{new_name}': Azure Machine Learning does not rename "
            "experiments.",
            INVALID_PARAMETER_VALUE,
        )

    def create_logged_model(
        self, experiment_id: str, name: str | None = None, source_run_id: str | None = None, **rest: Any
    ) -> LoggedModel:
        """Create a logged model, whose files lie among those of its run: Azure ML looks for a job's model there.

        A second one of the same name in a run has a place of its own, so that neither overwrites the other.
        """
        model = super().create_logged_model(experiment_id, name, source_run_id, **rest)
        if source_run_id is None:
            return model
        with self.ManagedSessionMaker(read_only=False) as session:
            run = self._get_run(session, source_run_id)
            location = f"{run.experiment.artifact_location}/{run.run_uuid}/{self.MODELS_FOLDER_NAME}/{model.name}"
            if session.query(SqlLoggedModel).filter_by(artifact_location=location).first():
                return model
            record = self._get_logged_model_record(session, model.model_id)
            record.artifact_location = location
            session.flush()
            return record.to_mlflow_entity()

    def write_jobs(self, jobs: Iterable[Mapping[str, Any]]) -> None:
        """Bring the runs of jobs to the state that the service knows, in order; make those that are missing.

        Args:
            jobs: for each ``run_id`` and what has changed: ``status`` (MLflow's word) with ``end_time`` (milliseconds
                since 1970; None where it has not ended), ``name``, ``tags``; new ones have all of these, and
                ``experiment``, ``user`` and ``start_time``. ``deleted`` alone is true of those to be deleted for good.
                ``metrics`` has values and times (milliseconds since 1970) by name.
        """
        jobs = tuple(jobs)
        names = {job["experiment"] for job in jobs if "experiment" in job}
        experiments = {name: self._ensure_experiment(name) for name in names}
        with self.ManagedSessionMaker(read_only=False) as session:
            for job in jobs:
                run = session.get(SqlRun, job["run_id"])
                if job.get("deleted"):
                    _delete(session, job["run_id"], run)
                elif run is None and "experiment" in job:
                    session.add(_new_run(job, experiments[job["experiment"]]))
                elif run is not None:
                    _update(session, run, job)
            known = {job["run_id"] for job in jobs if session.get(SqlRun, job["run_id"])}
        for job in jobs:
            if "metrics" in job and job["run_id"] in known:
                metrics = [Metric(name, value, at, 0) for name, (value, at) in job["metrics"].items()]
                self.log_batch(job["run_id"], metrics, [], [])

    def _ensure_experiment(self, name: str) -> SqlExperiment:
        """Return the experiment of a job. One that was deleted is in use again."""
        if self.get_experiment_by_name(name) is None:
            with contextlib.suppress(MlflowException):  # another request has just made it
                self.create_experiment(name)
        experiment = self.get_experiment_by_name(name)
        if experiment.lifecycle_stage != LifecycleStage.ACTIVE:
            self.restore_experiment(experiment.experiment_id)
        return experiment


def _new_run(job: Mapping[str, Any], experiment: SqlExperiment) -> SqlRun:
    """Return the run of a job. Its id is the job's name: MLflow itself gives random ones."""
    tags = {**job["tags"], MLFLOW_RUN_NAME: job["name"], MLFLOW_USER: job["user"]}
    return SqlRun(
        run_uuid=job["run_id"],
        name=job["name"],
        status=job["status"],
        end_time=job["end_time"],
        experiment_id=int(experiment.experiment_id),
        user_id=job["user"],
        start_time=job["start_time"],
        source_type="JOB",
        source_name="",
        entry_point_name="",
        source_version="",
        lifecycle_stage=LifecycleStage.ACTIVE,
        artifact_uri=f"{experiment.artifact_location}/{job['run_id']}/{SqlAlchemyStore.ARTIFACTS_FOLDER_NAME}",
        tags=[SqlTag(key=key, value=value) for key, value in tags.items()],
    )


def _update(session: Session, run: SqlRun, job: Mapping[str, Any]) -> None:
    """Give a run what has changed of its job; what was logged to the run itself stays."""
    for member in ("status", "end_time", "name"):
        if member in job:
            setattr(run, member, job[member])
    tags = dict(job.get("tags", {}))
    if "name" in job:
        tags[MLFLOW_RUN_NAME] = job["name"]
    for key, value in tags.items():
        session.merge(SqlTag(run_uuid=run.run_uuid, key=key, value=value))


def _delete(session: Session, run_id: str, run: SqlRun | None) -> None:
    """Delete a run with all that was logged to it, its models included: they would keep their places from the next."""
    for model in session.query(SqlLoggedModel).filter_by(source_run_id=run_id):
        session.delete(model)
    if run is not None:
        session.delete(run)
    session.flush()  # the next job may make one of that id


@sqlalchemy.event.listens_for(SqlExperiment, "before_insert")
def _give_its_id(_mapper: Any, _connection: Any, experiment: SqlExperiment) -> None:
    experiment.experiment_id = experiment_id(experiment.name)


class Stores:
    """The store of whichever workspace a request is about; to MLflow's handlers it looks like one store.

    Args:
        folder: where the databases lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, WorkspaceStore] = {}
        self._opening = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.current(), name)

    def current(self) -> WorkspaceStore:
        """Return the store of the present request's workspace; it is made on first use."""
        workspace = flask.request.headers.get(WORKSPACE_HEADER, "")
        if not WORKSPACE.fullmatch(workspace):
            raise MlflowException(f"{WORKSPACE_HEADER} must be the GUID of a workspace.", INVALID_PARAMETER_VALUE)
        with self._opening:
            if workspace not in self._open:
                self._open[workspace] = _open_store(self._folder / f"{workspace}.db")
            return self._open[workspace]


def _open_store(path: Path) -> WorkspaceStore:
    """Open a database, or make it. One of an older MLflow is brought up to date, after a copy was made beside it."""
    address = f"sqlite:///{path}"
    if path.exists():
        engine = utils.create_sqlalchemy_engine_with_retry(address)
        version = utils._get_schema_version(engine)
        if version not in (None, utils._get_latest_schema_revision()):
            shutil.copyfile(path, path.with_name(f"{path.name}.{version}"))
            utils._upgrade_db(engine)
        engine.dispose()
    return WorkspaceStore(address, ARTIFACT_ROOT)
