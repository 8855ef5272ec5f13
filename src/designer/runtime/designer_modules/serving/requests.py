"""A request to a web service: its JSON, its inputs' rows, and its GlobalParameters, judged before anything runs.

Two formats, as the Designer's retired engine had them: ``swagger``, an object for each row, and ``classic``, the
names of the columns once and an array for each row (more rows fit into a managed endpoint's 10 MB so)::

    {"Inputs": {"WebServiceInput0": [{"age": 39, "state": "KS"}]}, "GlobalParameters": {}}
    {"Inputs": {"WebServiceInput0": {"ColumnNames": ["age", "state"], "Values": [[39, "KS"]]}}, "GlobalParameters": {}}
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .refusals import Problem, RequestError, problem
from .values import NotJson, shown

INPUTS, PARAMETERS = "Inputs", "GlobalParameters"
NAMES, VALUES = "ColumnNames", "Values"
SWAGGER, CLASSIC = "swagger", "classic"
HALF_A_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")  # of two that make one; alone it is no text that can be answered
EXAMPLES = {
    SWAGGER: '{"Inputs": {"<input>": [{"<column>": <value>, ...}, ...]}, "GlobalParameters": {}}',
    CLASSIC: '{"Inputs": {"<input>": {"ColumnNames": [...], "Values": [[...], ...]}}, "GlobalParameters": {}}',
}


@dataclass(frozen=True)
class Table:
    """The rows of one input, by column: each has as many values as there are rows."""

    columns: Mapping[str, list[Any]]

    def rows(self) -> list[dict[str, Any]]:
        """Return it with an object for each row."""
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]


@dataclass(frozen=True)
class Request:
    """What a request brings, before it is judged against the graph: its inputs' tables, and its GlobalParameters."""

    inputs: Mapping[str, Table]
    parameters: Mapping[str, Any]


def read(body: bytes, request_format: str = SWAGGER) -> Request:
    """Read a request.

    Raises:
        RequestError: it is no JSON, or not of this format.
    """
    content = _decoded(body)
    if not isinstance(content, dict) or not isinstance(content.get(INPUTS), dict):
        raise RequestError([problem(f"A request looks like this: {EXAMPLES[request_format]}.")])
    parameters = content.get(PARAMETERS) or {}  # the retired engine took null for none, too
    if not isinstance(parameters, dict):
        raise RequestError([problem(f"{PARAMETERS} is {shown(parameters)}, not an object.")])
    unknown = [name for name in content if name not in (INPUTS, PARAMETERS)]
    if unknown:
        raise RequestError([problem(f"{unknown[0]!r} is no part of a request; {INPUTS} and {PARAMETERS} are.")])
    table = _FORMATS[request_format]
    return Request({name: table(name, rows) for name, rows in content[INPUTS].items()}, parameters)


def _decoded(body: bytes) -> Any:
    try:
        content = json.loads(body, parse_constant=NotJson)
        if HALF_A_CHARACTER.search(body):
            json.dumps(content, ensure_ascii=False, default=str).encode()
        return content
    except (ValueError, RecursionError) as error:
        raise RequestError([problem(f"The request is no JSON: {error}.")]) from None


def _of_objects(name: str, rows: Any) -> Table:
    """Return the table that rows make which are objects."""
    if not isinstance(rows, list):
        raise RequestError([problem(f"The input is {shown(rows)}, not an array of rows.", input=name)])
    _need_rows(name, rows)
    if set(map(type, rows)) != {dict}:
        row = next(row for row, one in enumerate(rows) if not isinstance(one, dict))
        raise RequestError([problem(f"The row is {shown(rows[row])}, not an object.", input=name, row=row)])
    columns = list(rows[0])
    expected = rows[0].keys()
    uneven = next((row for row, one in enumerate(rows) if one.keys() != expected), None)
    if uneven is not None:
        raise RequestError(_unlike_the_first(name, expected, uneven, rows[uneven].keys()))
    return Table({column: [row[column] for row in rows] for column in columns})


def _unlike_the_first(name: str, expected: Any, row: int, found: Any) -> list[Problem]:
    missing = [problem("The column is missing; row 0 has it.", input=name, column=c, row=row) for c in expected - found]
    extra = [problem("The column is there; row 0 lacks it.", input=name, column=c, row=row) for c in found - expected]
    return [*missing, *extra]


def _of_arrays(name: str, table: Any) -> Table:
    """Return the table that rows make which are arrays."""
    names, rows = (table.get(NAMES), table.get(VALUES)) if isinstance(table, dict) else (None, None)
    if not isinstance(names, list) or not isinstance(rows, list) or not all(isinstance(one, str) for one in names):
        raise RequestError([problem(f"The input is no object with {NAMES} and {VALUES}.", input=name)])
    _need_rows(name, rows)
    twice = next((one for at, one in enumerate(names) if one in names[:at]), None)
    if twice is not None:
        raise RequestError([problem("The column is named twice.", input=name, column=twice)])
    for row, values in enumerate(rows):
        if not isinstance(values, list) or len(values) != len(names):
            reason = f"The row is {shown(values)}, not an array of {len(names)} values."
            raise RequestError([problem(reason, input=name, row=row)])
    return Table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def _need_rows(name: str, rows: Sequence[Any]) -> None:
    if not rows:
        raise RequestError([problem("There are no rows.", input=name)])


_FORMATS = {SWAGGER: _of_objects, CLASSIC: _of_arrays}
