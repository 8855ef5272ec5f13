"""Registries through azure-ai-ml and azure-mgmt-machinelearningservices: their assets, and what uses these.

What is right: https://learn.microsoft.com/azure/machine-learning/how-to-manage-registries,
https://learn.microsoft.com/azure/machine-learning/how-to-share-models-pipelines-across-workspaces-with-registries and
what the client sends and needs back.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, MLClient, command, dsl, load_component
from azure.ai.ml.entities import (
    AmlCompute,
    BatchEndpoint,
    BuildContext,
    Data,
    Environment,
    Model,
    PipelineComponentBatchDeployment,
    Registry,
    RegistryRegionDetails,
    Workspace,
)
from azure.ai.ml.exceptions import ValidationException
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient
from azure.mgmt.machinelearningservices import models as aml
from azure.storage.blob import ContainerClient
from support import PROVIDER, Arm, NewClient, finish

from running_service import wait_for

IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
COMPONENT = """
name: {name}
version: "1"
type: command
inputs:
  text: {{type: string}}
outputs:
  shouted: {{type: uri_folder}}
code: ./src
command: python shout.py ${{{{inputs.text}}}} ${{{{outputs.shouted}}}}
environment: {environment}
"""
SCRIPT = "import pathlib, sys; pathlib.Path(sys.argv[2], 'a.txt').write_text(sys.argv[1].upper())"
REFUSED = f"{PROVIDER}/registries/assets/"


@pytest.fixture(scope="module")
def registry(ml: MLClient) -> Iterator[str]:
    name = "reg-" + uuid.uuid4().hex[:8]
    regions = [RegistryRegionDetails(location="eastus"), RegistryRegionDetails(location="westus")]
    made = finish(
        ml.registries.begin_create(
            Registry(name=name, location="eastus", tags={"team": "ops"}, replication_locations=regions)
        )
    )
    assert made.name == name
    yield name
    finish(ml.registries.begin_delete(name=name))


@pytest.fixture(scope="module")
def shared(registry: str, credential: ClientSecretCredential) -> MLClient:
    """A client of the registry."""
    return MLClient(credential, registry_name=registry, enable_telemetry=False)


@pytest.fixture(scope="module")
def environment(shared: MLClient) -> Environment:
    return shared.environments.create_or_update(Environment(name="tiny", version="1", image=IMAGE))


@pytest.fixture
def folder(tmp_path: Path, name: str) -> Path:
    path = tmp_path / "model"
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "ü b.txt").write_text(name)
    (path / "top.txt").write_text("top")
    return path


def files(path: Path) -> dict[str, str]:
    return {one.name: one.read_text() for one in path.rglob("*") if one.is_file()}


# --- registries themselves ---


def test_registry(ml: MLClient, arm: Arm, registry: str) -> None:
    got = ml.registries.get(registry)
    assert (got.location, got.tags) == ("eastus", {"team": "ops"})
    assert [one.location for one in got.replication_locations] == ["eastus", "westus"]
    assert got.discovery_url.endswith(f"/registrymanagement/v1.0/registries/{registry}/discovery")
    assert registry in [one.name for one in ml.registries.list()]
    assert registry in [one.name for one in ml.registries.list(scope="subscription")]
    path = f"{arm.group}/providers/{PROVIDER}/registries/{registry}"
    assert arm.request("PATCH", path, json={"tags": {"team": "ml"}}).json()["tags"] == {"team": "ml"}
    with pytest.raises(ResourceNotFoundError):
        ml.registries.get("no-such-registry")


@pytest.mark.parametrize(("name", "status"), [("a", 400), ("-ab", 400), ("a" * 34, 400), ("azureml", 409)])
def test_bad_names(arm: Arm, name: str, status: int) -> None:
    path = f"{arm.group}/providers/{PROVIDER}/registries/{name}"
    answer = arm.put(path, {"location": "eastus", "properties": {}})
    assert answer.status_code == status
    assert name in answer.json()["error"]["message"]


def test_region_without_a_location_is_refused(arm: Arm, name: str) -> None:
    path = f"{arm.group}/providers/{PROVIDER}/registries/{name}"
    answer = arm.put(path, {"location": "eastus", "properties": {"regionDetails": [{}]}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "LocationNotAvailableForResourceType")


def test_deleted_registry_takes_its_assets_and_files(
    ml: MLClient, arm: Arm, credential: ClientSecretCredential, folder: Path, name: str
) -> None:
    finish(ml.registries.begin_create(Registry(name=name, location="eastus", tags={}, replication_locations=[])))
    client = MLClient(credential, registry_name=name, enable_telemetry=False)
    path = client.models.create_or_update(Model(name="m", version="1", path=str(folder))).path
    container = path.split("/")[3]
    blobs = ContainerClient.from_container_url(f"https://{path.split('/')[2]}/{container}", credential=credential)
    assert blobs.exists()
    finish(ml.registries.begin_delete(name=name))
    assert not blobs.exists()
    assert arm.request("DELETE", f"{arm.group}/providers/{PROVIDER}/registries/{name}").status_code == 204
    with pytest.raises(HttpResponseError, match=f"Registry {name} was not found"):
        MLClient(credential, registry_name=name)


# --- assets ---


def test_model(shared: MLClient, registry: str, folder: Path, tmp_path: Path, name: str) -> None:
    made = shared.models.create_or_update(
        Model(name=name, version="1", path=str(folder), type="custom_model", description="d", tags={"a": "b"})
    )
    assert made.id == f"azureml://registries/{registry}/models/{name}/versions/1"
    assert made.path.startswith("https://")
    got = shared.models.get(name, version="1")
    assert (got.description, got.tags, got.type) == ("d", {"a": "b"}, "custom_model")
    shared.models.download(name, "1", download_path=str(tmp_path / "back"))
    assert files(tmp_path / "back") == {"ü b.txt": name, "top.txt": "top"}
    shared.models.create_or_update(Model(name=name, version="2", path=str(folder)))
    assert shared.models.get(name, label="latest").version == "2"
    assert {one.version for one in shared.models.list(name)} == {"1", "2"}
    assert name in {one.name for one in shared.models.list()}
    shared.models.archive(name, version="1")
    assert {one.version for one in shared.models.list(name)} == {"2"}
    shared.models.restore(name, version="1")
    assert {one.version for one in shared.models.list(name)} == {"1", "2"}
    got.tags["c"] = "d"
    assert shared.models.create_or_update(got).tags == {"a": "b", "c": "d"}


def test_files_of_others_are_no_assets_of_a_registry(
    ml: MLClient, arm: Arm, registry: str, folder: Path, name: str
) -> None:
    in_workspace = ml.models.create_or_update(Model(name=name, path=str(folder)))
    path = f"{arm.group}/providers/{PROVIDER}/registries/{registry}/models/{name}/versions/1"
    for uri in (in_workspace.path, f"https://{arm.settings.storage_account}.blob.core.windows.net/azureml/x"):
        answer = arm.put(path, {"properties": {"modelUri": uri}})
        assert answer.status_code == 400
        assert uri in answer.json()["error"]["message"]


ELSEWHERE = "azureml://datastores/workspaceblobstore/paths/x"


@pytest.mark.parametrize(
    ("kind", "properties", "said"),
    [
        ("models", {"modelUri": "https://["}, "properties.modelUri is 'https://['"),
        ("data", {"dataUri": "https://[", "dataType": "uri_folder"}, "properties.dataUri is 'https://['"),
        ("codes", {"codeUri": ELSEWHERE}, f"properties.codeUri is '{ELSEWHERE}'"),
        ("environments", {"build": {"contextUri": ELSEWHERE}}, f"properties.build.contextUri is '{ELSEWHERE}'"),
        ("components", {"componentSpec": {"type": "pipeline", "sourceJobId": "azureml:a"}}, "a registry has no jobs"),
    ],
)
def test_what_no_asset_of_a_registry_can_be_made_of(
    arm: Arm, registry: str, name: str, kind: str, properties: dict[str, Any], said: str
) -> None:
    path = f"{arm.group}/providers/{PROVIDER}/registries/{registry}/{kind}/{name}/versions/1"
    answer = arm.put(path, {"properties": properties})
    assert (answer.status_code, said in answer.json()["error"]["message"]) == (400, True), answer.text


def test_data(shared: MLClient, registry: str, folder: Path, name: str) -> None:
    made = shared.data.create_or_update(Data(name=name, version="1", path=str(folder), type="uri_folder"))
    assert made.id == f"azureml://registries/{registry}/data/{name}/versions/1"
    assert shared.data.get(name, version="1").type == "uri_folder"
    assert shared.data.get(name, label="latest").version == "1"
    assert [one.version for one in shared.data.list(name)] == ["1"]


def test_environment(shared: MLClient, registry: str, environment: Environment, tmp_path: Path, name: str) -> None:
    assert environment.id == f"azureml://registries/{registry}/environments/tiny/versions/1"
    assert shared.environments.get("tiny", label="latest").image == IMAGE
    assert "tiny" in [one.name for one in shared.environments.list()]
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\n")
    made = shared.environments.create_or_update(
        Environment(name=name, version="1", build=BuildContext(path=str(tmp_path)))
    )
    assert made.build.path.startswith("https://")


def test_through_resource_manager(arm: Arm, credential: ClientSecretCredential, registry: str, name: str) -> None:
    client = MachineLearningServicesMgmtClient(credential, arm.settings.subscription_id, polling_interval=1)
    scope = (arm.settings.resource_group, registry)
    wanted = aml.PendingUploadRequestDto(pending_upload_type="TemporaryBlobReference")
    pending = client.registry_code_versions.create_or_get_start_pending_upload(*scope, name, "1", wanted)
    reference = pending.blob_reference_for_consumption
    ContainerClient.from_container_url(reference.credential.sas_uri).upload_blob("src/a.py", b"1")
    code = aml.CodeVersion(properties=aml.CodeVersionProperties(code_uri=f"{reference.blob_uri}/src"))
    made = client.registry_code_versions.begin_create_or_update(*scope, name, "1", code).result(60)
    assert made.id == f"azureml://registries/{registry}/codes/{name}/versions/1"
    assert client.registry_code_versions.get(*scope, name, "1").properties.code_uri.endswith("/src")
    assert [one.name for one in client.registry_code_versions.list(*scope, name)] == ["1"]
    image = aml.EnvironmentVersion(properties=aml.EnvironmentVersionProperties(image=IMAGE))
    client.registry_environment_versions.begin_create_or_update(*scope, name, "1", image).result(60)
    container = client.registry_environment_containers.get(*scope, name)
    assert (container.id, container.properties.latest_version) == (
        f"azureml://registries/{registry}/environments/{name}",
        "1",
    )
    client.registry_environment_versions.begin_delete(*scope, name, "1").result(60)
    client.registry_code_versions.begin_delete(*scope, name, "1").result(60)
    with pytest.raises(ResourceNotFoundError):
        client.registry_code_versions.get(*scope, name, "1")


# --- sharing ---


def test_shared_model(ml: MLClient, shared: MLClient, registry: str, folder: Path, tmp_path: Path, name: str) -> None:
    ml.models.create_or_update(Model(name=name, version="3", path=str(folder), tags={"a": "b"}))
    made = ml.models.share(name, "3", registry_name=registry, share_with_name=name + "-new", share_with_version="7")
    assert made.id == f"azureml://registries/{registry}/models/{name}-new/versions/7"
    ml.models.archive(name)
    got = shared.models.get(name + "-new", version="7")
    assert got.tags == {"a": "b"}
    shared.models.download(name + "-new", "7", download_path=str(tmp_path / "back"))
    assert files(tmp_path / "back") == {"ü b.txt": name, "top.txt": "top"}
    with pytest.raises(ValidationException, match="already exists"):
        ml.models.share(name, "3", registry_name=registry, share_with_name=name + "-new", share_with_version="7")


def test_shared_file_environment_and_data(
    ml: MLClient, shared: MLClient, registry: str, folder: Path, name: str
) -> None:
    ml.data.create_or_update(Data(name=name, version="1", path=str(folder / "top.txt"), type="uri_file"))
    data = ml.data.share(name, "1", registry_name=registry, share_with_name=name, share_with_version="1")
    assert (data.type, data.path.rpartition("/")[2]) == ("uri_file", "top.txt")
    ml.environments.create_or_update(Environment(name=name, version="1", image=IMAGE, description="d"))
    made = ml.environments.share(name, "1", registry_name=registry, share_with_name=name, share_with_version="2")
    assert (made.version, made.image, made.description) == ("2", IMAGE, "d")
    assert shared.environments.get(name, version="2").image == IMAGE


def test_sharing_what_cannot_be_shared(arm: Arm, ml: MLClient, registry: str, name: str) -> None:
    guid = ml.workspaces.get(arm.settings.workspace)._workspace_id
    url = (
        f"https://eastus.api.azureml.ms/mferp/managementfrontend{arm.group}/providers/{PROVIDER}/registries/{registry}"
    )

    def refused(asset_id: Any) -> tuple[int, str]:
        answer = arm.session.post(
            f"{url}/import",
            params={"api-version": "2021-10-01-dataplanepreview"},
            json={"properties": {"sourceAssetId": asset_id, "destinationName": name, "destinationVersion": "1"}},
            headers={"Authorization": f"Bearer {arm.token}"},
            timeout=60,
        )
        return answer.status_code, answer.json()["error"]["message"]

    asset_id = "azureml://locations/eastus/workspaces/{}/{}/no-" + name + "/versions/1"
    assert refused(None)[0] == 400
    assert refused("azureml:m:1") == (400, refused("azureml:m:1")[1])
    assert refused(asset_id.format(guid, "components"))[0] == 501
    assert refused(asset_id.format(uuid.uuid4(), "models"))[0] == 404
    assert refused(asset_id.format(guid, "models"))[0] == 404
    uri = "azureml://datastores/workspaceblobstore/paths/nothing/here"
    arm.put(f"/models/{name}/versions/1", {"properties": {"modelUri": uri}})
    status, message = refused(asset_id.format(guid, "models").replace(f"/no-{name}/", f"/{name}/"))
    assert (status, "There are no files" in message) == (400, True)


# --- used in workspaces ---


@pytest.fixture(scope="module")
def component(shared: MLClient, environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A component whose code and environment lie in the registry."""
    folder = tmp_path_factory.mktemp("component")
    (folder / "src").mkdir()
    (folder / "src" / "shout.py").write_text(SCRIPT)
    (folder / "shout.yml").write_text(COMPONENT.format(name="shout", environment=environment.id))
    return shared.components.create_or_update(load_component(folder / "shout.yml"))


