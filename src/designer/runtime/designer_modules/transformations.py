"""Components that change a dataset."""

from __future__ import annotations

from . import columns
from .dataset import Dataset
from .fitted import Transformation


def select_columns_in_dataset(dataset: Dataset, select_columns: str, preserve_column_order: bool = False) -> Dataset:
    """Keep the selected columns: in the dataset's order, or in that of the selection."""
    names = columns.at_least_one(select_columns, columns.select(dataset, select_columns))
    if not preserve_column_order:
        names = [name for name in dataset.frame.columns if name in set(names)]
    return dataset.with_frame(dataset.frame[list(names)])


def apply_transformation(transformation: Transformation, dataset: Dataset) -> Dataset:
    """Do to a dataset what was learned of another."""
    return transformation.apply(dataset)
