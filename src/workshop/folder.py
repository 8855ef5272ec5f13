"""The workshop's folder: the one module that knows where its files lie, and whom each may be read by.

Everything is root's. Learners may pass through the folder to their own homes, and read nothing else in it.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import stat
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from azureml_local.home import write_private

DEFAULT = Path("/var/lib/azureml-workshop")
VARIABLE = "AZUREML_WORKSHOP_FOLDER"  # tells the hub, and what it starts, which folder is meant
HUB_PROCESS = "AZUREML_WORKSHOP_HUB"  # tells the board its hub's process number
WORKBOOK = Path(__file__).resolve().parents[2]  # the checkout that holds this package
# Without what one takes for another: 0 and o, 1 and i and l, u and v.
CODE_LETTERS, CODE_LENGTH = "23456789abcdefghjkmnpqrstwxyz", 8
TRAINER = "trainer"  # the trainer's name at the hub


class FolderError(Exception):
    """The folder cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Settings:
    """What a workshop was started with.

    Attributes:
        learners: how many seats there are.
        prefix: what the names of its OS users begin with.
        listen: the address at which the proxy listens; all else is on loopback.
        port: the proxy's port there.
        hub_port, proxy_api_port, board_port: ports on loopback. They stay for as long as the folder does: running
            servers know them.
        certificate, key: the trainer's own PEM files for HTTPS; empty where there are none.
        host: what links call this machine; empty for ``listen``.
        disk: how large a learner's disk is when it is made, in GiB.
        workbook: the checkout whose lessons are taught.
    """

    learners: int
    prefix: str = "learner"
    listen: str = "127.0.0.1"
    port: int = 8000
    hub_port: int = 0
    proxy_api_port: int = 0
    board_port: int = 0
    certificate: str = ""
    key: str = ""
    host: str = ""
    disk: int = 2
    workbook: str = str(WORKBOOK)

    def os_user(self, number: int) -> str:
        """Return the OS user of a seat (from 1 on), which is its user at the hub, too: learner01, learner02, …"""
        return f"{self.prefix}{number:02}"

    @property
    def trainers_os_user(self) -> str:
        """The OS user that the trainer's own lab runs as."""
        return f"{self.prefix}-trainer"

    def os_user_of(self, user: str) -> str:
        """Return the OS user of a user of the hub."""
        return self.trainers_os_user if user == TRAINER else user


class Folder:
    """Where the files of a workshop lie."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hub = root / "hub"
        self.homes = root / "homes"
        self.disks = root / "disks"
        self.seats = root / "seats.db"
        self.settings_file = root / "workshop.json"
        self.start_lock = self.hub / "start.lock"
        self.hub_lock = self.hub / "hub.lock"
        self.proxy_lock = self.hub / "proxy.lock"
        self.hub_log = self.hub / "hub.log"
        self.proxy_log = self.hub / "proxy.log"
        self.hub_database = self.hub / "jupyterhub.sqlite"
        self.cookie_secret = self.hub / "cookie-secret"
        self.trainer_password = self.hub / "trainer-password"
        self.join_code = self.hub / "join-code"
        self.proxy_token = self.hub / "proxy-token"
        self.command_token = self.hub / "command-token"
        self.tls = self.hub / "tls"

    def home(self, os_user: str) -> Path:
        """Return the home of an OS user."""
        return self.homes / os_user

    def disk(self, os_user: str) -> Path:
        """Return the file that is mounted as the home of an OS user, where this machine can mount files."""
        return self.disks / f"{os_user}.ext4"

    def create(self) -> None:
        """Make the folder with its secrets, unless they are there.

        Raises:
            FolderError: it cannot be written to.
        """
        try:
            for path, mode in ((self.root, 0o711), (self.hub, 0o700), (self.homes, 0o711), (self.tls, 0o700)):
                path.mkdir(parents=True, exist_ok=True)
                path.chmod(mode)
            self._create_secrets()
        except OSError as error:
            raise FolderError(f"{self.root} cannot be used: {error.strerror}. Name another with --folder.") from error

    def require_reachable(self) -> None:
        """Check that learners get through to their homes.

        Raises:
            FolderError: a folder above it lets only its owner through.
        """
        barred = [folder for folder in reversed(self.root.parents) if not folder.stat().st_mode & stat.S_IXOTH]
        if barred:
            raise FolderError(
                f"Learners could not reach their homes in {self.root}: only {barred[0].owner()} may pass through "
                f"{barred[0]}. Name another folder with --folder; {DEFAULT} is right."
            )

    def _create_secrets(self) -> None:
        made = {
            self.trainer_password: secrets.token_urlsafe(12),
            self.join_code: new_join_code(),
            self.proxy_token: secrets.token_hex(32),
            self.command_token: secrets.token_hex(32),
            self.cookie_secret: secrets.token_hex(32),
        }
        for path, secret in made.items():
            if not path.exists():
                write_private(path, secret + "\n")

    def settings(self) -> Settings | None:
        """Return what the workshop was last started with; None where it never was.

        Raises:
            FolderError: the file is damaged.
        """
        with contextlib.suppress(FileNotFoundError):
            try:
                kept = json.loads(self.settings_file.read_text(encoding="utf-8"))
                return Settings(**{one.name: kept[one.name] for one in fields(Settings) if one.name in kept})
            except (ValueError, TypeError) as error:
                raise FolderError(f"{self.settings_file} is damaged ({error}): delete it, and start again.") from error
        return None

    def write(self, settings: Settings) -> None:
        """Keep what the workshop is started with."""
        write_private(self.settings_file, json.dumps(asdict(settings), indent=2) + "\n")


def read_secret(path: Path) -> str:
    """Return a secret from its file."""
    return path.read_text(encoding="utf-8").strip()


def new_join_code() -> str:
    """Return a code that can be typed from a projector. Its 38 bits leave nothing to guess, however often one tries."""
    return "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))


def given(settings: Settings, **options: Any) -> Settings:
    """Return the settings with the options that were given, which are those that are not None."""
    return replace(settings, **{name: value for name, value in options.items() if value is not None})
