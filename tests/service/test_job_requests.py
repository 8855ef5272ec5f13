"""What may be asked for as a job: bodies that are refused, with which words, and what is made of those that are not.

The sources are named where there is one for Azure's own words; elsewhere the member that is wrong has to be named.
"""

from __future__ import annotations

from typing import Any

import pytest
from support import Arm

BLOBS = "azureml://datastores/workspaceblobstore/paths"


def test_what_is_left_out_is_filled_in(arm: Arm, job: dict[str, Any], cluster: str, name: str) -> None:
    """Recordings of azure-sdk-for-python, command_job: the members, their order, and their defaults."""
    answer = arm.put(f"/jobs/{name}", {"properties": job})
    assert answer.status_code == 201
    assert answer.headers["Location"].split("?")[0].endswith(f"/jobs/{name}")
    found = answer.json()
    assert list(found) == ["id", "name", "type", "properties", "systemData"]
    assert set(found["systemData"]) == {"createdAt", "createdBy", "createdByType"}
    properties = found["properties"]
    assert properties["status"] == "Starting"
    assert properties["displayName"] == name
    assert properties["experimentName"] == "Default"
    assert properties["computeId"] == f"{arm.workspace}/computes/{cluster}"
    assert properties["queueSettings"] == {"jobTier": "Null", "priority": None}
    assert properties["resources"] == {
        "instanceCount": 1,
        "instanceType": None,
        "properties": None,
        "shmSize": "2g",
        "dockerArgs": None,
    }
    assert properties["properties"]["_azureml.ComputeTargetType"] == "amlctrain"
    assert properties["services"]["Tracking"]["endpoint"].endswith(f"/mlflow/v1.0{arm.workspace}?")
    assert "/resourcegroups/" in properties["services"]["Studio"]["endpoint"]
    assert list(properties["outputs"]) == ["default"]
    uri = f"azureml://datastores/workspaceartifactstore/ExperimentRun/dcid.{name}"
    assert properties["outputs"]["default"]["uri"] == uri


def test_all_that_a_command_may_hold_is_kept(arm: Arm, job: dict[str, Any], name: str) -> None:
    sent = {
        **job,
        "computeId": f"azureml:{arm.workspace}/computes/{job['computeId']}",
        "description": "d",
        "tags": {"a": "b"},
        "properties": {"c": "d"},
        "displayName": "Shown",
        "experimentName": "trees",
        "identity": {"identityType": "Managed", "clientId": "00000000-0000-0000-0000-000000000000"},
        "resources": {"instanceCount": 2, "shmSize": "512m", "dockerArgs": "--init", "instanceType": "Standard_DS3_v2"},
        "queueSettings": {"jobTier": "Spot", "priority": 2},
        "limits": {"jobLimitsType": "Command", "timeout": "PT5M"},
        "distribution": {"distributionType": "PyTorch", "processCountPerInstance": 2},
        "environmentVariables": {"A": "b"},
        "inputs": {"lr": {"jobInputType": "literal", "value": "0.5"}},
        "outputs": {"o": {"jobOutputType": "uri_folder", "mode": "Upload", "assetName": "n", "assetVersion": "77"}},
        "services": {"Tracking": {"jobServiceType": "Tracking"}, "Studio": {"jobServiceType": "Studio"}},
    }
    answer = arm.put(f"/jobs/{name}", {"properties": sent})
    assert answer.status_code == 201, answer.text
    kept = answer.json()["properties"]
    assert kept["computeId"] == f"{arm.workspace}/computes/{job['computeId']}"
    for member in ("description", "tags", "displayName", "experimentName", "identity", "limits", "distribution"):
        assert kept[member] == sent[member]
    assert kept["properties"].items() >= sent["properties"].items()
    assert kept["resources"] == {**sent["resources"], "properties": None}
    assert kept["queueSettings"] == sent["queueSettings"]
    assert kept["outputs"]["o"].items() >= sent["outputs"]["o"].items()
    assert list(kept["outputs"]) == ["o", "default"]


