"""Scored columns, metrics, folds, sweeps and importances.

Truth: scikit-learn's metrics, folds and permutation called directly; the columns' and metrics' names in
https://learn.microsoft.com/azure/machine-learning/component-reference/evaluate-model (and score-model, assign-data-to-
clusters, cross-validate-model, tune-model-hyperparameters, permutation-feature-importance).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from designer_modules import Dataset, ModuleError, learners
from designer_modules.evaluation import evaluate_model
from designer_modules.importance import permutation_feature_importance
from designer_modules.models import TrainedModel
from designer_modules.sampling import folds_of, partition_and_sample
from designer_modules.scoring import assign_data_to_clusters, score_model
from designer_modules.training import train_clustering_model, train_model
from designer_modules.tuning import tune_model_hyperparameters
from designer_modules.validation import cross_validate_model
from sklearn import metrics
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

CANCER = load_breast_cancer(as_frame=True).frame.assign(
    target=lambda frame: frame["target"].map({0: "malignant", 1: "benign"})
)[["mean texture", "mean area", "mean symmetry", "target"]]
WINE = load_wine(as_frame=True).frame
DIABETES = load_diabetes(as_frame=True, scaled=False).frame


def _classified(frame: pd.DataFrame = CANCER) -> tuple[TrainedModel, Dataset]:
    model = train_model(learners.two_class_logistic_regression(), Dataset(frame), "target")
    return model, score_model(model, Dataset(frame))


def _wines() -> tuple[TrainedModel, Dataset]:
    model = train_model(
        learners.multiclass_logistic_regression(), Dataset(WINE[["hue", "proline", "target"]]), "target"
    )
    return model, score_model(model, Dataset(WINE[["hue", "proline", "target"]]))


def _regressed() -> tuple[TrainedModel, Dataset]:
    model = train_model(learners.linear_regression(), Dataset(DIABETES), "target")
    return model, score_model(model, Dataset(DIABETES))


def _clustered() -> tuple[TrainedModel, Dataset]:
    untrained = learners.k_means_clustering(number_of_centroids=3, random_number_seed=1)
    return train_clustering_model(untrained, Dataset(WINE.drop(columns="target")), "all")


def _row(dataset: Dataset, row: int = 0) -> dict[str, Any]:
    return {str(name): value for name, value in dataset.frame.iloc[row].items()}


# Score Model, Assign Data to Clusters


def test_scores_come_after_the_columns_or_alone_with_the_label() -> None:
    names = [*CANCER.columns, "Scored Labels", "Scored Probabilities"]
    model, scored = _classified()
    assert list(scored.frame.columns) == names
    alone = score_model(model, Dataset(CANCER), append_score_columns_to_output=False)
    assert list(alone.frame.columns) == ["Scored Labels", "Scored Probabilities", "target"]
    unlabelled = score_model(model, Dataset(CANCER.drop(columns="target")), append_score_columns_to_output=False)
    assert list(unlabelled.frame.columns) == ["Scored Labels", "Scored Probabilities"]
    assert unlabelled.label == "target"


def test_each_kind_of_model_makes_the_designers_columns() -> None:
    probabilities = [f"Scored Probabilities_{one}" for one in range(3)]
    assert list(_wines()[1].frame.columns) == ["hue", "proline", "target", *probabilities, "Scored Labels"]
    assert list(_regressed()[1].frame.columns[-2:]) == ["target", "Scored Labels"]
    distances = [f"DistancesToClusterCenter no.{one}" for one in range(3)]
    assert list(_clustered()[1].frame.columns[-4:]) == ["Assignments", *distances]


def test_a_scored_dataset_says_what_its_columns_are_also_after_it_was_in_a_folder(tmp_path: Path) -> None:
    _classified()[1].save(tmp_path)
    scored = Dataset.load(tmp_path)
    assert scored.roles == {
        "target": "label",
        "Scored Labels": "scored_label",
        "Scored Probabilities": "scored_probability",
    }
    pd.testing.assert_frame_equal(evaluate_model(scored).frame, evaluate_model(_classified()[1]).frame)


def test_neither_the_dataset_nor_its_table_is_changed() -> None:
    before = CANCER.copy()
    _classified(before)
    pd.testing.assert_frame_equal(before, CANCER)


def test_what_is_scored_already_is_refused() -> None:
    model, scored = _classified()
    with pytest.raises(ModuleError, match="'Scored Labels' already"):
        score_model(model, scored)


def test_clusters_can_be_had_without_the_columns() -> None:
    model, together = _clustered()
    alone = assign_data_to_clusters(model, Dataset(WINE), check_for_append_or_uncheck_for_result_only=False)
    pd.testing.assert_frame_equal(alone.frame, together.frame[alone.frame.columns])


def test_a_label_is_no_feature_of_clusters() -> None:
    dataset = Dataset(WINE, {"target": "label"})
    model, results = train_clustering_model(learners.k_means_clustering(), dataset, "all", False)
    assert "target" not in model.features.names
    assert results.frame.columns[0] == "Assignments"
    with pytest.raises(ModuleError, match="no column to find clusters by"):
        train_clustering_model(learners.k_means_clustering(), dataset, "target")


# Evaluate Model


def test_metrics_of_two_classes_are_scikit_learns() -> None:
    _, scored = _classified()
    truth, predicted = scored.frame["target"], scored.frame["Scored Labels"]
    (true_negative, false_positive), (false_negative, true_positive) = metrics.confusion_matrix(truth, predicted)
    assert _row(evaluate_model(scored)) == pytest.approx(
        {
            "AUC": metrics.roc_auc_score(truth == "malignant", scored.frame["Scored Probabilities"]),
            "Accuracy": metrics.accuracy_score(truth, predicted),
            "Precision": metrics.precision_score(truth, predicted, pos_label="malignant"),
            "Recall": metrics.recall_score(truth, predicted, pos_label="malignant"),
            "F1": metrics.f1_score(truth, predicted, pos_label="malignant"),
            "True Negative": true_negative,
            "False Positive": false_positive,
            "False Negative": false_negative,
            "True Positive": true_positive,
        }
    )


def test_metrics_of_several_classes_are_scikit_learns() -> None:
    _, scored = _wines()
    truth, predicted = scored.frame["target"], scored.frame["Scored Labels"]
    assert _row(evaluate_model(scored)) == pytest.approx(
        {
            "Overall_Accuracy": metrics.accuracy_score(truth, predicted),
            "Micro_Precision": metrics.precision_score(truth, predicted, average="micro"),
            "Macro_Precision": metrics.precision_score(truth, predicted, average="macro"),
            "Micro_Recall": metrics.recall_score(truth, predicted, average="micro"),
            "Macro_Recall": metrics.recall_score(truth, predicted, average="macro"),
        }
    )


def test_metrics_of_a_regression_are_scikit_learns() -> None:
    _, scored = _regressed()
    truth, predicted = scored.frame["target"], scored.frame["Scored Labels"]
    found = _row(evaluate_model(scored))
    assert found == pytest.approx(
        {
            "Mean_Absolute_Error": metrics.mean_absolute_error(truth, predicted),
            "Root_Mean_Squared_Error": metrics.root_mean_squared_error(truth, predicted),
            "Relative_Squared_Error": 1 - metrics.r2_score(truth, predicted),
            "Relative_Absolute_Error": (truth - predicted).abs().sum() / (truth - truth.mean()).abs().sum(),
            "Coefficient_of_Determination": metrics.r2_score(truth, predicted),
        }
    )


def test_metrics_of_clusters_are_those_of_each_and_of_all() -> None:
    matrix = MinMaxScaler().fit_transform(WINE.drop(columns="target"))
    direct = KMeans(3, n_init=1, random_state=1).fit(matrix)
    distances = np.sort(direct.transform(matrix), axis=1)
    found = evaluate_model(_clustered()[1]).frame
    assert found["Result Description"].tolist() == [
        *(f"Evaluation For Cluster No.{number}" for number in range(3)),
        "Combined Evaluation",
    ]
    assert found["Number of Points"].tolist() == [*np.bincount(direct.labels_), len(WINE)]
    for row, part in enumerate([*(direct.labels_ == number for number in range(3)), slice(None)]):
        own, other = distances[part, 0], distances[part, 1]
        assert found.iloc[row, 1:].tolist() == pytest.approx([other.mean(), own.mean(), len(own), own.max()])


def test_two_models_are_compared_the_first_first() -> None:
    (_, good), (_, bad) = _classified(), _classified(CANCER[["mean symmetry", "target"]])
    both = evaluate_model(bad, good).frame
    pd.testing.assert_frame_equal(both.iloc[[0]], evaluate_model(bad).frame)
    pd.testing.assert_frame_equal(both.iloc[[1]].reset_index(drop=True), evaluate_model(good).frame)


def test_two_tasks_are_not_compared() -> None:
    with pytest.raises(ModuleError, match="of one task") as refused:
        evaluate_model(_classified()[1], _regressed()[1])
    assert refused.value.port == "scored_dataset_to_compare"


def test_a_dataset_that_only_has_the_columns_is_evaluated_too() -> None:
    """After Execute Python Script, say, nothing but the columns' names tells what they are."""
    for _, scored in (_classified(), _wines(), _regressed(), _clustered()):
        plain = Dataset(scored.frame, {"target": "label"})
        pd.testing.assert_frame_equal(evaluate_model(plain).frame, evaluate_model(scored).frame)


