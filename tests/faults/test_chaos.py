"""SIGKILL at any moment: what was acknowledged is there, operations end in a true state, nothing is left behind.

Truth: design.md, "write before you acknowledge", "nothing is orphaned"; the note of what was acknowledged (chaos.py).
Each round kills one process, chosen and timed by the seed, while Azure's clients are at work. More rounds, and others:
AZUREML_LOCAL_CHAOS_ROUNDS, AZUREML_LOCAL_CHAOS_SEED. What each round killed, and during what, is printed (pytest -s).
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import threading
import time
from pathlib import Path

import psutil
from chaos import TARGETS, Expected, Workload, check, processes
from clients import Clients

from running_service import RunningService, command_line, family, start_service, survivors, users_of, wait_for

ROUNDS = int(os.environ.get("AZUREML_LOCAL_CHAOS_ROUNDS", "3"))
SEED = os.environ.get("AZUREML_LOCAL_CHAOS_SEED", "1")
LATEST_KILL = 1.5  # seconds after the workload has begun
WORK_AFTER = 0.5  # seconds that the workload goes on after the kill
# Connections of clients, and files that a request in flight has open, come and go.
FEW_DESCRIPTORS = 12


def test_sigkill_at_any_moment_loses_nothing_that_was_acknowledged() -> None:
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        started = start_service(root)
        clients, expected = Clients(started), Expected()
        workload = Workload(clients, expected)
        workload.set_up()
        check(clients, expected)
        descriptors = psutil.Process(started.pid).num_fds()
        for number in range(ROUNDS):
            rng = random.Random(f"{SEED}:{number}")
            # Each target in turn; which of several, and when, is chance.
            target = TARGETS[number % len(TARGETS)]
            started = kill_one(started, workload, target, rng, f"{SEED}:{number}")
            check(clients, expected, killed=target)
            nothing_is_left_behind(started, clients)
            if target == "service":
                descriptors = psutil.Process(started.pid).num_fds()
            assert psutil.Process(started.pid).num_fds() <= descriptors + FEW_DESCRIPTORS
        before = family(started.pid)
        assert command_line(root, "stop").returncode == 0
        assert survivors(before) + users_of(root) == []
    finally:
        command_line(root, "stop")
        shutil.rmtree(root, ignore_errors=True)


def kill_one(started: RunningService, workload: Workload, target: str, rng: random.Random, seed: str) -> RunningService:
    """Kill a process while the workload is at work, and return the service that runs afterwards."""
    enough = threading.Event()
    worker = threading.Thread(target=workload.run, args=(seed, enough))
    before = workload.done
    worker.start()
    try:
        time.sleep(rng.uniform(0, LATEST_KILL))  # the moment that the seed chooses
        members = family(started.pid)
        victim = rng.choice(wait_for(lambda: processes(started.pid).get(target), f"there is a {target}"))
        doing = workload.doing
        victim.kill()
        enough.wait(WORK_AFTER)
    finally:
        enough.set()
        worker.join()
    print(f"round {seed}: killed {target} during {doing}, after {workload.done - before} acknowledged requests")
    assert survivors([victim]) == []
    if target != "service":
        return started
    again = start_service(started.home.root)
    assert again.port == started.port
    assert survivors(members) == [], "processes of the killed service live on"
    return again


def nothing_is_left_behind(started: RunningService, clients: Clients) -> None:
    """Every process, socket, folder and file is one of the deployments that are there."""
    deployments = list(clients.management.online_deployments.list(*clients.scope, "chaos"))
    home = started.home

    kinds = ("instance", "instance's worker", "instance's guard", "storage", "storage's guard")
    expected = [len(deployments)] * 3 + [1, 1, len(deployments)]
    found: list[int] = []

    def is_tidy() -> bool:
        running = processes(started.pid)
        found[:] = [len(running.get(kind, [])) for kind in kinds] + [len(list(home.sockets.glob("*.sock")))]
        return found == expected

    try:
        wait_for(is_tidy, "every process and socket is one of a deployment")
    except AssertionError as error:
        log = home.service_log.read_text()[-3000:]
        raise AssertionError(f"{found} of {kinds} and sockets, not {expected}\n{log}") from error
    folders = list(home.deployments.iterdir())
    assert len(folders) == len(deployments)
    for folder in folders:
        assert sorted(entry.name for entry in folder.iterdir())[1:] == ["current"], list(folder.iterdir())
        assert len(list(folder.iterdir())) == 2
    assert not [entry.name for entry in home.root.rglob(".*") if ".venv" not in str(entry)]
