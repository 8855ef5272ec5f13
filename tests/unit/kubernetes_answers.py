"""Right and wrong answers to the exercises on Kubernetes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import requests
import yaml
from azure.ai.ml.entities import KubernetesOnlineDeployment, ManagedOnlineDeployment, TargetUtilizationScaleSettings

MANIFEST = """
apiVersion: amlarc.azureml.com/v1alpha1
kind: InstanceType
metadata:
  name: gpu
spec:
  nodeSelector:
    accelerator: nvidia
  resources:
    requests:
      cpu: "500m"
      memory: "4Gi"
    limits:
      cpu: "2"
      memory: "8Gi"
      nvidia.com/gpu: 1
"""


def _in_a_list() -> dict[str, Any]:
    item = yaml.safe_load(MANIFEST)
    return {
        "apiVersion": item.pop("apiVersion"),
        "kind": item.pop("kind") + "List",
        "items": [item],
    }


def _without(*path: str) -> dict[str, Any]:
    """The manifest without the entry at a path."""
    manifest = yaml.safe_load(MANIFEST)
    place = manifest
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return dict(manifest)


def _replicas(
    rounded: Callable[[float], float] = math.ceil, queued_count: bool = True, limited: bool = True, spare: float = 1
) -> Any:
    """A function that computes as the router does, or one with a plausible fault."""

    def answer(busy: int, queued: int, settings: TargetUtilizationScaleSettings) -> float:
        target = settings.target_utilization_percentage / 100 if spare == 1 else spare
        wanted = rounded(round((busy + queued * queued_count) / target, 9))
        return max(settings.min_instances, min(wanted, settings.max_instances)) if limited else wanted

    return answer


TURNS = {
    "key": "caller",
    "typo": "deployer",
    "full": "administrator",
    "namespace": "administrator",
    "init": "deployer",
    "router": "administrator",
    "row": "caller",
}


SCALED = TargetUtilizationScaleSettings(
    min_instances=2, max_instances=4, target_utilization_percentage=70, polling_interval=1
)


def _deployed(**changed: Any) -> KubernetesOnlineDeployment:
    settings = {"name": "green", "endpoint_name": "e", "instance_type": "roomy", "instance_count": 2}
    return KubernetesOnlineDeployment(**{**settings, **changed})


def _answered(by: str = "green", status: int = 200) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = json.dumps({"progress": [100]}).encode()
    response.headers["azureml-model-deployment"] = by
    return response


RIGHT: dict[str, list[object]] = {
    "deploy_to_kubernetes/gpu_type": [
        MANIFEST,
        yaml.safe_load(MANIFEST),
        MANIFEST.replace('"500m"', "0.5")
        .replace("4Gi", "4096Mi")
        .replace('"2"', '"2000m"')
        .replace(": 1\n", ': "1"\n'),
        _in_a_list(),
    ],
    "deploy_to_kubernetes/replicas": [
        _replicas(),
        lambda busy, queued, s: float(
            min(
                max(math.ceil((busy + queued) / (s.target_utilization_percentage / 100)), s.min_instances),
                s.max_instances,
            )
        ),
        lambda busy, queued, s: next(
            count
            for count in range(s.min_instances, s.max_instances + 1)
            if 100 * (busy + queued) <= count * s.target_utilization_percentage or count == s.max_instances
        ),
    ],
    "deploy_to_kubernetes/turns": [TURNS, {key: who.title() for key, who in TURNS.items()}],
    "deploy_to_kubernetes/beside": [(_deployed(), _answered()), [_deployed(), _answered()]],
}

WRONG: dict[str, list[tuple[object, str]]] = {
    "deploy_to_kubernetes/gpu_type": [
        ("kind: [", "this is no YAML"),
        ("gpu", "this is of type str"),
        (_without("kind"), "by it Kubernetes knows what this is"),
        (_without("apiVersion"), "`apiVersion` is None"),
        (MANIFEST.replace("name: gpu", "name: small"), "deployments will ask for gpu"),
        (_without("spec", "nodeSelector"), "on which nodes"),
        (MANIFEST.replace("accelerator: nvidia", "accelerator: amd"), "on which nodes"),
        (_without("spec"), "on which nodes"),
        (MANIFEST.replace('memory: "4Gi"\n', 'memory: "4Gi"\n      nvidia.com/gpu: 1\n'), "among the limits only"),
        (_without("spec", "resources", "limits", "nvidia.com/gpu"), "`limits` says nothing of nvidia.com/gpu"),
        (_without("spec", "resources"), "`requests` says nothing of cpu"),
        (MANIFEST.replace("500m", "500"), "Mind the suffix"),
        (MANIFEST.replace("8Gi", "8G"), "Mind the suffix"),
        (MANIFEST.replace("8Gi", "plenty"), "'plenty' is no quantity"),
    ],
    "deploy_to_kubernetes/replicas": [
        (5, "a function is wanted, this is of type int"),
        (_replicas(rounded=lambda number: number), "There are no parts of one"),
        (
            _replicas(rounded=round),
            "1 busy, 0 queued, 1 to 5 replicas, target 70 %: 2 are needed, your function says 1",
        ),
        (_replicas(queued_count=False), "4 busy, 3 queued, 1 to 20 replicas, target 70 %: 10 are needed"),
        (_replicas(limited=False), "is outside of what is allowed"),
        (_replicas(spare=0.7), "target 50 %: 8 are needed, your function says 6"),
        (lambda busy, queued: 1, "TypeError was raised"),
    ],
    "deploy_to_kubernetes/turns": [
        (list(TURNS), "of type list"),
        ({"key": "caller"}, "missing: typo"),
        ({**TURNS, "typo": "Azure"}, "is none of caller"),
        ({**TURNS, "key": "deployer"}, "what was wrong with the request"),
        ({**TURNS, "typo": "administrator"}, "who has written 4000"),
        ({**TURNS, "full": "deployer"}, "nothing smaller can be asked for"),
        ({**TURNS, "namespace": "deployer"}, "a namespace is made in the cluster"),
        ({**TURNS, "init": "administrator"}, "Who says which packages"),
        ({**TURNS, "router": "deployer"}, "a part of the extension"),
        ({**TURNS, "row": "deployer"}, "the other requests are answered"),
    ],
    "deploy_to_kubernetes/beside": [
        (_answered(), "a pair is wanted"),
        ((_answered(), _deployed()), "these are Response and KubernetesOnlineDeployment"),
        ((ManagedOnlineDeployment(name="green", endpoint_name="e"), _answered()), "a `KubernetesOnlineDeployment`"),
        ((_deployed(instance_type="small"), _answered()), "its instance type is small"),
        ((_deployed(instance_count=1), _answered()), "it has 1 replicas"),
        ((_deployed(scale_settings=SCALED), _answered()), "the router changes that with the load"),
        ((_deployed(), _answered(status=404)), "the answer was 404"),
        ((_deployed(), _answered("blue")), "another deployment has answered"),
    ],
}