def test_rows_without_label_are_not_measured() -> None:
    _, scored = _classified()
    missing = scored.with_frame(scored.frame.assign(target=scored.frame["target"].where(scored.frame.index > 99)))
    expected = evaluate_model(scored.with_frame(scored.frame[100:])).frame
    pd.testing.assert_frame_equal(evaluate_model(missing).frame, expected)


def test_one_class_alone_has_no_curve() -> None:
    _, scored = _classified()
    benign = scored.with_frame(scored.frame[scored.frame["target"] == "benign"])
    found = _row(evaluate_model(benign))
    assert np.isnan(found["AUC"])
    assert found["True Positive"] == found["False Negative"] == 0


@pytest.mark.parametrize(
    ("frame", "roles", "told"),
    [
        (CANCER, {"target": "label"}, "'Scored Labels'"),
        (_classified()[1].frame.drop(columns="target"), {"target": "label"}, r"no label column \(it was 'target'\)"),
        (_classified()[1].frame, {}, "no label column"),
        (_classified()[1].frame.assign(target=None), {"target": "label"}, "No row has a label"),
        (_regressed()[1].frame.assign(target="far"), {"target": "label"}, "no number"),
        (_classified()[1].frame.assign(target=range(len(CANCER))), {"target": "label"}, "two-class scores have two"),
        (_clustered()[1].frame.drop(columns="DistancesToClusterCenter no.0"), {}, "no.0"),
    ],
)
def test_what_cannot_be_measured_is_refused(frame: pd.DataFrame, roles: dict[str, str], told: str) -> None:
    with pytest.raises(ModuleError, match=told) as refused:
        evaluate_model(Dataset(frame, roles))
    assert refused.value.port in ("scored_dataset", None)


