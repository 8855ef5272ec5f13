"""Checks of ports and addresses."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

import psutil

from workshop import start
from workshop.doctor.findings import Finding, bad, good, worse
from workshop.doctor.room import Room
from workshop.spawner import FIRST_PORT, LAST_PORT
from workshop.workshop import Workshop, WorkshopError

FIXED = 4  # ports on loopback: hub, proxy's API, board, the trainer's server


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
    """Learners' servers listen where only root may bind; what they start has a network of its own."""
    free = sum(start.is_free("127.0.0.1", number) for number in range(FIRST_PORT, LAST_PORT + 1))
    if free < room.learners + FIXED:
        yield bad("ports", f"{free} from {FIRST_PORT} to {LAST_PORT} are free", "End what listens there: ss -ltnp")
    else:
        yield good("ports", f"{free} for the hub and learners' servers")
