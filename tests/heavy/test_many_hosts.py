"""A cluster's nodes on two other machines: workers that their operator started there, used, lost and found again.

The machines are network namespaces (network_hosts.py). What jobs do is Azure's, whatever their nodes are:
https://learn.microsoft.com/azure/machine-learning/how-to-use-parallel-job-in-pipeline and how-to-train-distributed-gpu;
that workers are neither started nor ended is what https://distributed.dask.org/en/stable/resources.html leaves to us.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from azure.ai.ml import Input, MLClient, Output, PyTorchDistribution, dsl
from azure.ai.ml.entities import AmlCompute, Environment
from azure.ai.ml.parallel import RunFunction, parallel_run_function
from azure.identity import ClientSecretCredential
from azure.storage.blob import BlobServiceClient
from dask_hosts import operator
from job_support import IMAGE, Jobs
from network_hosts import Host, Network, network
from support import Arm, finish

from azureml_local import admin
from running_service import RunningService, command_line, start_service, wait_for

COMPUTE = "many-hosts"
FILES = 30
# What a job's code imports to say on which machine it runs: by the address from which it would reach the service's.
MACHINE = """
import socket

def machine():
    way = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    way.connect(("{address}", 9))
    return way.getsockname()[0]
"""


@dataclass
class Site:
    """A service, an existing scheduler beside it, and two machines with a tagged worker each."""

    net: Network
    service: RunningService
    jobs: Jobs
    folder: Path

    def states(self) -> dict[str, str]:
        """Return what the operator sees of each worker: what is wrong with it, or nothing."""
        (found,) = admin.call(self.service.home, "GET", "/hosts")
        return {worker["name"]: worker["problem"] for worker in found["workers"]}

    def usable(self, *hosts: Host) -> None:
        """Wait until these hosts, and no others, can be nodes."""
        wanted = {host.address: "" for host in hosts}
        wait_for(lambda: {n: p for n, p in self.states().items() if not p} == wanted, f"usable: {sorted(wanted)}", 120)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    folder = Path(tempfile.mkdtemp(prefix="azh-", dir="/tmp")).resolve()
    with network(2) as net, pytest.MonkeyPatch.context() as patch:
        service = start_service(folder / "home", None, "--listen", net.address)
        try:
            for name, value in service.environment.items():
                patch.setenv(name, value)
            logging.getLogger("azure").setLevel(logging.ERROR)
            with operator(net, COMPUTE, folder) as operated:
                made = Site(net, service, _jobs(service), folder)
                for host in net.hosts:
                    operated.start_worker(host)
                wait_for(lambda: operated.attach(service.home.root), "the scheduler is attached")
                idle = {"max_instances": 2, "idle_time_before_scale_down": 600}
                cluster = AmlCompute(name=COMPUTE, size="Standard_DS3_v2", **idle)
                finish(made.jobs.ml.compute.begin_create_or_update(cluster))
                made.usable(*net.hosts)
                yield made
        finally:
            command_line(folder / "home", "stop")
            shutil.rmtree(folder, ignore_errors=True)


def _jobs(service: RunningService) -> Jobs:
    settings = service.settings
    credential = ClientSecretCredential(settings.tenant_id, settings.client_id, settings.client_secret)
    ml = MLClient(credential, settings.subscription_id, settings.resource_group, settings.workspace)
    arm = Arm(requests.Session(), settings, credential.get_token("https://management.azure.com/.default").token)
    address = f"https://{settings.storage_account}.blob.core.windows.net"
    return Jobs(ml, arm, BlobServiceClient(address, settings.storage_key))


@pytest.fixture(autouse=True)
def whole(site: Site) -> Iterator[None]:
    """Leave both hosts connected, and nothing on them but their workers."""
    yield
    for host in site.net.hosts:
        host.reconnect()
    site.usable(*site.net.hosts)
    for host in site.net.hosts:
        wait_for(lambda host=host: not jobs_on(host), f"nothing of a job runs on {host.address}", 60)
        assert list((site.folder / host.address).glob("jobs/*")) == []


def jobs_on(host: Host) -> list[psutil.Process]:
    """Return the processes of jobs that run on a host."""
    found = []
    for process in host.processes():
        try:
            if "AZUREML_RUN_ID" in process.environ():
                found.append(process)
        except psutil.Error:
            continue
    return found


def parallel(site: Site, folder: Path, *, seconds: float, name: str = "score") -> Any:
    """Return a pipeline whose one step scores files on two nodes, each file a mini-batch that takes a while."""
    (folder / "code").mkdir()
    (folder / "data").mkdir()
    (folder / "code" / "machines.py").write_text(MACHINE.format(address=site.net.address))
    script = f"""
        import time
        from machines import machine

        def init():
            pass

        def run(paths):
            time.sleep({seconds})
            return [f"{{path.rsplit('/', 1)[1]}} {{machine()}} {{time.time()}}" for path in paths]
    """
    (folder / "code" / "score.py").write_text(textwrap.dedent(script))
    for number in range(FILES):
        (folder / "data" / f"{number:03}.txt").write_text("x")
    step = parallel_run_function(
        name=name,
        inputs={"data": Input(type="uri_folder")},
        outputs={"rows": Output(type="uri_file")},
        input_data="${{inputs.data}}",
        instance_count=2,
        max_concurrency_per_instance=1,
        mini_batch_size="1",
        retry_settings={"max_retries": 1, "timeout": 60},
        task=RunFunction(
            code=str(folder / "code"),
            entry_script="score.py",
            environment=Environment(image=IMAGE),
            append_row_to="${{outputs.rows}}",
        ),
    )

    @dsl.pipeline(default_compute=COMPUTE)
    def scoring(data):  # type: ignore[no-untyped-def] # azure-ai-ml reads annotations itself
        return {"rows": step(data=data).outputs.rows}

    return scoring(data=Input(type="uri_folder", path=str(folder / "data")))


def child_of(jobs: Jobs, name: str) -> str:
    """Return the name of the one job of a pipeline's one step."""
    return str(wait_for(lambda: [child.name for child in jobs.ml.jobs.list(parent_job_name=name)], "the step")[0])


