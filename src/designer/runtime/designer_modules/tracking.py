"""Metrics of a component, logged with MLflow where a job runs that they belong to."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping


def log_metrics(metrics: Mapping[str, float], step: int = 0) -> None:
    """Log metrics of the job that this process is a step of; elsewhere, e.g. in a web service, do nothing.

    MLflow's client, unlike ``mlflow.log_metrics``, leaves the environment as it is, and does not end the job's run.
    """
    run_id = os.environ.get("MLFLOW_RUN_ID")
    if not (run_id and os.environ.get("MLFLOW_TRACKING_URI")):
        return
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    MlflowClient().log_batch(run_id, [Metric(name, value, now, step) for name, value in metrics.items()])
