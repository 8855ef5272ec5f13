"""How runs of jobs live: their tasks one after the other, each a driver on its cluster; cancelled, timed out, ended.

What a run is asked to do was checked by :mod:`azureml_local.dataplane.databricks.job_settings`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from azureml_local.arm import databricks
from azureml_local.dataplane.databricks import dbfs, run_states, workspace_files
from azureml_local.dataplane.databricks.cluster_life import ClusterError, Clusters, engine_cluster
from azureml_local.dataplane.databricks.job_settings import packages_of
from azureml_local.dataplane.databricks.run_states import End, active
from azureml_local.engines.requirements import EnvironmentBuildError
from azureml_local.engines.spark.driver import Drivers, Outcome, Task
from azureml_local.engines.spark.file_tree import FileTree, PathError
from azureml_local.store import Condition, Resource, Store, once_written

logger = logging.getLogger(__name__)

TYPE = f"{databricks.TYPE}/runs"
TASK_TYPE = f"{TYPE}/tasks"
LARGEST_ID = 10**15
REFERENCE = re.compile(r"\{\{\s*([A-Za-z0-9_.\-]+)\s*\}\}")
# Where tasks find DBFS and the workspace's files on Databricks: file systems that are mounted there, and are not here.
DBFS_MOUNT, WORKSPACE_MOUNT = "/dbfs", "/Workspace"


class _NotFoundError(Exception):
    """What a task is to run does not exist; the message says so in Databricks' words."""


