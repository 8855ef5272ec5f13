"""Azure's VM sizes: what they have, what they cost and what Azure ML takes them for. ``vm_sizes.yml`` holds them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from starlette.responses import JSONResponse, Response

from azureml_local.arm import ids
from azureml_local.arm.names import require_location
from azureml_local.arm.request import ArmRequest, ArmRoutes

FILE = Path(__file__).with_suffix(".yml")
# Of each size in Azure's list of Compute SKUs, and in the OpenAPI's example of this list.
OS_DISK_MB = 1023 * 1024
MB_IN_GB = 1024
# A node of low priority costs a fifth: https://azure.microsoft.com/blog/announcing-public-preview-of-azure-batch-low-priority-vms,
# and the same example.
LOW_PRIORITY_SHARE = 0.2

routes = ArmRoutes(ids.LOCATION)


@dataclass(frozen=True)
class Size:
    """A VM size.

    Args:
        name: as Azure writes it, e.g. ``Standard_DS3_v2``.
        family: Azure's name of the family whose quota it takes.
        vcpus: how many virtual cores it has.
        memory: in GiB.
        disk: its temporary storage, in GiB.
        gpus: how many it has.
        gpu: their kind; None where it has none.
        price: USD an hour, pay as you go, Linux, East US; None where it was retired before prices were looked up.
        premium_io: takes disks of premium storage.
        compute_instance: can be a compute instance, besides a cluster's node.
        online_endpoints: managed online endpoints take it.
        upgrade_reserve: deployments reserve a fifth more instances for upgrades.
        retired: since when it cannot be had.
        retirement: the page that says so.
    """

    name: str
    family: str
    vcpus: int
    memory: float
    disk: int
    gpus: int = 0
    gpu: str | None = None
    price: float | None = None
    premium_io: bool = True
    compute_instance: bool = True
    online_endpoints: bool = False
    upgrade_reserve: bool = True
    retired: datetime.date | None = None
    retirement: str | None = None

    def compute_types(self) -> list[str]:
        """Return what Azure ML takes the size for; MIR are managed online endpoints."""
        uses = {"AmlCompute": True, "ComputeInstance": self.compute_instance, "MIR": self.online_endpoints}
        return [name for name, possible in uses.items() if possible]

    def to_json(self) -> dict[str, Any]:
        """Return Azure's ``VirtualMachineSize``."""
        return {
            "name": self.name,
            "family": self.family,
            "vCPUs": self.vcpus,
            "gpus": self.gpus,
            "osVhdSizeMB": OS_DISK_MB,
            "maxResourceVolumeMB": self.disk * MB_IN_GB,
            "memoryGB": float(self.memory),
            # Each size but those of promotions: https://learn.microsoft.com/azure/virtual-machines/spot-vms#limitations
            "lowPriorityCapable": True,
            "premiumIO": self.premium_io,
            "estimatedVMPrices": self._prices(),
            "supportedComputeTypes": self.compute_types(),
        }

    def _prices(self) -> dict[str, Any] | None:
        if self.price is None:
            return None
        tiers = {"Standard": self.price, "LowPriority": self.price * LOW_PRIORITY_SHARE}
        return {
            "billingCurrency": "USD",
            "unitOfMeasure": "OneHour",
            "values": [
                {"retailPrice": round(price, 2), "osType": "Linux", "vmTier": tier} for tier, price in tiers.items()
            ],
        }


@dataclass(frozen=True)
class Family:
    """Sizes that share a quota: ``quota`` vCPUs in each region. ``series`` is the page that describes them."""

    name: str
    series: str
    quota: int
    sizes: tuple[Size, ...]


@dataclass(frozen=True)
class Limits:
    """What a subscription may use in a region: computes, and the vCPUs of all families together by priority."""

    clusters: int
    dedicated: int
    low_priority: int


@routes.route("GET", "/vmSizes")
async def list_sizes(request: ArmRequest) -> Response:
    """List the sizes that can be had; every region has the same ones, at the prices of East US."""
    require_location(request.params["location"])
    sizes = [size for family in families().values() for size in family.sizes if not size.retired]
    return JSONResponse({"value": [size.to_json() for size in sizes]})


def find(name: str) -> Size | None:
    """Return a size by its name in any case, a retired one too; None where Azure ML has no such size."""
    return _by_name().get(name.lower())


@cache
def families() -> Mapping[str, Family]:
    """Return the families by their names."""
    return {name: _family(name, **entry) for name, entry in _stored()["families"].items()}


@cache
def limits() -> Limits:
    """Return the limits of a subscription."""
    return Limits(**_stored()["limits"])


@cache
def _by_name() -> Mapping[str, Size]:
    return {size.name.lower(): size for family in families().values() for size in family.sizes}


@cache
def _stored() -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # six times as fast, where the machine has it
    stored: dict[str, Any] = yaml.load(FILE.read_text(), loader)  # noqa: S506 - both are safe
    return stored


def _family(name: str, *, series: str, quota: int, sizes: Mapping[str, Any], **shared: Any) -> Family:
    return Family(name, series, quota, tuple(Size(size, name, **{**shared, **own}) for size, own in sizes.items()))
