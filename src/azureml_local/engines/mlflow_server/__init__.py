"""MLflow's own tracking server as a child process, started by the first request that needs it.

It listens on a Unix socket, which other users of the machine cannot reach: it believes whatever asks it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from azureml_local.engines.inference_server import listen
from azureml_local.engines.process import GuardedProcess, own_environment
from azureml_local.http.upstream import Address, Headers, Upstream, UpstreamError, UpstreamResponse

logger = logging.getLogger(__name__)

READY_WITHIN = 120.0  # seconds; it takes 3 to 5 on a laptop
THREADS = 8
FULL_BELOW = 2**20  # bytes
GRACE = 0.5  # seconds; gunicorn takes 1.5 to see that nothing is in flight. What was acknowledged is on disk.
# What the service and the server, which is MLflow's and a little more, agree on.
WORKSPACE_HEADER = "X-AzureML-Workspace"  # the GUID of the workspace that a request is about
JOBS = "/azureml-local/jobs"  # takes the state of jobs
JSON_HEADERS: Headers = [(b"content-type", b"application/json")]


class MlflowServerError(Exception):
    """The server did not start or is gone; the message says where to look."""


class MlflowServer:
    """The one server of an installation. One that ended is started again by the next request.

    Args:
        folder: where its databases lie.
        sockets: the folder of sockets.
        log: receives its output.
    """

    def __init__(self, folder: Path, sockets: Path, log: Path) -> None:
        self._folder = folder
        self._socket = sockets / "mlflow.sock"
        self._log = log
        self._upstream = Upstream(Address(socket=self._socket))
        self._process: GuardedProcess | None = None
        self._start: asyncio.Task[None] | None = None

    async def send(
        self, workspace: str, method: str, target: str, headers: Headers = JSON_HEADERS, body: bytes = b""
    ) -> UpstreamResponse:
        """Send a request about a workspace, and return its response once the head has arrived.

        Args:
            workspace: the workspace's GUID.
            method: the HTTP method.
            target: path and query, percent-encoded.
            headers: without ``Host``.
            body: all of it.

        Raises:
            MlflowServerError: the server does not start, or broke off.
        """
        await self._ensure_started()
        try:
            return await self._upstream.send(
                method,
                target,
                [(b"host", b"localhost"), (WORKSPACE_HEADER.encode(), workspace.encode()), *headers],
                body,
            )
        except UpstreamError as error:
            raise MlflowServerError(f"MLflow's server broke off: {error}") from error

    async def write_jobs(self, workspace: str, jobs: Sequence[Mapping[str, Any]]) -> None:
        """Bring the runs of jobs to the state given; see ``stores.WorkspaceStore.write_jobs``."""
        body = json.dumps(list(jobs)).encode()
        with await self.send(workspace, "POST", JOBS, body=body) as response:
            answer = await response.read()
            if response.status != 200:
                raise MlflowServerError(f"MLflow's server did not take jobs over: {answer.decode(errors='replace')}")

    def is_out_of_space(self) -> bool:
        """Say whether the disk with its databases is full, for which the server itself has no word."""
        return shutil.disk_usage(self._folder.parent).free < FULL_BELOW

    def forget(self, workspace: str) -> None:
        """Delete what is stored of a workspace that no longer is."""
        for path in self._folder.glob(f"{workspace}.db*"):
            path.unlink(missing_ok=True)

    async def stop(self) -> None:
        """End it."""
        self._upstream.close()
        if self._start:
            self._start.cancel()
            await asyncio.gather(self._start, return_exceptions=True)
        if self._process:
            await self._process.stop()
        self._socket.unlink(missing_ok=True)

    async def _ensure_started(self) -> None:
        """Wait until it answers. One start serves all who wait, also where the first of them leaves."""
        has_ended = self._process is None or self._process.ended.done()
        if self._start is None or (self._start.done() and has_ended):
            self._start = asyncio.get_running_loop().create_task(self._launch())
        await asyncio.shield(self._start)

    async def _launch(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with listen(self._socket) as listener:
            self._process = await GuardedProcess.start(
                _command(listener.fileno()),
                log=self._log,
                environment={
                    **own_environment(),
                    "AZUREML_LOCAL_MLFLOW": str(self._folder),
                    "MLFLOW_DISABLE_TELEMETRY": "true",
                },
                grace=GRACE,
                pass_fds=(listener.fileno(),),
            )
        try:
            async with asyncio.timeout(READY_WITHIN):
                # The socket takes connections from the first moment, and answers them once the server is there.
                with await self._upstream.send("GET", "/health", [(b"host", b"localhost")]) as response:
                    await response.read()
        except (TimeoutError, UpstreamError) as error:
            await self._process.stop()
            raise MlflowServerError(f"MLflow's server did not start; see {self._log}.") from error
        except BaseException:
            await self._process.stop()
            raise


def _command(listener: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "gunicorn",
        "--bind",
        f"fd://{listener}",
        "--workers",
        "1",
        "--threads",
        str(THREADS),
        "--no-control-socket",
        "--log-level",
        "warning",
        "azureml_local.engines.mlflow_server.app:app",
    ]
