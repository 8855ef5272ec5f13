"""The official clients, pointed at the session's service by environment variables alone, as a user's are."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.constants._endpoint import EndpointInvokeFields
from azure.ai.ml.entities import AmlCompute, Environment, ManagedOnlineEndpoint, Model
from azure.identity import ClientSecretCredential
from azure.storage.blob import ContainerClient
from checker import Contract
from support import Arm, Deployed, NewClient, Scorer, deploy, finish, quick_session

from azureml_local import admin
from running_service import RunningService


@pytest.fixture(scope="package", autouse=True)
def client_variables(service: RunningService) -> Iterator[None]:
    """Set what ``azureml-local env`` prints, for the tests of this folder only."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in service.environment.items():
            patch.setenv(name, value)
        logging.getLogger("azure").setLevel(logging.ERROR)
        yield


@pytest.fixture(scope="package", autouse=True)
def contract() -> Iterator[Contract]:
    """Hold every answer of the control plane against the official clients' models, whoever asked for it."""
    contract = Contract()
    send = requests.Session.send

    def checked(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        response = send(session, request, **options)
        contract.check(response)
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Session, "send", checked)
        yield contract


@pytest.fixture(scope="package")
def credential(service: RunningService, client_variables: None) -> ClientSecretCredential:
    return ClientSecretCredential(
        service.settings.tenant_id, service.settings.client_id, service.settings.client_secret
    )


@pytest.fixture(scope="package")
def ml(service: RunningService, credential: ClientSecretCredential) -> MLClient:
    settings = service.settings
    return MLClient(
        credential, settings.subscription_id, settings.resource_group, settings.workspace, enable_telemetry=False
    )


@pytest.fixture(scope="package")
def blobstore(ml: MLClient, credential: ClientSecretCredential) -> ContainerClient:
    """The container of the workspace's default datastore."""
    store = ml.datastores.get("workspaceblobstore")
    url = f"https://{store.account_name}.blob.core.windows.net"
    return ContainerClient(url, store.container_name, credential=credential)


@pytest.fixture(scope="package")
def arm(service: RunningService, credential: ClientSecretCredential) -> Iterator[Arm]:
    with quick_session() as session:
        token = credential.get_token("https://management.azure.com/.default").token
        yield Arm(session, service.settings, token)


@pytest.fixture(scope="package")
def cluster(ml: MLClient) -> Iterator[str]:
    """The name of a cluster of at most two nodes."""
    name = "c" + uuid.uuid4().hex[:10]
    finish(
        ml.compute.begin_create_or_update(
            AmlCompute(name=name, size="Standard_DS3_v2", max_instances=2, idle_time_before_scale_down=600)
        )
    )
    yield name
    finish(ml.compute.begin_delete(name))


@pytest.fixture(scope="package")
def job(ml: MLClient, cluster: str) -> dict[str, Any]:
    """The properties of a job that can be submitted, and that fails at once: its environment cannot be built."""
    image = "example.azurecr.io/unknown:1"
    environment = ml.environments.create_or_update(Environment(name="unknown-image", image=image))
    return {"jobType": "Command", "command": "true", "computeId": cluster, "environmentId": environment.id}


@pytest.fixture(autouse=True)
def headers_of_invoke(monkeypatch: pytest.MonkeyPatch) -> None:
    """azure-ai-ml keeps the deployment that one call of ``invoke`` names for all later ones of the process."""
    monkeypatch.setattr(EndpointInvokeFields, "DEFAULT_HEADER", dict(EndpointInvokeFields.DEFAULT_HEADER))


@pytest.fixture
def new_identity(service: RunningService) -> Iterator[NewClient]:
    """Make an identity with a role at a scope."""
    names = []

    def create(role: str, scope: str) -> tuple[ClientSecretCredential, str]:
        name = "i" + uuid.uuid4().hex[:10]
        made = admin.call(service.home, "POST", "/identities", {"name": name, "role": role, "scope": scope})
        names.append(name)
        return (
            ClientSecretCredential(made["AZURE_TENANT_ID"], made["AZURE_CLIENT_ID"], made["AZURE_CLIENT_SECRET"]),
            name,
        )

    yield create
    for name in names:
        admin.call(service.home, "DELETE", f"/identities/{name}")


@pytest.fixture
def name() -> str:
    """A name that no other test uses, good for any kind of resource."""
    return "t" + uuid.uuid4().hex[:10]


@pytest.fixture(scope="package")
def deployed(ml: MLClient, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """An endpoint with the deployments ``blue`` (all traffic) and ``green`` (1 s for a request), both serving."""
    folder = tmp_path_factory.mktemp("deployed")
    model_folder = folder / "weights"
    (model_folder / "inner dir").mkdir(parents=True)
    # Names that have to be escaped in URLs, in signatures, or in both.
    for path in ("plain.txt", "inner dir/a+b 100%.txt", "grüße.txt", "q?=&#.txt"):
        (model_folder / path).write_text(f"content of {path}")
    single = folder / "single.bin"
    single.write_bytes(bytes(range(256)))
    endpoint_name = "ep-" + uuid.uuid4().hex[:8]
    endpoint = finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=endpoint_name)))
    environment = ml.environments.create_or_update(
        Environment(name="tiny", image="mcr.microsoft.com/azureml/minimal-py311-inference")
    )
    models = {
        "blue": ml.models.create_or_update(Model(name="weights", path=str(model_folder))),
        "green": ml.models.create_or_update(Model(name="single", path=str(single))),
    }
    pollers = [
        deploy(ml, endpoint_name, "blue", model=models["blue"], environment=environment),
        deploy(
            ml,
            endpoint_name,
            "green",
            model=models["green"],
            environment=environment,
            request_settings={"request_timeout_ms": 1000, "max_concurrent_requests_per_instance": 4},
        ),
    ]
    for poller in pollers:
        finish(poller)
    endpoint.traffic = {"blue": 100, "green": 0}
    endpoint = finish(ml.online_endpoints.begin_create_or_update(endpoint))
    keys = ml.online_endpoints.get_keys(endpoint_name)
    return Deployed(endpoint_name, endpoint.scoring_uri, keys.primary_key, keys.secondary_key, environment)


@pytest.fixture
def scorer(deployed: Deployed) -> Iterator[Scorer]:
    """Plain HTTP to the shared endpoint with its primary key."""
    with quick_session() as session:
        yield Scorer(session, deployed.scoring_uri, deployed.primary_key)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """A file that requests to the model wait for; it exists at the latest when the test ends."""
    path = tmp_path / "gate"
    yield path
    path.touch()
