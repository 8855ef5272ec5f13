"""The exercises of *Publish and consume an inference pipeline*."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
DAY = "2013-06-24"


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
        return wrong(f'the rows belong into `body["Inputs"]["{INPUT}"]`.')
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
    expected = [
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


@exercise("publish_and_consume/whole_day", f"`helpers.flight_tables` has the flights of {DAY}; send all at once.")
def whole_day(answer: Any) -> CheckResult:
    """Accept the response to one request with all flights of a day."""
    if not isinstance(answer, requests.Response):
        return wrong(f"the response itself is wanted; this is of type {type(answer).__name__}.")
    if answer.status_code != 200:
        return wrong(f"it was answered {answer.status_code}: {answer.text[:200]}")
    rows = json.loads(answer.request.body or b"{}").get("Inputs", {}).get(INPUT, [])
    flown = len(flight_tables(DAY, DAY, fast=False)["flights"])
    if len(rows) != flown:
        return wrong(f"the request has {len(rows)} rows; {flown} flights of {DAY} are in the table.")
    if any(LABEL in row for row in rows):
        return wrong(f"`{LABEL}` was sent along. It did no harm, but nobody knows it on the day itself.")
    answered = len(answer.json()["Results"][OUTPUT])
    if answered != flown:
        return wrong(f"{answered} rows came back for {flown}.")
    return right(f"{flown} answers in one request, each in the place of its row.")
