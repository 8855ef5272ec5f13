"""Starts a learner's Jupyter server: under their own OS user, in namespaces of its own, within limits.

The hub may end, even by kill -9, while servers run: a new one finds each by its process number and its time of birth.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import socket
import sys
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

from jupyterhub.spawner import LocalProcessSpawner
from jupyterhub.traitlets import ByteSpecification
from traitlets import Integer, List, Unicode, default

from workshop import disks, limits, processes, users
from workshop.folder import DEFAULT, VARIABLE, WORKBOOK, Folder, Settings
from workshop.limits import Limits
from workshop.sandbox import Plan, barred
from workshop.server import SOCKET

# Not --user: it is root who makes them, which needs no user namespaces, and these some machines forbid.
NAMESPACES = (
    "unshare",
    "--mount",
    "--propagation",
    "private",
    "--pid",
    "--mount-proc",
    "--ipc",
    "--fork",
    "--kill-child",
)
SANDBOX = Path(__file__).with_name("sandbox.py")
# Every user may write there, so all learners would share it.
SHARED = {
    "/tmp": "mode=1777,size=1g,nr_inodes=100k",  # noqa: S108 - it is this folder that is meant
    "/var/tmp": "mode=1777,size=1g,nr_inodes=100k",  # noqa: S108
    "/dev/shm": "mode=1777,size=1g,nr_inodes=100k",  # noqa: S108
    "/run/lock": "mode=1777,size=1m,nr_inodes=1k",
}
PASSED_THROUGH = "mode=0755,size=1m,nr_inodes=1k"
FIRST_PORT, LAST_PORT = 600, 1023  # only root may bind these
LOG = ".jupyter-server.log"
SECONDS_TO_END = 20.0  # for the server and, after it, the local service, which writes down what it holds
SECONDS_TO_DIE = 10.0
GIB = 1024**3


class SpawnError(Exception):
    """A server cannot be started; the message says why and what to do."""


class LearnerSpawner(LocalProcessSpawner):  # type: ignore[misc]
    """JupyterHub's spawner for a room of learners, and their trainer."""

    folder = Unicode(help="The workshop's folder.", config=True)
    most_processes = Integer(1000, help="How many processes and threads a learner may have.", config=True)
    disk_size = ByteSpecification("2G", help="How large a learner's disk is when it is made.", config=True)
    env_keep = List(Unicode(), ["LANG", "LC_ALL", "PYTHONPATH"], help="The hub's variables that go on.", config=True)

    _born = 0  # when process ``pid`` was

    @default("folder")
    def _folder(self) -> str:
        return os.environ.get(VARIABLE, str(DEFAULT))

    @default("mem_limit")
    def _mem_limit(self) -> int:
        return 3 * GIB

    @default("cmd")
    def _cmd(self) -> list[str]:
        return [sys.executable, "-m", "workshop.server"]

    @property
    def os_user(self) -> str:
        """The name of the OS user."""
        settings = Folder(Path(self.folder)).settings() or Settings(learners=0)
        return settings.os_user_of(self.user.name)

    @property
    def home(self) -> Path:
        """The home of the OS user."""
        return Folder(Path(self.folder)).home(self.os_user)

    @property
    def _disk(self) -> Path:
        return Folder(Path(self.folder)).disk(self.os_user)

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over a server that an earlier hub has started."""
        super().load_state(state)
        self._born = state.get("born", 0)

    def get_state(self) -> dict[str, Any]:
        """Return what a later hub needs to take the server over."""
        state: dict[str, Any] = super().get_state()
        return state | ({"born": self._born} if self.pid else {})

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Add what the learner's processes need."""
        return env | environment(self.os_user, self.home)

    def get_args(self) -> list[str]:
        """Return the server's arguments. Kernels use sockets in a private folder: anybody may read from a port."""
        return [*self.args, "--KernelManager.transport=ipc"]

    async def start(self) -> tuple[str, int]:
        """Start the server, and return where it listens."""
        user, groups = await asyncio.to_thread(self._prepare)
        with listening() as listener:
            address, self.port = listener.getsockname()
            environment = self.get_env() | {SOCKET: str(listener.fileno())}
            command = [*NAMESPACES, sys.executable, "-I", "-S", str(SANDBOX), self._plan(user, groups).as_json()]
            self.proc = Popen(  # noqa: S603, ASYNC220 - the command is ours; a fork takes a millisecond
                [*command, *self.cmd, *self.get_args()],
                env=environment,
                cwd="/",
                stdin=DEVNULL,
                pass_fds=(listener.fileno(),),
                start_new_session=True,
            )
        self.pid = self.proc.pid
        self._born = processes.born(self.pid) or 0
        return address, self.port

    async def poll(self) -> int | None:
        """Return None while the server runs, else its exit status (0 where it was another hub's child)."""
        adopted = self.proc is None
        if adopted and self.pid and processes.born(self.pid) != self._born:
            self.clear_state()
        status: int | None = await super().poll()
        if status is not None:
            await asyncio.to_thread(self._tidy)
        return status

    async def stop(self, now: bool = False) -> None:
        """End the server and every process of the learner's: gently and, where that takes too long, at once."""
        for sign, seconds in ((signal.SIGTERM, SECONDS_TO_END), (signal.SIGKILL, SECONDS_TO_DIE))[now:]:
            if await self.poll() is not None:
                return
            for first in processes.children(self.pid):
                os.kill(first, sign)
            await processes.has_ended(self.pid, seconds)
        if await self.poll() is None:
            self.log.warning("The server of %s does not end (process %s).", self.user.name, self.pid)

    def _prepare(self) -> tuple[pwd.struct_passwd, list[Path]]:
        """Make what is missing of the user, the home and its disk; return the user, and the control groups to join."""
        user = users.ensure(self.os_user, self.home)
        users.end_processes(user.pw_uid)  # of a server that was started when its hub was killed, and so is unknown
        self._provide_home(user)
        groups = limits.create(self.os_user, Limits(memory=self.mem_limit, pids=self.most_processes))
        return user, groups

    def _provide_home(self, user: pwd.struct_passwd) -> None:
        self.home.mkdir(mode=0o700, exist_ok=True)
        if self._disk.exists() or (disks.are_possible() and not any(self.home.iterdir())):
            disks.mount(self._disk, self.home, self.disk_size, user.pw_uid, user.pw_gid)
        os.chown(self.home, user.pw_uid, user.pw_gid)
        self.home.chmod(0o700)

    def _tidy(self) -> None:
        """Give back what only a running server needs."""
        limits.remove(self.os_user)
        disks.unmount(self.home)

    def _plan(self, user: pwd.struct_passwd, groups: list[Path]) -> Plan:
        needed = needed_folders()
        return Plan(
            uid=user.pw_uid,
            gid=user.pw_gid,
            home=user.pw_dir,
            log=str(Path(user.pw_dir, LOG)),
            empty=SHARED | {str(folder): PASSED_THROUGH for folder in barred(needed) | {Path(self.folder)}},
            kept={str(folder): False for folder in needed} | {user.pw_dir: True},
            groups=[str(group) for group in groups],
            limits={"NPROC": self.most_processes, "FSIZE": self.disk_size, "CORE": 0},
        )