def test_a_score_that_is_missing_is_told() -> None:
    _, scored = _classified()
    frame = scored.frame.copy()
    frame.loc[7, "Scored Probabilities"] = np.nan
    with pytest.raises(ModuleError, match="missing") as refused:
        evaluate_model(scored.with_frame(frame))
    assert (refused.value.column, refused.value.row) == ("Scored Probabilities", 7)


def test_classes_without_probabilities_are_evaluated_too() -> None:
    """Microsoft says: the actual label and 'Scored Labels' are enough for several classes."""
    _, scored = _wines()
    plain = Dataset(scored.frame[["target", "Scored Labels"]], {"target": "label"})
    pd.testing.assert_frame_equal(evaluate_model(plain).frame, evaluate_model(scored).frame)


def test_a_label_that_the_model_does_not_know_is_refused() -> None:
    _, scored = _classified()
    strange = scored.with_frame(scored.frame.assign(target=["other", *scored.frame["target"][1:]]))
    with pytest.raises(ModuleError, match="'other' is none of the classes that the model knows") as refused:
        evaluate_model(strange)
    assert (refused.value.column, refused.value.row) == ("target", 0)


def test_metrics_are_logged_where_a_job_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"sqlite:///{tmp_path}/runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    client = mlflow.MlflowClient(uri)
    run = client.create_run(client.create_experiment("designer", artifact_location=tmp_path.as_uri()))
    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    (_, good), (_, bad) = _classified(), _classified(CANCER[["mean symmetry", "target"]])
    found = evaluate_model(good, bad)
    logged = client.get_run(run.info.run_id).data.metrics
    assert logged == pytest.approx(
        {**_row(found), **{f"{name} - to compare": value for name, value in _row(found, 1).items()}}
    )


# Cross Validate Model


