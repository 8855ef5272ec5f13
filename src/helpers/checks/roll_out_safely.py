"""The exercises of *Roll out safely*."""

from __future__ import annotations

from collections import Counter
from typing import Any

import requests

from helpers.verdicts import CheckResult, exercise, right, wrong

DEPLOYMENT = "azureml-model-deployment"
FEWEST_RESPONSES = 30
VERDICTS = ("promote", "wait", "roll back")


@exercise("roll_out_safely/canary_share", "Write a function; it may try one share after another.")
def canary_share(answer: Any) -> CheckResult:
    """Accept a function that returns the smallest whole percentage that is enough, and None where none is."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    expected = {
        (100, 10, 100): 10,
        (60, 10, 100): 17,
        (1000, 60, 100): 1,
        (10, 10, 100): 100,
        (5, 10, 100): None,
        (29, 10, 203): 70,
    }
    for (per_minute, minutes, wanted), share in expected.items():
        found = answer(per_minute, minutes, wanted)
        if found != share:
            case = f"{per_minute} requests a minute for {minutes} minutes, {wanted} wanted: yours says {found}"
            if share is None or found is None:
                return wrong(f"{case}. Of {per_minute * minutes} requests, are {wanted} to be had?")
            got = found * per_minute * minutes / 100
            return wrong(f"{case}, which gives {got:g}. Whole percents, as few as possible, and not fewer.")
    return right("now you know how long a canary takes before you begin.")


@exercise("roll_out_safely/roll_back", "Which shares should green and blue have? Use `split`; then `helpers.score`.")
def roll_back(answer: Any) -> CheckResult:
    """Accept thirty responses that came by the traffic rules, all of them green's."""
    if not isinstance(answer, list | tuple) or not all(isinstance(one, requests.Response) for one in answer):
        return wrong("a list of responses is wanted.")
    if len(answer) < FEWEST_RESPONSES:
        return wrong(f"{FEWEST_RESPONSES} responses are wanted, here are {len(answer)}.")
    if any(DEPLOYMENT in response.request.headers for response in answer):
        return wrong("you have asked a deployment by name. Customers do not: what do they get?")
    by = Counter(response.headers.get(DEPLOYMENT, "nobody") for response in answer)
    if set(by) != {"green"}:
        return wrong(f"they were answered by {dict(by)}. Who is to get all the traffic?")
    statuses = Counter(response.status_code for response in answer)
    if set(statuses) != {200}:
        return wrong(f"green answered, but with the statuses {dict(statuses)}. Did you send `request`?")
    return right("every customer is back with the version that works.")


def _counted(requests: int, failed: int, p95_ms: float = 40.0) -> dict[str, float]:
    return {"requests": requests, "failed": failed, "p95_ms": p95_ms}


# What was counted of the new deployment beside 1,000 requests of the old, of which 10 failed; and what is to be done.
PROMOTIONS = (
    (_counted(500, 5), "promote", "it fails no more often than the old one"),
    (_counted(99, 0), "wait", "99 requests are too few"),
    (_counted(100, 0), "promote", "100 requests are enough"),
    (_counted(20, 5), "roll back", "a quarter fails: more requests need not be waited for"),
    (_counted(20, 4), "wait", "4 failures are too few to judge by, and so are 20 requests"),
    (_counted(500, 30), "roll back", "6 percent fail, against 1"),
    (_counted(1000, 19), "promote", "0.9 percentage points more are within the rule"),
    (_counted(500, 0, 61.0), "roll back", "it is more than 1.5 times as slow"),
    (_counted(500, 0, 60.0), "promote", "1.5 times as slow is within the rule"),
    (_counted(50, 0, 90.0), "wait", "a p95 of 50 requests says little"),
    (_counted(0, 0, 0.0), "wait", "it has had no request yet"),
)


@exercise("roll_out_safely/promote", 'Write a function that returns "promote", "wait" or "roll back", rule by rule.')
def promote(answer: Any) -> CheckResult:
    """Accept a function that decides by the four rules, in their order."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for new, verdict, why in PROMOTIONS:
        found = answer(_counted(1000, 10), dict(new))
        if found not in VERDICTS:
            return wrong(f"{found!r} is none of {', '.join(VERDICTS)}.")
        if found != verdict:
            return wrong(f"with {new} against 10 failures in 1000 it says {found!r}; but {why}.")
    if answer(_counted(1000, 100), _counted(500, 50)) != "promote":
        return wrong("where one in ten fails in both, the new one is not worse: compare it with the old one.")
    return right("nobody has to be brave at night.")