def test_component(shared: MLClient, registry: str, component: Any) -> None:
    assert component.id == f"azureml://registries/{registry}/components/shout/versions/1"
    got = shared.components.get("shout", version="1")
    assert got.code.startswith(f"azureml://registries/{registry}/codes/")
    assert got.environment == f"azureml://registries/{registry}/environments/tiny/versions/1"
    assert shared.components.get("shout").version == "1"
    assert "shout" in [one.name for one in shared.components.list()]


@pytest.fixture(scope="module")
def other_workspace(ml: MLClient, credential: ClientSecretCredential) -> Iterator[MLClient]:
    name = "w" + uuid.uuid4().hex[:10]
    finish(ml.workspaces.begin_create(Workspace(name=name, location="westus")))
    scope = ml._operation_scope
    client = MLClient(credential, scope.subscription_id, scope.resource_group_name, name, enable_telemetry=False)
    finish(client.compute.begin_create_or_update(AmlCompute(name="cpu", size="Standard_DS3_v2", max_instances=1)))
    yield client
    finish(ml.workspaces.begin_delete(name, delete_dependent_resources=False))


def test_one_component_in_the_pipelines_of_two_workspaces(
    ml: MLClient, cluster: str, other_workspace: MLClient, shared: MLClient, component: Any, tmp_path: Path
) -> None:
    shout = shared.components.get("shout", version="1")

    @dsl.pipeline
    def publish(text):  # type: ignore[no-untyped-def] # the SDK reads annotations as types
        return {"shouted": shout(text=text).outputs.shouted}

    jobs = []
    for client, compute in ((ml, cluster), (other_workspace, "cpu")):
        job = publish(text=f"in-{client.workspace_name}")
        job.settings.default_compute = compute
        jobs.append((client, client.jobs.create_or_update(job)))
    for client, job in jobs:
        ended(client, job.name)
        client.jobs.download(job.name, output_name="shouted", download_path=str(tmp_path / job.name))
        assert files(tmp_path / job.name) == {"a.txt": f"IN-{client.workspace_name}".upper()}


