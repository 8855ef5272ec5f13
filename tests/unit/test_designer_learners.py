"""Each learner's model says what scikit-learn says that is called directly, before and after it was in a folder.

Truth: scikit-learn's own estimators, with its own one-hot encoder, on its own datasets; the Designer's parameters as
Microsoft names them: https://learn.microsoft.com/azure/machine-learning/component-reference/component-reference
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from designer_modules import Dataset, ModuleError, learners
from designer_modules.learners import LEARNERS
from designer_modules.models import CLUSTERING, MULTICLASS, REGRESSION, TWO_CLASS, TrainedModel, UntrainedModel
from designer_modules.scoring import assign_data_to_clusters, score_model
from designer_modules.threads import one_thread
from designer_modules.training import train_clustering_model, train_model
from sklearn.cluster import KMeans
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge, SGDRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LABEL = "outcome"


def _with_all_kinds(frame: pd.DataFrame, label: pd.Series, number: str) -> pd.DataFrame:
    """Return numbers, a Boolean, a text and a category, made of one of the numbers; and the label."""
    kinds = pd.qcut(frame[number], 3, labels=["low", "middle", "high"])
    made = {"is_high": kinds == "high", "text": kinds.astype(str), "category": kinds, LABEL: label}
    return frame.assign(**made)


def _two_class() -> pd.DataFrame:
    data = load_breast_cancer(as_frame=True)
    return _with_all_kinds(data.data.iloc[:, :6], data.target.map({0: "malignant", 1: "benign"}), "mean radius")


def _multiclass() -> pd.DataFrame:
    data = load_wine(as_frame=True)
    return _with_all_kinds(data.data, data.target.map(lambda number: f"class_{number}"), "proline")


def _regression() -> pd.DataFrame:
    data = load_diabetes(as_frame=True, scaled=False)
    return _with_all_kinds(data.data, data.target, "bmi")


DATA = {TWO_CLASS: _two_class(), MULTICLASS: _multiclass(), REGRESSION: _regression(), CLUSTERING: _multiclass()}
SEED = 7


def _scaled(estimator: Any) -> Any:
    return make_pipeline(MinMaxScaler(), estimator)


def _logistic() -> Any:
    return _scaled(LogisticRegression(C=1.0, tol=1e-7, max_iter=1000))


def _forest(kind: Any) -> Any:
    return kind(n_estimators=8, max_depth=32, min_samples_leaf=1, random_state=SEED)


def _boosted(kind: Any) -> Any:
    return kind(max_leaf_nodes=20, min_samples_leaf=10, learning_rate=0.2, max_iter=100, early_stopping=False)


def _network(kind: Any) -> Any:
    common: dict[str, Any] = {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1, "momentum": 0.0}
    return _scaled(kind(hidden_layer_sizes=(100,), max_iter=100, random_state=SEED, **common))


# What each learner is with the Designer's defaults, as one would write it with scikit-learn.
DIRECT: dict[str, Callable[[], Any]] = {
    "two_class_logistic_regression": _logistic,
    "multiclass_logistic_regression": _logistic,
    "two_class_decision_forest": lambda: _forest(RandomForestClassifier),
    "multiclass_decision_forest": lambda: _forest(RandomForestClassifier),
    "decision_forest_regression": lambda: _forest(RandomForestRegressor),
    "two_class_boosted_decision_tree": lambda: _boosted(HistGradientBoostingClassifier),
    "multiclass_boosted_decision_tree": lambda: _boosted(HistGradientBoostingClassifier),
    "boosted_decision_tree_regression": lambda: _boosted(HistGradientBoostingRegressor),
    "two_class_neural_network": lambda: _network(MLPClassifier),
    "multiclass_neural_network": lambda: _network(MLPClassifier),
    "neural_network_regression": lambda: TransformedTargetRegressor(
        _network(MLPRegressor), transformer=StandardScaler()
    ),
    "linear_regression": lambda: _scaled(Ridge(alpha=0.001)),
    "k_means_clustering": lambda: _scaled(KMeans(2, n_init=1, random_state=SEED)),
}
each_learner = pytest.mark.parametrize("name", LEARNERS)


def _untrained(name: str, **parameters: Any) -> UntrainedModel:
    model = getattr(learners, name)(random_number_seed=SEED, **parameters)
    assert isinstance(model, UntrainedModel)
    return model


def _trained(name: str, **parameters: Any) -> TrainedModel:
    dataset = Dataset(DATA[LEARNERS[name].task])
    if LEARNERS[name].task == CLUSTERING:
        return train_clustering_model(_untrained(name, **parameters), dataset, f"-{LABEL}")[0]
    return train_model(_untrained(name, **parameters), dataset, LABEL)


def _scored(model: TrainedModel, frame: pd.DataFrame) -> pd.DataFrame:
    ask = assign_data_to_clusters if model.task == CLUSTERING else score_model
    return ask(model, Dataset(frame)).frame


def _direct(estimator: Any, frame: pd.DataFrame) -> Any:
    numbers = [name for name in frame.columns if name not in ("text", "category", LABEL)]
    # The categories of a column that has declared some are known as declared; those of a text, in order.
    categories = [sorted(frame["text"].unique()), ["low", "middle", "high"]]
    encoder = OneHotEncoder(categories=categories, sparse_output=False)
    columns = make_column_transformer(("passthrough", numbers), (encoder, ["text", "category"]))
    with one_thread():
        return make_pipeline(columns, estimator).fit(frame.drop(columns=LABEL), frame[LABEL])


def test_all_learners_are_compared() -> None:
    assert DIRECT.keys() == LEARNERS.keys()


@each_learner
def test_it_says_what_scikit_learn_says(name: str) -> None:
    frame = DATA[LEARNERS[name].task]
    direct = _direct(DIRECT[name](), frame)
    found = _scored(_trained(name), frame)
    features = frame.drop(columns=LABEL)
    if LEARNERS[name].task == CLUSTERING:
        assert found["Assignments"].tolist() == direct.predict(features).tolist()
        distances = found[["DistancesToClusterCenter no.0", "DistancesToClusterCenter no.1"]]
        np.testing.assert_allclose(distances, direct.transform(features), rtol=1e-9)
    elif LEARNERS[name].task == REGRESSION:
        np.testing.assert_allclose(found["Scored Labels"], direct.predict(features), rtol=1e-9)
    else:
        assert found["Scored Labels"].tolist() == direct.predict(features).tolist()
        positive_or_all = (
            ["Scored Probabilities"]
            if LEARNERS[name].task == TWO_CLASS
            else [f"Scored Probabilities_{one}" for one in direct.classes_]
        )
        expected = direct.predict_proba(features)[:, -len(positive_or_all) :]
        np.testing.assert_allclose(found[positive_or_all], expected, rtol=1e-9)


@each_learner
def test_it_says_the_same_after_it_was_in_a_folder(name: str, tmp_path: Path) -> None:
    untrained = _untrained(name)
    untrained.save(tmp_path / "untrained")
    assert UntrainedModel.load(tmp_path / "untrained") == untrained
    model = _trained(name)
    model.save(tmp_path / "trained")
    loaded = TrainedModel.load(tmp_path / "trained")
    frame = DATA[model.task]
    pd.testing.assert_frame_equal(_scored(loaded, frame), _scored(model, frame))


@each_learner
def test_it_says_the_same_of_one_row_without_label(name: str) -> None:
    """A web service asks like this; its columns may be in another order, and have others beside them."""
    model = _trained(name)
    together = _scored(model, DATA[model.task])
    rows = DATA[model.task].drop(columns=LABEL)[::-1].iloc[:, ::-1].assign(other="?")
    for row in (0, 17, 101):
        alone = _scored(model, rows.loc[[row]])
        names = [name for name in alone.columns if name in together.columns]
        pd.testing.assert_frame_equal(alone[names], together.loc[[row], names], rtol=1e-9)


@each_learner
def test_the_seed_makes_it_the_same_each_time(name: str) -> None:
    frame = DATA[LEARNERS[name].task]
    pd.testing.assert_frame_equal(_scored(_trained(name), frame), _scored(_trained(name), frame))


@pytest.mark.parametrize(
    ("name", "parameters", "direct"),
    [
        (
            "two_class_logistic_regression",
            {"l1_regularization_weight": 1.0, "l2_regularization_weight": 1.0, "optimization_tolerance": 1e-4},
            _scaled(LogisticRegression(C=0.5, l1_ratio=0.5, solver="saga", max_iter=1000, random_state=SEED)),
        ),
        (
            "two_class_logistic_regression",
            {"l2_regularization_weight": 0.0, "optimization_tolerance": 1e-3},
            _scaled(LogisticRegression(C=np.inf, tol=1e-3, max_iter=1000)),
        ),
        (
            "multiclass_decision_forest",
            {
                "resampling_method": "Replicate",
                "number_of_decision_trees": 3,
                "maximum_depth_of_the_decision_trees": 2,
                "minimum_number_of_samples_per_leaf_node": 4,
            },
            RandomForestClassifier(3, max_depth=2, min_samples_leaf=4, bootstrap=False, random_state=SEED),
        ),
        (
            "boosted_decision_tree_regression",
            {
                "maximum_number_of_leaves_per_tree": 4,
                "minimum_number_of_samples_per_leaf_node": 5,
                "learning_rate": 0.1,
                "number_of_trees_constructed": 7,
            },
            HistGradientBoostingRegressor(
                max_leaf_nodes=4, min_samples_leaf=5, learning_rate=0.1, max_iter=7, early_stopping=False
            ),
        ),
        (
            "two_class_neural_network",
            {
                "number_of_hidden_nodes": 4,
                "learning_rate": 0.3,
                "number_of_learning_iterations": 9,
                "the_momentum": 0.5,
                "shuffle_examples": False,
            },
            _scaled(
                MLPClassifier(
                    (4,),
                    solver="sgd",
                    learning_rate="adaptive",
                    learning_rate_init=0.3,
                    max_iter=9,
                    momentum=0.5,
                    shuffle=False,
                    random_state=SEED,
                )
            ),
        ),
        (
            "linear_regression",
            {"l2_regularization_weight": 2.0, "include_intercept_term": False, "normalize_features": False},
            Ridge(alpha=2.0, fit_intercept=False),
        ),
        (
            "linear_regression",
            {"solution_method": "Online Gradient Descent", "decrease_learning_rate": False, "learning_rate": 0.01},
            _scaled(
                SGDRegressor(alpha=0.001, learning_rate="constant", eta0=0.01, max_iter=10, tol=None, random_state=SEED)
            ),
        ),
    ],
)
def test_each_parameter_means_scikit_learns(name: str, parameters: dict[str, Any], direct: Any) -> None:
    frame = DATA[LEARNERS[name].task]
    expected = _direct(direct, frame)
    features = frame.drop(columns=LABEL)
    found = _scored(_trained(name, **parameters), frame)
    if LEARNERS[name].task == REGRESSION:
        np.testing.assert_allclose(found["Scored Labels"], expected.predict(features), rtol=1e-9)
        return
    last = found["Scored Probabilities" if LEARNERS[name].task == TWO_CLASS else "Scored Probabilities_class_2"]
    np.testing.assert_allclose(last, expected.predict_proba(features)[:, -1], rtol=1e-9)


@pytest.mark.parametrize(("initialization", "init"), [("First N", "rows"), ("Random", "random")])
def test_k_means_begins_where_it_is_told(initialization: str, init: str, tmp_path: Path) -> None:
    matrix = DATA[CLUSTERING][["alcohol", "proline"]]
    start: Any = MinMaxScaler().fit_transform(matrix)[:4] if init == "rows" else init
    direct = _scaled(KMeans(4, init=start, n_init=1 if init == "rows" else 10, random_state=SEED)).fit(matrix)
    untrained = _untrained("k_means_clustering", number_of_centroids=4, initialization=initialization)
    model, results = train_clustering_model(untrained, Dataset(matrix), "all")
    assert results.frame["Assignments"].tolist() == direct.predict(matrix).tolist()
    model.save(tmp_path)
    assert _scored(TrainedModel.load(tmp_path), matrix)["Assignments"].tolist() == direct.predict(matrix).tolist()


def test_a_single_parameter_is_trained_with_and_its_ranges_are_the_designers() -> None:
    model = learners.two_class_logistic_regression(
        l2_regularization_weight=0.5, range_for_l2_regularization_weight="7; 8"
    )
    assert model.parameters["l2_regularization_weight"] == 0.5
    assert model.ranges["l2_regularization_weight"] == [0.01, 0.1, 1.0]


def test_of_a_range_the_default_is_trained_with() -> None:
    """The note in https://learn.microsoft.com/azure/machine-learning/component-reference/two-class-logistic-regression."""
    model = learners.two_class_boosted_decision_tree(
        create_trainer_mode="Parameter Range",
        number_of_trees_constructed=3,
        range_for_number_of_trees_constructed="5; 6",
        random_number_seed=4,
    )
    assert model.parameters["number_of_trees_constructed"] == 100
    assert model.parameters["random_number_seed"] == 4
    assert model.ranges["number_of_trees_constructed"] == [5, 6]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"create_trainer_mode": "Both"}, "create_trainer_mode is 'Both'"),
        (
            {"create_trainer_mode": "Parameter Range", "range_for_learning_rate": " ; "},
            "range of learning_rate is empty",
        ),
        ({"create_trainer_mode": "Parameter Range", "range_for_learning_rate": "0.1; fast"}, "'fast' is no number"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ModuleError, match=told):
        learners.two_class_boosted_decision_tree(**given)


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("decision_forest_regression", {"resampling_method": "Voting"}, "resampling_method is 'Voting'"),
        ("linear_regression", {"solution_method": "Guess"}, "solution_method is 'Guess'"),
        ("two_class_decision_forest", {"number_of_decision_trees": 0}, "n_estimators"),
    ],
)
def test_what_an_estimator_cannot_be_made_of_is_refused(name: str, given: dict[str, Any], told: str) -> None:
    with pytest.raises(ModuleError, match=told):
        _trained(name, **given)
