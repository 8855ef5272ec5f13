"""The SDK's own local deployments, ``local=True``, as tests make them on a real Docker engine and on the stand-in."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from azure.ai.ml import MLClient, load_environment
from azure.ai.ml.entities import CodeConfiguration, Environment, ManagedOnlineDeployment, ManagedOnlineEndpoint, Model

INFERENCE_IMAGE = Path(__file__).parents[1] / "environments" / "inference"
# How a container of that image listens. It comes from YAML: with a dict in code, azure-ai-ml 1.35.2 ends in an
# AttributeError, for its local deployments read objects.
LISTENS = """
inference_config:
  liveness_route: {port: 5001, path: /}
  readiness_route: {port: 5001, path: /}
  scoring_route: {port: 5001, path: /score}
"""
ADDING = """
import json, os
from pathlib import Path

def init():
    global amount
    amount = json.loads(Path(os.environ["AZUREML_MODEL_DIR"], "amount.json").read_text())
    print("the amount is", amount)

def run(data):
    return [number + amount for number in json.loads(data)["numbers"]]
"""
BROKEN = "import a_module_that_nobody_has"
SECONDS = 60


def that_listens(image: str, folder: Path) -> Environment:
    """Return an environment that says where its image listens: the SDK starts it as it is, and builds nothing on it."""
    file = folder / "environment.yml"
    file.write_text(f"name: listens\nimage: {image}\n{LISTENS}")
    return load_environment(file)


@dataclass
class LocalDeployment:
    """A deployment ``blue`` below an endpoint of its own, of a script in ``folder``."""

    ml: MLClient
    folder: Path
    environment: Environment
    endpoint: str

    @classmethod
    def of(cls, ml: MLClient, folder: Path, environment: Environment) -> LocalDeployment:
        """Write a model and the script :data:`ADDING`; nothing is deployed yet."""
        (folder / "model").mkdir()
        (folder / "model" / "amount.json").write_text("10")
        (folder / "code").mkdir()
        made = cls(ml, folder, environment, f"local-{uuid.uuid4().hex[:8]}")
        made.write(ADDING)
        return made

    def write(self, script: str) -> None:
        """Replace the scoring script."""
        (self.folder / "code" / "score.py").write_text(script)

    def create_endpoint(self) -> ManagedOnlineEndpoint:
        """Create the endpoint on this machine."""
        endpoint = ManagedOnlineEndpoint(name=self.endpoint, auth_mode="key")
        return self.ml.online_endpoints.begin_create_or_update(endpoint, local=True)

    def deploy(self) -> ManagedOnlineDeployment:
        """Create the deployment, or update it."""
        return self.ml.online_deployments.begin_create_or_update(
            ManagedOnlineDeployment(
                name="blue",
                endpoint_name=self.endpoint,
                model=Model(path=self.folder / "model" / "amount.json"),
                environment=self.environment,
                code_configuration=CodeConfiguration(code=str(self.folder / "code"), scoring_script="score.py"),
                instance_type="Standard_DS3_v2",
                instance_count=1,
            ),
            local=True,
        )

    def uri(self) -> str:
        """Return the address that the SDK tells."""
        return str(self.ml.online_endpoints.get(self.endpoint, local=True).scoring_uri)

    def score(self, *numbers: int) -> Any:
        """Score by plain HTTP, without a key."""
        answer = requests.post(self.uri(), json={"numbers": numbers}, timeout=SECONDS)
        return answer.json() if answer.ok else answer.status_code

    def invoke(self, *numbers: int) -> Any:
        """Score as the SDK does."""
        request = self.folder / "request.json"
        request.write_text(json.dumps({"numbers": numbers}))
        return json.loads(self.ml.online_endpoints.invoke(self.endpoint, request_file=str(request), local=True))

    def log(self) -> str:
        """Return the end of its log."""
        return str(self.ml.online_deployments.get_logs("blue", self.endpoint, lines=200, local=True))

    def state(self) -> str:
        """Return what the SDK says of it: ``Succeeded`` or ``Failed``."""
        return str(self.ml.online_deployments.get("blue", self.endpoint, local=True).provisioning_state)

    def names(self) -> list[str]:
        """Return the endpoints on this machine."""
        return [endpoint.name for endpoint in self.ml.online_endpoints.list(local=True)]

    def delete(self) -> None:
        """Delete endpoint and deployment."""
        self.ml.online_endpoints.begin_delete(self.endpoint, local=True)
