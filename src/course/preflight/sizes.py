"""Which VM sizes a region has room for: those that lessons name, or else the first that replaces them.

https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas says which limits hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from course.preflight.needs import Machines, Needs

# What an update of a deployment takes besides its machines: ceil(1.2 * instances), as the same page says.
UPGRADE_SHARE = 1.2
# The compute types of Azure's VM sizes; MIR are managed online endpoints.
TAKEN_FOR = {"cluster": "AmlCompute", "low_priority": "AmlCompute", "endpoint": "MIR"}
DEDICATED, LOW_PRIORITY = "cluster dedicated", "cluster lowpriority"
TOTALS = {DEDICATED: "totalclusterdedicatedregionalvcpus", LOW_PRIORITY: "totalclusterlowpriorityregionalvcpus"}


@dataclass(frozen=True)
class Fit:
    """What a region says to a size: the cores that are needed and free, and why it cannot be had (empty: it can)."""

    size: str
    needed: int
    free: int | None
    reason: str = ""


class Region:
    """The sizes of a region and what is left of its limits.

    Args:
        sizes: Azure's ``VirtualMachineSize``, by their names in lower case.
        usages: Azure's ``Usage``.
        workspace: the id of the workspace, which may have a limit of its own.
    """

    def __init__(
        self, sizes: Mapping[str, Mapping[str, Any]], usages: Iterable[Mapping[str, Any]], workspace: str
    ) -> None:
        self._sizes = sizes
        self._free: dict[str, int] = {}
        own = f"{workspace.lower()}/usages/"
        for usage in usages:
            of_another = "/workspaces/" in usage["id"].lower() and not usage["id"].lower().startswith(own)
            if of_another or usage["limit"] < 0:  # without a limit of its own
                continue
            name = _plain(usage["name"]["value"])
            left = max(0, int(usage["limit"]) - int(usage["currentValue"]))  # a quota can be lowered below its use
            self._free[name] = min(left, self._free.get(name, left))

    def fit(self, size: str, kinds: Mapping[str, int]) -> Fit:
        """Say whether the region has a size, for all uses, and cores for so many machines of it."""
        found = self._sizes.get(size.lower())
        if found is None:
            return Fit(size, 0, None, "is not to be had in this region")
        known = [*(found.get("supportedComputeTypes") or ())]
        unfit = [kind for kind in kinds if known and TAKEN_FOR[kind] not in known]
        if unfit:
            return Fit(size, 0, None, f"cannot be used for: {', '.join(unfit)}")
        cores, family = int(found["vCPUs"]), _plain(found["family"])
        fits = [
            self._fit(size, family, LOW_PRIORITY, cores * kinds.get("low_priority", 0)),
            self._fit(size, family, DEDICATED, cores * _dedicated(kinds)),
        ]
        return next((one for one in fits if one.reason), max(fits, key=lambda one: one.needed))

    def _fit(self, size: str, family: str, kind: str, needed: int) -> Fit:
        limits = [f"{family}{_plain(kind)}vcpus", TOTALS[kind]]
        known = [self._free[name] for name in limits if name in self._free]
        free = min(known, default=None)
        is_short = needed > 0 and free is not None and free < needed
        return Fit(size, needed, free, f"{free} of {needed} vCPUs are free" if is_short else "")

    def price(self, size: str) -> float | None:
        """Return what an hour of a dedicated Linux machine of a size costs, in US dollars; None where it is unknown."""
        prices = self._sizes.get(size.lower(), {}).get("estimatedVMPrices") or {}
        if prices.get("billingCurrency") != "USD":
            return None
        found = (one for one in prices["values"] if (one["osType"], one["vmTier"]) == ("Linux", "Standard"))
        return next((float(one["retailPrice"]) for one in found), None)


def _dedicated(kinds: Mapping[str, int]) -> int:
    return kinds.get("cluster", 0) + math.ceil(UPGRADE_SHARE * kinds.get("endpoint", 0))


def _plain(name: str) -> str:
    """A name as families and limits have it in common: ``standardDSv2Family``, ``Standard DSv2 Family Cluster ...``."""
    return name.replace(" ", "").replace("_", "").lower()


def choose(region: Region, needs: Needs, wanted: Machines) -> tuple[Fit | None, list[Fit]]:
    """Return the first size that fits, None where none does, and those that were tried before it."""
    tried: list[Fit] = []
    for size in needs.sizes(wanted.size):
        fit = region.fit(size, wanted.kinds)
        if not fit.reason:
            return fit, tried
        tried.append(fit)
    return None, tried
