"""What Evaluate Model logs, in a store of MLflow's own: it refuses names with characters that it does not know."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pandas as pd
import pytest
from designer_modules import LABEL, Dataset
from designer_modules.evaluation import evaluate_model


def _scored(*probabilities: float) -> Dataset:
    labels = [int(one >= 0.5) for one in probabilities]
    frame = pd.DataFrame({"late": [0, 0, 1, 1], "Scored Labels": labels, "Scored Probabilities": probabilities})
    return Dataset(frame, {"late": LABEL})


def test_the_metrics_of_both_models_are_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    client = mlflow.MlflowClient(store)
    run_id = client.create_run(client.create_experiment("compared", str(tmp_path))).info.run_id
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    results = evaluate_model(_scored(0.1, 0.2, 0.8, 0.9), _scored(0.1, 0.6, 0.4, 0.9)).frame
    logged = client.get_run(run_id).data.metrics
    assert results["Accuracy"].tolist() == [logged["Accuracy"], logged["Accuracy - to compare"]] == [1.0, 0.5]
