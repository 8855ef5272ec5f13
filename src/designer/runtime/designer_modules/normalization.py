"""Normalize Data: puts numbers on one scale.

https://learn.microsoft.com/azure/machine-learning/component-reference/normalize-data
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from . import columns
from .dataset import Dataset
from .fitted import LOG_NORMAL, Normalization, Numbers, Transformation, refuse_without_logarithm
from .values import chosen, numbers


def normalize_data(
    dataset: Dataset,
    columns_to_transform: str = "numeric",
    transformation_method: str = "ZScore",
    use_0_for_constant_columns: bool = True,
) -> tuple[Dataset, Transformation]:
    """Put the numbers of the selected columns on one scale; return what does so to others.

    Raises:
        ModuleError: a column is not of numbers, a number is infinite, or not positive where its logarithm is needed.
    """
    scale = chosen("transformation_method", transformation_method, _SCALES)
    names = columns.at_least_one(columns_to_transform, columns.select(dataset, columns_to_transform))
    found: dict[str, tuple[float, float | None]] = {}
    for name in names:
        start, length = scale(dataset.frame[name])
        found[name] = start, None if length == 0 and use_0_for_constant_columns else length
    transformation = Normalization(transformation_method, found)
    return transformation.apply(dataset), transformation


def _deviation(column: pd.Series) -> tuple[float, float]:
    return _mean_and_deviation(_some(numbers(column)))


def _range(column: pd.Series) -> tuple[float, float]:
    found = _some(numbers(column))
    return float(found.min()), float(found.max() - found.min())


def _of_logarithms(column: pd.Series) -> tuple[float, float]:
    found = numbers(column)
    refuse_without_logarithm(column, found)
    return _mean_and_deviation(np.log(_some(found)))


def _unscaled(column: pd.Series) -> tuple[float, float]:
    numbers(column)
    return 0.0, 1.0


def _some(found: Numbers) -> Numbers:
    """Return the numbers that are not missing; a 0 where all are."""
    there = found[~np.isnan(found)]
    return there if len(there) else np.zeros(1)


def _mean_and_deviation(found: Numbers) -> tuple[float, float]:
    return float(found.mean()), float(found.std()) if np.ptp(found) else 0.0


_SCALES: dict[str, Callable[[pd.Series], tuple[float, float]]] = {
    "ZScore": _deviation,
    "MinMax": _range,
    "Logistic": _unscaled,
    LOG_NORMAL: _of_logarithms,
    "Tanh": _unscaled,
}
