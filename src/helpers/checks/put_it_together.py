"""The exercises of *Put it together*: what was found of a design is judged, whichever way it was built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from helpers.acceptance.card import Card, Row
from helpers.acceptance.facts import BUDGET, LOW_PRIORITY, Clock, Cluster, Grant, Handover, Night, Online, Record, Run
from helpers.verdicts import CheckResult, exercise, right, wrong

Facts = TypeVar("Facts")
MOST_SECONDS = 2.0
FEWEST_INSTANCES = 2
AZURE_WAITS = "On Azure a new role takes up to ten minutes to hold: `helpers.until_permitted` waits for it."
MODES = {
    "key": "the two keys open it to whoever has them: the log could not say who has asked, and to shut one caller out "
    "you would have to give all others a new key.",
    "aml_token": "whoever has such a token is let in until it ends, and no log says who that was.",
}
STATUSES = {
    401: "what you showed does not open it",
    403: "it is closed to the internet",
    404: "no deployment takes the traffic",
    408: "the answer took too long",
    424: "the scoring script failed; its log says why",
    429: "there are too many requests for so few instances",
    503: "no instance is ready",
}
TOO_MUCH = {"owner", "contributor", "azure ai developer", "user access administrator"}
READERS = {"reader", "log analytics reader", "monitoring reader", "log analytics data reader"}
HOURS = (22, 23, 0, 1, 2, 3)
# Hours behind UTC, in winter and in summer, by the names of time zones.
BEHIND_UTC = {"eastern standard time": (0,), "utc": (5, 4)}
LONGEST_IDLING = 1800  # seconds


def _judge(answer: Any, kind: type[Facts], how: str, faults: Callable[[Facts], Iterable[str]], why: str) -> CheckResult:
    """Refuse with the first fault, or accept."""
    if not isinstance(answer, kind):
        return wrong(f"what `acceptance.{how}` returns is wanted, this is of type {type(answer).__name__}.")
    try:
        fault = next(iter(faults(answer)), None)
    except LookupError as error:  # a size without a price
        fault = str(error)
    return right(why) if fault is None else wrong(fault)


@exercise("put_it_together/answers", "Build the endpoint, then assign `acceptance.online(endpoint_name)`.")
def answers(answer: Any) -> CheckResult:
    """Accept an endpoint that gives an opinion on each sample at once, on two machines, to callers that it knows."""
    why = "each sample has its opinion at once, one machine may fail, and callers can be told apart."
    return _judge(answer, Online, "online(endpoint_name)", faults_of_answers, why)


def faults_of_answers(online: Online) -> Iterator[str]:
    """Yield what is wrong with the answers at once."""
    yield from _faults_of_existence(online)
    if broken := [one.name for one in online.deployments if one.state != "Succeeded"]:
        yield f"the deployment {broken[0]} is not well: `online_deployments.get_logs` says why."
    if not online.serving or online.opened == 404:
        yield "no deployment takes traffic, so the endpoint answers 404."
    if online.opened != 200:
        yield f"your own call was answered {online.opened}: {STATUSES.get(online.opened, 'see the log')}."
    if online.opinions != online.samples:
        yield f"{online.samples} samples were sent, and {online.opinions} opinions came back. Which script answers?"
    yield from _faults_of_mode(online)
    if online.seconds > MOST_SECONDS:
        yield f"half of the answers take more than {online.seconds:.1f} s; {MOST_SECONDS:g} s are allowed."
    if weak := [one.name for one in online.serving if one.instances < FEWEST_INSTANCES]:
        yield f"{weak[0]} has one instance. While that is broken or being updated, the clinics get no answer."
    if online.usd > BUDGET:
        idle = [one.name for one in online.deployments if not one.traffic]
        extra = f" {idle[0]} takes no traffic, and costs as much as if it did." if idle else ""
        yield f"it costs {online.usd:.0f} USD a month, more than the whole budget of {BUDGET:.0f}.{extra}"


def _faults_of_existence(online: Online) -> Iterator[str]:
    if online.is_batch:
        yield "that is a batch endpoint: each call starts a job, and the patient would wait for minutes."
    if not online.mode:
        yield f"there is no online endpoint of the name {online.name}. Has it been created, under this name?"


def _faults_of_mode(online: Online) -> Iterator[str]:
    if online.mode in MODES:
        yield f"its `auth_mode` is {online.mode}: {MODES[online.mode]}"
    if online.nothing == 200:
        yield "it answers callers that show nothing at all."


@exercise(
    "put_it_together/callers", "Give the clinics' program a role, then assign `acceptance.online(endpoint_name)`."
)
def callers(answer: Any) -> CheckResult:
    """Accept an endpoint that answers the clinics and not the auditor, and a role that ends there."""
    why = "the clinics are answered, the auditor and strangers are not, and the clinics' role ends at this endpoint."
    return _judge(answer, Online, "online(endpoint_name)", faults_of_callers, why)


def faults_of_callers(online: Online) -> Iterator[str]:
    """Yield what is wrong with who is answered."""
    yield from _faults_of_existence(online)
    yield from _faults_of_mode(online)
    if online.clinics == 404:
        yield "the clinics are let in, and no deployment takes traffic. The exercise before this one comes first."
    if online.clinics != 200:
        has = "has no role yet" if not online.grants else f"has the role {online.grants[0].role}"
        yield f"the clinics' call was answered {online.clinics}. The program {has}. {AZURE_WAITS}"
    if online.auditor == 200:
        yield "the auditor is answered, too. She is to read the log, and nothing else."
    for grant in online.grants:
        if grant.role.lower() in TOO_MUCH:
            yield f"as {grant.role} the program could do what its builders do. A smaller role may ask, too."
        if not grant.is_within(online.id):
            yield f"its role {grant.role} holds in {_what(grant)}, and in all that is in there. It needs this endpoint."


def _what(grant: Grant) -> str:
    """Return in words where a role holds."""
    parts = grant.scope.strip("/").split("/")
    kinds = {
        "resourcegroups": "the resource group",
        "workspaces": "a whole workspace",
        "subscriptions": "the subscription",
    }
    return kinds.get(parts[-2].lower(), f"{parts[-2]}/{parts[-1]}") if len(parts) > 1 else "all"


@exercise("put_it_together/record", "Send both logs to one place, then assign `acceptance.record(endpoint_name)`.")
def record(answer: Any) -> CheckResult:
    """Accept logs of calls and of jobs in one place, in which the auditor finds the clinics' call, and does no more."""
    why = "the auditor has found the call just made, and who made it; from now on jobs are recorded, too."
    return _judge(answer, Record, "record(endpoint_name)", faults_of_record, why)


