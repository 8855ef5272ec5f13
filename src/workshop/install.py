"""``python -m workshop install``: what a workshop needs besides Python's packages."""

from __future__ import annotations

from collections.abc import Sequence

from workshop import proxy


def main(_: Sequence[str]) -> int:
    """Install the proxy, unless it is."""
    proxy.install()
    return 0
