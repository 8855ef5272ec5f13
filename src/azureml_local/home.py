"""The state folder: where everything lies that one service owns, and the settings it was created with.

One folder, one service. The folder is private to its user (0700), and so is each secret in it (0600).
"""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import secrets
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO

import psutil

from azureml_local import docker_host

SCHEMA = 1
DEFAULT_HOME = "~/.azureml-local"
# A replica listens on a Unix socket below the folder. The kernel limits such a path to 104 bytes on macOS, 108 on
# Linux; the name of one below the folder takes 18.
LONGEST_HOME = 85

# Every name that the service puts into the folder.
OWN = frozenset(
    (
        "settings.json",
        "service.json",
        "service.lock",
        "start.lock",
        "admin.sock",
        "port",
        "state.db",
        "state.db-journal",  # for a moment, while the file is new
        "state.db-wal",
        "state.db-shm",
        "tls",
        "identity",
        "storage",
        "logs",
        "log_store",
        "metrics",
        "deployments",
        "environments",
        "jobs",
        "mlflow",
        "databricks",
        "docker",
        docker_host.STAND_IN,
        "run",
        ".DS_Store",  # macOS's Finder leaves it in every folder that it shows
    )
)

MAKE_ROOM = "Make room on that disk, then try again; nothing is lost"
MAKE_WRITABLE = "Make the folder and what is in it writable for you, or set AZUREML_LOCAL_HOME to another"
REMEDIES: Mapping[int, str] = {
    errno.ENOSPC: MAKE_ROOM,
    errno.EDQUOT: MAKE_ROOM,
    errno.EROFS: MAKE_WRITABLE,
    errno.EACCES: MAKE_WRITABLE,
    errno.EPERM: MAKE_WRITABLE,
}
# A file that is being written, and the process that writes it; see write_private.
DRAFT = re.compile(r"\..+\.(\d+)")
# A draft, or a copy of the database as an older version wrote it.
OWN_PATTERN = re.compile(rf"{DRAFT.pattern}|state\.db\.layout\d+(-journal)?")


