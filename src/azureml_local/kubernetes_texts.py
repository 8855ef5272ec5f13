"""What ``azureml-local kubernetes`` reads and prints."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from azureml_local.daemon import DaemonError

HEAD = """\
# Written by azureml-local for a Kubernetes cluster of your own; kubectl apply -f applies it.
# The image has to hold an interpreter with the environment's packages and azureml-inference-server-http, {code},
# the model in AZUREML_MODEL_DIR, and to start the server (environments/inference has the definition of such an image):
#   azmlinfsrv --entry_script "{script}" --model_dir "$AZUREML_MODEL_DIR" --port {port}
# There is no router in front of it: keys, traffic shares and the number of replicas are yours to see to.
"""
CODE = ("the code in AML_APP_ROOT", "$AML_APP_ROOT/$AZUREML_ENTRY_SCRIPT")
NO_CODE = ("a script for its MLflow model", "SCRIPT")


def read(file: str) -> list[Any]:
    """Return the objects of a YAML file, ``-`` being standard input. Raises DaemonError where it cannot be read."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        return [one for one in yaml.safe_load_all(text) if one is not None]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DaemonError(f"{file} cannot be read: {error}") from error


def manifests(objects: Sequence[Mapping[str, Any]]) -> str:
    """Return manifests as YAML, headed by what they need."""
    container = objects[0]["spec"]["template"]["spec"]["containers"][0]
    has_script = any(one["name"] == "AZUREML_ENTRY_SCRIPT" for one in container["env"])
    code, script = CODE if has_script else NO_CODE
    head = HEAD.format(code=code, script=script, port=container["ports"][0]["containerPort"])
    return head + _secrets(container["env"]) + yaml.safe_dump_all(objects, sort_keys=False)


def _secrets(variables: Sequence[Mapping[str, Any]]) -> str:
    named = [one["valueFrom"]["secretKeyRef"] for one in variables if "valueFrom" in one]
    return "".join(f"# It reads the key {one['key']} of the Secret {one['name']}, which you create.\n" for one in named)


def clusters(found: Sequence[Mapping[str, Any]]) -> str:
    """Return clusters as a text: their nodes, instance types and pods."""
    return "\n".join(line for one in found for line in _cluster(one))


def _cluster(one: Mapping[str, Any]) -> list[str]:
    attached = ", ".join(one["computes"]) or "no compute"
    state = "reachable" if one["isReachable"] else "not reachable"
    return [
        f"{one['id']} ({state}; attached as {attached}; processes stand in for pods)",
        *(
            f"  node {node['name']}: {_of(node['requested'], node['allocatable'])}"
            f"{' cordoned' if node['unschedulable'] else ''}"
            for node in one["nodes"]
        ),
        *(
            f"  instance type {name}: requests {_amounts(kind['requests'])}, limits {_amounts(kind['limits'])}"
            for name, kind in one["instanceTypes"].items()
        ),
        *(f"  pod {pod['namespace']}/{pod['deployment']} on {pod['node']}" for pod in one["pods"]),
    ]


def _of(requested: Mapping[str, str], allocatable: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {requested[name]} of {amount} requested" for name, amount in allocatable.items())


def _amounts(amounts: Mapping[str, str]) -> str:
    return " ".join(f"{name} {amount}" for name, amount in amounts.items())
