"""How clusters live: started, idle, used by tasks, given libraries, terminated.

A cluster that runs has an environment and was seen to answer; its drivers are started with the tasks, each with a Spark
of its own. States and reasons are those of https://docs.databricks.com/api/azure/workspace/clusters/get.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import secrets
import shutil
import string
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from azureml_local.arm import databricks
from azureml_local.arm.compute import vm_sizes
from azureml_local.arm.timers import Timers
from azureml_local.engines.environments import Interpreter
from azureml_local.engines.requirements import EnvironmentBuildError
from azureml_local.engines.spark import driver
from azureml_local.engines.spark.driver import Drivers, Task
from azureml_local.store import Resource, Store, once_written

logger = logging.getLogger(__name__)

TYPE = f"{databricks.TYPE}/clusters"
EVENT_TYPE = f"{TYPE}/events"
MIB = 1024  # of a GiB
PENDING, RUNNING, TERMINATING, TERMINATED = "PENDING", "RUNNING", "TERMINATING", "TERMINATED"
DEFAULT_AUTOTERMINATION = 120  # minutes; https://docs.databricks.com/api/azure/workspace/clusters/create
INSTALLED, INSTALLING, WAITING, FAILED = "INSTALLED", "INSTALLING", "PENDING", "FAILED"
LEAVING = "UNINSTALL_ON_RESTART"
THERE = (INSTALLED, LEAVING)  # where tasks find a package
BUILDING = "Preparing the environment of {version}; where it is not there yet, it is built, in one to five minutes."


class ClusterError(Exception):
    """A cluster cannot be used; the message says why."""


class Clusters:
    """The clusters of every workspace.

    Args:
        store: what is known of them.
        timers: end those that are idle.
        drivers: start Spark.
        folder_of: where a workspace's files lie.
    """

    def __init__(self, store: Store, timers: Timers, drivers: Drivers, folder_of: Callable[[str], Path]) -> None:
        self._store = store
        self._timers = timers
        self._drivers = drivers
        self._folder_of = folder_of
        self._starts: dict[str, asyncio.Task[None]] = {}  # by cluster; of packages, by cluster and package
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # one installation a cluster at a time
        self._users: Counter[str] = Counter()

    def resume(self) -> None:
        """Go on with what a service that ended has left: starts that it had begun, and the waiting for idleness."""
        for cluster in self._store.all_of(TYPE):
            if cluster.body["cluster_source"] == "JOB" and cluster.body["state"] != TERMINATED:
                self._ended(cluster, "JOB_FINISHED", "SUCCESS")  # of a run that ended with the service
            elif cluster.body["state"] == PENDING:
                self._begin(cluster)
            elif cluster.body["state"] == TERMINATING:
                self._ended(cluster, "USER_REQUEST", "SUCCESS")
            elif cluster.body["state"] == RUNNING:
                self._mark(cluster, self._packages(cluster, INSTALLING), WAITING)
                self._install_waiting(cluster)
                self._watch(cluster.id)

    async def close(self) -> None:
        """End the starts under way."""
        await _ended(self._starts.values())

    # --- what is there ---

    def get(self, workspace_id: str, cluster_id: str) -> Resource | None:
        """Return a cluster, or None."""
        return self._store.get(f"{workspace_id}/clusters/{cluster_id}")

    def events(self, cluster: Resource) -> list[Resource]:
        """Return a cluster's events, oldest first."""
        return self._store.children(EVENT_TYPE, cluster.id)

    # --- what changes it ---

    def create(self, workspace_id: str, spec: dict[str, Any], user: str, source: str) -> Resource:
        """Make a cluster, and begin to start it."""
        now = datetime.datetime.now(datetime.UTC)
        unique = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))
        cluster_id = f"{now:%m%d-%H%M%S}-{unique}"
        body: dict[str, Any] = {"spec": spec, "cluster_source": source, "creator_user_name": user, "libraries": []}
        body |= {"start_time": _now(), "state": PENDING, "state_message": "Starting Spark"}
        cluster = self._store.put(f"{workspace_id}/clusters/{cluster_id}", TYPE, workspace_id, body, user)
        self._note(cluster, "CREATING", {"user": user, "attributes": spec})
        self._begin(cluster)
        return cluster

    def start(self, cluster: Resource, user: str) -> None:
        """Begin to start a cluster that has ended."""
        self._note(cluster, "STARTING", {"user": user})
        cluster = self._set(cluster, state=PENDING, state_message="Starting Spark", last_restarted_time=_now())
        self._set(cluster, terminated_time=None, termination_reason=None)
        self._begin(cluster)

    async def terminate(self, cluster: Resource, code: str, user: str | None = None) -> None:
        """End a cluster: whatever starts it; the tasks that run there are their runs' to end.

        One that has ended keeps the reason that it has ended for.
        """
        current = self._store.get(cluster.id)
        if current is None or current.body["state"] not in (PENDING, RUNNING):
            return
        self._timers.cancel(f"{cluster.key}/")
        self._set(cluster, state=TERMINATING, state_message="")
        self._note(cluster, "TERMINATING", {"reason": {"code": code, "type": "SUCCESS"}, "user": user})
        await _ended(self._cancel(cluster))
        await once_written(
            partial(self._ended, cluster, code, "SUCCESS", {"username": user} if user else None), "an end"
        )

    def edit(self, cluster: Resource, spec: dict[str, Any], user: str) -> Resource:
        """Change what a cluster is; one that runs has to be started again."""
        self._note(cluster, "EDITED", {"attributes": spec, "previous_attributes": cluster.body["spec"], "user": user})
        return self._set(cluster, spec=spec)

    @asynccontextmanager
    async def used(self, cluster: Resource, packages: Iterable[str] = ()) -> AsyncIterator[Interpreter]:
        """Have a cluster run, with further packages, for as long as the context is entered.

        Raises:
            ClusterError: it does not start.
            EnvironmentBuildError: a package cannot be installed.
        """
        self._users[cluster.key] += 1
        self._timers.cancel(f"{cluster.key}/idle")
        try:
            await self._started(cluster)
            yield await self._with_packages(cluster, packages)
        finally:
            self._users[cluster.key] -= 1
            self._watch(cluster.id)

    def install(self, cluster: Resource, packages: Iterable[str]) -> None:
        """Begin to install packages; a cluster that does not run gets them with its next start."""
        wanted = dict.fromkeys(packages)
        for before, after in ((FAILED, WAITING), (LEAVING, INSTALLED)):
            self._mark(cluster, [package for package in self._packages(cluster, before) if package in wanted], after)
        current = self._store.get(cluster.id) or cluster
        known = self._packages(current)
        more = [_library(package, WAITING) for package in wanted if package not in known]
        current = self._set(current, libraries=[*current.body["libraries"], *more])
        if current.body["state"] == RUNNING:
            self._install_waiting(current)

    def uninstall(self, cluster: Resource, packages: Iterable[str]) -> None:
        """Take packages away: those that are there with the cluster's next start, until which tasks find them."""
        current = self._store.get(cluster.id) or cluster
        unwanted = set(packages)
        leaving = unwanted.intersection(self._packages(current, *THERE) if current.body["state"] == RUNNING else ())
        gone = unwanted - leaving
        kept = [one for one in current.body["libraries"] if one["library"]["pypi"]["package"] not in gone]
        self._mark(self._set(current, libraries=kept), leaving, LEAVING)

    def delete(self, cluster: Resource) -> None:
        """Forget a cluster that has ended."""
        folder = self._folder(cluster)
        self._store.delete(cluster.id)
        shutil.rmtree(folder, ignore_errors=True)

    async def forget(self, workspace_id: str) -> None:
        """End whatever the clusters of a workspace do; it is about to be deleted."""
        prefix = f"{workspace_id.lower()}/clusters/"
        self._timers.cancel(prefix)
        await _ended([start for key, start in self._starts.items() if key.startswith(prefix)])

    # --- the start ---

    def _begin(self, cluster: Resource) -> None:
        self._cancel(cluster)  # what a restart finds
        self._set(cluster, libraries=self._to_install(cluster))
        self._starts[cluster.key] = asyncio.create_task(self._start_or_fail(cluster))

    async def _start_or_fail(self, cluster: Resource) -> None:
        try:
            await self._start(cluster)
        except Exception:
            logger.exception("the start of cluster %s failed", cluster.id)
            message = "azureml-local failed on this start; its log has the details."
            end = partial(self._failed, cluster, "UNEXPECTED_LAUNCH_FAILURE", message)
            await once_written(end, f"the end of {cluster.id}")

    async def _start(self, cluster: Resource) -> None:
        """Build what a cluster needs, see whether Spark answers, and say that it runs, or why it does not."""
        spec = cluster.body["spec"]
        version = spec["spark_version"]
        self._progress(cluster, BUILDING.format(version=version))
        try:
            interpreter = await self._interpreter(cluster, ())
        except EnvironmentBuildError as error:
            self._failed(cluster, "SPARK_IMAGE_DOWNLOAD_FAILURE", str(error))
            return
        self._progress(cluster, "Starting Spark.")
        folder = self._folder(cluster)
        outcome = await self._drivers.run(
            engine_cluster(spec), interpreter, Task("probe", "probe"), folder, self._dbfs(cluster)
        )
        if outcome.error:
            self._failed(cluster, "SPARK_STARTUP_FAILURE", f"Spark did not start: {outcome.error}")
            return
        self._note(cluster, "DRIVER_HEALTHY", {})
        message = f"Spark {outcome.spark_version} answers at {outcome.master}."
        workers = spec.get("num_workers", 0)
        with self._store.transaction():
            self._set(cluster, state=RUNNING, state_message="")
            self._note(
                cluster,
                RUNNING,
                {"current_num_workers": workers, "target_num_workers": workers, "driver_state_message": message},
            )
        installing = self._install_waiting(cluster)
        if installing:
            await asyncio.wait([installing])
        self._watch(cluster.id)

    async def _started(self, cluster: Resource) -> None:
        current = self._store.get(cluster.id)
        if current is None:
            raise ClusterError(f"Cluster {cluster.name} does not exist")
        if current.body["state"] in (TERMINATED, TERMINATING):
            if current.body["cluster_source"] == "JOB":
                raise ClusterError(_why(current))
            self.start(current, current.body["creator_user_name"])
        start = self._starts.get(cluster.key)
        if start:
            await asyncio.wait([start])
        current = self._store.get(cluster.id)
        if current is None or current.body["state"] != RUNNING:
            raise ClusterError(_why(current) if current else f"Cluster {cluster.name} was deleted")

    def _cancel(self, cluster: Resource) -> list[asyncio.Task[None]]:
        """Cancel what starts a cluster and what installs packages there, and return it."""
        keys = [key for key in self._starts if f"{key}/".startswith(f"{cluster.key}/")]
        under_way = [self._starts.pop(key) for key in keys]
        for task in under_way:
            task.cancel()
        return under_way

    def _failed(self, cluster: Resource, code: str, message: str) -> None:
        logger.warning("cluster %s: %s", cluster.id, message)
        self._note(cluster, "DRIVER_UNAVAILABLE", {"driver_state_message": message})
        self._ended(cluster, code, "SERVICE_FAULT", {"databricks_error_message": message}, message)

    def _ended(
        self,
        cluster: Resource,
        code: str,
        kind: str,
        parameters: dict[str, str] | None = None,
        message: str = "",
    ) -> None:
        reason = {"code": code, "type": kind, "parameters": parameters or {}}
        end = {"state": TERMINATED, "state_message": message, "terminated_time": _now(), "termination_reason": reason}
        self._set(cluster, **end, libraries=self._to_install(cluster))

    # --- libraries ---

    async def _with_packages(self, cluster: Resource, packages: Iterable[str]) -> Interpreter:
        wanted = tuple(packages)
        if wanted:
            current = self._store.get(cluster.id) or cluster
            self.install(current, wanted)
            unfinished = [_key(cluster, one) for one in self._packages(cluster, WAITING, INSTALLING) if one in wanted]
            installing = {self._starts[key] for key in unfinished if key in self._starts}
            if installing:
                await asyncio.wait(installing)
            self._require_installed(cluster, wanted)
        return await self._interpreter(cluster, self._packages(cluster, *THERE))

    def _require_installed(self, cluster: Resource, packages: tuple[str, ...]) -> None:
        libraries = (self._store.get(cluster.id) or cluster).body["libraries"]
        known = {one["library"]["pypi"]["package"]: one for one in libraries}
        for package in packages:
            if package not in known:
                raise EnvironmentBuildError(f"{package} was uninstalled while the task waited for it.")
            if known[package]["status"] not in THERE:
                said = " ".join(known[package]["messages"])
                raise EnvironmentBuildError(said or f"{package} was not installed: the cluster has ended meanwhile.")

    def _install_waiting(self, cluster: Resource) -> asyncio.Task[None] | None:
        """Begin to install what waits and has no turn yet; return what does so."""
        turns = {package: self._starts.get(_key(cluster, package)) for package in self._packages(cluster, WAITING)}
        waiting = [package for package, turn in turns.items() if turn is None or turn.done()]
        if not waiting:
            return None
        task = asyncio.create_task(self._install_in_turn(cluster, waiting))
        self._starts |= {_key(cluster, package): task for package in waiting}
        return task

    async def _install_in_turn(self, cluster: Resource, packages: list[str]) -> None:
        async with self._turns[cluster.key]:
            try:
                while waiting := [one for one in self._packages(cluster, WAITING) if one in packages]:
                    await self._install(cluster, waiting)
            except Exception:
                logger.exception("the installation of %s on cluster %s failed", packages, cluster.id)
                message = "azureml-local failed on this installation; its log has the details."
                unfinished = [one for one in self._packages(cluster, WAITING, INSTALLING) if one in packages]
                end = partial(self._mark, cluster, unfinished, FAILED, message)
                await once_written(end, f"the end of an installation on {cluster.id}")

    async def _install(self, cluster: Resource, packages: list[str]) -> None:
        """Install packages: all at once, or where that fails, one by one, to see which cannot be had."""
        for together in (packages, *([package] for package in packages if len(packages) > 1)):
            self._mark(cluster, together, INSTALLING)
            try:
                await self._interpreter(cluster, [*self._packages(cluster, *THERE), *together])
            except EnvironmentBuildError as error:
                self._mark(cluster, together, FAILED if len(together) == 1 else WAITING, str(error))
                continue
            self._mark(cluster, together, INSTALLED)
            if together is packages:
                return

    def _to_install(self, cluster: Resource) -> list[dict[str, Any]]:
        """Return a cluster's libraries as its next start finds them."""
        staying = self._packages(cluster, INSTALLED, INSTALLING, WAITING, FAILED)
        return [_library(package, WAITING) for package in staying]

    def _packages(self, cluster: Resource, *statuses: str) -> list[str]:
        """Return a cluster's packages, of these statuses or of all."""
        current = self._store.get(cluster.id) or cluster
        return [
            one["library"]["pypi"]["package"]
            for one in current.body["libraries"]
            if not statuses or one["status"] in statuses
        ]

    def _mark(self, cluster: Resource, packages: Collection[str], status: str, *messages: str) -> None:
        current = self._store.get(cluster.id) or cluster
        changed = [
            _library(name, status, *messages) if (name := one["library"]["pypi"]["package"]) in packages else one
            for one in current.body["libraries"]
        ]
        self._set(current, libraries=changed)

    async def _interpreter(self, cluster: Resource, packages: Iterable[str]) -> Interpreter:
        log = self._folder(cluster) / "environment.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        return await self._drivers.interpreter(engine_cluster(cluster.body["spec"], packages), log)

    # --- small things ---

    def _watch(self, cluster_id: str) -> None:
        """End a cluster once nobody has used it for as long as it says."""
        cluster = self._store.get(cluster_id)
        if cluster is None or cluster.body["state"] != RUNNING or self._users[cluster.key]:
            return
        minutes = cluster.body["spec"].get("autotermination_minutes", DEFAULT_AUTOTERMINATION)
        if minutes and cluster.body["cluster_source"] != "JOB":
            self._timers.set(f"{cluster.key}/idle", minutes * 60.0, partial(self._end_idle, cluster_id))

    def _end_idle(self, cluster_id: str) -> None:
        cluster = self._store.get(cluster_id)
        if cluster and cluster.body["state"] == RUNNING and not self._users[cluster.key]:
            self._cancel(cluster)
            self._note(cluster, "TERMINATING", {"reason": {"code": "INACTIVITY", "type": "SUCCESS"}})
            minutes = str(cluster.body["spec"].get("autotermination_minutes", DEFAULT_AUTOTERMINATION))
            self._ended(cluster, "INACTIVITY", "SUCCESS", {"inactivity_duration_min": minutes})

    def _set(self, cluster: Resource, **changes: Any) -> Resource:
        current = self._store.get(cluster.id) or cluster
        current.body.update(changes)
        self._store.save(current)
        return current

    def _progress(self, cluster: Resource, message: str) -> None:
        self._set(cluster, state_message=message)
        self._note(cluster, "STARTING", {"driver_state_message": message})

    def _note(self, cluster: Resource, kind: str, details: dict[str, Any]) -> None:
        if self._store.get(cluster.id) is None:
            return
        event_id = f"{cluster.id}/events/{secrets.token_hex(8)}"
        body = {"cluster_id": cluster.name, "timestamp": _now(), "type": kind, "details": details}
        self._store.put(event_id, EVENT_TYPE, cluster.id, body, cluster.created_by)

    def _workspace_id(self, cluster: Resource) -> str:
        return cluster.id.rpartition("/clusters/")[0]

    def _folder(self, cluster: Resource) -> Path:
        return self._folder_of(self._workspace_id(cluster)) / "clusters" / cluster.name

    def _dbfs(self, cluster: Resource) -> Path:
        return self._folder_of(self._workspace_id(cluster)) / "dbfs"


