"""Serving instances: each a process of Azure's own inference server, on a Unix socket.

A socket, unlike a port, cannot be reached by other users of the machine, and so not without the endpoint's key.
https://learn.microsoft.com/azure/machine-learning/how-to-inference-server-http
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from azureml_local.engines.data_collection.settings import CollectionSettings
from azureml_local.engines.guard import OUT_OF_MEMORY
from azureml_local.engines.kubernetes.resources import MILLI
from azureml_local.engines.kubernetes.scheduling import Pod
from azureml_local.engines.probes import TIMED_OUT, UNREACHABLE, Probe, Tally, status_failure
from azureml_local.engines.process import Forks, GuardedProcess, base_environment
from azureml_local.engines.secret_references import ReadSecret, SecretReferenceError, resolved
from azureml_local.engines.target_utilization import TargetUtilization
from azureml_local.home import write_private
from azureml_local.http.upstream import Address, Upstream, UpstreamError

GUNICORN_CONFIG = Path(__file__).with_name("gunicorn_settings.py")
# What the server imports of others. Not what computes: a script's own settings of threads must still count. Nor what
# reads its environment or its folder: the server's own modules, and gunicorn's settings.
IMPORTED = (
    "gunicorn.util",
    "gunicorn.http.wsgi",
    "flask",
    "pydantic_settings",
    "opentelemetry.sdk._logs.export",
    "opentelemetry.sdk.resources",
    "opentelemetry.sdk.trace.export",
    "opentelemetry.sdk.trace.sampling",
    "inference_schema.schema_util",
)
UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
PROBE = [(b"host", b"localhost")]
# Seconds that the server has to end by itself: it is idle, or is at what was given up.
GRACE = 3.0
GIB = 1024**3
_instances = itertools.count()

# Takes the name and the message of an event in an instance's life, as the deployment's log shows it.
Tell = Callable[[str, str | None], None]


class InstanceError(Exception):
    """An instance ended, or did not become ready in time, and never served."""


class InstanceMemoryError(InstanceError):
    """An instance was ended because it used more memory than its size has."""


class InstanceSecretError(InstanceError):
    """An instance was not started because a secret that it needs cannot be read."""


@dataclass(frozen=True)
class LaunchPlan:
    """All that is needed to start a deployment's instances; kept on disk to start them again with the service.

    ``request_timeout`` is in seconds; ``max_concurrent`` is per instance; ``memory`` is in GiB, None for no limit.
    ``fingerprint`` tells apart plans whose instances cannot become each other's.

    On Kubernetes an instance is a ``pod``, their number follows ``scaling`` where there is one, and a request waits for
    an instance no longer than ``queue_wait``, in seconds.
    """

    python: str
    app_root: str
    entry_script: str
    model_dir: str | None
    environment: dict[str, str]
    instance_count: int
    max_concurrent: int
    request_timeout: float
    log: str
    liveness: Probe = field(default_factory=Probe)
    readiness: Probe = field(default_factory=Probe)
    memory: float | None = None
    fingerprint: str = ""
    data_collection: CollectionSettings | None = None
    pod: Pod | None = None
    scaling: TargetUtilization | None = None
    queue_wait: float | None = None

    def save(self, path: Path) -> None:
        """Write the plan; its environment may hold secrets."""
        write_private(path, json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> LaunchPlan:
        """Read a plan, also one of an earlier version. Raises ValueError or TypeError where it is damaged."""
        known = {one.name for one in fields(cls)}
        stored = {name: value for name, value in json.loads(path.read_text()).items() if name in known}
        probes = {name: Probe(**stored[name]) for name in ("liveness", "readiness") if name in stored}
        load: dict[str, Callable[[Any], Any]] = {
            "data_collection": CollectionSettings.load,
            "pod": Pod.load,
            "scaling": lambda settings: TargetUtilization(**settings),
        }
        loaded = {name: read(stored[name]) for name, read in load.items() if stored.get(name)}
        return cls(**{**stored, **probes, **loaded})


class Instance:
    """One process of the inference server.

    Args:
        plan: what it runs.
        socket_path: where it listens.
        environment: lets its code reach the service as a client.
        tell: is told what happens to it.
        read_secret: reads the secrets that the plan's variables name; None where none may.
        forks: forks the process, where that is possible.
    """

    def __init__(
        self,
        plan: LaunchPlan,
        socket_path: Path,
        environment: Mapping[str, str],
        tell: Tell = lambda *_: None,
        read_secret: ReadSecret | None = None,
        forks: Forks | None = None,
    ) -> None:
        self.plan = plan
        self.name = socket_path.stem
        self.in_flight = 0  # requests that it is at, also those whose clients had their 408
        self.upstream = Upstream(Address(socket=socket_path))
        self.process: GuardedProcess
        self._environment = environment
        self._socket = socket_path
        self._tell = tell
        self._read_secret = read_secret
        self._forks = forks

    async def start(self) -> None:
        """Start the process and return once it serves.

        The first probe goes out at once and its answer is waited for: the socket takes connections before the script's
        ``init()`` has ended, and answers them after. Probes that fall due meanwhile would be answered no sooner: they
        have failed, and are counted.

        Raises:
            InstanceError: it ended first, or was not ready in time.
        """
        await self._launch()
        begun = (
            self._healthy(),
            self._budget("Liveness", self.plan.liveness),
            self._budget("Readiness", self.plan.readiness),
        )
        waits = [asyncio.ensure_future(one) for one in begun]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for one in waits:  # readiness first, where both came true
                if one in done:
                    await one
                    return
        except UpstreamError as error:  # the connection broke because the process ended
            raise await self._ended() from error
        except BaseException:
            await self.stop()
            raise
        finally:
            for one in waits:
                one.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def stop(self) -> int:
        """End the process and all that it started, and return its exit code."""
        self.upstream.close()
        exit_code = await self.process.stop()
        self._socket.unlink(missing_ok=True)
        return exit_code

    async def ask(self) -> str | None:
        """Probe once, in the readiness probe's time; return what is wrong, or None."""
        return await self._probe(self.plan.readiness.timeout)

    async def failed_liveness(self) -> None:
        """Return once the liveness probe has failed too often in a row."""
        tally = Tally()
        while True:
            await asyncio.sleep(self.plan.liveness.period)
            failure = await self._probe(self.plan.liveness.timeout)
            if failure:
                self._tell("LivenessProbeFailed", f"Liveness probe failed: {failure}")
            if tally.count(failure is None, self.plan.liveness) is False:
                self._tell("Killing", "Container inference-server failed liveness probe, will be restarted")
                return

    async def readiness(self) -> AsyncIterator[bool]:
        """Yield whether the instance is ready, as often as its readiness probe tells."""
        tally = Tally()
        while True:
            await asyncio.sleep(self.plan.readiness.period)
            failure = await self._probe(self.plan.readiness.timeout)
            if failure:
                self._tell("ReadinessProbeFailed", f"Readiness probe failed: {failure}")
            verdict = tally.count(failure is None, self.plan.readiness)
            if verdict is not None:
                yield verdict

    async def _launch(self) -> None:
        environment = self._whole_environment()
        self._tell("Created", None)
        try:
            with listen(self._socket) as listener:
                self.process = await serve(self.plan, listener, environment, self._forks)
        except OSError as error:
            self._socket.unlink(missing_ok=True)
            raise InstanceError(f"it cannot be started: {error}") from error
        except asyncio.CancelledError:  # the deployment is deleted while its instances start
            self._socket.unlink(missing_ok=True)
            raise
        self._tell("Started", None)

    def _whole_environment(self) -> Mapping[str, str]:
        """Return the process's environment. Raises InstanceSecretError; what is secret is held nowhere else."""
        variables = self.plan.environment
        try:
            if self._read_secret:
                variables = resolved(variables, self._read_secret)
        except SecretReferenceError as error:
            raise InstanceSecretError(str(error)) from error
        return whole_environment(replace(self.plan, environment=variables), self._environment)

    async def _ended(self) -> InstanceError:
        """Return why the process is no more."""
        exit_code = await self.stop()
        if exit_code == OUT_OF_MEMORY:
            return InstanceMemoryError(out_of_memory(self.plan))
        return InstanceError(f"it ended with exit code {exit_code}")

    async def _healthy(self) -> None:
        """Return once the instance has said so as often as its readiness probe wants. Raises UpstreamError."""
        tally = Tally()
        while True:
            if tally.count(status_failure(await self._status()) is None, self.plan.readiness):
                return
            await asyncio.sleep(self.plan.readiness.period)

    async def _budget(self, kind: str, probe: Probe) -> None:
        """Count the probes that fail while the instance starts. Raises InstanceError when they are too many."""
        message = f"{kind} probe failed: {TIMED_OUT}"
        await asyncio.sleep(probe.initial_delay + probe.timeout)
        self._tell(f"{kind}ProbeFailed", message)
        for _ in range(probe.failure_threshold - 1):
            await asyncio.sleep(max(probe.period, probe.timeout))
            self._tell(f"{kind}ProbeFailed", message)
        raise InstanceError(message)

    async def _probe(self, seconds: float) -> str | None:
        try:
            async with asyncio.timeout(seconds):
                return status_failure(await self._status())
        except TimeoutError:
            return TIMED_OUT
        except UpstreamError:
            return UNREACHABLE

    async def _status(self) -> int:
        with await self.upstream.send("GET", "/", PROBE) as response:
            await response.read()
            return response.status


