"""How good a learner is with rows that it has not learned from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from .dataset import Dataset, type_of
from .errors import ModuleError
from .evaluation import Row, evaluated
from .features import CATEGORIES, Features
from .models import CLASSIFICATION, UntrainedModel
from .sampling import FOLDS, Folds, folds_of
from .scoring import scored
from .training import feature_names, label_of, supervised_task, train_model
from .values import with_columns

DEFAULT_FOLDS = 10
FOLD, EXAMPLES = "Fold Number", "Number of examples in fold"


def cross_validate_model(
    untrained_model: UntrainedModel, dataset: Dataset, label_column: str = "", random_seed: int = 0
) -> tuple[Dataset, Dataset]:
    """Train and measure a model in folds, each time with another part of the rows left out.

    The folds are ten, or those that Partition and Sample has assigned.

    Args:
        untrained_model: a learner with its parameters.
        dataset: the labelled rows; those without label are left out.
        label_column: the column to predict; by default the one that the dataset says is the label.
        random_seed: makes the folds the same each time. Of a classification, they have the classes in equal parts.

    Returns:
        each row, scored by the model that did not learn from it; the metrics of each fold, their mean and deviation.

    Raises:
        ModuleError: the label or a feature cannot be used, or there are too few rows.
    """
    label = label_of(dataset, label_column)
    known = with_known_categories(dataset, label)
    parts, results = [], []
    for fold, (training, held_out) in enumerate(folds(known, label, untrained_model, DEFAULT_FOLDS, random_seed)):
        model = train_model(untrained_model, training, label)
        part = scored(model, held_out, append=True)
        [row] = evaluated(part)
        print(f"Fold {fold}: " + told(row), flush=True)
        results.append({FOLD: str(fold), EXAMPLES: len(held_out.frame), **row})
        parts.append(part.with_frame(part.frame.assign(**{FOLD: fold})))
    frame = pd.concat([part.frame for part in parts]).sort_index()
    return parts[0].with_frame(frame), Dataset(pd.DataFrame([*results, *_summary(results)]))


def _summary(results: list[Row]) -> list[Row]:
    metrics = pd.DataFrame(results).drop(columns=[FOLD, EXAMPLES])
    total = sum(row[EXAMPLES] for row in results)
    summaries = (("Mean", metrics.mean()), ("Standard Deviation", metrics.std()))
    return [{FOLD: name, EXAMPLES: total, **values.to_dict()} for name, values in summaries]


def told(row: Row) -> str:
    """Return metrics as a line to print."""
    return ", ".join(f"{name} {value:.4g}" for name, value in row.items())


def with_known_categories(dataset: Dataset, label: str) -> Dataset:
    """Return the labelled rows; their texts know all the values, so that a part of the rows may miss some.

    Raises:
        ModuleError: a value cannot be used.
    """
    names = feature_names(dataset, label)
    rows = np.flatnonzero(dataset.frame[label].notna())
    frame = dataset.frame.iloc[rows]
    texts = {name: frame[name].astype("category") for name in names if type_of(frame[name]) in CATEGORIES}
    Features.of(frame, names).matrix(frame, rows)  # tells of the row in the dataset, not of one in a part of it
    properties = dict(dataset.properties)
    if FOLDS in properties:
        properties[FOLDS] = folds_of(dataset)[rows].tolist()
    return Dataset(with_columns(frame, texts).reset_index(drop=True), dataset.roles, properties)


def folds(
    dataset: Dataset, label: str, model: UntrainedModel, number: int, seed: int
) -> Iterator[tuple[Dataset, Dataset]]:
    """Yield for each fold the rows to learn from and those left out.

    The folds are those that Partition and Sample has assigned; else so many are drawn.

    Raises:
        ModuleError: there are fewer rows, of a classification's class, than folds.
    """
    is_assigned = FOLDS in dataset.properties
    numbers = folds_of(dataset) if is_assigned else _drawn(dataset.frame[label], model, number, seed)
    properties = {name: value for name, value in dataset.properties.items() if name != FOLDS}
    rows = Dataset(dataset.frame, dataset.roles, properties)
    for fold in np.unique(numbers):
        yield rows.with_frame(rows.frame[numbers != fold]), rows.with_frame(rows.frame[numbers == fold])


def _drawn(column: pd.Series, model: UntrainedModel, number: int, seed: int) -> Folds:
    from sklearn.model_selection import KFold, StratifiedKFold

    is_classification = supervised_task(model) in CLASSIFICATION
    target = column.astype(str) if is_classification else column
    fewest = int(target.value_counts().min()) if is_classification and len(target) else len(target)
    if fewest < number:
        part = "a class" if is_classification else "all"
        reason = f"{number} folds need {number} rows; of {part} there are {fewest}."
        raise ModuleError(21, reason, column=str(column.name))
    splitter: Any = StratifiedKFold if is_classification else KFold
    numbers = np.empty(len(target), dtype=np.int64)
    for fold, (_, held_out) in enumerate(splitter(number, shuffle=True, random_state=seed).split(target, target)):
        numbers[held_out] = fold
    return numbers