class Runs:
    """The runs of every workspace.

    Args:
        store: what is known of them.
        clusters: where their tasks run.
        drivers: run the tasks.
        folder_of: where a workspace's files lie.
    """

    def __init__(self, store: Store, clusters: Clusters, drivers: Drivers, folder_of: Callable[[str], Path]) -> None:
        self._store = store
        self._clusters = clusters
        self._drivers = drivers
        self._folder_of = folder_of
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tasks: dict[str, asyncio.Task[End]] = {}  # of the runs, by the keys of the tasks' resources
        self._ends: dict[str, End] = {}  # of what is being ended, by the same keys or the runs'

    def resume(self) -> None:
        """Say of the runs that a service has left in the middle that they were."""
        for run in self._store.all_of(TYPE):
            if run.body["state"]["life_cycle_state"] in run_states.ACTIVE:
                self._abandon(run, run_states.INTERRUPTED)

    async def close(self) -> None:
        """End what runs; the next start says that it was in the middle."""
        for run in list(self._running.values()):
            run.cancel()
        for run in list(self._running.values()):
            with contextlib.suppress(asyncio.CancelledError):
                await run

    # --- what is there ---

    def get(self, workspace_id: str, run_id: int) -> Resource | None:
        """Return a run, or None."""
        return self._store.get(f"{workspace_id}/runs/{run_id}")

    def task(self, workspace_id: str, run_id: int) -> Resource | None:
        """Return the task that has a run id of its own, or None."""
        wanted = Condition("json_extract(body, '$.run_id') = ?", (run_id,))
        found = self._store.select(TASK_TYPE, None, [wanted])
        return next((task for task in found if task.key.startswith(f"{workspace_id.lower()}/")), None)

    def tasks(self, run: Resource) -> list[Resource]:
        """Return a run's tasks, in their order."""
        return self._store.children(TASK_TYPE, run.id)

    def log(self, task: Resource) -> Path:
        """Return the file that has what a task has printed."""
        return self._folder(task) / "driver.log"

    # --- what changes it ---

    def submit(self, workspace_id: str, body: dict[str, Any], user: str) -> Resource:
        """Make a run and begin it.

        Args:
            workspace_id: where.
            body: what is stored of it: at least ``settings``, ``run_name``, ``run_type`` and ``job_parameters``.
            user: whose it is.
        """
        run_id = secrets.randbelow(LARGEST_ID)
        with self._store.transaction():
            begun = {"run_id": run_id, "creator_user_name": user, "start_time": _now(), **body, **active("PENDING")}
            run = self._store.put(f"{workspace_id}/runs/{run_id}", TYPE, workspace_id, begun, user)
            for spec in body["settings"]["tasks"]:
                task_id = secrets.randbelow(LARGEST_ID)
                task = {"run_id": task_id, "spec": spec, **active("BLOCKED" if spec.get("depends_on") else "PENDING")}
                self._store.put(f"{run.id}/tasks/{task_id}", TASK_TYPE, run.id, task, user)
        self._running[run.key] = asyncio.create_task(self._run_or_fail(run))
        return run

    def skip(self, workspace_id: str, body: dict[str, Any], user: str) -> Resource:
        """Make a run that is skipped: too many of its job are running."""
        run_id, now = secrets.randbelow(LARGEST_ID), _now()
        times = {"start_time": now, "end_time": now}
        skipped = {"run_id": run_id, "creator_user_name": user, **times, **body, **run_states.TOO_MANY_RUNS.to_state()}
        return self._store.put(f"{workspace_id}/runs/{run_id}", TYPE, workspace_id, skipped, user)

    async def cancel(self, run: Resource, end: End = run_states.CANCELED) -> None:
        """End a run, and return once nothing of it runs."""
        running = self._running.get(run.key)
        if running is None:
            return
        self._ends[run.key] = end
        for task in self.tasks(run):
            self._end_task(task, end)
        await asyncio.wait([running])

    def delete(self, run: Resource) -> None:
        """Forget a run that has ended, and what its tasks have printed."""
        folders = [self._folder(task) for task in self.tasks(run)]
        self._store.delete(run.id)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    async def end_on(self, workspace_id: str, cluster_id: str) -> None:
        """End the tasks that run on a cluster, which is about to end."""
        ending = []
        for run in self._store.children(TYPE, workspace_id):
            for task in self.tasks(run) if run.key in self._running else ():
                if task.body.get("cluster_id") == cluster_id and task.key in self._tasks:
                    ending.append(self._tasks[task.key])
                    self._end_task(task, run_states.CLUSTER_GONE)
        if ending:
            await asyncio.wait(ending)

    async def end_all(self, workspace_id: str) -> None:
        """End the runs of a workspace."""
        for run in self._store.children(TYPE, workspace_id):
            await self.cancel(run)

    # --- a run ---

    async def _run_or_fail(self, run: Resource) -> None:
        job_clusters: dict[str, Resource] = {}
        try:
            await self._run(run, job_clusters)
        except Exception:
            logger.exception("run %s failed", run.id)
            end = run_states.unusable("azureml-local failed on this run; its log has the details.", "INTERNAL_ERROR")
            await once_written(partial(self._abandon, run, end), f"the end of {run.id}")
            for cluster in job_clusters.values():
                await self._clusters.terminate(cluster, "JOB_FINISHED")
        finally:
            self._ends.pop(run.key, None)
            self._running.pop(run.key, None)

    def _abandon(self, run: Resource, end: End) -> None:
        """Say that a run has ended in the middle, and the tasks with it that had not ended."""
        with self._store.transaction():
            for one in (*self.tasks(run), run):
                if self._now(one).body["state"]["life_cycle_state"] in run_states.ACTIVE:
                    self._set(one, end_time=_now(), **end.to_state())

    async def _run(self, run: Resource, job_clusters: dict[str, Resource]) -> None:
        settings = run.body["settings"]
        tasks = {task.body["spec"]["task_key"]: task for task in self.tasks(run)}
        limit = settings.get("timeout_seconds") or None
        under_way: dict[str, asyncio.Task[End]] = {}
        try:
            for key, task in tasks.items():
                work = self._task(run, task, under_way, job_clusters)
                under_way[key] = self._tasks[task.key] = asyncio.create_task(work)
            _, late = await asyncio.wait(under_way.values(), timeout=limit)
            if late:
                self._ends.setdefault(run.key, run_states.TIMED_OUT)
                for task in tasks.values():
                    self._end_task(task, run_states.TIMED_OUT)
                await asyncio.wait(late)
            ends = {key: task.result() for key, task in under_way.items()}
            above = {one["task_key"] for spec in settings["tasks"] for one in spec.get("depends_on") or ()}
            end = self._ends.get(run.key) or run_states.of_run(ends, [key for key in tasks if key not in above])
            for cluster in job_clusters.values():
                await self._clusters.terminate(cluster, "JOB_FINISHED")
            await once_written(partial(self._set, run, end_time=_now(), **end.to_state()), f"the end of {run.id}")
        finally:
            for one in under_way.values():  # where the service ends
                one.cancel()
            await asyncio.gather(*under_way.values(), return_exceptions=True)
            for task in tasks.values():
                self._tasks.pop(task.key, None)
                self._ends.pop(task.key, None)

    def _end_task(self, task: Resource, end: End) -> None:
        """End a task on purpose; ``end`` is how that is called. One that is being ended is left to its driver's end."""
        running = self._tasks.get(task.key)
        if running and not running.done() and task.key not in self._ends:
            self._ends[task.key] = end
            running.cancel()

    async def _task(
        self,
        run: Resource,
        task: Resource,
        others: Mapping[str, asyncio.Task[End]],
        job_clusters: dict[str, Resource],
    ) -> End:
        """Wait for what a task depends on, run it, write how it has ended, and return that."""
        spec = task.body["spec"]
        try:
            upstream = [others[one["task_key"]] for one in spec.get("depends_on") or ()]
            if upstream:
                await asyncio.wait(upstream)
            end = run_states.not_run(spec.get("run_if") or "ALL_SUCCESS", [one.result() for one in upstream])
            if end is None:
                async with asyncio.timeout(spec.get("timeout_seconds") or None):
                    end = await self._work(run, task, job_clusters)
        except TimeoutError:
            end = run_states.TIMED_OUT
        except asyncio.CancelledError:
            if task.key not in self._ends:  # the service ends
                raise
            end = self._ends[task.key]
        except Exception:
            logger.exception("task %s failed", task.id)
            end = run_states.unusable("azureml-local failed on this task; its log has the details.", "INTERNAL_ERROR")
        await once_written(
            partial(self._set, task, **_times(self._now(task)), **end.to_state()), f"the end of {task.id}"
        )
        return end

    async def _work(self, run: Resource, task: Resource, job_clusters: dict[str, Resource]) -> End:
        """Run a task on its cluster, and return how it ended."""
        spec = task.body["spec"]
        self._set(task, start_time=_now(), **active("PENDING", "Waiting for cluster"))
        cluster = self._cluster_for(run, spec, job_clusters)
        if cluster is None:
            message = f"Cluster {spec['existing_cluster_id']} does not exist"
            return run_states.unusable(message, "RESOURCE_NOT_FOUND")
        self._set(task, cluster_id=cluster.name)
        try:
            work = self._engine_task(run, task)
            async with self._clusters.used(cluster, packages_of(spec)) as interpreter:
                begun = _now()
                self._set(task, began=begun, **active("RUNNING", "In run"))
                self._set(run, **active("RUNNING", "In run"))
                cluster = self._clusters.get(run.id.rpartition("/runs/")[0], cluster.name) or cluster
                engine = engine_cluster(cluster.body["spec"])
                outcome = await self._drivers.run(engine, interpreter, work, self._folder(task), self._dbfs(run).root)
        except ClusterError as error:
            return run_states.unusable(str(error), "CLUSTER_ERROR")
        except EnvironmentBuildError as error:
            message = f"Library installation failed for library due to user error. Error messages:\n{error}"
            return run_states.unusable(message, "LIBRARY_INSTALLATION_ERROR")
        except _NotFoundError as error:
            return run_states.unusable(str(error), "RESOURCE_NOT_FOUND")
        self._note(task, outcome)
        return run_states.FAILED if outcome.error else run_states.SUCCESS

    def _cluster_for(self, run: Resource, spec: dict[str, Any], job_clusters: dict[str, Resource]) -> Resource | None:
        """Return a task's cluster: one that exists (None where it does not), or one that is made for the run."""
        workspace_id = run.id.rpartition("/runs/")[0]
        if spec.get("existing_cluster_id"):
            return self._clusters.get(workspace_id, spec["existing_cluster_id"])
        key = spec.get("job_cluster_key") or f"/{spec['task_key']}"
        if key not in job_clusters:
            shared = {
                one["job_cluster_key"]: one["new_cluster"] for one in run.body["settings"].get("job_clusters") or ()
            }
            cluster_spec = spec.get("new_cluster") or shared[key]
            job_clusters[key] = self._clusters.create(workspace_id, cluster_spec, run.created_by, "JOB")
        return job_clusters[key]

    def _note(self, task: Resource, outcome: Outcome) -> None:
        self._set(task, error=outcome.error, error_trace=outcome.trace, result=outcome.result)

    # --- what a task runs ---

    def _engine_task(self, run: Resource, task: Resource) -> Task:
        spec = task.body["spec"]
        name = f"{run.body['run_name']} {spec['task_key']}"
        values = dict(_values(run, task))
        python = spec.get("spark_python_task")
        if python:
            file = self._script(run, python["python_file"])
            sent = run.body.get("overriding_parameters", {}).get("python_params", python.get("parameters") or [])
            parameters = [self._as_here(run, _resolved(one, values)) for one in sent]
            return Task("python", name, file, parameters, folder=self._home(run, file))
        notebook = spec["notebook_task"]
        file = self._notebook(run, notebook["notebook_path"])
        widgets = {one["name"]: one["value"] for one in run.body["job_parameters"]}
        widgets |= notebook.get("base_parameters") or {}
        widgets |= run.body.get("overriding_parameters", {}).get("notebook_params", {})
        widgets = {key: _resolved(value, values) for key, value in widgets.items()}
        return Task("notebook", name, file, widgets=widgets, folder=file.parent)

    def _notebook(self, run: Resource, path: str) -> Path:
        """Return the file of a notebook task. Raises _NotFoundError."""
        path = workspace_files.normal(path)
        try:
            file = self._files(run).at(path)
        except PathError as error:
            raise _NotFoundError(f"Notebook not found: {path}. {error}") from error
        if not file.is_file():
            raise _NotFoundError(f"Notebook not found: {path}")
        return file

    def _script(self, run: Resource, path: str) -> Path:
        """Return the file of a Python task, in DBFS or among the workspace's files. Raises _NotFoundError."""
        try:
            if path.startswith(dbfs.SCHEME):
                file = self._dbfs(run).at(dbfs.normal(path))
            else:
                file = self._files(run).at(workspace_files.normal(path))
        except PathError as error:
            raise _NotFoundError(f"Cannot read the python file {path}: {error}") from error
        if not file.is_file():
            raise _NotFoundError(
                f"Cannot read the python file {path}. Please check driver logs for more details: there is no such file."
            )
        return file

    def _home(self, run: Resource, file: Path) -> Path | None:
        """Return a script's working directory: its own folder, but for one in DBFS."""
        return file.parent if file.is_relative_to(self._files(run).root) else None

    def _as_here(self, run: Resource, parameter: str) -> str:
        """Return a parameter that names a file below /dbfs or /Workspace with the file's place on this machine."""
        for mount, tree in ((DBFS_MOUNT, self._dbfs(run)), (WORKSPACE_MOUNT, self._files(run))):
            if parameter.startswith(f"{mount}/"):
                with contextlib.suppress(PathError):
                    return str(tree.at(parameter.removeprefix(mount)))
        return parameter

    # --- small things ---

    def _set(self, resource: Resource, **changes: Any) -> None:
        current = self._now(resource)
        current.body.update(changes)
        self._store.save(current)

    def _now(self, resource: Resource) -> Resource:
        return self._store.get(resource.id) or resource

    def _folder(self, task: Resource) -> Path:
        workspace_id = task.id.partition("/runs/")[0]
        return self._folder_of(workspace_id) / "runs" / str(task.body["run_id"])

    def _files(self, run: Resource) -> FileTree:
        return FileTree(self._folder_of(run.id.rpartition("/runs/")[0]) / "workspace")

    def _dbfs(self, run: Resource) -> FileTree:
        return FileTree(self._folder_of(run.id.rpartition("/runs/")[0]) / "dbfs")