CODES = {400: ("UserError", "RequestInvalid", "InvalidResourceName"), 501: ("NotImplemented",)}
MISSING_DATA = {"d": {"jobInputType": "uri_folder", "uri": "azureml:no-such-data:1"}}
MISSING_STORE = {"d": {"jobInputType": "uri_folder", "uri": "azureml://datastores/none/paths/x"}}
MISSING_JOB = {"d": {"jobInputType": "uri_file", "uri": "azureml://jobs/none/outputs/artifacts/paths/x"}}
WRONG: dict[str, tuple[dict[str, Any], int, str]] = {
    # https://github.com/Azure/AML-Kubernetes/issues/118
    "compute": ({"computeId": "none"}, 400, "Unknown compute target 'none'."),
    "compute of nobody": ({"computeId": "/subscriptions/x/none"}, 400, "Unknown compute target 'none'."),
    "nodes": (
        {"resources": {"instanceCount": 3}},
        400,
        "Requested 3 nodes but AzureMLCompute cluster only has 2 maximum nodes",
    ),
    "no nodes": ({"resources": {"instanceCount": 0}}, 400, "resources.instanceCount is 0"),
    "shared memory": ({"resources": {"shmSize": "much"}}, 400, "resources.shmSize is 'much'"),
    "processes": ({"distribution": {"distributionType": "Mpi", "processCountPerInstance": 0}}, 400, "processCount"),
    "timeout": ({"limits": {"jobLimitsType": "Command", "timeout": "5 minutes"}}, 400, "5 minutes"),
    "no time": ({"limits": {"jobLimitsType": "Command", "timeout": "PT0S"}}, 400, "limits.timeout is PT0S"),
    "environment": ({"environmentId": "{ws}/environments/none/versions/1"}, 400, "none and version: 1 not found"),
    "no environment": ({"environmentId": None}, 400, "environmentId"),
    "no command": ({"command": ""}, 400, "command"),
    "code": ({"codeId": "{ws}/codes/none/versions/1"}, 400, "codes/none/versions/1 not found"),
    "data": ({"inputs": MISSING_DATA}, 400, "no-such-data"),
    "datastore": ({"inputs": MISSING_STORE}, 400, "Could not find datastore: none"),
    "datastore of an output": (
        {"outputs": {"o": {"jobOutputType": "uri_folder", "uri": MISSING_STORE["d"]["uri"]}}},
        400,
        "none",
    ),
    "another job": ({"inputs": MISSING_JOB}, 400, "Job none not found"),
    "input name": ({"inputs": {"a/b": {"jobInputType": "literal", "value": "1"}}}, 400, "a/b"),
    "output name": ({"outputs": {"../x": {"jobOutputType": "uri_folder"}}}, 400, "../x"),
    "asset name": ({"outputs": {"o": {"jobOutputType": "uri_folder", "assetName": "a/../b"}}}, 400, "a/../b"),
    "asset version": (
        {"outputs": {"o": {"jobOutputType": "uri_folder", "assetVersion": "1"}}},
        400,
        "assetName is missing",
    ),
    # execve(2): texts that no process can be handed
    "command with NUL": ({"command": "echo \0"}, 400, "properties.command"),
    "input with NUL": ({"inputs": {"a": {"jobInputType": "literal", "value": "\0"}}}, 400, "properties.inputs.a.value"),
    "address with NUL": (
        {"inputs": {"a": {"jobInputType": "uri_file", "uri": "https://a.example/\0", "mode": "Direct"}}},
        400,
        "properties.inputs.a.uri",
    ),
    "output with NUL": (
        {"outputs": {"o": {"jobOutputType": "uri_folder", "uri": f"{BLOBS}/\0", "mode": "Direct"}}},
        400,
        "properties.outputs.o.uri",
    ),
    "variable with NUL": ({"environmentVariables": {"A": "\0"}}, 400, "environmentVariables"),
    "variable without a name": ({"environmentVariables": {"": "a"}}, 400, "environmentVariables"),
    "variable with an equals sign": ({"environmentVariables": {"A=B": "a"}}, 400, "'A=B'"),
    "experiment": ({"experimentName": "a b"}, 400, "a b"),
    "member": ({"comand": "true"}, 400, "Could not find member 'comand'"),
    "kind of input": ({"inputs": {"x": {"jobInputType": "stream", "uri": "x"}}}, 400, "stream"),
    "kind of job": ({"jobType": "Batch"}, 400, "Batch"),
    "component": ({"componentId": "{ws}/components/c/versions/1"}, 400, "componentId"),
    "interactive service": ({"services": {"s": {"jobServiceType": "JupyterLab"}}}, 501, "JupyterLab"),
    "notification": ({"notificationSetting": {"emails": ["a@b.example"]}}, 501, "notificationSetting"),
    "mode": (
        {"inputs": {"x": {"jobInputType": "uri_folder", "uri": f"{BLOBS}/x", "mode": "EvalMount"}}},
        501,
        "EvalMount",
    ),
    **{
        kind: ({"jobType": kind}, 501, f"lacks jobs of the type {kind}")
        for kind in ("AutoML", "FineTuning", "Labeling", "Spark", "Sweep")
    },
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case: str, arm: Arm, job: dict[str, Any], name: str) -> None:
    changes, status, words = WRONG[case]
    filled = {
        member: value.replace("{ws}", arm.workspace) if isinstance(value, str) else value
        for member, value in changes.items()
    }
    answer = arm.put(f"/jobs/{name}", {"properties": {**job, **filled}})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] in CODES[status]
    assert words in answer.json()["error"]["message"]
    assert arm.get(f"/jobs/{name}").status_code == 404


