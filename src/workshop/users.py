"""The operating system's users of the learners: made, marked as ours, found again, removed.

A user without our mark in its comment (GECOS) field is somebody else's and never touched.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

MARK = "Azure ML workshop"
LOCK = Path("/run/azureml-workshop-users.lock")  # useradd does not wait for another useradd: it fails
SHELL = "/bin/bash"
SECONDS_TO_END = 10.0


class UserError(Exception):
    """A user cannot be made or used; the message says why and what to do."""


def ensure(name: str, home: Path) -> pwd.struct_passwd:
    """Return the user of this name, made where there is none.

    The home is not made: whoever calls may want to mount a disk there.

    Raises:
        UserError: the name is another's, or ``useradd`` fails.
    """
    with _one_at_a_time():
        if find(name) is None:
            _run("useradd", "--no-create-home", "--home-dir", str(home), "--shell", SHELL, "--user-group",
                 "--comment", MARK, name)  # fmt: skip
    user = pwd.getpwnam(name)
    if Path(user.pw_dir) != home:
        raise UserError(f"The user {name} lives in {user.pw_dir}, and not in {home}: userdel {name}, or take --prefix.")
    return user


def find(name: str) -> pwd.struct_passwd | None:
    """Return the user of this name, or None where there is none.

    Raises:
        UserError: it is not one of ours.
    """
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return None
    if user.pw_gecos != MARK:
        raise UserError(f"This machine has a user {name} of its own already: take another --prefix.")
    return user


def living_below(homes: Path) -> list[str]:
    """Return the names of our users whose homes lie in this folder."""
    return [user.pw_name for user in pwd.getpwall() if user.pw_gecos == MARK and Path(user.pw_dir).parent == homes]


def remove(name: str) -> None:
    """Remove a user of ours; the home stays."""
    with _one_at_a_time():
        if find(name) is not None:
            _run("userdel", name)


def end(running: Sequence[psutil.Process]) -> None:
    """End processes at once, and wait until they have ended."""
    for process in running:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(running, timeout=SECONDS_TO_END)


def processes_of(uid: int) -> list[psutil.Process]:
    """Return a user's processes."""
    return [process for process in psutil.process_iter(["uids"]) if uid in (process.info["uids"] or ())]


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, names checked
    if done.returncode:
        raise UserError(f"{command[0]} failed for {command[-1]}: {done.stderr.strip() or done.returncode}")
