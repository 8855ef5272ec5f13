"""Connecting to a workspace: on this machine, or on Azure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.meter import METER
from helpers.nodes import running_nodes
from helpers.tags import tag

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.identity import ClientSecretCredential

BACKENDS = ("local", "azure")
LOCAL_MARK = "AZUREML_LOCAL_PROXY"
# How fast durations pass in a service that a lesson starts: an hour of idling is over in a minute.
CLOCK, LESSONS_CLOCK = "AZUREML_LOCAL_CLOCK_FACTOR", "60"
# MLClient hands what it does not know to each of its REST clients, and azure-core knows this hook: so everything that a
# lesson makes has its tags, and the lesson's code is what one would write without them.
_OPTIONS: dict[str, Any] = {"enable_telemetry": False, "raw_request_hook": tag}
PREFLIGHT = "The workspace cannot be used. `make preflight`, in the course's folder, says why, and what to do."
SECOND_SECRET = "SECOND_CLIENT_SECRET"  # noqa: S105 - the name of a variable


def connect(backend: str = "local") -> MLClient:
    """Return a client for the workspace that the lessons work in.

    Args:
        backend: ``"local"`` starts the Azure ML of this machine unless it runs, and points this process at it;
            ``"azure"`` reads the workspace from ``config.json`` (in this folder or above it) and signs in with what
            ``DefaultAzureCredential`` finds: environment variables, a managed identity, the Azure CLI, ...

    Raises:
        ValueError: another backend was named.
        RuntimeError: this process is pointed at the local service already, and Azure was asked for.
        azure.core.exceptions.AzureError: there is no ``config.json``, nobody is signed in, or the workspace it names
            does not answer.
    """
    if backend not in BACKENDS:
        raise ValueError(f'backend is {backend!r}; it must be "local" or "azure".')
    if backend == "azure":
        return _connect_to_azure()
    return _connect_to_this_machine()


def _connect_to_this_machine() -> MLClient:
    from azureml_local import client_environment, daemon
    from azureml_local.home import Home

    home = Home()
    if daemon.find(home) is None:
        print("Starting Azure ML on this machine (about 3 seconds) ...", file=sys.stderr)
        os.environ.setdefault(CLOCK, LESSONS_CLOCK)
    running = daemon.start(home)
    settings = home.settings()
    # For this process and what it starts; nothing on the machine is changed.
    variables = client_environment.complete(settings, running.port, home, os.environ)
    os.environ.update(client_environment.with_folder(variables))

    # Imported only now: the SDK reads some of these variables as it is imported.
    from azure.ai.ml import MLClient
    from azure.identity import EnvironmentCredential

    return MLClient(
        EnvironmentCredential(),
        settings.subscription_id,
        settings.resource_group,
        settings.workspace,
        **_OPTIONS,
    )


def _connect_to_azure() -> MLClient:
    from azure.core.exceptions import AzureError

    try:
        ml_client = client_of_config()
        ml_client.workspaces.get(ml_client.workspace_name)  # now, and not in the middle of a lesson
        METER.start(ml_client)
    except AzureError:
        print(PREFLIGHT, file=sys.stderr)
        raise
    return ml_client


def client_of_config() -> MLClient:
    """Return a client for the workspace on Azure that ``config.json`` names; nothing is asked yet.

    Raises:
        RuntimeError: this process is pointed at the local service already.
        azure.core.exceptions.AzureError: there is no ``config.json`` in this folder or above it.
    """
    if os.environ.get(LOCAL_MARK):
        raise RuntimeError(
            "This Python process talks to the Azure ML of this machine already. Restart the kernel (or open a new "
            'shell), then connect("azure") first.'
        )
    from azure.ai.ml import MLClient
    from azure.identity import DefaultAzureCredential

    return MLClient.from_config(DefaultAzureCredential(), **_OPTIONS, raw_response_hook=METER.note)


def second_identity(
    backend: str, name: str, tenant_id: str = "", client_id: str = "", secret_variable: str = SECOND_SECRET
) -> ClientSecretCredential:
    """Return the credential of a service principal that is not your own.

    Args:
        backend: ``"local"`` makes a new one, without any role, in the service that ``connect`` has started; ``"azure"``
            takes one that is there. Its secret is then read from an environment variable: what stands in a notebook
            is soon read by others.
        name: what it is called on this machine. One of that name that an earlier run has left is deleted first.
        tenant_id: on Azure, its directory.
        client_id: on Azure, its application's id.
        secret_variable: on Azure, the environment variable that has its secret.

    Raises:
        ValueError: on Azure, one of the three is not given.
    """
    from azure.identity import ClientSecretCredential

    if backend == "azure":
        given = (tenant_id, client_id, os.environ.get(secret_variable, ""))
        if not all(given):
            raise ValueError(
                "On Azure this needs a service principal that is not your own: set second_tenant_id and "
                "second_client_id (or what the parameters cell has in their place), and its secret in the environment "
                f"variable {secret_variable}, before Jupyter starts."
            )
        return ClientSecretCredential(*given)
    from azureml_local import admin
    from azureml_local.home import Home

    remove_identity(backend, name)
    made = admin.call(Home(), "POST", "/identities", {"name": name, "role": None, "scope": None})
    return ClientSecretCredential(made["AZURE_TENANT_ID"], made["AZURE_CLIENT_ID"], made["AZURE_CLIENT_SECRET"])


def remove_identity(backend: str, name: str) -> None:
    """Delete what ``second_identity`` has made on this machine; on Azure it has made nothing."""
    if backend == "azure":
        return
    from azureml_local import admin
    from azureml_local.home import Home

    if any(identity["name"] == name for identity in admin.call(Home(), "GET", "/identities")):
        admin.call(Home(), "DELETE", f"/identities/{name}")


def preempt(backend: str, ml_client: MLClient, cluster: str) -> None:
    """Take away all nodes of a cluster of low priority that run a job; on Azure nobody can ask for that.

    Args:
        backend: ``"local"``, or ``"azure"``, where nothing is done.
        ml_client: the connected workspace.
        cluster: its name.
    """
    if backend == "azure":
        print("Azure preempts when it needs the nodes, not on request: nothing was done.")
        return
    from azureml_local import admin
    from azureml_local.home import Home

    running = running_nodes(ml_client, cluster)
    for name in running:
        admin.call(Home(), "POST", f"/nodes/{cluster}/preempt", {"node": name})
    print("nodes taken away:", len(running))


def spark_is_there(backend: str) -> bool:
    """Say whether Databricks' clusters can be had, and print to standard error what is used; Azure always has them.

    On this machine they need Spark and Java, about 900 MB, which ``azureml-local doctor --install spark`` brings.
    """
    if backend == "azure":
        return True
    from azureml_local.engines.environments import Environments
    from azureml_local.home import Home

    is_there = Environments(Home().environments).have("pyspark")
    without = "Spark is not installed on this machine: scikit-learn replaces it."
    print("Spark is installed on this machine: it is used." if is_there else without, file=sys.stderr)
    return is_there


def kubectl_apply(backend: str, cluster: str, file: Path) -> None:
    """Bring the Kubernetes objects of a YAML file into a cluster, as ``kubectl apply -f FILE`` does.

    Args:
        backend: ``"local"`` brings them into the stand-in for the cluster; ``"azure"`` runs ``kubectl``, which must be
            pointed at it (``az aks get-credentials``).
        cluster: the cluster's resource id.
        file: the manifest, e.g. of instance types.

    Raises:
        subprocess.CalledProcessError: on Azure, ``kubectl`` has failed, and has said why on standard error.
    """
    if backend == "azure":
        subprocess.run(["kubectl", "apply", "-f", str(file)], check=True)  # noqa: S603, S607 - the user's own kubectl
        return
    import yaml

    from azureml_local import admin
    from azureml_local.home import Home

    objects = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    admin.call(Home(), "PUT", "/kubernetes", {"cluster": cluster, "objects": objects})


def kubernetes_manifests(backend: str, endpoint: str, deployment: str, image: str) -> list[dict[str, Any]]:
    """Return the Kubernetes objects of a deployment on an attached cluster.

    Args:
        backend: ``"local"`` has them made, for a cluster that knows nothing of Azure ML; ``"azure"`` asks ``kubectl``
            for the Deployments and Services that Azure ML's extension has made in the namespace it is pointed at.
        endpoint: the endpoint's name.
        deployment: the deployment's name.
        image: on this machine, what the pods are to run: an image with the model, its script and its packages.

    Raises:
        subprocess.CalledProcessError: on Azure, ``kubectl`` has failed, and has said why on standard error.
    """
    if backend == "azure":
        command = ["kubectl", "get", "deployments,services", "-o", "json"]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - see above
        return list(json.loads(found.stdout)["items"])
    from azureml_local import admin
    from azureml_local.home import Home

    asked = {"deployment": f"{endpoint}/{deployment}", "image": image}
    exported: list[dict[str, Any]] = admin.call(Home(), "POST", "/kubernetes/export", asked)
    return exported
