"""Clusters and runs of Databricks where Spark is not installed: every state says so, and nothing is downloaded.

What they do with Spark: tests/heavy/test_spark_on_databricks.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError, OperationFailed
from databricks.sdk.service import jobs
from databricks.sdk.service.compute import EventType, Library, LibraryInstallStatus, PythonPyPiLibrary, State
from databricks.sdk.service.workspace import ImportFormat
from databricks_support import NODE, RUNTIME, client, new_workspace

from running_service import RunningService, wait_for


@pytest.fixture(scope="module")
def databricks(service: RunningService, client_variables: None) -> Iterator[WorkspaceClient]:
    with new_workspace(service.settings) as made:
        yield client(service.settings, made)


@pytest.fixture(scope="module")
def cluster(databricks: WorkspaceClient) -> str:
    made = databricks.clusters.create(spark_version=RUNTIME, node_type_id=NODE, num_workers=0, cluster_name="c")
    with pytest.raises(OperationFailed):
        made.result()
    assert made.cluster_id
    return made.cluster_id


def python_task(cluster: str, key: str = "main", **options: object) -> jobs.SubmitTask:
    script = jobs.SparkPythonTask(python_file="/Shared/main.py")
    return jobs.SubmitTask(task_key=key, existing_cluster_id=cluster, spark_python_task=script, **options)


def test_a_cluster_says_what_it_lacks_and_what_to_do(databricks: WorkspaceClient, cluster: str) -> None:
    found = databricks.clusters.get(cluster)
    assert (found.state, found.cluster_name) == (State.TERMINATED, "c")
    reason = found.termination_reason
    assert (reason.code.value, reason.type.value) == ("SPARK_IMAGE_DOWNLOAD_FAILURE", "SERVICE_FAULT")
    for said in (reason.parameters["databricks_error_message"], found.state_message):
        assert "azureml-local doctor --install spark" in said
    events = list(databricks.clusters.events(cluster))
    assert [one.type for one in events] == [EventType.DRIVER_UNAVAILABLE, EventType.STARTING, EventType.CREATING]
    assert list(databricks.clusters.events(cluster, page_size=1)) == events
    made = events[-1].timestamp
    assert list(databricks.clusters.events(cluster, end_time=made - 1)) == []
    assert events[-1] in databricks.clusters.events(cluster, start_time=made, end_time=made)


def test_a_run_on_it_ends_with_the_clusters_reason(databricks: WorkspaceClient, cluster: str) -> None:
    databricks.workspace.upload("/Shared/main.py", b"print(1)", format=ImportFormat.AUTO, overwrite=True)
    run = databricks.jobs.submit(run_name="r", tasks=[python_task(cluster)])
    with pytest.raises(OperationFailed, match=r"Task main failed with message: Cluster .* was terminated"):
        run.result()
    found = databricks.jobs.get_run(run.run_id)
    task = found.tasks[0]
    assert (found.state.life_cycle_state.value, found.state.result_state.value) == ("INTERNAL_ERROR", "FAILED")
    assert task.status.termination_details.code.value == "CLUSTER_ERROR"
    assert "doctor --install spark" in task.state.state_message
    output = databricks.jobs.get_run_output(task.run_id)
    assert (output.logs, output.error) == ("", None)
    with pytest.raises(DatabricksError, match="each individual task run"):
        databricks.jobs.get_run_output(run.run_id)


def test_a_run_of_what_does_not_exist_says_so(databricks: WorkspaceClient, cluster: str) -> None:
    notebook = jobs.SubmitTask(
        task_key="n", existing_cluster_id=cluster, notebook_task=jobs.NotebookTask(notebook_path="/Shared/no")
    )
    missing = jobs.SparkPythonTask(python_file="dbfs:/no.py")
    script = jobs.SubmitTask(task_key="s", existing_cluster_id=cluster, spark_python_task=missing)
    nowhere = python_task("0000-000000-aaaaaaaa", "c")
    run = databricks.jobs.submit(tasks=[notebook, script, nowhere])
    with pytest.raises(OperationFailed):
        run.result()
    said = {one.task_key: one.state.state_message for one in databricks.jobs.get_run(run.run_id).tasks}
    assert said["n"] == "Notebook not found: /Shared/no"
    assert "Cannot read the python file dbfs:/no.py" in said["s"]
    assert said["c"] == "Cluster 0000-000000-aaaaaaaa does not exist"


def test_what_depends_on_a_failed_task_is_skipped(databricks: WorkspaceClient, cluster: str) -> None:
    after = [jobs.TaskDependency("main")]
    tasks = [python_task(cluster), python_task(cluster, "next", depends_on=after)]
    run = databricks.jobs.submit(tasks=tasks)
    with pytest.raises(OperationFailed, match="caused all downstream tasks to get skipped"):
        run.result()
    skipped = databricks.jobs.get_run(run.run_id).tasks[1]
    assert (skipped.state.result_state.value, skipped.cluster_instance) == ("UPSTREAM_FAILED", None)


def test_a_job_runs_and_the_same_token_is_the_same_run(databricks: WorkspaceClient, cluster: str) -> None:
    task = jobs.Task.from_dict(python_task(cluster).as_dict())
    job = databricks.jobs.create(
        name="j", tasks=[task], parameters=[jobs.JobParameterDefinition(name="p", default="1")]
    )
    first = databricks.jobs.run_now(job.job_id, idempotency_token="once", job_parameters={"p": "2"})
    again = databricks.jobs.run_now(job.job_id, idempotency_token="once")
    assert first.run_id == again.run_id
    with pytest.raises(OperationFailed):
        first.result()
    assert [run.run_id for run in databricks.jobs.list_runs(job_id=job.job_id)] == [first.run_id]
    found = databricks.jobs.get_run(first.run_id)
    assert [(one.name, one.default, one.value) for one in found.job_parameters] == [("p", "1", "2")]
    assert list(databricks.jobs.list_runs(active_only=True)) == []
    databricks.jobs.delete_run(first.run_id)
    with pytest.raises(DatabricksError, match="does not exist"):
        databricks.jobs.get_run(first.run_id)


def test_a_runs_own_cluster_ends_with_it(databricks: WorkspaceClient, cluster: str) -> None:
    own = databricks.clusters.get(cluster).spec
    script = jobs.SparkPythonTask(python_file="/Shared/main.py")
    run = databricks.jobs.submit(tasks=[jobs.SubmitTask(task_key="main", new_cluster=own, spark_python_task=script)])
    with pytest.raises(OperationFailed):
        run.result()
    made = databricks.jobs.get_run(run.run_id).tasks[0].cluster_instance.cluster_id
    found = databricks.clusters.get(made)
    assert (found.cluster_source.value, found.state) == ("JOB", State.TERMINATED)


def test_a_cluster_is_started_edited_given_libraries_and_forgotten(databricks: WorkspaceClient, cluster: str) -> None:
    library = Library(pypi=PythonPyPiLibrary("numpy"))
    databricks.libraries.install(cluster, [library])
    statuses = list(databricks.libraries.cluster_status(cluster))
    assert [(one.library.pypi.package, one.status) for one in statuses] == [("numpy", LibraryInstallStatus.PENDING)]
    databricks.libraries.uninstall(cluster, [library])
    assert list(databricks.libraries.cluster_status(cluster)) == []
    databricks.clusters.edit(cluster, RUNTIME, node_type_id=NODE, num_workers=2, cluster_name="edited")
    with pytest.raises(OperationFailed):
        databricks.clusters.start(cluster).result()
    assert databricks.clusters.get(cluster).num_workers == 2
    wait_for(lambda: databricks.clusters.get(cluster).state == State.TERMINATED)
    with pytest.raises(DatabricksError, match="unexpected state TERMINATED to be restarted"):
        databricks.clusters.restart(cluster)
    databricks.clusters.permanent_delete(cluster)
    assert cluster not in [one.cluster_id for one in databricks.clusters.list()]
