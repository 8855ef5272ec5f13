"""Answers to the exercises of *Autoscale a deployment*."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from azure.mgmt.monitor.models import (
    AutoscaleProfile,
    Recurrence,
    RecurrentSchedule,
    ScaleCapacity,
    TimeWindow,
)

CAUSES = {"a": "cooldown", "b": "flapping", "c": "no data", "d": "maximum"}
WORKING_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]


def _profile(capacity: Any = None, **changes: Any) -> AutoscaleProfile:
    """Return a profile as it is wanted, but for some of its schedule."""
    schedule = {"time_zone": "W. Europe Standard Time", "days": WORKING_DAYS, "hours": [8], "minutes": [30]}
    frequency = changes.pop("frequency", "Week")
    recurrence = Recurrence(frequency=frequency, schedule=RecurrentSchedule(**{**schedule, **changes}))
    limits = capacity or {"minimum": "2", "maximum": "4", "default": "2"}
    return AutoscaleProfile(name="mornings", capacity=limits, rules=[], recurrence=recurrence)


def _with_rules() -> AutoscaleProfile:
    made = _profile()
    made.rules = [SimpleNamespace(), SimpleNamespace()]
    return made


def _without_recurrence(**changes: Any) -> AutoscaleProfile:
    made = _profile()
    made.recurrence = None
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def _below(share: Callable[[float], float]) -> Callable[[float, int], float]:
    return lambda above, minimum: above * share(minimum)


def _hours(needed: Callable[[float, float], int], *, lowest: bool = True, highest: bool = True) -> Callable[..., int]:
    def hours(asked: list[float], per_instance: float, minimum: int, maximum: int) -> int:
        counts = [needed(one, per_instance) for one in asked]
        counts = [max(count, minimum) if lowest else count for count in counts]
        return sum(min(count, maximum) if highest else count for count in counts)

    return hours


def _up(asked: float, per_instance: float) -> int:
    return math.ceil(asked / per_instance)


RIGHT: dict[str, list[object]] = {
    "autoscale_a_deployment/causes": [
        CAUSES,
        {name.upper(): cause.title() for name, cause in CAUSES.items()},
        {**CAUSES, "a": " cooldown "},
    ],
    "autoscale_a_deployment/scale_in_below": [
        _below(lambda minimum: minimum / (minimum + 1)),
        lambda scale_out_above, minimum: scale_out_above - scale_out_above / (minimum + 1),
        lambda above, minimum: math.floor(1e6 * above * minimum / (minimum + 1)) / 1e6,
    ],
    "autoscale_a_deployment/mornings": [
        _profile(),
        _profile(days=list(reversed(WORKING_DAYS))),
        _profile(ScaleCapacity(minimum="2", maximum="4", default="3")),
        _profile(time_zone="w. europe standard time", days=[day.lower() for day in WORKING_DAYS]),
    ],
    "autoscale_a_deployment/instance_hours": [
        _hours(_up),
        _hours(lambda asked, each: -int(-asked // each)),
    ],
}

WRONG: dict[str, list[tuple[object, str]]] = {
    "autoscale_a_deployment/causes": [
        ({**CAUSES, "a": "flapping"}, "a is not flapping: the last scale action was two minutes ago"),
        ({**CAUSES, "b": "no data"}, "its projection is above"),
        ({**CAUSES, "c": "cooldown"}, "nothing was measured"),
        ({**CAUSES, "d": "cooldown"}, "as many instances as there may be"),
        ({**CAUSES, "d": "too many"}, "is none of cooldown, flapping, maximum, no data"),
        ({"a": "cooldown"}, "evaluation b is missing"),
        (list(CAUSES.values()), "of type list"),
    ],
    "autoscale_a_deployment/scale_in_below": [
        (lambda above, minimum: above - 1, "and flap"),
        (_below(lambda minimum: 0.5), "find the highest"),
        (_below(lambda minimum: (minimum + 1) / (minimum + 2)), "and flap"),
        (_below(lambda minimum: (minimum - 1) / minimum), "find the highest"),
        (lambda above, minimum: str(above), "returns a str"),
        (35, "of type int"),
    ],
    "autoscale_a_deployment/mornings": [
        (_profile(time_zone="Europe/Amsterdam"), "as Windows does"),
        (_profile(time_zone="UTC"), "not the theatre's clock"),
        (_profile(days=[*WORKING_DAYS, "Saturday"]), "Monday to Friday are wanted"),
        (_profile(days=[]), "it begins on no day"),
        (_profile(hours=[8, 30], minutes=[0]), "8:30 is wanted"),
        (_profile(frequency="Day"), "takes Week only"),
        (_profile({"minimum": "1", "maximum": "4", "default": "1"}), "1 to 4 instances"),
        (_with_rules(), "it has rules: 2"),
        (_without_recurrence(), "it is the default profile"),
        (_without_recurrence(fixed_date=TimeWindow(start="2026-01-01", end="2026-01-02")), "that comes once"),
        (SimpleNamespace(capacity=None), "of type SimpleNamespace"),
        ("8:30", "of type str"),
    ],
    "autoscale_a_deployment/instance_hours": [
        (_hours(lambda asked, each: round(asked / each)), "[3, 4, 6, 7] requests a second"),
        (_hours(lambda asked, each: int(asked // each) + 1), "[3, 4, 6, 7]"),
        (_hours(_up, lowest=False), "it is 2"),
        (_hours(_up, highest=False), "1 to 4 instances"),
        (24, "of type int"),
    ],
}
