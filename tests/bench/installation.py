"""The service under test, in a state folder of its own, and the few calls of its clients that the benchmark needs.

The calls are plain HTTP: an SDK's own time would be the larger part of what is measured.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import requests

from azureml_local.home import Home
from azureml_local.store import Store

ARM = "https://management.azure.com"
API = {"api-version": "2024-10-01"}
MONITOR_API = {"api-version": "2021-05-01-preview"}
LOG_WORKSPACE = "workbook-logs"
BLOB_HEADERS = {"x-ms-version": "2021-12-02", "x-ms-blob-type": "BlockBlob"}
COMMAND = str(Path(sys.executable).with_name("azureml-local"))
STARTS_WITHIN = 60  # seconds
UPLOADS = 4  # at a time
IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
INSTANCE_TYPE = "Standard_DS1_v2"
MOST_CONNECTIONS = 64
# The router refuses what would have to wait: so many that it never does.
REQUEST_SETTINGS = {"maxConcurrentRequestsPerInstance": MOST_CONNECTIONS}
SCRIPTS = Path(__file__).with_name("scripts")


class Installation:
    """A state folder in ``/tmp``; ends the service and deletes the folder when it is left."""

    def __init__(self) -> None:
        # Not the system's temporary folder: on macOS its path is too long for the sockets below it.
        self.root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp"))
        self.port = 0
        self.pid = 0

    def __enter__(self) -> Installation:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self.root)

    @property
    def authority(self) -> str:
        """The file of the authority that certifies the served hosts."""
        return str(self.root / "tls" / "ca.pem")

    def start(self, *options: str) -> float:
        """Start the service, with options of its command line, and return how many seconds it took."""
        began = time.perf_counter()
        self._run("start", *options)
        elapsed = time.perf_counter() - began
        status = self.status()
        self.pid, self.port = status["pid"], status["port"]
        return elapsed

    def stop(self) -> None:
        """End the service, if it runs."""
        self._run("stop")

    def status(self) -> dict[str, Any]:
        """Return what ``azureml-local status --json`` says."""
        return json.loads(self._run("status", "--json"))

    def fill(self, count: int) -> None:
        """Store jobs that have completed, as if they had been run; the service must not run meanwhile."""
        store = Store(Home(self.root).database)
        (workspace,) = store.all_of("workspaces")
        with store.transaction():
            for number in range(count):
                body = {"properties": job_properties(workspace.id, number), "run": {"statusRevision": 5}}
                store.put(f"{workspace.id}/jobs/job-{number}", "workspaces/jobs", workspace.id, body, "bench")
        store.close()

    def instances(self) -> set[Path]:
        """Return the sockets of the instances that serve; other parts of the service have sockets beside them."""
        return set((self.root / "run").glob("[0-9a-f]" * 8 + ".sock"))

    def _run(self, *arguments: str) -> str:
        finished = subprocess.run(
            [COMMAND, *arguments],
            env={**os.environ, "AZUREML_LOCAL_HOME": str(self.root)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=STARTS_WITHIN,
            check=True,
        )
        return finished.stdout

    def variables(self) -> dict[str, str]:
        """Return the variables for clients."""
        return json.loads(self._run("env", "--json"))

    def workspace(self) -> str:
        """Return the default workspace's id."""
        config = json.loads(self._run("config"))
        return (
            f"/subscriptions/{config['subscription_id']}/resourceGroups/{config['resource_group']}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{config['workspace_name']}"
        )


