"""What a lesson's machines cost on Azure, said before each long wait: so many minutes, so much money, so much so far.

It counts what the lesson's own clients make and delete: clusters and compute instances in full, as if none of their
nodes ever left, and the instances of managed deployments. So it says at most, and the bill may be lower.
"""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from helpers.workspace_prices import tier_of, usd_per_hour

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

LONG = 2  # minutes, from which a wait is announced
HOUR = 3600
_COMPUTE = re.compile(r"/workspaces/[^/]+/computes/[^/]+$", re.IGNORECASE)
_DEPLOYMENT = re.compile(r"/workspaces/[^/]+/onlineEndpoints/[^/]+/deployments/[^/]+$", re.IGNORECASE)


@dataclass(frozen=True)
class _Machines:
    """So many machines of one size, since when (on the monotonic clock)."""

    size: str
    tier: str
    count: int
    since: float


class Meter:
    """Counts the machines that a process's clients have made, by the ids of what they belong to in lower case."""

    def __init__(self) -> None:
        self._ml_client: MLClient | None = None
        self._prices: dict[tuple[str, str], float] | None = None
        self._running: dict[str, _Machines] = {}
        self._spent = 0.0  # USD, for what runs no more

    def start(self, ml_client: MLClient) -> None:
        """Announce waits from now on, by the prices of a workspace."""
        self._ml_client = ml_client

    @property
    def is_running(self) -> bool:
        """Whether this process works on Azure, where machines cost money."""
        return self._ml_client is not None

    def note(self, response: Any) -> None:
        """Note what a request has made or deleted.

        Args:
            response: an ``azure.core.pipeline.PipelineResponse``, as it comes to a client's ``raw_response_hook``.
        """
        request = response.http_request
        if response.http_response.status_code >= 400 or request.method not in ("PUT", "DELETE"):
            return
        resource_id = urlsplit(request.url).path.lower()
        if request.method == "DELETE":
            self._stop(resource_id)
        elif machines := _made(resource_id, request.body):
            self._stop(resource_id)
            self._running[resource_id] = machines

    def _stop(self, resource_id: str) -> None:
        """Count no longer what belongs to a resource, or to one that it holds."""
        for key in [key for key in self._running if key == resource_id or key.startswith(f"{resource_id}/")]:
            self._spent += self._cost(self._running.pop(key))

    def _cost(self, machines: _Machines) -> float:
        return self._hourly(machines) * (time.monotonic() - machines.since) / HOUR

    def _hourly(self, machines: _Machines) -> float:
        """0 where no price is known, as with the instance types of a Kubernetes cluster."""
        return machines.count * self._known_prices().get((machines.size, machines.tier), 0.0)

    def _known_prices(self) -> dict[tuple[str, str], float]:
        """Ask for the prices when one is first needed; none where the caller may not read them."""
        from azure.core.exceptions import HttpResponseError

        if self._prices is None and self._ml_client is not None:
            try:
                self._prices = usd_per_hour(self._ml_client)
            except HttpResponseError as error:
                print(f"What this costs is not known: {error.message}", file=sys.stderr)
                self._prices = {}
        return self._prices or {}

    @property
    def usd_per_hour(self) -> float:
        """What an hour costs at most, of all that runs now."""
        return sum(map(self._hourly, self._running.values()))

    @property
    def usd(self) -> float:
        """What was spent so far, at most."""
        return self._spent + sum(map(self._cost, self._running.values()))

    def costs(self) -> dict[str, float]:
        """Return what still runs, by name, and what an hour of it costs at most."""
        names = {key: key.rpartition("/workspaces/")[2].partition("/")[2] for key in self._running}
        return {names[key]: self._hourly(machines) for key, machines in self._running.items()}

    def announce(self, what: str, on_azure: str) -> None:
        """Say on standard error how long a long wait takes on Azure, and what it costs; elsewhere say nothing.

        Args:
            what: what is waited for, e.g. ``"deploy the model"``.
            on_azure: how long that takes, in words, e.g. ``"5 to 15 minutes"``.
        """
        longest = minutes(on_azure)
        if not self.is_running or longest < LONG:
            return
        hourly = self.usd_per_hour
        cost = f"at most {hourly * longest / 60:.2f} USD, {self.usd:.2f} USD so far ({hourly:.2f} USD an hour)"
        print(f"{what}: {on_azure}, {cost}", file=sys.stderr)


def minutes(words: str) -> int:
    """Return the most minutes that a text speaks of: 15 for ``"5 to 15 minutes"``, 1 for ``"half a minute"``."""
    return max(map(int, re.findall(r"\d+", words)), default=1 if words else 0)


def _made(resource_id: str, body: Any) -> _Machines | None:
    """Return the machines that a request to make a resource asks for, None where it asks for none."""
    if not (_COMPUTE.search(resource_id) or _DEPLOYMENT.search(resource_id)):
        return None
    asked = json.loads(body)
    properties = asked["properties"]
    if _DEPLOYMENT.search(resource_id):
        if properties.get("endpointComputeType") != "Managed":
            return None
        count = (asked.get("sku") or {}).get("capacity") or 1
        return _Machines(str(properties["instanceType"]).lower(), tier_of(None), count, time.monotonic())
    own = properties.get("properties") or {}
    if not own.get("vmSize"):  # attached: it is somebody else's
        return None
    count = (own.get("scaleSettings") or {}).get("maxNodeCount", 1)
    return _Machines(own["vmSize"].lower(), tier_of(own.get("vmPriority")), count, time.monotonic())


METER = Meter()


def hint(on_azure: str) -> str:
    """Return what stands behind the name of a wait: how long it takes on Azure."""
    return f" (on Azure: {on_azure})" if on_azure else ""