@pytest.mark.parametrize("bad", ["-a", "_a", "a.b", "a b", "a" * 256])
def test_name_follows_the_openapis_pattern(bad: str, arm: Arm, job: dict[str, Any]) -> None:
    answer = arm.put(f"/jobs/{bad}", {"properties": job})
    assert answer.status_code == 400
    assert f"The job name '{bad}' is invalid" in answer.json()["error"]["message"]


def test_version_that_exists_is_no_outputs_name(arm: Arm, job: dict[str, Any], name: str) -> None:
    data = {"dataUri": f"{BLOBS}/x", "dataType": "uri_folder"}
    assert arm.put(f"/data/{name}/versions/1", {"properties": data}).status_code == 201
    output = {"jobOutputType": "uri_folder", "assetName": name, "assetVersion": "1"}
    answer = arm.put(f"/jobs/{name}", {"properties": {**job, "outputs": {"o": output}}})
    assert answer.status_code == 400
    assert f"version 1 of {name}, which exists already" in answer.json()["error"]["message"]


def test_existing_job_takes_five_changes_and_no_other(arm: Arm, job: dict[str, Any], name: str) -> None:
    """The words: https://github.com/MicrosoftDocs/azure-docs/issues/122250."""
    path = f"/jobs/{name}"
    assert arm.put(path, {"properties": {**job, "tags": {"a": "1", "b": "2"}}}).status_code == 201
    fetched = arm.get(path).json()
    for member, value in (("description", "d"), ("displayName", "D"), ("isArchived", True), ("tags", {"b": "3"})):
        fetched["properties"][member] = value
    fetched["properties"]["properties"]["new"] = "one"
    changed = arm.put(path, fetched)
    assert changed.status_code == 200, changed.text
    properties = changed.json()["properties"]
    assert (properties["description"], properties["displayName"], properties["isArchived"]) == ("d", "D", True)
    assert properties["tags"] == {"a": "1", "b": "3"}  # merged, never removed
    assert properties["properties"]["new"] == "one"

    fetched["properties"] |= {"command": "false", "inputs": {"x": {"jobInputType": "literal", "value": "1"}}}
    refused = arm.put(path, fetched)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["message"] == (
        "A job with this name already exists. If you are trying to create a new job, use a different name. If you are "
        "trying to update an existing job, the existing job's {Command,  Inputs} cannot be changed. Only description, "
        "tags, displayName, properties, and isArchived can be updated."
    )
    inner = next(one["info"]["value"] for one in error["additionalInfo"] if one["type"] == "InnerError")
    assert inner == {"code": "Immutable", "innerError": {"code": "JobPropertyImmutable", "innerError": None}}
    refused = arm.put(path, {"properties": {**job, "properties": {"new": "other"}}})
    assert "{Properties} cannot be changed" in refused.json()["error"]["message"]


def test_list_is_asked_for_views_types_tags_and_assets(arm: Arm, job: dict[str, Any], name: str) -> None:
    """The query parameters of Jobs_List in the OpenAPI, and of 2024-01-01-preview."""
    output = {"jobOutputType": "uri_folder", "assetName": name}
    names = [f"{name}{number}" for number in range(3)]
    for number, one in enumerate(names):
        more = {"tags": {name: str(number)}, "properties": {"p": name}, "outputs": {"o": output} if number else {}}
        assert arm.put(f"/jobs/{one}", {"properties": {**job, **more}}).status_code == 201

    def found(**query: str) -> list[str]:
        answer = arm.get("/jobs", **query)
        assert answer.status_code == 200, answer.text
        return [one["name"] for one in answer.json()["value"] if one["name"] in names]

    assert found() == names[::-1]  # newest first
    assert found(tag=name) == names[::-1]
    assert found(tag=f"{name}=1") == [names[1]]
    assert found(properties=f"p={name}") == names[::-1]
    assert found(assetName=name) == names[:0:-1]
    assert found(jobType="Command") == names[::-1]
    assert found(jobType="Sweep") == found(scheduled="true") == found(scheduleId="s") == []
    arm.put(f"/jobs/{names[0]}", {"properties": {**job, "isArchived": True}})
    assert found(tag=name) == found(tag=name, listViewType="ActiveOnly") == names[:0:-1]
    assert found(tag=name, listViewType="ArchivedOnly") == [names[0]]
    assert found(tag=name, listViewType="All") == names[::-1]
    assert arm.get("/jobs", listViewType="Some").status_code == 400
