"""Serving instances: each a process of Azure's own inference server, on a Unix socket.

A socket, unlike a port, cannot be reached by other users of the machine, and so not without the endpoint's key.
https://learn.microsoft.com/azure/machine-learning/how-to-inference-server-http
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from azureml_local.engines.data_collection.collector import DataCollector
from azureml_local.engines.data_collection.settings import CollectionSettings
from azureml_local.engines.process import GuardedProcess, base_environment
from azureml_local.home import write_private
from azureml_local.http.upstream import Address, Upstream, UpstreamError

logger = logging.getLogger(__name__)

GUNICORN_CONFIG = Path(__file__).with_name("gunicorn_settings.py")
PROBE = [(b"host", b"localhost")]
RESTART_DELAYS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # seconds before an instance that ended is started again


class InstanceError(Exception):
    """An instance ended, or did not become ready in time, and never served."""


@dataclass(frozen=True)
class LaunchPlan:
    """All that is needed to start a deployment's instances; kept on disk to start them again with the service.

    ``request_timeout`` and ``ready_within`` are seconds; ``max_concurrent`` is per instance.
    """

    python: str
    app_root: str
    entry_script: str
    model_dir: str | None
    environment: dict[str, str]
    instance_count: int
    max_concurrent: int
    request_timeout: float
    ready_within: float
    log: str
    data_collection: CollectionSettings | None = None

    def save(self, path: Path) -> None:
        """Write the plan; its environment may hold secrets."""
        write_private(path, json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> LaunchPlan:
        """Read a plan."""
        values = json.loads(path.read_text())
        if values.get("data_collection"):
            values["data_collection"] = CollectionSettings.load(values["data_collection"])
        return cls(**values)


class Instance:
    """One process of the inference server.

    Args:
        plan: what it runs.
        socket_path: where it listens.
        environment: lets its code reach the service as a client.
    """

    def __init__(self, plan: LaunchPlan, socket_path: Path, environment: Mapping[str, str]) -> None:
        self.plan = plan
        self._environment = environment
        self.in_flight = 0
        self.upstream = Upstream(Address(socket=socket_path))
        self._socket = socket_path
        self.process: GuardedProcess

    async def start(self) -> None:
        """Start the process and return once it serves.

        The first probe goes out at once and its answer is waited for: the socket takes connections before the script's
        ``init()`` has ended, and answers them after.

        Raises:
            InstanceError: it ended first, or was not ready in time.
        """
        try:
            with listen(self._socket) as listener:
                self.process = await GuardedProcess.start(
                    _command(self.plan, listener.fileno()),
                    log=Path(self.plan.log),
                    environment=_environment(self.plan, self._environment),
                    cwd=Path(self.plan.app_root),
                    pass_fds=(listener.fileno(),),
                )
        except OSError as error:
            self._socket.unlink(missing_ok=True)
            raise InstanceError(f"it cannot be started: {error}") from error
        except asyncio.CancelledError:  # the deployment is deleted while its instances start
            self._socket.unlink(missing_ok=True)
            raise
        try:
            async with asyncio.timeout(self.plan.ready_within):
                await self._answers()
        except TimeoutError as error:
            await self.stop()
            raise InstanceError(f"it was not ready within {self.plan.ready_within:g} s") from error
        except UpstreamError as error:  # the connection broke because the process ended
            exit_code = await self.stop()
            raise InstanceError(f"it ended with exit code {exit_code}") from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> int:
        """End the process and all that it started, and return its exit code."""
        self.upstream.close()
        exit_code = await self.process.stop()
        self._socket.unlink(missing_ok=True)
        return exit_code

    async def _answers(self) -> None:
        with await self.upstream.send("GET", "/", PROBE) as response:
            await response.read()
            if response.status != 200:
                raise InstanceError(f"its health probe was answered {response.status}")


class ReplicaSet:
    """A deployment's running instances; one that ends is replaced.

    Args:
        plan: what each of them runs.
        sockets: the folder of their sockets.
        environment: lets their code reach the service as a client.
        collector: takes what they collect; closed when they have ended.
    """

    def __init__(
        self, plan: LaunchPlan, sockets: Path, environment: Mapping[str, str], collector: DataCollector | None = None
    ) -> None:
        self.plan = plan
        self.collector = collector
        self._environment = environment
        self.instances: list[Instance] = []
        self._sockets = sockets
        self._supervisors: list[asyncio.Task[None]] = []

    @property
    def in_flight(self) -> int:
        """How many requests the instances are at, or have waiting."""
        return sum(instance.in_flight for instance in self.instances)

    @property
    def most_in_flight(self) -> int:
        """How many requests are accepted at once: one running and one waiting for each place."""
        return 2 * self.plan.max_concurrent * self.plan.instance_count

    def least_busy(self) -> Instance | None:
        """Return the ready instance with the fewest requests; None while none is ready."""
        return min(self.instances, key=lambda instance: instance.in_flight, default=None)

    async def start(self) -> None:
        """Start every instance; return when all serve. Raises InstanceError, with none left running."""
        starting = [self._new_instance() for _ in range(self.plan.instance_count)]
        results = await asyncio.gather(*(instance.start() for instance in starting), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            started = [instance for instance, result in zip(starting, results, strict=True) if result is None]
            await asyncio.gather(*(instance.stop() for instance in started))
            await self._close_collector()
            raise failures[0]
        self.instances = starting
        loop = asyncio.get_running_loop()
        self._supervisors = [loop.create_task(self._supervise(instance)) for instance in starting]

    def start_in_background(self) -> None:
        """Start every instance, as often as it takes: it has served before."""
        loop = asyncio.get_running_loop()
        self._supervisors = [loop.create_task(self._supervise(None)) for _ in range(self.plan.instance_count)]

    async def stop(self) -> None:
        """End every instance."""
        for supervisor in self._supervisors:
            supervisor.cancel()
        await asyncio.gather(*self._supervisors, return_exceptions=True)
        self.instances = []
        await self._close_collector()

    async def _close_collector(self) -> None:
        if self.collector:
            await self.collector.close()

    def _new_instance(self) -> Instance:
        return Instance(self.plan, self._sockets / f"{secrets.token_hex(4)}.sock", self._environment)

    async def _supervise(self, instance: Instance | None) -> None:
        """Keep one instance running, this one or another in its place, until cancelled."""
        try:
            while True:
                if instance is None:
                    instance = await self._replacement()
                    self.instances.append(instance)
                await asyncio.shield(instance.process.ended)
                logger.warning("an instance of %s ended; starting another", self.plan.app_root)
                self.instances.remove(instance)
                await instance.stop()
                instance = None
        finally:
            if instance:
                await instance.stop()

    async def _replacement(self) -> Instance:
        attempt = 0
        while True:
            await asyncio.sleep(RESTART_DELAYS[min(attempt, len(RESTART_DELAYS) - 1)])
            instance = self._new_instance()
            try:
                await instance.start()
                return instance
            except InstanceError as error:
                logger.warning("an instance of %s did not start: %s", self.plan.app_root, error)
                attempt += 1


def listen(path: Path) -> socket.socket:
    """Return a socket on which connections wait from now on, whenever the server is ready to take them."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(2048)
    return listener


