"""Reads YAML that others have written: no objects, and no more of it than its text would let one think."""

from __future__ import annotations

from typing import Any

import yaml

MOST_NODES = 100_000


def load(text: str) -> Any:
    """Return what a YAML text says.

    Raises:
        yaml.YAMLError: it is none, is nested too deeply, or is too large once its aliases are followed: a few lines of
            aliases of aliases stand for gigabytes, and one of itself for no end.
    """
    try:
        found = yaml.safe_load(text)
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error
    left, seen = [found], 0
    while left:
        one = left.pop()
        seen += 1
        if seen + len(left) > MOST_NODES:
            raise yaml.YAMLError(f"with its aliases it has more than {MOST_NODES} nodes")
        if isinstance(one, dict):
            left.extend(one.values())
        elif isinstance(one, list | set | tuple):
            left.extend(one)
    return found
