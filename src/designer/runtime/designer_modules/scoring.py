"""Components that ask a trained model. The names of the columns they make are the Designer's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from .dataset import LABEL, Dataset
from .errors import ModuleError
from .models import CLUSTERING, MULTICLASS, REGRESSION, TWO_CLASS, TrainedModel
from .threads import one_thread

SCORED_LABELS, SCORED_PROBABILITIES = "Scored Labels", "Scored Probabilities"
ASSIGNMENTS, DISTANCE = "Assignments", "DistancesToClusterCenter no."
SCORED_LABEL, SCORED_PROBABILITY, ASSIGNMENT, CLUSTER_DISTANCE = (  # roles of these columns
    "scored_label",
    "scored_probability",
    "assignment",
    "cluster_distance",
)
SCORED_BY = "scored_by"  # the property of a scored dataset: the model's task, label and classes
ROWS_AT_ONCE = 20_000  # so many become a matrix at a time: memory stays bounded, whatever the number of rows

Scores = dict[str, Any]  # the columns that a model makes, by name, in order


def score_model(trained_model: TrainedModel, dataset: Dataset, append_score_columns_to_output: bool = True) -> Dataset:
    """Predict with a classification or regression model.

    Args:
        trained_model: the model.
        dataset: the rows; it must have the columns that the model was trained with; the label need not be there.
        append_score_columns_to_output: whether the result has the dataset's columns, too, or only scores and label.

    Raises:
        ModuleError: a column or a value is not what the model was trained with.
    """
    if trained_model.task == CLUSTERING:
        raise ModuleError(13, "A clustering model is asked by Assign Data to Clusters.", port="trained_model")
    return scored(trained_model, dataset, append_score_columns_to_output)


def assign_data_to_clusters(
    trained_model: TrainedModel, dataset: Dataset, check_for_append_or_uncheck_for_result_only: bool = True
) -> Dataset:
    """Say for each row which cluster is nearest, and how far the center of each is.

    Args:
        trained_model: a clustering model.
        dataset: the rows; it must have the columns that the model was trained with.
        check_for_append_or_uncheck_for_result_only: whether the result has the dataset's columns, too.

    Raises:
        ModuleError: a column or a value is not what the model was trained with.
    """
    if trained_model.task != CLUSTERING:
        raise ModuleError(13, f"A model for {trained_model.task} is asked by Score Model.", port="trained_model")
    return scored(trained_model, dataset, check_for_append_or_uncheck_for_result_only)


def scored(model: TrainedModel, dataset: Dataset, append: bool) -> Dataset:
    """Return what a model says of each row of a dataset, with or without the dataset's own columns."""
    scores = scores_of(model, dataset.frame)
    frame = _appended(dataset.frame, scores) if append else _alone(model, dataset.frame, scores)
    roles = {name: role for name, role in dataset.roles.items() if role != LABEL or model.label is None}
    if model.label is not None:
        roles[model.label] = LABEL
    roles |= {name: _role(name) for name in scores}
    scored_by = {"task": model.task, "label": model.label, "classes": list(model.classes)}
    return Dataset(frame, roles, {**dataset.properties, SCORED_BY: scored_by})


def scores_of(model: TrainedModel, frame: pd.DataFrame) -> Scores:
    """Return the columns that a model makes of a table."""
    if frame.empty:
        raise ModuleError(21, "There is no row to score.", port="dataset")
    if len(frame) <= ROWS_AT_ONCE:
        return _asked(model, model.features.matrix(frame))
    rows = range(len(frame))
    groups = [rows[start : start + ROWS_AT_ONCE] for start in rows[::ROWS_AT_ONCE]]
    parts = [_asked(model, model.features.matrix(frame.iloc[group], group)) for group in groups]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _asked(model: TrainedModel, matrix: np.ndarray) -> Scores:
    """Ask the model, without scikit-learn's checks of what is checked: a third of its time for one row."""
    from sklearn import config_context

    with one_thread(), config_context(assume_finite=True, skip_parameter_validation=True):
        return _OF_TASK[model.task](model, matrix)


def _two_class(model: TrainedModel, matrix: np.ndarray) -> Scores:
    probabilities = model.estimator.predict_proba(matrix)
    return {SCORED_LABELS: model.labels(probabilities.argmax(axis=1)), SCORED_PROBABILITIES: probabilities[:, 1]}


def _multiclass(model: TrainedModel, matrix: np.ndarray) -> Scores:
    probabilities = model.estimator.predict_proba(matrix)
    columns = {f"{SCORED_PROBABILITIES}_{one}": probabilities[:, number] for number, one in enumerate(model.classes)}
    return {**columns, SCORED_LABELS: model.labels(probabilities.argmax(axis=1))}


def _regression(model: TrainedModel, matrix: np.ndarray) -> Scores:
    return {SCORED_LABELS: model.estimator.predict(matrix)}


def _clustering(model: TrainedModel, matrix: np.ndarray) -> Scores:
    distances = model.estimator.transform(matrix)
    columns = {f"{DISTANCE}{number}": column for number, column in enumerate(distances.T)}
    return {ASSIGNMENTS: distances.argmin(axis=1), **columns}


_OF_TASK: Mapping[str, Callable[[TrainedModel, np.ndarray], Scores]] = {
    TWO_CLASS: _two_class,
    MULTICLASS: _multiclass,
    REGRESSION: _regression,
    CLUSTERING: _clustering,
}


def _appended(frame: pd.DataFrame, scores: Scores) -> pd.DataFrame:
    for name in scores:
        if name in frame.columns:
            reason = f"The dataset has a column {name!r} already; take it out before it is scored again."
            raise ModuleError(28, reason, column=name)
    return frame.assign(**scores)


def _alone(model: TrainedModel, frame: pd.DataFrame, scores: Scores) -> pd.DataFrame:
    known = [model.label] if model.label in frame.columns else []
    return pd.DataFrame(scores | {name: frame[name] for name in known}, index=frame.index)


def _role(name: str) -> str:
    if name.startswith(SCORED_PROBABILITIES):
        return SCORED_PROBABILITY
    if name.startswith(DISTANCE):
        return CLUSTER_DISTANCE
    return ASSIGNMENT if name == ASSIGNMENTS else SCORED_LABEL
