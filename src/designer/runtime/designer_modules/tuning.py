"""The component that finds a learner's best parameters."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from . import metrics, values
from .dataset import Dataset
from .evaluation import Row, evaluated
from .models import MULTICLASS, REGRESSION, TWO_CLASS, TrainedModel, UntrainedModel, numbers_of
from .scoring import SCORED_PROBABILITIES, scored
from .training import label_of, supervised_task, train_model
from .validation import folds, told, with_known_categories

RANDOM = "Random sweep"
MODES = {"Entire grid": True, RANDOM: False}  # whether every combination is tried
FOLDS = 3  # the Designer's, where there is no validation dataset
LOG_LOSS = "Average Log Loss"

# The Designer's names of what the best model is best in, as columns of the metrics.
RANKED_BY: Mapping[str, Mapping[str, str]] = {
    TWO_CLASS: {
        "Accuracy": "Accuracy",
        "Precision": "Precision",
        "Recall": "Recall",
        "F-score": "F1",
        "AUC": "AUC",
        LOG_LOSS: LOG_LOSS,
    },
    MULTICLASS: {"Accuracy": "Overall_Accuracy", "Precision": "Macro_Precision", "Recall": "Macro_Recall"},
    REGRESSION: {
        "Mean absolute error": "Mean_Absolute_Error",
        "Root of mean squared error": "Root_Mean_Squared_Error",
        "Relative absolute error": "Relative_Absolute_Error",
        "Relative squared error": "Relative_Squared_Error",
        "Coefficient of determination": "Coefficient_of_Determination",
    },
}
BETTER_IF_SMALLER = (LOG_LOSS, *(name for name in RANKED_BY[REGRESSION].values() if "Error" in name))


def tune_model_hyperparameters(
    untrained_model: UntrainedModel,
    training_dataset: Dataset,
    validation_dataset: Dataset | None = None,
    label_column: str = "",
    specify_parameter_sweeping_mode: str = RANDOM,
    maximum_number_of_runs_on_random_sweep: int = 5,
    random_seed: int = 0,
    metric_for_measuring_performance_for_classification: str = "Accuracy",
    metric_for_measuring_performance_for_regression: str = "Mean absolute error",
) -> tuple[Dataset, TrainedModel]:
    """Try combinations of a learner's parameters, and train the best with all training rows.

    Args:
        untrained_model: a learner with the ranges of its parameters.
        training_dataset: the labelled rows.
        validation_dataset: labelled rows to measure with; by default the training rows in three folds.
        label_column: the column to predict; by default the one that the dataset says is the label.
        specify_parameter_sweeping_mode: every combination, or some.
        maximum_number_of_runs_on_random_sweep: how many of them; each value is drawn anew.
        random_seed: makes what is drawn, and the folds, the same each time.
        metric_for_measuring_performance_for_classification: what the best is best in.
        metric_for_measuring_performance_for_regression: the same, of a regression.

    Returns:
        the combinations with their metrics, the best first; the best model.

    Raises:
        ModuleError: the label or a feature cannot be used, or the metric is not one of the task.
    """
    metric = _metric(
        supervised_task(untrained_model),
        metric_for_measuring_performance_for_classification,
        metric_for_measuring_performance_for_regression,
    )
    label = label_of(training_dataset, label_column)
    ranges = untrained_model.ranges
    is_grid = values.chosen("specify_parameter_sweeping_mode", specify_parameter_sweeping_mode, MODES)
    tried = _grid(ranges) if is_grid else _drawn(ranges, maximum_number_of_runs_on_random_sweep, random_seed)
    models = [replace(untrained_model, parameters={**untrained_model.parameters, **one}) for one in tried]
    rows: list[Row] = []
    for parameters, model in zip(tried, models, strict=True):
        row = _measured(model, training_dataset, validation_dataset, label, random_seed)
        rows.append(parameters | row)
        print(f"Run {len(rows)} of {len(tried)}: {parameters}: {told(row)}", flush=True)
    results = pd.DataFrame(rows).sort_values(metric, ascending=metric in BETTER_IF_SMALLER, kind="stable")
    best = models[results.index[0]]
    return Dataset(results.reset_index(drop=True)), train_model(best, training_dataset, label)


def _metric(task: str, for_classification: str, for_regression: str) -> str:
    """Return the column that the models are ranked by."""
    kind, name = ("regression", for_regression) if task == REGRESSION else ("classification", for_classification)
    return values.chosen(f"metric_for_measuring_performance_for_{kind}", name, RANKED_BY[task])


def _grid(ranges: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(ranges, values, strict=True)) for values in itertools.product(*ranges.values())]


def _drawn(ranges: Mapping[str, Any], number: int, seed: int) -> list[dict[str, Any]]:
    generator = random.Random(seed)  # noqa: S311  (no secret)
    return [{name: generator.choice(values) for name, values in ranges.items()} for _ in range(number)]


def _measured(model: UntrainedModel, training: Dataset, validation: Dataset | None, label: str, seed: int) -> Row:
    """Return the metrics of a model: of the validation rows, or the mean of those of three folds."""
    if validation is not None:
        return _row(train_model(model, training, label), validation)
    known = with_known_categories(training, label)
    parts = folds(known, label, model, FOLDS, seed)
    measured = [_row(train_model(model, rows, label), held_out) for rows, held_out in parts]
    return {str(name): float(value) for name, value in pd.DataFrame(measured).mean().items()}


def _row(model: TrainedModel, rows: Dataset) -> Row:
    judged = scored(model, rows, append=True)
    [row] = evaluated(judged, "validation_dataset")
    if model.task != TWO_CLASS:
        return row
    frame = judged.frame[judged.frame[model.label].notna()]
    truth = numbers_of(frame[model.label].tolist(), model.classes) == 1
    probability: np.ndarray = frame[SCORED_PROBABILITIES].to_numpy(dtype=float)
    return {**row, LOG_LOSS: metrics.average_log_loss(truth, probability)}