def faults_of_record(record: Record) -> Iterator[str]:
    """Yield what is wrong with the log, and with who reads it."""
    if not record.traffic:
        yield "no diagnostic setting of the endpoint sends `AmlOnlineEndpointTrafficLog` to a log."
    if not record.jobs:
        yield "no diagnostic setting of the workspace sends `AmlComputeJobEvent` to a log. Jobs are the workspace's."
    if not record.sink:
        yield "calls and jobs go to different logs. The auditor is to ask one."
    if record.refused == 403:
        has = "has no role yet" if not record.grants else f"has the role {record.grants[0].role}"
        yield f"the auditor's question was answered 403: she {has} that lets her read this log. {AZURE_WAITS}"
    if record.refused:
        yield f"the auditor's question was answered {record.refused}. Has the log any row yet?"
    if not record.callers:
        yield "the auditor does not find the call that was just made. On Azure a row takes up to 15 minutes; ask again."
    if record.clinics not in record.callers:
        yield "the auditor finds the call, and not who made it. Which `auth_mode` tells callers apart?"
    for grant in record.grants:
        if grant.role.lower() not in READERS:
            yield f"as {grant.role} the auditor could do more than read."
        if not grant.is_within(record.sink):
            yield f"her role {grant.role} holds in {_what(grant)}: she reads the settings there, and what is in them."


@exercise("put_it_together/night", "Run it by hand and by the clock, then assign `acceptance.night(...)`.")
def night(answer: Any) -> CheckResult:
    """Accept a batch endpoint and a schedule that have each listed all cases, on machines that go again."""
    why = "every case is listed, by hand and by the clock, and nothing is paid for in between."
    return _judge(answer, Night, "night(batch_name, schedule_name)", faults_of_night, why)


def faults_of_night(night: Night) -> Iterator[str]:
    """Yield what is wrong with the night's work."""
    if night.is_online:
        yield "that is an online endpoint: it would stand there all day for half an hour's work a night."
    if not night.endpoint:
        yield "there is no batch endpoint of that name."
    if not night.default:
        yield "the batch endpoint has no default deployment: a request without a deployment's name gets 404."
    yield from _faults_of_run(night.by_hand, night.cases, "the default deployment", "Invoke the endpoint once.")
    yield from _faults_of_clock(night.clock)
    trigger = "`ml_client.schedules.trigger(...)` makes it send one now."
    yield from _faults_of_run(night.by_clock, night.cases, "the schedule", trigger)
    for cluster in night.clusters:
        yield from _faults_of_cluster(cluster)


def _faults_of_run(run: Run | None, cases: int, whose: str, how: str) -> Iterator[str]:
    if run is None:
        yield f"{whose} has started no job yet. {how}"
    elif run.status != "Completed":
        yield f"the last job of {whose} is {run.status}."
    elif run.listed != cases:
        yield f"the last job of {whose} lists {run.listed} of {cases} cases."


