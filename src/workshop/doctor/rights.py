"""Checks of what root may do here, each by doing it once; and of what learners may read."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from azureml_local.engines import azurite
from workshop import disks, limits, users
from workshop.account import NAMESPACES, needed_folders
from workshop.doctor.findings import Finding, bad, good, worse
from workshop.doctor.room import Room
from workshop.sandbox import barred

TOOLS = {  # and the Debian package that has them
    "unshare": "util-linux",
    "mount": "mount",
    "useradd": "passwd",
    "userdel": "passwd",
    "mkfs.ext4": "e2fsprogs",
}
TRIAL_DISK = 16 * 2**20  # bytes
NOT_RUN = (azurite.COMPILED.resolve(),)  # Node has a folder there for each user, and does without where it cannot write


def root(_: Room) -> Iterator[Finding]:
    """The hub starts servers as other users."""
    if os.geteuid() == 0:
        yield good("root", "yes")
    else:
        yield bad("root", "no: only root starts servers as other users", "Say it with sudo, this command, too.")


def tools(_: Room) -> Iterator[Finding]:
    """What the spawner calls."""
    lacking = [tool for tool in TOOLS if not shutil.which(tool)]
    if lacking:
        packages = " ".join(sorted({TOOLS[tool] for tool in lacking}))
        yield bad("tools", f"{', '.join(lacking)} not found", f"apt-get install {packages}")
    else:
        yield good("tools", ", ".join(TOOLS))


def namespaces(_: Room) -> Iterator[Finding]:
    """Each learner has processes, a network, temporary files and a view of the disk of their own."""
    command = [*NAMESPACES, "unshare", "--net", "true"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if tried.returncode == 0:
        yield good("namespaces", "processes, network and files of each learner are apart")
    else:
        yield bad(
            "namespaces", tried.stderr.strip().splitlines()[-1] if tried.stderr.strip() else "refused",
            "In a container, root may not: take the machine itself or a virtual one, `docker run --privileged`, or "
            "Kubernetes (docs/workshop-kubernetes.md).",
        )  # fmt: skip


def control_groups(_: Room) -> Iterator[Finding]:
    """They limit a learner's memory, processes and share of the processors."""
    lacking = limits.lacking()
    if lacking:
        yield worse(
            "limits", f"no control group for {', '.join(lacking)}: one learner can slow all others down",
            "Take a machine that lets root write below /sys/fs/cgroup; a container, as a rule, does not.",
        )  # fmt: skip
    else:
        yield good("limits", f"control groups for {', '.join(limits.CONTROLLERS)}")


def own_disks(room: Room) -> Iterator[Finding]:
    """A disk of a learner's own is all that they can fill."""
    if not disks.are_possible():
        yield _no_disks("this machine mounts no files")
        return
    with tempfile.TemporaryDirectory(dir=room.place, prefix=".doctor-") as folder:
        home = Path(folder, "home")
        home.mkdir()
        try:
            disks.mount(Path(folder, "disks", "trial.img"), home, TRIAL_DISK, os.getuid(), os.getgid())
        except disks.DiskError as error:
            yield _no_disks(str(error))
        else:
            disks.unmount(home)
            yield good("disks", "each learner's home is a disk of its own")


def _no_disks(why: str) -> Finding:
    return worse(
        "disks", f"{why}: a learner who fills the disk fills it for all",
        "Take a machine with loop devices (modprobe loop); the board shows how full the disk is.",
    )  # fmt: skip


def accounts(room: Room) -> Iterator[Finding]:
    """A user that this machine has already is never touched."""
    settings = room.settings
    names = [settings.trainers_os_user, *(settings.os_user(number) for number in range(1, room.learners + 1))]
    taken = [name for name in names if _is_anothers(name)]
    if taken:
        yield bad("users", f"{', '.join(taken[:3])} exist and are not ours", "Name another beginning with --prefix.")
    else:
        yield good("users", f"{names[1]} to {names[-1]} are free, or ours")


def _is_anothers(name: str) -> bool:
    try:
        users.find(name)
    except users.UserError:
        return True
    return False


def readable(_: Room) -> Iterator[Finding]:
    """Learners run code from the trainer's checkout and environment: read it they must, write there they must not."""
    folders = needed_folders()
    for folder in folders:
        if shut := _first(folder, _is_shut):
            yield bad("workbook", f"{shut} is not readable for others", f"chmod -R o+rX {folder}")
            return
        if open_ := _first(folder, _is_open):
            yield bad("workbook", f"{open_} is writable for others", f"chmod -R o-w {folder}")
            return
    hidden = sorted(map(str, barred(folders)))
    if hidden and os.geteuid() != 0:
        yield bad(
            "workbook", f"{', '.join(hidden)} shut others out", f"chmod o+x {' '.join(hidden)}, or clone elsewhere"
        )
    else:
        where = f"; {', '.join(hidden)} stays shut but for it" if hidden else ""
        yield good("workbook", f"learners can read it, and not write{where}")


def _is_shut(mode: int) -> bool:
    needed = stat.S_IROTH | stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH
    return mode & needed != needed


def _is_open(mode: int) -> bool:
    return bool(mode & stat.S_IWOTH) and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX)


def _first(folder: Path, wanted: Callable[[int], bool]) -> Path | None:
    """Return the first thing that has such a mode; hidden files, of git for instance, are nobody's business."""
    if folder in NOT_RUN:
        return None
    if wanted(folder.stat().st_mode):
        return folder
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".") and not entry.is_symlink()]
    for entry in shown:
        if entry.is_dir(follow_symlinks=False):
            if found := _first(Path(entry.path), wanted):
                return found
        elif wanted(entry.stat(follow_symlinks=False).st_mode):
            return Path(entry.path)
    return None
