"""Command jobs through azure-ai-ml: what reaches a command, what is kept of it, and how it fails.

Truth: https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-command, how-to-read-write-data-v2,
how-to-save-write-experiment-files, how-to-train-distributed-gpu; the wording of failures is that of public reports of
runs (service-behaviour.md).
"""

from __future__ import annotations

import http.server
import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from azure.ai.ml import Input, MLClient, MpiDistribution, Output, PyTorchDistribution, TensorFlowDistribution
from azure.ai.ml.entities import AmlCompute, Data, Environment
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient
from job_support import CLUSTER, IMAGE, Jobs
from support import Arm, finish

from running_service import RunningService, wait_for


@pytest.fixture(scope="module")
def jobs(ml: MLClient, arm: Arm, service: RunningService) -> Iterator[Jobs]:
    """Jobs on a cluster of at most two nodes, which stay while these tests run."""
    cluster = AmlCompute(
        name=CLUSTER, size="Standard_DS3_v2", min_instances=0, max_instances=2, idle_time_before_scale_down=600
    )
    finish(ml.compute.begin_create_or_update(cluster))
    settings = service.settings
    address = f"https://{settings.storage_account}.blob.core.windows.net"
    yield Jobs(ml, arm, BlobServiceClient(address, settings.storage_key))
    finish(ml.compute.begin_delete(CLUSTER))


@pytest.fixture(scope="module")
def folder(ml: MLClient, tmp_path_factory: pytest.TempPathFactory) -> Data:
    """A registered folder with a file, one in a folder, and one whose name has to be escaped."""
    path = tmp_path_factory.mktemp("data")
    (path / "inner").mkdir()
    (path / "a.csv").write_text("x\n1\n")
    (path / "inner" / "b.csv").write_text("x\n2\n")
    (path / "grüße 100%.txt").write_text("escaped")
    return ml.data.create_or_update(Data(name="jobs-folder", path=str(path), type="uri_folder"))


def listing(path: str) -> str:
    """Return a command that prints what is below a path, relative to it, sorted, with sizes."""
    return f"""python -c "
import pathlib, sys
root = pathlib.Path(sys.argv[1])
print(sorted((p.relative_to(root).as_posix(), p.stat().st_size) for p in root.rglob('*') if p.is_file()))" {path}"""


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that only nobody has waited for yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# --- what reaches a command ---


def test_code_is_the_working_directory(jobs: Jobs, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("word = 'imported'")
    (tmp_path / "train.py").write_text("import os, package; print(package.word, sorted(os.listdir('.')))")
    ended = jobs.run("python train.py", code=str(tmp_path))
    assert (ended.status, ended.log) == ("Completed", "imported ['logs', 'outputs', 'package', 'train.py']\n")


def test_literals_are_put_in_as_they_are(jobs: Jobs) -> None:
    """Without quotes: the shell takes them for what they then are (reference-yaml-core-syntax)."""
    inputs = {"number": 0.5, "word": "two words", "flag": True, "count": 3}
    line = "python -c 'import sys; print(sys.argv[1:])' ${{inputs.number}} ${{inputs.word}} ${{ inputs.flag }} "
    ended = jobs.run(line + "'${{inputs.word}}' n=${{inputs.count}}", inputs=inputs)
    assert ended.log == "['0.5', 'two', 'words', 'True', 'two words', 'n=3']\n"


def test_environment(jobs: Jobs, service: RunningService) -> None:
    """The variables that reports of runs show; the user's own; and nobody's secret."""
    line = "python -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    ended = jobs.run(
        line,
        environment_variables={"MINE": "a b", "PATH": "/bin:/usr/bin"},
        experiment_name="trial",
        inputs={"lr": 0.1},
    )
    found = json.loads(ended.log)
    settings = service.settings
    expected = {
        "MINE": "a b",
        "AZUREML_RUN_ID": ended.name,
        "AZUREML_ARM_SUBSCRIPTION": settings.subscription_id,
        "AZUREML_ARM_RESOURCEGROUP": settings.resource_group,
        "AZUREML_ARM_WORKSPACE_NAME": settings.workspace,
        "AZUREML_ARM_PROJECT_NAME": "trial",
        "AZUREML_NODE_COUNT": "1",
        "AZUREML_PARAMETER_lr": "0.1",
    }
    assert expected.items() <= found.items()
    assert found["PATH"].startswith(str(Path(sys.executable).parent))
    assert found["PATH"].endswith(":/bin:/usr/bin")
    secrets = (settings.client_secret, settings.storage_key, settings.identity_header)
    assert not [secret for secret in secrets if secret in ended.log]


