"""Databricks workspaces, attached and for themselves: the control plane's part, and of their API what needs no Spark.

The API through databricks-sdk, https://docs.databricks.com/api/azure/workspace; attaching through
azure-mgmt-machinelearningservices (`Databricks`, `DatabricksComputeSecrets`), as azure-ai-ml cannot.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import SynapseSparkCompute, UnsupportedCompute
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient
from azure.mgmt.machinelearningservices import models as aml
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    DatabricksError,
    InvalidParameterValue,
    NotImplemented,
    PermissionDenied,
    ResourceAlreadyExists,
    ResourceDoesNotExist,
    Unauthenticated,
)
from databricks.sdk.service import jobs
from databricks.sdk.service.compute import (
    AutoScale,
    ClusterSpec,
    Library,
    ListClustersFilterBy,
    MavenLibrary,
    PythonPyPiLibrary,
)
from databricks.sdk.service.workspace import ExportFormat, ImportFormat, Language, ObjectType
from databricks_support import NODE, RUNTIME, arm_request, client, new_workspace, resource_id
from support import Arm, NewClient, finish

from running_service import RunningService

CLUSTER = ClusterSpec(spark_version=RUNTIME, node_type_id=NODE, num_workers=0)
PYTHON = jobs.SparkPythonTask(python_file="/Shared/main.py")


@pytest.fixture(scope="module")
def workspace_id(service: RunningService, client_variables: None) -> Iterator[str]:
    with new_workspace(service.settings) as made:
        yield made


@pytest.fixture(scope="module")
def databricks(service: RunningService, workspace_id: str) -> WorkspaceClient:
    return client(service.settings, workspace_id)


@pytest.fixture(scope="module")
def token(databricks: WorkspaceClient) -> str:
    made = databricks.tokens.create(comment="for tests")
    assert made.token_value
    return made.token_value


@pytest.fixture(scope="module")
def management(service: RunningService, credential: ClientSecretCredential) -> MachineLearningServicesMgmtClient:
    return MachineLearningServicesMgmtClient(credential, service.settings.subscription_id)


@pytest.fixture
def folder(databricks: WorkspaceClient, name: str) -> str:
    path = f"/Users/{databricks.current_user.me().user_name}/{name}"
    databricks.workspace.mkdirs(path)
    return path


class Attaching:
    """Attaches Databricks workspaces to the default workspace, and detaches them."""

    def __init__(self, management: MachineLearningServicesMgmtClient, service: RunningService) -> None:
        self.operations = management.compute
        self.place = (service.settings.resource_group, service.settings.workspace)

    def attach(self, name: str, resource: str, token: str | None, url: str | None = None) -> aml.ComputeResource:
        inner = aml.DatabricksProperties(databricks_access_token=token, workspace_url=url)
        compute = aml.Databricks(resource_id=resource, properties=inner, disable_local_auth=False)
        asked = aml.ComputeResource(location="eastus", properties=compute)
        return finish(self.operations.begin_create_or_update(*self.place, name, asked))

    def get(self, name: str) -> aml.ComputeResource:
        return self.operations.get(*self.place, name)

    def keys(self, name: str) -> aml.ComputeSecrets:
        return self.operations.list_keys(*self.place, name)

    def remove(self, name: str, action: str = "Detach") -> None:
        finish(self.operations.begin_delete(*self.place, name, underlying_resource_action=action))


@pytest.fixture(scope="module")
def attaching(management: MachineLearningServicesMgmtClient, service: RunningService) -> Attaching:
    return Attaching(management, service)


# --- the workspace as a resource ---


def test_a_workspace_has_the_host_that_azure_gives_it(service: RunningService, workspace_id: str) -> None:
    """ "adb-<workspace-id>.<random-number>.azuredatabricks.net",

    https://learn.microsoft.com/azure/databricks/workspace/workspace-details
    """
    found = arm_request(service.settings, "GET", workspace_id).json()
    number = found["properties"]["workspaceId"]
    assert len(number) == 16
    assert found["properties"]["workspaceUrl"].startswith(f"adb-{number}.")
    again = arm_request(service.settings, "PUT", workspace_id, {**found, "tags": {"a": "b"}})
    assert (again.status_code, again.json()["tags"]) == (200, {"a": "b"})
    assert again.json()["properties"]["workspaceUrl"] == found["properties"]["workspaceUrl"]
    listed = arm_request(service.settings, "GET", workspace_id.rpartition("/")[0]).json()["value"]
    assert workspace_id in [one["id"] for one in listed]


@pytest.mark.parametrize(
    ("name", "change", "status", "target"),
    [
        ("a b", {}, 400, None),
        ("good", {"properties": {}}, 400, "properties.managedResourceGroupId"),
        ("good", {"sku": {"name": "gold"}}, 400, "sku.name"),
        ("good", {"properties": {"managedResourceGroupId": "m", "encryption": {"a": 1}}}, 501, "properties.encryption"),
        ("good", {"location": None}, 400, None),
    ],
)
def test_what_is_wrong_of_a_workspace_is_named(
    service: RunningService, client_variables: None, name: str, change: dict[str, object], status: int, target: str
) -> None:
    body = {"location": "eastus", "properties": {"managedResourceGroupId": "m"}, **change}
    answer = arm_request(service.settings, "PUT", resource_id(service.settings, name), body)
    assert (answer.status_code, answer.json()["error"].get("target")) == (status, target)


def test_a_deleted_workspace_takes_all_with_it(service: RunningService, client_variables: None) -> None:
    with new_workspace(service.settings) as made:
        theirs = client(service.settings, made)
        url, token = theirs.config.host, theirs.tokens.create().token_value
        theirs.dbfs.upload("/a.txt", io.BytesIO(b"a"))
        number = arm_request(service.settings, "GET", made).json()["properties"]["workspaceId"]
        assert (service.home.databricks / number).exists()
    assert not (service.home.databricks / number).exists()
    assert arm_request(service.settings, "GET", made).status_code == 404
    assert arm_request(service.settings, "DELETE", made).status_code == 204
    with pytest.raises(DatabricksError, match="no Databricks workspace at"):
        WorkspaceClient(host=url, token=token).current_user.me()


# --- attached ---


def test_a_workspace_is_attached_and_its_token_is_a_secret(
    attaching: Attaching, ml: MLClient, service: RunningService, workspace_id: str, token: str, name: str
) -> None:
    made = attaching.attach(name, workspace_id, token)
    assert isinstance(made.properties, aml.Databricks)
    host = arm_request(service.settings, "GET", workspace_id).json()["properties"]["workspaceUrl"]
    for shown in (made, attaching.get(name)):
        assert (shown.properties.provisioning_state, shown.properties.is_attached_compute) == ("Succeeded", True)
        assert shown.properties.resource_id == workspace_id
        assert shown.properties.properties.workspace_url == host
        assert shown.properties.properties.databricks_access_token is None
    keys = attaching.keys(name)
    assert isinstance(keys, aml.DatabricksComputeSecrets)
    assert keys.databricks_access_token == token
    assert isinstance(ml.compute.get(name), UnsupportedCompute)  # what azure-ai-ml makes of it on Azure, too
    assert name in [one.name for one in ml.compute.list()]
    assert token not in "".join(log.read_text(errors="replace") for log in service.home.logs.glob("*.log"))
    assert token.encode() not in service.home.settings_file.read_bytes()
    with pytest.raises(HttpResponseError, match="Detach it"):
        attaching.remove(name, "Delete")
    attaching.remove(name)
    with pytest.raises(ResourceNotFoundError):
        attaching.get(name)


def test_a_token_is_kept_untried_and_can_be_replaced(attaching: Attaching, workspace_id: str, name: str) -> None:
    """A wrong token shows when a job is submitted: https://github.com/Azure/MachineLearningNotebooks/issues/840."""
    attaching.attach(name, workspace_id, "dapi-wrong")
    attaching.attach(name, workspace_id, None)
    assert attaching.keys(name).databricks_access_token == "dapi-wrong"
    attaching.attach(name, workspace_id, "dapi-other")
    assert attaching.keys(name).databricks_access_token == "dapi-other"
    attaching.remove(name)


