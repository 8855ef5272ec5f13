"""Images: what a process needs of one, and those that can be had without a registry."""

from __future__ import annotations

import re
import secrets
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from azureml_local.docker_stand_in import DockerError
from azureml_local.engines.environments import Environments
from azureml_local.engines.requirements import TO_SERVE, EnvironmentBuildError, image_lines, of_lines

# What Microsoft's inference images listen on and start: https://github.com/Azure/AzureML-Containers
PORTS, SERVES = ("5001/tcp", "8883/tcp", "8888/tcp"), ("runsvdir", "/var/runit")


@dataclass
class Image:
    """What stands in for an image: its files in ``root``, pip requirements in ``lines``; ``python`` meets them."""

    root: Path
    lines: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    folder: str = "/"
    environment: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    python: str = ""

    @property
    def id(self) -> str:
        """What takes the place of a digest."""
        return f"sha256:{self.root.name}"

    def config(self) -> dict[str, Any]:
        """Return the image's part of what ``inspect`` shows, as Docker names it."""
        ports = {port: {} for port in self.ports}
        return {"Cmd": self.command, "ExposedPorts": ports, "Labels": self.labels, "WorkingDir": self.folder}


class Images:
    """The images of one stand-in. Their files lie below ``folder``."""

    def __init__(self, folder: Path, environments: Environments) -> None:
        self.folder = folder
        self._environments = environments
        self.named: dict[str, Image] = {}

    def get(self, name: str) -> Image:
        """Return an image by its name or id. Raises DockerError."""
        for known, image in self.named.items():
            if name == image.id or tagged(name) == known or image.root.name.startswith(name):
                return image
        raise DockerError(404, f"No such image: {name}")

    def base(self, name: str) -> Image:
        """Return one to build on: built here, of environments/images.yml, or Docker's of Python. Raises DockerError."""
        root, python = self.folder / secrets.token_hex(32), re.fullmatch(r"python:(3\.\d+).*", name)
        try:
            image = self.get(name)
            shutil.copytree(image.root, root)
            return replace(image, root=root, environment={**image.environment}, labels={**image.labels})
        except DockerError:
            root.mkdir(parents=True)
        try:
            return (
                Image(root, (f"python=={python[1]}.*",))
                if python
                else Image(root, (*image_lines(name),), PORTS, SERVES)
            )
        except EnvironmentBuildError as error:
            raise DockerError(404, f"pull access denied for {name}, repository does not exist: {error}") from error

    async def add(self, name: str, image: Image) -> str:
        """Find or build the image's Python, name the image, and return what to say of it. Raises DockerError."""
        log = image.root.with_suffix(".log")
        try:
            found = await self._environments.interpreter(of_lines([*image.lines, TO_SERVE]), log)
        except EnvironmentBuildError as error:
            raise DockerError(500, str(error)) from error
        self.named[tagged(name)] = replace(image, python=found.python)
        return "\n".join([*found.notes, log.read_text() if log.exists() else ""])


def tagged(name: str, tag: str = "latest") -> str:
    """Return an image's name with its tag."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:{tag}"