@pytest.mark.parametrize("mode", ["ro_mount", "download"])
def test_folder_as_input(mode: str, jobs: Jobs, folder: Data) -> None:
    ended = jobs.run(
        listing("${{inputs.data}}"), inputs={"data": Input(type="uri_folder", path=folder.path, mode=mode)}
    )
    assert ended.log == "[('a.csv', 4), ('grüße 100%.txt', 7), ('inner/b.csv', 4)]\n"


def test_file_as_input(jobs: Jobs, folder: Data) -> None:
    given = Input(type="uri_file", path=str(folder.path).rstrip("/") + "/inner/b.csv")
    ended = jobs.run("cat ${{inputs.data}}; basename $AZURE_ML_INPUT_data", inputs={"data": given})
    assert ended.log == "x\n2\nb.csv\n"


def test_mount_is_read_only_and_a_download_is_the_jobs_own(jobs: Jobs, folder: Data) -> None:
    inputs = {
        "mounted": Input(type="uri_folder", path=folder.path, mode="ro_mount"),
        "own": Input(type="uri_folder", path=folder.path, mode="download"),
    }
    line = "stat -c %A ${{inputs.mounted}}/a.csv ${{inputs.own}}/a.csv; echo changed > ${{inputs.own}}/a.csv"
    if sys.platform == "darwin":
        line = line.replace("stat -c %A", "stat -f %Sp")
    ended = jobs.run(line, inputs=inputs)
    mounted, own = ended.log.split()
    assert "w" not in mounted
    assert "w" in own
    assert jobs.run("cat ${{inputs.mounted}}/a.csv", inputs={"mounted": inputs["mounted"]}).log == "x\n1\n"


def test_direct_input_is_its_address(jobs: Jobs, folder: Data) -> None:
    given = Input(type="uri_folder", path=folder.path, mode="direct")
    assert jobs.run("echo ${{inputs.data}}", inputs={"data": given}).log.strip() == folder.path


@pytest.fixture
def web() -> Iterator[str]:
    """A public server's address: ``/data/iris.csv`` is there."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_there = self.path == "/data/iris.csv"
            self.send_response(200 if is_there else 404)
            self.end_headers()
            self.wfile.write(b"petal\n1\n" if is_there else b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_public_file_as_input(jobs: Jobs, web: str) -> None:
    given = Input(type="uri_file", path=f"{web}/data/iris.csv")
    assert jobs.run("cat ${{inputs.data}}", inputs={"data": given}).log == "petal\n1\n"


# --- what is kept ---


def test_outputs_and_logs(jobs: Jobs) -> None:
    line = """
