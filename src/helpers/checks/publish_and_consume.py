"""The exercises of *Publish and consume an inference pipeline*."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import requests

from helpers.flight_data import flight_tables
from helpers.verdicts import CheckResult, exercise, right, wrong

TARGETS = ("managed", "kubernetes", "batch", "local")
CHOICES = {
    "gate": ("managed", "somebody waits for each answer, all day long, and nobody there runs machines of his own."),
    "hangar": ("kubernetes", "the rows must stay on the airline's own machines, and those run Kubernetes already."),
    "month": ("batch", "nobody waits for one answer. Why pay for a machine the other 29 days?"),
    "trial": ("local", "nobody else calls it, and nothing may be paid for: which target is on the desk already?"),
    "notes": ("kubernetes", "an inference cluster was AKS. What does version 2 attach in its place?"),
}
INPUT, OUTPUT = "WebServiceInput0", "WebServiceOutput0"
LABEL = "late"
DAY = "2013-06-25"


def _refusal(*details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": 400, "message": "Input Data Error.", "details": [*details]}}


def _wrong(column: str, row: int | None = None) -> dict[str, Any]:
    place = {"input": INPUT, "column": column} | ({} if row is None else {"row": row})
    return {**place, "reason": "It is not what it should be."}


# What a service says, what there is to mend, and what it shows.
ANSWERS: list[tuple[dict[str, Any], dict[int | None, set[str]], str]] = [
    (_refusal(_wrong("hour", 2)), {2: {"hour"}}, "one column of one row"),
    (_refusal(_wrong("hour", 0)), {0: {"hour"}}, "rows are counted from 0: the first is a row like any other"),
    (_refusal(_wrong("hour", 2), _wrong("dest", 0), _wrong("distance", 2)), {0: {"dest"}, 2: {"hour", "distance"}},
     "a row can have several wrong columns, and rows come in any order"),
    (_refusal(_wrong("distance")), {None: {"distance"}}, "where no row is named, it is about all of them"),
    (_refusal({"parameter": "threshold", "reason": "There is no such parameter."}), {}, "no column is named"),
    ({"Results": {OUTPUT: [{"Scored Labels": 1}]}}, {}, "this is no refusal"),
]  # fmt: skip


@exercise("publish_and_consume/choices", 'Write a dictionary such as {"gate": "local", ...}, with the five keys.')
def choices(answer: Any) -> CheckResult:
    """Accept for each case the target that fits it."""
    if not isinstance(answer, Mapping):
        return wrong(f"a dictionary is wanted, this is of type {type(answer).__name__}.")
    for case, (expected, hint) in CHOICES.items():
        if case not in answer:
            return wrong(f"{case} is missing.")
        chosen = str(answer[case]).strip().lower()
        if chosen not in TARGETS:
            return wrong(f"{case}: {answer[case]} is none of {', '.join(TARGETS)}.")
        if chosen != expected:
            return wrong(f"{case}: {hint}")
    return right("who waits, whose machines, and who pays for them while nobody asks: that decides.")


@exercise("publish_and_consume/request_of", "Begin with the cell that asks about many rows; what does JSON not know?")
def request_of(answer: Any) -> CheckResult:
    """Accept a function that makes of any table a request that JSON can carry, without the label."""
    import pandas as pd

    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    table = pd.DataFrame({"tailnum": ["N14228", None], "distance": [1400, 229], "hour": [5.0, float("nan")], LABEL: 0})
    body = answer(table.copy())
    if isinstance(body, str | bytes):
        return wrong("the body as a dictionary is wanted: `requests` makes the text of it.")
    rows = body.get("Inputs", {}).get(INPUT) if isinstance(body, Mapping) else None
    if rows is None:
        return wrong(f'the rows belong in `body["Inputs"]["{INPUT}"]`.')
    try:
        sent = json.loads(json.dumps(rows, allow_nan=False))
    except (TypeError, ValueError) as error:
        return wrong(f"this cannot be sent as JSON: {error}. An unknown value is None there, which becomes `null`.")
    return _of_rows(sent)


def _of_rows(rows: Any) -> CheckResult:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return wrong("a list is wanted with a dictionary for each row: column and value.")
    if any(LABEL in row for row in rows):
        return wrong(f"`{LABEL}` is sent along: it is what the caller wants to know.")
    expected: list[dict[str, Any]] = [
        {"tailnum": "N14228", "distance": 1400, "hour": 5},
        {"tailnum": None, "distance": 229, "hour": None},
    ]
    if len(rows) != len(expected):
        return wrong(f"the table has {len(expected)} rows, the request {len(rows)}.")
    for number, (row, wanted) in enumerate(zip(rows, expected, strict=True)):
        for column, value in wanted.items():
            if row.get(column, "nothing") != value:
                found = row.get(column, "nothing")
                return wrong(f"row {number}: {column} is {value!r} in the table, and {found!r} in the request.")
    return right("numbers stay numbers, what is unknown is null, and the label stays at home.")


@exercise(
    "publish_and_consume/to_mend", 'Begin with `answer["error"]["details"]`: each has a column, and perhaps a row.'
)
def to_mend(answer: Any) -> CheckResult:
    """Accept a function that sorts the columns of a refusal by their rows."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for said, expected, why in ANSWERS:
        found = answer(copy.deepcopy(said))
        if not isinstance(found, Mapping):
            return wrong(f"a dictionary is wanted; it returned {found!r} for {said}.")
        if any(isinstance(columns, str) for columns in found.values()):
            return wrong(f"each row has a set of columns, also where it is a single one; it returned {found!r}.")
        if {row: set(columns) for row, columns in found.items()} != expected:
            return wrong(f"of {said} it makes {found!r}: {why}.")
    return right("a form can now mark each field that is wrong, all at once.")


@cache
def _flown() -> int:
    return len(flight_tables(DAY, DAY, fast=False)["flights"])


@exercise("publish_and_consume/whole_day", f"`at_the_gate` has the flights of {DAY}; send all at once.")
def whole_day(answer: Any) -> CheckResult:
    """Accept the response to one request with all flights of a day."""
    if not isinstance(answer, requests.Response):
        return wrong(f"the response itself is wanted; this is of type {type(answer).__name__}.")
    if answer.status_code != 200:
        return wrong(f"it was answered {answer.status_code}: {answer.text[:200]}")
    rows = json.loads(answer.request.body or b"{}").get("Inputs", {}).get(INPUT, [])
    flown = _flown()
    if len(rows) != flown:
        return wrong(f"the request has {len(rows)} rows; {flown} flights of {DAY} are in the table.")
    if any(LABEL in row for row in rows):
        return wrong(f"`{LABEL}` was sent along. It did no harm, but nobody knows it on the day itself.")
    answered = len(answer.json()["Results"][OUTPUT])
    if answered != flown:
        return wrong(f"{answered} rows came back for {flown}.")
    return right(f"{flown} answers in one request, each in the place of its row.")
