"""The exercises of *Deploy a model with key authentication*."""

from __future__ import annotations

from typing import Any

import requests

from helpers.verdicts import CheckResult, exercise, right, wrong

PATIENTS = 10


def _bearer(response: requests.Response) -> str:
    """Return the key that the request showed in its header, or an empty string."""
    scheme, _, key = str(response.request.headers.get("Authorization", "")).partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


@exercise("deploy_with_keys/by_hand", "Begin with the cell that calls `requests.post`; change body and headers.")
def by_hand(answer: Any) -> CheckResult:
    """Accept a response of ``blue``, asked for by name, with ten diagnoses."""
    if not isinstance(answer, requests.Response):
        return wrong(f"the response itself is wanted; this is of type {type(answer).__name__}.")
    if "key" in str(answer.request.url).lower().partition("?")[2]:
        return wrong("a key in an address ends up in logs. Show it in a header.")
    if not _bearer(answer):
        return wrong("no key was shown. Which header does the endpoint look at, and how does its value begin?")
    if answer.status_code != 200:
        return wrong(f"the endpoint answered {answer.status_code}: which row of the table above is that?")
    if answer.request.headers.get("azureml-model-deployment") != "blue":
        return wrong("it answered, but you left it to the traffic who does. Ask for blue by name, in a header.")
    if len(answer.json()) != PATIENTS:
        return wrong(f"{len(answer.json())} diagnoses came back; {PATIENTS} patients were to be asked for.")
    return right("past the traffic rules, so you can try a new deployment before any caller meets it.")


@exercise("deploy_with_keys/rotate", "Keep the old key, regenerate, fetch the keys anew; then knock three times.")
def rotate(answer: Any) -> CheckResult:
    """Accept three responses: the leaked secondary key is refused, primary and new secondary key are let in."""
    if not isinstance(answer, list | tuple) or not all(isinstance(one, requests.Response) for one in answer):
        return wrong("a list of responses is wanted: to the leaked key, the primary key, the new secondary key.")
    if len(answer) != 3:
        return wrong(f"three responses are wanted, here are {len(answer)}.")
    keys = [_bearer(response) for response in answer]
    if len(set(keys)) != 3 or "" in keys:
        return wrong("three different keys are to be tried. Were the keys fetched anew after regenerating?")
    statuses = [response.status_code for response in answer]
    if statuses[0] == 200:
        return wrong("the leaked key still opens the door. Which of the two was regenerated?")
    if statuses[1:] != [200, 200]:
        return wrong(f"the answers were {statuses}; the primary and the new secondary key should be let in.")
    if statuses[0] != 401:
        return wrong(f"the leaked key got {statuses[0]}; an old key gets 401. What else was different?")
    return right("the secondary key is new, and who used the primary key noticed nothing.")


@exercise("deploy_with_keys/worth_retrying", "Write a function of a status that returns True or False.")
def worth_retrying(answer: Any) -> CheckResult:
    """Accept a function that retries what passes by itself (429, 503) and nothing that does not."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    # Left open: 408, for a request that is slow each time is not made faster; and 500, which may be a bug of Azure's.
    expected = {200: False, 401: False, 404: False, 424: False, 429: True, 503: True}
    for status, retry in expected.items():
        if bool(answer(status)) != retry:
            told = "is not retried" if retry else "is sent again"
            return wrong(f"with your function a request that got {status} {told}. What would change by itself?")
    return right("busy and unavailable pass by; a wrong key or a bug stays until someone mends it.")
