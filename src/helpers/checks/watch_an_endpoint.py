"""The exercises of *Watch an endpoint*."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from helpers.verdicts import CheckResult, exercise, right, wrong

FEATURES = ("radius", "texture", "smoothness", "compactness", "concavity", "symmetry")
DRIFTED = "symmetry"
LEFT_OUT = {"ward-7": "mean concavity", "lab-3": "mean smoothness", "desk-1": "mean symmetry"}
SUCCEEDED = 50  # requests of a week and more: so many have not failed
REQUESTS, KILOBYTES, MOST_KILOBYTES, LEAST_AN_HOUR = 2_000_000, 2, 1_000_000, 1_000  # a day, each; a day; an hour


@exercise("watch_an_endpoint/third_week", "Let `helpers.drift` compare, and keep what is past Azure's threshold.")
def third_week(answer: Any) -> CheckResult:
    """Accept the one feature whose spread has doubled, in whatever holds it."""
    import pandas as pd

    named = answer.index if isinstance(answer, pd.Series | pd.DataFrame) else answer
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, Iterable):
        return wrong(f"a list of names is wanted, this is of type {type(answer).__name__}.")
    found = {str(name).lower().removeprefix("mean ") for name in names}
    if unknown := found - set(FEATURES):
        return wrong(f"{sorted(unknown)[0]!r} is none of the features of `train_x`.")
    if found == {DRIFTED}:
        return right("its mean is where it was; its values are spread twice as wide. Only the distribution tells.")
    if DRIFTED not in found:
        return wrong("one is missing, whose mean has not moved at all. Do not compare means, compare distributions.")
    return wrong("one is past the threshold by far; the others have moved less than 0.1, as by chance.")


@exercise("watch_an_endpoint/failures", "Begin with `ask_logs`: a `where`, then a `summarize ... by DeploymentName`.")
def failures(answer: Any) -> CheckResult:
    """Accept a table that counts the failures of ``blue``, and of no deployment, whatever its columns are called."""
    import pandas as pd

    if not isinstance(answer, pd.DataFrame):
        return wrong(f"the table is wanted that `ask_logs` returns; this is of type {type(answer).__name__}.")
    named = next((name for name in answer if set(answer[name]) <= {"blue", ""}), None)
    counts = answer.select_dtypes("number")
    if named is None or counts.empty:
        return wrong("a column of deployments and one of counts are wanted: `summarize count() by DeploymentName`.")
    failed = counts.iloc[:, -1].groupby(answer[named]).sum().to_dict()
    if failed.get("blue", 0) >= SUCCEEDED:
        return wrong("this counts every request, also those that went well. A `where` keeps what failed.")
    if "blue" not in failed:
        return wrong("the model has failed three times; `blue` is missing.")
    if "" not in failed:
        return wrong("some failed before a deployment was chosen. Which status did they get, and is it left out?")
    return right(f"{failed['blue']} for the model's owner, {failed['']} for whoever gives out the keys.")


@exercise("watch_an_endpoint/ward_7", "Begin with the traffic log: `where XMSClientRequestId == 'ward-7'`.")
def ward_7(answer: Any) -> CheckResult:
    """Accept the measurement that the console log names for ``ward-7``."""
    if not isinstance(answer, str):
        return wrong(f"a name is wanted, this is of type {type(answer).__name__}.")
    named = [feature for feature in FEATURES if feature in answer.lower()]  # also in the error's own words
    name = f"mean {' '.join(named)}"
    other = next((caller for caller, left_out in LEFT_OUT.items() if left_out == name), None)
    if other == "ward-7":
        return right("without the id it would have been one KeyError among others.")
    if other:
        return wrong(f"that is what {other} left out. Is the line in the console log the one with ward-7's id?")
    return wrong(f"{answer!r} stands in no line of the console log. Which measurement does the KeyError name?")


@exercise("watch_an_endpoint/economical", "As in the lesson: `DataCollector(collections=..., sampling_rate=...)`.")
def economical(answer: Any) -> CheckResult:
    """Accept a collector of ``model_inputs`` alone whose share is enough and not too much, rolled by the hour."""
    from azure.ai.ml.entities import DataCollector

    if not isinstance(answer, DataCollector):
        return wrong(f"a `DataCollector` is wanted, this is of type {type(answer).__name__}.")
    enabled = [name for name, one in answer.collections.items() if str(one.enabled).lower() == "true"]
    if enabled != ["model_inputs"]:
        return wrong(f"enabled is {enabled}; `model_inputs`, and nothing else, is wanted.")
    if str(answer.rolling_rate or "hour").lower() != "hour":
        return wrong(f"with rolling_rate={answer.rolling_rate!r} there is no new file each hour.")
    rate = 1.0 if answer.sampling_rate is None else answer.sampling_rate
    if not 0 <= rate <= 1:
        return wrong(f"sampling_rate is {rate:g}; it is a share, from 0.0 to 1.0.")
    if (kilobytes := REQUESTS * KILOBYTES * rate) > MOST_KILOBYTES:
        return wrong(f"{rate:g} of the requests fills {kilobytes / 1e6:.1f} GB a day.")
    if (hourly := REQUESTS / 24 * rate) < LEAST_AN_HOUR:
        return wrong(f"{rate:g} of the requests is {hourly:.0f} rows an hour: too few to see drift in.")
    return right(f"{hourly:.0f} rows an hour, {kilobytes / 1e6:.2f} GB a day.")
