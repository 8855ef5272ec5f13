"""Serves models: brings deployments into being and keeps their instances running.

A deployment's folder holds one folder an attempt, and ``current``, a link to the attempt that serves.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import math
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from azureml_local.engines import staging
from azureml_local.engines.blobs import BlobError, BlobStorage
from azureml_local.engines.data_collection.collector import DataCollectors
from azureml_local.engines.data_collection.settings import CollectionSettings
from azureml_local.engines.deployment_record import DeploymentRecord
from azureml_local.engines.environments import Environments
from azureml_local.engines.forking import ForkServer
from azureml_local.engines.inference_server import (
    IMPORTED,
    InstanceError,
    InstanceMemoryError,
    InstanceSecretError,
    LaunchPlan,
    cores_of,
    import_environment,
)
from azureml_local.engines.kubernetes.resources import MILLI
from azureml_local.engines.kubernetes.scheduling import Pod, Scheduler, UnschedulableError
from azureml_local.engines.probes import Probe
from azureml_local.engines.replicas import ReplicaSet
from azureml_local.engines.requirements import TO_COLLECT, TO_SERVE, EnvironmentBuildError
from azureml_local.engines.secret_references import names_secrets
from azureml_local.engines.staging import BlobPath, StagingError
from azureml_local.engines.target_utilization import Scaler, TargetUtilization
from azureml_local.home import Home
from azureml_local.http.errors import is_out_of_space
from azureml_local.http.upstream import UpstreamError

logger = logging.getLogger(__name__)

# Of the instances of a deployment on Kubernetes, how many may begin beside those that they replace:
# https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#max-surge
SURGE = 0.25
NO_CONTAINER = "azureml-local runs no containers: a process of this machine stands in for each pod"
MLFLOW_SCRIPT = Path(__file__).with_name("mlflow_resources") / "mlflow_score_script.py"


class ServingError(Exception):
    """A deployment did not come into being.

    ``code`` is one of https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ScriptMissingError(Exception):
    """The uploaded code lacks the scoring script."""


@dataclass(frozen=True)
class ModelSource:
    """A registered model: its name and version, and where its files are."""

    name: str
    version: str
    files: BlobPath


@dataclass(frozen=True)
class CodeSource:
    """A registered code folder, and the scoring script in it."""

    files: BlobPath
    scoring_script: str


@dataclass(frozen=True)
class ServingSpec:
    """What a deployment is to run.

    ``environment`` is an environment version's properties. Without ``code``, ``model`` is an MLflow model. Times are in
    seconds; ``memory`` is that of the instance type in GiB, None for no limit. ``pod``, ``scaling`` and ``queue_wait``
    are as in :class:`~azureml_local.engines.inference_server.LaunchPlan`.
    """

    environment: Mapping[str, Any]
    model: ModelSource | None
    code: CodeSource | None
    environment_variables: Mapping[str, str]
    instance_count: int
    max_concurrent: int
    request_timeout: float
    liveness: Probe
    readiness: Probe
    memory: float | None
    data_collection: CollectionSettings | None = None
    pod: Pod | None = None
    scaling: TargetUtilization | None = None
    queue_wait: float | None = None

    def settings(self) -> dict[str, Any]:
        """Return the part that a running instance can follow."""
        return {
            "instance_count": self.instance_count,
            "max_concurrent": self.max_concurrent,
            "request_timeout": self.request_timeout,
            "scaling": self.scaling,
            "queue_wait": self.queue_wait,
        }

    def fingerprint(self) -> str:
        """Return what is the same for specifications that differ in :meth:`settings` only."""
        fixed = {name: value for name, value in asdict(self).items() if name not in self.settings()}
        return hashlib.sha256(json.dumps(fixed, sort_keys=True, default=str).encode()).hexdigest()


