"""What a job or a run is asked to do, checked: https://docs.databricks.com/api/azure/workspace/jobs/create."""

from __future__ import annotations

import graphlib
import re
from typing import Any

from azureml_local.dataplane.databricks import clusters, libraries
from azureml_local.dataplane.databricks.call import Fields
from azureml_local.dataplane.databricks.errors import invalid, lacking
from azureml_local.dataplane.databricks.run_states import CONDITIONS

TASK_KEY = re.compile(r"[A-Za-z0-9_-]{1,100}")
MOST_TASKS = 1000
LONGEST_NAME = 4096
SUPPORTED_TASKS = ("spark_python_task", "notebook_task")
# What the Jobs API has and azureml-local has not, where it asks for something.
LACKING = (
    "continuous",
    "schedule",
    "trigger",
    "triggers",
    "git_source",
    "environments",
    "email_notifications",
    "webhook_notifications",
    "notification_settings",
    "health",
    "run_as",
    "budget_policy_id",
    "usage_policy_id",
    "access_control_list",
    "deployment",
)
LACKING_IN_TASKS = (
    "environment_key",
    "compute",
    "email_notifications",
    "webhook_notifications",
    "notification_settings",
    "health",
    "max_retries",
    "disabled",
)
KEPT = ("name", "description", "tags", "parameters", "format")
NUMBERS = ("timeout_seconds", "max_concurrent_runs")
KEPT_IN_TASKS = (
    "task_key",
    "description",
    "depends_on",
    "run_if",
    "existing_cluster_id",
    "job_cluster_key",
    "libraries",
    *SUPPORTED_TASKS,
)
NUMBERS_IN_TASKS = ("timeout_seconds",)


def read_settings(sent: Fields) -> dict[str, Any]:
    """Return a job's settings, or a run's. Raises 400, or 501 for what azureml-local does not do."""
    sent.refuse(LACKING)
    queue = sent.inner("queue", None)
    if queue:
        queue.refuse(("enabled",))
    if len(sent.text("name", "")) > LONGEST_NAME:
        raise invalid(f"The name is longer than {LONGEST_NAME} characters.")
    numbers = _numbers(sent, NUMBERS)
    sent.mapping("tags", None)
    for parameter in sent.each("parameters", []):
        parameter.text("name")
        parameter.text("default")
    shared = [_job_cluster(one) for one in sent.each("job_clusters", [])]
    tasks = [_task(one, {cluster["job_cluster_key"] for cluster in shared}) for one in sent.each("tasks", [])]
    _require_order(tasks)
    kept = {name: sent.members[name] for name in KEPT if sent.members.get(name) is not None}
    return {**kept, **numbers, "tasks": tasks, "job_clusters": shared}


def packages_of(task: dict[str, Any]) -> list[str]:
    """Return the packages that a checked task asks for."""
    return libraries.packages(Fields(task))


def _numbers(sent: Fields, names: tuple[str, ...]) -> dict[str, int]:
    """Return those of the members that were sent, also where they are written as texts. Raises 400."""
    found = {name: value for name in names if (value := sent.integer(name, None)) is not None}
    if any(value < 0 for value in found.values()):
        raise invalid(f"{' and '.join(names)} must not be negative.")
    return found


def _job_cluster(sent: Fields) -> dict[str, Any]:
    key = sent.text("job_cluster_key")
    return {"job_cluster_key": key, "new_cluster": clusters.read_spec(sent.inner("new_cluster"))}


def _task(sent: Fields, shared: set[str]) -> dict[str, Any]:
    sent.refuse(LACKING_IN_TASKS)
    key = sent.text("task_key")
    if not TASK_KEY.fullmatch(key):
        raise invalid(f"The task key '{key}' must be 1 to 100 letters, digits, hyphens and underscores.")
    kinds = [name for name in sent.members if name.endswith("_task") and sent.members[name] is not None]
    for kind in kinds:
        if kind not in SUPPORTED_TASKS:
            raise lacking(f"tasks of the kind {kind}")
    if len(kinds) != 1:
        raise invalid(f"The task '{key}' must have exactly one of {', '.join(SUPPORTED_TASKS)}; it has {len(kinds)}.")
    _require_work(sent.inner(kinds[0]), kinds[0])
    libraries.packages(sent)
    if sent.text("run_if", "ALL_SUCCESS") not in CONDITIONS:
        raise invalid(f"run_if is '{sent.text('run_if')}'; it must be one of {', '.join(CONDITIONS)}.")
    numbers = _numbers(sent, NUMBERS_IN_TASKS)
    kept = {name: sent.members[name] for name in KEPT_IN_TASKS if sent.members.get(name) is not None}
    kept |= numbers
    new = sent.inner("new_cluster", None)
    if new:
        kept["new_cluster"] = clusters.read_spec(new)
    _require_cluster(kept, key, shared)
    return kept


def _require_work(work: Fields, kind: str) -> None:
    """Raise 400 where a task does not say what it runs, or 501 where that lies outside of the workspace."""
    if work.text("source", "WORKSPACE") != "WORKSPACE":
        raise lacking("tasks whose source is a Git repository")
    if kind == "spark_python_task":
        path = work.text("python_file")
        if not path.startswith(("/", "dbfs:/")):
            raise lacking(
                f"Python files at '{path}', which is neither dbfs:/... nor an absolute path of the workspace,"
            )
        work.texts("parameters", None)
    else:
        path = work.text("notebook_path")
        if not path.startswith("/"):
            raise invalid(f"Notebook path {path} must be absolute: it begins with '/'.")
        work.refuse(("warehouse_id",))
        work.mapping("base_parameters", None)


def _require_cluster(task: dict[str, Any], key: str, shared: set[str]) -> None:
    for name in ("existing_cluster_id", "job_cluster_key"):
        Fields(task).text(name, None)
    chosen = [name for name in ("existing_cluster_id", "new_cluster", "job_cluster_key") if task.get(name)]
    if not chosen:
        raise lacking(f"serverless compute, which the task '{key}' asks for by naming no cluster,")
    if len(chosen) > 1:
        raise invalid(f"The task '{key}' has {' and '.join(chosen)}; it must have exactly one of them.")
    if task.get("job_cluster_key") and task["job_cluster_key"] not in shared:
        raise invalid(f"Job cluster '{task['job_cluster_key']}', which the task '{key}' names, is not defined.")


def _require_order(tasks: list[dict[str, Any]]) -> None:
    """Raise 400 where tasks share a key, depend on what is not there, or on each other in a circle."""
    keys = [task["task_key"] for task in tasks]
    if len(keys) > MOST_TASKS:
        raise invalid(f"A job has at most {MOST_TASKS} tasks, not {len(keys)}.")
    if len(set(keys)) < len(keys):
        raise invalid("Task keys must be unique.")
    graph: dict[str, set[str]] = {}
    for task in tasks:
        above = {one.text("task_key") for one in Fields(task).each("depends_on", [])}
        if unknown := sorted(above - set(keys)):
            raise invalid(f"Task '{task['task_key']}' depends on the task '{unknown[0]}', which does not exist.")
        graph[task["task_key"]] = above
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        raise invalid(f"The tasks depend on each other in a circle: {' -> '.join(error.args[1])}.") from error
