"""What deployments on an attached Kubernetes cluster have of their own: instance types, resources, scale settings.

https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-kubernetes-online
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from azureml_local.arm.compute import kubernetes_clusters
from azureml_local.arm.context import Context
from azureml_local.arm.durations import seconds
from azureml_local.engines.kubernetes.resources import GIB, GPU, Resources
from azureml_local.engines.kubernetes.scheduling import Pod
from azureml_local.engines.serving import ServingError
from azureml_local.engines.target_utilization import TargetUtilization
from azureml_local.http.errors import FrontendError
from azureml_local.store import Resource

# https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas#azure-machine-learning-kubernetes-online-endpoints
LONGEST_REQUEST = 300  # seconds
REQUEST_SETTINGS = {"maxQueueWait": "PT0.5S", "requestTimeout": "PT5S", "maxConcurrentRequestsPerInstance": 1}
# Of the YAML reference, but for the number of instances, which is the caller's.
SCALE_SETTINGS = {"minInstances": 1, "maxInstances": 1, "targetUtilizationPercentage": 70, "pollingInterval": "PT1S"}


def invalid(message: str) -> FrontendError:
    """Return the 400 of a deployment that cannot be right.

    https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#error-invaliddeploymentspec
    """
    return kubernetes_clusters.refused("InvalidDeploymentSpec", message)


def pod(context: Context, endpoint: Resource | None, properties: Mapping[str, Any]) -> Pod:
    """Return what one instance of a deployment asks of the cluster that its endpoint is on.

    What the deployment does not say itself, its instance type says.

    Raises:
        FrontendError: 400 where the cluster cannot be used, there is no such instance type, or a quantity is wrong, or
            more than its limit.
    """
    if endpoint is None:  # it is being deleted
        raise kubernetes_clusters.refused("EndpointNotFound", "The endpoint of this deployment does not exist.")
    compute = kubernetes_clusters.require_usable(context, endpoint.properties["compute"])
    of_type = kubernetes_clusters.pod(context, compute, properties.get("instanceType"))
    own = properties.get("containerResourceRequirements") or {}
    limits = _amounts(own.get("containerResourceLimits"), of_type.limits, "limits")
    # Where there is a limit alone, Kubernetes asks for no more than that.
    least = Resources(*map(min, _tuple(of_type.requests), _tuple(limits)))
    requests = _amounts(own.get("containerResourceRequests"), replace(least, gpu=limits.gpu), "requests")
    if above := requests.lacking(limits):
        shown = (requests.shown()[above[0]], limits.shown()[above[0]])
        raise kubernetes_clusters.refused(
            "BadArgument",
            f"Resource requests must be less than or equal to limits: {above[0]} requested {shown[0]}, limit "
            f"{shown[1]}. Limits that are not set are those of the instance type, {of_type.instance_type}.",
        )
    return replace(of_type, requests=requests, limits=limits)


def _tuple(amounts: Resources) -> tuple[int, int, int]:
    return amounts.cpu, amounts.memory, amounts.gpu


def _amounts(sent: Mapping[str, Any] | None, default: Resources, part: str) -> Resources:
    """Return amounts of which a deployment says all, some or none."""
    given = {name: value for name, value in (sent or {}).items() if value}
    if "gpu" in given:
        given[GPU] = given.pop("gpu")
    try:
        own = Resources.read(given)
    except ValueError as error:
        raise invalid(f"resources.{part}: {error}.") from error
    if any(name in given and amount == 0 for name, amount in (("cpu", own.cpu), ("memory", own.memory))):
        raise invalid(f"resources.{part}: cpu and memory cannot be 0.")
    return Resources(
        own.cpu if "cpu" in given else default.cpu,
        own.memory if "memory" in given else default.memory,
        own.gpu if GPU in given else default.gpu,
    )


def scale_settings(sent: Mapping[str, Any] | None, capacity: int | None) -> dict[str, Any]:
    """Return a deployment's scale settings with Azure's defaults. Raises 400 where one is wrong.

    Without any, Azure takes TargetUtilization; who says how many instances there are to be means Default, for which
    alone that number is documented.
    """
    settings = {name: value for name, value in (sent or {}).items() if value is not None}
    if settings.get("scaleType", "Default") == "Default" and (settings or capacity):
        return {"scaleType": "Default"}
    settings = {"scaleType": "TargetUtilization", **SCALE_SETTINGS, **settings}
    least, most, target = (settings[name] for name in list(SCALE_SETTINGS)[:3])
    if not 1 <= least <= most:
        raise invalid(f"scaleSettings: 1 <= minInstances <= maxInstances does not hold for {least} and {most}.")
    if not 1 <= target <= 100:
        raise invalid(f"scaleSettings.targetUtilizationPercentage is {target}; it must be 1 to 100.")
    try:
        interval = seconds(settings["pollingInterval"])
    except ValueError as error:
        raise invalid(f"scaleSettings.pollingInterval: {error}.") from error
    if interval < 1:
        raise invalid(f"scaleSettings.pollingInterval is {settings['pollingInterval']}; it must be PT1S or more.")
    return settings


def scaling(settings: Mapping[str, Any]) -> TargetUtilization | None:
    """Return how a deployment scales by its load; None for one whose number of instances its user sets."""
    if settings["scaleType"] == "Default":
        return None
    least, most, target = (settings[name] for name in list(SCALE_SETTINGS)[:3])
    return TargetUtilization(least, most, target, seconds(settings["pollingInterval"]))


def members(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that only deployments on Kubernetes have; azure-ai-ml reads them in every answer."""
    resources = sent.get("containerResourceRequirements") or {}
    parts = ("containerResourceRequests", "containerResourceLimits")
    return {
        "instanceType": sent.get("instanceType"),
        "containerResourceRequirements": {part: resources.get(part) for part in parts},
    }


def require_scalable(context: Context, endpoint: Resource | None, deployment: Resource) -> None:
    """Raise 400 where a deployment cannot have another number of instances by its user's will."""
    if scaling(deployment.properties["scaleSettings"]):
        raise invalid(
            "The router decides how many instances there are: scaleSettings.scaleType is TargetUtilization. Change "
            "minInstances and maxInstances instead of sku.capacity."
        )
    pod(context, endpoint, deployment.properties)


def serving(context: Context, endpoint: Resource | None, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an instance may take, how requests wait, and how many instances there are: of a ServingSpec.

    Raises:
        ServingError: the cluster cannot be used any more.
    """
    try:
        asked = pod(context, endpoint, properties)
    except FrontendError as error:
        assert error.detail is not None  # noqa: S101 - what is refused of Kubernetes has one
        raise ServingError(*error.detail) from error
    return {
        "memory": asked.limits.memory / GIB,
        "pod": asked,
        "scaling": scaling(properties["scaleSettings"]),
        "queue_wait": seconds(properties["requestSettings"]["maxQueueWait"]),
    }
