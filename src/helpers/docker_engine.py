"""The Docker engine of this machine, on which local deployments run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker import DockerClient

ABSENT = (
    "No Docker engine answers. Install one (https://docs.docker.com/engine/install/) and start it, then restart the "
    'kernel; or work with backend="local", which brings a stand-in.'
)


def docker_engine() -> DockerClient:
    """Return a client of the engine that the SDK's local deployments use; a line says which one it is.

    Where this machine has none, ``connect("local")`` leads Docker's clients to a stand-in.

    Raises:
        RuntimeError: none answers.
    """
    import docker

    try:
        engine = docker.from_env()
        version = engine.version()
    except docker.errors.DockerException as error:
        raise RuntimeError(ABSENT) from error
    name = version.get("Platform", {}).get("Name") or "Docker Engine"
    # To standard error: which engine it is, and its version, is no result of the lesson.
    print(f"{name}, version {version['Version']}", file=sys.stderr)
    return engine