def test_what_cannot_be_attached_says_why(
    attaching: Attaching, service: RunningService, workspace_id: str, name: str
) -> None:
    with pytest.raises(HttpResponseError, match="must be the id of an Azure Databricks workspace"):
        attaching.attach(name, "/subscriptions/0/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v", "t")
    with pytest.raises(HttpResponseError, match="must be the id of an Azure Databricks workspace"):
        attaching.attach(name, f"{workspace_id}\nx", "t")
    with pytest.raises(HttpResponseError, match="databricksAccessToken is missing"):
        attaching.attach(name, workspace_id, None)
    with pytest.raises(HttpResponseError, match="was not found"):
        attaching.attach(name, resource_id(service.settings, "no-such"), "dapi0")
    attaching.remove(name)
    with pytest.raises(HttpResponseError, match="the workspace's is 'adb-"):
        attaching.attach(name, workspace_id, "dapi0", "adb-1.1.azuredatabricks.net")
    attaching.remove(name)


def test_a_pool_of_synapse_is_attached_and_runs_nothing(ml: MLClient, arm: Arm, name: str) -> None:
    """Microsoft's sdk/python/resources/compute/attach_manage_spark_pools.ipynb."""
    pool = f"{arm.group}/providers/Microsoft.Synapse/workspaces/synapse/bigDataPools/pool"
    made = finish(ml.begin_create_or_update(SynapseSparkCompute(name=name, resource_id=pool)))
    assert (made.type, made.resource_id, made.provisioning_state) == ("synapsespark", pool, "Succeeded")
    shown = arm.get(f"/computes/{name}").json()["properties"]["properties"]
    assert (shown["workspaceName"], shown["poolName"], shown["sparkVersion"]) == ("synapse", "pool", None)
    for place in (
        {"computeId": f"{arm.workspace}/computes/{name}"},
        {"resources": {"instanceType": "standard_e4s_v3"}},
    ):
        spark = {"jobType": "Spark", "codeId": "c", "entry": {"sparkJobEntryType": "SparkJobPythonEntry", "file": "a"}}
        refused = arm.put(f"/jobs/{name}", {"properties": {**spark, **place}})
        assert (refused.status_code, refused.json()["error"]["code"]) == (501, "NotImplemented")
    finish(ml.compute.begin_delete(name, action="Detach"))
    for other in (f"{arm.group}/providers/other", f"{pool}\nx"):
        with pytest.raises(HttpResponseError, match="must be the id of a Spark pool"):
            ml.begin_create_or_update(SynapseSparkCompute(name=name, resource_id=other))


