"""ISO 8601 durations as Azure writes them: ``PT5S``, ``PT1M30S``, ``PT0.5S``."""

from __future__ import annotations

import re

_DURATION = re.compile(r"P(?:([0-9]+)D)?(?:T(?=[0-9])(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+(?:\.[0-9]+)?)S)?)?")
_IN_SECONDS = (86400, 3600, 60, 1)


def seconds(text: str) -> float:
    """Return a duration's seconds. Raises ValueError where ``text`` is none."""
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None or not any(found.groups()):
        raise ValueError(f"'{text}' is no ISO 8601 duration such as PT5S or PT1M30S")
    return sum(float(part or 0) * size for part, size in zip(found.groups(), _IN_SECONDS, strict=True))
