"""The exercises of *Create and publish a batch inference pipeline*."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helpers.verdicts import CheckResult, exercise, right, wrong

WAYS = ("real-time", "batch", "both")
NEEDS = {
    "gate": ("real-time", "a passenger waits for the answer; how long does a job take to begin?"),
    "month": ("batch", "27,000 rows once a month, and nobody waits: what does a machine cost that waits all month?"),
    "audit": ("batch", "two years of flights, once. Would you send them through a web service, request by request?"),
    "rebook": ("real-time", "one flight each few seconds, and what follows depends on the answer."),
    "crews": ("both", "the plan for tomorrow is scored in the evening; what of a flight that is added at noon?"),
}
BAD_COLUMN = "distance"
NEW, OLD = "version-2", "version-1"
GAP = float("nan")  # of a flight that never arrived it is not known whether it was late
# What happened, the probabilities of either version, which is to be the default, and why.
FORECASTS = [
    ([1, 0, 1, 0], [0.5, 0.5, 0.5, 0.5], [0.8, 0.2, 0.7, 0.3], NEW, "the new one is nearer to the truth each time"),
    ([1, 0, 1, 0], [0.8, 0.2, 0.7, 0.3], [0.5, 0.5, 0.5, 0.5], OLD, "the old one is nearer to the truth each time"),
    ([0, 0, 0, 1], [0.4, 0.4, 0.4, 0.4], [0.1, 0.1, 0.2, 0.45], NEW, "none is over 0.5, and yet they differ"),
    ([1, 0, GAP, GAP], [0.6, 0.4, 0.9, 0.9], [0.7, 0.3, 0.1, 0.1], NEW, "two of the flights never arrived"),
    ([1, 0, 1, 0], [0.7, 0.3, 0.7, 0.3], [0.7, 0.3, 0.7, 0.3], OLD, "both are equal, and a change wants a reason"),
]


@exercise("batch_inference_pipeline/ways", 'Write a dictionary such as {"gate": "batch", ...}, with the five keys.')
def ways(answer: Any) -> CheckResult:
    """Accept for each need the inference pipeline that serves it."""
    if not isinstance(answer, Mapping):
        return wrong(f"a dictionary is wanted, this is of type {type(answer).__name__}.")
    for need, (expected, hint) in NEEDS.items():
        if need not in answer:
            return wrong(f"{need} is missing.")
        chosen = str(answer[need]).strip().lower().replace("realtime", "real-time").replace("real time", "real-time")
        if chosen not in WAYS:
            return wrong(f"{need}: {answer[need]} is none of {', '.join(WAYS)}.")
        if chosen != expected:
            return wrong(f"{need}: {hint}")
    return right("who waits, and how many rows come at once: the model is the same in both.")


@exercise("batch_inference_pipeline/bad_column", "Invoke the endpoint with `partner`; then read the failed step's log.")
def bad_column(answer: Any) -> CheckResult:
    """Accept the column that the log names, alone or in the sentence of the log."""
    if isinstance(answer, list | tuple | set) and len(answer) > 1:
        return wrong("these are several columns. The failed step stops at the first, and names that one.")
    said = str(answer)
    if "is not there" in said:
        return wrong(
            "that is the log of August: a column was missing. Start the pipeline with `partner`, and read its."
        )
    if BAD_COLUMN not in said.lower():
        return wrong(f"{said[:80]!r} is not what the failed step says. Which column does its log name?")
    return right("the log names the column, the row and the value; the file's maker can mend exactly that.")


@exercise("batch_inference_pipeline/better", "Write a function of three columns; `brier_score_loss` wants no gaps.")
def better(answer: Any) -> CheckResult:
    """Accept a function that compares probabilities by the Brier score, over flights that arrived."""
    import pandas as pd

    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for truth, old, new, expected, why in FORECASTS:
        found = answer(pd.Series(truth), pd.Series(old), pd.Series(new))
        if found != expected:
            return wrong(f"it says {found!r} where {expected!r} is right: {why}.")
    return right("measured on flights that neither has learned from, and for the new one only where it is better.")


@exercise("batch_inference_pipeline/rolled_back", "Change `defaults.deployment_name`, as `make_default` does.")
def rolled_back(answer: Any) -> CheckResult:
    """Accept the batch endpoint, with version 1 as its default."""
    default = getattr(getattr(answer, "defaults", None), "deployment_name", None)
    if default is None:
        return wrong(f"the endpoint is wanted, as `batch_endpoints.get` returns it; this is {type(answer).__name__}.")
    if default != OLD:
        return wrong(f"its default is {default}. Has the change been sent, and the endpoint been fetched again?")
    return right("callers get the old answers again with their next request, and version 2 is there to be looked into.")
