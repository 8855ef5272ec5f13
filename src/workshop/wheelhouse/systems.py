"""The systems that a wheelhouse can be made for: what pip and uv call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from packaging import tags

OLDEST_MAC = (14, 0)
NEWEST_GLIBC = 36  # Debian 12, Ubuntu 23.04 and later
OLDEST_GLIBC = 17  # of which wheels are made still


@dataclass(frozen=True)
class System:
    """A system: what uv calls it, and the platform tags of the wheels that it takes, as ``pip download`` wants them."""

    for_uv: str
    tags: Sequence[str]


def _linux(machine: str) -> System:
    return System(
        f"{machine}-manylinux_2_{NEWEST_GLIBC}",
        [
            *(f"manylinux_2_{minor}_{machine}" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)),
            f"manylinux2014_{machine}",
        ],
    )


def _mac(machine: str, for_uv: str) -> System:
    return System(for_uv, list(tags.mac_platforms(OLDEST_MAC, machine)))


# By what sys.platform and platform.machine() say there.
SYSTEMS = {
    "linux-x86_64": _linux("x86_64"),
    "linux-aarch64": _linux("aarch64"),
    "darwin-arm64": _mac("arm64", "aarch64-apple-darwin"),
    "darwin-x86_64": _mac("x86_64", "x86_64-apple-darwin"),
}