def ended(client: MLClient, name: str) -> None:
    statuses = ("Completed", "Failed", "Canceled")
    status = wait_for(lambda: _one_of(client.jobs.get(name).status, statuses), f"{name} has ended")
    if status != "Completed":
        client.jobs.stream(name)  # which raises what went wrong
    assert status == "Completed"


def _one_of(status: str, statuses: tuple[str, ...]) -> str | None:
    return status if status in statuses else None


PIPELINE = """
name: {name}
version: "1"
type: pipeline
inputs:
  text: {{type: string}}
outputs:
  shouted: {{type: uri_folder}}
jobs:
  shout:
    type: command
    component: {shout}
    inputs: {{text: "${{{{parent.inputs.text}}}}"}}
    outputs: {{shouted: "${{{{parent.outputs.shouted}}}}"}}
"""


def test_pipeline_component_of_a_registry_behind_a_batch_endpoint(
    ml: MLClient, shared: MLClient, registry: str, cluster: str, component: Any, tmp_path: Path, name: str
) -> None:
    (tmp_path / "pipeline.yml").write_text(PIPELINE.format(name=name, shout=f"azureml:{component.id}"))
    published = shared.components.create_or_update(load_component(tmp_path / "pipeline.yml"))
    assert published.id == f"azureml://registries/{registry}/components/{name}/versions/1"
    finish(ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name=name)))
    deployment = PipelineComponentBatchDeployment(
        name="blue", endpoint_name=name, component=published.id, settings={"default_compute": cluster}
    )
    made = finish(ml.batch_deployments.begin_create_or_update(deployment))
    assert made.component == published.id
    job = ml.batch_endpoints.invoke(name, deployment_name="blue", inputs={"text": Input(type="string", default="hi")})
    ended(ml, job.name)
    ml.jobs.download(job.name, output_name="shouted", download_path=str(tmp_path / "back"))
    assert files(tmp_path / "back") == {"a.txt": "HI"}
    finish(ml.batch_endpoints.begin_delete(name))


