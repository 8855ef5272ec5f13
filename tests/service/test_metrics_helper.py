"""What a lesson sees of a job's metrics: ``helpers.metrics`` on MLflow's own client.

On Azure, too, a job's run has the job's name; here a run that was started by hand stands for the job.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from azure.ai.ml import MLClient
from mlflow import MlflowClient
from mlflow.entities import Metric, Run
from mlflow.exceptions import MlflowException

import helpers

BEGAN = 1_700_000_000_000  # milliseconds since 1970


@pytest.fixture
def client(ml: MLClient) -> Iterator[MlflowClient]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN"):  # what track() sets is put back
            patch.setenv(name, "")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.delenv("PYTEST_CURRENT_TEST")
        yield MlflowClient(helpers.track(ml))


@pytest.fixture
def run(client: MlflowClient, name: str) -> Run:
    """A run with a loss at three steps, one of which was logged twice, and an accuracy at one."""
    run = client.create_run(client.create_experiment(name), start_time=BEGAN)
    logged = [("loss", 0, 9.0, 0), ("loss", 0, 1.0, 1), ("loss", 1, 0.5, 2), ("loss", 2, 0.25, 3), ("acc", 2, 0.9, 3)]
    client.log_batch(run.info.run_id, [Metric(key, value, BEGAN + 1000 * at, step) for key, step, value, at in logged])
    return run


def test_table_has_a_row_a_step_and_a_column_a_metric(ml: MLClient, run: Run) -> None:
    table = helpers.metrics(ml, run.info.run_id)
    assert (table.index.name, list(table.index), list(table.columns)) == ("step", [0, 1, 2], ["acc", "loss"])
    assert list(table["loss"]) == [1.0, 0.5, 0.25]
    assert list(table["acc"].isna()) == [True, True, False]


def test_rows_may_be_times(ml: MLClient, run: Run) -> None:
    table = helpers.metrics(ml, run.info.run_id, by="time")
    assert (table.index.name, list(table.index)) == ("time", [0.0, 1.0, 2.0, 3.0])
    assert list(table["loss"]) == [9.0, 1.0, 0.5, 0.25]


def test_job_without_metrics_has_an_empty_table(ml: MLClient, client: MlflowClient, name: str) -> None:
    run = client.create_run(client.create_experiment(name))
    assert helpers.metrics(ml, run.info.run_id).empty


def test_what_there_is_not_is_said(ml: MLClient, client: MlflowClient) -> None:
    with pytest.raises(MlflowException, match="nothing-of-the-kind"):
        helpers.metrics(ml, "nothing-of-the-kind")
    with pytest.raises(ValueError, match="'hour'"):
        helpers.metrics(ml, "any", by="hour")


def test_nothing_slow_is_imported_with_the_helpers() -> None:
    code = "import sys, helpers; print([name for name in ('mlflow', 'pandas', 'azure.ai.ml') if name in sys.modules])"
    finished = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True, timeout=60, check=True
    )
    assert finished.stdout.strip() == "[]"
