"""When a schedule is due: cron expressions and recurrences, in the time zones that Azure names as Windows does.

https://learn.microsoft.com/azure/machine-learning/how-to-create-compute-instance#schedule-automatic-start-and-stop and
https://learn.microsoft.com/azure/machine-learning/reference-yaml-schedule. Both kinds are rules of RFC 5545.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from dateutil import rrule
from tzlocal.windows_tz import win_tz

# The fields of a cron expression: a name, the least and the greatest value.
FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
PART = re.compile(r"(?P<from>\*|\d+)(?:-(?P<to>\d+))?(?:/(?P<step>\d+))?")
FREQUENCIES = {
    "Minute": rrule.MINUTELY,
    "Hour": rrule.HOURLY,
    "Day": rrule.DAILY,
    "Week": rrule.WEEKLY,
    "Month": rrule.MONTHLY,
}
PERIODS = {
    "Minute": datetime.timedelta(minutes=1),
    "Hour": datetime.timedelta(hours=1),
    "Day": datetime.timedelta(days=1),
    "Week": datetime.timedelta(weeks=1),
}
# Of the recurrences of logic apps: https://learn.microsoft.com/azure/connectors/connectors-native-recurrence
LONGEST_INTERVALS = {"Minute": 72_000, "Hour": 12_000, "Day": 500, "Week": 71, "Month": 16}
YEARS = range(1900, 3000)  # of starts and ends
WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# A cron expression may name its days as https://github.com/atifaziz/NCrontab/wiki/Crontab-Expression says.
DAY_NAME = re.compile(rf"\b({'|'.join(day[:3] for day in WEEK)})\b", re.IGNORECASE)
# Names that azure-ai-ml offers, and Windows no more.
OBSOLETE = {"Kamchatka Standard Time": "Asia/Kamchatka", "Mid-Atlantic Standard Time": "Etc/GMT+2"}
# A rule that never comes true, such as 30 February, is given up. 29 February pauses for eight years at most.
HORIZON = datetime.timedelta(days=366 * 9)


def next_time(trigger: Mapping[str, Any], after: datetime.datetime) -> datetime.datetime | None:
    """Return when a trigger is due next.

    Args:
        trigger: Azure's ``Cron`` (``expression``) or ``Recurrence`` (``frequency``, ``interval``, ``schedule``), each
            with ``startTime`` and ``timeZone``, by default those of ``after``, and UTC, and ``endTime``. Times that say
            no offset are in that zone.
        after: with a time zone; it is due later than that.

    Returns:
        A time in UTC; None where it is not due any more.

    Raises:
        ValueError: the trigger is not valid; the message names the member, its value and what would be right.
    """
    zone = zone_of(trigger.get("timeZone") or "UTC")
    local = after.astimezone(zone).replace(tzinfo=None)
    start = _time(trigger, "startTime", zone) or local.replace(microsecond=0)
    end = _time(trigger, "endTime", zone)
    rule = _cron(trigger["expression"], max(start, local)) if "expression" in trigger else _rule(trigger, start, local)
    found: datetime.datetime | None = rule.after(max(local, start - datetime.timedelta(microseconds=1)))
    if found is None or (end and found > end):
        return None
    return found.replace(tzinfo=zone).astimezone(datetime.UTC)


def local_time(zone: str, time: datetime.datetime) -> str:
    """Return a time as a trigger's ``startTime`` in a zone has it. Raises ValueError where there is no such zone."""
    return time.astimezone(zone_of(zone)).strftime("%Y-%m-%dT%H:%M:%S")


def _cron(expression: str | None, start: datetime.datetime) -> rrule.rrule:
    fields = (expression or "").split()
    if len(fields) != len(FIELDS):
        raise ValueError(
            f"expression is '{expression}'; it must have five fields: MINUTES HOURS DAYS MONTHS DAYS-OF-WEEK"
        )
    fields[4] = DAY_NAME.sub(_day_number, fields[4])
    minutes, hours, days, months, weekdays = (_field(text, *field) for text, field in zip(fields, FIELDS, strict=True))
    return rrule.rrule(
        rrule.DAILY if fields[2] == fields[3] == "*" else rrule.YEARLY,  # the same times, found in longer strides
        dtstart=start.replace(hour=0, minute=0, second=0, microsecond=0),
        until=start + HORIZON,
        bymonth=months,
        bymonthday=days if fields[2] != "*" else None,
        byweekday=sorted({(day - 1) % 7 for day in weekdays}),  # cron's weeks begin on Sunday
        byhour=hours,
        byminute=minutes,
        bysecond=0,
    )