class Client:
    """A client of a running service: signed in, with code and an environment registered, and a model of no content."""

    def __init__(self, installation: Installation) -> None:
        variables = installation.variables()
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.proxies = {"https": variables["HTTPS_PROXY"]}
        self.session.verify = variables["REQUESTS_CA_BUNDLE"]
        self.workspace = installation.workspace()
        self._variables = variables
        self.tenant = variables["AZURE_TENANT_ID"]
        self.token = self.new_token(f"{ARM}/.default")
        self._headers = {"Authorization": f"Bearer {self.token}"}
        self._storage_token = self.new_token("https://storage.azure.com/.default")
        self.model = self.register_model("bench", {"model.txt": b""}, "custom_model")
        self.code = self.register_code({script.name: script.read_bytes() for script in SCRIPTS.glob("*.py")})
        self.environment = self.register_environment("bench", image=IMAGE)

    def create_endpoint(self, name: str) -> dict[str, Any]:
        """Create an endpoint that uses keys, and return it."""
        return self._put_endpoint(name, {})

    def deploy(self, endpoint: str, deployment: str, properties: dict[str, Any], instances: int = 1) -> None:
        """Create or update a deployment, give it all traffic, and return once it serves."""
        self.ended(self.begin_deployment(endpoint, deployment, properties, instances))
        self._put_endpoint(endpoint, {deployment: 100})

    def begin_deployment(
        self, endpoint: str, deployment: str, properties: dict[str, Any], instances: int
    ) -> requests.Response:
        """Begin to create or update a deployment, and return the answer that says where the operation stands."""
        body = {
            "location": "eastus",
            "sku": {"name": "Default", "tier": "Standard", "capacity": instances},
            "properties": {"endpointComputeType": "Managed", "instanceType": INSTANCE_TYPE, **properties},
        }
        return self.put(f"/onlineEndpoints/{endpoint}/deployments/{deployment}", body)

    def scripted(self, script: str, model: str | None = None, **variables: str) -> dict[str, Any]:
        """Return the properties of a deployment of one of the benchmark's scripts, with these environment variables."""
        return {
            "model": model or self.model,
            "environmentId": self.environment,
            "codeConfiguration": {"codeId": self.code, "scoringScript": script},
            "environmentVariables": variables,
            "requestSettings": REQUEST_SETTINGS,
        }

    def endpoint(self, name: str) -> dict[str, Any]:
        """Return an endpoint."""
        answer = self.session.get(self._url(f"/onlineEndpoints/{name}"), params=API, headers=self._headers)
        return _checked(answer).json()

    def delete_deployment(self, endpoint: str, deployment: str) -> None:
        """Delete a deployment."""
        self._put_endpoint(endpoint, {})
        answer = self.session.delete(
            self._url(f"/onlineEndpoints/{endpoint}/deployments/{deployment}"), params=API, headers=self._headers
        )
        self.ended(answer)

    def list_jobs(self) -> int:
        """List the first page of the workspace's jobs, and return how many it holds."""
        answer = self.session.get(self._url("/jobs"), params=API, headers=self._headers)
        return len(_checked(answer).json()["value"])

    def log_traffic(self, endpoint: str) -> None:
        """Send an endpoint's traffic and console logs to the Log Analytics workspace that is there from the start."""
        group = self.workspace.partition("/providers/")[0]
        properties = {
            "workspaceId": f"{group}/providers/Microsoft.OperationalInsights/workspaces/{LOG_WORKSPACE}",
            "logs": [{"category": f"AmlOnlineEndpoint{kind}Log", "enabled": True} for kind in ("Traffic", "Console")],
        }
        url = self._url(f"/onlineEndpoints/{endpoint}/providers/Microsoft.Insights/diagnosticSettings/bench")
        answer = self.session.put(url, params=MONITOR_API, headers=self._headers, json={"properties": properties})
        _checked(answer)

    def create_cluster(self, name: str, nodes: int = 1) -> None:
        """Create a cluster of at most ``nodes`` nodes, which stay once they are there."""
        scale = {"minNodeCount": 0, "maxNodeCount": nodes, "nodeIdleTimeBeforeScaleDown": "PT1H"}
        properties = {"vmSize": "STANDARD_DS3_V2", "scaleSettings": scale}
        body = {"location": "eastus", "properties": {"computeType": "AmlCompute", "properties": properties}}
        self.ended(self.put(f"/computes/{name}", body))

    def run_job(self, cluster: str, command: str, **properties: Any) -> str:
        """Run a command job, with further properties, until it has completed, and return its name."""
        name = f"job-{uuid.uuid4().hex[:12]}"
        body = {
            "jobType": "Command",
            "command": command,
            "environmentId": self.environment,
            "computeId": f"{self.workspace}/computes/{cluster}",
            **properties,
        }
        self.put(f"/jobs/{name}", {"properties": body})
        self.job_completed(name)
        return name

    def job_completed(self, name: str) -> None:
        """Return once a job has completed."""
        url = self._url(f"/jobs/{name}")
        while True:
            status = _checked(self.session.get(url, params=API, headers=self._headers)).json()["properties"]["status"]
            if status == "Completed":
                return
            if status in ("Failed", "Canceled"):
                raise RuntimeError(f"{name} is {status}")
            time.sleep(0.01)

    def job_log(self, name: str) -> str:
        """Return what a job said."""
        return self.blob(f"ExperimentRun/dcid.{name}/user_logs/std_log.txt", "azureml").decode()

    def blob(self, path: str, container: str | None = None) -> bytes:
        """Return what a container holds at a path; the default datastore's container unless one is named."""
        headers = {"x-ms-version": BLOB_HEADERS["x-ms-version"], "Authorization": f"Bearer {self._storage_token}"}
        url = f"https://{self._account}.blob.core.windows.net/{container or self._container}/{path}"
        return _checked(self.session.get(url, headers=headers)).content

    def key(self, endpoint: str) -> str:
        """Return an endpoint's primary key."""
        answer = self.session.post(
            self._url(f"/onlineEndpoints/{endpoint}/listKeys"), params=API, headers=self._headers
        )
        return _checked(answer).json()["primaryKey"]

    def score(self, uri: str, key: str, body: str) -> None:
        """Ask the model once."""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        _checked(self.session.post(uri, data=body, headers=headers))

    def _put_endpoint(self, name: str, traffic: dict[str, int]) -> dict[str, Any]:
        body = {"location": "eastus", "properties": {"authMode": "Key", "traffic": traffic}}
        self.ended(self.put(f"/onlineEndpoints/{name}", body))
        return self.endpoint(name)

    def ended(self, begun: requests.Response) -> None:
        """Ask for an operation's state, as often as the service says, until it has succeeded."""
        url = begun.headers["Azure-AsyncOperation"]
        while (answer := _checked(self.session.get(url, headers=self._headers))).json()["status"] != "Succeeded":
            if answer.json()["status"] == "Failed":
                raise RuntimeError(answer.text)
            time.sleep(int(answer.headers["x-ms-retry-after-ms"]) / 1000)

    def register_model(self, name: str, files: Mapping[str, bytes], kind: str) -> str:
        """Upload a model's files, by their path in its folder, register it, and return its id."""
        uri = self.upload(files)
        properties = {"modelUri": uri, "modelType": kind, "tags": {"made by": "make bench"}}
        return self.put(f"/models/{name}/versions/1", {"properties": properties}).json()["id"]

    def upload(self, files: Mapping[str, bytes]) -> str:
        """Upload files, by their path in a folder, and return the folder's address in the default datastore."""
        store = self.session.get(self._url("/datastores/workspaceblobstore"), params=API, headers=self._headers)
        datastore = _checked(store).json()["properties"]
        self._account, self._container = datastore["accountName"], datastore["containerName"]
        folder = f"LocalUpload/{uuid.uuid4().hex}/files"
        container = f"https://{self._account}.blob.core.windows.net/{self._container}"
        headers = {**BLOB_HEADERS, "Authorization": f"Bearer {self._storage_token}"}
        with ThreadPoolExecutor(UPLOADS) as threads:
            for _ in threads.map(
                lambda path: _checked(
                    self.session.put(f"{container}/{folder}/{path}", data=files[path], headers=headers)
                ),
                files,
            ):
                pass
        return f"azureml://datastores/workspaceblobstore/paths/{folder}"

    def register_environment(self, name: str, **properties: str) -> str:
        """Register an environment of an image, and perhaps a conda file, and return its id."""
        return self.put(f"/environments/{name}/versions/1", {"properties": properties}).json()["id"]

    def register_code(self, files: Mapping[str, bytes]) -> str:
        """Upload code, by the files' paths in its folder, register it, and return its id."""
        version = f"/codes/{uuid.uuid4()}/versions/1"
        upload = _checked(
            self.session.post(self._url(f"{version}/startPendingUpload"), params=API, headers=self._headers, json={})
        ).json()["blobReferenceForConsumption"]
        folder = f"{upload['blobUri']}/src"
        signature = urlsplit(upload["credential"]["sasUri"]).query
        for path, content in files.items():
            _checked(self.session.put(f"{folder}/{path}?{signature}", data=content, headers=BLOB_HEADERS))
        return self.put(version, {"properties": {"codeUri": folder}}).json()["id"]

    def new_token(self, scope: str) -> str:
        """Sign in, and return the token."""
        url = f"https://login.microsoftonline.com/{self.tenant}/oauth2/v2.0/token"
        return _checked(self.session.post(url, data=self.sign_in(scope))).json()["access_token"]

    def sign_in(self, scope: str) -> dict[str, str]:
        """Return the form that asks for a token."""
        return {
            "grant_type": "client_credentials",
            "client_id": self._variables["AZURE_CLIENT_ID"],
            "client_secret": self._variables["AZURE_CLIENT_SECRET"],
            "scope": scope,
        }

    def put(self, path: str, body: dict[str, Any]) -> requests.Response:
        """Create or update what is at a path below the workspace."""
        return _checked(self.session.put(self._url(path), params=API, headers=self._headers, json=body))

    def get_json(self, url: str) -> Any:
        """Return what is at an address, in JSON."""
        return _checked(self.session.get(url, headers=self._headers)).json()

    def post_json(self, url: str, body: Any, token: str) -> Any:
        """Send JSON to an address, and return its answer."""
        return _checked(self.session.post(url, json=body, headers={"Authorization": f"Bearer {token}"})).json()

    def _url(self, path: str) -> str:
        return f"{ARM}{self.workspace}{path}"


