"""What a lesson brings into a Kubernetes cluster, and reads of it: by kubectl, or by the service here."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import helpers

CLUSTER = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Kubernetes/connectedClusters/c"
TYPE = {"apiVersion": "amlarc.azureml.com/v1alpha1", "kind": "InstanceType", "metadata": {"name": "small"}}


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubectl that notes how it was called, answers with a Deployment, and fails where it is to apply nothing."""
    program, noted = tmp_path / "kubectl", tmp_path / "called"
    answer = json.dumps({"items": [{"kind": "Deployment"}]})
    program.write_text(f'#!/bin/sh\necho "$@" > {noted}\necho \'{answer}\'\ntest "$3" != missing.yaml\n')
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return noted


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the service of this machine was asked for."""
    from azureml_local import admin

    calls: list[Any] = []
    monkeypatch.setattr(admin, "call", lambda _home, *request: calls.append(request) or [{"kind": "Service"}])
    return calls


def test_on_azure_the_users_kubectl_applies_a_file(kubectl: Path) -> None:
    helpers.kubectl_apply("azure", CLUSTER, Path("types.yaml"))
    assert kubectl.read_text() == "apply -f types.yaml\n"


def test_a_kubectl_that_fails_ends_the_cell(kubectl: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        helpers.kubectl_apply("azure", CLUSTER, Path("missing.yaml"))
    assert kubectl.exists()


def test_on_azure_kubectl_reads_what_the_extension_has_made(kubectl: Path) -> None:
    assert helpers.kubernetes_manifests("azure", "e", "blue", "image:1") == [{"kind": "Deployment"}]
    assert kubectl.read_text() == "get deployments,services -o json\n"


def test_here_the_objects_of_each_document_go_to_the_service(asked: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "types.yaml"
    file.write_text(yaml.safe_dump_all([TYPE, {**TYPE, "metadata": {"name": "roomy"}}]))
    helpers.kubectl_apply("local", CLUSTER, file)
    ((method, path, body),) = asked
    assert (method, path, body["cluster"]) == ("PUT", "/kubernetes", CLUSTER)
    assert [one["metadata"]["name"] for one in body["objects"]] == ["small", "roomy"]


def test_here_the_service_writes_the_manifests(asked: list[Any]) -> None:
    assert helpers.kubernetes_manifests("local", "e", "blue", "image:1") == [{"kind": "Service"}]
    assert asked == [("POST", "/kubernetes/export", {"deployment": "e/blue", "image": "image:1"})]