mkdir -p outputs/inner ${{outputs.model}}/weights
echo artifact > outputs/inner/a.txt; echo event > logs/events.txt
echo weights > ${{outputs.model}}/weights/w.bin; echo score > ${{outputs.metrics}}
echo chosen > ${{outputs.chosen}}/c.txt; echo direct: ${{outputs.direct}}
"""
    direct = "azureml://datastores/workspaceblobstore/paths/somewhere/direct/"
    chosen = f"azureml://datastores/workspaceblobstore/paths/chosen-{id(line)}/"
    outputs = {
        "model": Output(type="uri_folder"),
        "metrics": Output(type="uri_file", mode="upload"),
        "chosen": Output(type="uri_folder", path=chosen),
        "direct": Output(type="uri_folder", path=direct, mode="direct"),
        "unused": Output(type="uri_folder"),
    }
    ended = jobs.run(line, outputs=outputs)
    assert ended.status == "Completed", ended.error
    assert ended.log.startswith("direct: azureml://")
    assert "/datastores/workspaceblobstore/paths/somewhere/direct" in ended.log
    kept = ended.artifacts
    assert (kept["outputs/inner/a.txt"], kept["logs/events.txt"]) == (b"artifact\n", b"event\n")
    assert set(kept) == {
        "outputs/inner/a.txt",
        "logs/events.txt",
        "user_logs/std_log.txt",
        "system_logs/lifecycler/execution-wrapper.log",
        "system_logs/data_capability/data-capability.log",
    }
    assert ended.output("model") == {"/weights/w.bin": b"weights\n"}
    assert ended.output("metrics") == {"": b"score\n"}
    assert ended.output("unused") == {}
    container = jobs.ml.datastores.get("workspaceblobstore").container_name
    assert jobs.files(container, f"chosen-{id(line)}/") == {"c.txt": b"chosen\n"}


def test_log_is_seen_while_the_job_runs_whatever_is_in_it(jobs: Jobs, gate: Path) -> None:
    line = f"""python -c "
import os, sys, time
os.write(1, bytes(range(256))); os.write(2, b'error')
while not os.path.exists(sys.argv[1]): time.sleep(0.02)
for n in range(200_000): print(n)" {gate}"""
    name = jobs.submit(line)
    beginning = bytes(range(256)) + b"error"
    path = f"ExperimentRun/dcid.{name}/user_logs/std_log.txt"
    wait_for(lambda: jobs.files("azureml", path).get("") == beginning, "the log is there")
    gate.touch()
    assert jobs.ended(name).artifacts["user_logs/std_log.txt"] == beginning + b"".join(
        b"%d\n" % n for n in range(200_000)
    )


# --- how it fails ---


def test_script_that_fails(jobs: Jobs) -> None:
    line = "echo kept > outputs/k.txt; echo o > ${{outputs.mounted}}/o; echo o > ${{outputs.uploaded}}/o; "
    line += "python -c 'raise SystemExit(\"boom\")'"
    outputs = {"mounted": Output(type="uri_folder"), "uploaded": Output(type="uri_folder", mode="upload")}
    ended = jobs.run(line, outputs=outputs)
    assert (ended.status, ended.error["code"]) == ("Failed", "UserError")
    assert ended.error["message"] == (
        "Execution failed. User process 'echo' exited with status code 1. "
        "Please check log file 'user_logs/std_log.txt' for error details. Error: boom"
    )
    assert ended.artifacts["outputs/k.txt"] == b"kept\n"
    # A mount's files are in storage as they are written; an upload comes at a good end only.
    assert ended.output("mounted") == {"/o": b"o\n"}
    assert ended.output("uploaded") == {}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("no-such-command", "status code 127. "),
        ("python -c 'import os; os.kill(os.getpid(), 9)'", "It was ended by SIGKILL"),
        ("kill -9 $PPID; sleep 60", "It was ended by SIGKILL"),  # its guard
        ("exit 3", "status code 3. "),
    ],
)
def test_commands_that_fail(line: str, words: str, jobs: Jobs) -> None:
    ended = jobs.run(line)
    assert ended.status == "Failed"
    assert words in ended.error["message"]


@pytest.mark.parametrize(
    ("mode", "reason"), [("ro_mount", "DataAccessError(NotFound)"), ("download", "StreamError(NotFound)")]
)
def test_missing_input(mode: str, reason: str, jobs: Jobs) -> None:
    uri = "azureml://datastores/workspaceblobstore/paths/no/such/folder/"
    ended = jobs.run("echo ran > outputs/ran", inputs={"data": Input(type="uri_folder", path=uri, mode=mode)})
    assert (ended.status, ended.error["code"]) == ("Failed", "UserError")
    assert ended.error["message"].startswith(json.dumps({"NonCompliant": reason}))
    assert "no/such/folder" in ended.error["message"]
    assert not [name for name in ended.artifacts if name.startswith(("outputs", "user_logs"))]


