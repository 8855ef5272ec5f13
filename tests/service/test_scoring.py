"""What an online endpoint's router answers, over plain HTTP (the SDK's ``invoke`` retries and leaks headers).

Statuses: https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#http-status-codes
Headers and bodies: section 3 of the notes on Azure's wire shapes (recording of test_online_deployment.json, raw answers
of 2025, the 401 bodies of azure-docs#98265).
"""

from __future__ import annotations

import collections
import json
import uuid
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import ManagedOnlineEndpoint
from azure.identity import ClientSecretCredential
from support import Arm, Deployed, Scorer, finish

from running_service import wait_for

MIB = 1024 * 1024


def test_answers_what_run_returns_as_bare_json_with_the_routers_headers(scorer: Scorer) -> None:
    answer = scorer.post({"data": [1, 2]})
    assert answer.status_code == 200
    assert answer.json() == {"deployment": "blue", "asked": {"data": [1, 2]}}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["azureml-model-deployment"] == "blue"
    assert answer.headers["x-ms-run-function-failed"] == "False"
    assert float(answer.headers["x-ms-run-fn-exec-ms"]) >= 0


def test_request_id_is_a_guid_of_the_routers_own(scorer: Scorer) -> None:
    """``x-request-id`` is always overwritten, and equals ``x-ms-request-id`` where the client sent no id."""
    answer = scorer.post({}, headers={"x-request-id": "mine"})
    assert str(uuid.UUID(answer.headers["x-request-id"])) == answer.headers["x-request-id"]
    assert answer.headers["x-ms-request-id"] == answer.headers["x-request-id"]
    assert scorer.post({}).headers["x-request-id"] != answer.headers["x-request-id"]


def test_router_answers_with_one_request_id_also_where_the_model_does_not(scorer: Scorer, gate: Path) -> None:
    """A header that comes twice is one of two values to a client (RFC 9110, 5.3): no id of any request."""
    answer = scorer.post({"wait_for": str(gate)}, deployment="green")
    assert answer.status_code == 408
    assert str(uuid.UUID(answer.headers["x-request-id"])) == answer.headers["x-ms-request-id"]


def test_client_request_id_is_returned(scorer: Scorer) -> None:
    assert scorer.post({}, headers={"x-ms-client-request-id": "a-B_1"}).headers["x-ms-client-request-id"] == "a-B_1"


def test_client_request_id_is_cleaned_and_cut_to_40_characters(scorer: Scorer) -> None:
    """Only ``[A-Za-z0-9_-]`` are kept, and 40 of them: how-to-troubleshoot-online-endpoints, tracing."""
    answer = scorer.post({}, headers={"x-ms-client-request-id": "é!".encode().decode("latin-1") + "a" * 150})
    assert answer.status_code == 200
    assert answer.headers["x-ms-client-request-id"] == "a" * 40


def test_key_is_not_handed_to_the_model(scorer: Scorer, deployed: Deployed, ml: MLClient) -> None:
    scorer.post({"marker": "who am I"})
    log = ml.online_deployments.get_logs("blue", deployed.endpoint, lines=100)
    assert "who am I" in log
    assert deployed.primary_key not in log


@pytest.mark.parametrize("which", ["primary_key", "secondary_key"])
def test_each_key_opens(which: str, deployed: Deployed, scorer: Scorer) -> None:
    scorer.key = getattr(deployed, which)
    assert scorer.post({}).status_code == 200


@pytest.mark.parametrize(
    ("authorization", "body"),
    [
        (None, "key_auth_bad_header_forbidden"),
        ("", "key_auth_bad_header_forbidden"),
        ("Bearer", "key_auth_bad_header_forbidden"),
        ("Basic {key}", "key_auth_bad_header_forbidden"),
        ("Bearer wrong", "key_auth_access_denied"),
        ("Bearer {key}x", "key_auth_access_denied"),
        ("Bearer grüße", "key_auth_access_denied"),
    ],
)
def test_without_a_right_key_401_in_plain_text(authorization: str | None, body: str, deployed: Deployed) -> None:
    headers = {"Content-Type": "application/json"}
    if authorization is not None:
        headers["Authorization"] = authorization.format(key=deployed.primary_key).encode().decode("latin-1")
    answer = requests.post(deployed.scoring_uri, data="{}", headers=headers, timeout=30)
    assert (answer.status_code, answer.text) == (401, body)
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-request-id"]


@pytest.fixture(scope="module")
def other(ml: MLClient) -> ManagedOnlineEndpoint:
    """A second endpoint, without deployments."""
    return finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name="o-" + uuid.uuid4().hex[:8])))


