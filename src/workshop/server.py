"""A learner's Jupyter server: what the spawner runs, with the learner's rights, inside their namespaces.

It listens on a socket that the hub, as root, has bound for it to a port below 1024, and so does never a learner: no
learner can listen in another's place and be handed what the proxy hands on, cookies included.
"""

from __future__ import annotations

import os
import socket

from jupyterlab.labhubapp import SingleUserLabApp

SOCKET = "AZUREML_WORKSHOP_SOCKET"  # the descriptor's number


class LearnerServer(SingleUserLabApp):  # type: ignore[misc]
    """JupyterLab behind the hub's login, on a socket that was bound before."""

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


def main() -> None:
    """Run the server."""
    LearnerServer.launch_instance()


if __name__ == "__main__":
    main()
