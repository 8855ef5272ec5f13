"""Names that do not collide."""

from __future__ import annotations

import getpass
import hashlib
import platform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.ai.ml import MLClient


def unique_name(base: str, ml_client: MLClient, suffix: str = "") -> str:
    """Return ``base-suffix``, where the suffix is the same each time for you, here, and another for everybody else.

    An endpoint's name must be unique in its whole Azure region, so two learners cannot both have ``digits``.

    Args:
        base: what the thing is, in lower case.
        ml_client: the connected workspace.
        suffix: yours; empty for five hexadecimal digits made from the workspace, your user and ``base``.
    """
    if not suffix:
        who = f"{ml_client.subscription_id}/{ml_client.workspace_name}/{getpass.getuser()}@{platform.node()}/{base}"
        suffix = hashlib.sha256(who.encode()).hexdigest()[:5]
    return f"{base}-{suffix}"
