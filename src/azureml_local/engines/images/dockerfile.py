"""Carries out a Dockerfile, as far as a process needs what it says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from string import Template
from typing import IO

import yaml

from azureml_local import safe_yaml
from azureml_local.engines.images.image import Image, UnknownImageError
from azureml_local.engines.requirements import EnvironmentBuildError, conda_lines
from azureml_local.engines.staging import StagingError, inside

WORD = r"""(?:[^\s"'&|;<>$`]|"[^"$`]*"|'[^']*')+"""  # of a shell, that means what it says


def instructions(text: str) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions, each with its arguments."""
    lines = (line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    whole = re.sub(r"\\\n", " ", "\n".join(lines)).splitlines()
    return [(name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in whole)]


@dataclass
class Build:
    """A build: the folder that was sent along, what FROM finds, the build arguments, and the image so far."""

    context: Path
    base: Callable[[str], Image]
    given: Mapping[str, str]
    image: Image = field(default_factory=Image)
    arguments: dict[str, str] = field(default_factory=dict)

    def unpack(self, sent: IO[bytes]) -> None:
        """Unpack the tar archive of the context. Raises EnvironmentBuildError, and leaves nothing then."""
        sent.seek(0)
        try:
            with tarfile.open(fileobj=sent) as archive:
                archive.extractall(self.context, filter="data")
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            shutil.rmtree(self.context, ignore_errors=True)
            raise EnvironmentBuildError(f"The build context cannot be unpacked: {error}") from error

    def discard_image(self) -> None:
        """Delete what was made of the image, if anything was."""
        if self.image.root.name:
            shutil.rmtree(self.image.root, ignore_errors=True)

    def read(self, dockerfile: str) -> str:
        """Return what a Dockerfile in the context says. Raises EnvironmentBuildError."""
        try:
            return inside(self.context, dockerfile).read_text()
        except (StagingError, OSError, UnicodeDecodeError) as error:
            raise EnvironmentBuildError(f"The Dockerfile {dockerfile} cannot be read: {error}") from error

    def carry_out(self, name: str, rest: str) -> None:
        """Carry out one instruction. Raises EnvironmentBuildError, which names what is not supported, or wrong."""
        if name not in INSTRUCTIONS:
            raise EnvironmentBuildError(f"azureml-local does not support {name} in a Dockerfile, only {SUPPORTED}.")
        try:
            self._require_base(name)
            INSTRUCTIONS[name](self, Template(rest).safe_substitute({**self.arguments, **self.image.environment}))
        except UnknownImageError:
            raise
        except (StagingError, EnvironmentBuildError, OSError, ValueError, yaml.YAMLError) as error:
            raise EnvironmentBuildError(f"{name} {rest}: {error}") from error

    def _require_base(self, name: str) -> None:
        if name not in ("FROM", "ARG") and not self.image.root.name:
            raise EnvironmentBuildError("no build stage in current context: FROM must come first.")

    def _from(self, rest: str) -> None:
        if self.image.root.name:
            raise EnvironmentBuildError("azureml-local does not support more than one FROM in a Dockerfile.")
        found = re.fullmatch(r"(\S+)(?:\s+AS\s+\S+)?", rest, re.IGNORECASE)
        if found is None:
            raise EnvironmentBuildError("azureml-local supports only FROM <image> [AS <name>].")
        self.image = self.base(found[1])

    def _workdir(self, folder: str) -> None:
        self.image.folder = str(PurePosixPath(self.image.folder, folder))
        self._path(".").mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str) -> None:
        *sources, target = rest.split()
        for source in (inside(self.context, name) for name in sources):
            into = self._path(target + source.name if target.endswith("/") and source.is_file() else target)
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, into, dirs_exist_ok=True) if source.is_dir() else shutil.copy(source, into)

    def _run(self, rest: str) -> None:
        found = next(((do, match) for form, do in COMMANDS if (match := re.fullmatch(form, rest.strip()))), None)
        if found is None:
            raise EnvironmentBuildError("azureml-local supports only mkdir -p, pip install, conda env create.")
        do, match = found
        do(self, match[1])

    def _conda(self, file: str) -> None:
        conda = safe_yaml.load(self._path(file).read_text()) or {}
        if not isinstance(conda, Mapping):
            raise EnvironmentBuildError("The conda file must be a mapping with 'dependencies'.")
        self._need(conda_lines(conda))

    def _env(self, rest: str) -> None:
        if not all("=" in word for word in shlex.split(rest)):
            raise EnvironmentBuildError("azureml-local supports only ENV <name>=<value>.")
        self.image.environment.update(_pairs(rest))

    def _cmd(self, rest: str) -> None:
        command = json.loads(rest)
        if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
            raise EnvironmentBuildError("azureml-local supports only CMD with a list of texts.")
        self.image.command = tuple(command)

    def _need(self, lines: Iterable[str]) -> None:
        self.image.lines = (*self.image.lines, *lines)

    def _path(self, path: str) -> Path:
        return inside(self.image.root, str(PurePosixPath("/", self.image.folder, path)).lstrip("/"))


def _pairs(rest: str) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in shlex.split(rest))}


INSTRUCTIONS: Mapping[str, Callable[[Build, str], object]] = {
    "FROM": Build._from,
    "ARG": lambda build, rest: build.arguments.update(
        {name: build.given.get(name, default) for name, default in _pairs(rest).items()}
    ),
    "ENV": Build._env,
    "EXPOSE": lambda build, rest: setattr(
        build.image, "ports", (*build.image.ports, *(f"{port}/tcp" for port in rest.split()))
    ),
    "WORKDIR": Build._workdir,
    "COPY": Build._copy,
    "RUN": Build._run,
    "CMD": Build._cmd,
}
SUPPORTED = ", ".join(INSTRUCTIONS)
# What RUN may say, and what is done with its one group.
COMMANDS: tuple[tuple[str, Callable[[Build, str], object]], ...] = (
    (rf"mkdir -p ({WORD})", lambda build, folder: build._path(folder).mkdir(parents=True, exist_ok=True)),
    (rf"conda env create -n {WORD} --file ({WORD})", Build._conda),
    (rf"pip install(?: --no-cache-dir)?((?: (?!-){WORD})+)", lambda build, rest: build._need(shlex.split(rest))),
)
