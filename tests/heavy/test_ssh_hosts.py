"""Jobs on an attached virtual machine whose SSH server is OpenSSH's: what it does when a connection is gone is its own.

Truth: an attached machine is the user's own, and nothing of the service is left on it (design.md, "nothing is
orphaned"); a job whose node is lost is run again, as in tests/faults/test_killed_jobs.py.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import machine
import psutil
import pytest
from job_installation import ENDED, Installation, installed

from running_service import wait_for

CONFIGURATION = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/user_key.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
ForceCommand /usr/bin/env HOME={home} PATH={programs}:$PATH /bin/sh -c "$SSH_ORIGINAL_COMMAND"
"""
GRACE = 60  # seconds for what a lost connection leaves: a heartbeat has to be missing for half of it
# Says that it has begun, waits for the test, and leaves a process that is not in its group.
SCRIPT = """
echo begun; setsid sleep 605 & sleep 606 &
while [ ! -e {gate} ]; do sleep 0.05; done
kill %1 %2; echo result > ${{{{outputs.work}}}}/result
"""


@dataclass
class Sshd:
    """An SSH server on loopback, with keys and a home folder of its own."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    home: Path = field(init=False)

    def __post_init__(self) -> None:
        """Make keys and the configuration."""
        self.home = self.folder / "home"
        self.home.mkdir()
        for name in ("host_key", "user_key"):
            self.make_key(name)
        programs = Path(sys.executable).parent
        text = CONFIGURATION.format(port=self.port, folder=self.folder, home=self.home, programs=programs)
        (self.folder / "sshd_config").write_text(text)

    def make_key(self, name: str) -> None:
        path = self.folder / name
        path.unlink(missing_ok=True)
        keygen = machine.program("ssh-keygen", "openssh-client")
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where root's sshd separates privileges
        command = [machine.program("sshd", "openssh-server"), "-D", "-e", "-f", str(self.folder / "sshd_config")]
        with (self.folder / "sshd.log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log)
        wait_for((self.folder / "sshd.pid").exists, "sshd listens", 20)

    def sessions(self) -> list[psutil.Process]:
        """The server's processes for connections: `sshd`, from OpenSSH 9.8 on `sshd-session`."""
        assert self.process
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [one for one in children if one.name().startswith("sshd")]

    def stop(self) -> None:
        """Kill the server and its connections; what they run goes on, as when a network is cut."""
        if self.process is None:
            return
        for one in [*self.sessions(), psutil.Process(self.process.pid)]:
            one.kill()
        self.process.wait()
        (self.folder / "sshd.pid").unlink()
        self.process = None

    @property
    def jobs(self) -> list[Path]:
        """The folders of jobs on this machine."""
        return list(self.home.glob(".azureml-local/jobs/*"))

    def processes(self) -> list[psutil.Process]:
        """What runs for jobs on this machine."""
        found = []
        for one in psutil.process_iter():
            try:
                if any(str(self.home / ".azureml-local") in value for value in one.environ().values()):
                    found.append(one)
            except psutil.Error:
                continue
        return found


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with installed() as found:
        yield found


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    folder = Path(tempfile.mkdtemp(prefix="sshd-", dir="/tmp"))
    server = Sshd(folder, machine.free_port())
    server.start()
    try:
        yield server
        wait_for(lambda: server.processes() == [] and server.jobs == [], "nothing is left there", GRACE)
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def attached(installation: Installation, sshd: Sshd) -> str:
    """The path of the attached machine."""
    path = f"/computes/vm-{uuid.uuid4().hex[:8]}"
    account = {"username": psutil.Process().username(), "privateKeyData": (sshd.folder / "user_key").read_text()}
    resource_id = "/subscriptions/0/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/localhost"
    properties = {"sshPort": sshd.port, "administratorAccount": account}
    body = {"computeType": "VirtualMachine", "resourceId": resource_id, "properties": properties}
    installation.request("PUT", path, {"location": "eastus", "properties": body})
    installation.is_made(path)
    return path


def submit(installation: Installation, attached: str, command: str) -> str:
    name = f"job-{uuid.uuid4().hex[:8]}"
    properties = {
        "jobType": "Command",
        "command": command,
        "computeId": attached.rpartition("/")[2],
        "environmentId": installation.environment,
        "outputs": {"work": {"jobOutputType": "uri_folder"}},
    }
    installation.request("PUT", f"/jobs/{name}", {"properties": properties})
    return name


