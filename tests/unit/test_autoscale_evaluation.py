"""azureml_local.arm.autoscale: what a setting's profiles ask for, as pure functions.

Truth: Microsoft's autoscale-understanding-settings, autoscale-best-practices and autoscale-flapping, whose examples are
the cases here, the OpenAPI's limits (2022-10-01, autoscale_API.json), and autoscale-multiprofile for profiles by time.
"""

from __future__ import annotations

import copy
import datetime
from typing import Any

import pytest

from azureml_local.arm.autoscale import choice, evaluation, profiles
from azureml_local.arm.autoscale.evaluation import Observation, decide, observe
from azureml_local.arm.autoscale.profiles import Profile, Rule
from azureml_local.engines.metric_store import Sample

RULE: dict[str, Any] = {
    "metricTrigger": {
        "metricName": "CpuUtilizationPercentage",
        "metricResourceUri": "/subscriptions/s",
        "timeGrain": "PT1M",
        "statistic": "Average",
        "timeWindow": "PT10M",
        "timeAggregation": "Average",
        "operator": "GreaterThan",
        "threshold": 70,
    },
    "scaleAction": {"direction": "Increase", "type": "ChangeCount", "value": "1", "cooldown": "PT5M"},
}


def rule(operator: str, threshold: float, direction: str, value: int = 1, **changes: Any) -> Rule:
    """Return a rule of a profile of :func:`profile`, with other members of its trigger or action."""
    stored = copy.deepcopy(RULE)
    stored["metricTrigger"] |= {"operator": operator, "threshold": threshold}
    stored["scaleAction"] |= {"direction": direction, "value": str(value)}
    for name, changed in changes.items():
        part = "scaleAction" if name in ("type", "cooldown") else "metricTrigger"
        stored[part][name] = changed
    return profile(rules=[stored]).rules[0]


def profile(minimum: int = 1, maximum: int = 50, default: int = 1, **changes: Any) -> Profile:
    return profiles.read(settings(minimum, maximum, default, **changes))[0]


def settings(minimum: int = 1, maximum: int = 50, default: int = 1, **changes: Any) -> dict[str, Any]:
    capacity = {"minimum": str(minimum), "maximum": str(maximum), "default": str(default)}
    return {"profiles": [{"name": "p", "capacity": capacity, "rules": [copy.deepcopy(RULE)], **changes}]}


def seen(rule_: Rule, value: float | None) -> Observation:
    return Observation(rule_, () if value is None else (value,), value)


def decided(current: int, *observed: tuple[Rule, float | None], limits: Profile | None = None) -> tuple[int, str]:
    decision = decide(limits or profile(), [seen(*one) for one in observed], current)
    return decision.count, decision.reason


CPU_OUT, CPU_IN = rule("GreaterThan", 75, "Increase"), rule("LessThan", 30, "Decrease")
MEMORY_OUT, MEMORY_IN = rule("GreaterThan", 75, "Increase"), rule("LessThan", 50, "Decrease")


# --- rules ---


@pytest.mark.parametrize(
    ("cpu", "memory", "count"),
    [(76, 50, 9), (50, 76, 9), (25, 51, 8), (29, 49, 7), (50, 50, 8)],
    ids=["any out", "the other out", "not all in", "all in", "neither"],
)
def test_out_where_any_rule_is_met_and_in_where_all_are(cpu: float, memory: float, count: int) -> None:
    """The example of autoscale-best-practices, with eight instances, where one less makes no rule scale out again."""
    observed = [(CPU_OUT, cpu), (MEMORY_OUT, memory), (CPU_IN, cpu), (MEMORY_IN, memory)]
    assert decided(8, *observed)[0] == count


