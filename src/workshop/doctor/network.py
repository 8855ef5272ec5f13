"""Checks of ports and addresses."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil

from workshop import start
from workshop.doctor.findings import Finding, bad, good, worse
from workshop.doctor.room import Room
from workshop.spawner import FIRST_PORT, LAST_PORT
from workshop.workshop import Workshop, WorkshopError

FIXED = 4  # ports on loopback: hub, proxy's API, board, the trainer's server
PORTS_A_LEARNER = 200  # a service, its storage, servers of deployments, and connections between them
RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def address(room: Room) -> Iterator[Finding]:
    """Where browsers find the room."""
    listen, port = room.settings.listen, room.settings.port
    if Workshop(room.folder.root).proxy.pid():
        yield good("port", f"{port} of {listen}: this workshop listens there already")
    else:
        try:
            yield good("port", f"{start.free_port(listen, port)} of {listen} is free")
        except WorkshopError as error:
            yield bad("port", f"{port} of {listen}", str(error))
    if ipaddress.ip_address(listen).is_loopback:
        yield worse(
            "address", f"{listen}: no laptop but this machine's own reaches it",
            f"LISTEN={_own_addresses()[0]}, or whichever address of this machine the room's network has.",
        )  # fmt: skip
    else:
        scheme = f"https://{listen}:{port}"
        yield good("address", f"{listen}; once it runs, try {scheme} from a laptop: a firewall may be in between")


def _own_addresses() -> list[str]:
    found = [one.address for card in psutil.net_if_addrs().values() for one in card if one.family == socket.AF_INET]
    return [one for one in found if not ipaddress.ip_address(one).is_loopback] or ["192.168.1.7"]


def ports(room: Room) -> Iterator[Finding]:
    """Learners' servers listen where only root may bind; what they start takes from all others."""
    low = sum(start.is_free("127.0.0.1", number) for number in range(FIRST_PORT, LAST_PORT + 1))
    first, last = map(int, RANGE.read_text().split())
    if low < room.learners + FIXED:
        yield bad("ports", f"{low} from {FIRST_PORT} to {LAST_PORT} are free", "End what listens there: ss -ltnp")
    elif last - first < room.learners * PORTS_A_LEARNER:
        yield worse("ports", f"{last - first} for programs", 'sysctl net.ipv4.ip_local_port_range="10000 65000"')
    else:
        yield good("ports", f"{low} for learners' servers, {last - first} for what they start")
