"""Container images, as far as a process needs what they hold; and those that can be had without a registry."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from azureml_local.engines.environments import Environments
from azureml_local.engines.requirements import TO_SERVE, EnvironmentBuildError, image_lines, of_lines

# What Microsoft's inference images start, and listen on: https://github.com/Azure/AzureML-Containers
SERVES, PORTS = ("runsvdir", "/var/runit"), ("5001/tcp", "8883/tcp", "8888/tcp")


class UnknownImageError(EnvironmentBuildError):
    """There is no such image; the message names it."""


@dataclass
class Image:
    """What is kept of an image: files below ``root``, pip requirements (``lines``), and a Python that has these."""

    root: Path = Path()
    lines: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    folder: str = "/"
    environment: dict[str, str] = field(default_factory=dict)
    python: str = ""

    @property
    def id(self) -> str:
        """What takes the place of a digest."""
        return f"sha256:{self.root.name}"


class Images:
    """Images by name and tag.

    Args:
        folder: their files lie below it.
        environments: have a Python for each.
        users: returns the names of the containers of an image.
    """

    def __init__(self, folder: Path, environments: Environments, users: Callable[[Image], list[str]]) -> None:
        self._folder = folder
        self._environments = environments
        self._users = users
        self.named: dict[str, Image] = {}
        self._files = threading.Lock()  # held while files are copied or deleted

    def get(self, name: str) -> Image:
        """Return an image by its name or id. Raises UnknownImageError."""
        if image := self.named.get(tagged(name)):
            return image
        digest = name.removeprefix("sha256:")
        for image in self.named.values():
            if digest and image.root.name.startswith(digest):
                return image
        raise UnknownImageError(f"No such image: {name}")

    def base(self, name: str) -> Image:
        """Return a copy of an image, whether built here or a registry's. Raises UnknownImageError.

        A registry's are those of engines/image_packages.yml, and Docker's own of Python.
        """
        root, python = (
            self._folder / secrets.token_hex(32),
            re.fullmatch(r"(?:docker\.io/library/)?python:(3\.\d+).*", name),
        )
        if tagged(name) in self.named:
            with self._files:
                image = self.get(name)
                shutil.copytree(image.root, root)
            return replace(image, root=root, environment={**image.environment})
        try:
            image = (
                Image(root, (f"python=={python[1]}.*",))
                if python
                else Image(root, (*image_lines(name),), PORTS, SERVES)
            )
        except EnvironmentBuildError as error:
            raise UnknownImageError(f"pull access denied for {name}, repository does not exist: {error}") from error
        root.mkdir(parents=True)
        return image

    async def add(self, name: str, image: Image) -> str:
        """Name an image once there is a Python with its packages. Raises EnvironmentBuildError.

        Returns what is to be said of the Python, with the log of its build.
        """
        log = image.root.with_suffix(".log")
        found = await self._environments.interpreter(of_lines([*image.lines, TO_SERVE]), log)
        said = "\n".join([*found.notes, log.read_text() if log.exists() else ""])
        former = self.named.get(tagged(name))
        self.named[tagged(name)] = replace(image, python=found.python)
        if former:
            await self.discard_unused(former)
        return said

    def names(self, image: Image) -> list[str]:
        """Return the names that an image has."""
        return [name for name, known in self.named.items() if known is image]

    async def remove(self, image: Image) -> list[str]:
        """Forget an image with its files, and return the names that it had."""
        names = self.names(image)
        for name in names:
            del self.named[name]
        await self.discard_unused(image)
        return names

    async def discard_unused(self, image: Image) -> None:
        """Delete an image's files where it has neither a name nor a container any more."""
        if not self.names(image) and not self._users(image):
            await asyncio.to_thread(self._discard, image)

    def _discard(self, image: Image) -> None:
        with self._files:
            shutil.rmtree(image.root, ignore_errors=True)
            image.root.with_suffix(".log").unlink(missing_ok=True)


def tagged(name: str, tag: str = "latest") -> str:
    """Return an image's name with its tag."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:{tag}"
