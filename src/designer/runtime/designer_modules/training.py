"""Components that train models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from . import columns
from .dataset import Dataset, type_of
from .errors import ModuleError
from .features import Features, rows_in_dataset
from .learners import LEARNERS
from .models import CLASSIFICATION, CLUSTERING, TWO_CLASS, TrainedModel, UntrainedModel, in_order, numbers_of
from .scoring import scored
from .threads import one_thread
from .values import numbers


def train_model(untrained_model: UntrainedModel, dataset: Dataset, label_column: str = "") -> TrainedModel:
    """Train a classification or regression model: with every column that has no role. Rows without label are ignored.

    Args:
        untrained_model: a learner with its parameters.
        dataset: the labelled rows.
        label_column: the column to predict; by default the one that the dataset says is the label.

    Raises:
        ModuleError: the label or a feature cannot be used, or scikit-learn refuses the parameters.
    """
    label = label_of(dataset, label_column)
    rows = np.flatnonzero(dataset.frame[label].notna())
    labelled = dataset.frame.iloc[rows]
    classes, target = _classes_and_target(labelled[label], supervised_task(untrained_model), rows)
    return fitted(untrained_model, labelled, feature_names(dataset, label), rows, label, classes, target)


def train_clustering_model(
    untrained_model: UntrainedModel,
    dataset: Dataset,
    column_set: str,
    check_for_append_or_uncheck_for_result_only: bool = True,
) -> tuple[TrainedModel, Dataset]:
    """Find clusters, and assign the rows to them.

    Args:
        untrained_model: a clustering learner with its parameters.
        dataset: the rows; a label is not looked at.
        column_set: the columns to find clusters by.
        check_for_append_or_uncheck_for_result_only: whether the assignments come with the dataset's columns.

    Raises:
        ModuleError: a column cannot be used, or scikit-learn refuses the parameters.
    """
    if LEARNERS[untrained_model.learner].task != CLUSTERING:
        raise ModuleError(13, f"{untrained_model.learner} is trained by Train Model.", port="untrained_model")
    names = [name for name in columns.select(dataset, column_set) if name != dataset.label]
    if not names:
        raise ModuleError(47, f"{column_set!r} selects no column to find clusters by.", port="dataset")
    model = fitted(untrained_model, dataset.frame, names)
    return model, scored(model, dataset, check_for_append_or_uncheck_for_result_only)


def label_of(dataset: Dataset, label_column: str) -> str:
    """Return the name of the column that is to be predicted.

    Raises:
        ModuleError: none is named, several are, or it is not there.
    """
    if not label_column:
        if dataset.label is None:
            raise ModuleError(24, "No label column is named, and the dataset has none.", port="dataset")
        label_column = dataset.label
    return columns.one(dataset, label_column, "label_column")


def feature_names(dataset: Dataset, label: str) -> list[str]:
    """Return the columns that a model learns from: those without a role, but the label."""
    names = [str(name) for name in dataset.frame.columns if name not in dataset.roles and name != label]
    if not names:
        raise ModuleError(47, f"There is no column beside the label {label!r} to learn from.", port="dataset")
    return names


def supervised_task(untrained_model: UntrainedModel) -> str:
    """Return what a model learns to predict.

    Raises:
        ModuleError: it predicts nothing, but finds clusters.
    """
    task = LEARNERS[untrained_model.learner].task
    if task == CLUSTERING:
        raise ModuleError(13, "A clustering model is trained by Train Clustering Model.", port="untrained_model")
    return task


def _classes_and_target(column: pd.Series, task: str, rows: np.ndarray) -> tuple[tuple[Any, ...], np.ndarray]:
    if column.empty:
        raise ModuleError(134, "No row has a label.", column=str(column.name))
    if task in CLASSIFICATION:
        classes = _classes(column, task)
        return classes, numbers_of(column.tolist(), classes)
    if type_of(column) == "Boolean":
        raise ModuleError(23, "A regression's label must be a number, not a Boolean.", column=str(column.name))
    with rows_in_dataset(rows):
        return (), numbers(column)


def _classes(column: pd.Series, task: str) -> tuple[Any, ...]:
    found, name, kind = in_order(column.tolist()), str(column.name), type_of(column)
    if kind == "DateTime" or (kind == "Double" and not all(value.is_integer() for value in found)):
        what = "times" if kind == "DateTime" else "real numbers"
        raise ModuleError(23, f"A classification's label must be categories; these are {what}.", column=name)
    if len(found) < 2 or (task == TWO_CLASS and len(found) > 2):
        wanted = "exactly two" if task == TWO_CLASS else "at least two"
        values = ", ".join(repr(value) for value in found[:5]) + (" ..." if len(found) > 5 else "")
        raise ModuleError(23, f"The label must have {wanted} values; it has {len(found)}: {values}.", column=name)
    return tuple(found)


def fitted(
    model: UntrainedModel,
    frame: pd.DataFrame,
    names: list[str],
    rows: np.ndarray | None = None,
    label: str | None = None,
    classes: tuple[Any, ...] = (),
    target: np.ndarray | None = None,
) -> TrainedModel:
    """Train a model with columns of a table.

    Args:
        model: the learner with its parameters.
        frame: the rows.
        names: the columns to learn from.
        rows: the numbers of the rows in the dataset that they are part of.
        label: the column that ``target`` is of.
        classes: the values that it has, for a classification.
        target: what to predict: the classes' numbers, or the label itself.

    Raises:
        ModuleError: a value cannot be used, or scikit-learn refuses the parameters or the data.
    """
    features = Features.of(frame, names)
    learner = LEARNERS[model.learner]
    matrix = features.matrix(frame, rows)
    estimator = learner.build(model.parameters)
    try:
        with one_thread():
            estimator.fit(matrix, target)
    except ValueError as error:
        raise ModuleError(1000, f"scikit-learn cannot train {model.learner}: {error}") from error
    return TrainedModel(model.learner, model.parameters, learner.task, features, estimator, label, classes)
