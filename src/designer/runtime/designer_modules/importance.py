"""The component that measures what a model makes of each feature."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from . import values
from .dataset import Dataset
from .errors import ModuleError
from .evaluation import evaluated
from .models import MULTICLASS, REGRESSION, TWO_CLASS, TrainedModel
from .scoring import scored

# The Designer's names of what is measured, as columns of the metrics.
MEASURED_BY: Mapping[str, Mapping[str, str]] = {
    TWO_CLASS: {name: name for name in ("Accuracy", "Precision", "Recall")},
    MULTICLASS: {"Accuracy": "Overall_Accuracy", "Precision": "Macro_Precision", "Recall": "Macro_Recall"},
    REGRESSION: {
        name: name.replace(" ", "_")
        for name in (
            "Mean Absolute Error",
            "Root Mean Squared Error",
            "Relative Absolute Error",
            "Relative Squared Error",
            "Coefficient of Determination",
        )
    },
}


def permutation_feature_importance(
    trained_model: TrainedModel,
    test_data: Dataset,
    random_seed: int = 0,
    metric_for_measuring_performance: str = "Accuracy",
) -> Dataset:
    """Measure how much worse a model is when the values of one feature are shuffled.

    Args:
        trained_model: a classification or regression model.
        test_data: labelled rows, better not those of the training.
        random_seed: makes the shuffling the same each time.
        metric_for_measuring_performance: what is measured; of an error, more is worse.

    Returns:
        ``Feature`` and ``Score``, the most important first.

    Raises:
        ModuleError: the metric is none of the model's task, or the data is not what the model needs.
    """
    metric = _metric(trained_model.task, metric_for_measuring_performance)
    sign = -1 if "Error" in metric else 1
    order = np.random.RandomState(random_seed).permutation(len(test_data.frame))
    base = _measured(trained_model, test_data, metric)
    scores = {}
    for name in trained_model.features.names:
        shuffled = test_data.frame[name].iloc[order].set_axis(test_data.frame.index)
        worse = _measured(
            trained_model, test_data.with_frame(values.with_columns(test_data.frame, {name: shuffled})), metric
        )
        scores[name] = sign * (base - worse)
    found = pd.DataFrame({"Feature": list(scores), "Score": list(scores.values())})
    return Dataset(found.sort_values("Score", ascending=False, kind="stable", ignore_index=True))


def _metric(task: str, chosen: str) -> str:
    if task not in MEASURED_BY:
        raise ModuleError(62, f"A model for {task} has no label to measure it by.", port="trained_model")
    return values.chosen("metric_for_measuring_performance", chosen, MEASURED_BY[task])


def _measured(model: TrainedModel, rows: Dataset, metric: str) -> float:
    [row] = evaluated(scored(model, rows, append=True), "test_data")
    return float(row[metric])
