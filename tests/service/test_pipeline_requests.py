"""What a pipeline job is refused for at its submission, in plain requests, and what it may be made of by REST alone.

Truth: https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-pipeline, reference-yaml-component-command;
the bodies are those that azure-ai-ml 1.35 sends. Azure's sentences are not known: what is looked for is that they name
the step, what is wrong in it, and the value.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import AmlCompute, Environment
from job_support import IMAGE, Jobs
from pipeline_support import Ran
from support import Arm, finish

CLUSTER = "pipeline-requests"
COMPONENT = {
    "type": "command",
    "command": "echo ${{inputs.number}} $[[${{inputs.word}}]] > ${{outputs.out}}/text",
    "inputs": {
        "number": {"type": "integer", "default": "3", "min": "1", "max": "9"},
        "word": {"type": "string", "optional": True, "enum": ["a", "b"]},
    },
    "outputs": {"out": {"type": "uri_folder"}},
}
READER = {
    "type": "command",
    "command": "cat ${{inputs.data}}/text > ${{outputs.out}}/text",
    "inputs": {"data": {"type": "uri_folder"}, "rate": {"type": "number", "default": "0.5"}},
    "outputs": {"out": {"type": "uri_folder"}},
}


@pytest.fixture(scope="module")
def cluster(ml: MLClient) -> Iterator[str]:
    """The name of a cluster of at most two nodes."""
    compute = AmlCompute(name=CLUSTER, size="Standard_DS3_v2", max_instances=2, idle_time_before_scale_down=600)
    finish(ml.compute.begin_create_or_update(compute))
    yield CLUSTER
    finish(ml.compute.begin_delete(CLUSTER))


@pytest.fixture(scope="module")
def components(ml: MLClient, arm: Arm) -> dict[str, str]:
    """The ids of registered components: ``writer``, ``reader``, and ``both``, a pipeline of them."""
    environment = ml.environments.create_or_update(Environment(name="of-requests", image=IMAGE)).id

    def put(name: str, spec: dict[str, Any]) -> str:
        body = {"properties": {"componentSpec": {"name": name, "version": "1", **spec}}}
        answer = arm.put(f"/components/{name}/versions/1", body)
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["id"])

    ids = {
        "writer": put("requests_writer", {**COMPONENT, "environment": f"azureml:{environment}"}),
        "reader": put("requests_reader", {**READER, "environment": f"azureml:{environment}"}),
    }
    both = {
        "type": "pipeline",
        "inputs": {"number": {"type": "integer", "default": "5"}, "rate": {"type": "number", "optional": True}},
        "outputs": {"result": {"type": "uri_folder"}},
        "jobs": {
            "write": {
                "type": "command",
                "componentId": ids["writer"],
                "inputs": {"number": ref("parent.inputs.number")},
            },
            "read": {
                "type": "command",
                "componentId": ids["reader"],
                "inputs": {"data": ref("parent.jobs.write.outputs.out")},
                "outputs": {"out": {"value": "${{parent.outputs.result}}", "type": "literal"}},
            },
        },
    }
    return {**ids, "both": put("requests_both", both)}


def ref(text: str) -> dict[str, str]:
    return {"job_input_type": "literal", "value": f"${{{{{text}}}}}"}


def literal(value: Any) -> dict[str, Any]:
    return {"job_input_type": "literal", "value": value}


@pytest.fixture
def body(components: dict[str, str], cluster: str) -> dict[str, Any]:
    """A pipeline that can be run: ``read`` reads what ``write`` writes."""
    return {
        "jobType": "Pipeline",
        "settings": {"default_compute": cluster},
        "inputs": {
            "count": {"jobInputType": "literal", "value": "4"},
            "folder": {"jobInputType": "uri_folder", "uri": "azureml://datastores/workspaceblobstore/paths/x/"},
        },
        "outputs": {"result": {"jobOutputType": "uri_folder"}},
        "jobs": {
            "write": {"type": "command", "componentId": components["writer"], "inputs": {"number": literal("2")}},
            "read": {
                "type": "command",
                "componentId": components["reader"],
                "inputs": {"data": ref("parent.jobs.write.outputs.out")},
                "outputs": {"out": {"value": "${{parent.outputs.result}}", "type": "literal"}},
            },
        },
    }


def inputs(step: str, **given: Any) -> dict[str, Any]:
    return {"jobs": {step: {"inputs": given}}}


# What is changed of the body, the status, and what the answer says.
WRONG: dict[str, tuple[dict[str, Any], int, str]] = {
    "circle": (inputs("write", number=literal(1), word=ref("parent.jobs.read.outputs.out")), 400, "'write'"),
    "no steps": ({"jobs": None}, 400, "has no steps"),
    "unknown step": (
        inputs("read", data=ref("parent.jobs.wrote.outputs.out")),
        400,
        "'read': input 'data': there is no step 'wrote'",
    ),
    "unknown output": (
        inputs("read", data=ref("parent.jobs.write.outputs.o")),
        400,
        "has no output 'o'; its outputs are: out",
    ),
    "unknown input of the pipeline": (
        inputs("read", data=ref("parent.inputs.nothing")),
        400,
        "'read': input 'data': it is",
    ),
    "unknown input": (inputs("write", numbr=literal("1")), 400, "Step 'write': there is no input 'numbr'"),
    "unknown output of the step": ({"jobs": {"write": {"outputs": {"o": {}}}}}, 400, "there is no output 'o'"),
    "unknown output of the pipeline": (
        {"jobs": {"write": {"outputs": {"out": {"value": "${{parent.outputs.o}}"}}}}},
        400,
        "no output of the pipeline, which has: default, result",
    ),
    "no reference that there is": (inputs("read", data=ref("parent.jobs.write.inputs.number")), 400, "'read'"),
    "nothing for a required input": ({"jobs": {"read": {"inputs": None}}}, 400, "'read': input 'data': it is required"),
    "no integer": (inputs("write", number=literal("four")), 400, "input 'number': 'four' is no integer"),
    "too large": (inputs("write", number=literal("10")), 400, "10 is more than its maximum, 9"),
    "none of an enumeration": (inputs("write", word=literal("c")), 400, "'c' is none of its values: a, b"),
    "no number, by the pipeline": (inputs("read", rate=ref("parent.inputs.word")), 400, "'many' is no number"),
    "a literal for data": (
        inputs("read", data=literal("text")),
        400,
        "its type is uri_folder, and it was given a value",
    ),
    "data for a literal": (
        inputs("write", number=ref("parent.inputs.folder")),
        400,
        "was given data of the type uri_folder",
    ),
    "an output for a literal": (inputs("read", rate=ref("parent.jobs.write.outputs.out")), 400, "input 'rate'"),
    "unknown component": (
        {"jobs": {"read": {"componentId": "azureml:nothing:1"}}},
        400,
        "Component with name: nothing",
    ),
    "no component": ({"jobs": {"read": {"componentId": None}}}, 400, "componentId is missing"),
    "another type than its component": ({"jobs": {"read": {"type": "parallel"}}}, 400, "its type is parallel"),
    "unknown default compute": ({"settings": {"default_compute": "nothing"}}, 400, "Unknown compute target 'nothing'"),
    "unknown compute of a step": ({"jobs": {"read": {"computeId": "nothing"}}}, 400, "'read': Unknown compute target"),
    "unknown datastore": ({"settings": {"default_datastore": "nothing"}}, 400, "Could not find datastore: nothing"),
    "unknown datastore of an output": (
        {"jobs": {"write": {"outputs": {"out": {"uri": "azureml://datastores/nothing/paths/x"}}}}},
        400,
        "'write': Could not find datastore: nothing",
    ),
    "version of an output without a name": (
        {"jobs": {"write": {"outputs": {"out": {"version": "1"}}}}},
        400,
        "assetName",
    ),
    "no limit": ({"jobs": {"write": {"limits": {"timeout": "soon"}}}}, 400, "'write': limits.timeout"),
    "unknown member of a setting": ({"jobs": {"write": {"resources": {"gpus": 1}}}}, 400, "'write'"),
    "shape of the steps": ({"jobs": {"write": 3}}, 400, "Step 'write': the step is 3; it must be an object"),
    "shape of the settings": ({"settings": "fast"}, 400, "properties.settings"),
    "a reference in a setting to data": (
        {"jobs": {"write": {"environment_variables": {"A": "${{parent.inputs.folder}}"}}}},
        400,
        "inputs of the pipeline that are literals",
    ),
    "on_init": ({"settings": {"on_init": "write"}}, 501, "settings.on_init"),
    "on_finalize": ({"settings": {"on_finalize": "write"}}, 501, "settings.on_finalize"),
    **{
        kind: ({"jobs": {"read": {"type": kind}}}, 501, f"Step 'read': azureml-local lacks steps of the type {kind}")
        for kind in ("automl", "data_transfer", "do_while", "if_else", "import", "parallel_for", "spark", "sweep")
    },
}


def changed(body: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a body with changes in it, member by member."""
    merged = copy.deepcopy(body)
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = changed(merged[name], value) if both else value
    return merged


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_pipeline_is_named(case: str, arm: Arm, body: dict[str, Any], name: str) -> None:
    changes, status, words = WRONG[case]
    body["inputs"]["word"] = {"jobInputType": "literal", "value": "many"}
    answer = arm.put(f"/jobs/{name}", {"properties": changed(body, changes)})
    assert (answer.status_code, words in answer.json()["error"]["message"]) == (status, True), answer.text
    assert arm.get(f"/jobs/{name}").status_code == 404


