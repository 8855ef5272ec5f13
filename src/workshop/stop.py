"""``python -m workshop stop``: the end of a workshop, or of its hub only. What learners have made stays."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import psutil
import requests

from workshop import disks, limits, processes, users
from workshop.account import sandboxes
from workshop.workshop import Workshop, add_folder, require_root

HUB_WITHIN = 120.0  # seconds; it ends every learner's server first, each with all that runs there
PROXY_WITHIN, LEARNERS_WITHIN = 20.0, 30.0  # seconds; of the second, the sandbox leaves daemons ten


def main(argv: Sequence[str]) -> int:
    """End what runs, and say what did."""
    parser = argparse.ArgumentParser(prog="python -m workshop stop", description="End the workshop.")
    add_folder(parser)
    parser.add_argument("--hub-only", action="store_true", help="end the hub only: learners work on in their labs")
    arguments = parser.parse_args(argv)
    require_root("stop")
    workshop = Workshop(arguments.folder)
    if workshop.folder.settings() is None:
        print(f"No workshop was ever started in {workshop.folder.root}.")
        return 0
    with workshop.alone():
        print(stop_hub(workshop) if arguments.hub_only else stop(workshop))
    return 0


def stop_hub(workshop: Workshop) -> str:
    """End the hub, and return what to say."""
    if not workshop.hub.stop(HUB_WITHIN):
        return "The hub did not run."
    return "The hub has ended. Learners work on; `python -m workshop start` starts it again, and takes them over."


def stop(workshop: Workshop) -> str:
    """End the learners' servers, the hub and the proxy, and return what to say."""
    ran = workshop.hub.pid() is not None
    if ran:
        print("Ending the learners' servers ...", flush=True)
        with contextlib.suppress(requests.RequestException):  # one that hangs is ended below, all the same
            workshop.ask_hub("POST", "/shutdown", {"servers": True, "proxy": False})
            workshop.hub.has_ended_within(HUB_WITHIN)
    workshop.hub.stop(HUB_WITHIN)
    proxy = workshop.proxy.stop(PROXY_WITHIN)
    left = end_processes(workshop.folder.homes)
    give_back(workshop)
    return "The workshop has ended; what the learners have made is kept." if ran or proxy or left else "It did not run."


def end_processes(homes: Path) -> int:
    """End all that still runs as the workshop's OS users, gently first; return how many processes did."""
    running, confining = learners_processes(homes), sandboxes(uids(homes))
    for outside in confining:
        for first in processes.children(outside.pid):
            os.kill(first, signal.SIGTERM)
    _, left = psutil.wait_procs(confining, LEARNERS_WITHIN)
    users.end([*left, *learners_processes(homes)])
    return len(running)


def give_back(workshop: Workshop) -> None:
    """Unmount the homes, and remove the control groups, of users of whom nothing runs; a hub that ended has done so."""
    for name in users.living_below(workshop.folder.homes):
        limits.remove(name)
        disks.unmount(workshop.folder.home(name))


def learners_processes(homes: Path) -> list[psutil.Process]:
    """Return what runs as one of the workshop's OS users, of those too whose seats there are no more."""
    return [process for uid in uids(homes) for process in users.processes_of(uid)]


def uids(homes: Path) -> set[int]:
    """Return the workshop's OS users."""
    return {user.pw_uid for user in map(users.find, users.living_below(homes)) if user}