def test_public_file_that_is_not_there(jobs: Jobs, web: str) -> None:
    ended = jobs.run("cat ${{inputs.data}}", inputs={"data": Input(type="uri_file", path=f"{web}/data/none.csv")})
    assert ended.status == "Failed"
    assert "DataAccessError(NotFound)" in ended.error["message"]
    assert "none.csv: The server answers 404" in ended.error["message"]


def test_environment_that_cannot_be_built(jobs: Jobs, tmp_path: Path) -> None:
    conda = tmp_path / "conda.yml"
    conda.write_text("dependencies: [pip, {pip: [no-such-package-of-azureml-local]}]")
    ended = jobs.run("true", environment=Environment(image=IMAGE, conda_file=str(conda)))
    assert (ended.status, ended.error["code"]) == ("Failed", "UserError")
    log = "azureml-logs/20_image_build_log.txt"
    assert ended.error["message"].startswith(f"Image build failed. For more details, check log file {log}.")
    assert b"no-such-package-of-azureml-local" in ended.artifacts[log]


def test_time_out_cancels(jobs: Jobs) -> None:
    """'The maximum time the job is allowed to run. When this limit is reached, the system cancels the job.'"""
    line = "trap 'echo asked to end; exit 1' TERM; echo begun > ${{outputs.o}}/f; sleep 600 & wait"
    ended = jobs.run(line, outputs={"o": Output(type="uri_folder")}, timeout=1)
    assert ended.status == "Canceled"
    assert "limits.timeout" in ended.error["message"]
    assert ended.log == "asked to end\n"
    assert ended.output("o") == {"/f": b"begun\n"}


def test_what_a_job_leaves_running_is_ended(jobs: Jobs, service: RunningService) -> None:
    """Also what has left its process group and holds its output open."""
    daemon = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(600)"
    ended = jobs.run(f'python -c "{daemon}" & while [ ! -s started ]; do echo > started; sleep 0.5; done')
    assert ended.status == "Completed"
    assert not is_alive(int(ended.log.split()[0]))


# --- cancelling ---


def test_cancel_ends_every_process(jobs: Jobs) -> None:
    line = "echo kept > ${{outputs.o}}/f; echo kept > outputs/a; sleep 601 & (sleep 602; true) & echo $$; wait"
    name = jobs.submit(line, outputs={"o": Output(type="uri_folder")})
    path = f"ExperimentRun/dcid.{name}/user_logs/std_log.txt"
    pid = int(wait_for(lambda: jobs.files("azureml", path).get(""), "the job says its id"))
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    jobs.arm.request("POST", f"/jobs/{name}/cancel")
    ended = jobs.ended(name)
    assert ended.status == "Canceled"
    assert [process for process in processes if is_alive(process.pid)] == []
    assert (ended.output("o"), ended.artifacts["outputs/a"]) == ({"/f": b"kept\n"}, b"kept\n")
    assert jobs.run("echo again").status == "Completed"


def test_cancel_while_its_environment_is_built(jobs: Jobs, tmp_path: Path, service: RunningService) -> None:
    """The package index does not answer, so that the build goes on until it is ended."""

    def builders() -> list[psutil.Process]:
        children = psutil.Process(service.pid).children(recursive=True)
        return [child for child in children if is_alive(child.pid) and child.name() == "uv"]

    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        conda = tmp_path / "conda.yml"
        conda.write_text(f'dependencies: [pip, {{pip: ["--index-url {index}", no-such-package]}}]')
        name = jobs.submit("true", environment=Environment(image=IMAGE, conda_file=str(conda)))
        wait_for(builders, "the environment is being built")
        assert jobs.status(name) == "Preparing"
        jobs.arm.request("POST", f"/jobs/{name}/cancel")
        assert jobs.ended(name).status == "Canceled"
    assert builders() == []