def test_key_of_another_endpoint_is_refused(other: ManagedOnlineEndpoint, ml: MLClient, scorer: Scorer) -> None:
    scorer.key = ml.online_endpoints.get_keys(other.name).primary_key
    assert (scorer.post({}).status_code, scorer.post({}).text) == (401, "key_auth_access_denied")


def test_entra_token_does_not_open_an_endpoint_with_keys(credential: ClientSecretCredential, scorer: Scorer) -> None:
    scorer.key = credential.get_token("https://ml.azure.com/.default").token
    assert scorer.post({}).status_code == 401


def test_no_deployment_with_traffic_404(other: ManagedOnlineEndpoint, ml: MLClient, scorer: Scorer) -> None:
    scorer.uri, scorer.key = other.scoring_uri, ml.online_endpoints.get_keys(other.name).primary_key
    assert scorer.post({}).status_code == 404


def test_wrong_key_is_refused_before_anything_else_is_told(other: ManagedOnlineEndpoint, scorer: Scorer) -> None:
    scorer.uri = other.scoring_uri
    assert scorer.post({}).status_code == 401


def test_regenerated_key_is_dead_at_once_and_the_other_lives(
    other: ManagedOnlineEndpoint, ml: MLClient, scorer: Scorer
) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-online-endpoint: keys are rotated one
    by one. 404 (no traffic) says that the key was accepted."""
    before = ml.online_endpoints.get_keys(other.name)
    scorer.uri = other.scoring_uri
    finish(ml.online_endpoints.begin_regenerate_keys(other.name, key_type="primary"))
    after = ml.online_endpoints.get_keys(other.name)
    assert after.primary_key != before.primary_key
    assert after.secondary_key == before.secondary_key
    expected = {before.primary_key: 401, after.primary_key: 404, before.secondary_key: 404}
    for key, status in expected.items():
        scorer.key = key
        assert scorer.post({}).status_code == status
    finish(ml.online_endpoints.begin_regenerate_keys(other.name, key_type="secondary"))
    scorer.key = before.secondary_key
    assert scorer.post({}).status_code == 401


def test_deployment_header_chooses_also_one_without_traffic(scorer: Scorer) -> None:
    answer = scorer.post({}, deployment="green")
    assert (answer.status_code, answer.json()["deployment"]) == (200, "green")
    assert answer.headers["azureml-model-deployment"] == "green"


@pytest.mark.parametrize("wrong", ["purple", "", "../x", "blue,green"])
def test_deployment_header_that_names_none_404(wrong: str, scorer: Scorer) -> None:
    assert scorer.post({}, deployment=wrong).status_code == 404


def test_payload_of_10_mb_is_taken_a_larger_one_413(scorer: Scorer) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas: 10 MB on managed endpoints."""
    padding = 10 * MIB - len(json.dumps({"count": ""}))
    fits = json.dumps({"count": "x" * padding}).encode()
    assert len(fits) == 10 * MIB
    headers = {"Content-Type": "application/json"}
    assert scorer.post(data=fits, headers=headers).json() == 10 * MIB
    assert scorer.post(data=fits + b" ", headers=headers).status_code == 413
    assert scorer.post({}).status_code == 200


def test_payload_of_unknown_length_is_counted_as_it_comes(scorer: Scorer) -> None:
    pieces = (b" " * MIB for _ in range(11))
    assert scorer.post(data=pieces, headers={"Content-Type": "application/json"}).status_code == 413
    answer = scorer.post(data=iter([b'{"pie', b'ces": 2}']), headers={"Content-Type": "application/json"})
    assert answer.json()["asked"] == {"pieces": 2}


def test_response_larger_than_10_mb_424(scorer: Scorer) -> None:
    """The payload limit holds for the response too; 424 "Response payload too large"."""
    assert scorer.post({"bytes": 9 * MIB}).status_code == 200
    assert scorer.post({"bytes": 11 * MIB}).status_code == 424


def test_malformed_json_is_the_models_error_424(scorer: Scorer) -> None:
    answer = scorer.post(data=b"{no json", headers={"Content-Type": "application/json"})
    assert answer.status_code == 424
    assert answer.headers["ms-azureml-model-error-statuscode"] == "500"
    assert answer.headers["ms-azureml-model-error-reason"] == "model_error"
    assert answer.headers["azureml-model-deployment"] == "blue"


def test_exception_in_run_424_with_the_containers_words(scorer: Scorer, deployed: Deployed, ml: MLClient) -> None:
    answer = scorer.post({"raise": "boom on purpose"})
    assert answer.status_code == 424
    assert answer.headers["ms-azureml-model-error-statuscode"] == "500"
    assert answer.headers["x-ms-run-function-failed"] == "True"
    assert answer.json() == {"message": "An unexpected error occurred in scoring script. Check the logs for more info."}
    log = ml.online_deployments.get_logs("blue", deployed.endpoint, lines=200)
    assert "ValueError: boom on purpose" in log


