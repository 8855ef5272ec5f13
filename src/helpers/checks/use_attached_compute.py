"""The exercises of *Use attached compute*."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

from helpers.verdicts import CheckResult, exercise, right, wrong

RESOURCE_ID = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)/providers/Microsoft\.Compute/"
    r"virtualMachines/(?P<machine>[^/]+)/?",
    re.IGNORECASE,
)
WANTED_ID = {"subscription": "11111111-2222-3333-4444-555555555555", "group": "vision", "machine": "gpu-box"}
WANTED_SSH = {"admin_username": "ann", "ssh_port": 2222, "ssh_private_key_file": "keys/ann"}


@exercise("use_attached_compute/laboratory", "Write a `VirtualMachineCompute` with its `VirtualMachineSshSettings`.")
def laboratory(answer: Any) -> CheckResult:
    """Accept a description with which exactly this machine can be attached."""
    from azure.ai.ml.entities import VirtualMachineCompute

    if not isinstance(answer, VirtualMachineCompute):
        return wrong(f"a `VirtualMachineCompute` is wanted, this is of type {type(answer).__name__}.")
    if answer.name != "laboratory":
        return wrong(f"its name in the workspace is to be laboratory, not {answer.name}.")
    found = RESOURCE_ID.fullmatch(answer.resource_id or "")
    if found is None:
        return wrong(
            "its resource id is none of a virtual machine: /subscriptions/…/resourceGroups/…/providers/"
            "Microsoft.Compute/virtualMachines/…"
        )
    for part, value in WANTED_ID.items():
        if found[part].lower() != value:
            return wrong(f"in the resource id, the {part} is {found[part]}; it should be {value}.")
    if answer.ssh_settings is None:
        return wrong("how does Azure ML log on? `ssh_settings` is missing.")
    if answer.ssh_settings.admin_password:
        return wrong("a password in a notebook is soon read by others, and Ann has a key.")
    for setting, wanted in WANTED_SSH.items():
        if str(actual := getattr(answer.ssh_settings, setting)) != str(wanted):  # the file may be a Path
            return wrong(f"`{setting}` is {actual!r}; it should be {wanted!r}.")
    return right("with the key's file in that place, this could be attached.")


# What `type` says of a compute, and what its owner wants done with it.
ACTIONS = {
    "amlcompute": "Delete",
    "computeinstance": "Delete",
    "virtualmachine": "Detach",
    "kubernetes": "Detach",
    "synapsespark": "Detach",
    "*** Unsupported Compute Type ***": "Detach",  # of azure-ai-ml: what it shows of Databricks
}


@exercise("use_attached_compute/action_for", "Write a function of a compute that returns `Delete` or `Detach`.")
def action_for(answer: Any) -> CheckResult:
    """Accept a function that detaches what is somebody else's, and deletes what Azure ML has made."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for kind, wanted in ACTIONS.items():
        action = answer(SimpleNamespace(type=kind, name="one"))
        if action in ("Delete", "Detach") and action != wanted:
            return wrong(
                f"of a compute of the type {kind} it says {action}: "
                + ("it would be forgotten, and paid for." if wanted == "Delete" else "Azure ML did not make it.")
            )
        if action != wanted:
            return wrong(f"of a compute of the type {kind} it says {action!r}; it should be the text {wanted}.")
    return right("what is attached is detached, also a type that you have not thought of.")


CLUSTER = "0612-101500-late1"
FILES = ["/Shared/clean.py", "/Shared/train.py"]
DATA = "dbfs:/late_flights/flights.csv"


@exercise("use_attached_compute/tasks", "Assign a list of two `SubmitTask(...)`.")
def tasks(answer: Any) -> CheckResult:
    """Accept two tasks that run the two scripts on the cluster, the second only after the first."""
    from databricks.sdk.service.jobs import SubmitTask

    if not isinstance(answer, list) or not all(isinstance(task, SubmitTask) for task in answer):
        return wrong("a list of `SubmitTask` is wanted.")
    files = {task.spark_python_task.python_file: task for task in answer if task.spark_python_task}
    if sorted(files) != FILES or len(answer) != len(FILES):
        return wrong(f"two tasks are wanted, with the files {' and '.join(FILES)}; yours have: {', '.join(files)}.")
    clean, train = (files[file] for file in FILES)
    if clean.task_key == train.task_key:
        return wrong(f"both tasks have the key {clean.task_key}; by what could one name the other?")
    if elsewhere := [task.task_key for task in answer if task.existing_cluster_id != CLUSTER]:
        return wrong(f"not on the cluster {CLUSTER}: {', '.join(elsewhere)}.")
    if clean.depends_on:
        return wrong("the cleaning waits for something; it comes first.")
    if [one.task_key for one in train.depends_on or []] != [clean.task_key]:
        return wrong("both would begin at once: the training has to depend on the cleaning, by its key.")
    if train.spark_python_task.parameters != [DATA]:
        return wrong(f"the training's parameters are {train.spark_python_task.parameters}; they should be [{DATA!r}].")
    return right("`databricks.jobs.submit(tasks=tasks)` would run one after the other.")


# Minutes a job takes, nodes, minutes until a node is ready; from how many jobs on the cluster is done sooner.
RACES = ((10, 4, 5, 2), (2, 4, 5, 4), (10, 4, 10, 3), (1, 2, 5, 12), (30, 10, 4, 2))


@exercise("use_attached_compute/cluster_wins", "Write a function of minutes, nodes and minutes to start.")
def cluster_wins(answer: Any) -> CheckResult:
    """Accept a function that returns the least number of jobs with which the cluster is done before the machine."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for minutes, nodes, start, wanted in RACES:
        jobs = answer(minutes, nodes, start)
        if jobs == wanted:
            continue
        what = f"{minutes} minutes a job, {nodes} nodes, {start} minutes to start"
        if not isinstance(jobs, int):
            return wrong(f"for {what} it returns {jobs!r}; a whole number of jobs is wanted.")
        rounds = -(-jobs // nodes)
        return wrong(
            f"for {what} it says {jobs}; with {jobs} jobs the machine needs {jobs * minutes} minutes, and the cluster "
            f"{start} + {rounds} x {minutes} = {start + rounds * minutes}. From {wanted} on it is done sooner."
        )
    return right("the longer a job takes, the sooner more machines are worth waiting for.")
