"""Attached virtual machines, on a host with an SSH server of the tests' own: attach, run jobs there, detach.

Truth: https://learn.microsoft.com/azure/machine-learning/v1/how-to-attach-compute-targets#remote-virtual-machines;
Azure's OpenAPI (2025-12-01: VirtualMachine, VirtualMachineSecrets); azure-ai-ml's own reading of the answers; an
attachment that cannot connect fails, as in https://github.com/Azure/MachineLearningNotebooks/issues/251.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from azure.ai.ml import Input, MLClient, Output, command, dsl
from azure.ai.ml.entities import Environment, VirtualMachineCompute, VirtualMachineSshSettings
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient
from azure.mgmt.machinelearningservices import models as aml
from azure.storage.blob import BlobServiceClient
from job_support import IMAGE, Ended, Jobs
from support import Arm, finish

from helpers.ssh_host import SshHost, start_ssh_host
from running_service import RunningService, wait_for

GROUP = "/subscriptions/0/resourceGroups/g/providers/Microsoft.Compute/virtualMachines"


@pytest.fixture(scope="module")
def host() -> Iterator[SshHost]:
    host = start_ssh_host()
    yield host
    assert of_jobs(host) == []
    host.remove()


@pytest.fixture
def own_host() -> Iterator[SshHost]:
    """A host that a test may do anything to."""
    host = start_ssh_host()
    yield host
    host.remove()


@pytest.fixture
def name() -> str:
    return "vm-" + uuid.uuid4().hex[:8]


def machine(name: str, host: SshHost, **settings: Any) -> VirtualMachineCompute:
    """Return a virtual machine that can be attached. Its name, the last part of its id, is the host's."""
    given = {
        "admin_username": host.user,
        "ssh_port": host.port,
        "ssh_private_key_file": str(host.private_key_file),
        **settings,
    }
    return VirtualMachineCompute(
        name=name, resource_id=f"{GROUP}/localhost", ssh_settings=VirtualMachineSshSettings(**given)
    )


@pytest.fixture(scope="module")
def attached(ml: MLClient, host: SshHost) -> Iterator[str]:
    """The name of an attached machine."""
    name = "vm-" + uuid.uuid4().hex[:8]
    finish(ml.compute.begin_attach(machine(name, host)))
    yield name
    finish(ml.compute.begin_delete(name, action="Detach"))


@pytest.fixture(scope="module")
def jobs(ml: MLClient, arm: Arm, service: RunningService) -> Jobs:
    settings = service.settings
    address = f"https://{settings.storage_account}.blob.core.windows.net"
    return Jobs(ml, arm, BlobServiceClient(address, settings.storage_key))


@pytest.fixture
def management(service: RunningService, credential: ClientSecretCredential) -> MachineLearningServicesMgmtClient:
    return MachineLearningServicesMgmtClient(credential, service.settings.subscription_id)


def of_jobs(host: SshHost) -> list[Path]:
    """Return the folders of jobs that are on a host."""
    return list(host.home.glob(".azureml-local/jobs/*"))


# --- attached ---


def test_attached_listed_and_detached(ml: MLClient, arm: Arm, host: SshHost, name: str) -> None:
    given = machine(name, host)
    given.description, given.tags = "somebody's own", {"team": "blue"}
    made = finish(ml.compute.begin_attach(given))
    assert isinstance(made, VirtualMachineCompute)
    assert (made.provisioning_state, made.provisioning_errors) == ("Succeeded", None)
    assert (made.resource_id, made.description, made.tags) == (given.resource_id, given.description, given.tags)
    assert made.ssh_settings
    assert (made.ssh_settings.admin_username, made.ssh_settings.ssh_port) == (host.user, host.port)
    assert name in [compute.name for compute in ml.compute.list() if isinstance(compute, VirtualMachineCompute)]
    shown = arm.get(f"/computes/{name}").json()["properties"]
    assert shown["isAttachedCompute"]
    assert shown["properties"]["address"] == "localhost"
    refused = arm.request("DELETE", f"/computes/{name}")
    assert (refused.status_code, refused.json()["error"]["target"]) == (400, "underlyingResourceAction")
    finish(ml.compute.begin_delete(name, action="Detach"))
    assert arm.get(f"/computes/{name}").status_code == 404