@pytest.mark.parametrize("status", [201, 204, 400, 404, 503])
def test_any_status_but_200_of_the_model_becomes_424(status: int, scorer: Scorer) -> None:
    """AzureML's envoy filter: "any non-200", 2xx included."""
    answer = scorer.post({"status": status})
    assert answer.status_code == 424
    assert answer.headers["ms-azureml-model-error-statuscode"] == str(status)


def test_slow_model_408_after_its_time_and_not_before(scorer: Scorer, gate: Path) -> None:
    answer = scorer.post({"wait_for": str(gate)}, deployment="green")
    assert (answer.status_code, answer.text) == (408, "upstream request timeout")
    assert answer.elapsed.total_seconds() >= 0.9
    gate.touch()
    recovered = wait_for(lambda: scorer.post({}, deployment="green").status_code == 200, timeout=10)
    assert recovered


def test_429_over_twice_the_concurrency(deployed: Deployed, gate: Path) -> None:
    """Default concurrency 1, one instance: one request runs, one waits, a third is refused. Its reason is
    ``too_many_pending_request`` and its body empty."""

    def ask() -> requests.Response:
        return requests.post(
            deployed.scoring_uri,
            json={"wait_for": str(gate)},
            headers={"Authorization": f"Bearer {deployed.primary_key}"},
            timeout=30,
        )

    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(ask) for _ in range(5)]
        pending = set(asked)
        refused = []
        while len(refused) < 3:
            done, pending = wait(pending, timeout=30, return_when=FIRST_COMPLETED)
            assert done, "no request was refused"
            refused += [one.result() for one in done]
        assert [answer.status_code for answer in refused] == [429] * 3
        assert len(pending) == 2
        gate.touch()
        assert [one.result().status_code for one in pending] == [200, 200]
    assert refused[0].headers["ms-azureml-model-error-reason"] == "too_many_pending_request"
    assert refused[0].content == b""


@pytest.fixture
def split(ml: MLClient, deployed: Deployed):  # type: ignore[no-untyped-def]
    """Let a test divide the traffic; afterwards blue has it all again."""

    def set_traffic(traffic: dict[str, int], mirror: dict[str, int] | None = None) -> None:
        endpoint = ml.online_endpoints.get(deployed.endpoint)
        endpoint.traffic = traffic
        endpoint.mirror_traffic = mirror or {}
        finish(ml.online_endpoints.begin_create_or_update(endpoint))

    yield set_traffic
    set_traffic({"blue": 100, "green": 0})


def test_traffic_is_divided_as_asked(split, scorer: Scorer) -> None:  # type: ignore[no-untyped-def]
    """400 requests at 30 %: the standard deviation is 9.2, so that the bounds are six of them away."""
    split({"blue": 70, "green": 30})
    counted = collections.Counter(scorer.post({}).json()["deployment"] for _ in range(400))
    assert counted["blue"] + counted["green"] == 400
    assert 65 <= counted["green"] <= 175


def test_all_traffic_and_none(split, scorer: Scorer) -> None:  # type: ignore[no-untyped-def]
    split({"blue": 0, "green": 100})
    assert {scorer.post({}).json()["deployment"] for _ in range(30)} == {"green"}
    split({"blue": 0, "green": 0})
    assert scorer.post({}).status_code == 404
    assert scorer.post({}, deployment="blue").status_code == 200


