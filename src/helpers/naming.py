"""Names that do not collide."""

from __future__ import annotations

import fcntl
import getpass
import hashlib
import os
import platform
import sys
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

_reserved: dict[str, int] = {}  # what this process has reserved: the lock's file descriptor by name


def unique_name(base: str, ml_client: MLClient, suffix: str = "", separator: str = "-") -> str:
    """Return ``base-suffix``, where the suffix is the same each time for you, here, and another for everybody else.

    An endpoint's name must be unique in its whole Azure region, so two learners cannot both have ``digits``. The name
    is reserved for this process until ``leftovers`` finds nothing of it left, or the process ends.

    Args:
        base: what the thing is, in lower case.
        ml_client: the connected workspace.
        suffix: yours; empty for five hexadecimal digits made from the workspace, your user and ``base``.
        separator: stands between the two; a component's name takes ``"_"``, and no ``"-"``.

    Raises:
        RuntimeError: another process of yours on this machine uses the name: the same lesson runs twice at once.
    """
    workspace = f"{ml_client.subscription_id}/{ml_client.workspace_name}"
    if not suffix:
        who = f"{workspace}/{getpass.getuser()}@{platform.node()}/{base}"
        suffix = hashlib.sha256(who.encode()).hexdigest()[:5]
    name = f"{base}{separator}{suffix}"
    if name not in _reserved:
        _reserve(name, workspace)
    return name


def _reserve(name: str, workspace: str) -> None:
    """Hold a lock on the name, which the system takes back when the process ends, however it ends."""
    lock = hashlib.sha256(f"{workspace}/{name}".encode()).hexdigest()[:16]
    try:
        folder = platformdirs.user_runtime_path("azureml-workbook", ensure_exists=True)
        descriptor = os.open(folder / f"{lock}.lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        print(f"{name} could not be reserved ({error}). Do not run this lesson twice at once.", file=sys.stderr)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RuntimeError(
            f"{name} is in use: this lesson runs elsewhere on this machine too, in another tab or by `make run`, and "
            "both would change and delete the same things. Let that one end, or shut its kernel down; or give this one "
            'names of its own: set suffix = "b" (any letters) in the parameters cell, and run it from the top.'
        ) from None
    _reserved[name] = descriptor


def release(name: str) -> None:
    """Give a reserved name back, so that another process may use it."""
    descriptor = _reserved.pop(name, None)
    if descriptor is not None:
        os.close(descriptor)
