"""Transformations that were fitted to a dataset, and are applied to others: in the next step, or in a web service.

Each is small numbers and names: in a folder, it is a JSON file. None changes itself or what it is applied to.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .dataset import Dataset, type_of
from .errors import ModuleError
from .values import numbers, refuse, refuse_first, with_columns

FILE = "transformation.json"
LOG_NORMAL = "LogNormal"
Numbers = NDArray[np.float64]


class Transformation(ABC):
    """What a component has learned of a dataset, and does to others that have the same columns."""

    kinds: ClassVar[dict[str, type[Transformation]]] = {}

    def __init_subclass__(cls) -> None:
        Transformation.kinds[cls.__name__] = cls

    @abstractmethod
    def apply(self, dataset: Dataset) -> Dataset:
        """Return the dataset, transformed.

        Raises:
            ModuleError: a column is not there (but a label need not be), or has a value that cannot be transformed.
        """

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {"transformation": type(self).__name__, **asdict(self)}  # type: ignore[call-overload]
        (folder / FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Transformation:
        """Read one from a folder that ``save`` has written.

        Raises:
            ModuleError: the folder holds something else.
        """
        if not (folder / FILE).is_file():
            raise ModuleError(158, f"This folder is no transformation: it has no {FILE}.")
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        kind = content.pop("transformation", None)
        if kind not in cls.kinds:
            raise ModuleError(158, f"{FILE} is of no kind that Apply Transformation knows: {kind!r}.")
        return cls.kinds[kind](**content)


def present(dataset: Dataset, names: Sequence[str]) -> list[str]:
    """Return those columns that are there.

    Raises:
        ModuleError: one is not, and is not the label.
    """
    there = dataset.frame.columns
    for name in names:
        if name not in there and name != dataset.label:
            dataset.column(name)
    return [name for name in names if name in there]


@dataclass(frozen=True)
class Normalization(Transformation):
    """Numbers on another scale.

    Args:
        method: a key of ``SCALES``.
        columns: for each column, where its scale begins and how long it is; a length of None where all values were the
            same, and 0 is wanted for such a column.
    """

    method: str
    columns: Mapping[str, tuple[float, float | None]]

    def apply(self, dataset: Dataset) -> Dataset:
        """Return the dataset with numbers on the new scale; missing ones stay missing."""
        names = set(present(dataset, list(self.columns)))
        scaled = {name: self._scaled(column) for name, column in dataset.frame.items() if name in names}
        return dataset.with_frame(with_columns(dataset.frame, scaled))

    def _scaled(self, column: pd.Series) -> Numbers:
        start, length = self.columns[str(column.name)]
        found = numbers(column)
        if self.method == LOG_NORMAL:
            refuse_without_logarithm(column, found)
        if length is None:
            return np.where(np.isnan(found), np.nan, 0.0)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return SCALES[self.method](found, start, length)


def refuse_without_logarithm(column: pd.Series, found: Numbers) -> None:
    """Refuse a number that is not positive, at training and in a web service, where it would become a silent 0."""
    refuse_first(column, found <= 0, 8, "has no logarithm; LogNormal is for positive numbers")


def _log_normal(found: Numbers, mean: float, deviation: float) -> Numbers:
    from scipy.special import ndtr

    return np.asarray(ndtr((np.log(found) - mean) / deviation))


def _logistic(found: Numbers, start: float, length: float) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-found)))


SCALES: dict[str, Callable[[Numbers, float, float], Numbers]] = {
    "ZScore": lambda found, mean, deviation: (found - mean) / deviation,
    "MinMax": lambda found, lowest, length: (found - lowest) / length,
    "Logistic": _logistic,
    LOG_NORMAL: _log_normal,
    "Tanh": lambda found, start, length: np.tanh(found),
}


@dataclass(frozen=True)
class Replacement(Transformation):
    """Values in the place of missing ones.

    Args:
        values: by column.
        indicators: whether a column says which were missing.
        removed: columns without any value, which go.
    """

    values: Mapping[str, Any]
    indicators: bool = False
    removed: Sequence[str] = ()

    def apply(self, dataset: Dataset) -> Dataset:
        """Return the dataset with a value in the place of each missing one."""
        names = present(dataset, list(self.values))
        missing = dict(zip(dataset.frame.columns, dataset.frame.isna().to_numpy().T, strict=True))
        dtypes = dict(zip(dataset.frame.columns, dataset.frame.dtypes, strict=True))
        columns = {
            name: _filled(dataset.frame[name], missing[name], value).array
            for name, value in self.values.items()
            if name in names and (missing[name].any() or _lacks(dtypes[name], value))
        }
        flags = {f"{name}_IsMissing": missing[name] for name in names if self.indicators}
        frame = with_columns(dataset.frame, columns | flags) if columns or flags else dataset.frame
        return dataset.with_frame(frame.drop(columns=list(self.removed), errors="ignore") if self.removed else frame)


def _lacks(dtype: Any, value: Any) -> bool:
    return isinstance(dtype, pd.CategoricalDtype) and value not in dtype.categories


def _filled(column: pd.Series, missing: NDArray[np.bool_], value: Any) -> pd.Series:
    if _lacks(column.dtype, value):
        column = column.cat.add_categories([value])
    if missing.all() and not isinstance(column.dtype, pd.CategoricalDtype):
        return pd.Series(value, column.index)  # its type says nothing
    column = column.infer_objects()
    kind = type_of(column)
    if kind != "Categorical" and kind not in _TYPES[type(value)]:
        row = int(np.flatnonzero(~missing)[0])
        refuse(column, row, 17, f"is not of the type of {value!r}, which takes the place of missing values")
    return (column.astype(float) if kind == "Integer" and isinstance(value, float) else column).fillna(value)


# The types of columns in which a value can take the place of a missing one.
_TYPES = {int: ("Integer", "Double"), float: ("Integer", "Double"), bool: ("Boolean",), str: ("String",)}


@dataclass(frozen=True)
class RowRemoval(Transformation):
    """Rows are left out that miss a value in one of these columns."""

    columns: Sequence[str]
    indicators: bool = False

    def apply(self, dataset: Dataset) -> Dataset:
        """Return the dataset without rows that miss a value."""
        names = present(dataset, self.columns)
        kept = dataset.frame.dropna(subset=names).reset_index(drop=True)
        flags = {f"{name}_IsMissing": np.zeros(len(kept), dtype=bool) for name in names if self.indicators}
        return dataset.with_frame(with_columns(kept, flags) if flags else kept)


@dataclass(frozen=True)
class ColumnRemoval(Transformation):
    """These columns are left out."""

    columns: Sequence[str]

    def apply(self, dataset: Dataset) -> Dataset:
        """Return the dataset without the columns."""
        return dataset.with_frame(dataset.frame.drop(columns=list(self.columns), errors="ignore"))


@dataclass(frozen=True)
class ColumnSelection(Transformation):
    """These columns are kept, in this order."""

    columns: Sequence[str]

    def apply(self, dataset: Dataset) -> Dataset:
        """Return the dataset with the columns only."""
        return dataset.with_frame(dataset.frame[present(dataset, self.columns)])


@dataclass(frozen=True)
class Clipping(Transformation):
    """Other numbers in the place of those that are beyond a threshold.

    Args:
        below: for each column, the lower threshold, and what takes the place of smaller numbers; None: nothing does.
        above: the upper threshold, and what takes the place of greater ones.
        indicators: whether a column ``<name>_clipped`` says which were beyond.
        overwrite: whether the numbers take the place of the column's, instead of being in ``<name>_clipped_value``.
    """

    below: Mapping[str, tuple[float, float | None]]
    above: Mapping[str, tuple[float, float | None]]
    indicators: bool
    overwrite: bool

    def apply(self, dataset: Dataset) -> Dataset:
        """Return the dataset with the numbers clipped."""
        new: dict[str, Any] = {}
        for name in present(dataset, list({**self.below, **self.above})):
            found = numbers(dataset.frame[name])
            low, for_low = self.below.get(name, (-np.inf, None))
            high, for_high = self.above.get(name, (np.inf, None))
            too_low, too_high = found < low, found > high
            clipped = np.where(too_low, np.nan if for_low is None else for_low, found)
            clipped = np.where(too_high, np.nan if for_high is None else for_high, clipped)
            new[name if self.overwrite else f"{name}_clipped_value"] = clipped
            if self.indicators:
                new[f"{name}_clipped"] = too_low | too_high
        return dataset.with_frame(with_columns(dataset.frame, new))


@dataclass(frozen=True)
class Binning(Transformation):
    """Bins in the place of numbers.

    Args:
        edges: by column, between the bins.
        scale: what the highest bin is, where bins are shares of it; 0 where they are 1, 2, ...
        output_mode: one of ``OUTPUT_MODES``.
        categorical: whether bins are categories.
    """

    edges: Mapping[str, Sequence[float]]
    scale: float
    output_mode: str
    categorical: bool
    OUTPUT_MODES: ClassVar = ("Append", "Inplace", "ResultOnly")

    def apply(self, dataset: Dataset) -> Dataset:
        """Return the dataset with each number's bin; a missing one has none."""
        names = present(dataset, list(self.edges))
        suffix = "" if self.output_mode == "Inplace" else "_quantized"
        new = {name + suffix: self._binned(dataset.frame[name]) for name in names}
        return dataset.with_frame(
            pd.DataFrame(new) if self.output_mode == "ResultOnly" else with_columns(dataset.frame, new)
        )

    def _binned(self, column: pd.Series) -> Any:
        edges = self.edges[str(column.name)]
        found = numbers(column)
        bins = [place * self.scale / (len(edges) + 1) if self.scale else place for place in range(1, len(edges) + 2)]
        places = np.where(np.isnan(found), -1, np.searchsorted(edges, found, side="left"))
        codes = pd.Categorical.from_codes(places, bins)
        return codes if self.categorical else pd.Series(codes).astype(float).array