# --- signing in ---


def test_a_personal_access_token_is_its_owner(databricks: WorkspaceClient, token: str) -> None:
    theirs = WorkspaceClient(host=databricks.config.host, token=token)
    assert theirs.current_user.me().user_name == databricks.current_user.me().user_name


def test_wrong_tokens_are_refused_as_databricks_does(databricks: WorkspaceClient, token: str) -> None:
    """{"error_code": 403, "message": "Invalid access token."}, databricks/databricks-sdk-go#873."""
    for wrong in ("dapi" + "0" * 32 + "-2", token[:-1], "x"):
        with pytest.raises(PermissionDenied, match=r"Invalid access token\."):
            WorkspaceClient(host=databricks.config.host, token=wrong).current_user.me()
    url = f"{databricks.config.host}/api/2.0/clusters/list"
    for headers in ({}, {"Authorization": "Basic eA=="}):
        answer = requests.get(url, headers=headers, timeout=60)
        assert (answer.status_code, answer.json()["error_code"]) == (401, 401)
    with pytest.raises(Unauthenticated):
        WorkspaceClient(host=databricks.config.host, token="a.b.c").current_user.me()


def test_a_token_of_another_workspace_or_another_resource_is_refused(
    service: RunningService, databricks: WorkspaceClient, token: str, credential: ClientSecretCredential
) -> None:
    with new_workspace(service.settings) as other:
        host = client(service.settings, other).config.host
        with pytest.raises(PermissionDenied, match="Invalid access token"):
            WorkspaceClient(host=host, token=token).current_user.me()
    for_arm = credential.get_token("https://management.azure.com/.default").token
    with pytest.raises(Unauthenticated, match="wrong audience"):
        WorkspaceClient(host=databricks.config.host, token=for_arm).current_user.me()


