"""What a model needs of its data, and what it refuses; a model's folder, and whose it is.

Truth: the issue's rule that nothing becomes a zero silently; skops' own check of types
(https://skops.readthedocs.io/en/stable/persistence.html).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from designer_modules import Dataset, ModuleError, learners
from designer_modules.features import MOST_CATEGORIES, Features
from designer_modules.models import TrainedModel, UntrainedModel
from designer_modules.scoring import ROWS_AT_ONCE, assign_data_to_clusters, score_model
from designer_modules.training import train_clustering_model, train_model
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression

ROWS = 60
NUMBERS = np.arange(ROWS, dtype=float)
TRAINING = pd.DataFrame(
    {
        "distance": NUMBERS,
        "stops": np.arange(ROWS) % 4,
        "is_weekend": NUMBERS % 7 > 4,
        "carrier": np.where(NUMBERS % 3 == 0, "AA", "UA"),
        "month": pd.Categorical(np.arange(ROWS) % 2 + 6, categories=[6, 7, 8]),
        "late": np.where(NUMBERS > 30, "yes", "no"),
    }
)
FEATURES = ["distance", "stops", "is_weekend", "carrier", "month"]
ROW = TRAINING[FEATURES].iloc[[40]]


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return train_model(learners.two_class_logistic_regression(), Dataset(TRAINING), "late")


@pytest.fixture
def dump() -> Callable[[Any, Path], None]:
    """skops' own; not imported by each worker that collects tests: it looks through all that is imported, for 3 s."""
    from skops.io import dump

    return dump


def test_features_become_the_matrix_that_one_would_write_by_hand() -> None:
    matrix = Features.of(TRAINING, FEATURES).matrix(TRAINING.iloc[[0, 6]])
    assert matrix.tolist() == [
        # distance, stops, is_weekend, carrier AA or UA, month 6, 7 or 8
        [0, 0, 0, 1, 0, 1, 0, 0],
        [6, 2, 1, 1, 0, 1, 0, 0],
    ]


def test_a_category_that_is_declared_is_known_though_no_row_has_it(model: TrainedModel) -> None:
    assert len(score_model(model, Dataset(ROW.assign(month=8))).frame) == 1


@pytest.mark.parametrize(
    ("change", "column", "row", "told"),
    [
        ({"distance": [1.0, np.nan]}, "distance", 1, "missing"),
        ({"distance": [1.0, np.inf]}, "distance", 1, "inf is not finite"),
        ({"distance": [-np.inf, 1.0]}, "distance", 0, "-inf is not finite"),
        ({"distance": ["far", "near"]}, "distance", 0, "'far' is no number"),
        ({"distance": [2.0, "far"]}, "distance", 1, "'far' is no number"),
        ({"distance": ["12", "13"]}, "distance", 0, "'12' is no number"),
        ({"distance": [True, False]}, "distance", 0, "True is no number"),
        ({"stops": [None, 1]}, "stops", 0, "missing"),
        ({"stops": pd.array([1, None], dtype="Int64")}, "stops", 1, "missing"),
        ({"is_weekend": [True, None]}, "is_weekend", 1, "missing"),
        ({"is_weekend": [1, 0]}, "is_weekend", 0, "1 is no Boolean"),
        ({"is_weekend": ["yes", "no"]}, "is_weekend", 0, "'yes' is no Boolean"),
        ({"carrier": ["AA", "ZZ"]}, "carrier", 1, "'ZZ' is a category that .* knows: 'AA', 'UA'"),
        ({"carrier": ["AA", None]}, "carrier", 1, "missing"),
        ({"carrier": [3, "AA"]}, "carrier", 0, "3 is a category"),
        ({"carrier": ["AA", ["UA"]]}, "carrier", 1, "'UA'.* is a category"),
        ({"month": [6, 12]}, "month", 1, "12 is a category"),
        ({"month": ["6", 6]}, "month", 0, "'6' is a category"),
    ],
)
def test_what_is_no_feature_is_refused(
    model: TrainedModel, change: dict[str, Any], column: str, row: int, told: str
) -> None:
    rows = pd.concat([ROW, ROW], ignore_index=True).assign(**change)
    with pytest.raises(ModuleError, match=told) as refused:
        score_model(model, Dataset(rows))
    assert (refused.value.column, refused.value.row) == (column, row)


@pytest.mark.parametrize("column", FEATURES)
def test_a_column_that_is_not_there_is_named(model: TrainedModel, column: str) -> None:
    with pytest.raises(ModuleError, match=f"trained with '{column}'") as refused:
        score_model(model, Dataset(ROW.drop(columns=column)))
    assert (refused.value.code, refused.value.column) == (1, column)


