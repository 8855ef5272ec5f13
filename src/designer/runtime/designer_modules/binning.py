"""Group Data into Bins: puts numbers into bins.

https://learn.microsoft.com/azure/machine-learning/component-reference/group-data-into-bins
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from . import columns
from .dataset import Dataset
from .errors import ModuleError
from .fitted import Binning, Numbers, Transformation
from .values import chosen, numbers, within

QUANTILES, EQUAL_WIDTH, CUSTOM = "Quantiles", "Equal Width", "Custom Edges"


def group_data_into_bins(
    dataset: Dataset,
    binning_mode: str = QUANTILES,
    number_of_bins: int = 10,
    quantile_normalization: str = "Percent",
    comma_separated_list_of_bin_edges: str = "",
    columns_to_bin: str = "numeric",
    output_mode: str = "Append",
    tag_columns_as_categorical: bool = True,
) -> tuple[Dataset, Transformation]:
    """Replace each number by its bin's: 1, 2, ..., or its quantile's share; return what does so to others.

    A bin holds what is above its lower edge, and what is not above its upper one.

    Raises:
        ModuleError: a column is not of numbers; the edges are none, or do not ascend.
    """
    within("number_of_bins", number_of_bins, 1, 1000)
    modes: dict[str, Callable[[Numbers], Numbers]] = {
        QUANTILES: lambda found: np.quantile(found, np.arange(1, number_of_bins) / number_of_bins),
        EQUAL_WIDTH: lambda found: np.linspace(found.min(), found.max(), number_of_bins + 1)[1:-1],
        CUSTOM: lambda found: _custom(comma_separated_list_of_bin_edges),
    }
    edges_of = chosen("binning_mode", binning_mode, modes)
    scale = chosen(
        "quantile_normalization", quantile_normalization, {"Percent": 100, "PQuantile": 1, "QuantileIndex": 0}
    )
    chosen("output_mode", output_mode, dict.fromkeys(Binning.OUTPUT_MODES))
    names = columns.at_least_one(columns_to_bin, columns.select(dataset, columns_to_bin))
    edges = {name: np.unique(edges_of(_some(dataset.frame[name]))).tolist() for name in names}
    transformation = Binning(edges, scale if binning_mode == QUANTILES else 0, output_mode, tag_columns_as_categorical)
    return transformation.apply(dataset), transformation


def _some(column: pd.Series) -> Numbers:
    found = numbers(column)
    there = found[~np.isnan(found)]
    return there if len(there) else np.zeros(1)


def _custom(text: str) -> Numbers:
    try:
        edges = np.array([float(edge) for edge in text.split(",")])
    except ValueError:
        raise ModuleError(2, f"Bin edges must be numbers separated by commas; they are {text!r}.") from None
    if (np.diff(edges) <= 0).any() or not np.isfinite(edges).all():
        raise ModuleError(19, f"Bin edges must ascend; they are {text!r}.")
    return edges
