"""Whether what a caller's roles grant permits an action.

https://learn.microsoft.com/azure/role-based-access-control/role-definitions: permissions add up, and what one role
takes away by ``notActions`` another may grant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence


def permits(permissions: Iterable[Mapping[str, Sequence[str]]], action: str) -> bool:
    """Say whether one of the permissions, as Azure lists them, grants an action of the control plane."""
    return any(
        _matches(one["actions"], action) and not _matches(one.get("notActions") or (), action) for one in permissions
    )


def _matches(patterns: Iterable[str], action: str) -> bool:
    """Say whether an action is one of the patterns, in any case; ``*`` stands for anything, also for no segment."""
    for pattern in patterns:
        expression = re.escape(pattern).replace(r"/\*/", "/(?:.*/)?").replace(r"\*", ".*")
        if re.fullmatch(expression, action, re.IGNORECASE):
            return True
    return False
