"""The processes of a job on each of its nodes, and the variables by which they find each other.

https://learn.microsoft.com/azure/machine-learning/how-to-train-distributed-gpu
Every node is on this machine, so ports are given out for each attempt where Azure has fixed ones.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from azureml_local.engines.jobs.spec import Distribution

HOST = "127.0.0.1"
LOOPBACK_DEVICE = "lo" if sys.platform == "linux" else "lo0"


@dataclass(frozen=True)
class Process:
    """One process: the name of its log below ``user_logs/``, and its variables."""

    log: str
    variables: Mapping[str, str]


def processes(distribution: Distribution, node: int, ports: tuple[int, ...]) -> list[Process]:
    """Return the processes of a node.

    Args:
        distribution: of the job.
        node: the node's rank.
        ports: as many as :func:`port_count` says.
    """
    return PLANS[distribution.kind](distribution, node, ports)


def port_count(distribution: Distribution) -> int:
    """Return how many ports a job's processes need to find each other."""
    if distribution.kind is None:
        return 0
    return len(_tensorflow_tasks(distribution)) if distribution.kind == "TensorFlow" else 1


def _undistributed(distribution: Distribution, node: int, _: tuple[int, ...]) -> list[Process]:
    name = "std_log.txt" if distribution.instances == 1 else _log_of_process(node, distribution.instances)
    return [Process(name, {})]


def _pytorch(distribution: Distribution, node: int, ports: tuple[int, ...]) -> list[Process]:
    world = distribution.instances * distribution.processes
    common = {
        "MASTER_ADDR": HOST,
        "MASTER_PORT": str(ports[0]),
        "WORLD_SIZE": str(world),
        "NODE_RANK": str(node),
        # gloo listens where the machine's name leads to, unless it is told.
        "GLOO_SOCKET_IFNAME": LOOPBACK_DEVICE,
    }
    return [
        Process(_log_of_process(rank, world), {**common, "RANK": str(rank), "LOCAL_RANK": str(local)})
        for local, rank in enumerate(_ranks(distribution, node))
    ]


def _mpi(distribution: Distribution, node: int, ports: tuple[int, ...]) -> list[Process]:
    """Return processes with the variables that Open MPI's launcher sets; none of its connections is set up."""
    world = distribution.instances * distribution.processes
    common = {
        "OMPI_COMM_WORLD_SIZE": str(world),
        "OMPI_COMM_WORLD_LOCAL_SIZE": str(distribution.processes),
        "AZ_BATCH_MASTER_NODE": f"{HOST}:{ports[0]}",
    }
    return [
        Process(
            _log_of_process(rank, world),
            {**common, "OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_LOCAL_RANK": str(local)},
        )
        for local, rank in enumerate(_ranks(distribution, node))
    ]


def _tensorflow(distribution: Distribution, node: int, ports: tuple[int, ...]) -> list[Process]:
    tasks = _tensorflow_tasks(distribution)
    cluster: dict[str, list[str]] = {}
    for (kind, _), port in zip(tasks, ports, strict=True):
        cluster.setdefault(kind, []).append(f"{HOST}:{port}")
    planned = []
    for kind, index in tasks:
        if index % distribution.instances == node:
            config = {"cluster": cluster, "task": {"type": kind, "index": index}, "environment": "cloud"}
            another = f"_{index}" if index >= distribution.instances else ""
            planned.append(Process(f"std_log_node_{node:02}_{kind}{another}.txt", {"TF_CONFIG": json.dumps(config)}))
    return planned


def _tensorflow_tasks(distribution: Distribution) -> list[tuple[str, int]]:
    workers = distribution.workers or distribution.instances
    return [
        *(("ps", index) for index in range(distribution.parameter_servers)),
        *(("worker", index) for index in range(workers)),
    ]


def _ranks(distribution: Distribution, node: int) -> range:
    return range(node * distribution.processes, (node + 1) * distribution.processes)


def _log_of_process(rank: int, world: int) -> str:
    return f"std_log_process_{rank:0{len(str(world - 1))}}.txt"


PLANS: Mapping[str | None, Callable[[Distribution, int, tuple[int, ...]], list[Process]]] = {
    None: _undistributed,
    "PyTorch": _pytorch,
    "Mpi": _mpi,
    "TensorFlow": _tensorflow,
}


@contextmanager
def reserved_ports(count: int) -> Iterator[tuple[int, ...]]:
    """Yield free TCP ports that, on Linux, nobody is given by chance meanwhile.

    A socket that is bound and does not listen keeps a port from being chosen by the system, and with SO_REUSEADDR on
    both sides (socket(7)) does not keep a program from listening there that asks for this very port.
    """
    with ExitStack() as held:
        found = []
        for _ in range(count):
            holder = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind((HOST, 0))
            found.append(holder.getsockname()[1])
        if sys.platform != "linux":
            held.close()
        yield tuple(found)