def _command(plan: LaunchPlan, listener: int) -> list[str]:
    """Return gunicorn's command line as the inference server builds it, but for the address: a file descriptor."""
    return [
        plan.python,
        "-m",
        "gunicorn",
        "--config",
        str(GUNICORN_CONFIG),
        "--bind",
        f"fd://{listener}",
        "--workers",
        plan.environment.get("WORKER_COUNT", "1"),
        "--timeout",
        plan.environment.get("WORKER_TIMEOUT", "300"),
        "azureml_inference_server_http.server.entry:app",
    ]


def _environment(plan: LaunchPlan, environment: Mapping[str, str]) -> Mapping[str, str]:
    script_folder = os.path.dirname(plan.entry_script)  # noqa: PTH120 - a string for PYTHONPATH
    ours: dict[str, Any] = {
        "AML_APP_ROOT": script_folder,  # as on Azure: the server looks for swagger2.json and the like there
        "AZUREML_ENTRY_SCRIPT": plan.entry_script,
        "AML_APP_INSIGHTS_ENABLED": "false",
        "PYTHONPATH": os.pathsep.join((plan.app_root, script_folder)),
        "PYTHONUNBUFFERED": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",  # what runs on a learner's machine reports to nobody
    }
    if plan.model_dir:
        ours["AZUREML_MODEL_DIR"] = plan.model_dir
    return {**base_environment(), **environment, **plan.environment, **ours}
