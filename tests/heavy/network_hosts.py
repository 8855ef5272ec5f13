"""Machines of a test: network namespaces, each joined to a bridge by a cable that can be cut.

They share this machine's disk, processors and process table, and nothing of its network: what they reach, they reach
by the bridge. See ip-netns(8), veth(4).
"""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import machine
import psutil
import pytest

NETWORK = "10.231.77"
SECONDS = 60


def ip(*words: str, check: bool = True) -> str:
    """Run ``ip`` and return what it prints."""
    return _run("ip", *words, check=check)


def _run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0 or not check, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


@dataclass
class Host:
    """A machine: its name, and its address on the network."""

    name: str
    address: str
    bridge: str
    cable: str
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Start a program on it, which lasts at the longest as long as the network."""
        with log.open("ab") as file:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *command],
                env=dict(environment), stdout=file, stderr=file, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self.started.append(process)
        return process

    def processes(self) -> list[psutil.Process]:
        """Return the processes that run on it."""
        found = []
        for pid in ip("netns", "pids", self.name, check=False).split():
            try:
                found.append(psutil.Process(int(pid)))
            except psutil.NoSuchProcess:
                continue
        return found

    def cut_off(self) -> None:
        """Cut it off so that neither side is told: the cable stays in, and what is sent is lost."""
        ip("link", "set", self.cable, "nomaster")

    def unplug(self) -> None:
        """Pull the cable: both sides lose their link."""
        ip("link", "set", self.cable, "down")

    def reconnect(self) -> None:
        """Plug the cable in again."""
        ip("link", "set", self.cable, "master", self.bridge)
        ip("link", "set", self.cable, "up")

    def end(self) -> None:
        """End what runs on it."""
        for process in self.processes():
            process.kill()
        for child in self.started:
            child.wait(SECONDS)


@dataclass(frozen=True)
class Network:
    """The network: this machine's address on it, and the hosts."""

    address: str
    hosts: tuple[Host, ...]


@contextmanager
def network(count: int) -> Iterator[Network]:
    """Yield a network with hosts; nothing of it is left afterwards. Skips the test where it cannot be made."""
    machine.root("make network namespaces")
    machine.program("ip", "iproute2")
    mark = uuid.uuid4().hex[:6]
    bridge = f"br{mark}"
    with ExitStack() as made:
        try:
            ip("link", "add", bridge, "type", "bridge")
        except AssertionError as error:
            pytest.skip(f"no bridge can be made here: {error}")
        made.callback(ip, "link", "del", bridge)
        ip("addr", "add", f"{NETWORK}.1/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        if shutil.which("iptables"):  # Docker has every bridge filtered, and forwards nothing that is not its own
            rule = ("FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT")
            _run("iptables", "-w", "-I", *rule)
            made.callback(_run, "iptables", "-w", "-D", *rule)
        yield Network(f"{NETWORK}.1", tuple(_host(made, mark, bridge, number) for number in range(count)))


def _host(made: ExitStack, mark: str, bridge: str, number: int) -> Host:
    name, cable, device = f"h{number}-{mark}", f"c{number}{mark}", f"d{number}{mark}"
    host = Host(name, f"{NETWORK}.{number + 2}", bridge, cable)
    ip("netns", "add", name)
    made.callback(ip, "netns", "del", name)
    made.callback(host.end)
    ip("link", "add", cable, "type", "veth", "peer", "name", device)
    ip("link", "set", device, "netns", name)
    ip("link", "set", cable, "master", bridge)
    ip("link", "set", cable, "up")
    ip("-n", name, "addr", "add", f"{host.address}/24", "dev", device)
    ip("-n", name, "link", "set", device, "up")
    ip("-n", name, "link", "set", "lo", "up")
    return host
