"""``python -m workshop start``: from nothing, or from what is left of a former start, to a room that can be joined."""

from __future__ import annotations

import argparse
import errno
import os
import random
import re
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace

from azureml_local.edge.listening import parse as parse_place
from workshop import certificates, links, proxy
from workshop.folder import VARIABLE, WORKBOOK, Settings, given
from workshop.links import LOOPBACK
from workshop.stop import learners_processes
from workshop.workshop import Workshop, WorkshopError, add_folder, require_root

PROXY_WITHIN, HUB_WITHIN = 60.0, 180.0  # seconds; JupyterHub's start takes 5 on a machine that is idle
# Only root may bind these: while the hub is away, no learner can listen in its place.
INNER_PORTS = range(800, 1024)
PORTS_OF = ("hub_port", "proxy_api_port", "board_port")
OPTIONS = ("learners", "listen", "port", "prefix", "certificate", "key", "disk")
PREFIX = re.compile(r"[a-z][a-z0-9-]{0,19}")
REFUSALS = {
    errno.EADDRINUSE: "Port {port} of {address} is in use by another program: end that, or name another port, such as "
    "`make workshop PORT=8010` or --port 8010.",
    errno.EADDRNOTAVAIL: "{address} is not an address of this machine; `ip address` lists those that are.",
}
NOT_THE_HUBS = ("JUPYTERHUB_", "CONFIGPROXY_", "AZURE")  # variables of the trainer's shell


