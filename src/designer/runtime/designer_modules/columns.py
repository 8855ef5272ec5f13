"""How a component is told which columns it is for.

The Designer's column selector, as text: https://learn.microsoft.com/azure/machine-learning/component-reference/
select-columns-in-dataset
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

import pandas as pd

from .dataset import LABEL, Dataset, type_of
from .errors import ModuleError

NUMERIC = ("Integer", "Double")
_INDEXES = re.compile(r"(\d+)(?:-(\d+))?")


def select(dataset: Dataset, columns: str, *, with_absent_label: bool = False) -> list[str]:
    """Return the names of the columns that a parameter selects, in the order of the selection.

    Args:
        dataset: whose columns.
        columns: parts separated by commas, or a JSON list of them: a name; ``all``, ``numeric``, ``boolean``,
            ``categorical``, ``text``, ``datetime``, ``label`` or ``features``; places counted from 1, e.g. ``3`` or
            ``2-5``; with ``-`` before it, one that is left out. With nothing else than such, the others are selected.
            In a JSON list a name may hold a comma, and an apostrophe as ``\\u0027``; and all are names first:
            ``["all"]`` is the column ``all``, where there is one.
        with_absent_label: whether a label that is named, but not there, is in the list.

    Raises:
        ModuleError: a column is not there, or a part may mean two things. A label that is not there is left out: a web
            service is not sent it.
    """
    parts = [part for part in listed(columns) if part]
    if not _is_json(columns):
        _refuse_ambiguous(dataset, parts)
    only_excludes = parts and all(_excludes(dataset, part) for part in parts)
    chosen: dict[str, None] = dict.fromkeys(dataset.frame.columns) if only_excludes else {}
    for part in parts:
        if _excludes(dataset, part):
            for name in _named(dataset, part[1:]):
                chosen.pop(name, None)
        else:
            chosen |= dict.fromkeys(_named(dataset, part))
    there = dataset.frame.columns
    return list(chosen) if with_absent_label else [name for name in chosen if name in there]


def one(dataset: Dataset, column: str, parameter: str) -> str:
    """Return the name of the one column that a parameter selects.

    Raises:
        ModuleError: it selects none, or several; the label, if it is not there.
    """
    names = select(dataset, column, with_absent_label=True)
    if len(names) != 1:
        raise ModuleError(22, f"{parameter} must select one column; {column!r} selects {len(names)}.")
    dataset.column(names[0])
    return names[0]


def with_label(dataset: Dataset, label_column: str) -> Dataset:
    """Return a dataset whose label is the column that a parameter names, also if it is not there; as it was if none is.

    Raises:
        ModuleError: several are named.
    """
    names = [name for name in listed(label_column) if name]
    if len(names) > 1:
        raise ModuleError(37, f"One column can be the label; label_column names {', '.join(names)}.")
    is_known = names == [LABEL] and LABEL not in dataset.frame.columns and dataset.label is not None
    return dataset.with_label(names[0]) if names and not is_known else dataset


def at_least_one(columns: str, names: Sequence[str]) -> Sequence[str]:
    """Return the names that a parameter has selected.

    Raises:
        ModuleError: there are none.
    """
    if not names:
        raise ModuleError(11, f"No column is selected by {columns!r}.")
    return names


def listed(text: str) -> list[str]:
    """Return the names that a text lists: separated by commas, or a JSON list.

    Raises:
        ModuleError: it begins like a JSON list, and is none.
    """
    if not _is_json(text):
        return [part.strip() for part in text.split(",")]
    try:
        return [str(part) for part in json.loads(text)]
    except ValueError as error:
        raise ModuleError(2, f"Columns begin like a JSON list, but {text!r} is none: {error}.") from None


def _is_json(text: str) -> bool:
    return text.lstrip().startswith("[")


def _refuse_ambiguous(dataset: Dataset, parts: Sequence[str]) -> None:
    """Refuse a word that is a column's name, and stands for others, too: e.g. ``all``, the default of parameters."""
    for part in parts:
        word = part[1:] if _excludes(dataset, part) else part
        if word in KINDS and word in dataset.frame.columns and _of_kind(dataset, word) not in ([], [word]):
            reason = (
                f"{word!r} is the name of a column, and stands for {', '.join(_of_kind(dataset, word))}, too. For the "
                f"column write {json.dumps([word])}; for the others, list their names."
            )
            raise ModuleError(2, reason, column=word)


def _of_kind(dataset: Dataset, kind: str) -> list[str]:
    return [str(name) for name, column in dataset.frame.items() if KINDS[kind](dataset, column)]


def _excludes(dataset: Dataset, part: str) -> bool:
    return part.startswith("-") and part not in dataset.frame.columns


def _named(dataset: Dataset, part: str) -> list[str]:
    names = list(dataset.frame.columns)
    if part in names or part == dataset.label:
        return [part]
    if part in KINDS:
        return _of_kind(dataset, part)
    if places := _INDEXES.fullmatch(part):
        return _at(dataset, part, int(places[1]), int(places[2] or places[1]))
    raise ModuleError(1, f"Column {part!r} is not there; there are: {', '.join(names)}.", column=part)


def _at(dataset: Dataset, part: str, first: int, last: int) -> list[str]:
    names = list(dataset.frame.columns)
    if dataset.label is not None and dataset.label not in names:
        reason = f"Columns cannot be counted where the label {dataset.label!r} is not sent: select {part!r} by names."
        raise ModuleError(60, reason)
    if not 1 <= first <= last <= len(names):
        raise ModuleError(60, f"{part!r} is no place or range of places; the columns are 1 to {len(names)}.")
    return names[first - 1 : last]


def _is(*types: str) -> Callable[[Dataset, pd.Series], bool]:
    return lambda dataset, column: type_of(column) in types


KINDS: dict[str, Callable[[Dataset, pd.Series], bool]] = {
    "all": lambda dataset, column: True,
    "numeric": _is(*NUMERIC),
    "boolean": _is("Boolean"),
    "categorical": _is("Categorical"),
    "text": _is("String"),
    "datetime": _is("DateTime"),
    "label": lambda dataset, column: column.name == dataset.label,
    "features": lambda dataset, column: column.name not in dataset.roles,
}
