"""The exercises of *Configure a deployment: settings one by one*."""

from __future__ import annotations

import json
from typing import Any

from helpers.folders import lesson_folder
from helpers.loads import Load
from helpers.verdicts import CheckResult, exercise, right, wrong

# Requests a second, seconds each, concurrency, utilization, and how many instances they need. The first is Microsoft's
# example: https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#how-to-calculate-instance-count
NEEDED = (
    (20, 10, 1, 0.7, 286),
    (10, 0.1, 1, 0.7, 2),
    (100, 0.05, 4, 0.7, 2),
    (10, 0.1, 1, 1.0, 1),
    (1, 0.1, 1, 0.7, 1),
)


@exercise("configure_a_deployment/instances", "Write a function of three numbers and a share that returns a number.")
def instances(answer: Any) -> CheckResult:
    """Accept a function that computes as Microsoft does, rounded up."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for per_second, seconds, concurrency, utilization, needed in NEEDED:
        found = answer(per_second, seconds, concurrency, utilization)
        if found == needed:
            continue
        case = f"{per_second} requests a second of {seconds} s each, {concurrency} at once, utilization {utilization}"
        if found != round(found):
            return wrong(f"{case}: {found:g} instances. There are no parts of one; which whole number is enough?")
        return wrong(f"{case}: {needed} are needed, your function says {found:g}.")
    if answer(10, 0.1, 1) != answer(10, 0.1, 1, 0.7):
        return wrong("called with three numbers, it should take 0.7 for the utilization.")
    return right("and Microsoft's own example needs 286 of them: a slow model is an expensive one.")


LOADING, SLOWEST = 480, 20  # seconds


@exercise(
    "configure_a_deployment/heavy", "Begin with the deployment at the top; leave out model, code and environment."
)
def heavy(answer: Any) -> CheckResult:
    """Accept a deployment whose machine, workers, places, time-out and probes fit the model and each other."""
    from azure.ai.ml.entities import ManagedOnlineDeployment

    if not isinstance(answer, ManagedOnlineDeployment):
        return wrong(f"a `ManagedOnlineDeployment` is wanted, this is of type {type(answer).__name__}.")
    trouble = _machine(answer) or _places(answer) or _waiting(answer) or _probes(answer)
    if trouble:
        return wrong(trouble)
    return right("four processors, four workers, four places, and time enough for who waits behind another.")


def _machine(deployment: Any) -> str | None:
    import pandas as pd

    sizes = pd.read_csv(lesson_folder("01_compute") / "vm_sizes.csv", comment="#", index_col="name")
    sizes.index = sizes.index.str.lower()
    name = str(deployment.instance_type).lower()
    if name not in sizes.index:
        return f"`instance_type` is {deployment.instance_type}, which is not in vm_sizes.csv."
    size = sizes.loc[name]
    if size.vcpus != 4 or size.memory < 8:
        return f"{deployment.instance_type} has {size.vcpus} processors and {size.memory:g} GiB of memory."
    if (deployment.instance_count or 1) < 2:
        return "with a single instance nothing is left to answer when it fails."
    return None


def _places(deployment: Any) -> str | None:
    workers = str((deployment.environment_variables or {}).get("WORKER_COUNT", "1"))
    places = getattr(deployment.request_settings, "max_concurrent_requests_per_instance", None) or 1
    if workers != "4":
        return f"{workers} of the four processors can be used at once: each worker is a process, and does one thing."
    if places != 4:
        return f"there are 4 workers, and each instance is given {places} requests at once."
    return None


def _waiting(deployment: Any) -> str | None:
    allowed = (getattr(deployment.request_settings, "request_timeout_ms", None) or 5000) / 1000
    if allowed < SLOWEST:
        return f"a document takes up to {SLOWEST} seconds, and after {allowed:g} the caller gets 408."
    if allowed < 2 * SLOWEST:
        return (
            f"two requests are let in for each place. When does the second begin, and when is it done? {allowed:g} s?"
        )
    return None if allowed <= 180 else f"{allowed:g} seconds are more than a managed endpoint allows."


def _probes(deployment: Any) -> str | None:
    for name in ("readiness_probe", "liveness_probe"):
        probe = getattr(deployment, name)
        delay, period, failures = (
            getattr(probe, setting, None) or default
            for setting, default in (("initial_delay", 10), ("period", 10), ("failure_threshold", 30))
        )
        if delay + period * failures < LOADING:
            return f"loading takes up to {LOADING} seconds; `{name}` gives up after {delay + period * failures}."
    return None


CLIENTS = 3  # of the load


@exercise("configure_a_deployment/calm", "Begin with the load of the section *How many instances*, with three clients.")
def calm(answer: Any) -> CheckResult:
    """Accept a load without a failure that few workers answered at first and at least three in the end."""
    if not isinstance(answer, Load):
        return wrong(f"the load itself is wanted, what `as` names; this is of type {type(answer).__name__}.")
    answers = answer.answers
    if answer.failed:
        return wrong(f"{answer.failed} requests failed: {answer.statuses}. How many clients are there?")
    if len(answers) < 20:
        return wrong(f"only {len(answers)} requests were sent: let it go on after the change.")
    workers = answers.answer.map(lambda text: json.loads(text)["worker"])
    late = workers[answers.seconds > answers.seconds.max() - 1].nunique()
    if late < 3:
        return wrong(f"in the last second {late} workers answered. Did the load go on after the update had ended?")
    if workers.head(CLIENTS).nunique() >= CLIENTS:  # their first requests were sent before an instance could start
        return wrong("there were three instances from the beginning: scale to one first, without a load.")
    return right(f"{len(answers)} requests, and none of them has noticed that the service grew.")
