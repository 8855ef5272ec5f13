"""How fast time passes for what takes long on Azure. Time stamps stay true; only durations are shortened.

``AZUREML_LOCAL_CLOCK_FACTOR`` is how many seconds pass in one: 60 makes an endpoint's token, good for an hour, expire
in a minute.
"""

from __future__ import annotations

import os

VARIABLE = "AZUREML_LOCAL_CLOCK_FACTOR"


def real_seconds(seconds: float) -> float:
    """Return how long ``seconds`` take here. Raises ValueError where the variable is no number above 0."""
    return seconds / _factor()


def passed(real: float) -> float:
    """Return how many seconds pass here in so many ``real`` ones. Raises ValueError as :func:`real_seconds` does."""
    return real * _factor()


def _factor() -> float:
    text = os.environ.get(VARIABLE) or "1"
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise ValueError(f"{VARIABLE} is '{text}'; it must be a number above 0.")
    return factor