def engine_cluster(spec: dict[str, Any], packages: Iterable[str] = ()) -> driver.Cluster:
    """Return what a driver needs to know of a cluster with such a ``spec``, which was checked."""
    size = vm_sizes.find(spec["node_type_id"])
    head = vm_sizes.find(spec.get("driver_node_type_id") or spec["node_type_id"])
    assert size and head  # noqa: S101 - checked as it was created
    return driver.Cluster(
        runtime=spec["spark_version"],
        cores=size.vcpus * spec["num_workers"] or head.vcpus,
        memory=int(head.memory * MIB),
        conf=spec.get("spark_conf") or {},
        variables=spec.get("spark_env_vars") or {},
        libraries=tuple(packages),
    )


def _why(cluster: Resource) -> str:
    """Return why a cluster has ended."""
    reason = cluster.body.get("termination_reason") or {}
    said = reason.get("parameters", {}).get("databricks_error_message", "")
    return f"Cluster {cluster.name} was terminated. Reason: {reason.get('code', 'UNKNOWN')}. {said}".strip()


def _key(cluster: Resource, package: str) -> str:
    return f"{cluster.key}/libraries/{package}"


def _library(package: str, status: str, *messages: str) -> dict[str, Any]:
    return {"library": {"pypi": {"package": package}}, "status": status, "messages": list(messages)}


async def _ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in list(tasks):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _now() -> int:
    return int(time.time() * 1000)