def test_out_goes_to_the_most_and_in_to_the_least() -> None:
    """ "autoscale scales to the highest specified capacity", "scales in by as little as possible"."""
    three, five = rule("GreaterThan", 70, "Increase", 3), rule("GreaterThan", 70, "Increase", 5)
    assert decided(4, (three, 80), (five, 80)) == (9, evaluation.SCALE_OUT)
    half = rule("LessThan", 30, "Decrease", 50, type="PercentChangeCount")
    by_three = rule("LessThan", 30, "Decrease", 3)
    assert decided(10, (half, 1), (by_three, 1)) == (7, evaluation.SCALE_IN)


def test_limits_hold_for_what_rules_say() -> None:
    limits = profile(2, 5, 2)
    assert decided(4, (rule("GreaterThan", 70, "Increase", 10), 99), limits=limits) == (5, evaluation.SCALE_OUT)
    assert decided(5, (rule("GreaterThan", 70, "Increase", 10), 99), limits=limits) == (5, evaluation.NO_CHANGE)
    assert decided(4, (rule("LessThan", 30, "Decrease", 10), 1), limits=limits) == (2, evaluation.SCALE_IN)


@pytest.mark.parametrize(("current", "count"), [(1, 3), (3, None), (6, None), (8, 6)])
def test_number_outside_the_limits_is_mended_whatever_the_rules_say(current: int, count: int | None) -> None:
    """The range 3 to 6 of autoscale-best-practices, "Manual scaling is reset by autoscale minimum and maximum"."""
    decision = evaluation.outside(profile(3, 6, 3), current)
    assert (decision.count if decision else None) == count


def test_metric_without_a_value_leads_to_the_default_and_never_in() -> None:
    """ "If the current capacity is already higher than the default capacity, autoscale doesn't scale in." """
    limits = profile(1, 9, 4)
    assert decided(2, (CPU_OUT, None), limits=limits) == (4, evaluation.TO_DEFAULT)
    assert decided(6, (CPU_OUT, None), limits=limits) == (6, evaluation.NO_CHANGE)
    assert decided(6, (CPU_OUT, None), (MEMORY_IN, 1), limits=limits) == (6, evaluation.NO_CHANGE)
    assert decided(6, (CPU_OUT, None), (MEMORY_OUT, 99), limits=limits) == (7, evaluation.SCALE_OUT)


@pytest.mark.parametrize(
    ("change", "value", "current", "out", "in_"),
    [
        ("ChangeCount", 2, 4, 6, 2),
        ("ExactCount", 3, 4, 3, 3),
        ("PercentChangeCount", 50, 4, 6, 2),
        ("PercentChangeCount", 10, 4, 5, 3),
        ("PercentChangeCount", 40, 4, 6, 3),
    ],
)
def test_changes_by_kind(change: str, value: int, current: int, out: int, in_: int) -> None:
    assert evaluation.changed(rule("GreaterThan", 1, "Increase", value, type=change), current) == out
    assert evaluation.changed(rule("LessThan", 1, "Decrease", value, type=change), current) == in_


@pytest.mark.parametrize(
    ("operator", "met"),
    [
        ("Equals", (False, True, False)),
        ("NotEquals", (True, False, True)),
        ("GreaterThan", (False, False, True)),
        ("GreaterThanOrEqual", (False, True, True)),
        ("LessThan", (True, False, False)),
        ("LessThanOrEqual", (True, True, False)),
    ],
)
def test_operators(operator: str, met: tuple[bool, ...]) -> None:
    assert tuple(evaluation.is_met(rule(operator, 5, "Increase"), value) for value in (4, 5, 6)) == met


@pytest.mark.parametrize(
    ("statistic", "aggregation", "value"),
    [
        ("Average", "Average", 25),
        ("Average", "Maximum", 30),
        ("Average", "Last", 20),
        ("Max", "Minimum", 30),
        ("Min", "Maximum", 20),
        ("Sum", "Total", 100),
        ("Count", "Total", 4),
        ("Average", "Count", 2),
    ],
)
def test_statistic_goes_over_instances_and_aggregation_over_time(
    statistic: str, aggregation: str, value: float
) -> None:
    """Two minutes of two instances: 20 and 40, then 10 and 30."""
    grains = [[Sample.of(20), Sample.of(40)], [Sample.of(10), Sample.of(30)]]
    one = rule("GreaterThan", 1, "Increase", statistic=statistic, timeAggregation=aggregation)
    assert observe(one, grains, 2).value == value


