"""Carries out a Dockerfile, as far as a process needs what it says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from string import Template

import yaml

from azureml_local.docker_stand_in import DockerError, unsupported
from azureml_local.docker_stand_in.images import Image, Images
from azureml_local.engines.requirements import EnvironmentBuildError, conda_lines
from azureml_local.engines.staging import StagingError, inside


def instructions(text: str) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions, each with its arguments."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\s*\n", " ", "\n".join(lines)).splitlines()
    return [(name.upper(), rest.strip()) for name, _, rest in (line.strip().partition(" ") for line in whole)]


@dataclass
class Build:
    """One build: the folder that was sent along, what ``FROM`` finds, the build arguments, and what they give."""

    context: Path
    images: Images
    given: Mapping[str, str]
    image: Image = field(default_factory=lambda: Image(Path()))
    known: dict[str, str] = field(default_factory=dict)

    def carry_out(self, name: str, rest: str) -> None:
        """Carry out one instruction. Raises DockerError, which names what is not supported, or wrong."""
        if name not in INSTRUCTIONS:
            raise unsupported(f"{name} in a Dockerfile")
        try:
            INSTRUCTIONS[name](self, Template(rest).safe_substitute({**self.known, **self.image.environment}))
        except (StagingError, EnvironmentBuildError, OSError, ValueError, yaml.YAMLError) as error:
            raise DockerError(400, f"{name} {rest}: {error}") from error

    def base(self, rest: str) -> None:
        if self.image.root != Path():
            raise unsupported("a second FROM in a Dockerfile")
        self.image = self.images.base(rest)

    def argument(self, rest: str) -> None:
        self.known |= {name: self.given.get(name, default) for name, default in pairs(rest)}

    def command(self, rest: str) -> None:
        self.image.command = tuple(json.loads(rest) if rest.startswith("[") else shlex.split(rest))

    def expose(self, rest: str) -> None:
        self.image.ports += tuple(port if "/" in port else f"{port}/tcp" for port in rest.split())

    def folder(self, rest: str) -> None:
        self.image.folder = str(PurePosixPath(self.image.folder, rest))

    def copy(self, rest: str) -> None:
        *sources, target = rest.split()
        for source in (inside(self.context, name) for name in sources):
            named = source.name if target.endswith("/") and source.is_file() else ""
            into = self.path(target) / named
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, into, dirs_exist_ok=True) if source.is_dir() else shutil.copy(source, into)

    def run(self, rest: str) -> None:
        for command in map(str.strip, rest.split("&&")):
            match = next((done for pattern in COMMANDS if (done := re.fullmatch(pattern, command))), None)
            if match is None:
                raise unsupported(f"RUN {command}")
            COMMANDS[match.re.pattern](self, match[1])

    def make_folder(self, rest: str) -> None:
        self.path(rest).mkdir(parents=True, exist_ok=True)

    def conda(self, rest: str) -> None:
        self.image.lines += tuple(conda_lines(yaml.safe_load(self.path(rest).read_text())))

    def pip(self, rest: str) -> None:
        self.image.lines += tuple(shlex.split(rest))

    def path(self, path: str) -> Path:
        """Return where a path of the image lies."""
        return inside(self.image.root, str(PurePosixPath("/", self.image.folder, path)).lstrip("/"))


def pairs(rest: str) -> Iterator[tuple[str, str]]:
    """Yield the names and values of ``NAME=value ...``."""
    yield from ((name, value) for name, _, value in (word.partition("=") for word in shlex.split(rest)))


INSTRUCTIONS: Mapping[str, Callable[[Build, str], None]] = {
    "FROM": Build.base,
    "ARG": Build.argument,
    "ENV": lambda build, rest: build.image.environment.update(pairs(rest)),
    "LABEL": lambda build, rest: build.image.labels.update(pairs(rest)),
    "EXPOSE": Build.expose,
    "WORKDIR": Build.folder,
    "COPY": Build.copy,
    "RUN": Build.run,
    "CMD": Build.command,
}
# What RUN may do; the group is what it does it with.
COMMANDS: Mapping[str, Callable[[Build, str], None]] = {
    r"mkdir -p (\S+)": Build.make_folder,
    r"conda env create -n \S+ --file (\S+)": Build.conda,
    r"pip install((?: --no-cache-dir)?(?: (?!-)\S+)+)": Build.pip,
}