def test_circle(arm: Arm, body: dict[str, Any], components: dict[str, str], name: str) -> None:
    for step, other in (("read", "again"), ("again", "read")):
        node = {"type": "command", "componentId": components["reader"]}
        body["jobs"][step] = {**node, "inputs": {"data": ref(f"parent.jobs.{other}.outputs.out")}}
    answer = arm.put(f"/jobs/{name}", {"properties": body})
    message = answer.json()["error"]["message"]
    assert answer.status_code == 400
    assert "wait for each other in a circle: " in message
    assert "again" in message and "read" in message


def test_wrong_within_a_pipeline(arm: Arm, body: dict[str, Any], components: dict[str, str], name: str) -> None:
    """Literals are followed to where they are used, and the step is named by its path."""
    body["jobs"] = {
        "outer": {
            "type": "pipeline",
            "componentId": components["both"],
            "inputs": {"number": ref("parent.inputs.count")},
        }
    }
    body["inputs"]["count"]["value"] = "12"
    answer = arm.put(f"/jobs/{name}", {"properties": body})
    assert answer.status_code == 400
    assert "Step 'outer.write': input 'number': 12 is more than its maximum, 9" in answer.json()["error"]["message"]


def test_unknown_input_of_a_pipeline_component(arm: Arm, components: dict[str, str], cluster: str, name: str) -> None:
    spec = arm.get("/components/requests_both/versions/1").json()["properties"]["componentSpec"]
    spec["jobs"]["write"]["inputs"] = {"word": ref("parent.inputs.wrod")}
    arm.put(f"/components/{name}/versions/1", {"properties": {"componentSpec": spec}})
    body = {"jobType": "Pipeline", "componentId": f"azureml:{name}:1", "settings": {"default_compute": cluster}}
    answer = arm.put(f"/jobs/{name}", {"properties": body})
    assert answer.status_code == 400
    assert "'write': input 'word': the pipeline has no input 'wrod'; its inputs are: number, rate" in answer.text