def test_secrets_are_given_out_as_keys_only(
    management: MachineLearningServicesMgmtClient, arm: Arm, service: RunningService, host: SshHost, attached: str
) -> None:
    secret = host.private_key_file.read_text()
    settings = service.settings
    found = management.compute.list_keys(settings.resource_group, settings.workspace, attached)
    assert isinstance(found, aml.VirtualMachineSecrets)
    assert found.administrator_account
    assert (found.administrator_account.username, found.administrator_account.password) == (host.user, None)
    assert found.administrator_account.private_key_data == secret
    middle = secret.splitlines()[2]
    for answer in (arm.get(f"/computes/{attached}"), arm.get("/computes")):
        assert middle not in answer.text
    assert not [file for file in service.home.logs.rglob("*") if file.is_file() and middle in file.read_text()]
    with sqlite3.connect(service.home.database) as database:
        bodies = database.execute("SELECT body FROM resources").fetchall()
    assert not [body for (body,) in bodies if middle in body]


def test_address_in_the_request_counts_before_the_name(
    management: MachineLearningServicesMgmtClient, service: RunningService, host: SshHost, name: str
) -> None:
    account = aml.VirtualMachineSshCredentials(username=host.user, private_key_data=host.private_key_file.read_text())
    properties = aml.VirtualMachineSchemaProperties(
        ssh_port=host.port, address="127.0.0.1", administrator_account=account
    )
    vm = aml.VirtualMachine(resource_id=f"{GROUP}/name-that-nobody-knows", properties=properties)
    where = service.settings.resource_group, service.settings.workspace, name
    made = management.compute.begin_create_or_update(*where, aml.ComputeResource(location="eastus", properties=vm))
    found = made.result().properties
    assert isinstance(found, aml.VirtualMachine)
    assert found.properties
    assert (found.provisioning_state, found.properties.address) == ("Succeeded", "127.0.0.1")
    management.compute.begin_delete(*where, underlying_resource_action="Detach").result()


def test_update_without_a_secret_keeps_it(ml: MLClient, host: SshHost, name: str) -> None:
    """azure-ai-ml gets none, and sends none of what it got."""
    finish(ml.compute.begin_attach(machine(name, host)))
    got = ml.compute.get(name)
    got.description = "new"
    changed = finish(ml.compute.begin_update(got))
    assert (changed.provisioning_state, changed.description) == ("Succeeded", "new")
    finish(ml.compute.begin_delete(name, action="Detach"))


@pytest.mark.parametrize(
    ("changed", "target"),
    [
        ({"resourceId": "/subscriptions/0/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/v"},
         "properties.resourceId"),
        ({"resourceId": f"{GROUP}/two\nlines"}, "properties.resourceId"),
        ({"resourceId": f"{GROUP}/not@host"}, "properties.properties.address"),
        ({"sshPort": 0}, None),
        ({"sshPort": 65536}, "properties.properties.sshPort"),
        ({"administratorAccount": {"username": "u"}}, "properties.properties.administratorAccount"),
        ({"administratorAccount": {"password": "p"}}, "properties.properties.administratorAccount"),
        ({"administratorAccount": {"username": "u", "privateKeyData": "no key"}},
         "properties.properties.administratorAccount.privateKeyData"),
    ],
)  # fmt: skip
def test_what_cannot_be_attached(arm: Arm, name: str, changed: dict[str, Any], target: str | None) -> None:
    properties = {"sshPort": 22, "administratorAccount": {"username": "u", "password": "p"}, **changed}
    resource_id = properties.pop("resourceId", f"{GROUP}/v")
    body = {"computeType": "VirtualMachine", "resourceId": resource_id, "properties": properties}
    answer = arm.put(f"/computes/{name}", {"location": "eastus", "properties": body})
    if target is None:  # 0 is no port: the default
        assert answer.status_code == 201
        assert arm.ended(answer)["status"] == "Failed"
        assert arm.request("DELETE", f"/computes/{name}", params=DETACH).status_code == 202
        return
    assert (answer.status_code, answer.json()["error"]["target"]) == (400, target)
    assert "no key" not in answer.text.replace("is no private key", "")


@pytest.mark.parametrize("elsewhere", [{"address": "127.0.0.2"}, {"sshPort": 2}])
def test_a_password_goes_to_no_other_place_than_it_was_given_for(
    arm: Arm, name: str, elsewhere: dict[str, Any]
) -> None:
    """Who may change a compute need not be allowed to read its keys: a host of theirs must not be told the password."""
    account = {"username": "u", "password": "p"}
    given = {"sshPort": 1, "address": "127.0.0.1", "administratorAccount": account}

    def put(properties: dict[str, Any]) -> Any:
        body = {"computeType": "VirtualMachine", "resourceId": f"{GROUP}/v", "properties": properties}
        return arm.put(f"/computes/{name}", {"location": "eastus", "properties": body})

    arm.ended(put(given))
    without = {**given, "administratorAccount": {"username": "u"}}
    arm.ended(put(without))
    refused = put({**without, **elsewhere})
    assert refused.status_code == 400
    assert refused.json()["error"]["target"] == "properties.properties.administratorAccount"
    arm.ended(put({**given, **elsewhere}))
    assert arm.request("DELETE", f"/computes/{name}", params=DETACH).status_code == 202


