"""How many instances a deployment on Kubernetes has: what azureml-fe, the inference router, decides by their load.

https://learn.microsoft.com/azure/machine-learning/how-to-kubernetes-inference-routing-azureml-fe#autoscaling
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SCALE_DOWN_AFTER = 60.0  # seconds: "Decisions to remove replicas are conservative (around 1 minute)"


@dataclass(frozen=True)
class TargetUtilization:
    """Azure's ``TargetUtilizationScaleSettings``; the interval is in seconds, the target in percent."""

    min_instances: int
    max_instances: int
    target: int
    polling_interval: float

    def wanted(self, busy: float, waiting: int) -> int:
        """Return how many instances keep the utilization at its target.

        The utilization is (busy instances + waiting requests) / instances.

        Args:
            busy: how many instances' worth of requests are running: one that takes several counts in part.
            waiting: how many requests wait for an instance.
        """
        return self.within(math.ceil(round((busy + waiting) * 100 / self.target, 6)))

    def within(self, count: int) -> int:
        """Return a number of instances, made to lie within the limits."""
        return min(max(count, self.min_instances), self.max_instances)