class HomeError(Exception):
    """The state folder cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Settings:
    """What is generated once for a state folder: who may call the service, and what it is called.

    ``client_secret``, ``identity_header`` and ``storage_key`` (base64, 64 bytes) are secrets: the first two
    leave the folder through ``azureml-local env``, the key through the control plane's ``listSecrets``, ``listKeys``.
    """

    tenant_id: str
    subscription_id: str
    client_id: str
    client_object_id: str
    client_secret: str
    identity_header: str
    storage_account: str
    storage_key: str
    resource_group: str = "azureml-local"
    workspace: str = "workbook"
    log_workspace: str = "workbook-logs"
    location: str = "eastus"
    schema: int = SCHEMA

    @classmethod
    def generate(cls) -> Settings:
        """Return settings of a new installation, with fresh ids and secrets."""
        return cls(
            tenant_id=str(uuid.uuid4()),
            subscription_id=str(uuid.uuid4()),
            client_id=str(uuid.uuid4()),
            client_object_id=str(uuid.uuid4()),
            client_secret=secrets.token_urlsafe(30),
            identity_header=secrets.token_urlsafe(30),
            storage_account="azuremllocal" + secrets.token_hex(5),
            storage_key=base64.b64encode(secrets.token_bytes(64)).decode(),
        )


class Home:
    """The paths in a state folder."""

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        chosen = root or os.environ.get("AZUREML_LOCAL_HOME") or DEFAULT_HOME
        self.root = Path(chosen).expanduser().resolve()
        self.database = self.root / "state.db"
        self.settings_file = self.root / "settings.json"
        self.running_file = self.root / "service.json"
        self.port_file = self.root / "port"
        self.admin_socket = self.root / "admin.sock"
        self.start_lock = self.root / "start.lock"
        self.lock_file = self.root / "service.lock"
        self.tls = self.root / "tls"
        self.signing_key = self.root / "identity" / "signing-key.pem"
        self.storage = self.root / "storage"
        self.logs = self.root / "logs"
        self.service_log = self.logs / "service.log"
        self.deployments = self.root / "deployments"
        self.environments = self.root / "environments"
        self.jobs = self.root / "jobs"
        self.log_store = self.root / "log_store"
        self.metrics = self.root / "metrics"
        self.mlflow = self.root / "mlflow"
        self.databricks = self.root / "databricks"
        self.docker = self.root / "docker"
        self.sockets = self.root / "run"
        self.docker_socket = self.root / docker_host.STAND_IN

    def create(self, names: Mapping[str, str] = MappingProxyType({})) -> Settings:
        """Make the folder where it is missing and return its settings.

        Args:
            names: settings that a new folder is to have, such as the name of its workspace, in place of those that
                would be generated.

        Raises:
            HomeError: the folder cannot be written, its path is too long, or another version wrote its settings.
        """
        if len(os.fsencode(self.root)) > LONGEST_HOME:
            raise HomeError(
                f"The state folder's path is {len(os.fsencode(self.root))} bytes long; sockets below it allow "
                f"{LONGEST_HOME}: {self.root}. Set AZUREML_LOCAL_HOME to a shorter path."
            )
        self.require_own_folder()
        try:
            for folder in (
                self.root,
                self.tls,
                self.signing_key.parent,
                self.storage,
                self.logs,
                self.deployments,
                self.jobs,
            ):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.sockets.mkdir(mode=0o700, exist_ok=True)
            self.root.chmod(0o700)
            if not self.settings_file.exists():
                write_private(self.settings_file, json.dumps(asdict(Settings.generate()) | dict(names), indent=2))
        except OSError as error:
            raise HomeError(self.unusable(error)) from error
        return self.settings()

    def unusable(self, error: OSError) -> str:
        """Say what is wrong with the folder, and what to do."""
        file = f" ({error.filename})" if error.filename else ""
        remedy = REMEDIES.get(error.errno or 0, "Set AZUREML_LOCAL_HOME to another folder, or mend this one")
        return f"The state folder {self.root} cannot be used: {error.strerror}{file}. {remedy}."

    def delete(self) -> None:
        """Delete the folder with all that the service has put there, and nothing else.

        A ``start`` that waits for its turn may meanwhile put its first files there: they stay, and so does the folder.
        """
        self.require_own_folder()
        if self.root.exists():
            for entry in self.root.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink(missing_ok=True)
            try:
                self.root.rmdir()
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise

    def require_own_folder(self) -> None:
        """Raise HomeError for a folder that holds something of another's."""
        if self.root.exists() and not self.root.is_dir():
            raise HomeError(f"{self.root} is no folder. Set AZUREML_LOCAL_HOME to a folder.")
        if self.root.exists() and self.root.stat().st_uid != os.geteuid():
            raise HomeError(
                f"{self.root} belongs to another user. Set AZUREML_LOCAL_HOME to a folder of your own, or run as that "
                "user."
            )
        names = [entry.name for entry in self.root.iterdir()] if self.root.is_dir() else []
        foreign = [name for name in names if name not in OWN and not OWN_PATTERN.fullmatch(name)]
        if foreign:
            raise HomeError(
                f"{self.root} holds '{sorted(foreign)[0]}', which is not the service's. Set AZUREML_LOCAL_HOME to a "
                "folder of its own."
            )

    def was_used(self) -> bool:
        """Say whether a service was ever started here."""
        return self.start_lock.exists() or self.lock_file.exists()

    def forget_drafts(self) -> None:
        """Delete what a process that was killed had begun to write."""
        for folder in (self.root, self.tls, self.signing_key.parent):
            for entry in folder.iterdir():
                found = DRAFT.fullmatch(entry.name)
                if found and not psutil.pid_exists(int(found[1])):
                    entry.unlink(missing_ok=True)

    def settings(self) -> Settings:
        """Return the folder's settings.

        Raises:
            HomeError: there are none, they are damaged, or another version of the service wrote them.
        """
        try:
            values = json.loads(self.settings_file.read_text())
            found = values.get("schema")
        except FileNotFoundError as error:
            raise HomeError(f"There is no service in {self.root} yet: azureml-local start makes one.") from error
        except (OSError, ValueError, AttributeError) as error:
            raise self._damaged(error) from error
        if found != SCHEMA:
            raise HomeError(
                f"{self.root} was written by another version of the service (layout {found}, this one reads {SCHEMA}). "
                "Use that version, or set AZUREML_LOCAL_HOME to a new folder."
            )
        try:
            return Settings(**values)
        except TypeError as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> HomeError:
        return HomeError(
            f"{self.settings_file} cannot be read ({error}). Put a copy of it back, or begin anew with azureml-local "
            "reset, which deletes everything."
        )


def open_private(path: Path) -> IO[bytes]:
    """Open a file to append to it; one that is made is its user's alone, whatever the umask."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file that only its user may read, so that a reader finds either the old content or the new."""
    data = content.encode() if isinstance(content, str) else content
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