def job_properties(workspace: str, number: int) -> dict[str, Any]:
    """Return what the service stores of a command job that has completed; its size is what matters here."""
    services = {
        name: {"jobServiceType": name, "port": None, "endpoint": f"https://ml.azure.com/runs/{number}{workspace}"}
        for name in ("Tracking", "Studio")
    }
    return {
        "description": None,
        "tags": {"number": str(number)},
        "properties": {"_azureml.ComputeTargetType": "amlctrain", "EndTimeUtc": "2026-03-31 18:18:41"},
        "displayName": f"job-{number}",
        "status": "Completed",
        "experimentName": "Default",
        "services": services,
        "computeId": f"{workspace}/computes/cpu",
        "isArchived": False,
        "jobType": "Command",
        "command": "python train.py " + "--option value " * 50,
        "environmentId": f"{workspace}/environments/bench/versions/1",
        "inputs": {"data": {"jobInputType": "uri_folder", "uri": f"{workspace}/data/rows/versions/1"}},
        "outputs": {"default": {"jobOutputType": "uri_folder", "uri": f"azureml://dcid.job-{number}"}},
    }


def wait_for(condition: Callable[[], bool], seconds: float = STARTS_WITHIN) -> None:
    """Return once a condition holds. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s")
        time.sleep(0.05)


def _checked(answer: requests.Response) -> requests.Response:
    if not answer.ok:
        raise RuntimeError(f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}")
    return answer
