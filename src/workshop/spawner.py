"""Starts a learner's Jupyter server: under their own OS user, in namespaces of its own, within limits.

The hub may end, even by kill -9, while servers run: a new one finds each by its process number and its time of birth.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

from jupyterhub.spawner import LocalProcessSpawner
from jupyterhub.traitlets import ByteSpecification
from traitlets import Integer, List, Unicode, default

from workshop import copies, processes
from workshop.account import Account
from workshop.copies import CopyError
from workshop.disks import DiskError
from workshop.folder import DEFAULT, VARIABLE, Folder, Settings
from workshop.learner import NEWS
from workshop.limits import Limits
from workshop.server import SOCKET
from workshop.users import UserError

RESET = "reset"  # the option of a start that asks for a reset first
FIRST_PORT, LAST_PORT = 600, 1023  # only root may bind these
SECONDS_TO_END = 20.0  # for the server and, after it, the local service, which writes down what it holds
SECONDS_TO_DIE = 10.0
GIB = 1024**3


class SpawnError(Exception):
    """A server cannot be started; the message, which JupyterHub shows to the learner, says why and what to do."""

    @property
    def jupyterhub_message(self) -> str:
        """What JupyterHub shows."""
        return str(self)


class LearnerSpawner(LocalProcessSpawner):  # type: ignore[misc]
    """JupyterHub's spawner for a room of learners, and their trainer."""

    folder = Unicode(help="The workshop's folder.", config=True)
    most_processes = Integer(1000, help="How many processes and threads a learner may have.", config=True)
    disk_size = ByteSpecification("2G", help="How large a learner's disk is when it is made.", config=True)
    env_keep = List(Unicode(), ["LANG", "LC_ALL", "PYTHONPATH"], help="The hub's variables that go on.", config=True)

    _born = 0  # when process ``pid`` was
    _news: Sequence[str] = ()  # what the learner finds changed in their copy of the notebooks

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
    def account(self) -> Account:
        """The learner's account on this machine."""
        return Account(
            Folder(Path(self.folder)),
            self._settings.os_user_of(self.user.name),
            self.disk_size,
            Limits(memory=self.mem_limit, pids=self.most_processes),
        )

    @property
    def _settings(self) -> Settings:
        return Folder(Path(self.folder)).settings() or Settings(learners=0)

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
        return env | self.account.environment() | {NEWS: json.dumps(self._news)}

    async def start(self) -> tuple[str, int]:
        """Start the server, and return where it listens.

        Raises:
            SpawnError: it cannot be started.
        """
        try:
            await asyncio.to_thread(self.account.open)
            self._news = await asyncio.to_thread(self._bring_notebooks)
        except (CopyError, DiskError, UserError) as error:
            raise SpawnError(str(error)) from error
        self.user_options.clear()  # done; JupyterHub would hand them on to the next start
        self.orm_spawner.user_options = {}
        with listening() as listener:
            address, self.port = listener.getsockname()
            self.proc = Popen(  # noqa: S603, ASYNC220 - the command is ours; a fork takes a millisecond
                self.account.command(*self.cmd, *self.get_args()),
                env=self.get_env() | {SOCKET: str(listener.fileno())},
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
            await asyncio.to_thread(self.account.close)
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

    def _bring_notebooks(self) -> list[str]:
        source = Path(self._settings.workbook)
        if what := self.user_options.get(RESET):
            return copies.reset(source, self.account.home, str(what))
        try:
            return copies.bring(source, self.account.home)
        except CopyError as error:  # a full disk, say: only in their lab can the learner make room
            self.log.exception("The notebooks of %s were not brought.", self.user.name)
            return [str(error)]


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
