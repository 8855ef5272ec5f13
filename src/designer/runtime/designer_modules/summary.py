"""Summarize Data: describes each column by numbers.

https://learn.microsoft.com/azure/machine-learning/component-reference/summarize-data
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from .columns import NUMERIC
from .dataset import Dataset, type_of

_OF_ALL: Mapping[str, Callable[[pd.Series], Any]] = {
    "Count": len,
    "Unique Value Count": lambda column: column.nunique(),
    "Missing Value Count": lambda column: int(column.isna().sum()),
}
_OF_NUMBERS: Mapping[str, Callable[[pd.Series], Any]] = {
    "Min": lambda column: column.min(),
    "Max": lambda column: column.max(),
    "Mean": lambda column: column.mean(),
    "Mean Deviation": lambda column: (column - column.mean()).abs().mean(),
    "1st Quartile": lambda column: column.quantile(0.25),
    "Median": lambda column: column.median(),
    "3rd Quartile": lambda column: column.quantile(0.75),
    "Mode": lambda column: next(iter(column.mode()), np.nan),
    "Range": lambda column: column.max() - column.min(),
    "Sample Variance": lambda column: column.var(),
    "Sample Standard Deviation": lambda column: column.std(),
    "Sample Skewness": lambda column: column.skew(),
    "Sample Kurtosis": lambda column: column.kurt(),
    "P0.5": lambda column: column.quantile(0.005),
    "P1": lambda column: column.quantile(0.01),
    "P5": lambda column: column.quantile(0.05),
    "P95": lambda column: column.quantile(0.95),
    "P99.5": lambda column: column.quantile(0.995),
}


def summarize_data(dataset: Dataset) -> Dataset:
    """Return a row of statistics for each column; those of numbers are missing for other columns."""
    return Dataset(pd.DataFrame([_described(name, column) for name, column in dataset.frame.items()]))


def _described(name: Any, column: pd.Series) -> dict[str, Any]:
    of_all = {"Feature": name, **{what: count(column) for what, count in _OF_ALL.items()}}
    if type_of(column) not in (*NUMERIC, "Boolean"):
        return of_all | dict.fromkeys(_OF_NUMBERS, np.nan)
    found = column.astype("Float64").dropna().astype("float64")
    return of_all | {what: float(measure(found)) for what, measure in _OF_NUMBERS.items()}
