"""SIGKILL under a job and after it: it ends truly, once, and nothing of it is left.

Truth: a job whose node is lost is queued again, and restarted
(https://learn.microsoft.com/azure/machine-learning/how-to-manage-optimize-cost#use-low-priority-vms); outputs are
mounts, so what an attempt has written is there for the next; design.md, "nothing is orphaned".
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from job_installation import ENDED, Installation, installed, of

from running_service import command_line, command_of, family, survivors, users_of, wait_for

# Counts its attempts in a mount, waits for the test, and writes what only one attempt may have written.
SCRIPT = """
echo attempt >> ${{outputs.work}}/attempts; echo begun; sleep 603 & child=$!
while [ ! -e GATE ]; do sleep 0.05; done
kill $child; echo result > ${{outputs.work}}/result
"""


def submit(installation: Installation, gate: Path, nodes: int = 1) -> str:
    name = f"job-{uuid.uuid4().hex[:8]}"
    properties = {
        "jobType": "Command",
        "command": SCRIPT.replace("GATE", str(gate)),
        "computeId": installation.cluster,
        "environmentId": installation.environment,
        "outputs": {"work": {"jobOutputType": "uri_folder"}},
        "resources": {"instanceCount": nodes},
    }
    installation.request("PUT", f"/jobs/{name}", {"properties": properties})
    return name


def begun(installation: Installation, name: str, attempts: int) -> None:
    """Wait until so many attempts have begun."""

    def has_begun() -> bool:
        files = list(installation.root.glob("jobs/*/cap/data-capability/wd/work/attempts"))
        return any(file.read_text().count("attempt") >= attempts for file in files)

    installation.reaches(name, "Running")
    wait_for(has_begun, f"{attempts} attempts have begun")


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with installed() as found:
        yield found


# What is killed while a job runs, and what becomes of the job: in how many attempts.
VICTIMS: dict[str, tuple[Callable[[Installation], psutil.Process], str, int]] = {
    "node": (lambda all_of: of(all_of, "compute.node", without="guard.py"), "Completed", 2),
    "node's guard": (lambda all_of: of(all_of, "compute.node", "guard.py"), "Completed", 2),
    "job's guard": (lambda all_of: of(all_of, "guard.py", "/bin/bash"), "Failed", 1),
    "user's process": (lambda all_of: of(all_of, "/bin/bash", without="guard.py"), "Failed", 1),
    "storage": (lambda all_of: of(all_of, "azurite", without="guard.py"), "Completed", 1),
    "service": (lambda all_of: psutil.Process(all_of.service.pid), "Completed", 2),
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_under_a_job(victim: str, installation: Installation, tmp_path: Path) -> None:
    find, status, attempts = VICTIMS[victim]
    gate = tmp_path / "gate"
    name = submit(installation, gate)
    begun(installation, name, 1)
    # What a process has said a moment ago dies with its node.
    wait_for(lambda: installation.blobs(name).get("user_logs/std_log.txt"), "its log has begun")
    members = [process for process in family(installation.service.pid) if "azurite" not in command_of(process)]
    of_job = of(installation, "/bin/bash", without="guard.py").children(recursive=True)
    find(installation).kill()
    if victim == "service":
        assert survivors(members, timeout=60) == []
        installation.start_again()
    if status == "Completed":
        begun(installation, name, attempts)
        gate.touch()
    assert installation.reaches(name, *ENDED) == status
    if attempts == 2 or status == "Failed":
        assert survivors(of_job) == []
    left = installation.blobs(name)
    assert left["work/attempts"] == "attempt\n" * attempts
    assert left.get("work/result") == ("result\n" if status == "Completed" else None)
    assert left["user_logs/std_log.txt"].startswith("begun\n")
    retries = [path for path in left if path.startswith("user_logs/retry_")]
    assert retries == (["user_logs/retry_001/std_log.txt"] if attempts == 2 else [])
    wait_for(lambda: [path.name for path in (installation.root / "jobs").iterdir()] == ["nodes"], "its folder is gone")


def test_killed_after_a_job(installation: Installation, tmp_path: Path) -> None:
    """It does not run again, and its outputs stay as they are."""
    gate = tmp_path / "gate"
    gate.touch()
    name = submit(installation, gate)
    assert installation.reaches(name, *ENDED) == "Completed"
    before = installation.blobs(name)
    of(installation, "compute.node", without="guard.py").kill()
    psutil.Process(installation.service.pid).kill()
    installation.start_again()
    another = submit(installation, gate)
    assert installation.reaches(another, *ENDED) == "Completed"
    assert installation.status(name) == "Completed"
    assert installation.blobs(name) == before
    assert before["work/attempts"] == "attempt\n"


def test_one_of_two_nodes_is_killed(installation: Installation, tmp_path: Path) -> None:
    """All nodes or none: the other one's processes are ended, and both begin again."""
    gate = tmp_path / "gate"
    name = submit(installation, gate, nodes=2)
    begun(installation, name, 2)
    of(installation, "compute.node", without="guard.py").kill()
    begun(installation, name, 4)
    gate.touch()
    assert installation.reaches(name, *ENDED) == "Completed"
    left = installation.blobs(name)
    assert left["work/attempts"] == "attempt\n" * 4
    assert sorted(path for path in left if path.startswith("user_logs")) == [
        *(f"user_logs/retry_001/std_log_process_{rank}.txt" for rank in (0, 1)),
        *(f"user_logs/std_log_process_{rank}.txt" for rank in (0, 1)),
    ]


def test_stopped_in_the_middle(installation: Installation, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    name = submit(installation, gate)
    begun(installation, name, 1)
    members = family(installation.service.pid)
    assert command_line(installation.root, "stop").returncode == 0
    assert survivors(members) + users_of(installation.root) == []
    gate.touch()
    installation.start_again()
    assert installation.reaches(name, *ENDED) == "Completed"
    assert installation.blobs(name)["work/attempts"] == "attempt\n" * 2
