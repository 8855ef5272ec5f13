"""CPU, memory and GPUs as Kubernetes writes and counts them.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

GPU = "nvidia.com/gpu"
GIB = 1024**3
LONGEST = 40  # characters
LARGEST = 2**63 - 1
MILLI = 1000  # CPUs are counted in thousandths of a core
_QUANTITY = re.compile(r"\+?(\d+\.?\d*|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][-+]?\d{1,2})?", re.ASCII)
_BINARY = {suffix: Decimal(1024) ** (power + 1) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))}
_DECIMAL = {
    suffix: Decimal(1000) ** power
    for suffix, power in {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}.items()
}


def quantity(text: Any) -> Decimal:
    """Return the number that a Kubernetes quantity such as ``100m``, ``0.5Gi`` or ``2`` stands for.

    Raises:
        ValueError: it is none, or below 0.
    """
    written = str(text) if isinstance(text, str) or type(text) is int else ""
    found = _QUANTITY.fullmatch(written) if len(written) <= LONGEST else None
    if found is None:
        raise ValueError(f"{str(text)[:LONGEST]!r} is no Kubernetes quantity such as 100m, 2 or 1.5Gi")
    number, suffix = Decimal(found[1]), found[2] or ""
    is_exponent = suffix[:1] in ("e", "E") and suffix not in ("E", "Ei")
    value = number.scaleb(int(suffix[1:])) if is_exponent else number * (_BINARY.get(suffix) or _DECIMAL[suffix])
    if value > LARGEST:
        raise ValueError(f"{written!r} is more than a Kubernetes quantity can be")
    return value


@dataclass(frozen=True)
class Resources:
    """An amount of each resource: CPU in thousandths of a core, memory in bytes, GPUs."""

    cpu: int = 0
    memory: int = 0
    gpu: int = 0

    @classmethod
    def read(cls, sent: Mapping[str, Any]) -> Resources:
        """Return what ``cpu``, ``memory`` and ``nvidia.com/gpu`` say; what is absent is 0. Raises ValueError."""
        cpu, memory, gpu = (quantity(sent.get(name) or 0) for name in ("cpu", "memory", GPU))
        return cls(math.ceil(cpu * MILLI), math.ceil(memory), math.ceil(gpu))

    def __add__(self, other: Resources) -> Resources:
        """Return both together."""
        return Resources(self.cpu + other.cpu, self.memory + other.memory, self.gpu + other.gpu)

    def lacking(self, left: Resources) -> list[str]:
        """Return the resources of which there is not enough ``left`` for this, in Kubernetes' names."""
        amounts = {"cpu": (self.cpu, left.cpu), "memory": (self.memory, left.memory), GPU: (self.gpu, left.gpu)}
        return [name for name, (wanted, available) in amounts.items() if wanted > available]

    def __sub__(self, other: Resources) -> Resources:
        """Return what is left; below 0 where more was taken than there is."""
        return Resources(self.cpu - other.cpu, self.memory - other.memory, self.gpu - other.gpu)

    def shown(self) -> dict[str, str]:
        """Return the amounts as Kubernetes writes them."""
        cpu = f"{self.cpu}m" if self.cpu % MILLI else str(self.cpu // MILLI)
        return {"cpu": cpu, "memory": f"{math.ceil(self.memory / 2**20)}Mi", GPU: str(self.gpu)}
