"""What things in a workspace cost an hour, by the prices that the workspace itself names."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from helpers.workspace_prices import tier_of, usd_per_hour

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

_GONE = "preempted"  # such a node is listed for a while, and not paid for


class Prices:
    """Prices of VM sizes in USD an hour, which are asked for when one is first needed: ``compute.list_sizes``."""

    def __init__(self, ml_client: MLClient) -> None:
        self._ml_client = ml_client

    def of(self, kind: str, thing: Any) -> float | None:
        """What it costs an hour as it stands, in USD; None where it costs nothing of its own."""
        if kind == "online endpoint":
            deployments = self._ml_client.online_deployments.list(endpoint_name=thing.name)
            return sum(self._of_size(one.instance_type) * (one.instance_count or 1) for one in deployments)
        if kind == "compute":
            return self._of_compute(thing)
        return None

    def _of_compute(self, compute: Any) -> float | None:
        match str(compute.type).lower():
            case "amlcompute":
                nodes = self._ml_client.compute.list_nodes(compute.name)
                return self._of_size(compute.size, compute.tier) * sum(_is_paid(node) for node in nodes)
            case "computeinstance":
                return self._of_size(compute.size) if compute.state == "Running" else 0.0
        return None

    def _of_size(self, size: str | None, tier: str | None = None) -> float:
        """0 where no price is known, as with the instance types of a Kubernetes cluster."""
        return self._sizes.get((str(size).lower(), tier_of(tier)), 0.0)

    @functools.cached_property
    def _sizes(self) -> dict[tuple[str, str], float]:
        return usd_per_hour(self._ml_client)


def _is_paid(node: Any) -> bool:
    # azure-ai-ml 1.35 leaves its own attribute empty, and keeps Azure's.
    return str(getattr(node, "node_state", None) or getattr(node, "nodeState", "")).lower() != _GONE