def test_assets_of_a_registry_in_a_command_job(
    ml: MLClient, shared: MLClient, registry: str, environment: Environment, cluster: str, folder: Path, name: str
) -> None:
    data = shared.data.create_or_update(Data(name=name, version="1", path=str(folder), type="uri_folder"))
    model = shared.models.create_or_update(Model(name=name, version="1", path=str(folder / "top.txt")))
    latest = f"azureml://registries/{registry}/models/{name}/labels/latest"
    job = ml.jobs.create_or_update(
        command(
            command="cat ${{inputs.data}}/deep/* ${{inputs.model}} ${{inputs.latest}} > ${{outputs.all}}/all.txt",
            environment=f"azureml://registries/{registry}/environments/tiny/labels/latest",
            compute=cluster,
            inputs={
                "data": Input(type="uri_folder", path=data.id),
                "model": Input(type="custom_model", path=model.id),
                "latest": Input(type="custom_model", path=latest),
            },
            outputs={"all": {"type": "uri_folder", "mode": "upload"}},
        )
    )
    ended(ml, job.name)
    back = folder / "back"
    ml.jobs.download(job.name, output_name="all", download_path=str(back))
    assert list(files(back).values()) == [f"{name}toptop"]


def test_what_a_registry_lacks_is_refused(arm: Arm, registry: str, job: dict[str, Any]) -> None:
    for registry_name in (registry, "no-such-registry"):
        missing = f"azureml://registries/{registry_name}/environments/none/versions/1"
        answer = arm.put(f"/jobs/{uuid.uuid4()}", {"properties": {**job, "environmentId": missing}})
        assert answer.status_code == 400
        assert "none" in answer.json()["error"]["message"]


