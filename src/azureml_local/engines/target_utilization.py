"""How many instances a deployment on Kubernetes has: what azureml-fe, the inference router, decides by their load.

https://learn.microsoft.com/azure/machine-learning/how-to-kubernetes-inference-routing-azureml-fe#autoscaling
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azureml_local.clock import real_seconds

if TYPE_CHECKING:  # it needs the settings' type
    from azureml_local.engines.replicas import ReplicaSet

logger = logging.getLogger(__name__)

SCALE_DOWN_AFTER = 60.0  # seconds: "Decisions to remove replicas are conservative (around 1 minute)"

SHORTEST_INTERVAL = 0.05  # real seconds, however fast the clock


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


class Scaler:
    """Decides, as often as the settings say, how many instances there are to be.

    More are asked for at once; fewer, when no more were needed for a minute. While nothing is asked of the fewest
    instances, nothing is looked at. Times are by the service's clock.

    Args:
        replicas: the instances, whose plan has the settings.
        scale: lets there be another number of instances.
    """

    def __init__(self, replicas: ReplicaSet, scale: Callable[[int], Awaitable[None]]) -> None:
        self._replicas = replicas
        self._scale = scale
        self._wanted: deque[tuple[float, int]] = deque()  # when, and how many

    async def run(self) -> None:
        """Scale until cancelled, or until the number of instances no longer follows the load."""
        while settings := self._replicas.plan.scaling:
            count = self._replicas.plan.instance_count
            if count == settings.min_instances and not any(self._replicas.load):
                self._wanted.clear()
                await self._replicas.until_busy()
            await asyncio.sleep(max(SHORTEST_INTERVAL, real_seconds(settings.polling_interval)))
            try:
                await self._decide(settings)
            except Exception:  # a full disk, say: what cannot be done now is tried again
                logger.exception("the number of instances of %s stays as it is", self._replicas.plan.app_root)

    async def _decide(self, settings: TargetUtilization) -> None:
        now, count = asyncio.get_running_loop().time(), self._replicas.plan.instance_count
        self._wanted.append((now, settings.wanted(*self._replicas.load)))
        least = max(wanted for _, wanted in self._wanted)
        if self._wanted[-1][1] > count:
            await self._scale(self._wanted[-1][1])
        elif now - self._wanted[0][0] >= real_seconds(SCALE_DOWN_AFTER):
            self._wanted.popleft()
            if least < count:
                await self._scale(least)