DETACH = {"api-version": "2024-10-01", "underlyingResourceAction": "Detach"}


@pytest.mark.parametrize("name", ["v", "v" * 17, "1v", "v_1", "v-"])
def test_names(ml: MLClient, host: SshHost, name: str) -> None:
    """service-behaviour.md: kinds other than clusters and instances have names of 2 to 16 characters."""
    with pytest.raises(HttpResponseError, match="between 2 and 16 characters"):
        ml.compute.begin_attach(machine(name, host))


def test_pass_phrase_is_refused(ml: MLClient, host: SshHost, name: str, tmp_path: Path) -> None:
    protected = asyncssh.generate_private_key("ssh-rsa")
    protected.write_private_key(str(tmp_path / "key"), "pkcs8-pem", passphrase="secret")
    with pytest.raises(HttpResponseError, match="pass phrase"):
        ml.compute.begin_attach(machine(name, host, ssh_private_key_file=str(tmp_path / "key")))


def test_machine_that_cannot_be_reached_is_not_attached(
    ml: MLClient, arm: Arm, own_host: SshHost, name: str, tmp_path: Path
) -> None:
    """The operation fails, and the compute says why: its error's code is what azure-ai-ml shows."""
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(tmp_path / "other"))
    with pytest.raises(HttpResponseError, match=r"refuses the private key.*`ssh -p") as refusal:
        finish(ml.compute.begin_attach(machine(name, own_host, ssh_private_key_file=str(tmp_path / "other"))))
    assert refusal.value.error
    assert refusal.value.error.code == "AuthenticationFailed"
    assert ml.compute.get(name).provisioning_errors == "AuthenticationFailed"
    own_host.stop()
    with pytest.raises(HttpResponseError, match="nothing listens on port"):
        finish(ml.compute.begin_attach(machine(name, own_host)))
    own_host.start()
    assert finish(ml.compute.begin_attach(machine(name, own_host))).provisioning_state == "Succeeded"
    finish(ml.compute.begin_delete(name, action="Detach"))


# --- jobs ---

SCRIPT = """
import os, pathlib, sys
import mlflow
rows, scores = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
print(os.environ["USER"], rows.read_text().strip(), sys.argv[3], flush=True)
(scores / "deep").mkdir()
(scores / "deep" / "scores.csv").write_text(rows.read_text() * 2)
pathlib.Path("outputs/model.txt").write_text("a model")
pathlib.Path("logs/own.log").write_text("a log")
mlflow.log_metric("accuracy", 0.5)
"""


