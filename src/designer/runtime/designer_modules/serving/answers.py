"""What a web service answers: the rows that reach its outputs, in the format of the request.

The formats are those of the Designer's retired engine (PyPI: azureml-designer-serving 0.0.19, ``processor``)::

    {"Results": {"WebServiceOutput0": [{"age": 39, "Scored Labels": 1}]}}
    {"WebServiceOutput0": {"type": "DataTable", "value": {"ColumnNames": [...], "ColumnTypes": [...], "Values": [...]}}}

``ColumnTypes`` is there only where ``details=true`` was asked for. A missing value is ``null``. Ours besides: in the
first format, ``Warnings`` name the nodes that made more or fewer rows of those sent; for the second, the log does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from ..dataset import Dataset, type_of
from .refusals import BAD_MODULE, Problem, RequestError, problem

RESULTS, WARNINGS = "Results", "Warnings"


def swagger(outputs: Mapping[str, Any], warnings: Sequence[Problem] = ()) -> str:
    """Return the answer with an object for each row: of a dataset, or of an image directory; and warnings, if any."""
    content: dict[str, Any] = {RESULTS: {name: rows_of(name, _frame(data)) for name, data in outputs.items()}}
    if warnings:
        content[WARNINGS] = [{**one.place, "reason": one.reason} for one in warnings]
    return _written(content)


def classic(outputs: Mapping[str, Any], details: bool = False) -> str:
    """Return the answer with the names of columns once, and an array for each row; with their types for ``details``."""
    return _written({name: _table(name, _frame(data), details) for name, data in outputs.items()})


def _frame(data: Any) -> pd.DataFrame:
    return data.frame if isinstance(data, Dataset) else pd.DataFrame(data.to_rows())


def _written(content: Any) -> str:
    return json.dumps(content, allow_nan=False, separators=(",", ":"), ensure_ascii=False, default=_plain)


def rows_of(output: str, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a frame's rows as JSON has them.

    Args:
        output: what carries them, as an error names it.
        frame: the table.

    Raises:
        RequestError: there is an infinite number.
    """
    names = [str(name) for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in _rows(output, frame)]


def _table(output: str, frame: pd.DataFrame, details: bool) -> dict[str, Any]:
    value: dict[str, Any] = {"ColumnNames": [str(name) for name in frame.columns]}
    if details:
        value["ColumnTypes"] = [type_of(frame[name]) for name in frame.columns]
    value["Values"] = [list(row) for row in _rows(output, frame)]
    return {"type": "DataTable", "value": value}


def _rows(output: str, frame: pd.DataFrame) -> Any:
    if not len(frame.columns):
        return [() for _ in range(len(frame))]
    return zip(*(_values(output, str(name), column) for name, column in frame.items()), strict=True)


def _values(output: str, name: str, column: pd.Series) -> list[Any]:
    """Return a column's values as JSON has them."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        numbers = column.to_numpy()
        if numbers.dtype.kind != "f" or np.isfinite(numbers).all():
            return numbers.tolist()  # type: ignore[no-any-return]
        if np.isinf(numbers).any():
            row = int(np.isinf(numbers).argmax())
            raise _cannot(output, f"{numbers[row]} is no value in JSON.", column=name, row=row)
    if column.dtype.kind == "M":
        return [None if missing else value.isoformat() for value, missing in zip(column, column.isna(), strict=True)]
    return [None if missing else value for value, missing in zip(column.tolist(), column.isna(), strict=True)]


def _plain(value: Any) -> Any:
    """Return a value that JSON's writer does not know as one that it knows."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no type of JSON")


def _cannot(output: str, reason: str, **place: Any) -> RequestError:
    return RequestError([problem(reason, output=output, **place)], kind=BAD_MODULE)
