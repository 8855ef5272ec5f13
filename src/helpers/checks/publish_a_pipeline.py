"""The exercises of *Publish a pipeline*."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helpers.flight_data import count_flights
from helpers.verdicts import CheckResult, exercise, right, wrong

KINDS = ("pipeline", "model", "online")
CHOICES = {
    "forms": ("model", "files, a model and a script, with nothing before or after: which of the two has no steps?"),
    "gate": ("online", "somebody waits for a single answer. How long does a job take to start?"),
    "crews": ("pipeline", "there is something to clean before, and something to merge after. Who connects that?"),
    "mlflow": ("model", "the files are as the model wants them, and nothing is done before or after."),
    "what_if": ("pipeline", "callers give literals of their own. What has inputs for them, beside one folder of data?"),
}
WEEKEND = ("2013-07-04", "2013-07-07")
# The model of either size announces 2 to 3 of 100 with the threshold of 0.5, and 9 to 12 with 0.4.
MOST_LATE = 0.06
NEW_YORK = "eastern standard time"
WORKING_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday"]
DAYS_OF_CRON = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6, "7": 0}


@exercise("publish_a_pipeline/choices", 'Write a dictionary such as {"forms": "online", ...}, with the five keys.')
def choices(answer: Any) -> CheckResult:
    """Accept for each case what fits it."""
    if not isinstance(answer, Mapping):
        return wrong(f"a dictionary is wanted, this is of type {type(answer).__name__}.")
    for case, (expected, hint) in CHOICES.items():
        if case not in answer:
            return wrong(f"{case} is missing.")
        chosen = str(answer[case]).strip().lower()
        if chosen not in KINDS:
            return wrong(f"{case}: {answer[case]} is none of {', '.join(KINDS)}.")
        if chosen != expected:
            return wrong(f"{case}: {hint}")
    return right("steps and parameters make a pipeline; files and a model do not need one.")


@exercise("publish_a_pipeline/worst", "Register a version 3 as version 2 was, publish it, and invoke it by its name.")
def worst(answer: Any) -> CheckResult:
    """Accept the summary of four days with a threshold of 0.5."""
    if not isinstance(answer, Mapping) or not {"flights", "scored", "late"} <= set(answer):
        return wrong("the contents of `summary.json` are wanted, as a dictionary: `json.loads` reads them.")
    planned = count_flights(*WEEKEND)
    if answer["flights"] != planned:
        return wrong(f"it is about {answer['flights']} flights; on the long weekend there are {planned}.")
    share = answer["late"] / planned
    if share > MOST_LATE:
        return wrong(f"{share:.0%} are announced, too many for 0.5. Which deployment has answered?")
    if not answer["late"]:
        return wrong("not one flight is announced: the threshold is too high.")
    return right(f"only {share:.0%} of the flights are announced, and the default is still what it was.")


@exercise("publish_a_pipeline/weekdays", "Begin with the `CronTrigger` of above, or with a `RecurrenceTrigger`.")
def weekdays(answer: Any) -> CheckResult:
    """Accept a trigger that is due at 01:30 from Monday to Friday in New York, as cron or as recurrence."""
    from azure.ai.ml.entities import CronTrigger, JobSchedule, RecurrenceTrigger

    if isinstance(answer, JobSchedule):
        return wrong("this is a schedule; its trigger alone is wanted.")
    if not isinstance(answer, CronTrigger | RecurrenceTrigger):
        return wrong(f"a trigger is wanted, this is of type {type(answer).__name__}.")
    zone = getattr(answer.time_zone, "value", answer.time_zone)  # a text, or one of the SDK's TimeZone
    if str(zone).strip().lower() != NEW_YORK:
        return wrong(f"its time zone is {zone}. Half past one there is not half past one in New York.")
    return _of_cron(answer) if isinstance(answer, CronTrigger) else _of_recurrence(answer)


def _of_cron(trigger: Any) -> CheckResult:
    fields = str(trigger.expression).split()
    if len(fields) != 5:
        return wrong(f"a cron expression has five fields, this one {len(fields)}: minute, hour, day, month, weekday.")
    minute, hour, day, month, weekday = fields
    if (minute, hour.lstrip("0")) == ("1", "30"):
        return wrong("the minute comes first, then the hour.")
    if minute != "30" or hour.lstrip("0") != "1":
        return wrong(f"it is due at minute {minute} of hour {hour}; half past one is wanted.")
    if (day, month) != ("*", "*"):
        return wrong("the third and the fourth field are the day of the month and the month; any will do.")
    if _days_of_cron(weekday) != {1, 2, 3, 4, 5}:
        return wrong(f"the fifth field is the weekday: 0 is Sunday, 1 is Monday. {weekday} is not Monday to Friday.")
    return right("and in summer it is still half past one, for a time zone knows of daylight saving.")


def _days_of_cron(field: str) -> set[int]:
    """Return the weekdays of a cron expression's last field, 0 is Sunday; none of what is no weekday."""
    days: set[int] = set()
    for part in field.lower().split(","):
        first, _, last = part.partition("-")
        bounds = [DAYS_OF_CRON.get(one[:3], int(one) if one.isdecimal() else -1) for one in (first, last or first)]
        days.update(range(bounds[0], bounds[1] + 1))
    return days


def _of_recurrence(trigger: Any) -> CheckResult:
    pattern = trigger.schedule
    if str(trigger.frequency).lower() != "week" or trigger.interval != 1 or pattern is None:
        return wrong("weekdays belong to a frequency of a week, with an interval of 1 and a `schedule`.")
    hours, minutes, days = (_listed(one) for one in (pattern.hours, pattern.minutes, pattern.week_days))
    if (hours, minutes) != ([1], [30]):
        return wrong(f"it is due at the minutes {minutes} of the hours {hours}; half past one is wanted.")
    if sorted(str(day).lower() for day in days) != sorted(WORKING_DAYS):
        return wrong(f"its weekdays are {days}; Monday to Friday are wanted.")
    return right("and in summer it is still half past one, for a time zone knows of daylight saving.")


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | set) else [] if value is None else [value]
