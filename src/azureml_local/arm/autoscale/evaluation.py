"""What an autoscale profile asks for: how many instances there should be, and why.

Pure functions over numbers. The rules are those of
https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-understanding-settings#autoscale-evaluation and
https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-flapping.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from azureml_local.arm.autoscale.profiles import (
    AGGREGATIONS,
    DECREASE,
    EXACT,
    INCREASE,
    OPERATORS,
    PERCENT,
    STATISTICS,
    Profile,
    Rule,
)
from azureml_local.arm.metrics.series import merged
from azureml_local.engines.metric_store import Sample

TRIGGERED, NOT_TRIGGERED, UNKNOWN = "Triggered", "NotTriggered", "Unknown"
# Statistics that stay as they are where as much work falls to fewer instances; the others grow.
OF_ALL_INSTANCES = frozenset(("Sum", "Count"))
SCALE_OUT, SCALE_IN = "Scale up action triggered", "Scale down action triggered"
TO_MINIMUM, TO_MAXIMUM = "Scale up to minimum instance count", "Scale down to maximum instance count"
TO_DEFAULT = "Scale up to default instance count"
NO_CHANGE = "No scale action triggered"
COOLING_DOWN = "Skipped due to cooldown"
LESS_FAR = "Scale down will occur with updated instance count to avoid flapping"
FLAPPING = "Cannot scale down due to flapping observed"


@dataclass(frozen=True)
class Observation:
    """What a rule has seen: its metric's value in each grain, and what they come to; None where there is no value."""

    rule: Rule
    values: tuple[float, ...]
    value: float | None

    @property
    def result(self) -> str:
        """Say whether the rule is met."""
        if self.value is None:
            return UNKNOWN
        return TRIGGERED if is_met(self.rule, self.value) else NOT_TRIGGERED


@dataclass(frozen=True)
class Decision:
    """How many instances there should be.

    Args:
        count: so many.
        reason: why, in the words of the log.
        rule: the one that said so; its cooldown is what follows.
        intended: how many there should have been, had it not meant flapping.
    """

    count: int
    reason: str
    rule: Rule | None = None
    intended: int | None = None


def observe(rule: Rule, grains: Iterable[Sequence[Sample]], current: int) -> Observation:
    """Return what a rule has seen, with so many instances, in the grains of its window."""
    values = tuple(STATISTICS[rule.statistic](merged(samples)) for samples in grains)
    if not values:
        return Observation(rule, values, None)
    value = AGGREGATIONS[rule.aggregation](values)
    return Observation(rule, values, value / max(current, 1) if rule.divides else value)


def is_met(rule: Rule, value: float) -> bool:
    """Say whether a value meets a rule."""
    return OPERATORS[rule.operator](value, rule.threshold)


def outside(profile: Profile, current: int) -> Decision | None:
    """Return what a number of instances outside the profile's limits asks for, whatever the rules say; else None."""
    if current < profile.minimum:
        return Decision(profile.minimum, TO_MINIMUM)
    if current > profile.maximum:
        return Decision(profile.maximum, TO_MAXIMUM)
    return None


def decide(profile: Profile, observations: Sequence[Observation], current: int) -> Decision:
    """Return how many instances there should be, where there are so many now.

    Out where any of the rules to scale out is met, to the most that one of them says. Else up to the default where a
    metric has no value. Else in where all the rules to scale in are met, as little as one of them says, and only as far
    as no rule to scale out would be met then.
    """
    out = [
        (_clamped(profile, changed(one.rule, current)), one.rule)
        for one in observations
        if one.rule.direction == INCREASE and one.result == TRIGGERED
    ]
    if out:
        count, rule = max(out, key=lambda pair: pair[0])
        return Decision(count, SCALE_OUT, rule) if count > current else Decision(current, NO_CHANGE)
    if any(one.result == UNKNOWN for one in observations):
        return Decision(profile.default, TO_DEFAULT) if current < profile.default else Decision(current, NO_CHANGE)
    in_ = [one for one in observations if one.rule.direction == DECREASE]
    if not in_ or any(one.result != TRIGGERED for one in in_):
        return Decision(current, NO_CHANGE)
    count, rule = max(
        ((_clamped(profile, changed(one.rule, current)), one.rule) for one in in_), key=lambda pair: pair[0]
    )
    return _without_flapping(observations, current, count, rule) if count < current else Decision(current, NO_CHANGE)


def changed(rule: Rule, current: int) -> int:
    """Return how many instances a rule makes of so many; a part of an instance is one more, never one less."""
    if rule.change == EXACT:
        return rule.value
    step = rule.value
    if rule.change == PERCENT:
        part = rule.value * current / 100
        step = max(math.ceil(part) if rule.direction == INCREASE else math.floor(part), 1)
    return current + step if rule.direction == INCREASE else current - step


def projected(observation: Observation, current: int, count: int) -> float:
    """Return what a rule would see if what so many instances do now were done by ``count``."""
    assert observation.value is not None  # noqa: S101 - asked of rules that have seen something
    if observation.rule.statistic in OF_ALL_INSTANCES and not observation.rule.divides:
        return observation.value
    return observation.value * current / count


def _without_flapping(observations: Sequence[Observation], current: int, count: int, rule: Rule) -> Decision:
    """Return a decision to scale in, by less where what is decided would make a rule scale out again."""
    out = [one for one in observations if one.rule.direction == INCREASE]
    for less in range(count, current):
        if not any(is_met(one.rule, projected(one, current, less)) for one in out):
            if less == count:
                return Decision(count, SCALE_IN, rule)
            return Decision(less, LESS_FAR, rule, intended=count)
    return Decision(current, FLAPPING, intended=count)


def _clamped(profile: Profile, count: int) -> int:
    return min(max(count, profile.minimum), profile.maximum)
