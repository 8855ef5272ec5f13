"""Split Data: divides the rows of a dataset into two.

https://learn.microsoft.com/azure/machine-learning/component-reference/split-data
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import columns
from .dataset import Dataset, type_of
from .errors import ModuleError
from .values import chosen, within

Mask = NDArray[np.bool_]
REGULAR_EXAMPLE, RELATIONAL_EXAMPLE = r'\"Text" ^a', r'\"Year" > 2010'


def split_data(
    dataset: Dataset,
    splitting_mode: str = "Split Rows",
    fraction_of_rows_in_the_first_output_dataset: float = 0.5,
    randomized_split: bool = True,
    random_seed: int = 0,
    stratified_split: bool = False,
    stratification_key_column: str = "",
    regular_expression: str = REGULAR_EXAMPLE,
    relational_expression: str = RELATIONAL_EXAMPLE,
) -> tuple[Dataset, Dataset]:
    """Divide the rows into two datasets, both in the order of the first.

    Raises:
        ModuleError: the fraction is not from 0 to 1, a stratum has one row, or an expression cannot be understood.
    """
    modes: dict[str, Callable[[], Mask]] = {
        "Split Rows": lambda: _rows(
            dataset,
            fraction_of_rows_in_the_first_output_dataset,
            random_seed if randomized_split else None,
            stratification_key_column if stratified_split else "",
        ),
        "Regular Expression": lambda: _matching(dataset, regular_expression),
        "Relative Expression": lambda: _comparing(dataset, relational_expression),
    }
    first = chosen("splitting_mode", splitting_mode, modes)()
    return tuple(  # type: ignore[return-value]
        dataset.with_frame(dataset.frame[part].reset_index(drop=True)) for part in (first, ~first)
    )


def _rows(dataset: Dataset, fraction: float, seed: int | None, stratum: str) -> Mask:
    within("fraction_of_rows_in_the_first_output_dataset", fraction, 0, 1)
    count = len(dataset.frame)
    size = round(count * fraction)
    mask = np.zeros(count, dtype=bool)
    if stratum:
        mask[_stratified(dataset.frame[columns.one(dataset, stratum, "stratification_key_column")], size, seed)] = True
    else:
        order = np.arange(count) if seed is None else np.random.default_rng(seed).permutation(count)
        mask[order[:size]] = True
    return mask


def _stratified(column: pd.Series, size: int, seed: int | None) -> NDArray[np.intp]:
    """Return the rows of the first part, in which each value is as frequent as in all, by scikit-learn."""
    from sklearn.model_selection import train_test_split

    if size in (0, len(column)):
        return np.arange(size)
    keys = column.astype(object).where(column.notna(), "(missing)").astype(str)
    try:
        first, _ = train_test_split(np.arange(len(column)), train_size=size, random_state=seed or 0, stratify=keys)
    except ValueError as error:
        raise ModuleError(18, f"The rows cannot be stratified: {error}", column=str(column.name)) from None
    return np.asarray(first)


_COLUMN = re.compile(r"""\s*(?:\(?\\"(?P<name>[^"]*)"\)?|\(?\\(?P<place>\d+)\)?)\s*(?P<rest>.*)""", re.DOTALL)
_CONDITION = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*(.+?)\s*", re.DOTALL)
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


def _column_and_rest(dataset: Dataset, expression: str, example: str) -> tuple[pd.Series, str]:
    r"""Read an expression's beginning: ``\"name"``, or ``(\0)`` for a place counted from 0."""
    match = _COLUMN.fullmatch(expression)
    if not match:
        raise ModuleError(2, f"{expression!r} does not begin with a column; write e.g. {example}")
    name = match["name"]
    if name is None:
        place = int(match["place"])
        if place >= len(dataset.frame.columns):
            raise ModuleError(60, f"There is no column \\{place}; the last is \\{len(dataset.frame.columns) - 1}.")
        name = dataset.frame.columns[place]
    return dataset.column(name), match["rest"]


def _matching(dataset: Dataset, expression: str) -> Mask:
    column, pattern = _column_and_rest(dataset, expression, REGULAR_EXAMPLE)
    try:
        compiled = re.compile(pattern.strip())
    except re.error as error:
        raise ModuleError(2, f"{pattern!r} is no regular expression: {error}.") from None
    texts = column.astype(object)
    return np.array([bool(compiled.search(str(text))) for text in texts.where(texts.notna(), "")], dtype=bool)


def _comparing(dataset: Dataset, expression: str) -> Mask:
    r"""Evaluate e.g. ``\"Year" > 2010 & < 2013``: ``&`` binds more tightly than ``|``."""
    column, conditions = _column_and_rest(dataset, expression, RELATIONAL_EXAMPLE)
    found = np.zeros(len(column), dtype=bool)
    for alternative in conditions.split("|"):
        every = np.ones(len(column), dtype=bool)
        for condition in alternative.split("&"):
            every &= _holds(column, condition)
        found |= every
    return found


def _holds(column: pd.Series, condition: str) -> Mask:
    match = _CONDITION.fullmatch(condition)
    if not match:
        signs = ", ".join(_OPERATORS)
        raise ModuleError(2, f"{condition.strip()!r} is no comparison; write one of {signs}, then a value.")
    sign, text = match[1], match[2]
    kind = type_of(column)
    if kind in ("String", "Categorical", "Boolean") and sign not in ("==", "!="):
        raise ModuleError(17, f"A column of type {kind} is compared by == or != only.", column=str(column.name))
    compared = column.astype(object).astype(str) if kind in ("String", "Categorical", "Boolean") else column
    holds = _OPERATORS[sign](compared, _value(kind, text, column)) & column.notna()
    return np.asarray(holds.to_numpy(dtype=bool, na_value=False))


def _value(kind: str, text: str, column: pd.Series) -> Any:
    readers: dict[str, Callable[[str], Any]] = {"Integer": float, "Double": float, "DateTime": pd.Timestamp}
    unquoted = text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
    try:
        return readers.get(kind, str)(unquoted)
    except ValueError:
        raise ModuleError(
            2, f"{text!r} is no value to compare a column of type {kind} with.", column=str(column.name)
        ) from None