@dataclass(frozen=True)
class Indicators(Transformation):
    """A column of 0 and 1 for each value of a categorical column.

    Args:
        categories: the values, by column; None for a missing one.
        overwrite: whether the columns are left out themselves.
    """

    categories: Mapping[str, Sequence[Any]]
    overwrite: bool

    @cached_property
    def _places(self) -> dict[str, dict[Any, int]]:
        return {name: {value: place for place, value in enumerate(all)} for name, all in self.categories.items()}

    @cached_property
    def _names(self) -> dict[str, list[str]]:
        return {name: [indicator(name, value) for value in all] for name, all in self.categories.items()}

    def apply(self, dataset: Dataset) -> Dataset:
        """Return the dataset with the new columns.

        Raises:
            ModuleError: a value is none of the categories.
        """
        frame = dataset.frame.reset_index(drop=True)
        parts = [frame]
        for name in present(dataset, list(self.categories)):
            places = self._placed(frame[name])
            ones = places[:, np.newaxis] == np.arange(len(self.categories[name]))
            parts.append(pd.DataFrame(ones.astype(np.int64), columns=self._names[name]))
        if self.overwrite:
            parts[0] = frame.drop(columns=list(self.categories), errors="ignore")
        return dataset.with_frame(pd.concat(parts, axis="columns"))

    def _placed(self, column: pd.Series) -> NDArray[np.int64]:
        """Return the place of each value among the categories."""
        known = self._places[str(column.name)]
        if isinstance(column.dtype, pd.CategoricalDtype):
            of_codes = [known.get(value, -1) for value in column.cat.categories]
            places = np.array([*of_codes, known.get(None, -1)])[column.cat.codes.to_numpy()]  # the code -1: missing
        else:
            values = zip(column.tolist(), column.isna().tolist(), strict=True)
            places = np.fromiter((known.get(None if gone else value, -1) for value, gone in values), np.int64)
        if (places < 0).any():
            categories = ", ".join(repr(value) for value in known if value is not None)
            refuse(
                column,
                int(np.flatnonzero(places < 0)[0]),
                18,
                f"is none of the categories that were there in training: {categories}",
            )
        return np.asarray(places)


def indicator(column: str, value: Any) -> str:
    """Return the name of the column that says where a column has a value."""
    return f"{column}-{'Missing' if value is None else value}"
