"""Lets autoscale settings act: each is evaluated every minute of the service's clock, and as soon as it is written.

An evaluation chooses a profile, looks at its limits, and unless the last scale action is too recent at its rules
(:mod:`azureml_local.arm.autoscale.evaluation`), then changes the deployment as a user would. What it did, and would
need after a restart, is in the setting's body under :data:`STATE`: its calendar, by which profiles are chosen, and the
last scale action.

The cooldown is that of the rule that has acted last, and holds for both directions:
https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-understanding-settings#how-does-autoscale-evaluate-cooldown.
"""

from __future__ import annotations

import datetime
import logging
import math
import sqlite3
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from azureml_local import clock
from azureml_local.arm import calendars, ids
from azureml_local.arm.autoscale import choice, evaluation, events, profiles
from azureml_local.arm.autoscale.evaluation import Decision, Observation
from azureml_local.arm.autoscale.events import EvaluationEvent, ScaleActionEvent
from azureml_local.arm.autoscale.profiles import Profile, Rule
from azureml_local.arm.context import Context
from azureml_local.arm.metrics import definitions, filters, series
from azureml_local.arm.online import online_deployments
from azureml_local.engines.metric_store import MINUTE
from azureml_local.http.errors import AzureError, said
from azureml_local.store import Resource, timestamp

logger = logging.getLogger(__name__)

TYPE = f"{ids.INSIGHTS}/autoscalesettings"
STATE = "autoscale"
EVERY = 60.0  # seconds of the service's clock; Azure: every 30 to 60 seconds


@dataclass
class _Evaluation:
    """One evaluation of a setting: its id, the setting, the deployment, and how many instances that has."""

    context: Context
    id: str
    setting: Resource
    target: Resource
    current: int

    @property
    def state(self) -> Mapping[str, Any]:
        """What the engine has noted in the setting."""
        state: Mapping[str, Any] = self.setting.body[STATE]
        return state

    def log(self, operation: str, columns: Mapping[str, Any]) -> None:
        """Write a step of the evaluation to the log."""
        self.context.events.emit(self.setting.id, EvaluationEvent(operation, self.id, self.target.id, columns))

    def log_action(self, columns: Mapping[str, Any]) -> None:
        """Write to the log what became of a scale action."""
        self.context.events.emit(
            self.setting.id, ScaleActionEvent("InstanceScaleAction", self.id, self.target.id, columns)
        )

    def note(self, **changes: Any) -> None:
        """Keep something in the setting."""
        self.setting = replace(self.setting, body={**self.setting.body, STATE: {**self.state, **changes}})
        self.context.store.save(self.setting)


def arm_all(context: Context) -> None:
    """Let all settings act after a start of the service: a minute later, when there is something to look at."""
    for setting in context.store.all_of(TYPE):
        arm(context, setting.id, EVERY)


def arm(context: Context, setting_id: str, seconds: float = 0.0) -> None:
    """Evaluate a setting in so many seconds of the service's clock, and every minute from then on."""
    context.timers.set(_timer(setting_id), seconds, partial(_fire, context, setting_id))


def disarm(context: Context, setting_id: str) -> None:
    """Evaluate a setting no more."""
    context.timers.cancel(_timer(setting_id))


def _fire(context: Context, setting_id: str) -> None:
    setting = context.store.get(setting_id)
    if setting is None or not setting.properties["enabled"]:
        return
    arm(context, setting_id, EVERY)
    try:
        _evaluate(context, setting)
    except sqlite3.OperationalError as error:  # the disk is full
        logger.error("%s is not evaluated: %s", setting.id, error)
    except Exception:
        logger.exception("%s is not evaluated", setting.id)


def _evaluate(context: Context, setting: Resource) -> None:
    target = context.store.get(setting.properties["targetResourceUri"])
    replicas = context.serving.replicas(target.id) if target else None
    if target is None or replicas is None:
        return  # deleted, or it has never served
    one = _Evaluation(context, str(uuid.uuid4()), setting, target, replicas.plan.instance_count)
    with context.store.transaction():
        if _is_busy(one):
            return
        profile = _profile(one)
        if profile is None:
            return
        one.log("InstanceCountEvaluation", events.of_counts(profile, one.current))
        decision = evaluation.outside(profile, one.current) or _by_rules(one, profile)
        one.log("InstanceUpdateEvaluation", events.of_decision(decision, one.current))
    if decision.count != one.current:
        _scale(one, decision)


