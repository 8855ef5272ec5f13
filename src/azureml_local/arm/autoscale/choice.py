"""Which profile of an autoscale setting applies at a time.

https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-multiprofile: a profile of a fixed date, else a
recurring one, else the default one, and of several the first. A recurring profile has no end of its own: it applies
until the next one begins.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from azureml_local.arm.autoscale.profiles import Profile, Recurrence

# What the log says was looked at for each kind of profile.
FIXED, RECURRENT, DEFAULT = "FixedDateProfileEvaluation", "RecurrentProfileEvaluation", "DefaultProfileEvaluation"


def kind(profile: Profile) -> str:
    """Return the name of the evaluation that a profile gets."""
    if profile.fixed:
        return FIXED
    return RECURRENT if profile.recurrence else DEFAULT


def applicable(profiles: Sequence[Profile], now: datetime.datetime) -> Profile | None:
    """Return the profile that applies; None where none does."""
    for profile in profiles:
        if profile.fixed and profile.fixed[0] <= now < profile.fixed[1]:
            return profile
    recurring = [(last_start(one.recurrence, now), one) for one in profiles if one.recurrence]
    if recurring:
        return max(recurring, key=lambda pair: pair[0])[1]
    return next((one for one in profiles if kind(one) == DEFAULT), None)


def last_start(recurrence: Recurrence, now: datetime.datetime) -> datetime.datetime:
    """Return when a recurring profile has begun last: within the last week, or now."""
    today = now.astimezone(recurrence.zone)
    starts = (
        (today - datetime.timedelta(days=ago)).replace(hour=hour, minute=minute, second=0, microsecond=0)
        for ago in range(8)
        if (today.weekday() - ago) % 7 in recurrence.days
        for hour in recurrence.hours
        for minute in recurrence.minutes
    )
    return max(start for start in starts if start <= today)