def rows_of(jobs: Jobs, child: str) -> list[tuple[str, str, str]]:
    """Return the rows that a step has left: file, machine, and when it was made in seconds since 1970."""
    (content,) = jobs.step(child).output("rows").values()
    return sorted(tuple(row.split()) for row in content.decode().splitlines())  # type: ignore[misc]


def processed(jobs: Jobs, child: str) -> int:
    """Return how many mini-batches a step has processed, as its log tells."""
    logs = jobs.files("azureml", f"ExperimentRun/dcid.{child}/logs/")
    told = "".join(content.decode() for name, content in sorted(logs.items()) if name.startswith("job_progress"))
    counts = [int(line.split("Processed ")[1].split()[0]) for line in told.splitlines() if "Processed " in line]
    return max(counts, default=0)


def test_both_hosts_work_on_a_batch_job(site: Site, tmp_path: Path) -> None:
    name = site.jobs.ml.jobs.create_or_update(parallel(site, tmp_path, seconds=0.2)).name
    assert site.jobs.ended(name).status == "Completed"
    rows = rows_of(site.jobs, child_of(site.jobs, name))
    assert [file for file, *_ in rows] == [f"{number:03}.txt" for number in range(FILES)]
    assert {machine for _, machine, _ in rows} == {host.address for host in site.net.hosts}


def test_distributed_processes_find_each_other_across_hosts(site: Site, tmp_path: Path) -> None:
    """The address of the first node's machine is MASTER_ADDR: how-to-train-distributed-gpu#environment-variables."""
    (tmp_path / "sum.py").write_text(
        textwrap.dedent("""
            import os
            import torch
            import torch.distributed as dist
            dist.init_process_group("gloo")
            total = torch.tensor([dist.get_rank() + 1])
            dist.all_reduce(total)
            print(os.environ["MASTER_ADDR"], total.item(), flush=True)
            dist.destroy_process_group()
        """)
    )
    ended = site.jobs.run(
        "python sum.py", code=str(tmp_path), compute=COMPUTE, instance_count=2,
        distribution=PyTorchDistribution(process_count_per_instance=1),
    )  # fmt: skip
    assert ended.status == "Completed", ended.error
    logs = [ended.artifacts[f"user_logs/std_log_process_{rank}.txt"].decode() for rank in (0, 1)]
    (said,) = {log.splitlines()[-1] for log in logs}
    address, total = said.split()
    assert address in {host.address for host in site.net.hosts}
    assert total == "3"