def begun(installation: Installation, name: str, sshd: Sshd) -> None:
    """Wait until a job's processes run, and are in its log."""
    installation.reaches(name, "Running")
    wait_for(lambda: "begun" in installation.blobs(name).get("user_logs/std_log.txt", ""), "the job has begun")
    wait_for(lambda: len(sshd.processes()) >= 3, "its processes run")


def test_job_runs_and_leaves_nothing(installation: Installation, sshd: Sshd, attached: str, tmp_path: Path) -> None:
    name = submit(installation, attached, SCRIPT.format(gate=tmp_path / "gate"))
    begun(installation, name, sshd)
    (tmp_path / "gate").touch()
    assert installation.reaches(name, *ENDED) == "Completed"
    assert installation.blobs(name)["work/result"] == "result\n"


def test_metrics_come_back_through_the_connection(installation: Installation, attached: str) -> None:
    script = 'import mlflow; mlflow.log_metric("rows", 7); print(mlflow.get_run(mlflow.active_run().info.run_id).data)'
    name = submit(installation, attached, f"python -c '{script}'")
    assert installation.reaches(name, *ENDED) == "Completed", installation.error(name)
    assert installation.blobs(name)["user_logs/std_log.txt"].count("metrics={'rows': 7.0}")


def test_cancel_ends_what_runs_there(installation: Installation, sshd: Sshd, attached: str, tmp_path: Path) -> None:
    name = submit(installation, attached, SCRIPT.format(gate=tmp_path / "gate"))
    begun(installation, name, sshd)
    installation.request("POST", f"/jobs/{name}/cancel")
    assert installation.reaches(name, *ENDED) == "Canceled"
    assert (sshd.processes(), sshd.jobs) == ([], [])


def test_killed_service_leaves_nothing_there_and_runs_the_job_again(
    installation: Installation, sshd: Sshd, attached: str, tmp_path: Path
) -> None:
    name = submit(installation, attached, SCRIPT.format(gate=tmp_path / "gate"))
    begun(installation, name, sshd)
    psutil.Process(installation.service.pid).kill()
    wait_for(lambda: sshd.processes() == [] and sshd.jobs == [], "nothing is left there", GRACE)
    installation.start_again()
    (tmp_path / "gate").touch()
    assert installation.reaches(name, *ENDED) == "Completed"
    assert "user_logs/retry_001/std_log.txt" in installation.blobs(name)


def test_killed_server_is_a_lost_connection(
    installation: Installation, sshd: Sshd, attached: str, tmp_path: Path
) -> None:
    """The job is run again as soon as that is possible; where it is not, it fails in clear words."""
    name = submit(installation, attached, SCRIPT.format(gate=tmp_path / "gate"))
    begun(installation, name, sshd)
    sshd.stop()
    assert installation.reaches(name, *ENDED) == "Failed"
    assert "nothing listens on port" in installation.error(name)
    sshd.start()


def test_network_that_is_cut_is_noticed_at_both_ends(
    installation: Installation, sshd: Sshd, attached: str, tmp_path: Path
) -> None:
    """Nothing is closed, but nothing comes through either: a stopped session is as good as a pulled cable."""
    name = submit(installation, attached, SCRIPT.format(gate=tmp_path / "gate"))
    begun(installation, name, sshd)
    (former,) = sshd.jobs
    sessions = sshd.sessions()
    for session in sessions:
        session.send_signal(signal.SIGSTOP)
    try:
        wait_for(lambda: len(sshd.jobs) == 1 and sshd.jobs != [former], "the job runs in another folder", GRACE)
        (tmp_path / "gate").touch()
        assert installation.reaches(name, *ENDED) == "Completed"
        assert "The connection to" in installation.blobs(name)["system_logs/lifecycler/execution-wrapper.log"]
    finally:
        for session in sessions:
            session.send_signal(signal.SIGCONT)


@pytest.mark.parametrize(("option", "reason"), [("size=64k", "is full"), ("ro", "may not write")])
def test_disk_there(installation: Installation, sshd: Sshd, attached: str, option: str, reason: str) -> None:
    machine.root("mount a disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(sshd.home)], check=True)
    try:
        name = submit(installation, attached, "true")
        assert installation.reaches(name, *ENDED) == "Failed"
        assert reason in installation.error(name)
        wait_for(lambda: sshd.jobs == [], "the folder is gone")
    finally:
        subprocess.run(["umount", str(sshd.home)], check=True)