def test_no_row_at_all_is_refused(model: TrainedModel) -> None:
    with pytest.raises(ModuleError, match="no row"):
        score_model(model, Dataset(ROW.iloc[:0]))


def test_the_row_is_the_datasets_also_in_many_rows(model: TrainedModel) -> None:
    rows = pd.concat([ROW] * (2 * ROWS_AT_ONCE + 5), ignore_index=True)
    wrong = 2 * ROWS_AT_ONCE + 3
    rows.loc[wrong, "distance"] = np.nan
    with pytest.raises(ModuleError, match="missing") as refused:
        score_model(model, Dataset(rows))
    assert refused.value.row == wrong


def test_a_hundred_thousand_rows_at_once_say_what_each_says_alone(model: TrainedModel) -> None:
    many = pd.concat([TRAINING] * 1667, ignore_index=True)
    assert len(many) > 100_000
    found = score_model(model, Dataset(many)).frame
    few = score_model(model, Dataset(TRAINING)).frame
    pd.testing.assert_frame_equal(found.tail(ROWS).reset_index(drop=True), few)


def test_rows_without_label_are_not_learned_from() -> None:
    """As Train Model says: https://learn.microsoft.com/azure/machine-learning/component-reference/train-model."""
    unlabelled = TRAINING.assign(late=TRAINING["late"].where(TRAINING.index % 5 > 0))
    found = train_model(learners.two_class_logistic_regression(), Dataset(unlabelled), "late")
    expected = train_model(learners.two_class_logistic_regression(), Dataset(unlabelled.dropna()), "late")
    pd.testing.assert_frame_equal(
        score_model(found, Dataset(TRAINING)).frame, score_model(expected, Dataset(TRAINING)).frame
    )


def test_a_row_that_cannot_be_learned_from_is_told_by_its_place_in_the_dataset() -> None:
    rows = TRAINING.assign(late=TRAINING["late"].where(TRAINING.index % 5 > 0), distance=NUMBERS)
    rows.loc[13, "distance"] = np.nan
    with pytest.raises(ModuleError, match="missing") as refused:
        train_model(learners.two_class_logistic_regression(), Dataset(rows), "late")
    assert (refused.value.column, refused.value.row) == ("distance", 13)


def test_columns_with_a_role_are_no_features() -> None:
    dataset = Dataset(TRAINING, {"late": "label", "stops": "clear_feature"})
    model = train_model(learners.two_class_logistic_regression(), dataset)
    assert (model.label, model.features.names) == ("late", ["distance", "is_weekend", "carrier", "month"])


@pytest.mark.parametrize(
    ("frame", "label", "told"),
    [
        (TRAINING, "delay", "'delay' is not there"),
        (TRAINING, "", "No label column"),
        (TRAINING, "numeric", "must select one column"),
        (TRAINING, "stops", "exactly two values; it has 4"),
        (TRAINING.assign(late="no"), "late", "exactly two values; it has 1: 'no'"),
        (TRAINING.assign(late=None), "late", "No row has a label"),
        (TRAINING.assign(late=NUMBERS / 7), "late", "real numbers"),
        (
            TRAINING.assign(late=[pd.Timestamp("2013-01-01"), pd.Timestamp("2013-01-02")] * 30),
            "late",
            "these are times",
        ),
        (TRAINING[["late"]], "late", "no column beside the label"),
        (TRAINING.assign(when=pd.Timestamp("2013-01-01")), "late", "DateTime"),
        (TRAINING.assign(late=["no", 1] * 30).astype({"late": object}), "carrier", "several types"),
        (
            pd.DataFrame({"id": [f"n{one}" for one in range(1001)], "late": ["no", *["yes"] * 1000]}),
            "late",
            f"1001 different values, more than {MOST_CATEGORIES}",
        ),
    ],
)
def test_what_a_classifier_cannot_learn_is_refused(frame: pd.DataFrame, label: str, told: str) -> None:
    with pytest.raises(ModuleError, match=told):
        train_model(learners.two_class_logistic_regression(), Dataset(frame), label)


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("carrier", "holds text|no number"),
        ("is_weekend", "not a Boolean"),
        ("infinite", r"infinite \(inf\).*row 1"),
    ],
)
def test_what_a_regression_cannot_learn_is_refused(label: str, told: str) -> None:
    frame = TRAINING.assign(infinite=[1.0, np.inf] * 30)
    with pytest.raises(ModuleError, match=told) as refused:
        train_model(learners.linear_regression(), Dataset(frame), label)
    assert refused.value.column == label