class Serving:
    """The running deployments of a service, by their ids in any case.

    Args:
        home: the state folder.
        blobs: where models and code lie.
        environments: finds interpreters.
        client_environment: returns the variables that let a deployment's instances reach the service as clients.
        collectors: take what deployments collect.
        read_secret: reads a secret that a deployment names, as its endpoint's identity.
        scheduler: finds nodes for the instances of deployments on Kubernetes.
    """

    def __init__(
        self,
        home: Home,
        blobs: BlobStorage,
        environments: Environments,
        client_environment: Callable[[str], Mapping[str, str]],
        collectors: DataCollectors,
        read_secret: Callable[[str, str], str],
        scheduler: Scheduler,
    ) -> None:
        self._home = home
        self._blobs = blobs
        self._client_environment = client_environment
        self._collectors = collectors
        self._read_secret = read_secret
        self._forks = ForkServer(IMPORTED, import_environment(), home.logs / "fork_servers.log")
        self.scheduler = scheduler
        self._environments = environments
        self._replicas: dict[str, ReplicaSet] = {}
        self._tell_began: Callable[[], None] = lambda: None
        self._scalers: dict[str, asyncio.Task[None]] = {}
        # A restart resumes operations while it restores what served: one of them at a time for a deployment.
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def on_begin(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` whenever a deployment begins to serve."""
        self._tell_began = tell

    def running(self) -> Mapping[str, ReplicaSet]:
        """Return the instances of each deployment that serves, by its id in lower case."""
        return self._replicas

    def replicas(self, deployment_id: str) -> ReplicaSet | None:
        """Return a deployment's instances, or None where it does not serve."""
        return self._replicas.get(deployment_id.lower())

    def attempts(self, deployment_id: str) -> list[DeploymentRecord]:
        """Return the attempts at a deployment of which there is a record, oldest first."""
        return DeploymentRecord.all(self._folder(deployment_id))

    def latest_attempt(self, deployment_id: str) -> DeploymentRecord | None:
        """Return the newest attempt at a deployment, whether it serves or failed."""
        return DeploymentRecord.latest(self._folder(deployment_id))

    async def deploy(self, deployment_id: str, spec: ServingSpec) -> None:
        """Let a deployment be what ``spec`` describes; what served before serves until then.

        Where running instances can follow it, they do; others are staged, started and switched to.

        Raises:
            ServingError: with Azure's code; what served before goes on.
        """
        async with self._locks[deployment_id.lower()]:
            running = self._replicas.get(deployment_id.lower())
            if running and spec.scaling:  # the load has decided how many there are
                spec = replace(spec, instance_count=spec.scaling.within(running.plan.instance_count))
            try:
                if running and _can_follow(running.plan, spec):
                    await self._update(deployment_id, running, spec)
                else:
                    await self._deploy(deployment_id, spec)
            except OSError as error:
                if not is_out_of_space(error):
                    raise
                message = f"There is not enough disk space for the deployment: {error}."
                raise ServingError("OutOfQuota", message) from error

    async def _update(self, deployment_id: str, running: ReplicaSet, spec: ServingSpec) -> None:
        """Let running instances follow other settings, and change how many there are."""
        record = DeploymentRecord(self._folder(deployment_id) / "current")
        former, plan = running.plan, replace(running.plan, **spec.settings())
        with self._placed(deployment_id, spec, record):
            try:
                await running.grow(plan.instance_count)
            except InstanceError as error:
                raise _not_ready(error, spec) from error
            try:
                plan.save(record.plan)
            except OSError:
                await running.shrink(former.instance_count)
                raise
        running.apply(plan)
        await running.shrink(plan.instance_count)
        self._follow_load(deployment_id, running, record)
        self._forget_later_attempts(deployment_id)

    @contextlib.contextmanager
    def _placed(
        self, deployment_id: str, spec: ServingSpec, record: DeploymentRecord, *, surge: int = 0
    ) -> Iterator[None]:
        """Give a deployment's instances their nodes, where it is on Kubernetes, while the block runs and after it.

        Raises:
            ServingError: they do not fit.
        """
        try:
            with self.scheduler.placing(deployment_id, spec.pod, spec.instance_count, surge):
                if spec.pod:
                    nodes = ", ".join(dict.fromkeys(self.scheduler.nodes(deployment_id)))
                    pods = f"{spec.pod.namespace}/{deployment_id.rpartition('/')[2]}"
                    record.event("Scheduled", f"Successfully assigned {pods} to {nodes}. {NO_CONTAINER}")
                yield
        except UnschedulableError as error:
            record.event("FailedScheduling", str(error))
            raise ServingError("OutOfQuota", f"Kubernetes unschedulable. Details:{error}") from error

    async def _deploy(self, deployment_id: str, spec: ServingSpec) -> None:
        try:
            record = DeploymentRecord.new(self._folder(deployment_id))
            with self._placed(deployment_id, spec, record, surge=math.ceil(spec.instance_count * SURGE)):
                await self._attempt(deployment_id, spec, record)
        finally:
            self._forget_former_attempts(deployment_id)

    async def _attempt(self, deployment_id: str, spec: ServingSpec, record: DeploymentRecord) -> None:
        try:
            replicas = self._replica_set(deployment_id, await self._prepare(spec, record), record)
            await replicas.start()
        except EnvironmentBuildError as error:
            record.event("ImagePullFailed", str(error))
            raise ServingError("ImageBuildFailure", str(error)) from error
        except ScriptMissingError as error:
            record.event("DownloadFailed", str(error))
            raise ServingError("ResourceNotFound", str(error)) from error
        except (StagingError, BlobError, UpstreamError) as error:
            record.write("storageinitializer", str(error))
            record.event("DownloadFailed", "Model download failed. Please check storage-initializer log for detail.")
            raise ServingError("BadArgument", f"Unable to download user model: {error}") from error
        except InstanceError as error:
            record.event("BackOff", f"Back-off restarting failed container inference-server: {error}")
            raise _not_ready(error, spec) from error
        try:
            record.event("ContainerReady")
            self._switch(deployment_id, record)
        except OSError:
            await replicas.stop()
            raise
        former = self._replicas.get(deployment_id.lower())
        self._replicas[deployment_id.lower()] = replicas
        self._tell_began()
        self._follow_load(deployment_id, replicas, record)
        if former:
            await former.drain()

    def _follow_load(self, deployment_id: str, replicas: ReplicaSet, record: DeploymentRecord) -> None:
        """Let the number of instances follow their load, where the deployment's settings say so."""
        self._stop_following(deployment_id)
        if replicas.plan.scaling:
            scaler = Scaler(replicas, partial(self._scale, deployment_id, replicas, record))
            self._scalers[deployment_id.lower()] = asyncio.get_running_loop().create_task(scaler.run())

    def _stop_following(self, deployment_id: str) -> None:
        scaler = self._scalers.pop(deployment_id.lower(), None)
        if scaler:
            scaler.cancel()

    async def _scale(self, deployment_id: str, replicas: ReplicaSet, record: DeploymentRecord, count: int) -> None:
        """Let there be another number of instances, or as many as find a node."""
        async with self._locks[deployment_id.lower()]:
            former = replicas.plan.instance_count
            granted = self.scheduler.grow(deployment_id, count)
            if granted < count:
                _tell_once(record, "FailedScheduling", self.scheduler.why_not(deployment_id))
            count = min(count, granted)
            try:
                await replicas.grow(count)
            except InstanceError as error:
                self.scheduler.shrink(deployment_id, former)
                _tell_once(record, "BackOff", f"Back-off restarting failed container inference-server: {error}")
                return
            replicas.apply(replace(replicas.plan, instance_count=count))
            await replicas.shrink(count)
            self.scheduler.shrink(deployment_id, count)
            if count != former:
                direction = "up" if count > former else "down"
                record.event("ScalingReplicaSet", f"Scaled {direction} replica set to {count} from {former}")

    async def restore(self, deployment_ids: Iterable[str]) -> None:
        """Start the instances of the deployments that served when the service ended."""
        known = list(deployment_ids)
        for left_behind in set(self._home.deployments.iterdir()) - {self._folder(name) for name in known}:
            staging.remove(left_behind)  # of a deletion that a kill cut off
        await asyncio.gather(*(self._restore_one(deployment_id) for deployment_id in known))

    async def remove(self, deployment_id: str) -> None:
        """End a deployment's instances, once they have answered what they have, and delete its files."""
        async with self._locks[deployment_id.lower()]:
            self._stop_following(deployment_id)
            replicas = self._replicas.pop(deployment_id.lower(), None)
            if replicas:
                await replicas.drain()
            self.scheduler.shrink(deployment_id, 0)
            staging.remove(self._folder(deployment_id))

    async def close(self) -> None:
        """End every instance."""
        scalers = list(self._scalers.values())
        for scaler in scalers:
            scaler.cancel()
        await asyncio.gather(*scalers, return_exceptions=True)
        await asyncio.gather(*(replicas.stop() for replicas in self._replicas.values()))
        await self._forks.close()

    async def _prepare(self, spec: ServingSpec, record: DeploymentRecord) -> LaunchPlan:
        """Get everything that the instances need onto the disk, and write down how they are started."""
        if spec.pod:
            record.write("inferenceserver", _cpu_note(spec.pod.limits.cpu))
        record.event("Pulling")
        log = record.log("inferenceserver")
        interpreter = await self._environments.interpreter_for(spec.environment, log, *_packages(spec))
        for note in interpreter.notes:
            record.write("inferenceserver", note)
        record.event("Pulled")
        record.event("Downloading")
        model_dir = await self._stage_model(spec.model, record) if spec.model else None
        script = await self._stage_code(spec.code, record) if spec.code else _stage_mlflow_script(record)
        record.event("Downloaded")
        plan = LaunchPlan(
            python=interpreter.python,
            app_root=str(record.app),
            entry_script=str(script),
            model_dir=str(model_dir) if model_dir else None,
            environment={**_variables(spec), **spec.environment_variables},
            log=str(record.log("inferenceserver")),
            memory=spec.memory,
            liveness=spec.liveness,
            readiness=spec.readiness,
            fingerprint=spec.fingerprint(),
            data_collection=spec.data_collection,
            pod=spec.pod,
            **spec.settings(),
        )
        plan.save(record.plan)
        return plan

    async def _stage_model(self, model: ModelSource, record: DeploymentRecord) -> Path:
        """Download a model and return what ``AZUREML_MODEL_DIR`` is to be: the folder that it lies in, by its name."""
        folder = record.models / model.name / model.version
        record.write("storageinitializer", f"Downloading model {model.name} version {model.version}")
        await staging.download(self._blobs, model.files, folder)
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        for path in files:
            record.write("storageinitializer", f"{path.relative_to(folder)} ({path.stat().st_size} bytes)")
        record.write("storageinitializer", f"{len(files)} file(s) in AZUREML_MODEL_DIR={folder}")
        return folder

    async def _stage_code(self, code: CodeSource, record: DeploymentRecord) -> Path:
        """Download a deployment's code and return its scoring script.

        The script's path begins in the code's folder. Azure takes one that begins with that folder's name, too, as the
        folder lies in the app's: its own sample of binary payloads relies on it.
        """
        folder = await staging.download(self._blobs, code.files, record.app)
        for root in (folder, record.app):
            script = staging.inside(root, code.scoring_script)
            if script.is_file():
                return script
        raise ScriptMissingError(f"The scoring script {code.scoring_script} is not in the uploaded code.")

    async def _restore_one(self, deployment_id: str) -> None:
        async with self._locks[deployment_id.lower()]:
            record = DeploymentRecord(self._folder(deployment_id) / "current")
            if deployment_id.lower() in self._replicas or not record.plan.exists():
                return  # a resumed operation was faster
            try:
                plan = LaunchPlan.load(record.plan)
                replicas = self._replica_set(deployment_id, plan, record)
                if plan.pod:
                    self.scheduler.restore(deployment_id, plan.pod, plan.instance_count)
                replicas.start_in_background()
            except (OSError, ValueError, TypeError):
                logger.exception("%s does not serve again: its launch plan is damaged", deployment_id)
                return
            self._replicas[deployment_id.lower()] = replicas
            self._tell_began()
            self._follow_load(deployment_id, replicas, record)

    def _replica_set(self, deployment_id: str, plan: LaunchPlan, record: DeploymentRecord) -> ReplicaSet:
        def tell(event: str, message: str | None) -> None:
            try:
                record.event(event, message)
            except OSError as error:  # no reason to end an instance
                logger.warning("%s of %s is not written down: %s", event, record.folder, error)

        environment, collector = self._client_environment(deployment_id), None
        if plan.data_collection:
            collector = self._collectors.open(plan.data_collection)
            environment = {**environment, **self._collectors.variables(collector, Path(plan.log).parent)}
        read_secret = partial(self._read_secret, deployment_id)
        return ReplicaSet(plan, self._home.sockets, environment, tell, collector, read_secret, self._forks)

    def _folder(self, deployment_id: str) -> Path:
        digest = hashlib.sha256(deployment_id.lower().encode()).hexdigest()
        return self._home.deployments / digest[:16]

    def _switch(self, deployment_id: str, record: DeploymentRecord) -> None:
        """Make ``current`` lead to ``record`` in one step."""
        link = self._folder(deployment_id) / "current"
        draft = link.with_name(".current")
        draft.unlink(missing_ok=True)
        draft.symlink_to(record.folder.name, target_is_directory=True)
        draft.replace(link)

    def _forget_former_attempts(self, deployment_id: str) -> None:
        """Keep the attempt that serves, and of the newest, where it failed, what its log is made of."""
        attempts = DeploymentRecord.all(self._folder(deployment_id))
        serving = (self._folder(deployment_id) / "current").resolve()
        for attempt in attempts:
            if attempt.folder == serving:
                continue
            if attempt is attempts[-1]:
                attempt.forget_files()
            else:
                staging.remove(attempt.folder)

    def _forget_later_attempts(self, deployment_id: str) -> None:
        """Forget the attempts that failed after the one that serves: the deployment is well as it is."""
        serving = (self._folder(deployment_id) / "current").resolve()
        for attempt in DeploymentRecord.all(self._folder(deployment_id)):
            if attempt.folder != serving:
                staging.remove(attempt.folder)


def _not_ready(error: InstanceError, spec: ServingSpec) -> ServingError:
    """Return what Azure says of instances that do not come to serve.

    Of memory: https://learn.microsoft.com/azure/machine-learning/how-to-deploy-models-from-huggingface#troubleshooting
    """
    if spec.pod and not isinstance(error, InstanceSecretError):
        return _crashed_pod(error)
    if isinstance(error, InstanceSecretError):
        return ServingError("SecretsInjectionError", f"Secrets cannot be injected: {error}")
    if isinstance(error, InstanceMemoryError):
        return ServingError("OutOfQuota", f"Container terminated due to insufficient memory: {error}.")
    message = f"User container has crashed or terminated: {error}. The deployment's log says why: get_logs()."
    return ServingError("ResourceNotReady", message)


def _cpu_note(limit: int) -> str:
    """Return what is said of a CPU limit, in thousandths of a core, that no container enforces."""
    cores = cores_of(limit)
    held = f"held to {cores} whole core{'s' if cores > 1 else ''}" if cores else "not enforced on this system"
    return f"azureml-local: the CPU limit of {limit / MILLI:g} is {held}"


def _tell_once(record: DeploymentRecord, event: str, message: str) -> None:
    """Note an event unless it is the latest that was noted: what goes on is not told every second."""
    latest = record.read_events()[-1:]
    if not latest or (latest[0]["name"], latest[0]["message"]) != (event, message):
        record.event(event, message)


def _crashed_pod(error: InstanceError) -> ServingError:
    """Return what is said on Kubernetes.

    https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#common-errors-specific-to-kubernetes-deployments
    """
    if isinstance(error, InstanceMemoryError):
        message = f"The memory limit of the deployment is insufficient: {error}."
        return ServingError("PodOutOfMemory", f"{message} Set a larger limit, or use a bigger instance type.")
    message = f"User container has crashed initializing: {error}. The deployment's log says why: get_logs()."
    return ServingError("DeploymentCrashLoopBackOff", message)


def _can_follow(plan: LaunchPlan, spec: ServingSpec) -> bool:
    """Say whether running instances can become what ``spec`` describes.

    Where nothing is changed, but secrets are named, others are started: who asks for that wants them read anew.
    """
    is_changed = any(getattr(plan, name) != value for name, value in spec.settings().items())
    return plan.fingerprint == spec.fingerprint() and (is_changed or not names_secrets(spec.environment_variables))


def _stage_mlflow_script(record: DeploymentRecord) -> Path:
    return Path(shutil.copy(MLFLOW_SCRIPT, record.app))


def _packages(spec: ServingSpec) -> tuple[str, ...]:
    """Return what the environment needs beside what it asks for: a script of the deployment's own asks for it all."""
    collects = spec.code is None and spec.data_collection is not None and spec.data_collection.is_custom
    return (TO_SERVE, TO_COLLECT) if collects else (TO_SERVE,)


def _variables(spec: ServingSpec) -> Mapping[str, str]:
    """Return the variables that the image for MLflow models sets; none for a deployment with its own script."""
    if spec.code or not spec.model:
        return {}
    return {"MLFLOW_MODEL_FOLDER": PurePosixPath(spec.model.files.path).name}