def main(argv: Sequence[str]) -> int:
    """Start what does not run, and say how to join."""
    arguments = parse(argv)
    require_root("start")
    workshop = Workshop(arguments.folder)
    workshop.folder.create()
    workshop.folder.require_reachable()
    with workshop.alone():
        settings = start(workshop, arguments)
    print_links(workshop, settings, qr=arguments.qr)
    return 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the options; those that were not given are None, and stay as they were at the last start."""
    parser = argparse.ArgumentParser(prog="python -m workshop start", description="Start a room of learners.")
    add_folder(parser)
    parser.add_argument("--learners", type=seats, help="seats in the room; more can be added later")
    parser.add_argument("--listen", metavar="ADDRESS", help="this machine's address for the room (127.0.0.1)")
    parser.add_argument("--port", type=port, help="the port there (8000); 0 takes one that is free")
    parser.add_argument("--prefix", help="what the OS users' names begin with (learner)")
    parser.add_argument("--certificate", metavar="FILE", help="your own certificate, with its chain (PEM)")
    parser.add_argument("--key", metavar="FILE", help="its key (PEM)")
    parser.add_argument("--disk", metavar="GIB", type=gibibytes, help="the size of each new disk of a learner (2)")
    parser.add_argument("--no-qr", dest="qr", action="store_false", help="print no QR code")
    return parser.parse_args(argv)


def seats(text: str) -> int:
    """Return a number of learners; argparse words what goes wrong."""
    if not (text.isdecimal() and 1 <= int(text) <= 500):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of learners: give 1 to 500")
    return int(text)


def gibibytes(text: str) -> int:
    """Return the size of a disk; argparse words what goes wrong."""
    if not (text.isdecimal() and 1 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is no size of a disk: give 1 to 1000, in GiB")
    return int(text)


def port(text: str) -> int:
    """Return a port; argparse words what goes wrong."""
    if not (text.isdecimal() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give 1 to 65535, or 0 for one that is free")
    return int(text)


def start(workshop: Workshop, arguments: argparse.Namespace) -> Settings:
    """Start what does not run, and return with what.

    Raises:
        WorkshopError, BackgroundError, NpmError: it cannot be; the message says why and what to do.
    """
    former = workshop.folder.settings()
    settings = chosen(former, arguments)
    if former and workshop.proxy.pid():
        require_same_place(former, settings)
    else:
        settings = replace(settings, port=free_port(settings.listen, settings.port))
    pair = certificates.pair(workshop.folder, settings)
    settings = replace(with_inner_ports(workshop, settings), host=certificates.host(settings))
    workshop.folder.write(settings)
    if not workshop.proxy.pid():
        start_proxy(workshop, settings, pair)
    if not workshop.hub.pid():
        start_hub(workshop, settings)
    workshop.ask_hub("POST", "/proxy")  # a proxy that is new has no routes yet
    return settings


def chosen(former: Settings | None, arguments: argparse.Namespace) -> Settings:
    """Return the settings: what was given, else what was at the last start, else the defaults.

    Raises:
        WorkshopError: something is missing.
    """
    if former is None and arguments.learners is None:
        raise WorkshopError("For how many learners? Say `make workshop LEARNERS=30`, or --learners 30.")
    options = {name: getattr(arguments, name) for name in OPTIONS}
    if former and arguments.port == 0:
        options["port"] = None
    settings = given(former or Settings(arguments.learners), **options, workbook=str(WORKBOOK))
    if bool(settings.certificate) != bool(settings.key):
        raise WorkshopError("A certificate needs its key, and a key its certificate: give both.")
    settings = replace(settings, listen=address(settings.listen))
    if not PREFIX.fullmatch(settings.prefix):
        raise WorkshopError(f"--prefix {settings.prefix!r} begins no OS user's name: a to z, digits and -, 20 at most.")
    return settings


def address(text: str) -> str:
    """Return an IP address in its usual form.

    Raises:
        ListenError: it is none, or one that stands for all.
    """
    return parse_place(f"[{text}]" if ":" in text else text).address


def require_same_place(former: Settings, wanted: Settings) -> None:
    """Check that nothing is asked for that a running workshop cannot change.

    Raises:
        WorkshopError: it is.
    """
    for name in OPTIONS:
        had, asked = getattr(former, name), getattr(wanted, name)
        if name != "learners" and had != asked:
            raise WorkshopError(f"The workshop runs with --{name} {had}; stop it before you start it with {asked}.")


def with_inner_ports(workshop: Workshop, settings: Settings) -> Settings:
    """Return the settings with ports on loopback: the former ones while anything runs that knows them, else free ones.

    They are drawn at random, so that two workshops that start at once on a machine hardly draw the same.
    """
    if settings.hub_port and (workshop.proxy.pid() or workshop.hub.pid() or learners_processes(workshop.folder.homes)):
        return settings
    drawn = random.sample(INNER_PORTS, len(INNER_PORTS))
    free = (number for number in drawn if is_free(LOOPBACK, number))
    return given(settings, **{name: next(free) for name in PORTS_OF})


def free_port(address: str, number: int) -> int:
    """Return a port that can be listened at, which is ``number`` unless that is 0.

    Raises:
        WorkshopError: it is in use, or the address is not this machine's.
    """
    try:
        with bound(address, number) as listener:
            return int(listener.getsockname()[1])
    except OSError as error:
        raise WorkshopError(REFUSALS.get(error.errno or 0, str(error)).format(address=address, port=number)) from error


def is_free(address: str, number: int) -> bool:
    """Say whether a port can be listened at."""
    try:
        bound(address, number).close()
    except OSError:
        return False
    return True


def bound(address: str, number: int) -> socket.socket:
    """Return a socket at that place. Raises OSError where there can be none."""
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that end do not keep a port
        listener.bind((address, number))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def start_proxy(workshop: Workshop, settings: Settings, pair: certificates.Pair | None) -> None:
    """Start what listens for browsers."""
    proxy.install()
    print("Starting the proxy ...", flush=True)
    workshop.proxy.start(
        proxy.command(settings, pair),
        proxy.environment(workshop.folder),
        lambda: not is_free(settings.listen, settings.port) and not is_free(LOOPBACK, settings.proxy_api_port),
        PROXY_WITHIN,
    )


def start_hub(workshop: Workshop, settings: Settings) -> None:
    """Start the hub; servers that run are taken over."""
    if not is_free(LOOPBACK, settings.hub_port):
        raise WorkshopError(
            f"Port {settings.hub_port} of 127.0.0.1, which is the hub's, is in use by another program: end that."
        )
    print("Starting the hub (some seconds) ...", flush=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(NOT_THE_HUBS)}
    environment[VARIABLE] = str(workshop.folder.root)
    workshop.hub.start([sys.executable, "-m", "workshop", "hub"], environment, workshop.answers, HUB_WITHIN)


def print_links(workshop: Workshop, settings: Settings, *, qr: bool) -> None:
    """Say how learners join, and where the trainer looks."""
    link = links.join_link(workshop.folder, settings)
    if qr:
        print(links.qr_for_terminal(link))
    for name, value in links.table(workshop.folder, settings).items():
        print(f"{name + ':':22} {value}")
    if fingerprint := certificates.fingerprint(workshop.folder, settings):
        print(f"{'Certificate SHA-256:':22} {fingerprint}")
        print("Browsers warn of a certificate that no public authority has signed: docs/workshop.md says what to do.")