@pytest.fixture
def jobs(ml: MLClient, arm: Arm, blobstore: Any) -> Jobs:
    return Jobs(ml, arm, blobstore._get_blob_service_client())


def run(jobs: Jobs, name: str, body: dict[str, Any]) -> Ran:
    answer = jobs.arm.put(f"/jobs/{name}", {"properties": body})
    assert answer.status_code == 201, answer.text
    jobs.ended(name)
    ended = Ran(jobs, name)
    assert ended.status == "Completed", ended.run["error"]
    return ended


def test_pipeline_by_rest(jobs: Jobs, body: dict[str, Any], name: str) -> None:
    ended = run(jobs, name, body)
    assert (ended.statuses, ended.text("result")) == ({"write": "Completed", "read": "Completed"}, "2\n")


def test_pipeline_of_a_component(jobs: Jobs, components: dict[str, str], cluster: str, name: str) -> None:
    """A job that names a pipeline component is of it; what it says of inputs is judged by the component."""
    body: dict[str, Any] = {
        "jobType": "Pipeline",
        "componentId": components["both"],
        "settings": {"default_compute": cluster},
    }
    assert run(jobs, name, body).text("result") == "5\n"
    body["inputs"] = {"number": {"jobInputType": "literal", "value": "8"}}
    assert run(jobs, f"{name}-2", body).text("result") == "8\n"
    repeated = jobs.arm.put(f"/jobs/{name}-2", {"properties": body})
    assert repeated.status_code == 200, repeated.text
    for wrong, words in (("x", "'x' is no integer"), (None, "")):
        body["inputs"] = {"number" if wrong else "other": {"jobInputType": "literal", "value": wrong or "1"}}
        refused = jobs.arm.put(f"/jobs/{name}-3", {"properties": body})
        assert (refused.status_code, words in refused.text) == (400, True)