def _times(task: Resource) -> dict[str, int]:
    """Return when a task has ended, and how long it took until it began and from there, in milliseconds."""
    now = _now()
    start = task.body.get("start_time", now)
    began = task.body.get("began", now)
    return {
        "start_time": start,
        "end_time": now,
        "setup_duration": began - start,
        "execution_duration": now - began,
        "cleanup_duration": 0,
    }


def _values(run: Resource, task: Resource) -> Iterator[tuple[str, str]]:
    """Yield what parameters can refer to.

    https://docs.databricks.com/azure/en/jobs/dynamic-value-references
    """
    spec = task.body["spec"]
    yield "job.id", str(run.body.get("job_id", ""))
    yield "job.name", run.body["run_name"]
    yield "job.run_id", str(run.body["run_id"])
    yield "run_id", str(task.body["run_id"])
    yield "task.run_id", str(task.body["run_id"])
    yield "task.name", spec["task_key"]
    for parameter in run.body["job_parameters"]:
        yield f"job.parameters.{parameter['name']}", parameter["value"]


def _resolved(text: str, values: Mapping[str, str]) -> str:
    """Return a parameter with what it refers to; what is not known stays as it is, as on Databricks."""
    return REFERENCE.sub(lambda found: values.get(found[1], found[0]), text)


def _now() -> int:
    return int(time.time() * 1000)
