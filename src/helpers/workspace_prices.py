"""What machines cost, by the prices that the workspace itself names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

LOW_PRIORITY, STANDARD = "LowPriority", "Standard"


def tier_of(priority: str | None) -> str:
    """Return Azure's price tier of a cluster's ``tier``, e.g. of ``low_priority`` or ``LowPriority``."""
    return LOW_PRIORITY if str(priority).lower().replace("_", "") == "lowpriority" else STANDARD


def usd_per_hour(ml_client: MLClient) -> dict[tuple[str, str], float]:
    """Return what each VM size costs in the workspace's region under Linux, by its name in lower case and its tier."""
    return {
        (str(size.name).lower(), price["vmTier"]): float(price["retailPrice"])
        for size in ml_client.compute.list_sizes()
        for price in (vars(size).get("estimatedVMPrices") or {}).get("values", [])  # as azure-ai-ml 1.35 keeps it
        if price["osType"] == "Linux"
    }