# --- roles ---


def test_registry_user_makes_and_reads_assets(
    arm: Arm, registry: str, new_identity: NewClient, folder: Path, name: str
) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-manage-registries#add-users-to-the-registry."""
    credential, _ = new_identity("AzureML Registry User", f"{arm.group}/providers/{PROVIDER}/registries/{registry}")
    client = MLClient(credential, registry_name=registry, enable_telemetry=False)
    assert client.models.create_or_update(Model(name=name, version="1", path=str(folder))).version == "1"
    assert [one.version for one in client.models.list(name)] == ["1"]
    token = credential.get_token("https://management.azure.com/.default").token
    path = f"{arm.group}/providers/{PROVIDER}/registries/{registry}"
    assert Arm(arm.session, arm.settings, token).request("DELETE", path).status_code == 403


def test_reader_reads_assets_only(arm: Arm, registry: str, new_identity: NewClient, folder: Path, name: str) -> None:
    credential, _ = new_identity("Reader", f"{arm.group}/providers/{PROVIDER}/registries/{registry}")
    client = MLClient(credential, registry_name=registry, enable_telemetry=False)
    assert list(client.models.list()) is not None
    with pytest.raises(HttpResponseError, match=f"{REFUSED}write"):
        client.models.create_or_update(Model(name=name, version="1", path=str(folder)))