def out_of_memory(plan: LaunchPlan) -> str:
    """Return what is said of an instance that used more memory than there is."""
    whose = "its limit" if plan.pod else "its instance type"
    return f"OOMKilled: it used more memory than the {plan.memory:g} GiB of {whose}"


def listen(path: Path) -> socket.socket:
    """Return a socket on which connections wait from now on, whenever the server is ready to take them."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(2048)
    return listener


def import_environment() -> Mapping[str, str]:
    """Return the environment in which :data:`IMPORTED` is imported for processes of :func:`serve`."""
    return base_environment() | UNBUFFERED


async def serve(
    plan: LaunchPlan, listener: socket.socket, environment: Mapping[str, str], forks: Forks | None = None
) -> GuardedProcess:
    """Start the server of ``plan`` behind a socket that listens, in an environment of :func:`whole_environment`."""
    return await GuardedProcess.start(
        _command(plan, listener.fileno()),
        log=Path(plan.log),
        environment=environment,
        cwd=Path(plan.app_root),
        grace=GRACE,
        pass_fds=(listener.fileno(),),
        memory=int((plan.memory or 0) * GIB),
        forks=forks,
    )


def _command(plan: LaunchPlan, listener: int) -> list[str]:
    """Return gunicorn's command line as the inference server builds it, but for the address: a file descriptor."""
    preloads = plan.environment.get("WORKER_PRELOAD", "false").lower() == "true"
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
        *(["--preload"] if preloads else []),
        "azureml_inference_server_http.server.entry:app",
    ]


