"""The exercises of *Consume an endpoint*."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import requests

from helpers.verdicts import CheckResult, exercise, right, wrong

CLIENT_ID = "x-ms-client-request-id"
WANTED_ID = "order_2024-11-4711"
DRAWS = 20  # pauses may be random
LONGEST_PAUSE = 60  # seconds
MOST_FAILURES = 5

# As Azure's inference server writes it, for another model than the lesson's.
HOUSES = {
    "openapi": "3.0.3",
    "paths": {"/score": {"post": {}}},
    "components": {
        "schemas": {
            "ServiceInput": {
                "type": "object",
                "properties": {
                    "houses": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["rooms", "town"],
                            "properties": {"rooms": {"type": "integer"}, "town": {"type": "string"}},
                        },
                    }
                },
                "example": {"houses": [{"rooms": 4, "town": "Delft"}, {"rooms": 2, "town": "Gent"}]},
            },
            "ServiceOutput": {"type": "array", "items": {"type": "number"}, "example": [1.5]},
        }
    },
}


@exercise("consume_an_endpoint/traced", f"Begin with the cell that sends `{CLIENT_ID}`; which characters are kept?")
def traced(answer: Any) -> CheckResult:
    """Accept a response whose id was sent as it came back, and is the nearest to the one that was asked for."""
    if not isinstance(answer, requests.Response):
        return wrong(f"the response itself is wanted; this is of type {type(answer).__name__}.")
    sent = answer.request.headers.get(CLIENT_ID)
    if sent is None:
        return wrong(f"the request carried no header `{CLIENT_ID}`.")
    if answer.status_code != 200:
        return wrong(f"the endpoint answered {answer.status_code}: which row of the table above is that?")
    back = answer.headers.get(CLIENT_ID)
    if back != sent:
        return wrong(f"you sent {sent!r}, and {back!r} is what the endpoint's log has. Replace what does not survive.")
    if sent != WANTED_ID:
        return wrong(f"{sent!r} survives, but is not the nearest: only what is not allowed becomes a `-`.")
    return right("what you write into your log is what the endpoint writes into its own.")


@exercise("consume_an_endpoint/request_for", "Find `ServiceInput` in the document; it has an example.")
def request_for(answer: Any) -> CheckResult:
    """Accept a function that makes requests of the wanted length for a document that it has never seen."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    service_input = HOUSES["components"]["schemas"]["ServiceInput"]  # type: ignore[index]
    schema = {**service_input, "required": list(service_input["properties"]), "additionalProperties": False}
    for count in (1, 3):
        body = answer(copy.deepcopy(HOUSES), count)
        error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(body))
        if error is not None:
            return wrong(f"for a document about houses it made {body!r}: {error.message}.")
        if len(body["houses"]) != count:
            return wrong(f"{count} rows were asked for; the request has {len(body['houses'])}.")
        if any(house != {"rooms": 4, "town": "Delft"} for house in body["houses"]):
            return wrong("each row is to be like the example's first.")
    return right("it has made a request for a model that you have never seen.")


@exercise("consume_an_endpoint/pause", "Write a function that returns seconds or None; the table above says for which.")
def pause(answer: Any) -> CheckResult:
    """Accept a function that waits longer each time, within limits, and gives up in time and on what stays."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for status in (401, 404, 408, 424):  # 500 is left open: it may be a bug of Azure's
        if answer(status, 1) is not None:
            return wrong(f"a request that failed with {status} is sent again as it is. What would change by itself?")
    for status in (429, 503):
        drawn = [[answer(status, attempt) for _ in range(DRAWS)] for attempt in range(1, MOST_FAILURES)]
        if any(seconds is None for draws in drawn for seconds in draws):
            return wrong(f"with {status} it gives up before it has failed five times.")
        verdict = _judge_pauses(status, drawn)
        if verdict:
            return wrong(verdict)
        if any(answer(status, attempt) is not None for attempt in (MOST_FAILURES, MOST_FAILURES + 1)):
            return wrong(f"with {status} it goes on after the fifth failure.")
    return right("it gives the endpoint time, and its user an answer.")


def _judge_pauses(status: int, drawn: list[list[float]]) -> str:
    """Say what is wrong with the pauses before each attempt, each drawn several times; empty where nothing is."""
    if not all(0 <= seconds <= LONGEST_PAUSE for draws in drawn for seconds in draws):
        return f"a pause is 0 to {LONGEST_PAUSE} seconds; yours after a {status} was outside."
    if not any(max(draws) > 0 for draws in drawn):
        return f"after a {status} it sends again at once: that is what made the long bar in the picture."
    longest = [max(draws) for draws in drawn]
    if not longest[0] < longest[-1]:
        return f"after a {status} the fourth pause is to be longer than the first."
    return ""


@exercise("consume_an_endpoint/instances_for", "How many requests does one instance take: running, and waiting?")
def instances_for(answer: Any) -> CheckResult:
    """Accept a function that counts one running and one waiting request for each place, rounded up."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    expected = {(1, 1): 1, (2, 1): 1, (3, 1): 2, (8, 1): 4, (64, 4): 8, (65, 4): 9, (10, 100): 1}
    for (callers, concurrency), instances in expected.items():
        found = answer(callers, concurrency)
        if found != instances:
            case = f"for {callers} callers and a concurrency of {concurrency} it says {found}"
            if found == -(-callers // concurrency):
                return wrong(f"{case}: enough that none waits. But one may wait for each that runs.")
            return wrong(f"{case}. With one instance and a concurrency of 1, two callers were never refused.")
    return right("twice the concurrency of an instance is let in; what is above it gets a 429.")
