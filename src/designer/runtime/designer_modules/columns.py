"""How a component is told which columns it is for."""

from __future__ import annotations

import json
from collections.abc import Callable

import pandas as pd

from .dataset import Dataset, type_of
from .errors import ModuleError

NUMERIC = ("Integer", "Double", "Boolean")


def select(dataset: Dataset, columns: str) -> list[str]:
    """Return the names of the columns that a parameter selects, in the order of the selection.

    Args:
        dataset: whose columns.
        columns: parts separated by commas, or a JSON list of them: a name; ``all``, ``numeric``, ``categorical``,
            ``text``, ``label`` or ``features``; with ``-`` before it, one that is left out. With nothing else than
            such, the others are selected.

    Raises:
        ModuleError: a column is not there. A label that is not there is left out: a web service is not sent it.
    """
    parts = [str(part) for part in json.loads(columns)] if columns.lstrip().startswith("[") else columns.split(",")
    parts = [part.strip() for part in parts if part.strip()]
    if all(part.startswith("-") for part in parts):
        parts = ["all", *parts] if parts else []
    chosen: dict[str, None] = {}
    for part in parts:
        if part.startswith("-") and part not in dataset.frame.columns:
            for name in _named(dataset, part[1:]):
                chosen.pop(name, None)
        else:
            chosen |= dict.fromkeys(_named(dataset, part))
    return list(chosen)


def _named(dataset: Dataset, part: str) -> list[str]:
    names = [str(name) for name in dataset.frame.columns]
    if part in names:
        return [part]
    if part == dataset.label:
        return []
    if part not in KINDS:
        raise ModuleError(1, f"Column {part!r} is not there; there are: {', '.join(names)}.", column=part)
    return [name for name in names if KINDS[part](dataset, dataset.frame[name])]


def _is_categorical(_: Dataset, column: pd.Series) -> bool:
    return type_of(column) in ("Categorical", "String")


KINDS: dict[str, Callable[[Dataset, pd.Series], bool]] = {
    "all": lambda dataset, column: True,
    "numeric": lambda dataset, column: type_of(column) in NUMERIC,
    "categorical": _is_categorical,
    "text": lambda dataset, column: type_of(column) == "String",
    "label": lambda dataset, column: column.name == dataset.label,
    "features": lambda dataset, column: column.name not in dataset.roles,
}