def _is_busy(one: _Evaluation) -> bool:
    """Say whether the deployment is being changed; tell of the last scale action once it has ended."""
    operation_id = one.state.get("operation")
    operation = one.context.store.get_operation(operation_id) if operation_id else None
    is_busy = one.context.operations.is_running_on(one.target.id)
    if is_busy:
        columns = {
            "LastScaleActionOperationId": operation_id,
            "LastScaleActionOperationStatus": operation.status if operation else None,
            "SkipCurrentAutoscaleEvaluation": True,
        }
        one.log("ScaleActionOperationEvaluation", columns)
    elif operation:
        message = (operation.error or {}).get("message") or f"Scale action has {operation.status.lower()}"
        one.log_action(
            {
                "ResultType": operation.status,
                "ScaleActionOperationId": operation_id,
                "ScaleActionOperationStatus": operation.status,
                "ScaleActionMessage": message,
            }
        )
        # The cooldown begins anew now: a start of instances takes real seconds, which a fast clock makes long.
        one.note(operation=None, lastScaleAction=operation.ended_at)
    return is_busy


def _profile(one: _Evaluation) -> Profile | None:
    now = calendars.present(one.state["calendar"])
    known = profiles.read(one.setting.properties)
    chosen = choice.applicable(known, now)
    for profile in known:
        one.log(choice.kind(profile), events.of_profile(profile, now, selected=profile is chosen))
    return chosen


def _by_rules(one: _Evaluation, profile: Profile) -> Decision:
    """Return what the rules ask for, unless the last scale action is too recent."""
    last = one.state.get("lastScaleAction")
    if last:
        cooling = clock.passed(_seconds_since(last)) < one.state["cooldown"]
        columns = events.of_cooldown(profile, one.state["direction"], last, one.state["cooldown"], skipped=cooling)
        one.log("ScaleRuleCooldownEvaluation", columns)
        if cooling:
            return Decision(one.current, evaluation.COOLING_DOWN)
    observations = [_observe(one, rule) for rule in profile.rules]
    decision = evaluation.decide(profile, observations, one.current)
    count = decision.count if decision.intended is None else decision.intended
    for observation in observations:
        is_projected = count < one.current and observation.value is not None
        projection = evaluation.projected(observation, one.current, count) if is_projected else None
        one.log("ScaleRuleEvaluation", events.of_rule(observation, projection))
    return decision


def _observe(one: _Evaluation, rule: Rule) -> Observation:
    """Return what a rule sees: whole minutes of its window, up to the present one."""
    minute = clock.real_seconds(MINUTE)
    end = math.floor(time.time() / minute) * minute
    start = end - clock.real_seconds(rule.window)
    resource = one.context.store.get(rule.resource_id)
    metric = definitions.find(resource.type, rule.metric) if resource else None
    samples: Mapping[float, Any] = {}
    if resource and metric:
        points = one.context.metrics.read(resource.id, metric.name, start, end)
        samples = series.minutes(metric, (p for p in points if filters.matches(rule.dimensions, p.dimensions)))
    grains = series.grains(samples, clock.real_seconds(rule.grain))
    observation = evaluation.observe(rule, grains.values(), one.current)
    one.log("MetricEvaluation", events.of_metric(observation, start, end))
    return observation


def _scale(one: _Evaluation, decision: Decision) -> None:
    """Begin to give the deployment another number of instances; where that is refused, the log says why."""
    direction = profiles.INCREASE if decision.count > one.current else profiles.DECREASE
    columns = {
        "CurrentInstanceCount": one.current,
        "NewInstanceCount": decision.count,
        "ScaleDirection": direction,
    }
    try:
        with one.context.store.transaction():
            operation_id = online_deployments.scale(one.context, one.target, decision.count)
            action = {"CreatedAsyncScaleActionJob": True, "CreatedAsyncScaleActionJobId": operation_id}
            one.log_action({**columns, **action, "ResultType": "InProgress", "ResultDescription": decision.reason})
            cooldown = decision.rule.cooldown if decision.rule else one.state.get("cooldown", 0.0)
            one.note(operation=operation_id, lastScaleAction=timestamp(), direction=direction, cooldown=cooldown)
        logger.info("%s: %s, from %s to %s", one.setting.id, decision.reason, one.current, decision.count)
    except AzureError as error:
        logger.warning("%s cannot scale %s to %s: %s", one.setting.id, one.target.id, decision.count, said(error))
        one.log_action({**columns, "ResultType": "Failed", "ResultDescription": said(error)})


def _seconds_since(moment: str) -> float:
    passed = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(moment)
    return passed.total_seconds()


def _timer(setting_id: str) -> str:
    return f"{setting_id.lower()}/evaluation"