def test_assets_need_a_role_at_the_registry(
    arm: Arm, registry: str, environment: Environment, job: dict[str, Any], new_identity: NewClient
) -> None:
    credential, _ = new_identity("AzureML Data Scientist", arm.workspace)
    with pytest.raises(HttpResponseError, match=f"{PROVIDER}/registries/read"):
        MLClient(credential, registry_name=registry)
    token = credential.get_token("https://management.azure.com/.default").token
    body = {"properties": {**job, "environmentId": environment.id}}
    answer = Arm(arm.session, arm.settings, token).put(f"/jobs/{uuid.uuid4()}", body)
    assert (answer.status_code, f"{REFUSED}read" in answer.text) == (403, True)


def test_assets_of_another_workspace_need_a_role_there(
    arm: Arm, ml: MLClient, other_workspace: MLClient, job: dict[str, Any], new_identity: NewClient, name: str
) -> None:
    theirs = other_workspace.environments.create_or_update(Environment(name=name, version="1", image=IMAGE))
    other = f"{arm.group}/providers/{PROVIDER}/workspaces/{other_workspace.workspace_name}"
    inside = other.replace("/subscriptions/", "subscriptions/").replace("resourceGroups", "resourcegroups")
    inside = inside.replace(f"/providers/{PROVIDER}", "")
    bodies = (
        {**job, "environmentId": theirs.id},
        {
            **job,
            "inputs": {
                "data": {
                    "jobInputType": "uri_folder",
                    "uri": f"azureml://{inside}/datastores/workspaceblobstore/paths/x",
                }
            },
        },
    )
    credential, _ = new_identity("AzureML Data Scientist", arm.workspace)
    token = credential.get_token("https://management.azure.com/.default").token
    for body in bodies:
        answer = Arm(arm.session, arm.settings, token).put(f"/jobs/{uuid.uuid4()}", {"properties": body})
        assert (answer.status_code, f"over scope '{other}'" in answer.text) == (403, True), answer.text
        assert arm.put(f"/jobs/{uuid.uuid4()}", {"properties": body}).status_code == 201


def test_discovery_needs_a_token(arm: Arm, registry: str) -> None:
    url = f"https://eastus.api.azureml.ms/registrymanagement/v1.0/registries/{registry}/discovery"
    assert arm.session.get(url, timeout=60).status_code == 401
    headers = {"Authorization": "Bearer nonsense"}
    assert arm.session.get(url, headers=headers, timeout=60).status_code == 401


def test_azures_own_registry_has_no_address_here(credential: ClientSecretCredential) -> None:
    with pytest.raises(HttpResponseError, match="lacks the address of Azure's own registry") as refused:
        MLClient(credential, registry_name="azureml")
    assert refused.value.status_code == 501
