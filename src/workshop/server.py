"""A learner's Jupyter server: what the spawner runs, with the learner's rights, inside their namespaces.

It listens on a socket that the hub, as root, has bound for it to a port below 1024, and so does never a learner: no
learner can listen in another's place and be handed what the proxy hands on, cookies included.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from jupyterlab.labhubapp import SingleUserLabApp
from traitlets import default

from workshop.copying.bringing import WORKBOOK

SOCKET = "AZUREML_WORKSHOP_SOCKET"  # the descriptor's number


class LearnerServer(SingleUserLabApp):  # type: ignore[misc]
    """JupyterLab behind the hub's login, on a socket that was bound before."""

    @default("default_url")
    def _default_url(self) -> str:
        return first_page(Path.home())

    def _find_http_port(self) -> None:
        """Look for no port: the socket has one."""

    def _bind_http_server_tcp(self) -> bool:
        self.http_server.add_socket(bound())
        return True


def bound() -> socket.socket:
    """Return the socket that was handed on, once: what the server starts has none of it."""
    found = socket.socket(fileno=int(os.environ.pop(SOCKET)))
    found.set_inheritable(False)
    found.setblocking(False)
    return found


def first_page(home: Path) -> str:
    """Return what JupyterLab opens: the lesson that is next for the learner, or nothing where that cannot be said."""
    asked = subprocess.run(
        [sys.executable, "-m", "course.learner", "--next"],
        cwd=home / WORKBOOK if (home / WORKBOOK).is_dir() else home,
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        sys.stderr.write(f"Which lesson is next is not known:\n{asked.stderr}")
        return "/lab"
    return f"/lab/tree/{WORKBOOK}/notebooks/{asked.stdout.strip()}"


def main() -> None:
    """Run the server."""
    LearnerServer.launch_instance()


if __name__ == "__main__":
    main()