def test_value_is_divided_by_the_number_of_instances_where_that_is_asked_for() -> None:
    """ "if the total message count is 100 with two instances": 50 for each (autoscale-best-practices)."""
    one = rule("GreaterThanOrEqual", 50, "Increase", dividePerInstance=True)
    assert observe(one, [[Sample.of(100)]], 2).value == 50
    assert observe(one, [], 2).value is None


# --- flapping ---


def test_scale_in_that_would_scale_out_again_is_deferred() -> None:
    """autoscale-flapping, the first table: 28 % on two instances are 56 % on one, and 50 % scales out."""
    out, in_ = rule("GreaterThan", 50, "Increase"), rule("LessThan", 30, "Decrease")
    decision = decide(profile(), [seen(out, 28), seen(in_, 28)], 2)
    assert (decision.count, decision.reason, decision.intended) == (2, evaluation.FLAPPING, 1)
    assert decided(2, (out, 24), (in_, 24)) == (1, evaluation.SCALE_IN)


@pytest.mark.parametrize(("threads", "threshold", "count"), [(1250, 600, 3), (1250, 400, 3), (1180, 400, 2)])
def test_margin_between_thresholds(threads: float, threshold: float, count: int) -> None:
    """The same page's threads: out at 600 for each instance; in below 600 flaps, in below 400 waits for fewer."""
    out, in_ = rule("GreaterThanOrEqual", 600, "Increase"), rule("LessThan", threshold, "Decrease")
    assert decided(3, (out, threads / 3), (in_, threads / 3))[0] == count


def test_scale_in_by_less_where_that_does_not_flap() -> None:
    """The same page's third table: in by 10 of 30 at 65 % CPU, out above 70 %: "may scale in by 3", to 27.

    By its own formula, 65 * 30 / 27 is 72.2, which is above 70; the fewest that stay below are 28.
    """
    cpu, requests = rule("GreaterThan", 70, "Increase", 20), rule("LessThanOrEqual", 50, "Decrease", 10)
    decision = decide(profile(), [seen(cpu, 65), seen(requests, 50)], 30)
    assert (decision.count, decision.reason, decision.intended) == (28, evaluation.LESS_FAR, 20)


def test_sum_over_all_instances_stays_whatever_their_number() -> None:
    out = rule("GreaterThan", 50, "Increase", statistic="Sum")
    in_ = rule("LessThan", 45, "Decrease", statistic="Sum")
    assert decided(2, (out, 40), (in_, 40)) == (1, evaluation.SCALE_IN)


# --- profiles by time ---

UTC = datetime.UTC
EVENT = {"timeZone": "Pacific Standard Time", "start": "2026-01-05T00:00:00.000Z", "end": "2026-01-05T23:59:00.000Z"}


def week(days: list[str], hours: list[int], minutes: list[int] | None = None, zone: str = "UTC") -> dict[str, Any]:
    schedule = {"timeZone": zone, "days": days, "hours": hours, "minutes": minutes or []}
    return {"recurrence": {"frequency": "Week", "schedule": schedule}}


def named(name: str, **changes: Any) -> dict[str, Any]:
    return {**settings(**changes)["profiles"][0], "name": name}


def chosen(stored: list[dict[str, Any]], *moment: int) -> str | None:
    found = choice.applicable(profiles.read({"profiles": stored}), datetime.datetime(*moment, tzinfo=UTC))  # type: ignore[misc]
    return found.name if found else None