def test_jobs_reach_the_services_hosts_and_the_accounts_key_stays(site: Site) -> None:
    """A job's data and metrics go through the edge; neither its environment nor its node's memory has the key."""
    code = "import mlflow, os; mlflow.log_metric('a', 1.0); print(sorted(os.environ.items()))"
    ended = site.jobs.run(
        f'echo out > ${{{{outputs.o}}}}/o.txt; python -c "{code}"; touch outputs/running; sleep 2',
        compute=COMPUTE, outputs={"o": Output(type="uri_folder")},
    )  # fmt: skip
    assert ended.status == "Completed", ended.error
    assert ended.output("o") == {"/o.txt": b"out\n"}
    key = site.service.settings.storage_key.encode()
    assert key not in b"".join(ended.artifacts.values())
    for host in site.net.hosts:
        for process in host.processes():
            assert not holds(process.pid, key), f"{process} has the account's key"
    assert holds(site.service.pid, key)  # so that the look above would have found it


def holds(pid: int, secret: bytes) -> bool:
    """Say whether a process has a secret in its memory. See proc(5)."""
    folder = Path(f"/proc/{pid}")
    with (folder / "maps").open() as maps, (folder / "mem").open("rb", 0) as memory:
        for line in maps:
            places, permissions, *_ = line.split()
            if "r" not in permissions or "[v" in line:
                continue
            start, end = (int(place, 16) for place in places.split("-"))
            try:
                memory.seek(start)
                if secret in memory.read(end - start):
                    return True
            except (OSError, OverflowError, ValueError):
                continue
    return False


@pytest.mark.parametrize("how", ["cut_off", "unplug"])
def test_job_of_a_host_that_is_lost_is_run_again_on_the_other(site: Site, tmp_path: Path, how: str) -> None:
    """Silently, without a FIN, or by the cable: the job must not run twice at once, and ends true."""
    (tmp_path / "machines.py").write_text(MACHINE.format(address=site.net.address))
    name = site.jobs.submit(
        "python -c 'import machines; print(machines.machine())'; sleep 20; echo done > ${{outputs.o}}/o.txt",
        code=str(tmp_path),
        compute=COMPUTE,
        outputs={"o": Output(type="uri_folder")},
    )
    first = wait_for(lambda: next((host for host in site.net.hosts if jobs_on(host)), None), "the job runs", 120)
    assert first is not None
    other = next(host for host in site.net.hosts if host is not first)
    site.jobs.reaches(name, "Running")
    getattr(first, how)()
    wait_for(lambda: jobs_on(other) or site.jobs.status(name) in ("Failed", "Completed"), "it runs again", 180)
    assert not jobs_on(first), "the job runs on both"
    ended = site.jobs.ended(name)
    assert ended.status == "Completed", ended.error
    assert other.address in ended.artifacts["user_logs/retry_001/std_log.txt"].decode()
    assert ended.output("o") == {"/o.txt": b"done\n"}
    site.usable(other)


def test_batch_job_goes_on_where_it_was_when_a_lost_host_is_back(site: Site, tmp_path: Path) -> None:
    """It needs two nodes: so it waits for the host, and each row is there once."""
    name = site.jobs.ml.jobs.create_or_update(parallel(site, tmp_path, seconds=1.0, name="lost")).name
    child = child_of(site.jobs, name)
    wait_for(lambda: processed(site.jobs, child) >= 6, "some mini-batches are processed", 180)
    lost = site.net.hosts[1]
    lost.cut_off()
    wait_for(lambda: site.jobs.step(child).status == "Queued", "the step is queued again")
    assert wait_for(lambda: not jobs_on(lost), "nothing of it runs there", 60)
    before, back = processed(site.jobs, child), time.time()
    lost.reconnect()
    assert site.jobs.ended(name).status == "Completed"
    rows = rows_of(site.jobs, child)
    assert [file for file, *_ in rows] == [f"{number:03}.txt" for number in range(FILES)]
    assert len([made for *_, made in rows if float(made) < back]) >= before >= 6, "what was done is done again"
    logs = site.jobs.step(child).artifacts
    planned = "".join(c.decode() for n, c in sorted(logs.items()) if "job_progress_overview" in n)
    assert f"Scheduled {FILES} mini batches." in planned


def test_workers_are_neither_started_nor_ended(site: Site) -> None:
    """A cluster that is deleted gives them back; one that is made again has them again."""
    pids = {process.pid for host in site.net.hosts for process in host.processes()}
    ml = site.jobs.ml
    finish(ml.compute.begin_delete(COMPUTE))
    assert set(site.states().values()) == {""}
    cluster = AmlCompute(name=COMPUTE, size="Standard_DS3_v2", max_instances=2, idle_time_before_scale_down=600)
    finish(ml.compute.begin_create_or_update(cluster))
    assert site.jobs.run("true", compute=COMPUTE).status == "Completed"
    assert {process.pid for host in site.net.hosts for process in host.processes()} == pids
