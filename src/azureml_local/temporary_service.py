"""A service for as long as one program runs: in a folder of its own, on a free port, gone afterwards.

It holds one end of a pipe, and whoever started it the other: however that ends, by ``kill -9`` too, the service
notices, ends with all that it has started, and deletes its folder.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from azureml_local import client_environment, daemon
from azureml_local.daemon import DaemonError
from azureml_local.home import Home, Settings

PREFIX = "azl-"  # of the folder; short, because sockets lie in it
# What Azure's config.json calls a setting.
CONFIG_FILE: Mapping[str, str] = {
    "subscription_id": "subscription_id",
    "resource_group": "resource_group",
    "workspace_name": "workspace",
}
IN_LOWER_CASE = ("subscription_id", "resource_group")  # Azure's compare in any case; here they are kept so
NAME = re.compile(r"[\w.()-]{1,90}", re.ASCII)  # of whatever has a place in a path


@dataclass(frozen=True)
class TemporaryService:
    """A running service: its state folder, its settings, its port on loopback."""

    home: Home
    settings: Settings
    port: int

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the variables for its clients, merged with those that are set: :func:`client_environment.complete`.

        Beside these, ``AZURE_SUBSCRIPTION_ID``, ``AZURE_RESOURCE_GROUP`` and ``AZUREML_WORKSPACE_NAME`` say which
        workspace there is, and ``AZUREML_LOCAL_HOME`` leads the command ``azureml-local`` to this service.
        """
        return {
            **client_environment.complete(self.settings, self.port, self.home, base),
            "AZURE_SUBSCRIPTION_ID": self.settings.subscription_id,
            "AZURE_RESOURCE_GROUP": self.settings.resource_group,
            "AZUREML_WORKSPACE_NAME": self.settings.workspace,
            "AZUREML_LOCAL_HOME": str(self.home.root),
        }


@contextmanager
def temporary_service(config: Path | None = None) -> Iterator[TemporaryService]:
    """Start a service, and end it afterwards.

    Args:
        config: a ``config.json``, whose subscription, resource group and workspace it is to have; without it, others.

    Raises:
        DaemonError: it does not start, or ``config`` cannot be read.
        HomeError: its folder cannot be used.
    """
    names = read_config(config) if config else {}
    home = Home(tempfile.mkdtemp(prefix=PREFIX))
    settings = home.create(names)
    lifeline, held = os.pipe()
    process: subprocess.Popen[bytes] | None = None
    try:
        try:
            process = daemon.spawn(home, lifeline=lifeline)
        finally:
            os.close(lifeline)
        running = daemon.find(home)
        if running is None:
            raise DaemonError(f"The service ended right after it started; see {home.service_log}.")
        yield TemporaryService(home, settings, running.port)
    finally:
        os.close(held)
        if process:
            process.wait(daemon.STOP_WITHIN)


def read_config(file: Path) -> dict[str, str]:
    """Return the settings that a ``config.json`` names. Raises DaemonError where it does not name them."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        names = {setting: str(found[member]) for member, setting in CONFIG_FILE.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        members = ", ".join(CONFIG_FILE)
        raise DaemonError(f"{file} cannot be read as a workspace's config.json ({members}): {error!r}.") from error
    for member, setting in CONFIG_FILE.items():
        if not NAME.fullmatch(names[setting]):
            raise DaemonError(f"{file}: {member} is '{names[setting]}', which is no name that Azure takes.")
    return names | {setting: names[setting].lower() for setting in IN_LOWER_CASE}
