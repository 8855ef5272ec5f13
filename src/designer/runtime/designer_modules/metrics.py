"""How good predictions are, in Microsoft's metrics.

What they mean: https://learn.microsoft.com/azure/machine-learning/component-reference/evaluate-model
"""

from __future__ import annotations

from typing import Any

import numpy as np

Metrics = dict[str, float]


def two_class(truth: np.ndarray, predicted: np.ndarray, probability: np.ndarray) -> Metrics:
    """Return the metrics of a two-class classification.

    Args:
        truth: whether each row is of the positive class.
        predicted: whether the model says so.
        probability: how probable the model finds it.
    """
    true_positive, false_negative = int((truth & predicted).sum()), int((truth & ~predicted).sum())
    false_positive, true_negative = int((~truth & predicted).sum()), int((~truth & ~predicted).sum())
    precision = _ratio(true_positive, true_positive + false_positive)
    recall = _ratio(true_positive, true_positive + false_negative)
    return {
        "AUC": _auc(truth, probability),
        "Accuracy": _ratio(true_positive + true_negative, len(truth)),
        "Precision": precision,
        "Recall": recall,
        "F1": _ratio(2 * precision * recall, precision + recall),
        "True Negative": true_negative,
        "False Positive": false_positive,
        "False Negative": false_negative,
        "True Positive": true_positive,
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _auc(truth: np.ndarray, probability: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    if truth.all() or not truth.any():
        return float("nan")  # one class only: there is no curve
    return float(roc_auc_score(truth, probability))


def average_log_loss(truth: np.ndarray, probability: np.ndarray) -> float:
    """Return how surprised a two-class model is by the truth, on average."""
    from sklearn.metrics import log_loss

    return float(log_loss(truth, probability, labels=[False, True]))


def multiclass(truth: np.ndarray, predicted: np.ndarray) -> Metrics:
    """Return the metrics of a classification with several classes, which are numbered."""
    from sklearn.metrics import accuracy_score, precision_score, recall_score

    averages = [("Micro", "micro"), ("Macro", "macro")]
    return {
        "Overall_Accuracy": float(accuracy_score(truth, predicted)),
        **{
            f"{name}_Precision": float(precision_score(truth, predicted, average=average, zero_division=0))
            for name, average in averages
        },
        **{
            f"{name}_Recall": float(recall_score(truth, predicted, average=average, zero_division=0))
            for name, average in averages
        },
    }


def regression(truth: np.ndarray, predicted: np.ndarray) -> Metrics:
    """Return the metrics of a regression. Those relative to a label that does not vary are not a number."""
    error, spread = truth - predicted, truth - truth.mean()
    relative_squared = _relative(float((error**2).sum()), float((spread**2).sum()))
    return {
        "Mean_Absolute_Error": float(np.abs(error).mean()),
        "Root_Mean_Squared_Error": float(np.sqrt((error**2).mean())),
        "Relative_Squared_Error": relative_squared,
        "Relative_Absolute_Error": _relative(float(np.abs(error).sum()), float(np.abs(spread).sum())),
        "Coefficient_of_Determination": 1 - relative_squared,
    }


def _relative(error: float, spread: float) -> float:
    return error / spread if spread else float("nan")


def clustering(assigned: np.ndarray, distances: np.ndarray) -> list[dict[str, Any]]:
    """Return the metrics of clusters: a row for each that has points, and one for all together.

    Args:
        assigned: the number of each row's cluster.
        distances: of each row from the center of each cluster: shape (rows, clusters).
    """
    rows = np.arange(len(assigned))
    own = distances[rows, assigned]
    others = distances.copy()
    others[rows, assigned] = np.inf
    other = others.min(axis=1)  # the nearest of the others, as in the Designer
    found = [(f"Evaluation For Cluster No.{number}", assigned == number) for number in np.unique(assigned)]
    return [_of_cluster(name, own[part], other[part]) for name, part in found] + [
        _of_cluster("Combined Evaluation", own, other)
    ]


def _of_cluster(name: str, own: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    return {
        "Result Description": name,
        "Average Distance to Other Center": float(other.mean()),
        "Average Distance to Cluster Center": float(own.mean()),
        "Number of Points": len(own),
        "Maximal Distance to Cluster Center": float(own.max()),
    }
