"""The exercises of *Autoscale a deployment*."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from helpers.verdicts import CheckResult, exercise, right, wrong

# What the lesson shows of each evaluation, the cause, and what tells it.
CAUSES = {
    "a": ("cooldown", "the last scale action was two minutes ago, and five have to pass"),
    "b": ("flapping", "the rule to scale in is met, and its projection is above what scales out"),
    "c": ("no data", "nothing was measured: no rule can be met, and nothing is taken away"),
    "d": ("maximum", "the rule to scale out is met, and there are as many instances as there may be"),
}
WORDS = frozenset(cause for cause, _ in CAUSES.values())
WEEKDAYS = {"monday", "tuesday", "wednesday", "thursday", "friday"}
# Names of the zone in which Amsterdam lies: Windows', which Azure wants, and the IANA's, which it does not know.
ZONE, NO_ZONE = "w. europe standard time", "europe/amsterdam"


@exercise("autoscale_a_deployment/causes", 'Write a dictionary: {"a": one of the four causes, "b": ...}.')
def causes(answer: Any) -> CheckResult:
    """Accept the four causes, in any case."""
    if not isinstance(answer, Mapping):
        return wrong(f"a dictionary is wanted, this is of type {type(answer).__name__}.")
    found = {str(name).lower(): str(cause).strip().lower() for name, cause in answer.items()}
    for name, (cause, why) in CAUSES.items():
        if name not in found:
            return wrong(f"evaluation {name} is missing.")
        if found[name] not in WORDS:
            return wrong(f"{name}: {found[name]!r} is none of {', '.join(sorted(WORDS))}.")
        if found[name] != cause:
            return wrong(f"{name} is not {found[name]}: {why}.")
    return right("you can read what autoscale thinks.")


def _flaps(scale_out_above: float, below: float, minimum: int) -> int | None:
    """Return at how many instances a load just below the threshold flaps; None where at none of up to 50."""
    almost = below * (1 - 1e-9)
    return next((n for n in range(minimum + 1, 51) if almost * n / (n - 1) > scale_out_above), None)


@exercise("autoscale_a_deployment/scale_in_below", "Write a function; which number of instances is the worst case?")
def scale_in_below(answer: Any) -> CheckResult:
    """Accept a function that returns the highest threshold that never flaps, wherever it is met."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for above, minimum in ((70, 1), (60, 2), (90, 9), (3.0, 1), (75, 4)):
        best = above * minimum / (minimum + 1)
        found = answer(above, minimum)
        if not isinstance(found, int | float):
            return wrong(f"for {above} and {minimum} it returns a {type(found).__name__}; a number is wanted.")
        case = f"out above {above}, at least {minimum}, in below {found:g}"
        count = _flaps(above, found - 1e-6, minimum)
        if count:
            load = found * count / (count - 1)
            return wrong(f"{case}: {count} instances at almost {found:g} are {count - 1} at {load:g}, and flap.")
        if not math.isclose(found, best, rel_tol=1e-3):
            return wrong(f"{case} does not flap, but a higher threshold would not either: find the highest.")
    return right("with a margin like that, what is taken away is not missed.")


@exercise("autoscale_a_deployment/mornings", "Begin with `profile(...)`; then give it a `recurrence`.")
def mornings(answer: Any) -> CheckResult:
    """Accept a profile of 2 to 4 instances that begins at 8:30 of each working day, as the zone's clocks show it."""
    for name in ("capacity", "recurrence", "rules"):
        if not hasattr(answer, name):
            return wrong(f"an AutoscaleProfile is wanted, this is of type {type(answer).__name__}.")
    least, most = _limits(answer.capacity)
    if (least, most) != ("2", "4"):
        return wrong(f"it has {least} to {most} instances; 2 to 4 are wanted.")
    if answer.rules:
        return wrong(f"it has rules: {len(answer.rules)}. Here the limits alone are to act.")
    if getattr(answer, "fixed_date", None):
        return wrong("it has a fixed date: that comes once. What comes each week?")
    if answer.recurrence is None:
        return wrong("it has no recurrence: so it is the default profile, and always there.")
    return _judge_schedule(answer.recurrence)


def _limits(capacity: Any) -> tuple[str, str]:
    if isinstance(capacity, Mapping):
        return str(capacity["minimum"]), str(capacity["maximum"])
    return str(capacity.minimum), str(capacity.maximum)


def _judge_schedule(recurrence: Any) -> CheckResult:
    if str(getattr(recurrence.frequency, "value", recurrence.frequency)).lower() != "week":
        return wrong(f"its frequency is {recurrence.frequency}; Azure Monitor takes Week only, and then the days.")
    schedule = recurrence.schedule
    days = {str(day).lower() for day in schedule.days}
    if days != WEEKDAYS:
        return wrong(f"it begins on {', '.join(sorted(days)) or 'no day'}; Monday to Friday are wanted.")
    if (list(schedule.hours), list(schedule.minutes)) != ([8], [30]):
        return wrong(f"it begins at the hours {schedule.hours} and minutes {schedule.minutes}; 8:30 is wanted.")
    zone = str(schedule.time_zone).lower()
    if zone == NO_ZONE:
        return wrong("Azure Monitor names time zones as Windows does: W. Europe Standard Time.")
    if zone != ZONE:
        return wrong(f"the time zone is {schedule.time_zone}; in summer that is not the theatre's clock.")
    return right("and in the evening? It goes on until another recurring profile begins.")


@exercise("autoscale_a_deployment/instance_hours", "Write a function; one hour after another.")
def instance_hours(answer: Any) -> CheckResult:
    """Accept a function that adds up the instances of each hour, within the limits."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for asked, per_instance, minimum, maximum, hours in (
        ([1, 1, 1], 3, 1, 9, 3),
        ([3, 4, 6, 7], 3, 1, 9, 8),
        ([0, 0], 3, 1, 9, 2),
        ([0, 9], 3, 2, 9, 5),
        ([30, 2], 3, 1, 4, 5),
    ):
        found = answer(list(asked), per_instance, minimum, maximum)
        if found != hours:
            case = f"{asked} requests a second, {per_instance} for an instance, {minimum} to {maximum} instances"
            return wrong(f"{case}: yours says {found}, it is {hours}.")
    return right("so you can say what a profile costs before it runs.")
