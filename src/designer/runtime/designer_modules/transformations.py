"""Components that change a dataset."""

from __future__ import annotations

from . import columns
from .dataset import Dataset
from .fitted import ColumnSelection, Transformation


def select_columns_in_dataset(dataset: Dataset, select_columns: str, preserve_column_order: bool = False) -> Dataset:
    """Keep the selected columns: in the dataset's order, or in that of the selection."""
    names = columns.at_least_one(select_columns, columns.select(dataset, select_columns))
    if not preserve_column_order:
        names = sorted(names, key=dataset.frame.columns.get_loc)
    return dataset.with_frame(dataset.frame[list(names)])


def apply_transformation(transformation: Transformation, dataset: Dataset) -> Dataset:
    """Do to a dataset what was learned of another."""
    return transformation.apply(dataset)


def select_columns_transform(dataset: Dataset, select_columns: str = "all") -> Transformation:
    """Return what keeps these columns of other datasets."""
    return ColumnSelection(list(columns.at_least_one(select_columns, columns.select(dataset, select_columns))))


def remove_duplicate_rows(
    dataset: Dataset, key_column_selection_filter_expression: str = "all", retain_first_duplicate_row: bool = True
) -> Dataset:
    """Keep one of the rows whose keys are equal. A row that misses a key is equal to none."""
    selection = key_column_selection_filter_expression
    keys = dataset.frame[list(columns.at_least_one(selection, columns.select(dataset, selection)))]
    repeated = keys.duplicated(keep="first" if retain_first_duplicate_row else "last") & keys.notna().all(
        axis="columns"
    )
    return dataset.with_frame(dataset.frame[~repeated].reset_index(drop=True))
