"""Components that measure how good a model is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from . import metrics
from .dataset import Dataset
from .errors import ModuleError
from .models import CLUSTERING, MULTICLASS, REGRESSION, TWO_CLASS
from .scoring import ASSIGNMENTS, DISTANCE, SCORED_BY, SCORED_LABELS, SCORED_PROBABILITIES
from .tracking import log_metrics

Row = dict[str, Any]


def evaluate_model(scored_dataset: Dataset, scored_dataset_to_compare: Dataset | None = None) -> Dataset:
    """Measure how good a model's predictions are; of two scored datasets, the first is told of first.

    In a job, the metrics are logged with MLflow, too. Rows without label are ignored.

    Raises:
        ModuleError: a dataset has no scores or no label, or the two are of different tasks.
    """
    given = [("scored_dataset", scored_dataset), ("scored_dataset_to_compare", scored_dataset_to_compare)]
    results = {port: evaluated(dataset, port) for port, dataset in given if dataset is not None}
    tasks = {_task(dataset, port) for port, dataset in given if dataset is not None}
    if len(tasks) > 1:
        reason = f"Models of one task can be compared; these are of {' and '.join(sorted(tasks))}."
        raise ModuleError(62, reason, port="scored_dataset_to_compare")
    log(results)
    return Dataset(pd.DataFrame([row for rows in results.values() for row in rows]))


def evaluated(dataset: Dataset, port: str = "scored_dataset") -> list[Row]:
    """Return the metrics of a scored dataset: one row, or for clusters one for each and one for all.

    Raises:
        ModuleError: it has no scores or no label.
    """
    return _OF_TASK[_task(dataset, port)](dataset, port)


def _task(dataset: Dataset, port: str) -> str:
    """Return what the model was for that scored a dataset: it says so, or its columns do."""
    if SCORED_BY in dataset.properties:
        return str(dataset.properties[SCORED_BY]["task"])
    names = list(dataset.frame.columns)
    if ASSIGNMENTS in names:
        return CLUSTERING
    if SCORED_LABELS not in names:
        raise ModuleError(25, f"There is no column {SCORED_LABELS!r}; score the dataset first.", port=port)
    if SCORED_PROBABILITIES in names:
        return TWO_CLASS
    return MULTICLASS if any(str(name).startswith(SCORED_PROBABILITIES) for name in names) else REGRESSION


def _two_class(dataset: Dataset, port: str) -> list[Row]:
    frame, classes = _labelled(dataset, port, SCORED_LABELS, SCORED_PROBABILITIES)
    truth, predicted = _numbered(dataset, frame, classes, port)
    probability = frame[SCORED_PROBABILITIES].to_numpy(dtype=float)
    return [metrics.two_class(truth == 1, predicted == 1, probability)]


def _multiclass(dataset: Dataset, port: str) -> list[Row]:
    frame, classes = _labelled(dataset, port, SCORED_LABELS)
    return [metrics.multiclass(*_numbered(dataset, frame, classes, port))]


def _regression(dataset: Dataset, port: str) -> list[Row]:
    frame, _ = _labelled(dataset, port, SCORED_LABELS)
    truth, predicted = frame[dataset.label], frame[SCORED_LABELS]
    return [metrics.regression(truth.to_numpy(dtype=float), predicted.to_numpy(dtype=float))]


def _clustering(dataset: Dataset, port: str) -> list[Row]:
    names = [name for name in dataset.frame.columns if str(name).startswith(DISTANCE)]
    _require(dataset.frame, [ASSIGNMENTS, f"{DISTANCE}0"], port)
    return metrics.clustering(dataset.frame[ASSIGNMENTS].to_numpy(), dataset.frame[names].to_numpy())


_OF_TASK: Mapping[str, Callable[[Dataset, str], list[Row]]] = {
    TWO_CLASS: _two_class,
    MULTICLASS: _multiclass,
    REGRESSION: _regression,
    CLUSTERING: _clustering,
}


def _labelled(dataset: Dataset, port: str, *scores: str) -> tuple[pd.DataFrame, Sequence[Any]]:
    """Return the rows that have a label, and the classes that there are."""
    _require(dataset.frame, scores, port)
    if dataset.label is None or dataset.label not in dataset.frame.columns:
        missing = f" (it was {dataset.label!r})" if dataset.label else ""
        raise ModuleError(24, f"The dataset has no label column{missing} to compare the scores with.", port=port)
    frame = dataset.frame[dataset.frame[dataset.label].notna()]
    if frame.empty:
        raise ModuleError(134, "No row has a label.", column=dataset.label, port=port)
    known = dataset.properties.get(SCORED_BY, {}).get("classes")
    return frame, known or sorted({*frame[dataset.label].tolist(), *frame[SCORED_LABELS].tolist()})


def _require(frame: pd.DataFrame, names: Sequence[str], port: str) -> None:
    for name in names:
        if name not in frame.columns:
            raise ModuleError(25, f"There is no column {name!r}; score the dataset first.", column=name, port=port)


def _numbered(
    dataset: Dataset, frame: pd.DataFrame, classes: Sequence[Any], port: str
) -> tuple[np.ndarray, np.ndarray]:
    found = []
    for name in (dataset.label, SCORED_LABELS):
        values = frame[name].tolist()
        numbers = metrics.numbered(values, classes)
        strange = np.flatnonzero(numbers < 0)
        if strange.size:
            known = ", ".join(repr(one) for one in classes)
            reason = f"{values[strange[0]]!r} is none of the classes that the model knows: {known}."
            raise ModuleError(58, reason, column=name, row=int(strange[0]), port=port)
        found.append(numbers)
    return found[0], found[1]


def log(results: Mapping[str, list[Row]]) -> None:
    """Log metrics with MLflow, where a job runs that they belong to; those of a second dataset with a suffix."""
    named: dict[str, float] = {}
    for suffix, rows in zip(("", " - to compare"), results.values(), strict=False):
        named |= {
            f"{name}{suffix}": float(value)
            for name, value in rows[-1].items()  # of clusters, all together
            if isinstance(value, int | float) and np.isfinite(value)
        }
    log_metrics(named)
