"""``python -m workshop install``: what a workshop needs besides Python's packages."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from workshop import proxy


def main(argv: Sequence[str]) -> int:
    """Install the proxy, unless it is."""
    argparse.ArgumentParser(prog="python -m workshop install", description="Install the proxy.").parse_args(argv)
    proxy.install()
    return 0
