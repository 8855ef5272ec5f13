"""SIGKILL under a job and after it: it ends truly, once, and nothing of it is left.

Truth: a job whose node is lost is queued again, and restarted
(https://learn.microsoft.com/azure/machine-learning/how-to-manage-optimize-cost#use-low-priority-vms); outputs are
mounts, so what an attempt has written is there for the next; design.md, "nothing is orphaned".
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from clients import Clients

from running_service import RunningService, command_line, family, start_service, survivors, users_of, wait_for

API = {"api-version": "2024-10-01"}
ENDED = ("Completed", "Failed", "Canceled")
# Counts its attempts in a mount, waits for the test, and writes what only one attempt may have written.
SCRIPT = """
echo attempt >> ${{outputs.work}}/attempts; echo begun; sleep 603 & child=$!
while [ ! -e GATE ]; do sleep 0.05; done
kill $child; echo result > ${{outputs.work}}/result
"""


@dataclass
class Installation:
    """A service with one cluster; it may be another process of it after a kill."""

    root: Path
    service: RunningService

    def __post_init__(self) -> None:
        """Connect."""
        self.clients = Clients(self.service)
        self.token = self.clients.credential.get_token("https://management.azure.com/.default").token

    def start_again(self) -> None:
        """Start a service after its end."""
        self.service = start_service(self.root)
        self.__post_init__()

    def request(self, method: str, path: str, body: Any = None) -> Any:
        settings = self.service.settings
        url = (
            f"https://management.azure.com/subscriptions/{settings.subscription_id}/resourceGroups/"
            f"{settings.resource_group}/providers/Microsoft.MachineLearningServices/workspaces/{settings.workspace}"
        )
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = self.clients.session.request(method, url + path, json=body, params=API, headers=headers, timeout=60)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def set_up(self) -> None:
        scale = {"minNodeCount": 0, "maxNodeCount": 2, "nodeIdleTimeBeforeScaleDown": "PT600S"}
        properties = {"vmSize": "STANDARD_DS3_V2", "scaleSettings": scale}
        body = {"location": "eastus", "properties": {"computeType": "AmlCompute", "properties": properties}}
        cluster = self.request("PUT", "/computes/killed", body)
        self.cluster = cluster["id"]
        image = {"properties": {"image": "mcr.microsoft.com/azureml/minimal-py311-inference"}}
        self.environment = self.request("PUT", "/environments/tiny/versions/1", image)["id"]
        wait_for(
            lambda: self.request("GET", "/computes/killed")["properties"]["provisioningState"] == "Succeeded",
            "the cluster is there",
        )

    def submit(self, gate: Path, nodes: int = 1) -> str:
        name = f"job-{uuid.uuid4().hex[:8]}"
        properties = {
            "jobType": "Command",
            "command": SCRIPT.replace("GATE", str(gate)),
            "computeId": self.cluster,
            "environmentId": self.environment,
            "outputs": {"work": {"jobOutputType": "uri_folder"}},
            "resources": {"instanceCount": nodes},
        }
        self.request("PUT", f"/jobs/{name}", {"properties": properties})
        return name

    def status(self, name: str) -> str:
        return str(self.request("GET", f"/jobs/{name}")["properties"]["status"])

    def reaches(self, name: str, *statuses: str) -> str:
        found: list[str] = []

        def is_there() -> bool:
            found[:] = [self.status(name)]
            return found[0] in statuses

        wait_for(is_there, f"{name} is {statuses}")
        return found[0]

    def blobs(self, name: str) -> dict[str, str]:
        """Return the texts of everything in storage that has the job's name, by what follows it."""
        found = {}
        for container in self.clients.blobs.list_containers():
            client = self.clients.blobs.get_container_client(container.name)
            for blob in client.list_blob_names():
                if name in blob:
                    text = client.download_blob(blob).readall().decode(errors="replace")
                    found[blob.partition(f"{name}/")[2]] = text
        return found

    def begun(self, name: str, attempts: int) -> None:
        """Wait until so many attempts have begun."""

        def has_begun() -> bool:
            files = list(self.root.glob("jobs/*/cap/data-capability/wd/work/attempts"))
            return any(file.read_text().count("attempt") >= attempts for file in files)

        self.reaches(name, "Running")
        wait_for(has_begun, f"{attempts} attempts have begun")


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        found = Installation(root, start_service(root))
        found.set_up()
        yield found
        before = family(found.service.pid)
        assert command_line(root, "stop").returncode == 0
        assert survivors(before) + users_of(root) == []
    finally:
        command_line(root, "stop")
        shutil.rmtree(root, ignore_errors=True)


def of(installation: Installation, *words: str, without: str = "") -> psutil.Process:
    """Return the one process of the service whose command line has all these words."""

    def found() -> list[psutil.Process]:
        matching = []
        for process in psutil.Process(installation.service.pid).children(recursive=True):
            try:
                line = " ".join(process.cmdline())
            except psutil.Error:
                continue
            if all(word in line for word in words) and not (without and without in line):
                matching.append(process)
        return matching

    return wait_for(found, f"there is {words}")[0]


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
    name = installation.submit(gate)
    installation.begun(name, 1)
    members = [process for process in family(installation.service.pid) if "azurite" not in " ".join(process.cmdline())]
    of_job = of(installation, "/bin/bash", without="guard.py").children(recursive=True)
    find(installation).kill()
    if victim == "service":
        assert survivors(members, timeout=60) == []
        installation.start_again()
    if status == "Completed":
        installation.begun(name, attempts)
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
    name = installation.submit(gate)
    assert installation.reaches(name, *ENDED) == "Completed"
    before = installation.blobs(name)
    of(installation, "compute.node", without="guard.py").kill()
    psutil.Process(installation.service.pid).kill()
    installation.start_again()
    another = installation.submit(gate)
    assert installation.reaches(another, *ENDED) == "Completed"
    assert installation.status(name) == "Completed"
    assert installation.blobs(name) == before
    assert before["work/attempts"] == "attempt\n"


def test_one_of_two_nodes_is_killed(installation: Installation, tmp_path: Path) -> None:
    """All nodes or none: the other one's processes are ended, and both begin again."""
    gate = tmp_path / "gate"
    name = installation.submit(gate, nodes=2)
    installation.begun(name, 2)
    of(installation, "compute.node", without="guard.py").kill()
    installation.begun(name, 4)
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
    name = installation.submit(gate)
    installation.begun(name, 1)
    members = family(installation.service.pid)
    assert command_line(installation.root, "stop").returncode == 0
    assert survivors(members) + users_of(installation.root) == []
    gate.touch()
    installation.start_again()
    assert installation.reaches(name, *ENDED) == "Completed"
    assert installation.blobs(name)["work/attempts"] == "attempt\n" * 2