def test_cancel_while_another_has_the_nodes(jobs: Jobs, gate: Path) -> None:
    both = jobs.submit(f"while [ ! -e {gate} ]; do sleep 0.05; done", instance_count=2)
    jobs.reaches(both, "Running")
    name = jobs.submit("echo never")
    jobs.reaches(name, "Queued")
    jobs.arm.request("POST", f"/jobs/{name}/cancel")
    assert jobs.ended(name).status == "Canceled"
    gate.touch()
    assert jobs.ended(both).status == "Completed"
    assert jobs.files("azureml", f"ExperimentRun/dcid.{name}/user_logs") == {}


# --- several processes ---

MEET = """
import os, sys, torch, torch.distributed as dist
dist.init_process_group("gloo")
total = torch.tensor([float(os.environ["RANK"]) + 1])
dist.all_reduce(total)
print(os.environ["RANK"], os.environ["LOCAL_RANK"], os.environ["NODE_RANK"], os.environ["WORLD_SIZE"], total.item())
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_pytorch_on_two_nodes(jobs: Jobs, tmp_path: Path, folder: Data) -> None:
    (tmp_path / "meet.py").write_text(MEET)
    ended = jobs.run(
        "ls ${{inputs.data}} | wc -l; python meet.py",
        code=str(tmp_path),
        inputs={"data": Input(type="uri_folder", path=folder.path)},
        instance_count=2,
        distribution=PyTorchDistribution(process_count_per_instance=2),
    )
    assert ended.status == "Completed", ended.error
    logs = {name: text.decode().split() for name, text in ended.artifacts.items() if name.startswith("user_logs")}
    assert logs == {
        f"user_logs/std_log_process_{rank}.txt": ["3", str(rank), str(rank % 2), str(rank // 2), "4", "10.0"]
        for rank in range(4)
    }


def test_one_rank_that_fails_ends_the_others(jobs: Jobs) -> None:
    ended = jobs.run(
        "if [ $RANK = 1 ]; then echo it was me; exit 7; fi; sleep 600",
        instance_count=2,
        distribution=PyTorchDistribution(process_count_per_instance=1),
    )
    assert ended.status == "Failed"
    assert "status code 7. " in ended.error["message"]
    assert "'user_logs/std_log_process_1.txt'" in ended.error["message"]
    assert ended.error["message"].endswith("it was me")


def test_tensorflow_is_told_of_the_others(jobs: Jobs) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-train-distributed-gpu#tf_config"""
    distribution = TensorFlowDistribution(worker_count=2, parameter_server_count=1)
    ended = jobs.run("echo $TF_CONFIG", instance_count=2, distribution=distribution)
    logs = {name: json.loads(text) for name, text in ended.artifacts.items() if name.startswith("user_logs")}
    assert {name: config["task"] for name, config in logs.items()} == {
        "user_logs/std_log_node_00_ps.txt": {"type": "ps", "index": 0},
        "user_logs/std_log_node_00_worker.txt": {"type": "worker", "index": 0},
        "user_logs/std_log_node_01_worker.txt": {"type": "worker", "index": 1},
    }
    (cluster,) = {json.dumps(config["cluster"]) for config in logs.values()}
    assert {kind: len(hosts) for kind, hosts in json.loads(cluster).items()} == {"ps": 1, "worker": 2}


def test_mpi_processes_know_their_ranks(jobs: Jobs) -> None:
    ended = jobs.run(
        "echo $OMPI_COMM_WORLD_RANK/$OMPI_COMM_WORLD_SIZE $OMPI_COMM_WORLD_LOCAL_RANK/$OMPI_COMM_WORLD_LOCAL_SIZE",
        instance_count=2,
        distribution=MpiDistribution(process_count_per_instance=1),
    )
    logs = [text for name, text in sorted(ended.artifacts.items()) if name.startswith("user_logs")]
    assert logs == [b"0/2 0/1\n", b"1/2 0/1\n"]


def test_mode_that_there_is_not_is_refused_by_name(jobs: Jobs) -> None:
    table = Input(type="mltable", path="azureml://datastores/workspaceblobstore/paths/t/", mode="eval_mount")
    with pytest.raises(HttpResponseError) as caught:
        jobs.submit("true", inputs={"t": table})
    assert caught.value.status_code == 501
    assert "lacks properties.inputs.t.mode = EvalMount." in str(caught.value)
