"""The processes of a job on each of its nodes, and the variables by which they find each other.

https://learn.microsoft.com/azure/machine-learning/how-to-train-distributed-gpu
Several nodes may be on one machine, so ports are given out for each attempt where Azure has fixed ones.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psutil

from azureml_local.engines.jobs.spec import Distribution

HOST = "127.0.0.1"
Ports = tuple[int, ...]
Addresses = tuple[str, ...]


@dataclass(frozen=True)
class Process:
    """One process: the name of its log below ``user_logs/``, and its variables."""

    log: str
    variables: Mapping[str, str]


def processes(
    distribution: Distribution, node: int, ports: tuple[int, ...], addresses: tuple[str, ...] = ()
) -> list[Process]:
    """Return the processes of a node.

    Args:
        distribution: of the job.
        node: the node's rank.
        ports: as many as :func:`port_count` says, each free on the node that :func:`nodes_of_ports` says.
        addresses: of the nodes, by their ranks; none where all are on this machine.
    """
    return PLANS[distribution.kind](distribution, node, ports, addresses or (HOST,) * distribution.instances)


def port_count(distribution: Distribution) -> int:
    """Return how many ports a job's processes need to find each other."""
    if distribution.kind is None:
        return 0
    return len(_tensorflow_tasks(distribution)) if distribution.kind == "TensorFlow" else 1


def nodes_of_ports(distribution: Distribution) -> list[int]:
    """Return, of each port, the rank of the node on which something listens there."""
    if distribution.kind == "TensorFlow":
        return [index % distribution.instances for _, index in _tensorflow_tasks(distribution)]
    return [0] * port_count(distribution)


def _undistributed(distribution: Distribution, node: int, _: Ports, __: Addresses) -> list[Process]:
    name = "std_log.txt" if distribution.instances == 1 else _log_of_process(node, distribution.instances)
    return [Process(name, {})]


def _pytorch(distribution: Distribution, node: int, ports: Ports, addresses: Addresses) -> list[Process]:
    world = distribution.instances * distribution.processes
    common = {
        "MASTER_ADDR": addresses[0],
        "MASTER_PORT": str(ports[0]),
        "WORLD_SIZE": str(world),
        "NODE_RANK": str(node),
        # gloo listens where the machine's name leads to, unless it is told.
        "GLOO_SOCKET_IFNAME": _device(addresses[node]),
    }
    return [
        Process(_log_of_process(rank, world), {**common, "RANK": str(rank), "LOCAL_RANK": str(local)})
        for local, rank in enumerate(_ranks(distribution, node))
    ]


def _mpi(distribution: Distribution, node: int, ports: Ports, addresses: Addresses) -> list[Process]:
    """Return processes with the variables that Open MPI's launcher sets; none of its connections is set up."""
    world = distribution.instances * distribution.processes
    common = {
        "OMPI_COMM_WORLD_SIZE": str(world),
        "OMPI_COMM_WORLD_LOCAL_SIZE": str(distribution.processes),
        "AZ_BATCH_MASTER_NODE": f"{addresses[0]}:{ports[0]}",
    }
    return [
        Process(
            _log_of_process(rank, world),
            {**common, "OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_LOCAL_RANK": str(local)},
        )
        for local, rank in enumerate(_ranks(distribution, node))
    ]


def _tensorflow(distribution: Distribution, node: int, ports: Ports, addresses: Addresses) -> list[Process]:
    tasks = _tensorflow_tasks(distribution)
    cluster: dict[str, list[str]] = {}
    for (kind, index), port in zip(tasks, ports, strict=True):
        cluster.setdefault(kind, []).append(f"{addresses[index % distribution.instances]}:{port}")
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


def _device(address: str) -> str:
    """Return the name of the network device that has an address of this machine; empty where none has."""
    devices = psutil.net_if_addrs().items()
    return next((name for name, found in devices if address in {one.address for one in found}), "")


def _ranks(distribution: Distribution, node: int) -> range:
    return range(node * distribution.processes, (node + 1) * distribution.processes)


def _log_of_process(rank: int, world: int) -> str:
    return f"std_log_process_{rank:0{len(str(world - 1))}}.txt"


PLANS: Mapping[str | None, Callable[[Distribution, int, Ports, Addresses], list[Process]]] = {
    None: _undistributed,
    "PyTorch": _pytorch,
    "Mpi": _mpi,
    "TensorFlow": _tensorflow,
}


@contextmanager
def reserved_ports(count: int, host: str = HOST) -> Iterator[tuple[int, ...]]:
    """Yield free TCP ports of an address of this machine that, on Linux, nobody is given by chance meanwhile.

    A socket that is bound and does not listen keeps a port from being chosen by the system, and with SO_REUSEADDR on
    both sides (socket(7)) does not keep a program from listening there that asks for this very port.
    """
    with ExitStack() as held:
        found = []
        for _ in range(count):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            holder = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind((host, 0))
            found.append(holder.getsockname()[1])
        if sys.platform != "linux":
            held.close()
        yield tuple(found)