def test_fixed_date_comes_before_recurring_before_default() -> None:
    """2026-01-05 is a Monday. Times of a fixed date are those of its zone, although clients write them with a Z."""
    stored = [named("default"), named("mondays", **week(["Monday"], [4])), named("event", fixedDate=EVENT)]
    assert chosen(stored, 2026, 1, 5, 7, 59) == "mondays"
    assert chosen(stored, 2026, 1, 5, 8) == "event"
    assert chosen(stored, 2026, 1, 6, 7, 58) == "event"
    assert chosen(stored, 2026, 1, 6, 7, 59) == "mondays"
    assert chosen([named("default"), named("event", fixedDate=EVENT)], 2026, 1, 7) == "default"
    assert chosen([named("event", fixedDate=EVENT)], 2026, 1, 7) is None


def test_recurring_profile_applies_until_the_next_one_begins() -> None:
    """The template of autoscale-multiprofile: weekdays from Monday 4:00, the weekend from Saturday 0:01."""
    stored = [named("weekday", **week(["Monday"], [4])), named("weekend", **week(["Saturday"], [0], [1]))]
    assert chosen(stored, 2026, 1, 5, 3, 59) == "weekend"
    assert chosen(stored, 2026, 1, 5, 4) == "weekday"
    assert chosen(stored, 2026, 1, 10, 0, 0) == "weekday"
    assert chosen(stored, 2026, 1, 10, 0, 1) == "weekend"


def test_recurring_profile_begins_by_the_clock_of_its_zone() -> None:
    stored = [
        named("early", **week(["monday"], [6], zone="E. Europe Standard Time")),
        named("late", **week(["Monday"], [20], zone="E. Europe Standard Time")),
    ]
    assert chosen(stored, 2026, 1, 5, 3, 59) == "late"
    assert chosen(stored, 2026, 1, 5, 4) == "early"


def test_weekend_without_hours_begins_at_midnight() -> None:
    """As how-to-autoscale-endpoints writes it: ``hours = [], minutes = []``."""
    stored = [named("weekend", **week(["Saturday", "Sunday"], [])), named("rest", **week(["Monday"], [0]))]
    assert chosen(stored, 2026, 1, 10, 0, 0) == "weekend"
    assert chosen(stored, 2026, 1, 11, 23, 59) == "weekend"
    assert chosen(stored, 2026, 1, 12, 0, 0) == "rest"


# --- what is refused ---


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return a setting's properties with another value at a path below its only profile."""
    stored = settings()
    at: Any = stored["profiles"][0]
    *way, last = [int(one) if one.isdecimal() else one for one in path.split(".")]
    for one in way:
        at = at[one]
    at[last] = value
    return stored


TRIGGER, ACTION = "rules.0.metricTrigger", "rules.0.scaleAction"


