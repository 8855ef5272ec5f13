"""A learner's account on this machine: the OS user, the home on a disk of its own, the limits, what they may see."""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import psutil

from course.processors import SIDE_BY_SIDE
from workshop import disks, limits, relay, users
from workshop.folder import WORKBOOK, Folder
from workshop.limits import Limits
from workshop.sandbox import Plan, barred

# Not --user: it is root who makes them, which needs no user namespaces, and these some machines forbid.
NAMESPACES = ("unshare", "--mount", "--propagation=private", "--pid", "--mount-proc", "--ipc", "--fork", "--kill-child")
SANDBOX = Path(__file__).with_name("sandbox.py")
# Every user may write there, so all learners would share it.
SHARED = {
    "/tmp": "mode=1777,size=1g,nr_inodes=100k",  # noqa: S108 - it is this folder that is meant
    "/var/tmp": "mode=1777,size=1g,nr_inodes=100k",  # noqa: S108
    "/dev/shm": "mode=1777,size=1g,nr_inodes=100k",  # noqa: S108
    "/run/lock": "mode=1777,size=1m,nr_inodes=1k",
}
PASSED_THROUGH = "mode=0755,size=1m,nr_inodes=1k"
LOG = ".jupyter-server.log"
# As in the lessons: durations, such as how long a node idles, pass sixty times as fast.
CLOCK_FACTOR = 60


@dataclass(frozen=True)
class Account:
    """One learner's account.

    Attributes:
        folder: the workshop's.
        name: the OS user's.
        disk: how large the disk is when it is made, in bytes.
        limits: what all processes of the learner together may have.
    """

    folder: Folder
    name: str
    disk: int
    limits: Limits

    @property
    def home(self) -> Path:
        """The home."""
        return self.folder.home(self.name)

    @property
    def log(self) -> Path:
        """The file that receives what a command says: in the home, so that it fills no disk but the learner's."""
        return self.home / LOG

    def open(self) -> None:
        """Make what is missing, and end what still runs: a server whose hub was killed before it knew of it.

        Raises:
            UserError, DiskError: it cannot be made.
        """
        user = users.ensure(self.name, self.home)
        self.end_processes()
        self.home.mkdir(mode=0o700, exist_ok=True)
        image = self.folder.disk(self.name)
        if image.exists() or (disks.are_possible() and not any(self.home.iterdir())):
            disks.mount(image, self.home, self.disk, user.pw_uid, user.pw_gid)
        os.chown(self.home, user.pw_uid, user.pw_gid)
        self.home.chmod(0o700)

    def end_processes(self) -> None:
        """End all that runs for the learner, at once."""
        uid = pwd.getpwnam(self.name).pw_uid
        users.end([*sandboxes({uid}), *users.processes_of(uid)])

    def environment(self) -> dict[str, str]:
        """Return the variables of the learner's processes, which reach the internet through the relay."""
        return environment(self.name, self.home) | relay.environment()

    def close(self) -> None:
        """Give back what is of use only while something of the learner's runs."""
        limits.remove(self.name)
        disks.unmount(self.home)

    def command(self, *command: str) -> list[str]:
        """Return what root is to run, so that ``command`` runs as the learner, confined; the account is to be open."""
        plan = self._plan(pwd.getpwnam(self.name))
        return [*NAMESPACES, sys.executable, "-I", "-S", str(SANDBOX), plan.as_json(), *command]

    def _plan(self, user: pwd.struct_passwd) -> Plan:
        needed, settings = needed_folders(), self.folder.settings()
        return Plan(
            uid=user.pw_uid,
            gid=user.pw_gid,
            home=str(self.home),
            log=str(self.log),
            empty=SHARED | {str(folder): PASSED_THROUGH for folder in barred(needed) | {self.folder.root}},
            kept={str(folder): False for folder in needed} | {str(self.home): True},
            groups=[str(group) for group in limits.create(self.name, self.limits)],
            ports=[port for port in (settings.hub_port, settings.board_port) if port] if settings else [],
            limits={"NPROC": self.limits.pids, "FSIZE": self.disk, "CORE": 0},
        )


def environment(name: str, home: Path) -> dict[str, str]:
    """Return the variables of a learner's processes, confined or not."""
    return {
        **SIDE_BY_SIDE,
        "USER": name,
        "LOGNAME": name,
        "HOME": str(home),
        "SHELL": users.SHELL,
        "PATH": os.pathsep.join((str(Path(sys.prefix, "bin")), "/usr/local/bin", "/usr/bin", "/bin")),
        # A socket's path has 107 bytes at most. This folder is the learner's own, too: see SHARED.
        "JUPYTER_RUNTIME_DIR": "/tmp/jupyter",  # noqa: S108
        "AZUREML_LOCAL_HOME": str(home / ".azureml-local"),
        "AZUREML_LOCAL_CLOCK_FACTOR": str(CLOCK_FACTOR),
        "AZUREML_WORKBOOK_PROGRESS": str(home / ".azureml-workbook" / "progress.db"),
        "AZUREML_WORKBOOK_NOTEBOOKS": str(home / "workbook" / "notebooks"),
    }


def sandboxes(uids: Collection[int]) -> list[psutil.Process]:
    """Return the processes of root's, outside of the namespaces, with which all ends that runs for these OS users."""
    return [process for process in psutil.process_iter(["cmdline"]) if _confined_by(process) in uids]


def _confined_by(process: psutil.Process) -> int | None:
    """Return whose processes this one is there for, if that is what it is there for."""
    arguments = process.info["cmdline"] or ()
    if arguments[:1] != [NAMESPACES[0]] or str(SANDBOX) not in arguments:
        return None
    uid: int = json.loads(arguments[arguments.index(str(SANDBOX)) + 1])["uid"]
    return uid


def needed_folders() -> list[Path]:
    """Return the trainer's folders that learners run code from: the environment, its Python, the workbook."""
    folders = {Path(folder).resolve() for folder in (sys.prefix, sys.base_prefix, WORKBOOK)}
    return sorted(folder for folder in folders if not any(folder.is_relative_to(other) for other in folders - {folder}))