def test_cross_validation_is_scikit_learns() -> None:
    direct = cross_validate(
        make_pipeline(MinMaxScaler(), LogisticRegression(tol=1e-7, max_iter=1000)),
        CANCER.drop(columns="target"),
        CANCER["target"] == "malignant",
        cv=StratifiedKFold(10, shuffle=True, random_state=3),
        scoring=["accuracy", "roc_auc"],
    )
    model = learners.two_class_logistic_regression()
    scored, by_fold = cross_validate_model(model, Dataset(CANCER), "target", random_seed=3)
    folds = by_fold.frame.iloc[:10]
    np.testing.assert_allclose(folds["Accuracy"], direct["test_accuracy"])
    np.testing.assert_allclose(folds["AUC"], direct["test_roc_auc"])
    assert by_fold.frame["Fold Number"].tolist() == [*map(str, range(10)), "Mean", "Standard Deviation"]
    assert by_fold.frame["Accuracy"].iloc[-2:].tolist() == pytest.approx(
        [folds["Accuracy"].mean(), folds["Accuracy"].std()]
    )
    assert folds["Number of examples in fold"].sum() == len(CANCER)
    pd.testing.assert_frame_equal(scored.frame[CANCER.columns], CANCER)
    assert (
        scored.frame["Fold Number"].value_counts().sort_index().tolist() == folds["Number of examples in fold"].tolist()
    )


def test_cross_validation_of_a_regression_is_scikit_learns() -> None:
    direct = cross_validate(
        make_pipeline(MinMaxScaler(), Ridge(alpha=0.001)),
        DIABETES.drop(columns="target"),
        DIABETES["target"],
        cv=KFold(10, shuffle=True, random_state=0),
        scoring="r2",
    )
    _, by_fold = cross_validate_model(learners.linear_regression(), Dataset(DIABETES), "target")
    np.testing.assert_allclose(by_fold.frame["Coefficient_of_Determination"].iloc[:10], direct["test_score"])


def test_folds_that_were_assigned_are_used() -> None:
    assigned = partition_and_sample(
        Dataset(CANCER), partition_or_sample_mode="Assign to Folds", number_of_folds_to_split_evenly_into=4
    )
    scored, by_fold = cross_validate_model(learners.two_class_logistic_regression(), assigned, "target")
    assert by_fold.frame["Fold Number"].tolist() == ["0", "1", "2", "3", "Mean", "Standard Deviation"]
    assert (scored.frame["Fold Number"] + 1).tolist() == folds_of(assigned).tolist()


def test_a_text_that_only_one_row_has_does_not_break_the_folds() -> None:
    rare = CANCER.assign(place=["rare", *["usual"] * (len(CANCER) - 1)])
    scored, _ = cross_validate_model(learners.two_class_logistic_regression(), Dataset(rare), "target")
    assert len(scored.frame) == len(rare)


def test_too_few_rows_for_the_folds_are_refused() -> None:
    with pytest.raises(ModuleError, match="10 folds need 10 rows; of a class there are 9") as refused:
        few = pd.concat([CANCER[CANCER["target"] == "benign"], CANCER[CANCER["target"] == "malignant"][:9]])
        cross_validate_model(learners.two_class_logistic_regression(), Dataset(few), "target")
    assert refused.value.column == "target"


def test_a_value_that_cannot_be_used_is_told_by_its_row_in_the_dataset() -> None:
    wrong = CANCER.copy()
    wrong.loc[321, "mean area"] = np.nan
    with pytest.raises(ModuleError, match="missing") as refused:
        cross_validate_model(learners.two_class_logistic_regression(), Dataset(wrong), "target")
    assert (refused.value.column, refused.value.row) == ("mean area", 321)


# Tune Model Hyperparameters


def _ranged(**ranges: str) -> Any:
    return learners.two_class_logistic_regression(create_trainer_mode="Parameter Range", **ranges)


def test_a_grid_finds_what_scikit_learns_grid_finds() -> None:
    direct = GridSearchCV(
        make_pipeline(MinMaxScaler(), LogisticRegression(max_iter=1000)),
        {"logisticregression__C": [1 / 10, 1 / 0.1, 1 / 0.001], "logisticregression__tol": [1e-4, 1e-7]},
        scoring="neg_log_loss",
        cv=StratifiedKFold(3, shuffle=True, random_state=5),
    ).fit(CANCER.drop(columns="target"), CANCER["target"] == "malignant")
    results, best = tune_model_hyperparameters(
        _ranged(
            range_for_l2_regularization_weight="10; 0.1; 0.001", range_for_optimization_tolerance="0.0001; 0.0000001"
        ),
        Dataset(CANCER),
        label_column="target",
        specify_parameter_sweeping_mode="Entire grid",
        random_seed=5,
        metric_for_measuring_performance_for_classification="Average Log Loss",
    )
    assert len(results.frame) == 6
    assert results.frame["Average Log Loss"].is_monotonic_increasing
    assert results.frame["Average Log Loss"].iloc[0] == pytest.approx(-direct.best_score_)
    assert 1 / best.parameters["l2_regularization_weight"] == pytest.approx(
        direct.best_params_["logisticregression__C"]
    )
    found = score_model(best, Dataset(CANCER)).frame["Scored Probabilities"]
    np.testing.assert_allclose(found, direct.predict_proba(CANCER.drop(columns="target"))[:, 1], rtol=1e-6)


