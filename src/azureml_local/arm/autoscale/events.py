"""What the autoscale engine writes to Azure Monitor: each evaluation step by step, and each scale action.

Names of operations and members: https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-diagnostics.
Columns: https://learn.microsoft.com/azure/azure-monitor/reference/tables/autoscaleevaluationslog and
…/autoscalescaleactionslog. No source says which column takes which member: most have its name. Durations are in
seconds, or as .NET writes them.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from azureml_local.arm.autoscale.evaluation import Decision, Observation
from azureml_local.arm.autoscale.profiles import Profile, Rule
from azureml_local.arm.monitor.log_categories import EVALUATIONS, SCALE_ACTIONS
from azureml_local.arm.monitor.log_events import Record
from azureml_local.store import Resource


@dataclass(frozen=True)
class _AutoscaleEvent:
    """An event of one evaluation of a setting, all of which have its ``correlation`` id, about a target."""

    category: ClassVar[str]

    operation: str
    correlation: str
    target: str
    columns: Mapping[str, Any] = field(default_factory=dict)

    def record(self, workspace: Resource) -> Record:
        """Return the event's own columns; ``workspace`` is the setting."""
        return {
            "OperationName": self.operation,
            "Category": self.category,
            "CorrelationId": self.correlation,
            "ResourceId": workspace.id.upper(),
            "TargetResourceId": self.target,
            **self.columns,
        }


@dataclass(frozen=True)
class EvaluationEvent(_AutoscaleEvent):
    """A step of an evaluation."""

    category: ClassVar[str] = EVALUATIONS


@dataclass(frozen=True)
class ScaleActionEvent(_AutoscaleEvent):
    """A scale action was begun, was refused, or has ended."""

    category: ClassVar[str] = SCALE_ACTIONS


def of_profile(profile: Profile, now: datetime.datetime, *, selected: bool) -> dict[str, Any]:
    """Return the columns of a profile that was looked at."""
    return {"Profile": profile.name, "ProfileSelected": selected, "ProfileEvaluationTime": _utc(now)}


def of_cooldown(
    profile: Profile, direction: str, last: str | None, cooldown: float, *, skipped: bool
) -> dict[str, Any]:
    """Return the columns of a look at the cooldown (seconds) after the last scale action (ISO 8601)."""
    return {
        "SelectedAutoscaleProfile": profile.name,
        "EvaluationResult": direction,
        "LastScaleActionTime": last,
        "CoolDown": int(cooldown),
        "SkipRuleEvaluationForCooldown": skipped,
    }


def of_metric(observation: Observation, start: float, end: float) -> dict[str, Any]:
    """Return the columns of the values that a rule looked at, from ``start`` to ``end`` (seconds since 1970)."""
    rule = observation.rule
    return {
        **_of_metric(rule),
        "MetricStartTime": _utc(datetime.datetime.fromtimestamp(start, datetime.UTC)),
        "MetricEndTime": _utc(datetime.datetime.fromtimestamp(end, datetime.UTC)),
        "MetricData": json.dumps([round(value, 4) for value in observation.values]),
    }


def of_rule(observation: Observation, projection: float | None) -> dict[str, Any]:
    """Return the columns of a rule that was looked at, and what it would see after a scale action."""
    rule = observation.rule
    return {
        **_of_metric(rule),
        "TimeWindow": _span(rule.window),
        "TimeAggregationType": rule.aggregation,
        "Operator": rule.operator,
        "Threshold": rule.threshold,
        "ObservedValue": observation.value,
        "EstimateScaleResult": observation.result,
        "EvaluationResult": rule.direction,
        "Projection": projection,
    }


def of_counts(profile: Profile, current: int) -> dict[str, Any]:
    """Return the columns of the number of instances, and its limits."""
    return {
        "SelectedAutoscaleProfile": profile.name,
        "CurrentInstanceCount": current,
        "MinimumInstanceCount": profile.minimum,
        "MaximumInstanceCount": profile.maximum,
        "DefaultInstanceCount": profile.default,
    }


def of_decision(decision: Decision, current: int) -> dict[str, Any]:
    """Return the columns of what was decided."""
    reason = decision.reason
    if decision.intended is not None:
        actual = f", Actual new instance count: '{decision.count}'" if decision.count != current else ""
        reason += f". Current instance count: '{current}', Intended new instance count: '{decision.intended}'{actual}"
    return {
        "CurrentInstanceCount": current,
        "NewInstanceCount": decision.count,
        "ShouldUpdateInstance": decision.count != current,
        "InstanceUpdateReason": reason,
    }


def _of_metric(rule: Rule) -> dict[str, Any]:
    return {
        "AutoscaleMetricName": rule.metric,
        "MetricNamespace": rule.namespace,
        "MetricTimeGrain": _span(rule.grain),
        "TimeGrainStatistic": rule.statistic,
    }


def _span(seconds: float) -> str:
    """Return a duration as .NET's TimeSpan is written, e.g. ``00:05:00``."""
    days, rest = divmod(int(seconds), 86400)
    clock = f"{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{days}.{clock}" if days else clock


def _utc(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
