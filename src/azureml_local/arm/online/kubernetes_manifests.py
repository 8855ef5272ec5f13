"""A deployment as manifests for a Kubernetes cluster of the user's own: a Deployment and a Service.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1

The image has to hold what the instances here find on the disk: an interpreter with the environment's packages and
azureml-inference-server-http, the code in ``/var/azureml-app`` and the model in ``/var/azureml-app/azureml-models``.
Nothing secret is written: a variable that names a secret here is read from a Secret there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from azureml_local.arm import ids
from azureml_local.arm.assets import assets
from azureml_local.arm.context import Context
from azureml_local.arm.durations import seconds
from azureml_local.arm.online import kubernetes_deployments
from azureml_local.engines.kubernetes.resources import GPU, Resources
from azureml_local.engines.secret_references import names_secrets
from azureml_local.store import Resource

APP_ROOT = "/var/azureml-app"
MODELS = f"{APP_ROOT}/azureml-models"
PORT = 5001  # https://learn.microsoft.com/azure/machine-learning/how-to-inference-server-http
LONGEST_NAME = 63  # of a Service, as of a label's value
MANAGED_BY = {"app.kubernetes.io/managed-by": "azureml-local"}


def manifests(context: Context, deployment: Resource, image: str | None) -> list[dict[str, Any]]:
    """Return a Deployment and a Service.

    Args:
        context: the service's parts.
        deployment: one on an attached cluster, which must still be attached.
        image: what is to run; by default a name that the user has to give an image.

    Raises:
        AzureError: the cluster, or something that the deployment names, is no more.
    """
    endpoint_id = deployment.id.rpartition("/deployments/")[0]
    endpoint = context.store.get(endpoint_id)
    assert endpoint is not None  # noqa: S101 - it cannot be deleted before its deployments
    pod = kubernetes_deployments.pod(context, endpoint, deployment.properties)
    name = _name(endpoint.name, deployment.name)
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": endpoint.name.lower()}
    metadata = {"name": name, "namespace": pod.namespace, "labels": {**labels, **MANAGED_BY}}
    container = {
        "name": "inference-server",
        "image": image or f"example.azurecr.io/{name}:1",
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": _environment(context, deployment, f"{name}-secrets"),
        "resources": {"requests": _amounts(pod.requests), "limits": _amounts(pod.limits)},
        "livenessProbe": _probe(deployment.properties["livenessProbe"]),
        "readinessProbe": _probe(deployment.properties["readinessProbe"]),
        "securityContext": {"allowPrivilegeEscalation": False},
    }
    spec: dict[str, Any] = {"automountServiceAccountToken": False, "containers": [container]}
    if pod.node_selector:
        spec["nodeSelector"] = dict(pod.node_selector)
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": deployment.body["sku"]["capacity"],
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": {**labels, **MANAGED_BY}}, "spec": spec},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        },
    ]


def _name(endpoint: str, deployment: str) -> str:
    """Return a deployment's name in the cluster, which no other one has: ``kubectl apply`` would replace that.

    It ends with a hash unless its only hyphen is the one between the two, and it is whole.
    """
    pair = f"{endpoint}/{deployment}".lower()
    name = pair.replace("/", "-")
    if name.count("-") == 1 and len(name) <= LONGEST_NAME:
        return name
    end = f"-{hashlib.sha256(pair.encode()).hexdigest()[:10]}"
    return name[: LONGEST_NAME - len(end)].rstrip("-") + end


def _environment(context: Context, deployment: Resource, secret: str) -> list[dict[str, Any]]:
    """Return the container's variables; those that name a secret come from a key of ``secret`` of their own name."""
    ours = {"AZUREML_INFERENCE_PORT": str(PORT), "AML_APP_ROOT": APP_ROOT, **_places(context, deployment.properties)}
    variables = {**deployment.properties["environmentVariables"], **ours}
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}}
        if names_secrets({name: value})
        else {"name": name, "value": value}
        for name, value in variables.items()
    ]


def _places(context: Context, properties: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that say where the model and the scoring script are in the image."""
    found = {}
    if properties.get("codeConfiguration"):
        found["AZUREML_ENTRY_SCRIPT"] = properties["codeConfiguration"]["scoringScript"]
    if properties.get("model"):
        parts = ids.parse_asset(assets.resolve(context, properties["model"], "models").id)
        assert parts is not None  # noqa: S101 - it was stored under such an id
        found["AZUREML_MODEL_DIR"] = f"{MODELS}/{parts['name']}/{parts['version']}"
    return found


def _amounts(amounts: Resources) -> dict[str, str]:
    shown = amounts.shown()
    return {name: amount for name, amount in shown.items() if name != GPU or amounts.gpu}


def _probe(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "httpGet": {"path": "/", "port": "http"},
        "initialDelaySeconds": int(seconds(settings["initialDelay"])),
        "periodSeconds": int(seconds(settings["period"])),
        "timeoutSeconds": int(seconds(settings["timeout"])),
        "successThreshold": settings["successThreshold"],
        "failureThreshold": settings["failureThreshold"],
    }