def test_a_random_sweep_tries_so_many_and_the_same_each_time() -> None:
    given: dict[str, Any] = {"label_column": "target", "maximum_number_of_runs_on_random_sweep": 4, "random_seed": 2}
    first, _ = tune_model_hyperparameters(_ranged(), Dataset(CANCER), **given)
    again, _ = tune_model_hyperparameters(_ranged(), Dataset(CANCER), **given)
    assert len(first.frame) == 4
    assert set(first.frame["l2_regularization_weight"]) <= {0.01, 0.1, 1.0}
    assert first.frame["Accuracy"].is_monotonic_decreasing
    pd.testing.assert_frame_equal(first.frame, again.frame)


def test_a_validation_dataset_is_measured_with_and_not_learned_from() -> None:
    training, validation = Dataset(CANCER[:400]), Dataset(CANCER[400:])
    results, best = tune_model_hyperparameters(
        _ranged(range_for_l2_regularization_weight="0.1", range_for_optimization_tolerance="0.0000001"),
        training,
        validation,
        "target",
        "Entire grid",
    )
    expected = evaluate_model(score_model(best, validation)).frame
    pd.testing.assert_frame_equal(results.frame[expected.columns], expected)


def test_a_regressions_error_is_best_when_smallest() -> None:
    results, best = tune_model_hyperparameters(
        learners.linear_regression(create_trainer_mode="Parameter Range", range_for_l2_regularization_weight="1; 1000"),
        Dataset(DIABETES),
        label_column="target",
        maximum_number_of_runs_on_random_sweep=8,
    )
    assert results.frame["Mean_Absolute_Error"].is_monotonic_increasing
    assert best.parameters["l2_regularization_weight"] == 1.0


def test_a_metric_that_the_task_does_not_have_is_refused() -> None:
    with pytest.raises(
        ModuleError, match="for_classification is 'AUC'; it must be one of: Accuracy, Precision, Recall"
    ):
        tune_model_hyperparameters(
            learners.multiclass_logistic_regression(),
            Dataset(WINE),
            label_column="target",
            metric_for_measuring_performance_for_classification="AUC",
        )


# Permutation Feature Importance


def test_importance_is_what_shuffling_one_column_costs() -> None:
    model, scored = _classified()
    order = np.random.RandomState(11).permutation(len(CANCER))
    base = _row(evaluate_model(scored))["Recall"]
    expected = {}
    for name in CANCER.columns[:-1]:
        shuffled = CANCER.assign(**{name: CANCER[name].to_numpy()[order]})
        expected[name] = base - _row(evaluate_model(score_model(model, Dataset(shuffled))))["Recall"]
    found = permutation_feature_importance(model, Dataset(CANCER), 11, "Recall").frame
    assert dict(zip(found["Feature"], found["Score"], strict=True)) == pytest.approx(expected)
    assert found["Score"].is_monotonic_decreasing
    assert found["Feature"].iloc[0] == "mean area"


def test_an_error_that_grows_is_important() -> None:
    model, _ = _regressed()
    found = permutation_feature_importance(model, Dataset(DIABETES), 0, "Root Mean Squared Error").frame
    assert found["Score"].iloc[0] > 1


def test_importance_of_what_has_no_label_or_metric_is_refused() -> None:
    with pytest.raises(ModuleError, match="no label to measure it by"):
        permutation_feature_importance(_clustered()[0], Dataset(WINE))
    with pytest.raises(ModuleError, match="'Accuracy'; it must be one of: Mean Absolute Error"):
        permutation_feature_importance(_regressed()[0], Dataset(DIABETES))
    with pytest.raises(ModuleError, match="no label column"):
        permutation_feature_importance(_classified()[0], Dataset(CANCER.drop(columns="target")))