def whole_environment(plan: LaunchPlan, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return all that the server of ``plan`` finds in its environment, beside what ``environment`` says."""
    script_folder = os.path.dirname(plan.entry_script)  # noqa: PTH120 - a string for PYTHONPATH
    ours: dict[str, Any] = {
        "AML_APP_ROOT": script_folder,  # as on Azure: the server looks for swagger2.json and the like there
        "AZUREML_ENTRY_SCRIPT": plan.entry_script,
        "AML_APP_INSIGHTS_ENABLED": "false",
        "PYTHONPATH": os.pathsep.join((plan.app_root, script_folder)),
        **UNBUFFERED,
        "MLFLOW_DISABLE_TELEMETRY": "true",  # what runs on a learner's machine reports to nobody
    }
    if plan.pod:
        ours["AZUREML_LOCAL_CORES"] = ",".join(map(str, _cores(plan.pod.limits.cpu)))
    if plan.model_dir:
        ours["AZUREML_MODEL_DIR"] = plan.model_dir
    return {**base_environment(), **environment, **plan.environment, **ours}


def cores_of(limit: int) -> int:
    """Return how many whole cores an instance is held to by a CPU limit in thousandths; 0 where it cannot be held."""
    return min(math.ceil(limit / MILLI), len(_affinity()))


def _cores(limit: int) -> list[int]:
    """Return the cores that an instance is held to: of each next instance, the next ones."""
    cores, first = _affinity(), next(_instances)
    return [cores[(first + number) % len(cores)] for number in range(cores_of(limit))]


def _affinity() -> list[int]:
    """Return the cores of this process; none where the system does not tell (macOS)."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
