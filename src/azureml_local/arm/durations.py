"""ISO 8601 durations as Azure writes them: ``PT5S``, ``PT1M30S``, ``PT0.5S``."""

from __future__ import annotations

import re

_DURATION = re.compile(r"P(?:([0-9]+)D)?(?:T(?=[0-9])(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+(?:\.[0-9]+)?)S)?)?")
_IN_SECONDS = (86400, 3600, 60, 1)
# https://learn.microsoft.com/dotnet/api/system.timespan.maxvalue
_LONGEST_DAYS = 10_675_199


def seconds(text: str) -> float:
    """Return a duration's seconds. Raises ValueError where ``text`` is none, or longer than Azure's can be."""
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None or not any(found.groups()):
        raise ValueError(f"'{text}' is no ISO 8601 duration such as PT5S or PT1M30S")
    total = sum(float(part or 0) * size for part, size in zip(found.groups(), _IN_SECONDS, strict=True))
    if total > _LONGEST_DAYS * _IN_SECONDS[0]:
        raise ValueError(f"'{text[:100]}' is too long; it must be at most P{_LONGEST_DAYS}D")
    return total
