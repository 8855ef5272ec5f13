"""Components that measure how good a model is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from . import metrics
from .dataset import Dataset, type_of
from .errors import ModuleError
from .features import rows_in_dataset
from .models import CLUSTERING, MULTICLASS, REGRESSION, TWO_CLASS, in_order, numbers_of
from .scoring import ASSIGNMENTS, DISTANCE, SCORED_BY, SCORED_LABELS, SCORED_PROBABILITIES
from .tracking import log_metrics
from .values import numbers, refuse_first

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
    has_classes = any(name.startswith(SCORED_PROBABILITIES) for name in names)
    return MULTICLASS if has_classes or type_of(dataset.frame[SCORED_LABELS]) != "Double" else REGRESSION


def _two_class(dataset: Dataset, port: str) -> list[Row]:
    rows = _labelled(dataset, port, SCORED_LABELS, SCORED_PROBABILITIES)
    classes = _classes(dataset, rows)
    if len(classes) > 2:
        raise ModuleError(58, f"There are {len(classes)} classes; two-class scores have two.", port=port)
    truth, predicted = _numbered(dataset, rows, classes, port)
    probability = numbers(dataset.frame[SCORED_PROBABILITIES].iloc[rows])
    return [metrics.two_class(truth == 1, predicted == 1, probability)]


def _multiclass(dataset: Dataset, port: str) -> list[Row]:
    rows = _labelled(dataset, port, SCORED_LABELS)
    return [metrics.multiclass(*_numbered(dataset, rows, _classes(dataset, rows), port))]


def _regression(dataset: Dataset, port: str) -> list[Row]:
    rows = _labelled(dataset, port, SCORED_LABELS)
    with rows_in_dataset(rows):
        truth, predicted = (numbers(dataset.frame[name].iloc[rows]) for name in (dataset.label, SCORED_LABELS))
    return [metrics.regression(truth, predicted)]


def _clustering(dataset: Dataset, port: str) -> list[Row]:
    names = [name for name in dataset.frame.columns if name.startswith(DISTANCE)]
    _require(dataset.frame, [ASSIGNMENTS, f"{DISTANCE}0"], port)
    return metrics.clustering(dataset.frame[ASSIGNMENTS].to_numpy(), dataset.frame[names].to_numpy())


_OF_TASK: Mapping[str, Callable[[Dataset, str], list[Row]]] = {
    TWO_CLASS: _two_class,
    MULTICLASS: _multiclass,
    REGRESSION: _regression,
    CLUSTERING: _clustering,
}


def _labelled(dataset: Dataset, port: str, *scores: str) -> np.ndarray:
    """Return which rows have a label; all of them must have scores."""
    _require(dataset.frame, scores, port)
    if dataset.label is None or dataset.label not in dataset.frame.columns:
        missing = f" (it was {dataset.label!r})" if dataset.label else ""
        raise ModuleError(24, f"The dataset has no label column{missing} to compare the scores with.", port=port)
    for name in scores:
        refuse_first(dataset.frame[name], dataset.frame[name].isna(), 3, "is no score; it is missing")
    rows = np.flatnonzero(dataset.frame[dataset.label].notna())
    if not rows.size:
        raise ModuleError(134, "No row has a label.", column=dataset.label, port=port)
    return rows


def _require(frame: pd.DataFrame, names: Sequence[str], port: str) -> None:
    for name in names:
        if name not in frame.columns:
            raise ModuleError(25, f"There is no column {name!r}; score the dataset first.", column=name, port=port)


def _classes(dataset: Dataset, rows: np.ndarray) -> Sequence[Any]:
    """Return the classes that the model knows; if the dataset does not say it, those that are there."""
    known = dataset.properties.get(SCORED_BY, {}).get("classes")
    frame = dataset.frame.iloc[rows]
    return known or in_order([*frame[dataset.label].tolist(), *frame[SCORED_LABELS].tolist()])


def _numbered(dataset: Dataset, rows: np.ndarray, classes: Sequence[Any], port: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the classes that the rows are of, and of those that the model says."""
    found = []
    for name in (dataset.label, SCORED_LABELS):
        values = dataset.frame[name].iloc[rows].tolist()
        places = numbers_of(values, classes)
        strange = np.flatnonzero(places < 0)
        if strange.size:
            known = ", ".join(repr(one) for one in classes)
            reason = f"{values[strange[0]]!r} is none of the classes that the model knows: {known}."
            raise ModuleError(58, reason, column=name, row=int(rows[strange[0]]), port=port)
        found.append(places)
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
