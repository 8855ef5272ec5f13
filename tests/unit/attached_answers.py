"""Right and wrong answers to the exercises on attached compute."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from azure.ai.ml.entities import AmlCompute, VirtualMachineCompute, VirtualMachineSshSettings
from databricks.sdk.service.jobs import SparkPythonTask, SubmitTask, TaskDependency

ID = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/vision/providers/Microsoft.Compute/"
    "virtualMachines/gpu-box"
)
CLUSTER = "0612-101500-late1"


def _machine(name: str = "laboratory", resource_id: str = ID, **ssh: Any) -> VirtualMachineCompute:
    given = {"admin_username": "ann", "ssh_port": 2222, "ssh_private_key_file": "keys/ann", **ssh}
    return VirtualMachineCompute(name=name, resource_id=resource_id, ssh_settings=VirtualMachineSshSettings(**given))


def _task(key: str, file: str, *after: str, cluster: str = CLUSTER, **script: Any) -> SubmitTask:
    return SubmitTask(
        task_key=key,
        existing_cluster_id=cluster,
        depends_on=[TaskDependency(one) for one in after] or None,
        spark_python_task=SparkPythonTask(f"/Shared/{file}.py", **script),
    )


DATA = {"parameters": ["dbfs:/late_flights/flights.csv"]}
CLEAN, TRAIN = _task("clean", "clean"), _task("train", "train", "clean", **DATA)


def _first(is_won: Callable[[int, int, int, int], bool]) -> Callable[[int, int, int], int]:
    return lambda minutes, nodes, start: next(n for n in range(1, 999) if is_won(n, minutes, nodes, start))


RIGHT: dict[str, list[object]] = {
    "use_attached_compute/laboratory": [
        _machine(),
        _machine(resource_id=ID.replace("resourceGroups", "resourcegroups")),
        _machine(ssh_private_key_file=Path("keys/ann")),
    ],
    "use_attached_compute/action_for": [
        lambda compute: "Delete" if compute.type in ("amlcompute", "computeinstance") else "Detach",
        lambda compute: {"amlcompute": "Delete", "computeinstance": "Delete"}.get(compute.type, "Detach"),
    ],
    "use_attached_compute/tasks": [
        [CLEAN, TRAIN],
        [TRAIN, CLEAN],
        [_task("a", "clean"), _task("b", "train", "a", **DATA)],
    ],
    "use_attached_compute/cluster_wins": [
        _first(lambda n, minutes, nodes, start: start + math.ceil(n / nodes) * minutes < n * minutes),
        _first(lambda n, minutes, nodes, start: start < (n - (n + nodes - 1) // nodes) * minutes),
    ],
}
WRONG: dict[str, list[tuple[object, str]]] = {
    "use_attached_compute/laboratory": [
        (AmlCompute(name="laboratory", size="Standard_NC4as_T4_v3"), "of type AmlCompute"),
        (_machine(name="gpu-box"), "its name in the workspace"),
        (_machine(resource_id="gpu-box"), "none of a virtual machine"),
        (_machine(resource_id=ID.replace("gpu-box", "laboratory")), "the machine is laboratory"),
        (_machine(resource_id=ID.replace("vision", "ann")), "the group is ann"),
        (_machine(ssh_port=22), "`ssh_port` is 22"),
        (_machine(admin_username="azureuser"), "`admin_username` is 'azureuser'"),
        (_machine(admin_password="secret", ssh_private_key_file=None), "a password in a notebook"),
        (VirtualMachineCompute(name="laboratory", resource_id=ID), "`ssh_settings` is missing"),
    ],
    "use_attached_compute/action_for": [
        (lambda compute: "Detach", "would be forgotten, and paid for"),
        (lambda compute: "Delete", "Azure ML did not make it"),
        (lambda compute: "Detach" if compute.type in ("virtualmachine", "kubernetes") else "Delete", "synapsespark"),
        (lambda compute: compute.type == "amlcompute", "it says True"),
        ("Detach", "of type str"),
    ],
    "use_attached_compute/tasks": [
        ([CLEAN], "two tasks are wanted"),
        ([CLEAN, _task("train", "train", **DATA)], "both would begin at once"),
        ([CLEAN, _task("train", "train", "/Shared/clean.py", **DATA)], "both would begin at once"),
        ([_task("clean", "clean", "train"), TRAIN], "it comes first"),
        ([CLEAN, _task("train", "train", "clean")], "parameters are None"),
        ([CLEAN, _task("train", "train", "clean", cluster="own", **DATA)], "not on the cluster"),
        ([_task("train", "clean"), TRAIN], "both tasks have the key"),
        (["/Shared/clean.py", "/Shared/train.py"], "a list of `SubmitTask`"),
    ],
    "use_attached_compute/cluster_wins": [
        (_first(lambda n, minutes, nodes, start: start + n / nodes * minutes < n * minutes), "it says 1;"),
        (_first(lambda n, minutes, nodes, start: start + math.ceil(n / nodes) * minutes <= n * minutes), "says 2"),
        (_first(lambda n, minutes, nodes, start: math.ceil(n / nodes) * minutes < n * minutes), "says 2"),
        (lambda minutes, nodes, start: start / minutes, "a whole number"),
        (2, "of type int"),
    ],
}