def environment(name: str, home: Path) -> dict[str, str]:
    """Return the variables of a learner's processes; none is the hub's."""
    return {
        "USER": name,
        "LOGNAME": name,
        "HOME": str(home),
        "SHELL": users.SHELL,
        "PATH": os.pathsep.join((str(Path(sys.prefix, "bin")), "/usr/local/bin", "/usr/bin", "/bin")),
        # A socket's path has 107 bytes at most. This folder is private, too: see SHARED.
        "JUPYTER_RUNTIME_DIR": "/tmp/jupyter",  # noqa: S108
        "AZUREML_LOCAL_HOME": str(home / ".azureml-local"),
        "AZUREML_LOCAL_CLOCK_FACTOR": "60",
        "AZUREML_WORKBOOK_PROGRESS": str(home / ".azureml-workbook" / "progress.db"),
    }


def needed_folders() -> list[Path]:
    """Return the trainer's folders that learners run code from: the environment, its Python, the workbook."""
    folders = {Path(folder).resolve() for folder in (sys.prefix, sys.base_prefix, WORKBOOK)}
    return sorted(folder for folder in folders if not any(folder.is_relative_to(other) for other in folders - {folder}))


def listening() -> socket.socket:
    """Return a socket that listens on loopback at a free port that no learner could bind.

    Raises:
        SpawnError: none is free.
    """
    for port in range(FIRST_PORT, LAST_PORT + 1):
        listener = socket.socket()
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen(128)
        except OSError:
            listener.close()
        else:
            return listener
    raise SpawnError(f"All ports from {FIRST_PORT} to {LAST_PORT} are taken on this machine: end what listens there.")
