"""What the tests of this folder attack."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoint:
    """An endpoint without deployments: whoever is let in is answered 404."""

    name: str
    host: str
    keys: dict[str, str]
