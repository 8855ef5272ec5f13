"""What the tests of the service share: waiting for conditions, plain requests, and deployments of a tiny script."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import CodeConfiguration, Environment, ManagedOnlineDeployment, OnlineRequestSettings
from azure.core.polling import LROPoller
from azure.identity import ClientSecretCredential
from azure.storage.blob import ContainerClient

from azureml_local.home import Settings
from running_service import wait_for

SCRIPTS = Path(__file__).parent / "scripts"
SECONDS = 60
SECONDS_TO_BUILD = 400  # an environment, whose packages may have to be downloaded
API_VERSION = "2024-10-01"
PROVIDER = "Microsoft.MachineLearningServices"
Result = TypeVar("Result")
NewClient = Callable[..., tuple[ClientSecretCredential, str]]  # makes an identity, and returns its name with it


def finish(poller: LROPoller[Result], timeout: float = SECONDS) -> Result:
    """Return a long-running operation's result; an operation that hangs fails the test."""
    poller.wait(timeout)
    assert poller.done(), f"the operation did not end within {timeout} s"
    return poller.result()


class Arm:
    """Plain requests to Resource Manager; paths begin at the workspace unless they begin as the subscription's do."""

    def __init__(self, session: requests.Session, settings: Settings, token: str) -> None:
        self.session = session
        self.settings = settings
        self.token = token
        self.subscription = f"/subscriptions/{settings.subscription_id}"
        self.group = f"{self.subscription}/resourceGroups/{settings.resource_group}"
        self.region = f"{self.subscription}/providers/{PROVIDER}/locations/{settings.location}"
        self.workspace = f"{self.group}/providers/{PROVIDER}/workspaces/{settings.workspace}"

    def request(self, method: str, path: str, json: Any = None, **options: Any) -> requests.Response:
        """Send a request with a token and an api-version, unless ``headers`` and ``params`` say otherwise."""
        if not path.startswith(("/subscriptions", "/tenants")):
            path = self.workspace + path
        options.setdefault("params", {"api-version": API_VERSION})
        options.setdefault("headers", {"Authorization": f"Bearer {self.token}"})
        options.setdefault("timeout", SECONDS)
        return self.session.request(method, f"https://management.azure.com{path}", json=json, **options)

    def get(self, path: str, **query: str) -> requests.Response:
        """GET with query parameters (``top`` stands for ``$top`` and so on)."""
        parameters = {("$" + key if key in ("top", "skip", "orderBy") else key): value for key, value in query.items()}
        return self.request("GET", path, params={"api-version": API_VERSION, **parameters})

    def put(self, path: str, body: Any) -> requests.Response:
        return self.request("PUT", path, json=body)

    def ended(self, response: requests.Response) -> dict[str, Any]:
        """Poll a begun operation to its end, as Azure's protocol says, and return its last status."""
        url = response.headers["Azure-AsyncOperation"]

        def last() -> dict[str, Any] | None:
            answer = self.session.get(url, headers={"Authorization": f"Bearer {self.token}"}, timeout=SECONDS)
            assert answer.status_code == 200
            status: dict[str, Any] = answer.json()
            return status if status["status"] in ("Succeeded", "Failed", "Canceled") else None

        status = wait_for(last)
        assert status is not None
        return status


@dataclass(frozen=True)
class Deployed:
    """An endpoint whose deployments serve."""

    endpoint: str
    scoring_uri: str
    primary_key: str
    secondary_key: str
    environment: Environment


class Collected:
    """What lies in a container below the folder of an endpoint's collected data."""

    def __init__(self, container: ContainerClient, folder: str) -> None:
        self.container = container
        self.folder = folder

    def names(self, collection: str) -> list[str]:
        return list(self.container.list_blob_names(name_starts_with=f"{self.folder}/{collection}/"))

    def events(self, collection: str) -> list[dict[str, Any]]:
        files = [name for name in self.names(collection) if name.endswith(".jsonl")]
        texts = [self.container.download_blob(name).readall().decode() for name in files]
        return [json.loads(line) for text in texts for line in text.splitlines()]

    def wait(self, collection: str, count: int = 1) -> list[dict[str, Any]]:
        wait_for(lambda: len(self.events(collection)) >= count, f"{count} events of {collection}")
        return self.events(collection)


class WithoutNagle(requests.adapters.HTTPAdapter):
    """Sends what it has at once: towards a proxy, urllib3 waits for acknowledgements (40 ms) before it sends a body."""

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)], **options)


def quick_session() -> requests.Session:
    """Return a session for tests that send many requests."""
    session = requests.Session()
    session.mount("https://", WithoutNagle())
    return session


class Scorer:
    """Plain requests to an endpoint."""

    def __init__(self, session: requests.Session, uri: str, key: str) -> None:
        self.session = session
        self.uri = uri
        self.key = key

    def post(self, json: Any = None, *, deployment: str | None = None, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        if deployment is not None:
            headers["azureml-model-deployment"] = deployment
        return self.session.post(self.uri, json=json, headers=headers, timeout=SECONDS, **options)


def deploy(
    ml: MLClient,
    endpoint: str,
    deployment: str,
    *,
    environment: Environment,
    script: str = "score.py",
    request_settings: dict[str, int] | None = None,
    **options: Any,
) -> LROPoller[ManagedOnlineDeployment]:
    """Begin a deployment of one of the tests' scripts."""
    options.setdefault("environment_variables", {"DEPLOYMENT": deployment})
    options.setdefault("instance_type", "Standard_DS3_v2")
    options.setdefault("instance_count", 1)
    return ml.online_deployments.begin_create_or_update(
        ManagedOnlineDeployment(
            name=deployment,
            endpoint_name=endpoint,
            environment=environment,
            code_configuration=CodeConfiguration(code=str(SCRIPTS), scoring_script=script),
            request_settings=OnlineRequestSettings(**request_settings) if request_settings else None,
            **options,
        )
    )
