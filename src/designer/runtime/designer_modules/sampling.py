"""Partition and Sample: takes some of the rows, or assigns each to a fold.

https://learn.microsoft.com/azure/machine-learning/component-reference/partition-and-sample
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .dataset import Dataset
from .errors import ModuleError
from .splitting import split_data
from .values import chosen, within

FOLDS = "folds"  # the property of a dataset that says each row's fold
Folds = NDArray[np.int64]


def partition_and_sample(
    dataset: Dataset,
    partition_or_sample_mode: str = "Sampling",
    number_of_rows_to_select: int = 10,
    rate_of_sampling: float = 0.01,
    random_seed_for_sampling: int = 0,
    stratified_split_for_sampling: bool = False,
    stratification_key_column_for_sampling: str = "",
    number_of_folds_to_split_evenly_into: int = 5,
    randomized_split: bool = True,
    random_seed: int = 0,
    fold_to_be_sampled_from: int = 1,
    pick_complement_of_the_selected_fold: bool = False,
) -> Dataset:
    """Return the first rows, a sample of them, all with their folds, or those of a fold (or of all others).

    The same seed takes the same rows, 0 too, where Microsoft's is then seeded by the clock.

    Raises:
        ModuleError: a rate or a number is out of range; a fold is not there, or the rows have none.
    """
    modes: dict[str, Callable[[], Dataset]] = {
        "Head": lambda: _head(dataset, number_of_rows_to_select),
        "Sampling": lambda: split_data(
            dataset,
            fraction_of_rows_in_the_first_output_dataset=rate_of_sampling,
            random_seed=random_seed_for_sampling,
            stratified_split=stratified_split_for_sampling,
            stratification_key_column=stratification_key_column_for_sampling,
        )[0],
        "Assign to Folds": lambda: _assigned(
            dataset, number_of_folds_to_split_evenly_into, random_seed if randomized_split else None
        ),
        "Pick Fold": lambda: _picked(dataset, fold_to_be_sampled_from, pick_complement_of_the_selected_fold),
    }
    return chosen("partition_or_sample_mode", partition_or_sample_mode, modes)()


def _head(dataset: Dataset, rows: int) -> Dataset:
    within("number_of_rows_to_select", rows, 0, np.inf)
    return dataset.with_frame(dataset.frame.head(rows))


def _assigned(dataset: Dataset, folds: int, seed: int | None) -> Dataset:
    count = len(dataset.frame)
    within("number_of_folds_to_split_evenly_into", folds, 1, max(count, 1))
    numbers = np.arange(count) % folds + 1
    if seed is not None:
        numbers = np.random.default_rng(seed).permutation(numbers)
    return replace(dataset, properties={**dataset.properties, FOLDS: numbers.tolist()})


def folds_of(dataset: Dataset) -> Folds:
    """Return the fold of each row, counted from 1.

    Raises:
        ModuleError: they have none, or not these rows.
    """
    numbers = np.asarray(dataset.properties.get(FOLDS, []), dtype=np.int64)
    if len(numbers) != len(dataset.frame) or not len(numbers):
        raise ModuleError(18, "The rows have no folds; assign them with Partition and Sample right before.")
    return numbers


def _picked(dataset: Dataset, fold: int, complement: bool) -> Dataset:
    numbers = folds_of(dataset)
    if fold not in numbers:
        raise ModuleError(18, f"There is no fold {fold}; there are 1 to {numbers.max()}.")
    mask = (numbers == fold) != complement
    properties = {name: value for name, value in dataset.properties.items() if name != FOLDS}
    return Dataset(dataset.frame[mask].reset_index(drop=True), dataset.roles, properties)
