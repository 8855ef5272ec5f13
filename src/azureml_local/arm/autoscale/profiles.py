"""The profiles of an autoscale setting, read from its ``properties`` and judged.

Limits are those of the OpenAPI (Microsoft.Insights 2022-10-01, autoscale_API.json) and of
https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-understanding-settings.
"""

from __future__ import annotations

import datetime
import operator
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from azureml_local.arm import triggers
from azureml_local.arm.durations import seconds
from azureml_local.arm.metrics.filters import Condition, Conditions
from azureml_local.engines.metric_store import Sample

MOST_PROFILES = 20
MOST_RULES = 10
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
# Members that are durations, in seconds: the least, the greatest, and how both are said.
TIME_GRAIN = (MINUTE, 12 * HOUR, "1 minute to 12 hours")
TIME_WINDOW = (5 * MINUTE, 12 * HOUR, "5 minutes to 12 hours")
COOLDOWN = (MINUTE, 7 * DAY, "1 minute to 1 week")
GREATEST = sys.float_info.max
LONGEST_EVENT = datetime.timedelta(days=365)
OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "Equals": operator.eq,
    "NotEquals": operator.ne,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqual": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqual": operator.le,
}
# How the values of several instances in one grain become one, and how those of several grains do.
STATISTICS: Mapping[str, Callable[[Sample], float]] = {
    "Average": lambda sample: sample.total / sample.count,
    "Min": lambda sample: sample.minimum,
    "Max": lambda sample: sample.maximum,
    "Sum": lambda sample: sample.total,
    "Count": lambda sample: sample.count,
}
AGGREGATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Average": lambda values: sum(values) / len(values),
    "Minimum": min,
    "Maximum": max,
    "Total": sum,
    "Count": len,
    "Last": lambda values: values[-1],
}
INCREASE, DECREASE = "Increase", "Decrease"
DIRECTIONS = ("None", INCREASE, DECREASE)
COUNT, PERCENT, EXACT = CHANGES = ("ChangeCount", "PercentChangeCount", "ExactCount")

Value = TypeVar("Value")


@dataclass(frozen=True)
class Rule:
    """A rule: ``aggregation`` over ``window`` of ``statistic`` in each ``grain`` (seconds) of a metric.

    Args:
        resource_id: whose metric it is.
        dimensions: which of its series are looked at.
        divides: by the number of instances, before it is compared.
        direction: one of :data:`DIRECTIONS`.
        change: one of :data:`CHANGES`, by ``value``.
        cooldown: in seconds.
    """

    resource_id: str
    metric: str
    namespace: str
    grain: float
    statistic: str
    window: float
    aggregation: str
    operator: str
    threshold: float
    dimensions: Conditions
    divides: bool
    direction: str
    change: str
    value: int
    cooldown: float


@dataclass(frozen=True)
class Recurrence:
    """When a profile begins, each week: on these days (Monday is 0), at these hours and minutes of the zone."""

    zone: ZoneInfo
    days: tuple[int, ...]
    hours: tuple[int, ...]
    minutes: tuple[int, ...]


@dataclass(frozen=True)
class Profile:
    """A profile. Where it has neither ``fixed`` (its start and end) nor ``recurrence``, it is the default one."""

    name: str
    minimum: int
    maximum: int
    default: int
    rules: tuple[Rule, ...]
    fixed: tuple[datetime.datetime, datetime.datetime] | None = None
    recurrence: Recurrence | None = None


def read(properties: Mapping[str, Any]) -> tuple[Profile, ...]:
    """Return a setting's profiles. Raises ValueError, which names the member, its value and what would be right."""
    stored = properties.get("profiles") or []
    if not 1 <= len(stored) <= MOST_PROFILES:
        raise ValueError(f"profiles has {len(stored)} profiles; it must have 1 to {MOST_PROFILES}")
    profiles = tuple(_profile(one, f"profiles[{at}]") for at, one in enumerate(stored))
    defaults = [one.name for one in profiles if not one.fixed and not one.recurrence]
    if len(defaults) > 1:
        raise ValueError(
            f"profiles has {len(defaults)} default profiles ({', '.join(defaults)}); only one may have neither a "
            "fixedDate nor a recurrence"
        )
    return profiles


def _profile(stored: Mapping[str, Any], path: str) -> Profile:
    rules = stored.get("rules") or []
    if len(rules) > MOST_RULES:
        raise ValueError(f"{path}.rules has {len(rules)} rules; it may have {MOST_RULES} at most")
    if stored.get("fixedDate") and stored.get("recurrence"):
        raise ValueError(f"{path} has a fixedDate and a recurrence; it may have one of them")
    counts = {  # a managed deployment has one instance at least
        name: _count(stored["capacity"][name], f"{path}.capacity.{name}", 1)
        for name in ("minimum", "default", "maximum")
    }
    if not counts["minimum"] <= counts["default"] <= counts["maximum"]:
        raise ValueError(
            f"{path}.capacity has minimum {counts['minimum']}, default {counts['default']} and maximum "
            f"{counts['maximum']}; the default must lie between the other two"
        )
    return Profile(
        name=stored["name"],
        rules=tuple(_rule(one, f"{path}.rules[{at}]") for at, one in enumerate(rules)),
        fixed=_fixed(stored["fixedDate"], f"{path}.fixedDate") if stored.get("fixedDate") else None,
        recurrence=_recurrence(stored["recurrence"], f"{path}.recurrence") if stored.get("recurrence") else None,
        **counts,
    )


