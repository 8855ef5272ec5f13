"""Two real OS users for the tests, as the spawner makes them, and commands that run as they do in a workshop."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest
from jupyterhub import orm
from jupyterhub.objects import Hub
from jupyterhub.user import User

from workshop import users
from workshop.account import Account
from workshop.folder import Folder, Settings
from workshop.limits import Limits
from workshop.spawner import LearnerSpawner

needs_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="makes OS users and namespaces, which takes root on Linux"
)
DISK = 16 * 2**20
PATIENCE = 30.0  # seconds


@dataclass(frozen=True)
class Ran:
    """What a command has said, on both of its streams, and its exit status."""

    status: int
    said: str


class Room:
    """A workshop's folder with two learners."""

    def __init__(self, root: Path) -> None:
        self.folder = Folder(root)
        self.folder.create()
        self.folder.write(Settings(learners=2, prefix=f"t{os.getpid()}x"))
        self.database = orm.new_session_factory("sqlite:///:memory:")()

    @property
    def one(self) -> str:
        return self.folder.settings().os_user(1)

    @property
    def other(self) -> str:
        return self.folder.settings().os_user(2)

    def account(self, learner: str) -> Account:
        """Return a learner's account, with limits that are reached soon."""
        return Account(self.folder, learner, DISK, Limits(memory=256 * 2**20, pids=40))

    def run(self, learner: str, script: str, *arguments: str) -> Ran:
        """Run a Python script as a learner's server would run, and wait for its end."""
        account = self.account(learner)
        account.open()
        account.log.unlink(missing_ok=True)
        done = subprocess.run(
            account.command(sys.executable, "-c", script, *arguments),
            env=account.environment(),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Ran(done.returncode, done.stderr + (account.log.read_text() if account.log.is_file() else ""))

    def spawner(self, learner: str, *command: str) -> LearnerSpawner:
        """Return a spawner of this command, as a hub that has just started has it."""
        owner = self.database.query(orm.User).filter_by(name=learner).first() or orm.User(name=learner)
        self.database.add(owner)
        self.database.commit()
        made = User(owner, {"db": self.database})._new_spawner(
            "",
            spawner_class=LearnerSpawner,
            hub=Hub(),
            folder=str(self.folder.root),
            cmd=list(command),
            disk_size=DISK,
            oauth_client_id="none",
            authenticator=Mock(),
        )
        made.api_token = "the-learners-own"
        return made

    def close(self) -> None:
        """Remove what was made."""
        for learner in (self.one, self.other):
            if users.find(learner):
                self.account(learner).end_processes()
                self.account(learner).close()
                users.remove(learner)
        self.database.close()
        shutil.rmtree(self.folder.root)


@contextmanager
def room() -> Iterator[Room]:
    """Make a room, whose folder any user may pass through, and remove it."""
    made = Room(Path(tempfile.mkdtemp(prefix="room-", dir="/tmp")))
    try:
        yield made
    finally:
        made.close()


def processes_of(learner: str) -> list[psutil.Process]:
    return users.processes_of(pwd.getpwnam(learner).pw_uid)
