"""JupyterHub as a workshop runs it: ``python -m workshop hub``, in the background, as root, on loopback.

The proxy is not its child, and servers outlive it: learners work on while there is no hub, and the next takes over.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jupyterhub.app import JupyterHub
from jupyterhub.user import User
from traitlets.config import Config

from workshop import learner
from workshop.authenticator import RoomAuthenticator
from workshop.folder import HUB_PROCESS, TRAINER, VARIABLE, Folder, FolderError, Settings, read_secret
from workshop.links import LOOPBACK, is_loopback, public_url
from workshop.seats import Seats

TEMPLATES = Path(__file__).with_name("templates")
PATIENCE = 300  # seconds for a server's start: thirty may start at once, on few processors
COMMAND, BOARD = "workshop-command", "board"  # services, as JupyterHub calls what uses its API
MAY = {
    COMMAND: ["list:users", "read:users", "servers", "proxy", "shutdown"],
    # Shares: the trainer may open the server of a learner who asked for it.
    BOARD: ["list:users", "read:users", "servers", "shares", "access:services!service=board"],
}
TRAINER_MAY = ["self", "admin-ui", "list:users", "read:users", "servers", "access:services!service=board"]


def main(_: Sequence[str]) -> int:
    """Run the hub of the folder that the environment names, until it is told to end."""
    os.umask(0o077)
    folder = Folder(Path(os.environ[VARIABLE]))
    settings = folder.settings()
    if settings is None:
        raise FolderError(f"No workshop was started in {folder.root}: python -m workshop start.")
    PatientHub.instance(config=configuration(folder, settings))
    PatientHub.launch_instance(argv=[])
    return 0


class PatientHub(JupyterHub):  # type: ignore[misc]
    """JupyterHub, but for a board that is slow to start: JupyterHub waits ten seconds for it, and ends."""

    async def start_service(self, service_name: str, service: Any, ssl_context: Any = None) -> bool:
        """Say whether a service answers, or is still on its way."""
        answers = await super().start_service(service_name, service, ssl_context)
        return answers or (service.managed and await service.spawner.poll() is None)


def configuration(folder: Folder, settings: Settings) -> Config:
    """Return JupyterHub's settings."""
    config = Config()
    config.RoomAuthenticator.folder = str(folder.root)
    config.LearnerSpawner.disk_size = f"{settings.disk}G"
    config.Spawner.start_timeout = config.Spawner.http_timeout = PATIENCE
    config.Spawner.environment = learner.environment(f"http://{LOOPBACK}:{settings.board_port}/services/board/")
    config.ConfigurableHTTPProxy.update(
        should_start=False,
        api_url=f"http://{LOOPBACK}:{settings.proxy_api_port}",
        auth_token=read_secret(folder.proxy_token),
    )
    config.JupyterHub.update(
        bind_url=public_url(settings),
        hub_ip=LOOPBACK,
        hub_port=settings.hub_port,
        db_url=f"sqlite:///{folder.hub_database}",
        cookie_secret_file=str(folder.cookie_secret),
        authenticator_class=RoomAuthenticator,
        spawner_class="workshop.spawner.LearnerSpawner",
        default_url=first_page,
        cleanup_servers=False,
        cleanup_proxy=False,
        services=services(folder, settings),
        load_roles=roles(),
        template_paths=[str(TEMPLATES)],
        template_vars={"learners_name": name_of(folder)},
        tornado_settings={
            "headers": {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"},
            "cookie_options": {} if is_loopback(settings) else {"secure": True},  # the forms' token has none else
        },
    )
    return config


def roles() -> list[dict[str, Any]]:
    """Return who may do what. The trainer is no administrator: that could open every learner's server, asked or not."""
    trainer = {"name": TRAINER, "users": [TRAINER], "scopes": TRAINER_MAY}
    return [trainer, *({"name": name, "services": [name], "scopes": MAY[name]} for name in MAY)]


def services(folder: Folder, settings: Settings) -> list[dict[str, Any]]:
    """Return what uses the hub's API: this package's commands, and the trainer's board."""
    command = {"name": COMMAND, "api_token": read_secret(folder.command_token)}
    board = {
        "name": BOARD,
        "url": f"http://{LOOPBACK}:{settings.board_port}",
        "command": [sys.executable, "-m", "workshop.board"],
        "environment": {VARIABLE: str(folder.root), HUB_PROCESS: str(os.getpid())},
        "oauth_no_confirm": True,
    }
    return [command, board]


def first_page(handler: Any) -> str:
    """Return where a login leads: the trainer's to the board; a learner's, for which this is empty, to the own lab."""
    return f"/services/{BOARD}/" if handler.current_user and handler.current_user.name == TRAINER else ""


def name_of(folder: Folder) -> Callable[[User | None], str]:
    """Return what tells a page the own name of whoever looks at it; JupyterHub calls it for each page."""
    seats = Seats(folder.seats)

    def name(user: User | None) -> str:
        if user is None or user.name == TRAINER:
            return "Trainer" if user else ""
        return next((seat.name for seat in seats.all() if seat.user == user.name), user.name)

    return name