def test_a_token_ends_when_it_is_revoked_and_when_its_time_is_over(databricks: WorkspaceClient) -> None:
    brief, revoked = databricks.tokens.create(lifetime_seconds=1), databricks.tokens.create(comment="c")
    assert "c" in [one.comment for one in databricks.tokens.list()]
    databricks.tokens.delete(revoked.token_info.token_id)
    time.sleep(max(0.0, brief.token_info.expiry_time / 1000 - time.time()) + 0.01)
    for made in (brief, revoked):
        with pytest.raises(PermissionDenied):
            WorkspaceClient(host=databricks.config.host, token=made.token_value).current_user.me()
    with pytest.raises(ResourceDoesNotExist):
        databricks.tokens.delete(revoked.token_info.token_id)
    with pytest.raises(InvalidParameterValue, match="lifetime_seconds is 0"):
        databricks.tokens.create(lifetime_seconds=0)


def test_only_owners_and_contributors_come_in_by_entra(
    service: RunningService, workspace_id: str, databricks: WorkspaceClient, new_identity: NewClient
) -> None:
    for role, may in (("Reader", False), ("Contributor", True)):
        credential, _ = new_identity(role, workspace_id)
        theirs = credential.get_token("2ff814a6-3304-4ab8-85cb-cd0e6f879c1d/.default").token
        signed_in = WorkspaceClient(host=databricks.config.host, token=theirs)
        if may:
            assert signed_in.current_user.me().active
        else:
            with pytest.raises(PermissionDenied, match="must have the role"):
                signed_in.current_user.me()


def test_a_token_is_stored_as_a_hash(service: RunningService, databricks: WorkspaceClient) -> None:
    """But for one that a workspace of Azure ML was given to keep, which listKeys returns."""
    token = databricks.tokens.create().token_value
    for file in service.home.root.glob("state.db*"):
        assert token.encode() not in file.read_bytes()


# --- the workspace's files ---


def test_files_come_back_as_they_were(databricks: WorkspaceClient, folder: str) -> None:
    content = os.urandom(200_000) + b"\r\n--x\n\r"
    databricks.workspace.upload(f"{folder}/data.bin", content, format=ImportFormat.AUTO)
    assert databricks.workspace.download(f"{folder}/data.bin", format=ExportFormat.AUTO).read() == content
    assert databricks.workspace.get_status(f"/Workspace{folder}/data.bin").object_type == ObjectType.FILE
    with pytest.raises(DatabricksError, match="already exists"):
        databricks.workspace.upload(f"{folder}/data.bin", b"", format=ImportFormat.AUTO)
    databricks.workspace.upload(f"{folder}/data.bin", b"new", format=ImportFormat.AUTO, overwrite=True)
    assert databricks.workspace.download(f"{folder}/data.bin").read() == b"new"
    longest = f"{folder}/{'ы' * 127}"  # 254 bytes of the 255 that a name may have
    databricks.workspace.upload(longest, b"x", format=ImportFormat.AUTO)
    assert databricks.workspace.download(longest, format=ExportFormat.AUTO).read() == b"x"


