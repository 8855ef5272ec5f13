"""The exercises of *The clinic: eight broken deployments*: a patient each, its cause and the proof of its cure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests

from helpers.verdicts import CheckResult, exercise, right, wrong

CULTIVARS = [0, 1, 2]  # of the three wines that are asked for
# What speaks against each cause, where it is not the right one.
AGAINST = {
    "import error": "that is a name which a file of the script's own lacks. Which name is missing here, if any?",
    "missing package": "that is `No module named ...`, at the start. Does the log say so?",
    "wrong model path": "that is `FileNotFoundError`, in `init`. Was the model not found?",
    "slow init": "that is a start which is given up, without an error. Did it start in time? Was there an error?",
    "crash in run": "that is an error that the script raises while it works. Which line of which file raised this one?",
    "memory": "that is `MemoryError`, or `OOMKilled` in the events. Is either of them there?",
    "bad probe": "that is an instance which was ended while it did what it should. Who ended this one, and at what?",
    "wrong output type": "that is an answer that cannot become JSON. Was there an answer to be sent?",
}
LEARNT = {
    "dov": ("missing package", "what is not in the conda file is not in the image, whatever your own machine has."),
    "eva": ("slow init", "`init` is for what each answer needs; everything else belongs before the deployment."),
    "finn": ("memory", "the log named the size, and arithmetic does the rest: 5,000,000 squared times 8 bytes."),
    "gus": (
        "bad probe",
        "a busy worker answers no probe: each long answer cost a restart, and 424 for whoever came meanwhile.",
    ),
    "hana": ("wrong output type", "`tolist()`; in a test on your machine, `json.dumps(run(...))` would have said so."),
}


def _answer(patient: str, response: Any) -> str | None:
    """Say why a response does not prove the patient's cure; None where it does."""
    if not isinstance(response, requests.Response):
        return f"what `cured` returns is wanted, the response; this is of type {type(response).__name__}."
    asked = response.request.headers.get("azureml-model-deployment")
    if asked != patient:
        return f"that is an answer of {asked or 'whoever has the traffic'}, not of {patient}."
    if response.status_code != requests.codes.ok:
        return f"{patient} answered {response.status_code}: not yet cured."
    if response.json() != CULTIVARS:
        return f"{patient} answers, but the wines are of the cultivars {CULTIVARS}, not {str(response.json())[:100]}."
    return None


def _judge(patient: str) -> Callable[[Any], CheckResult]:
    cause, learnt = LEARNT[patient]

    def judge(answer: Any) -> CheckResult:
        """Accept the right cause together with a right answer of the patient's."""
        if not isinstance(answer, list | tuple) or len(answer) != 2:
            return wrong('a pair is wanted: a cause, and a response, as in ("import error", cured("ada")).')
        named = str(answer[0]).strip().lower().replace("_", " ")
        if named not in AGAINST:
            return wrong(f'"{answer[0]}" is none of {", ".join(AGAINST)}.')
        if trouble := _answer(patient, answer[1]):
            return wrong(trouble)
        return right(learnt) if named == cause else wrong(f"{patient} is cured, but {named}? {AGAINST[named]}")

    return judge


for _patient in LEARNT:
    exercise(
        f"deployment_clinic/{_patient}",
        "Look at the log, mend, `readmit`; then a pair of cause and answer, as shown for Ada.",
    )(_judge(_patient))