def test_command_job_of_a_component(jobs: Jobs, components: dict[str, str], cluster: str, name: str) -> None:
    body: dict[str, Any] = {"jobType": "Command", "componentId": components["writer"], "computeId": cluster}
    body["inputs"] = {"word": {"jobInputType": "literal", "value": "b"}}
    answer = jobs.arm.put(f"/jobs/{name}", {"properties": body})
    assert answer.status_code == 201, answer.text
    assert answer.json()["properties"]["componentId"] == components["writer"]
    assert jobs.ended(name).output("out") == {"/text": b"3 b\n"}
    body["inputs"]["word"]["value"] = "c"
    refused = jobs.arm.put(f"/jobs/{name}-2", {"properties": body})
    assert (refused.status_code, "'c' is none of its values" in refused.text) == (400, True)


def test_what_a_job_was_made_of_again(
    jobs: Jobs, body: dict[str, Any], components: dict[str, str], cluster: str, name: str
) -> None:
    """By ``sourceJobId``: as a component, as batch deployments make one, and as a job, as schedules submit one."""
    body["jobs"]["write"]["inputs"] = {"number": ref("parent.inputs.count")}
    run(jobs, name, body)
    spec = {"type": "pipeline", "jobs": {}, "inputs": {}, "outputs": {}, "sourceJobId": name}
    made = jobs.arm.put(f"/components/azureml_{name}/versions/1", {"properties": {"componentSpec": spec}})
    assert made.status_code == 201, made.text
    found = made.json()["properties"]["componentSpec"]
    assert found["inputs"]["count"] == {"type": "integer", "default": "4"}
    assert (list(found["jobs"]), found["outputs"]) == (["write", "read"], {"result": {"type": "uri_folder"}})
    of_component = {
        "jobType": "Pipeline",
        "componentId": made.json()["id"],
        "inputs": {"count": {"jobInputType": "literal", "value": "6"}},
        "settings": {"default_compute": cluster},
    }
    assert run(jobs, f"{name}-2", of_component).text("result") == "6\n"
    again = {"jobType": "Pipeline", "sourceJobId": f"{jobs.arm.workspace}/jobs/{name}", "experimentName": ""}
    assert run(jobs, f"{name}-3", again).text("result") == "4\n"
    for wrong in ("nothing", Ran(jobs, name).children["write"]["runId"]):
        refused = jobs.arm.put(f"/jobs/{name}-4", {"properties": {**again, "sourceJobId": wrong}})
        assert (refused.status_code, wrong in refused.text) == (400, True)
        spec["sourceJobId"] = wrong
        refused = jobs.arm.put("/components/wrong/versions/1", {"properties": {"componentSpec": spec}})
        assert (refused.status_code, wrong in refused.text) == (400, True)