def test_a_notebook_is_imported_as_its_source(databricks: WorkspaceClient, folder: str) -> None:
    """Formats: https://docs.databricks.com/api/azure/workspace/workspace/import"""
    databricks.workspace.upload(f"{folder}/nb", b"print(1)", language=Language.PYTHON)
    databricks.workspace.upload(
        f"{folder}/second.py", b"# Databricks notebook source\nprint(2)", format=ImportFormat.AUTO
    )
    found = {one.path.rpartition("/")[2]: one for one in databricks.workspace.list(folder)}
    assert {name: one.object_type for name, one in found.items()} == dict.fromkeys(
        ("nb", "second"), ObjectType.NOTEBOOK
    )
    assert found["nb"].language == Language.PYTHON
    exported = databricks.workspace.export(f"{folder}/nb")
    assert exported.file_type == "py"
    with pytest.raises(NotImplemented, match="notebooks in SQL"):
        databricks.workspace.upload(f"{folder}/q", b"SELECT 1", language=Language.SQL)
    with pytest.raises(NotImplemented, match="format DBC"):
        databricks.workspace.upload(f"{folder}/q", b"", format=ImportFormat.DBC)


def test_folders_are_made_listed_and_deleted(databricks: WorkspaceClient, folder: str) -> None:
    databricks.workspace.mkdirs(f"{folder}/a/b")
    databricks.workspace.upload(f"{folder}/a/f.txt", b"x", format=ImportFormat.AUTO)
    found = [one.path.removeprefix(folder) for one in databricks.workspace.list(folder, recursive=True)]
    assert found == ["/a/f.txt"]
    with pytest.raises(DatabricksError, match="is not empty"):
        databricks.workspace.delete(f"{folder}/a")
    databricks.workspace.delete(f"{folder}/a", recursive=True)
    with pytest.raises(ResourceDoesNotExist, match="doesn't exist"):
        databricks.workspace.get_status(f"{folder}/a")
    with pytest.raises(ResourceDoesNotExist, match="parent folder"):
        databricks.workspace.upload(f"{folder}/no/f.txt", b"", format=ImportFormat.AUTO)


@pytest.mark.parametrize("path", ["relative", "/../x", "/Shared/../../x", "/a\0b", "/" + "n" * 300])
def test_paths_cannot_leave_the_workspace(databricks: WorkspaceClient, path: str) -> None:
    for call in (databricks.workspace.mkdirs, databricks.workspace.get_status, databricks.dbfs.mkdirs):
        with pytest.raises(InvalidParameterValue, match="Path"):
            call(path)


def test_links_that_a_task_has_made_are_not_followed(
    service: RunningService, databricks: WorkspaceClient, workspace_id: str, name: str
) -> None:
    databricks.dbfs.mkdirs("/")
    number = arm_request(service.settings, "GET", workspace_id).json()["properties"]["workspaceId"]
    (service.home.databricks / number / "dbfs" / name).symlink_to("/etc")
    for path in (f"/{name}/passwd", f"/{name}"):
        with pytest.raises(InvalidParameterValue, match="symbolic link"):
            databricks.dbfs.read(path)
    assert f"/{name}" not in [one.path for one in databricks.dbfs.list("/")]


def test_dbfs_keeps_files(databricks: WorkspaceClient, name: str) -> None:
    content = os.urandom(3_000_000)
    databricks.dbfs.upload(f"dbfs:/{name}/large.bin", io.BytesIO(content))
    assert databricks.dbfs.download(f"/{name}/large.bin").read() == content
    assert databricks.dbfs.get_status(f"/{name}/large.bin").file_size == len(content)
    with pytest.raises(ResourceAlreadyExists):
        databricks.dbfs.upload(f"/{name}/large.bin", io.BytesIO(b""))
    beyond = databricks.dbfs.read(f"/{name}/large.bin", offset=2**63 - 1)
    assert (beyond.bytes_read, beyond.data) == (0, "")
    databricks.dbfs.move(f"/{name}/large.bin", f"/{name}/moved.bin")
    assert [one.path for one in databricks.dbfs.list(f"/{name}")] == [f"/{name}/moved.bin"]
    with pytest.raises(DatabricksError, match="not empty"):
        databricks.api_client.do("POST", "/api/2.0/dbfs/delete", body={"path": f"/{name}"})
    databricks.dbfs.delete(f"/{name}", recursive=True)
    with pytest.raises(ResourceDoesNotExist):
        databricks.dbfs.get_status(f"/{name}")
    with pytest.raises(ResourceDoesNotExist, match="handle"):
        databricks.dbfs.add_block(1, "YQ==")


