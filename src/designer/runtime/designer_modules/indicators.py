"""Convert to Indicator Values: makes a column of 0 and 1 of each category.

https://learn.microsoft.com/azure/machine-learning/component-reference/convert-to-indicator-values
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from . import columns
from .dataset import Dataset, type_of
from .errors import ModuleError
from .fitted import Indicators, Transformation


def convert_to_indicator_values(
    dataset: Dataset, categorical_columns_to_convert: str = "categorical", overwrite_categorical_columns: bool = False
) -> tuple[Dataset, Transformation]:
    """Add a column ``<column>-<category>`` for each category of the selected columns; return what does so to others.

    Raises:
        ModuleError: a column is not categorical.
    """
    selection = categorical_columns_to_convert
    names = columns.at_least_one(selection, columns.select(dataset, selection))
    transformation = Indicators(
        {name: _categories(dataset.frame[name]) for name in names}, overwrite_categorical_columns
    )
    return transformation.apply(dataset), transformation


def _categories(column: pd.Series) -> list[Any]:
    if not isinstance(column.dtype, pd.CategoricalDtype):
        reason = f"The column is {type_of(column)}, not Categorical; mark it as such with Edit Metadata first."
        raise ModuleError(56, reason, column=str(column.name))
    return [*column.cat.categories.tolist(), *([None] if column.isna().any() else [])]
