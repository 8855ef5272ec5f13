"""Which Docker engine the clients on this machine find: a real one where there is one, else the stand-in for it."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

HOST = "DOCKER_HOST"
STAND_IN = "stand-in.sock"  # the name of its socket, in any state folder
DEFAULT = "/var/run/docker.sock"
# Where else an engine listens, which the docker command finds by its context and docker-py does not: Docker Desktop on
# macOS and on Linux, and an engine without root (https://docs.docker.com/engine/security/rootless/tips/#client).
ELSEWHERE = ("~/.docker/run/docker.sock", "~/.docker/desktop/docker.sock", "${XDG_RUNTIME_DIR}/docker.sock")
SECONDS = 2.0


def variables(stand_in: Path, base: Mapping[str, str]) -> dict[str, str]:
    """Return the variable that leads Docker's clients where an engine is, or to the stand-in where none is.

    Nothing, where they find an engine by themselves, or where the user has named one, whether it answers or not.

    Args:
        stand_in: its socket.
        base: the environment that the variable is to be merged with.
    """
    named = base.get(HOST, "")
    if named and not named.endswith(f"/{STAND_IN}"):
        return {}
    places = [DEFAULT, *(os.path.expandvars(os.path.expanduser(place)) for place in ELSEWHERE)]  # noqa: PTH111
    found = next((place for place in places if answers(place)), str(stand_in))
    return {} if found == DEFAULT and not named else {HOST: f"unix://{found}"}


def answers(path: str) -> bool:
    """Say whether a Docker engine answers on a socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(SECONDS)
        try:
            client.connect(path)
            client.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in client.recv(64)
        except OSError:  # nobody listens, it is not ours to use, or it does not answer
            return False
