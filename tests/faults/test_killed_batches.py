"""SIGKILL in the middle of a job of a thousand mini-batches: it completes, and has each row once.

Truth: a mini-batch is tried again where its process failed (``retry_settings``), and a low-priority node's mini-batches
by another one (https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-parallel); the output of
``append_row`` is the return values of all mini-batches that succeeded, which a mini-batch does once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psutil
import pytest
from batch_demonstration import VICTIMS as VICTIMS_OF_ONE_JOB
from batch_demonstration import demonstrate
from batch_jobs import Batches
from job_installation import ENDED, installed, of

from running_service import command_line, survivors, wait_for

MINI_BATCHES = 1_000


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batches]:
    with installed() as installation:
        made = Batches(installation, tmp_path_factory.mktemp("notes"), MINI_BATCHES)
        made.set_up()
        made.deploy("dedicated", installation.cluster)
        yield made


def of_service(batches: Batches, *words: str) -> psutil.Process:
    return of(batches.installation, *words, without="guard.py")


VICTIMS: dict[str, Callable[[Batches], psutil.Process]] = {
    "worker": lambda batches: batches.workers()[0],
    "node": lambda batches: of_service(batches, "compute.node"),
    "storage": lambda batches: of_service(batches, "azurite"),
    "service": lambda batches: psutil.Process(batches.installation.service.pid),
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_under_a_batch_job(victim: str, batches: Batches) -> None:
    installation = batches.installation
    job, place = batches.invoke("dedicated")
    batches.reaches(MINI_BATCHES // 3)
    before = batches.workers()
    VICTIMS[victim](batches).kill()
    if victim == "service":
        assert survivors(before, timeout=60) == []
        installation.start_again()
    assert installation.reaches(job, *ENDED) == "Completed"
    assert batches.rows(place) == batches.names
    assert len(batches.begun()) <= MINI_BATCHES + len(before), "more was done again than was under way"


def test_every_kill_in_one_job(batches: Batches) -> None:
    """A worker, then a node, then the service: what ``make demo`` shows."""
    shown = demonstrate(batches)
    assert shown.status == "Completed", shown.text()
    assert shown.rows == batches.names, shown.text()
    assert [event.what for event in shown.events[1:4]] == [f"{victim} is killed" for victim in VICTIMS_OF_ONE_JOB]


def test_a_preempted_node(batches: Batches) -> None:
    """What it was at runs again on another node, and what it has done does not."""
    installation = batches.installation
    batches.deploy("cheap", installation.create_cluster("cheap", priority="LowPriority"))
    job, place = batches.invoke("cheap")
    batches.reaches(MINI_BATCHES // 3)
    taken = command_line(installation.root, "nodes", "preempt", "cheap")
    assert taken.returncode == 0, taken.stderr
    assert installation.reaches(job, *ENDED) == "Completed"
    assert batches.rows(place) == batches.names
    assert len(batches.begun()) <= MINI_BATCHES + 2, "more was done again than was under way"


def test_killed_after_a_batch_job(batches: Batches) -> None:
    """It does not run again, and its rows stay as they are."""
    installation = batches.installation
    job, place = batches.invoke("dedicated")
    assert installation.reaches(job, *ENDED) == "Completed"
    psutil.Process(installation.service.pid).kill()
    installation.start_again()
    wait_for(lambda: installation.status(job) == "Completed", "it is as it was")
    assert batches.rows(place) == batches.names
    assert sorted(batches.begun()) == batches.names
