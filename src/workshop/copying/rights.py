"""Giving up root's rights for good."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from workshop.copying.trees import TreeError


def become_owner(home: Path) -> None:
    """Take the rights of a home's owner, if we are root; from then on no link in the home leads beyond what they may.

    As it happens without another program's start, the learner's processes can neither trace this one nor signal it
    before it ends: the kernel makes who changes its user undumpable.

    Raises:
        TreeError: there is no such folder.
    """
    try:
        status = os.lstat(home)
    except OSError as error:
        raise TreeError(f"There is no home {home}: {error.strerror}.") from error
    if not stat.S_ISDIR(status.st_mode):
        raise TreeError(f"The home {home} is not a folder.")
    if os.geteuid() == 0 and status.st_uid != 0:
        os.setgroups([])
        os.setresgid(status.st_gid, status.st_gid, status.st_gid)
        os.setresuid(status.st_uid, status.st_uid, status.st_uid)