# --- jobs, without running them ---


def python_task(key: str = "main", **options: object) -> jobs.Task:
    return jobs.Task(task_key=key, new_cluster=CLUSTER, spark_python_task=PYTHON, **options)


def test_jobs_are_made_changed_and_deleted(databricks: WorkspaceClient, name: str) -> None:
    made = databricks.jobs.create(name=name, tasks=[python_task()], tags={"a": "b"})
    job = databricks.jobs.get(made.job_id)
    assert (job.settings.name, job.settings.max_concurrent_runs, job.settings.tags) == (name, 1, {"a": "b"})
    assert job.settings.tasks[0].new_cluster.spark_version == RUNTIME
    assert job.creator_user_name == databricks.current_user.me().user_name
    assert [one.job_id for one in databricks.jobs.list(name=name.upper())] == [made.job_id]
    more = jobs.JobSettings(timeout_seconds=60, tasks=[python_task("second")])
    databricks.jobs.update(made.job_id, new_settings=more, fields_to_remove=["tags"])
    settings = databricks.jobs.get(made.job_id).settings
    assert [task.task_key for task in settings.tasks] == ["main", "second"]
    assert (settings.timeout_seconds, settings.tags) == (60, None)
    databricks.jobs.update(made.job_id, fields_to_remove=["tasks/main"])
    assert [task.task_key for task in databricks.jobs.get(made.job_id).settings.tasks] == ["second"]
    with pytest.raises(InvalidParameterValue, match="tags/a cannot be removed"):
        databricks.jobs.update(made.job_id, fields_to_remove=["tags/a"])
    databricks.jobs.reset(made.job_id, jobs.JobSettings(name="reset"))
    assert databricks.jobs.get(made.job_id).settings.tasks in (None, [])
    databricks.jobs.delete(made.job_id)
    with pytest.raises(ResourceDoesNotExist, match="does not exist"):
        databricks.jobs.get(made.job_id)


def test_lists_of_jobs_come_in_pages(databricks: WorkspaceClient, name: str) -> None:
    made = [databricks.jobs.create(name=name).job_id for _ in range(5)]
    found = list(databricks.jobs.list(name=name, limit=2))
    assert [one.job_id for one in found] == made[::-1]
    for job_id in made:
        databricks.jobs.delete(job_id)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"task_key": "a b"}, "task key 'a b'"),
        ({"spark_python_task": None}, "exactly one of"),
        ({"notebook_task": jobs.NotebookTask("/n")}, "exactly one of"),
        ({"existing_cluster_id": "c"}, "exactly one of them"),
        ({"new_cluster": None, "job_cluster_key": "k"}, "not defined"),
        ({"depends_on": [jobs.TaskDependency("other")]}, "does not exist"),
        ({"depends_on": [jobs.TaskDependency("main")]}, "in a circle"),
        ({"libraries": [Library(pypi=PythonPyPiLibrary("a b"))]}, "is no package"),
        ({"new_cluster": ClusterSpec(spark_version="1.0", node_type_id=NODE, num_workers=0)}, "Spark version 1.0"),
        ({"new_cluster": ClusterSpec(spark_version=RUNTIME, node_type_id="Huge", num_workers=0)}, "Node type Huge"),
    ],
)
def test_what_is_wrong_of_a_task_is_named(databricks: WorkspaceClient, task: dict[str, object], said: str) -> None:
    options = {"task_key": "main", "new_cluster": CLUSTER, "spark_python_task": PYTHON, **task}
    with pytest.raises(InvalidParameterValue, match=said):
        databricks.jobs.create(tasks=[jobs.Task(**options)])


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"new_cluster": None}, "serverless compute"),
        ({"max_retries": 1}, "max_retries"),
        ({"spark_python_task": None, "sql_task": jobs.SqlTask(warehouse_id="w")}, "sql_task"),
        ({"libraries": [Library(maven=MavenLibrary("a:b:1"))]}, "maven"),
        ({"spark_python_task": jobs.SparkPythonTask("abfss://c@a.dfs.core.windows.net/m.py")}, "abfss://"),
        (
            {"new_cluster": ClusterSpec(spark_version=RUNTIME, node_type_id=NODE, autoscale=AutoScale(2, 1))},
            "new_cluster.autoscale",
        ),
    ],
)
def test_what_is_lacking_names_itself(databricks: WorkspaceClient, task: dict[str, object], said: str) -> None:
    options = {"task_key": "main", "new_cluster": CLUSTER, "spark_python_task": PYTHON, **task}
    with pytest.raises(NotImplemented, match=said):
        databricks.jobs.submit(tasks=[jobs.SubmitTask(**options)])