def test_mirrored_traffic_reaches_the_shadow_and_its_answers_are_discarded(
    split,  # type: ignore[no-untyped-def]
    scorer: Scorer,
    deployed: Deployed,
    ml: MLClient,
) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-safely-rollout-online-endpoints (mirrored traffic).
    60 requests at 50 %: that none is mirrored has the probability 1e-18."""
    split({"blue": 100, "green": 0}, {"green": 50})
    marker = uuid.uuid4().hex
    assert {scorer.post({"marker": marker}).json()["deployment"] for _ in range(60)} == {"blue"}
    wait_for(lambda: marker in ml.online_deployments.get_logs("green", deployed.endpoint, lines=200), timeout=5)


def test_requests_that_name_a_deployment_are_not_mirrored(
    split,  # type: ignore[no-untyped-def]
    scorer: Scorer,
    deployed: Deployed,
    ml: MLClient,
) -> None:
    """how-to-safely-rollout-online-endpoints: only what is sent without a deployment's name is. 40 of these at 50 %:
    that none is mirrored has the probability 1e-12."""
    split({"blue": 100, "green": 0}, {"green": 50})
    named, unnamed = uuid.uuid4().hex, uuid.uuid4().hex
    assert {scorer.post({"marker": named}, deployment="blue").status_code for _ in range(40)} == {200}
    assert {scorer.post({"marker": unnamed}).status_code for _ in range(40)} == {200}

    def log() -> str:
        return ml.online_deployments.get_logs("green", deployed.endpoint, lines=500)

    wait_for(lambda: unnamed in log(), timeout=5)
    assert named not in log()


@pytest.mark.parametrize("path", ["/swagger.json", "/swagger.json?version=3"])
def test_swagger_needs_the_key(path: str, deployed: Deployed) -> None:
    url = deployed.scoring_uri.replace("/score", path)
    assert requests.get(url, timeout=30).status_code == 401
    answer = requests.get(url, headers={"Authorization": f"Bearer {deployed.primary_key}"}, timeout=30)
    assert answer.status_code in (200, 424)
    assert answer.headers["azureml-model-deployment"] == "blue"


def test_swagger_describes_the_score_path(deployed: Deployed) -> None:
    url = deployed.scoring_uri.replace("/score", "/swagger.json")
    answer = requests.get(url, headers={"Authorization": f"Bearer {deployed.primary_key}"}, timeout=30)
    assert answer.status_code == 200
    assert "/score" in answer.json()["paths"]


def test_model_folder_is_laid_out_as_it_was_uploaded(scorer: Scorer) -> None:
    """``AZUREML_MODEL_DIR`` holds a folder under its name, byte for byte, whatever the files are called."""
    expected = {
        f"weights/{path}": f"content of {path}".encode().decode("latin-1")
        for path in ("plain.txt", "inner dir/a+b 100%.txt", "grüße.txt", "q?=&#.txt")
    }
    assert scorer.post({"files": 1}).json() == expected


def test_model_file_keeps_its_name(scorer: Scorer) -> None:
    answer = scorer.post({"files": 1}, deployment="green")
    assert answer.json() == {"single.bin": bytes(range(256)).decode("latin-1")}


def test_models_code_sees_none_of_the_services_secrets(scorer: Scorer, service) -> None:  # type: ignore[no-untyped-def]
    variables = scorer.post({"variables": 1}).json()
    assert variables["DEPLOYMENT"] == "blue"
    text = json.dumps(variables)
    settings = service.settings
    for secret in (settings.client_secret, settings.storage_key, settings.identity_header, scorer.key):
        assert secret not in text


def test_instance_that_ends_is_started_again(scorer: Scorer) -> None:
    """Kubernetes restarts a container that exits (restartPolicy Always); the endpoint heals by itself."""
    answer = scorer.post({"exit": 1})
    assert answer.status_code == 424
    wait_for(lambda: scorer.post({}).status_code == 200, timeout=30)


def test_clients_do_not_wait_for_delayed_acknowledgements(deployed: Deployed) -> None:
    """Towards a proxy urllib3 leaves Nagle's algorithm on (HTTPConnectionPool.__init__), so that a body waits for the
    acknowledgement of its head; Linux delays that by 40 ms (tcp(7), TCP_QUICKACK) unless the server asks for it.

    Such a delay hits every request, a busy machine only some of them: hence the least of their times."""
    with requests.Session() as session:
        headers = {"Authorization": f"Bearer {deployed.primary_key}"}
        seconds = [
            session.post(deployed.scoring_uri, json={}, headers=headers, timeout=30).elapsed.total_seconds()
            for _ in range(21)
        ]
    assert min(seconds) < 0.035


def test_unknown_endpoint_is_not_found(deployed: Deployed, scorer: Scorer) -> None:
    scorer.uri = scorer.uri.replace(deployed.endpoint, "no-such-endpoint")
    assert scorer.post({}).status_code == 404


def test_entra_authentication_takes_tokens_for_azure_ml_only(
    ml: MLClient, arm: Arm, credential: ClientSecretCredential, scorer: Scorer, name: str
) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-online-endpoint: audience
    ``https://ml.azure.com``. Without deployments the router's 404 says that the token was accepted."""
    endpoint = finish(
        ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name, auth_mode="aad_token"))
    )
    scorer.uri = endpoint.scoring_uri
    scorer.key = credential.get_token("https://ml.azure.com/.default").token
    assert scorer.post({}).status_code == 404
    scorer.key = arm.token
    assert scorer.post({}).status_code == 401
    scorer.key = "x"
    assert scorer.post({}).status_code == 401
    assert arm.request("POST", f"/onlineEndpoints/{name}/listKeys").status_code == 400
    finish(ml.online_endpoints.begin_delete(name))


def test_invoke_of_the_sdk(ml: MLClient, deployed: Deployed, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text('{"through": "the SDK"}')
    assert json.loads(ml.online_endpoints.invoke(deployed.endpoint, request_file=str(request))) == {
        "deployment": "blue",
        "asked": {"through": "the SDK"},
    }
