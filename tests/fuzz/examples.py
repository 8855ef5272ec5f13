"""How many examples a test takes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings

FACTOR = float(os.environ.get("AZUREML_LOCAL_FUZZ", "0"))


def examples(number: int) -> Callable[[Any], Any]:
    """Run a test with so many examples, the same in every run, or with as many times more as the variable says."""
    return settings(
        max_examples=int(number * FACTOR) or number,
        derandomize=not FACTOR,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink) if FACTOR else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