def test_operations_that_are_lacking_name_themselves(databricks: WorkspaceClient) -> None:
    for call, said in (
        (databricks.warehouses.list, "sql/warehouses"),
        (databricks.secrets.list_scopes, "secrets/scopes/list"),
        (databricks.cluster_policies.list, "policies/clusters/list"),
    ):
        with pytest.raises(NotImplemented, match=said):
            list(call())
    with pytest.raises(NotImplemented, match="filter_by"):
        list(databricks.clusters.list(filter_by=ListClustersFilterBy(is_pinned=True)))
    with pytest.raises(NotImplemented, match="all_queued_runs"):
        databricks.jobs.cancel_all_runs(all_queued_runs=True)
    schedule = jobs.CronSchedule(quartz_cron_expression="0 0 * * * ?", timezone_id="UTC")
    with pytest.raises(NotImplemented, match="schedule"):
        databricks.jobs.create(schedule=schedule)


def test_malformed_requests_are_refused(databricks: WorkspaceClient, token: str) -> None:
    url = f"{databricks.config.host}/api"
    headers = {"Authorization": f"Bearer {token}"}
    for path, body, code in (
        ("2.1/jobs/create", b"[1]", "MALFORMED_REQUEST"),
        ("2.1/jobs/create", b"{", "MALFORMED_REQUEST"),
        ("2.1/jobs/create", b'{"tasks": {}}', "MALFORMED_REQUEST"),
        ("2.1/jobs/run-now", b"{}", "INVALID_PARAMETER_VALUE"),
        ("2.0/clusters/create", b'{"spark_version": 1}', "MALFORMED_REQUEST"),
        ("9.9/jobs/create", b"{}", "NOT_IMPLEMENTED"),
    ):
        sent = {**headers, "Content-Type": "application/json"}
        answer = requests.post(f"{url}/{path}", data=body, headers=sent, timeout=60)
        assert answer.json()["error_code"] == code, (path, body, answer.text)
    conf = ClusterSpec(spark_version=RUNTIME, node_type_id=NODE, num_workers=0, spark_conf={"a": "b\nspark.master x"})
    with pytest.raises(DatabricksError, match="without line breaks"):
        databricks.jobs.create(job_clusters=[jobs.JobCluster("k", conf)])


def test_runtimes_and_node_types_can_be_chosen(databricks: WorkspaceClient) -> None:
    assert databricks.clusters.select_spark_version(long_term_support=True, latest=True).startswith("16.4.")
    assert databricks.clusters.select_spark_version(spark_version="3.5.2").startswith("16.4.")
    node = databricks.clusters.select_node_type(min_cores=4, min_memory_gb=14)
    assert node in [one.node_type_id for one in databricks.clusters.list_node_types().node_types]


