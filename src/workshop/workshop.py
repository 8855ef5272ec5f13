"""A workshop on this machine: its folder, its two programs, and the hub's API."""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from azureml_local.locks import lock_within
from workshop.background import Background
from workshop.folder import DEFAULT, VARIABLE, Folder, FolderError, Settings, read_secret

OTHERS_WITHIN = 300.0  # seconds for another start or stop of the same workshop
ANSWER_WITHIN = 60.0  # seconds; the hub may be starting thirty servers
NEEDS_ROOT = (
    "A workshop needs Linux, and root: each learner is an OS user of their own. On this machine that is not so. "
    "On Linux say `sudo {python} -m workshop {command}`; on macOS or Windows use a Linux machine, a virtual one for "
    "instance, or the workshop's image (docs/workshop.md)."
)


class WorkshopError(Exception):
    """A command cannot be done; the message says why and what to do."""


class Workshop:
    """The workshop in a folder.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.folder = Folder(root.resolve())
        self.hub = Background("hub", self.folder.hub_lock, self.folder.hub_log)
        self.proxy = Background("proxy", self.folder.proxy_lock, self.folder.proxy_log)

    def settings(self) -> Settings:
        """Return what it was started with.

        Raises:
            FolderError: it never was.
        """
        settings = self.folder.settings()
        if settings is None:
            raise FolderError(f"No workshop was ever started in {self.folder.root}.")
        return settings

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other starts and stops of this workshop waiting.

        Raises:
            WorkshopError: another takes too long.
        """
        with self.folder.start_lock.open("a") as lock:
            if not lock_within(OTHERS_WITHIN, lock, fcntl.LOCK_EX):
                raise WorkshopError("Another start or stop of this workshop is at work. Try again later.")
            yield

    def ask_hub(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        """Ask the hub's API, as this package's commands.

        Raises:
            requests.RequestException: it does not answer, or refuses.
        """
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the trainer's has no part in what is said on loopback
            answer = session.request(
                method,
                f"http://127.0.0.1:{self.settings().hub_port}/hub/api{path}",
                json=body,
                headers={"Authorization": f"token {read_secret(self.folder.command_token)}"},
                timeout=ANSWER_WITHIN,
            )
        answer.raise_for_status()
        return answer

    def answers(self) -> bool:
        """Say whether the hub answers."""
        try:
            return self.ask_hub("GET", "/health").ok
        except requests.RequestException:
            return False


def require_root(command: str) -> None:
    """Check that this is Linux, and root.

    Raises:
        WorkshopError: it is not; the message says what to do.
    """
    if sys.platform != "linux" or os.geteuid():
        raise WorkshopError(NEEDS_ROOT.format(python=sys.executable, command=command))


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Add the option that every command has."""
    chosen = Path(os.environ.get(VARIABLE, DEFAULT))
    parser.add_argument("--folder", type=Path, default=chosen, help=f"where all of it lies ({DEFAULT})")
