"""Components that change a dataset."""

from __future__ import annotations

from . import columns
from .dataset import Dataset


def select_columns_in_dataset(dataset: Dataset, select_columns: str) -> Dataset:
    """Keep the selected columns, in their order."""
    return dataset.with_frame(dataset.frame[columns.select(dataset, select_columns)])