def test_what_does_not_exist_is_no_cluster_job_or_run(databricks: WorkspaceClient) -> None:
    """databricks-sdk knows these answers, errors/overrides.py: 400 with words that say what is meant."""
    for call, number in ((databricks.jobs.get, 1), (databricks.jobs.get_run, 1), (databricks.clusters.get, "0-0-x")):
        with pytest.raises(ResourceDoesNotExist, match="does not exist"):
            call(number)


LONG = "/a" * 3000  # a path that no file system takes, of names that each is taken
TASK = {"task_key": "main", "new_cluster": {"spark_version": RUNTIME, "node_type_id": NODE}}
SCRIPT = {"spark_python_task": {"python_file": "/f.py"}}


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", "2.1/jobs/runs/get", {"run_id": 10**25}),
        ("GET", "2.1/jobs/runs/get", {"run_id": "9" * 5000}),
        ("GET", "2.1/jobs/list", {"page_token": "9" * 5000}),
        ("GET", "2.0/dbfs/read", {"path": "/there", "offset": 10**25}),
        ("GET", "2.0/dbfs/get-status", {"path": LONG}),
        ("POST", "2.0/dbfs/move", {"source_path": "/other", "destination_path": "/there/in/a/file"}),
        ("GET", "2.0/workspace/get-status", {"path": LONG}),
        ("POST", "2.0/workspace/mkdirs", {"path": LONG}),
        ("POST", "2.0/dbfs/put", {"path": LONG}),
        ("POST", "2.0/dbfs/add-block", {"handle": 10**25, "data": ""}),
        ("POST", "2.0/token/create", {"lifetime_seconds": 10**25}),
        ("POST", "2.0/clusters/create", {"spark_version": RUNTIME, "node_type_id": NODE, "num_workers": 10**25}),
        ("POST", "2.0/clusters/create", {"spark_version": RUNTIME, "node_type_id": NODE, "cluster_name": [1]}),
        ("POST", "2.1/jobs/create", {"tasks": [{**TASK, **SCRIPT, "new_cluster": None, "job_cluster_key": ["k"]}]}),
        ("POST", "2.1/jobs/create", {"tasks": [{**TASK, **SCRIPT, "new_cluster": None, "existing_cluster_id": {}}]}),
        ("POST", "2.1/jobs/create", {"tasks": [{**TASK, "spark_python_task": "x"}]}),
        ("POST", "2.1/jobs/update", {"job_id": 0, "new_settings": {"tasks": [{"task_key": ["a"]}]}}),
        ("POST", "2.1/jobs/update", {"job_id": 0, "new_settings": {"tasks": 1}}),
        ("POST", "2.1/jobs/run-now", {"job_id": 10**25}),
        ("POST", "2.1/jobs/run-now", {"job_id": 0, "max_concurrent_runs": "x", "job_parameters": {"a": 1}}),
        ("POST", "2.1/jobs/runs/submit", {"run_name": 1, "tasks": [{**TASK, **SCRIPT}]}),
        ("POST", "2.0/libraries/install", {"cluster_id": "x" * 5000, "libraries": []}),
    ],
)
def test_no_value_makes_the_service_fail(
    databricks: WorkspaceClient, token: str, method: str, path: str, sent: dict[str, Any]
) -> None:
    """As seen with curl: what is out of all range is the caller's to mend, and the answer says so."""
    for file in ("/there", "/other"):
        databricks.api_client.do("POST", "/api/2.0/dbfs/put", body={"path": file, "overwrite": True})
    if sent.get("job_id") == 0:
        sent = {**sent, "job_id": databricks.jobs.create(name="j").job_id}
    given = {"params": sent} if method == "GET" else {"json": sent}
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.request(method, f"{databricks.config.host}/api/{path}", headers=headers, timeout=60, **given)
    assert (answer.status_code, set(answer.json())) == (400, {"error_code", "message"}), answer.text
    assert len(answer.text) < 20_000
