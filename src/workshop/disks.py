"""A learner's home as a disk of its own: a file with an ext4 file system, mounted through a loop device.

Its room is taken from the machine's disk when it is made. So neither can a learner fill the machine's disk, nor another
learner theirs. One that a crash left mounted is used as it is; the journal mends one that was in use.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from pathlib import Path

LEFT_FREE = 2 * 1024**3  # bytes of the machine's disk: the hub's database and logs must go on
NEEDED = ("mkfs.ext4", "mount", "umount")
LOOP_CONTROL = Path("/dev/loop-control")
ALL_NOW = "lazy_itable_init=0,lazy_journal_init=0"  # later, the kernel would give room back as it writes zeros
OPTIONS = "loop,nosuid,nodev,noatime"  # not discard: that would give the room back


class DiskError(Exception):
    """A disk cannot be made or mounted; the message says why and what to do."""


def are_possible() -> bool:
    """Say whether this machine can mount files: a container, as a rule, cannot."""
    return os.geteuid() == 0 and LOOP_CONTROL.exists() and all(map(shutil.which, NEEDED))


def mount(image: Path, home: Path, size: int, uid: int, gid: int) -> None:
    """Mount a learner's disk as their home, made where it is missing.

    Args:
        image: the file that holds it, in a folder of root's.
        home: an empty folder.
        size: in bytes, of one that is made.
        uid, gid: whom one that is made belongs to.

    Raises:
        DiskError: there is no room for it, or this machine does not mount it.
    """
    if home.is_mount():
        return
    if not image.exists():
        _make(image, size, uid, gid)
    _run("mount", "-t", "ext4", "-o", OPTIONS, str(image), str(home))
    with contextlib.suppress(OSError):
        (home / "lost+found").rmdir()  # root's, and empty unless a check of the disk has found something


def unmount(home: Path) -> bool:
    """Unmount a learner's home, and say whether it was possible; it is not while somebody works in it."""
    if not home.is_mount():
        return True
    try:
        _run("umount", str(home))
    except DiskError:
        return False
    return True


def _make(image: Path, size: int, uid: int, gid: int) -> None:
    image.parent.mkdir(mode=0o700, exist_ok=True)
    draft = image.with_suffix(".new")
    try:
        _require_room(draft, size)
        _run(
            "mkfs.ext4",
            "-q",
            "-F",
            "-m",
            "0",
            "-E",
            f"root_owner={uid}:{gid},{ALL_NOW}",
            str(draft),
            f"{size // 1024}k",
        )
        _reserve(draft, size)  # after mkfs.ext4, which leaves holes where it writes zeros
        draft.replace(image)
    finally:
        draft.unlink(missing_ok=True)


def _require_room(file: Path, size: int) -> None:
    free = shutil.disk_usage(file.parent).free - LEFT_FREE
    if free < size:
        raise DiskError(_no_room(file, size, free))


def _reserve(file: Path, size: int) -> None:
    with file.open("r+b") as opened:
        try:
            os.posix_fallocate(opened.fileno(), 0, size)
        except OSError as error:  # of others that were made at the same time
            raise DiskError(_no_room(file, size, 0) if error.errno == errno.ENOSPC else str(error)) from error


def _no_room(file: Path, size: int, free: int) -> str:
    return (
        f"There is no room for a learner's disk of {size / 2**30:.1f} GiB: {max(free, 0) / 2**30:.1f} GiB are left "
        f"where {file.parent} lies, besides the {LEFT_FREE // 2**30} GiB that stay free. Make room there, put --folder "
        "on a larger disk, or give each learner less with --disk."
    )


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, paths of root's
    if done.returncode:
        raise DiskError(f"{' '.join(command)} failed: {done.stderr.strip() or done.returncode}")