def _faults_of_clock(clock: Clock | None) -> Iterator[str]:
    if clock is None:
        yield "there is no schedule of that name: each night somebody would have to be awake."
        return
    if not clock.is_enabled:
        yield "the schedule is disabled."
    if not clock.is_daily:
        yield "the schedule is not due each night, at one time."
    if len(clock.hours) != 1:
        yield f"the schedule is due {len(clock.hours)} times a day; once is paid for."
    behind = BEHIND_UTC.get(clock.zone.lower())
    if behind is None:
        yield f"its time zone is {clock.zone}. The clinics' clocks show `Eastern Standard Time`; UTC would do, too."
    elif any((clock.hours[0] - hours) % 24 not in HOURS for hours in behind):
        yield f"it is due at {clock.hours[0]} o'clock, {clock.zone}. In New York that is not between 22 and 4."


def _faults_of_cluster(cluster: Cluster) -> Iterator[str]:
    if not cluster.size:
        yield f"the job ran on {cluster.name}, a machine that is there all day. What starts from zero?"
        return
    if cluster.least:
        yield f"{cluster.name} keeps {cluster.least} node all day, for {cluster.usd:.0f} USD a month, mostly idle."
    if cluster.tier == LOW_PRIORITY:
        yield f"{cluster.name} is of low priority: Azure may take its nodes away at night, and at six the list is due."
    if cluster.idle_seconds > LONGEST_IDLING:
        yield f"a node of {cluster.name} idles for {cluster.idle_seconds / 60:.0f} minutes after each run, and is paid."
    if cluster.usd > BUDGET:
        yield f"{cluster.name} costs {cluster.usd:.0f} USD a month, more than the whole budget of {BUDGET:.0f}."


@exercise("put_it_together/handover", "Write the auditor's question, then assign `acceptance.handover(...)`.")
def handover(answer: Any) -> CheckResult:
    """Show the report card; accept a design that has no fault, within the budget, of whose night the log tells."""
    if isinstance(answer, Handover):
        Card(_rows(answer), answer.costs, BUDGET).show()
    why = f"all of it works, and is known to work{_for(answer)}. Hand it over."
    return _judge(answer, Handover, "handover(...)", faults_of_handover, why)


def _for(answer: Any) -> str:
    return f", for {answer.usd:.0f} USD of {BUDGET:.0f} a month" if isinstance(answer, Handover) else ""


def faults_of_handover(handover: Handover) -> Iterator[str]:
    """Yield what is wrong with all of it."""
    yield from (f"answers: {fault}" for fault in faults_of_answers(handover.online))
    yield from (f"callers: {fault}" for fault in faults_of_callers(handover.online))
    yield from (f"record: {fault}" for fault in faults_of_record(handover.record))
    yield from (f"night: {fault}" for fault in faults_of_night(handover.night))
    yield from faults_of_question(handover)
    if handover.usd > BUDGET:
        parts = ", ".join(f"{what} {usd:.0f}" for what, usd in handover.costs.items())
        yield f"it costs {handover.usd:.0f} USD a month ({parts}), and the budget is {BUDGET:.0f}."


def faults_of_question(handover: Handover) -> Iterator[str]:
    """Yield what is wrong with what the auditor's question has found."""
    ended, last = handover.ended, handover.night.by_clock
    if ended is None:
        yield "the answer to the question has no columns JobId and ExecutionState."
        return
    if last is None or not set(last.steps) <= set(ended):
        yield (
            "the question does not find the job that the schedule has sent last. What ran before the diagnostic "
            "setting was there is in no log: let the schedule send another one."
        )
        return
    if many := [states for states in ended.values() if len(states) > 1]:
        yield f"the question has {len(many[0])} rows for one job, one for each change. How does it stand *now*?"
    if states := {ended[step][0] for step in last.steps} - {"succeeded"}:
        yield f"the question says {states.pop()!r} of a job that has succeeded. Which row is its latest?"


def _rows(handover: Handover) -> list[Row]:
    """Return the lines of the report card: a need, what was found, what it costs."""
    online, record, night = handover.online, handover.record, handover.night
    machines = ", ".join(f"{one.instances} x {one.size}" for one in online.serving) or "no deployment"
    who = f"nobody {online.nothing}, auditor {online.auditor}, clinics {online.clinics}"
    runs = [run for run in (night.by_hand, night.by_clock) if run]
    listed = " and ".join(f"{run.listed} of {night.cases}" for run in runs) or "none"
    found = f"{len(handover.ended)} jobs, each with its state" if handover.ended else "no job"
    clinics = "the clinics' call" if record.clinics in record.callers else "nothing"
    lines: list[tuple[str, str, Callable[[], Iterable[str]], float | None]] = [
        (
            "an opinion at once",
            f"{machines}: {online.opinions} of {online.samples} opinions",
            lambda: faults_of_answers(online),
            online.usd,
        ),
        ("only the clinics", f"{online.mode or 'no endpoint'}: {who}", lambda: faults_of_callers(online), None),
        ("on the record", f"the auditor finds {clinics}", lambda: faults_of_record(record), handover.costs["the log"]),
        ("each night", f"{listed} cases", lambda: faults_of_night(night), night.usd),
        ("how did the night go?", found, lambda: faults_of_question(handover), None),
    ]
    return [Row(need, evidence, usd, next(iter(faults()), None) is None) for need, evidence, faults, usd in lines]
