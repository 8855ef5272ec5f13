"""The components that train, score and measure as the steps of one pipeline job, as they are declared.

Truth: the same functions called here with the same rows; MLflow's own client.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from azure.ai.ml import MLClient, dsl
from azure.storage.blob import BlobServiceClient
from designer_modules import Dataset, learners
from designer_modules.evaluation import evaluate_model
from designer_modules.importance import permutation_feature_importance
from designer_modules.models import TrainedModel
from designer_modules.scoring import score_model
from designer_modules.training import train_clustering_model
from designer_modules.tuning import tune_model_hyperparameters
from designer_modules.validation import cross_validate_model
from job_support import Jobs
from pipeline_support import Pipelines, Ran
from sklearn.datasets import load_breast_cancer
from support import Arm

import designer
import helpers
from running_service import RunningService

pytestmark = pytest.mark.slow

components = designer.load_components()
CANCER = load_breast_cancer(as_frame=True).frame.iloc[::3]
ROWS = pd.DataFrame(
    {
        "area": CANCER["mean area"],
        "texture": CANCER["mean texture"],
        "size": (CANCER["mean radius"] > 14).map({True: "it's big", False: "small"}),
        "outcome": CANCER["target"].map({0: "malignant", 1: "benign"}),
    }
).reset_index(drop=True)
RANGE: dict[str, Any] = {
    "create_trainer_mode": "Parameter Range",
    "range_for_l2_regularization_weight": "0.1; 1; 10",
    "range_for_optimization_tolerance": "0.0001",
    "random_number_seed": 1,
}
GRID: dict[str, Any] = {"specify_parameter_sweeping_mode": "Entire grid", "label_column": "outcome"}


@pytest.fixture(scope="module")
def ran(ml: MLClient, arm: Arm, service: RunningService, cluster: str) -> Iterator[Ran]:
    @dsl.pipeline(name="training", compute=cluster)
    def training() -> None:
        rows = components.enter_data_manually(data=ROWS.to_csv(index=False)).outputs.dataset
        learner = components.two_class_logistic_regression(**RANGE).outputs.untrained_model
        tune = components.tune_model_hyperparameters(untrained_model=learner, training_dataset=rows, **GRID)
        score = components.score_model(trained_model=tune.outputs.trained_best_model, dataset=rows)
        components.permutation_feature_importance(trained_model=tune.outputs.trained_best_model, test_data=rows)
        components.cross_validate_model(untrained_model=learner, dataset=rows, label_column="outcome")
        forest = components.two_class_decision_forest(random_number_seed=1)
        train = components.train_model(
            untrained_model=forest.outputs.untrained_model, dataset=rows, label_column="outcome"
        )
        other = components.score_model(trained_model=train.outputs.trained_model, dataset=rows)
        components.evaluate_model(
            scored_dataset=score.outputs.scored_dataset, scored_dataset_to_compare=other.outputs.scored_dataset
        )
        means = components.k_means_clustering(number_of_centroids=3, random_number_seed=1)
        clusters = components.train_clustering_model(
            untrained_model=means.outputs.untrained_model, dataset=rows, column_set="area,texture"
        )
        components.assign_data_to_clusters(
            trained_model=clusters.outputs.trained_model,
            dataset=rows,
            check_for_append_or_uncheck_for_result_only=False,
        )

    settings = service.settings
    blobs = BlobServiceClient(f"https://{settings.storage_account}.blob.core.windows.net", settings.storage_key)
    found = Pipelines(Jobs(ml, arm, blobs)).run(training(), force_rerun=True)
    assert found.status == "Completed", found.error
    yield found


def frame(ran: Ran, step: str, port: str) -> pd.DataFrame:
    files = ran.jobs.step(ran.child(step).name).output(port)
    return pd.read_parquet(io.BytesIO({name.lstrip("/"): content for name, content in files.items()}["data.parquet"]))


def tuned() -> tuple[Dataset, TrainedModel]:
    return tune_model_hyperparameters(learners.two_class_logistic_regression(**RANGE), Dataset(ROWS), **GRID)


def test_a_sweep_finds_what_it_finds_here(ran: Ran) -> None:
    results, best = tuned()
    pd.testing.assert_frame_equal(frame(ran, "tune", "sweep_results"), results.frame)
    expected = score_model(best, Dataset(ROWS)).frame
    pd.testing.assert_frame_equal(frame(ran, "score", "scored_dataset"), expected, check_dtype=False)


def test_measures_are_those_that_are_measured_here(ran: Ran) -> None:
    _, best = tuned()
    importance = permutation_feature_importance(best, Dataset(ROWS)).frame
    found = frame(ran, "permutation_feature_importance", "feature_importance")
    pd.testing.assert_frame_equal(found, importance)
    untrained = learners.two_class_logistic_regression(**RANGE)
    _, by_fold = cross_validate_model(untrained, Dataset(ROWS), "outcome")
    pd.testing.assert_frame_equal(frame(ran, "cross_validate_model", "evaluation_results_by_fold"), by_fold.frame)
    log = ran.jobs.step(ran.child("cross_validate_model").name).log
    assert "Fold 9: AUC" in log


def test_what_is_measured_is_in_the_steps_run(ml: MLClient, ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN"):  # what track() sets is put back
        monkeypatch.setenv(name, "")
    found = frame(ran, "evaluate_model", "evaluation_results")
    expected = evaluate_model(Dataset(frame(ran, "score", "scored_dataset"), {"outcome": "label"})).frame
    pd.testing.assert_frame_equal(found.iloc[[0]], expected)
    logged = helpers.metrics(ml, ran.child("evaluate_model").name).iloc[0]
    assert logged["Accuracy"] == pytest.approx(found["Accuracy"][0])
    assert logged["Accuracy - to compare"] == pytest.approx(found["Accuracy"][1])


def test_clusters_are_those_that_are_found_here(ran: Ran, tmp_path: Path) -> None:
    untrained = learners.k_means_clustering(number_of_centroids=3, random_number_seed=1)
    _, expected = train_clustering_model(untrained, Dataset(ROWS), "area,texture", False)
    found = frame(ran, "assign_data_to_clusters", "results_dataset")
    pd.testing.assert_frame_equal(found, expected.frame)
