"""What a person sees of a deployment that is broken: each cause has a picture of its own in state, error and log.

Codes and causes: https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints
(ResourceNotReady: "there's an error in score.py", "a package ... that isn't included", "container initialization takes
too long", "probes aren't set up correctly"). What the log says is the inference server's own
(azureml_inference_server_http.server.user_script). The error's words for a probe:
https://github.com/Azure/mlops-v2/issues/120. Memory: tests/unit/test_instances.py, as no size has little enough.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import ProbeSettings
from azure.core.exceptions import HttpResponseError
from support import Arm, Deployed, Scorer, deploy, finish

from running_service import wait_for

IMPATIENT = ProbeSettings(initial_delay=1, period=1, timeout=1, failure_threshold=2)
FOREVER = 'Get "http://127.0.0.1:5001/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'


@pytest.fixture
def begin(ml: MLClient, deployed: Deployed, name: str) -> Iterator[Callable[..., Any]]:
    def begin_it(cause: str, **options: Any) -> Any:
        options.setdefault("model", ml.models.get("single", label="latest"))
        variables = {"BREAK": cause}
        environment = deployed.environment
        options = {"script": "broken.py", "environment": environment, "environment_variables": variables, **options}
        return deploy(ml, deployed.endpoint, name, **options)

    yield begin_it
    finish(ml.online_deployments.begin_delete(name, deployed.endpoint))


@pytest.fixture
def log(ml: MLClient, deployed: Deployed, name: str) -> Callable[..., str]:
    def read(container: str | None = None) -> str:
        text = ml.online_deployments.get_logs(name, deployed.endpoint, lines=300, container_type=container)
        return str(text)

    return read


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("import", "ModuleNotFoundError: No module named 'somewhere_else'"),
        ("package", "ModuleNotFoundError: No module named 'a_package_that_nobody_installed'"),
        ("syntax", "SyntaxError"),
        ("no init", "does not have a init() function defined"),
        ("no run", "does not have a run() function defined"),
        ("model path", "FileNotFoundError: [Errno 2] No such file or directory"),
    ],
)
def test_script_that_cannot_start(
    cause: str,
    said: str,
    begin: Callable[..., Any],
    log: Callable[..., str],
    ml: MLClient,
    deployed: Deployed,
    name: str,
) -> None:
    with pytest.raises(HttpResponseError) as caught:
        finish(begin(cause))
    message = str(caught.value.message)
    assert "ResourceNotReady: User container has crashed or terminated: it ended with exit code 3." in message
    assert "Please see troubleshooting guide, available here: https://aka.ms/oe-tsg#error-resourcenotready" in message
    assert ml.online_deployments.get(name, deployed.endpoint).provisioning_state == "Failed"
    text = log()
    assert said in text
    assert "UserContainerStart: Failed" in text
    assert "Name: BackOff, Type: Warning" in text
    if cause == "model path":  # the server lists what is there
        assert "Model Directory Contents" in text
        assert "single.bin" in text


@pytest.mark.parametrize("kind", ["liveness", "readiness"])
def test_init_that_takes_longer_than_the_probes_allow(
    kind: str, begin: Callable[..., Any], log: Callable[..., str]
) -> None:
    with pytest.raises(HttpResponseError) as caught:
        finish(begin("slow init", **{f"{kind}_probe": IMPATIENT}))
    said = f"{kind.capitalize()} probe failed: {FOREVER}"
    assert f"ResourceNotReady: User container has crashed or terminated: {said}." in str(caught.value.message)
    text = log()
    assert "init begins" in text
    assert "UserContainerStart: Failed" in text
    assert text.count(f"Name: {kind.capitalize()}ProbeFailed, Type: Warning") == 2
    assert f"Message: {said}" in text


def test_process_that_ends_in_init(begin: Callable[..., Any], log: Callable[..., str]) -> None:
    """gunicorn starts such a worker again, as often as it likes; what gives up is a probe."""
    with pytest.raises(HttpResponseError, match=r"ResourceNotReady: .* Liveness probe failed"):
        finish(begin("exit", liveness_probe=IMPATIENT))
    assert "init begins" in log()


@pytest.fixture
def ask(deployed: Deployed, name: str) -> Callable[[], requests.Response]:
    headers = {"Authorization": f"Bearer {deployed.primary_key}", "azureml-model-deployment": name}
    return lambda: requests.post(deployed.scoring_uri, json={}, headers=headers, timeout=60)


@pytest.mark.parametrize(
    ("cause", "status", "answer", "said"),
    [
        ("run", "500", "An unexpected error occurred in scoring script.", "KeyError: 'a key that is not there'"),
        ("output type", "500", "An unexpected internal error occurred.", "Object of type set is not JSON serializable"),
    ],
)
def test_run_that_raises_or_returns_what_cannot_be_sent(
    cause: str,
    status: str,
    answer: str,
    said: str,
    begin: Callable[..., Any],
    log: Callable[..., str],
    ask: Callable[[], requests.Response],
) -> None:
    """The deployment succeeds, requests fail: the router's 424 names the model's own 500."""
    assert finish(begin(cause)).provisioning_state == "Succeeded"
    answered = ask()
    assert answered.status_code == 424
    assert answered.headers["ms-azureml-model-error-statuscode"] == status
    assert answered.headers["ms-azureml-model-error-reason"] == "model_error"
    assert answer in answered.text
    assert said in log()


def test_process_that_ends_in_run(begin: Callable[..., Any], ask: Callable[[], requests.Response]) -> None:
    finish(begin("exit in run"))
    for _ in range(2):
        wait_for(lambda: ask().headers.get("ms-azureml-model-error-statuscode") == "502", timeout=30)


def test_model_whose_files_are_gone_is_in_the_storage_initializers_log(
    begin: Callable[..., Any], log: Callable[..., str], ml: MLClient, arm: Arm
) -> None:
    from azure.ai.ml.entities import Model

    gone = "azureml://datastores/workspaceblobstore/paths/nothing/is/here"
    model = ml.models.create_or_update(Model(name=f"gone-{uuid.uuid4().hex[:8]}", path=gone))
    with pytest.raises(HttpResponseError, match=r"BadArgument: Unable to download user model: .*nothing/is/here"):
        finish(begin("", model=model))
    text = log("storage-initializer")
    assert "ModelDownload: Failed" in text
    assert "Name: DownloadFailed, Type: Warning" in text
    assert "Please check storage-initializer log for detail." in text
    assert "nothing/is/here" in text.partition("Container logs:")[2]


@pytest.mark.parametrize(
    "probe",
    [
        {"livenessProbe": {"period": "PT0S"}},
        {"livenessProbe": {"successThreshold": 2}},
        {"readinessProbe": {"timeout": "PT0.5S"}},
        {"readinessProbe": {"initialDelay": "PT0S"}},
    ],
    ids=str,
)
def test_probe_outside_of_azures_limits(probe: dict[str, Any], arm: Arm, deployed: Deployed, name: str) -> None:
    """reference-yaml-deployment-managed-online#probesettings: at least 1; success_threshold of liveness fixed at 1."""
    path = f"/onlineEndpoints/{deployed.endpoint}/deployments"
    body = arm.get(f"{path}/blue").json()
    properties = {**body["properties"], **probe}
    answer = arm.put(f"{path}/{name}", {"location": body["location"], "sku": body["sku"], "properties": properties})
    assert answer.status_code == 400
    assert next(iter(next(iter(probe.values())))) in answer.text


def test_others_are_not_harmed(scorer: Scorer) -> None:
    assert scorer.post({}).status_code == 200
