"""The exercises of *Deploy to a Kubernetes cluster*."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import requests

from helpers.verdicts import CheckResult, exercise, right, wrong

# Kubernetes' suffixes: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
SUFFIXES = {
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGT", 1)},
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGT", 1)},
    "m": Decimal("0.001"),
}
GPU = "nvidia.com/gpu"
# What each pod of the network is to have, as it may be written, by where it stands.
PROMISED = {"cpu": "500m", "memory": "4Gi"}
AT_MOST = {"cpu": "2", "memory": "8Gi", GPU: "1"}


def _amount(quantity: Any) -> Decimal:
    """Return a quantity as Kubernetes reads it: 500m is a half, 4Ki are 4096. Raises ValueError."""
    text = str(quantity).strip()
    suffix = next((end for end in SUFFIXES if text.endswith(end)), "")
    try:
        return Decimal(text.removesuffix(suffix)) * SUFFIXES.get(suffix, Decimal(1))
    except InvalidOperation:
        raise ValueError(f"{quantity!r} is no quantity") from None


@exercise("deploy_to_kubernetes/gpu_type", "Begin with `small` of instance_types.yaml: it needs a `kind` and a `spec`.")
def gpu_type(answer: Any) -> CheckResult:
    """Accept an InstanceType, as YAML or read from it, that selects GPU nodes and promises and limits as was asked."""
    import yaml

    try:
        manifest = yaml.safe_load(answer) if isinstance(answer, str) else answer
    except yaml.YAMLError as error:
        return wrong(f"this is no YAML: {str(error).splitlines()[0]}.")
    if isinstance(manifest, dict) and manifest.get("kind") == "InstanceTypeList":
        items = manifest.get("items") or [{}]
        manifest = {**items[0], "apiVersion": manifest.get("apiVersion"), "kind": "InstanceType"}
    if not isinstance(manifest, dict):
        return wrong(
            f"one instance type is wanted, as YAML or as a dictionary; this is of type {type(manifest).__name__}."
        )
    trouble = _header(manifest) or _nodes(manifest) or _resources(manifest)
    if trouble:
        return wrong(trouble)
    return right("only nodes with a GPU take such a pod, and a pod that wants the GPU waits until one is free.")


def _header(manifest: dict[str, Any]) -> str | None:
    if manifest.get("kind") != "InstanceType":
        return f"`kind` is {manifest.get('kind')!r}; by it Kubernetes knows what this is."
    if not str(manifest.get("apiVersion", "")).startswith("amlarc.azureml.com/"):
        return f"`apiVersion` is {manifest.get('apiVersion')!r}; it is that of the file beside this lesson."
    name = (manifest.get("metadata") or {}).get("name")
    return None if name == "gpu" else f"its name is {name!r}; deployments will ask for gpu."


def _nodes(manifest: dict[str, Any]) -> str | None:
    selector = (manifest.get("spec") or {}).get("nodeSelector")
    if selector != {"accelerator": "nvidia"}:
        return f"`spec.nodeSelector` is {selector!r}: on which nodes would such a pod be put?"
    return None


def _resources(manifest: dict[str, Any]) -> str | None:
    resources = manifest["spec"].get("resources") or {}
    if GPU in (resources.get("requests") or {}):
        return "a GPU is asked for among the limits only: none is promised that could be shared."
    for where, wanted in (("requests", PROMISED), ("limits", AT_MOST)):
        given = resources.get(where) or {}
        for name, quantity in wanted.items():
            if name not in given:
                return f"`{where}` says nothing of {name}."
            if _amount(given[name]) != _amount(quantity):
                return f"`{where}` has {given[name]!r} of {name}. Mind the suffix: m is a thousandth, Gi 1024³."
    return None


# Busy replicas, queued requests, minimum, maximum, target; and how many replicas keep utilization at the target:
# https://learn.microsoft.com/azure/machine-learning/how-to-kubernetes-inference-routing-azureml-fe#autoscaling
LOADS = (
    (1, 0, 1, 5, 70, 2),
    (3, 0, 1, 9, 70, 5),
    (4, 3, 1, 20, 70, 10),
    (4, 3, 1, 5, 70, 5),
    (0, 0, 2, 5, 70, 2),
    (0, 0, 1, 5, 70, 1),
    (2, 2, 1, 9, 50, 8),
    (7, 0, 1, 20, 70, 10),
)


@exercise("deploy_to_kubernetes/replicas", "Write a function of two numbers and the settings that returns a number.")
def replicas(answer: Any) -> CheckResult:
    """Accept a function that computes how many replicas keep utilization at its target, within the limits."""
    from azure.ai.ml.entities import TargetUtilizationScaleSettings

    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for busy, queued, least, most, target, needed in LOADS:
        settings = TargetUtilizationScaleSettings(
            min_instances=least, max_instances=most, target_utilization_percentage=target, polling_interval=1
        )
        found = answer(busy, queued, settings)
        if found == needed:
            continue
        case = f"{busy} busy, {queued} queued, {least} to {most} replicas, target {target} %"
        if found != round(found):
            return wrong(f"{case}: {found:g} replicas. There are no parts of one; which whole number is enough?")
        if not least <= found <= most:
            return wrong(f"{case}: {found:g} is outside of what is allowed.")
        return wrong(f"{case}: {needed} are needed, your function says {found:g}.")
    return right("and the router asks itself that again every `polling_interval` seconds.")


WHO = ("caller", "deployer", "administrator")
TURNS = {
    "key": ("caller", "the cluster is well; what was wrong with the request?"),
    "typo": ("deployer", "who has written 4000, and who can write 4000m?"),
    "full": ("administrator", "nothing smaller can be asked for. What has the cluster too little of?"),
    "namespace": ("administrator", "a namespace is made in the cluster, not in the workspace."),
    "init": ("deployer", "the log names a package. Who says which packages a pod has?"),
    "router": ("administrator", "azureml-fe is a part of the extension in the cluster."),
    "row": ("caller", "the other requests are answered. What is missing in this one?"),
}


@exercise("deploy_to_kubernetes/turns", 'Write a dictionary such as {"key": "caller", ...}, with the seven keys.')
def turns(answer: Any) -> CheckResult:
    """Accept who has to mend each of the seven failures."""
    if not isinstance(answer, dict):
        return wrong(f"a dictionary is wanted, this is of type {type(answer).__name__}.")
    if missing := [key for key in TURNS if key not in answer]:
        return wrong(f"missing: {', '.join(missing)}.")
    for key, (who, hint) in TURNS.items():
        given = str(answer[key]).lower()
        if given not in WHO:
            return wrong(f"{key}: {answer[key]!r} is none of {', '.join(WHO)}.")
        if given != who:
            return wrong(f"{key}: not the {given}; {hint}")
    return right("on a managed endpoint, Azure is the administrator: that is what its name says.")


@exercise(
    "deploy_to_kubernetes/beside", "Begin with the cell that describes `blue`; then ask with `helpers.score(...)`."
)
def beside(answer: Any) -> CheckResult:
    """Accept a deployment green of two roomy replicas on the cluster, and its answer when asked by name."""
    from azure.ai.ml.entities import KubernetesOnlineDeployment, TargetUtilizationScaleSettings

    if not isinstance(answer, list | tuple) or len(answer) != 2:
        return wrong("a pair is wanted: the deployment that was made, and the response.")
    deployment, response = answer
    if not isinstance(deployment, KubernetesOnlineDeployment) or not isinstance(response, requests.Response):
        kinds = " and ".join(type(one).__name__ for one in answer)
        return wrong(f"a `KubernetesOnlineDeployment` and a response are wanted, these are {kinds}.")
    if deployment.instance_type != "roomy":
        return wrong(f"its instance type is {deployment.instance_type}, which promises a pod less than was asked for.")
    if deployment.instance_count != 2:
        return wrong(f"it has {deployment.instance_count} replicas; two were asked for, whatever the load is.")
    if isinstance(deployment.scale_settings, TargetUtilizationScaleSettings):
        return wrong("it has two replicas for now: by its `scale_settings` the router changes that with the load.")
    if response.status_code != 200:
        return wrong(f"the answer was {response.status_code}. Has it been made, and was it asked by its name?")
    if response.headers.get("azureml-model-deployment") != "green":
        return wrong("another deployment has answered: `green` gets no traffic, so it has to be asked by name.")
    return right("a cluster with room for both lets you try a version beside the one that serves.")