def test_the_classes_are_the_labels_values_whatever_their_type() -> None:
    for values in ([False, True], [3, 11], [0.0, 1.0], ["a", "b"]):
        frame = TRAINING.assign(late=np.array(values)[(NUMBERS > 30).astype(int)])
        model = train_model(learners.two_class_logistic_regression(), Dataset(frame), "late")
        scored = score_model(model, Dataset(frame)).frame
        assert model.classes == tuple(values)
        assert scored["Scored Labels"].dtype == frame["late"].dtype
        assert ((scored["Scored Probabilities"] > 0.5) == (scored["Scored Labels"] == values[1])).all()


def test_each_model_is_trained_and_asked_by_its_own_components(model: TrainedModel) -> None:
    numbers = Dataset(TRAINING[["distance", "stops"]])
    clusters, _ = train_clustering_model(learners.k_means_clustering(), numbers, "all")
    for refused in (
        lambda: train_model(learners.k_means_clustering(), Dataset(TRAINING), "late"),
        lambda: train_clustering_model(learners.linear_regression(), numbers, "all"),
        lambda: score_model(clusters, numbers),
        lambda: assign_data_to_clusters(model, Dataset(TRAINING)),
    ):
        with pytest.raises(ModuleError, match=r"Clusters|Clustering|Train Model|Score Model"):
            refused()


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, model: TrainedModel) -> None:
    for kind in (UntrainedModel, TrainedModel):
        with pytest.raises(ModuleError, match="Error 0159"):
            kind.load(tmp_path)
    Dataset(TRAINING).save(tmp_path)
    with pytest.raises(ModuleError, match="Error 0159"):
        TrainedModel.load(tmp_path)
    learners.linear_regression().save(tmp_path)
    with pytest.raises(ModuleError, match="Error 0159"):
        TrainedModel.load(tmp_path)
    (tmp_path / "model.json").write_text('{"name": "another\'s"}')
    with pytest.raises(ModuleError, match="Error 0159"):
        TrainedModel.load(tmp_path)
    model.save(tmp_path)
    (tmp_path / "model.skops").write_bytes(b"no archive")
    with pytest.raises(ModuleError, match="Error 0082"):
        TrainedModel.load(tmp_path)


class Stranger(LogisticRegression):
    """An estimator that is none of ours."""


def test_a_model_file_with_another_type_is_not_read(tmp_path: Path, model: TrainedModel, dump: Any) -> None:
    model.save(tmp_path)
    dump(Stranger().fit([[0], [1]], [0, 1]), tmp_path / "model.skops")
    with pytest.raises(ModuleError, match=r"test_designer_models\.Stranger") as refused:
        TrainedModel.load(tmp_path)
    assert refused.value.code == 82


def test_a_model_file_with_a_function_of_the_system_is_not_read(tmp_path: Path, model: TrainedModel, dump: Any) -> None:
    model.save(tmp_path)
    clusters = KMeans(2, init=_dangerous)
    dump(clusters, tmp_path / "model.skops")
    with pytest.raises(ModuleError, match="_dangerous"):
        TrainedModel.load(tmp_path)


def _dangerous(*_: Any) -> None:
    raise AssertionError("A model's file has run code.")


def test_a_model_names_its_columns_where_people_can_read_them(tmp_path: Path, model: TrainedModel) -> None:
    model.save(tmp_path)
    described = json.loads((tmp_path / "model.json").read_text())
    assert described["task"] == "two-class classification"
    assert described["classes"] == ["no", "yes"]
    assert [one["name"] for one in described["features"]] == FEATURES


def test_a_step_imports_only_what_it_needs(tmp_path: Path, model: TrainedModel) -> None:
    """An untrained model needs no scikit-learn, and a model's file no PyTorch, which skops would import on its way."""
    model.save(tmp_path)
    program = f"""
import sys
from pathlib import Path
from designer_modules.learners import two_class_logistic_regression
two_class_logistic_regression().save(Path({str(tmp_path / "untrained")!r}))
print(sorted({{"sklearn", "skops", "mlflow", "torch"}} & set(sys.modules)))
from designer_modules.models import TrainedModel
TrainedModel.load(Path({str(tmp_path)!r}))
print(sorted({{"mlflow", "torch", "dask", "duckdb"}} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout == "[]\n[]\n"
