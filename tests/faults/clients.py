"""Azure's own clients of one service, which read no environment variables and never repeat a request by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import requests
from azure.identity import ClientSecretCredential
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient
from azure.mgmt.machinelearningservices import models as aml
from azure.storage.blob import BlobServiceClient, ContainerClient

from running_service import RunningService

SCRIPT = Path(__file__).parent.parent / "service" / "scripts" / "score.py"
IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
SECONDS = 120
Result = TypeVar("Result")


class Clients:
    """The clients, and a deployment's parts once :meth:`upload_script` has been called."""

    def __init__(self, started: RunningService, retries: int = 0) -> None:
        settings = started.settings
        self.settings = settings
        self.certificates = started.environment["REQUESTS_CA_BUNDLE"]
        self.proxies = {"https": f"http://127.0.0.1:{started.port}"}
        transport: dict[str, Any] = {"proxies": self.proxies, "connection_verify": self.certificates}
        self.credential = ClientSecretCredential(
            settings.tenant_id, settings.client_id, settings.client_secret, **transport
        )
        self.scope = (settings.resource_group, settings.workspace)
        self.management = MachineLearningServicesMgmtClient(
            self.credential, settings.subscription_id, retry_total=retries, polling_interval=1, **transport
        )
        address = f"https://{settings.storage_account}.blob.core.windows.net"
        # Blob clients connect again by themselves unless every kind of repetition is off.
        self.blobs = BlobServiceClient(address, settings.storage_key, retry_total=retries, **transport)
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.proxies = self.proxies
        self.session.verify = self.certificates

    def upload_code(self, script: Path) -> str:
        """Upload a script, and return its code version's id."""
        name = script.stem.replace("_", "-")
        pending = self.management.code_versions.create_or_get_start_pending_upload(
            *self.scope, name, "1", aml.PendingUploadRequestDto(pending_upload_type="TemporaryBlobReference")
        )
        reference = pending.blob_reference_for_consumption
        sas = reference.credential.sas_uri  # type: ignore[union-attr]
        container = ContainerClient.from_container_url(
            sas, proxies=self.proxies, connection_verify=self.certificates, retry_total=0
        )
        container.upload_blob(f"src/{script.name}", script.read_bytes())
        properties = aml.CodeVersionProperties(code_uri=f"{reference.blob_uri}/src")  # type: ignore[union-attr]
        code = self.management.code_versions.create_or_update(
            *self.scope, name, "1", aml.CodeVersion(properties=properties)
        )
        return str(code.id)

    def upload_script(self, script: Path = SCRIPT) -> None:
        """Upload a scoring script and register an environment."""
        environment = self.management.environment_versions.create_or_update(
            *self.scope,
            "tiny",
            "1",
            aml.EnvironmentVersion(properties=aml.EnvironmentVersionProperties(image=IMAGE)),
        )
        self._script = script.name
        self._code_id, self._environment_id = self.upload_code(script), environment.id

    def endpoint(self, traffic: dict[str, int] | None = None) -> aml.OnlineEndpoint:
        """Return the body of an endpoint."""
        properties = aml.OnlineEndpointProperties(auth_mode="Key", traffic=traffic or {})
        return aml.OnlineEndpoint(
            location="eastus", identity=aml.ManagedServiceIdentity(type="SystemAssigned"), properties=properties
        )

    def deployment(self, variant: str, instances: int = 1) -> aml.OnlineDeployment:
        """Return the body of a deployment whose answers name ``variant``."""
        return aml.OnlineDeployment(
            location="eastus",
            sku=aml.Sku(name="Default", capacity=instances),
            properties=aml.ManagedOnlineDeployment(
                code_configuration=aml.CodeConfiguration(code_id=self._code_id, scoring_script=self._script),
                environment_id=self._environment_id,
                environment_variables={"DEPLOYMENT": variant},
                instance_type="Standard_DS3_v2",
            ),
        )

    def score(self, endpoint: str, key: str, deployment: str | None = None) -> requests.Response:
        """Ask an endpoint, or one of its deployments, for a score."""
        headers = {"Authorization": f"Bearer {key}"}
        if deployment:
            headers["azureml-model-deployment"] = deployment
        address = f"https://{endpoint}.eastus.inference.ml.azure.com/score"
        return self.session.post(address, json={}, headers=headers, timeout=SECONDS)

    def create_experiment(self, name: str) -> requests.Response:
        """Create an experiment through MLflow's API."""
        workspace = self.management.workspaces.get(*self.scope)
        address = str(workspace.ml_flow_tracking_uri).replace("azureml://", "https://")
        token = self.credential.get_token("https://management.azure.com/.default").token
        return self.session.post(
            f"{address}/api/2.0/mlflow/experiments/create",
            json={"name": name},
            headers={"Authorization": f"Bearer {token}"},
            timeout=SECONDS,
        )
