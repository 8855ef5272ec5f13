"""How commands on this machine tell a running service what to do: HTTP over a Unix socket in its state folder.

The port on loopback is open to every user of the machine; the socket to the service's own user only.
"""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from azureml_local.daemon import DaemonError
from azureml_local.home import Home

SECONDS = 30.0


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def call(home: Home, method: str, path: str, body: Any = None) -> Any:
    """Send one request to the service that runs in ``home``, and return its answer.

    Raises:
        DaemonError: no service runs there, or it refused; the message says why.
    """
    connection = _SocketConnection(home.admin_socket)
    try:
        connection.request(method, path, json.dumps(body))
        response = connection.getresponse()
        answer = json.loads(response.read() or b"null")
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise DaemonError("azureml-local is not running: azureml-local start") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DaemonError(f"The service in {home.root} did not answer: {error}.") from error
    finally:
        connection.close()
    if response.status >= 400:
        raise DaemonError(answer["error"])
    return answer