@pytest.mark.slow
def test_job_with_code_inputs_outputs_and_metrics(
    ml: MLClient, jobs: Jobs, host: SshHost, attached: str, tmp_path: Path
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text(SCRIPT)
    (tmp_path / "rows.csv").write_text("x\n1\n")
    ended = jobs.run(
        "python train.py ${{inputs.rows}} ${{outputs.scores}} ${{inputs.word}}",
        compute=attached,
        code=str(tmp_path / "src"),
        inputs={"rows": Input(type="uri_file", path=str(tmp_path / "rows.csv")), "word": "literal"},
        outputs={"scores": Output(type="uri_folder")},
    )
    assert ended.status == "Completed", ended.error
    assert ended.log.startswith(f"{host.user} x\n1 literal\n")
    assert ended.output("scores")["/deep/scores.csv"] == b"x\n1\nx\n1\n"
    kept = ended.artifacts
    assert (kept["outputs/model.txt"], kept["logs/own.log"]) == (b"a model", b"a log")
    assert metrics(jobs, ended.name) == {"accuracy": 0.5}
    said = kept["system_logs/lifecycler/execution-wrapper.log"].decode()
    assert "Every package is there in" in said
    assert "WARNING" not in said
    assert of_jobs(host) == []


def metrics(jobs: Jobs, job: str) -> dict[str, float]:
    settings = jobs.arm.settings
    answer = jobs.arm.session.get(
        f"https://{settings.location}.api.azureml.ms/mlflow/v1.0{jobs.arm.workspace}/api/2.0/mlflow/runs/get",
        params={"run_id": job},
        headers={"Authorization": f"Bearer {jobs.arm.token}"},
        timeout=60,
    )
    return {metric["key"]: metric["value"] for metric in answer.json()["run"]["data"].get("metrics", [])}


def test_log_is_streamed_and_cancel_ends_what_runs_there(jobs: Jobs, host: SshHost, attached: str) -> None:
    """The process group gets SIGTERM; what has left it ends as well; what a mount holds by then is kept."""
    line = (
        "trap 'echo asked to end; exit 0' TERM; echo begun > ${{outputs.work}}/begun; setsid sleep 603 & sleep 604 & "
        "echo first; echo $$ > pid; wait"
    )
    name = jobs.submit(line, compute=attached, outputs={"work": Output(type="uri_folder")})
    wait_for(lambda: _log(jobs, name) == "first\n", "the first line is in the log")
    assert jobs.status(name) == "Running"
    (folder,) = of_jobs(host)
    assert _marked(folder)
    jobs.ml.jobs.begin_cancel(name).wait()
    ended = jobs.ended(name)
    assert ended.status == "Canceled"
    assert ended.log == "first\nasked to end\n"
    assert ended.output("work")["/begun"] == b"begun\n"
    assert of_jobs(host) == []
    assert _marked(folder) == []


def _log(jobs: Jobs, name: str) -> str:
    return jobs.files("azureml", f"ExperimentRun/dcid.{name}/").get("user_logs/std_log.txt", b"").decode()


def _marked(folder: Path) -> list[int]:
    """Return the processes that run for the job that has a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_exit_code_and_time_limit(jobs: Jobs, attached: str) -> None:
    failed = jobs.run("echo so; exit 3", compute=attached)
    assert failed.status == "Failed"
    assert "User process 'echo' exited with status code 3" in failed.error["message"]
    assert "Error: so" in failed.error["message"]
    killed = jobs.run("kill -9 $$", compute=attached)
    assert "status code 137" in killed.error["message"]
    job = command(command="sleep 600", compute=attached, environment=Environment(image=IMAGE))
    job.set_limits(timeout=1)
    over = jobs.ended(str(jobs.ml.jobs.create_or_update(job).name))
    assert (over.status, "limits.timeout" in over.error["message"]) == ("Canceled", True)


def test_jobs_run_one_after_the_other(jobs: Jobs, attached: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    first = jobs.submit(f"while [ ! -e {gate} ]; do sleep 0.05; done", compute=attached)
    jobs.reaches(first, "Running")  # or the second one may be prepared sooner, and go first
    second = jobs.submit("true", compute=attached)
    jobs.reaches(second, "Queued")
    gate.touch()
    assert (jobs.ended(first).status, jobs.ended(second).status) == ("Completed", "Completed")


def test_step_of_a_pipeline(ml: MLClient, jobs: Jobs, host: SshHost, attached: str) -> None:
    step = command(
        command="echo ${{inputs.word}} $USER > ${{outputs.said}}/said.txt",
        environment=Environment(image=IMAGE),
        compute=attached,
        inputs={"word": "hello"},
        outputs={"said": Output(type="uri_folder")},
    )

    @dsl.pipeline()
    def said() -> dict[str, Any]:
        return {"said": step().outputs.said}

    pipeline = ml.jobs.create_or_update(said())
    assert jobs.ended(str(pipeline.name)).status == "Completed"
    (child,) = ml.jobs.list(parent_job_name=pipeline.name)
    assert jobs.step(str(child.name)).output("said") == {"/said.txt": f"hello {host.user}\n".encode()}


def test_parallel_and_distributed_jobs_are_refused_by_name(jobs: Jobs, attached: str) -> None:
    ended = jobs.run("true", compute=attached, distribution={"type": "PyTorch", "process_count_per_instance": 2})
    assert ended.status == "Failed"
    assert "no distributed jobs on an attached virtual machine" in ended.error["message"]


# --- what goes wrong ---


@pytest.fixture
def lonely(ml: MLClient, own_host: SshHost, name: str) -> Iterator[str]:
    """The name of an attached machine, to which a test may do anything."""
    finish(ml.compute.begin_attach(machine(name, own_host)))
    yield name
    finish(ml.compute.begin_delete(name, action="Detach"))


def fails(ended: Ended, *said: str) -> None:
    assert ended.status == "Failed"
    for words in said:
        assert words in ended.error["message"]


def test_host_key_that_changed_refuses_until_attached_again(
    ml: MLClient, jobs: Jobs, own_host: SshHost, lonely: str
) -> None:
    own_host.stop()
    before, own_host.host_key = own_host.host_key, asyncssh.generate_private_key("ssh-ed25519")
    own_host.start()
    now = own_host.host_key.get_fingerprint()
    fails(jobs.run("true", compute=lonely), "has changed", before.get_fingerprint(), now, "detach the compute")
    with pytest.raises(HttpResponseError, match="HostKeyChanged"):  # nor is it enough to say so again
        finish(ml.compute.begin_attach(machine(lonely, own_host)))
    finish(ml.compute.begin_delete(lonely, action="Detach"))
    finish(ml.compute.begin_attach(machine(lonely, own_host)))
    assert jobs.run("true", compute=lonely).status == "Completed"


def test_host_key_belongs_to_a_host_and_a_port(ml: MLClient, host: SshHost, lonely: str) -> None:
    """As in OpenSSH's known_hosts: who names another port attaches what is there."""
    assert finish(ml.compute.begin_attach(machine(lonely, host))).provisioning_state == "Succeeded"


def test_host_that_is_not_there(jobs: Jobs, own_host: SshHost, lonely: str) -> None:
    own_host.stop()
    fails(jobs.run("true", compute=lonely), "nothing listens on port")


def test_connection_that_is_lost_runs_the_job_again(jobs: Jobs, own_host: SshHost, lonely: str) -> None:
    again = own_host.home / "again"
    name = jobs.submit(f"echo begun; [ -e {again} ] || {{ touch {again}; sleep 600; }}", compute=lonely)
    wait_for(lambda: _log(jobs, name) == "begun\n", "the job has begun")
    (first,) = of_jobs(own_host)
    own_host.stop()
    own_host.start()
    ended = jobs.ended(name)
    assert ended.status == "Completed", ended.error
    said = ended.artifacts
    assert said["user_logs/retry_001/std_log.txt"] == b"begun\n"
    assert b"The connection to" in said["system_logs/lifecycler/execution-wrapper.log"]
    assert _marked(first) == []
    wait_for(lambda: of_jobs(own_host) == [], "the folders of both attempts are gone")


def test_disk_and_permissions_and_python_there(jobs: Jobs, own_host: SshHost, lonely: str) -> None:
    own_host.variables["HOME"] = "/proc"
    fails(jobs.run("true", compute=lonely), lonely)
    own_host.variables["HOME"] = str(own_host.home)
    own_host.variables["PATH"] = str(own_host.home)
    fails(jobs.run("true", compute=lonely), "has no python3")


def test_machine_without_forwarding_runs_jobs_without_mlflow(jobs: Jobs, own_host: SshHost, lonely: str) -> None:
    own_host.forwards = False
    ended = jobs.run('echo "uri: $MLFLOW_TRACKING_URI, proxy: $HTTPS_PROXY"', compute=lonely)
    assert (ended.status, ended.log) == ("Completed", "uri: , proxy: \n")
    said = ended.artifacts["system_logs/lifecycler/execution-wrapper.log"]
    assert b"does not permit remote port forwarding" in said


def test_way_back_is_the_jobs_alone(jobs: Jobs, attached: str) -> None:
    """Another user of the machine, who does not know the password, gets nowhere."""
    script = """
import http.client, os, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
for headers in ({}, {"Proxy-Authorization": "Basic am9iOm5v"}):
    connection = http.client.HTTPConnection(proxy.hostname, proxy.port)
    connection.request("CONNECT", "management.azure.com:443", headers=headers)
    print(connection.getresponse().status)
"""
    assert jobs.run(f"python -c '{script}'", compute=attached).log == "407\n407\n"


@pytest.mark.slow
def test_environment_that_is_lacking_is_made_there(ml: MLClient, jobs: Jobs, attached: str, host: SshHost) -> None:
    """With the machine's own Python; what its pip says is the build's log, also where it fails."""
    conda = {"dependencies": ["python=3.11", {"pip": ["no-such-package-of-azureml-local==1.0"]}]}
    host.variables["PIP_NO_INDEX"] = "1"
    ended = jobs.run("true", compute=attached, environment=Environment(image=IMAGE, conda_file=conda))
    fails(ended, "Image build failed", "No matching distribution", "Change the versions")
    assert b"No matching distribution" in ended.artifacts["azureml-logs/20_image_build_log.txt"]