def _day_number(name: re.Match[str]) -> str:
    """Return the number that cron has for a day of the week."""
    return str([day[:3].lower() for day in WEEK].index(name[0].lower()) + 1)


def _field(text: str, name: str, least: int, greatest: int) -> list[int]:
    """Return the values that a cron field stands for: ``*``, ``5``, ``1-5``, ``*/15``, ``0,30``."""
    values: set[int] = set()
    for part in text.split(","):
        found = PART.fullmatch(part)
        if found is None:
            raise ValueError(f"the {name} of expression is '{part}'; it must look like *, 5, 1-5, */15 or 0,30")
        first = least if found["from"] == "*" else int(found["from"])
        is_open = found["from"] == "*" or (found["step"] and not found["to"])
        last = int(found["to"]) if found["to"] else (greatest if is_open else first)
        step = int(found["step"] or 1)
        if not (least <= first <= last <= greatest and step):
            raise ValueError(f"the {name} of expression is '{part}'; it must lie between {least} and {greatest}")
        values.update(range(first, last + 1, step))
    return sorted(values)


def _rule(trigger: Mapping[str, Any], start: datetime.datetime, local: datetime.datetime) -> rrule.rrule:
    frequency, interval = trigger.get("frequency"), trigger.get("interval")
    if frequency not in FREQUENCIES:
        raise ValueError(f"frequency is {frequency!r}; it must be one of {', '.join(FREQUENCIES)}")
    longest = LONGEST_INTERVALS[frequency]
    if not interval or not 1 <= interval <= longest:
        raise ValueError(f"interval is {interval!r}; it must be a whole number from 1 to {longest}")
    pattern = trigger.get("schedule") or {}
    for name, greatest in (("hours", 23), ("minutes", 59)):
        for value in pattern.get(name) or ():
            if not 0 <= value <= greatest:
                raise ValueError(f"schedule.{name} holds {value}; it must be 0 to {greatest}")
    for value in pattern.get("monthDays") or ():
        if not 1 <= value <= 31:
            raise ValueError(f"schedule.monthDays holds {value}; it must be 1 to 31")
    period = PERIODS.get(frequency)
    if period and local > start:  # leave out what is past: a rule counts from its start
        start += (local - start) // (period * interval) * (period * interval)
    weekdays = [WEEK.index(day) for day in pattern.get("weekDays") or ()]
    return rrule.rrule(
        FREQUENCIES[frequency],
        interval=interval,
        dtstart=start,
        until=max(start, local) + HORIZON,
        byhour=pattern.get("hours") or None,
        byminute=pattern.get("minutes") or None,
        bysecond=0 if pattern.get("minutes") else None,
        byweekday=weekdays or None,
        bymonthday=pattern.get("monthDays") or None,
    )


def _time(trigger: Mapping[str, Any], member: str, zone: ZoneInfo) -> datetime.datetime | None:
    """Return a time of a trigger as the clocks of its zone show it."""
    text = trigger.get(member)
    if not text:
        return None
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{member} is '{text}'; it must look like 2026-01-31T18:00:00") from error
    if time.year not in YEARS:
        raise ValueError(f"{member} is '{text}'; its year must be {YEARS[0]} to {YEARS[-1]}")
    return (time.astimezone(zone) if time.tzinfo else time).replace(tzinfo=None)


def zone_of(name: str) -> ZoneInfo:
    """Return the zone of a Windows name, or of one of the IANA's. Raises ValueError where there is none."""
    try:
        return ZoneInfo((win_tz | OBSOLETE).get(name, name))
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"timeZone is '{name}'; it must be a name such as 'UTC' or 'Pacific Standard Time'") from error