def test_a_schedule_that_says_all_a_thousand_times_says_it_once() -> None:
    """Else a list of the length that a body may have would keep the service busy for hours, at each evaluation."""
    (many,) = profiles.read({"profiles": [named("p", **week(["Monday"] * 1000, [8, 9] * 1000, [0, 30] * 1000))]})
    (once,) = profiles.read({"profiles": [named("p", **week(["Monday"], [8, 9], [0, 30]))]})
    assert many == once


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("capacity.minimum", "0", "profiles[0].capacity.minimum is '0'; it must be a whole number of at least 1"),
        ("capacity.default", "51", "minimum 1, default 51 and maximum 50; the default must lie between"),
        ("capacity.maximum", "ten", "profiles[0].capacity.maximum is 'ten'"),
        ("rules", [RULE] * 11, "profiles[0].rules has 11 rules; it may have 10 at most"),
        (f"{TRIGGER}.timeGrain", "PT30S", "timeGrain is PT30S; it must be 1 minute to 12 hours"),
        (f"{TRIGGER}.timeWindow", "PT4M", "timeWindow is PT4M; it must be 5 minutes to 12 hours"),
        (f"{TRIGGER}.timeWindow", "PT12H1M", "timeWindow is PT12H1M; it must be 5 minutes to 12 hours"),
        (f"{TRIGGER}.timeGrain", "PT15M", "timeWindow is PT10M; it must be at least the timeGrain"),
        (f"{TRIGGER}.statistic", "Median", "statistic is 'Median'; it must be one of Average, Min, Max, Sum, Count"),
        (f"{TRIGGER}.timeAggregation", "First", "timeAggregation is 'First'"),
        (f"{TRIGGER}.operator", ">", "operator is '>'; it must be one of Equals, NotEquals, GreaterThan"),
        pytest.param(f"{TRIGGER}.threshold", 10**400, f"threshold is 1{'0' * 99}; it must be -1.79769e+308", id="long"),
        pytest.param(f"{TRIGGER}.threshold", -(10**400), f"threshold is -1{'0' * 98}; it must be -1.7", id="negative"),
        (f"{TRIGGER}.threshold", float("inf"), "threshold is inf; it must be -1.79769e+308 to 1.79769e+308"),
        (f"{TRIGGER}.threshold", float("nan"), "threshold is nan"),
        (f"{TRIGGER}.dimensions", [{"DimensionName": "a", "Operator": "Like", "Values": ["b"]}], "Operator is 'Like'"),
        (
            f"{TRIGGER}.dimensions",
            [{"DimensionName": "a", "Operator": "Equals", "Values": []}],
            "at least one of Values",
        ),
        (f"{ACTION}.direction", "Up", "direction is 'Up'; it must be one of None, Increase, Decrease"),
        (f"{ACTION}.type", "Double", "type is 'Double'"),
        (f"{ACTION}.value", "0", "value is '0'; it must be a whole number of at least 1"),
        (f"{ACTION}.cooldown", "PT59S", "cooldown is PT59S; it must be 1 minute to 1 week"),
        (f"{ACTION}.cooldown", "P8D", "cooldown is P8D; it must be 1 minute to 1 week"),
        (f"{ACTION}.cooldown", "soon", "'soon' is no ISO 8601 duration"),
        ("fixedDate", {**EVENT, "end": EVENT["start"]}, "must be after its start, by 365 days at most"),
        ("fixedDate", {**EVENT, "end": "2027-01-06T00:00:00"}, "must be after its start, by 365 days at most"),
        ("fixedDate", {**EVENT, "start": "today"}, "fixedDate.start is 'today'"),
        ("fixedDate", {**EVENT, "timeZone": "Atlantis"}, "timeZone is 'Atlantis'"),
        ("recurrence", week([], [1])["recurrence"], "schedule.days is empty"),
        ("recurrence", week(["Someday"], [1])["recurrence"], "schedule.days holds 'Someday'"),
        ("recurrence", week(["Monday"], [24])["recurrence"], "schedule.hours holds 24; it must be 0 to 23"),
        ("recurrence", week(["Monday"], [1], [60])["recurrence"], "schedule.minutes holds 60; it must be 0 to 59"),
        ("recurrence", {**week(["Monday"], [1])["recurrence"], "frequency": "Day"}, "frequency is 'Day'"),
    ],
)
def test_refusals_name_member_value_and_what_would_be_right(path: str, value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=r"profiles\[0\]") as caught:
        profiles.read(changed(path, value))
    assert words in str(caught.value)


def test_number_of_profiles_and_of_default_ones() -> None:
    for many in (0, 21):
        with pytest.raises(ValueError, match=f"profiles has {many} profiles; it must have 1 to 20"):
            profiles.read({"profiles": [named("one", fixedDate=EVENT)] * many})
    with pytest.raises(ValueError, match=r"2 default profiles \(a, b\)"):
        profiles.read({"profiles": [named("a"), named("b"), named("c", fixedDate=EVENT)]})
    with pytest.raises(ValueError, match="a fixedDate and a recurrence"):
        profiles.read({"profiles": [named("a", fixedDate=EVENT, **week(["Monday"], [1]))]})


def test_words_are_read_in_any_case() -> None:
    read = profiles.read(changed(f"{TRIGGER}.operator", "lessthan"))[0].rules[0]
    assert read.operator == "LessThan"
