"""Right and wrong answers to the exercises of *Build a batch pipeline* and *Publish a pipeline*."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from azure.ai.ml import Input, dsl, load_component
from azure.ai.ml.constants import TimeZone
from azure.ai.ml.entities import CronTrigger, JobSchedule, RecurrencePattern, RecurrenceTrigger

FOLDER = Path(__file__).parents[2] / "notebooks" / "03_batch" / "late_flights"
PREPARE, SCORE, COLLECT = (load_component(FOLDER / step / "component.yml") for step in ("prepare", "score", "collect"))
PLAN = Input(type="uri_file", path="azureml:plan:1")
MODEL = Input(type="custom_model", path="azureml:model:1")
STEPS = {"prepared", "scored", "counted", "collected"}
AGAIN = {
    "threshold": {"collected"},
    "model": {"scored", "collected"},
    "count": {"counted", "collected"},
    "plan": STEPS,
    "label": set(),
}
CHOICES = {"forms": "model", "gate": "online", "crews": "pipeline", "mlflow": "model", "what_if": "pipeline"}
WEEKEND = {"flights": 3298, "scored": 3298, "late": 947}
WORST = {"flights": 3298, "scored": 3298, "late": 69}
NEW_YORK = "Eastern Standard Time"
WORKING_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday"]


# Arguments of a function under dsl.pipeline have no annotations: each would be read as a type of input.
@dsl.pipeline
def two_models(plan, old, new):  # type: ignore[no-untyped-def]
    prepared = PREPARE(plan=plan, first_day="2013-07-01")
    first = SCORE(flights=prepared.outputs.flights, model=old)
    second = SCORE(flights=prepared.outputs.flights, model=new)
    first_report = COLLECT(flights=prepared.outputs.flights, scores=first.outputs.scores)
    second_report = COLLECT(flights=prepared.outputs.flights, scores=second.outputs.scores)
    return {"old_report": first_report.outputs.report, "new_report": second_report.outputs.report}


@dsl.pipeline
def named_otherwise(new, night, old):  # type: ignore[no-untyped-def]
    cleaned = PREPARE(plan=night, first_day="2013-07-01", days=3)
    b = SCORE(flights=cleaned.outputs.flights, model=new)
    a = SCORE(flights=cleaned.outputs.flights, model=old)
    d = COLLECT(flights=cleaned.outputs.flights, scores=b.outputs.scores, threshold=0.3)
    c = COLLECT(flights=cleaned.outputs.flights, scores=a.outputs.scores, threshold=0.3)
    return {"new_report": d.outputs.report, "old_report": c.outputs.report}


@dsl.pipeline
def crossed(plan, old, new):  # type: ignore[no-untyped-def]
    prepared = PREPARE(plan=plan, first_day="2013-07-01")
    first = SCORE(flights=prepared.outputs.flights, model=old)
    second = SCORE(flights=prepared.outputs.flights, model=new)
    first_report = COLLECT(flights=prepared.outputs.flights, scores=first.outputs.scores)
    second_report = COLLECT(flights=prepared.outputs.flights, scores=second.outputs.scores)
    return {"old_report": second_report.outputs.report, "new_report": first_report.outputs.report}


@dsl.pipeline
def prepared_twice(plan, old, new):  # type: ignore[no-untyped-def]
    reports = {}
    for name, model in (("old", old), ("new", new)):
        prepared = PREPARE(plan=plan, first_day="2013-07-01")
        scored = SCORE(flights=prepared.outputs.flights, model=model)
        collected = COLLECT(flights=prepared.outputs.flights, scores=scored.outputs.scores)
        reports[f"{name}_report"] = collected.outputs.report
    return reports


@dsl.pipeline
def one_report(plan, old, new):  # type: ignore[no-untyped-def]
    prepared = PREPARE(plan=plan, first_day="2013-07-01")
    first = SCORE(flights=prepared.outputs.flights, model=old)
    SCORE(flights=prepared.outputs.flights, model=new)
    collected = COLLECT(flights=prepared.outputs.flights, scores=first.outputs.scores)
    return {"old_report": collected.outputs.report}


@dsl.pipeline
def scored_once(plan, old, new):  # type: ignore[no-untyped-def]
    prepared = PREPARE(plan=plan, first_day="2013-07-01")
    first = SCORE(flights=prepared.outputs.flights, model=old)
    first_report = COLLECT(flights=prepared.outputs.flights, scores=first.outputs.scores)
    second_report = COLLECT(flights=prepared.outputs.flights, scores=first.outputs.scores)
    return {"old_report": first_report.outputs.report, "new_report": second_report.outputs.report}


def _job(pipeline: Callable[..., Any], **inputs: Any) -> Any:
    return pipeline(old=MODEL, new=MODEL, **inputs)


def _weekly(**changed: Any) -> RecurrenceTrigger:
    pattern = {"week_days": WORKING_DAYS, "hours": 1, "minutes": 30, **changed}
    return RecurrenceTrigger(frequency="week", interval=1, schedule=RecurrencePattern(**pattern), time_zone=NEW_YORK)


def _cron(expression: str, time_zone: str = NEW_YORK) -> CronTrigger:
    return CronTrigger(expression=expression, time_zone=time_zone)


RIGHT: dict[str, list[object]] = {
    "build_a_batch_pipeline/known": [{"a", "c", "e", "g"}, ["G", "e", "c", "a"], "a, c, e, g", "aceg"],
    "build_a_batch_pipeline/side_by_side": [_job(two_models, plan=PLAN), _job(named_otherwise, night=PLAN)],
    "build_a_batch_pipeline/again_after": [
        AGAIN,
        {**AGAIN, "label": {}, "plan": list(STEPS), "model": ("scored", "collected")},
        {**AGAIN, "threshold": "collected"},
    ],
    "build_a_batch_pipeline/weekend": [WEEKEND, {**WEEKEND, "late": 990, "late_by_airport": {}}],
    "publish_a_pipeline/choices": [CHOICES, {key: value.upper() for key, value in CHOICES.items()}],
    "publish_a_pipeline/worst": [WORST, {**WORST, "late": 112}],
    "publish_a_pipeline/weekdays": [
        _cron("30 1 * * 1-5"),
        _cron("30 01 * * mon-fri"),
        _cron("30 1 * * 1,2,3,4,5"),
        _cron("30 1 * * 1-5", TimeZone.EASTERN_STANDARD_TIME),
        _weekly(),
        _weekly(hours=[1], minutes=[30], week_days=[day.title() for day in reversed(WORKING_DAYS)]),
    ],
}
WRONG: dict[str, list[tuple[object, str]]] = {
    "build_a_batch_pipeline/known": [
        ({"a", "b", "c", "e", "g"}, "column b leaks"),
        ({"a", "c", "d", "e", "g"}, "there is only a forecast"),
        ({"a", "c", "e", "f", "g"}, "has not begun"),
        ({"a", "c", "g"}, "column e may be used, too"),
        ({"a", "h"}, "h is none of the columns"),
        (7, "of type int"),
    ],
    "build_a_batch_pipeline/side_by_side": [
        (_job(crossed, plan=PLAN), "back from old_report"),
        (_job(prepared_twice, plan=PLAN), "prepared 2 times"),
        (_job(one_report, plan=PLAN), "no output new_report"),
        (_job(scored_once, plan=PLAN), "no input new"),
        (two_models, "Call it with its inputs"),
        ("two_models", "of type str"),
    ],
    "build_a_batch_pipeline/again_after": [
        ({**AGAIN, "threshold": STEPS}, "counted gets the same inputs as before"),
        ({**AGAIN, "model": {"scored"}}, "model: collected cannot be reused"),
        ({**AGAIN, "label": STEPS}, "label: collected gets the same"),
        ({**AGAIN, "plan": {"prepare"}}, "plan: a set of some of"),
        ({"threshold": {"collected"}}, "the change model is missing"),
        ([], "a dictionary is wanted"),
    ],
    "build_a_batch_pipeline/weekend": [
        ({**WEEKEND, "late": 293}, "9% are announced as late, too few"),
        ({**WEEKEND, "late": 1438}, "too many"),
        ({"flights": 12951, "scored": 12951, "late": 3700}, "there are 3298"),
        ({**WEEKEND, "scored": 3000}, "only 3000 of 3298"),
        ("summary.json", "as a dictionary"),
    ],
    "publish_a_pipeline/choices": [
        ({**CHOICES, "forms": "pipeline"}, "which of the two has no steps"),
        ({**CHOICES, "gate": "model"}, "How long does a job take to start"),
        ({**CHOICES, "what_if": "model"}, "literals of their own"),
        ({**CHOICES, "crews": "schedule"}, "is none of pipeline, model, online"),
        ({"forms": "model"}, "gate is missing"),
        ("model", "a dictionary is wanted"),
    ],
    "publish_a_pipeline/worst": [
        ({**WORST, "late": 293}, "too many for 0.5"),
        ({**WORST, "late": 0}, "too high"),
        ({"flights": 12951, "scored": 12951, "late": 300}, "there are 3298"),
        ([WORST], "as a dictionary"),
    ],
    "publish_a_pipeline/weekdays": [
        (_cron("1 30 * * 1-5"), "the minute comes first"),
        (_cron("30 13 * * 1-5"), "minute 30 of hour 13"),
        (_cron("30 1 * * *"), "not Monday to Friday"),
        (_cron("30 1 * * 0-4"), "0 is Sunday"),
        (_cron("30 1 1 * 1-5"), "day of the month"),
        (_cron("30 1 * *"), "this one 4"),
        (_cron("30 1 * * 1-5", "UTC"), "time zone is UTC"),
        (_weekly(week_days=WORKING_DAYS[:4]), "Monday to Friday are wanted"),
        (_weekly(hours=[1, 2]), "of the hours [1, 2]"),
        (RecurrenceTrigger(frequency="day", interval=1, time_zone=NEW_YORK), "a frequency of a week"),
        (JobSchedule(name="s", trigger=_cron("30 1 * * 1-5"), create_job="x"), "its trigger alone"),
        ("30 1 * * 1-5", "a trigger is wanted"),
    ],
}