def _rule(stored: Mapping[str, Any], path: str) -> Rule:
    trigger, action = stored["metricTrigger"], stored["scaleAction"]
    grain = _duration(trigger["timeGrain"], f"{path}.metricTrigger.timeGrain", TIME_GRAIN)
    window = _duration(trigger["timeWindow"], f"{path}.metricTrigger.timeWindow", TIME_WINDOW)
    if window < grain:
        raise ValueError(
            f"{path}.metricTrigger.timeWindow is {trigger['timeWindow']}; it must be at least the timeGrain"
        )
    return Rule(
        resource_id=trigger["metricResourceUri"],
        metric=trigger["metricName"],
        namespace=trigger.get("metricNamespace") or "",
        grain=grain,
        statistic=_word(trigger["statistic"], STATISTICS, f"{path}.metricTrigger.statistic"),
        window=window,
        aggregation=_word(trigger["timeAggregation"], AGGREGATIONS, f"{path}.metricTrigger.timeAggregation"),
        operator=_word(trigger["operator"], OPERATORS, f"{path}.metricTrigger.operator"),
        threshold=_number(trigger["threshold"], f"{path}.metricTrigger.threshold"),
        dimensions=_dimensions(trigger.get("dimensions") or [], f"{path}.metricTrigger.dimensions"),
        divides=bool(trigger.get("dividePerInstance")),
        direction=_word(action["direction"], DIRECTIONS, f"{path}.scaleAction.direction"),
        change=_word(action["type"], CHANGES, f"{path}.scaleAction.type"),
        value=_count(action.get("value") or "1", f"{path}.scaleAction.value", 1),
        cooldown=_duration(action["cooldown"], f"{path}.scaleAction.cooldown", COOLDOWN),
    )


def _word(text: str, words: Collection[str], path: str) -> str:
    """Return a word as Azure writes it, whatever its case."""
    word = next((one for one in words if one.lower() == text.lower()), None)
    if word is None:
        raise ValueError(f"{path} is '{text[:100]}'; it must be one of {', '.join(words)}")
    return word


def _number(value: float, path: str) -> float:
    if not -GREATEST <= value <= GREATEST:  # of an int of any length, as JSON has them
        raise ValueError(f"{path} is {str(value)[:100]}; it must be {-GREATEST:g} to {GREATEST:g}")
    return float(value)


def _count(text: str, path: str, least: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= least):
        raise ValueError(f"{path} is '{text[:100]}'; it must be a whole number of at least {least}")
    return int(text)


def _duration(text: str, path: str, limits: tuple[float, float, str]) -> float:
    least, most, words = limits
    try:
        length = seconds(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not least <= length <= most:
        raise ValueError(f"{path} is {text}; it must be {words}")
    return length


def _dimensions(stored: Sequence[Mapping[str, Any]], path: str) -> Conditions:
    found: dict[str, Condition] = {}
    for at, one in enumerate(stored):
        name = one["DimensionName"].lower()
        if name in found or not one["Values"]:
            raise ValueError(f"{path}[{at}] needs a DimensionName of its own and at least one of Values")
        word = _word(one["Operator"], ("Equals", "NotEquals"), f"{path}[{at}].Operator")
        found[name] = Condition("eq" if word == "Equals" else "ne", tuple(value.lower() for value in one["Values"]))
    return found


def _fixed(stored: Mapping[str, Any], path: str) -> tuple[datetime.datetime, datetime.datetime]:
    """Return when a profile begins and ends.

    Times are those of the zone: clients write them with a ``Z`` whatever the zone, as ``az monitor autoscale profile
    create --timezone`` does.
    """
    zone = _zone(stored.get("timeZone"), f"{path}.timeZone")
    start, end = (_time(stored[name], f"{path}.{name}", zone) for name in ("start", "end"))
    if not start < end <= start + LONGEST_EVENT:
        raise ValueError(f"{path} ends at {stored['end']}; that must be after its start, by 365 days at most")
    return start, end


def _time(text: str, path: str, zone: ZoneInfo) -> datetime.datetime:
    try:
        time = datetime.datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError as error:
        raise ValueError(f"{path} is '{text[:100]}'; it must look like 2026-01-31T18:00:00") from error
    if time.year not in triggers.YEARS:
        raise ValueError(f"{path} is '{text}'; its year must be {triggers.YEARS[0]} to {triggers.YEARS[-1]}")
    return time if time.tzinfo else time.replace(tzinfo=zone)


def _recurrence(stored: Mapping[str, Any], path: str) -> Recurrence:
    _word(stored["frequency"], ("Week",), f"{path}.frequency")
    schedule = stored["schedule"]
    days = _once(str(day).capitalize() for day in schedule["days"])
    for day in days:
        if day not in triggers.WEEK:
            raise ValueError(f"{path}.schedule.days holds '{day[:100]}'; it must be one of {', '.join(triggers.WEEK)}")
    if not days:
        raise ValueError(f"{path}.schedule.days is empty; it must name at least one day")
    return Recurrence(
        _zone(schedule["timeZone"], f"{path}.schedule.timeZone"),
        tuple(triggers.WEEK.index(day) for day in days),
        _of_clock(schedule["hours"], f"{path}.schedule.hours", 23),
        _of_clock(schedule["minutes"], f"{path}.schedule.minutes", 59),
    )


def _once(values: Iterable[Value]) -> tuple[Value, ...]:
    """Return values without those that were there before: when a profile begins is sought in all combinations."""
    return tuple(dict.fromkeys(values))


def _of_clock(values: Sequence[int], path: str, greatest: int) -> tuple[int, ...]:
    for value in values:
        if not 0 <= value <= greatest:
            raise ValueError(f"{path} holds {value}; it must be 0 to {greatest}")
    return _once(values) or (0,)  # as in Microsoft's how-to-autoscale-endpoints, whose weekend has neither


def _zone(name: str | None, path: str) -> ZoneInfo:
    try:
        return triggers.zone_of(name or "UTC")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
