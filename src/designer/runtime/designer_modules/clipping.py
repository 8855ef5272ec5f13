"""Clip Values: replaces numbers that are beyond a threshold.

https://learn.microsoft.com/azure/machine-learning/component-reference/clip-values; Microsoft's has no
transformation, and takes the percentiles of what it is given: in a web service, of one row.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from . import columns
from .dataset import Dataset
from .fitted import Clipping, Numbers, Transformation
from .values import chosen, numbers, within

PEAKS, SUBPEAKS, BOTH = "ClipPeaks", "ClipSubpeaks", "ClipPeaksAndSubpeaks"
CONSTANT, PERCENTILE = "Constant", "Percentile"
_SUBSTITUTES: dict[str, Callable[[Numbers, float], float | None]] = {
    "Threshold": lambda found, threshold: threshold,
    "Mean": lambda found, threshold: float(np.nanmean(found)),
    "Median": lambda found, threshold: float(np.nanmedian(found)),
    "Missing": lambda found, threshold: None,
}


def clip_values(
    dataset: Dataset,
    set_of_thresholds: str = PEAKS,
    upper_threshold: str = CONSTANT,
    constant_value_for_upper_threshold: float = 99.0,
    percentile_value_for_upper_threshold: float = 99.0,
    substitute_value_for_peaks: str = "Threshold",
    lower_threshold: str = CONSTANT,
    constant_value_for_lower_threshold: float = 1.0,
    percentile_value_for_lower_threshold: float = 1.0,
    substitute_value_for_subpeaks: str = "Threshold",
    list_of_columns: str = "numeric",
    add_indicator_columns: bool = False,
    overwrite_flag: bool = True,
) -> tuple[Dataset, Transformation]:
    """Replace numbers above the upper threshold, below the lower one, or both; return what does so to others.

    Raises:
        ModuleError: a column is not of numbers; a percentile is not from 0 to 100; the lower threshold is the higher.
    """
    within("percentile_value_for_lower_threshold", percentile_value_for_lower_threshold, 0, 100)
    within("percentile_value_for_upper_threshold", percentile_value_for_upper_threshold, 0, 100)
    clips_low, clips_high = chosen(
        "set_of_thresholds", set_of_thresholds, {PEAKS: (False, True), SUBPEAKS: (True, False), BOTH: (True, True)}
    )
    low = _bound(lower_threshold, constant_value_for_lower_threshold, percentile_value_for_lower_threshold)
    high = _bound(upper_threshold, constant_value_for_upper_threshold, percentile_value_for_upper_threshold)
    for_low = chosen("substitute_value_for_subpeaks", substitute_value_for_subpeaks, _SUBSTITUTES)
    for_high = chosen("substitute_value_for_peaks", substitute_value_for_peaks, _SUBSTITUTES)
    below: dict[str, tuple[float, float | None]] = {}
    above: dict[str, tuple[float, float | None]] = {}
    for name in columns.at_least_one(list_of_columns, columns.select(dataset, list_of_columns)):
        found = _some(dataset.frame[name])
        if clips_low:
            below[name] = low(found), for_low(found, low(found))
        if clips_high:
            above[name] = high(found), for_high(found, high(found))
        if clips_low and clips_high:
            within(f"The lower threshold of column {name!r}", below[name][0], -np.inf, above[name][0])
    transformation = Clipping(below, above, add_indicator_columns, overwrite_flag)
    return transformation.apply(dataset), transformation


def _bound(kind: str, constant: float, percentile: float) -> Callable[[Numbers], float]:
    bounds: dict[str, Callable[[Numbers], float]] = {
        CONSTANT: lambda found: constant,
        PERCENTILE: lambda found: float(np.nanpercentile(found, percentile)),
    }
    return chosen("threshold", kind, bounds)


def _some(column: pd.Series) -> Numbers:
    """Return a column's numbers; a 0 where all are missing."""
    found = numbers(column)
    return found if (~np.isnan(found)).any() else np.zeros(1)
