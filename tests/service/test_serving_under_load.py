"""Deployments that change while they are asked without a pause: nobody notices.

https://learn.microsoft.com/azure/machine-learning/concept-endpoints-online ("the endpoint stays available" during
updates), .../how-to-safely-rollout-online-endpoints; limits and statuses:
.../how-to-troubleshoot-online-endpoints#http-status-codes.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import ProbeSettings
from azure.core.exceptions import HttpResponseError
from support import Arm, Deployed, Scorer, deploy, finish

from raw_client import tunnel
from running_service import RunningService, wait_for
from steady_load import under_load

pytestmark = pytest.mark.slow

PATIENT = {"request_timeout_ms": 60_000, "max_concurrent_requests_per_instance": 1}
WHO = {"pid": 1, "sleep": 0.01}  # asks a deployment for the process that answers, and its variable DEPLOYMENT


@pytest.fixture
def change(ml: MLClient, deployed: Deployed, name: str) -> Iterator[Callable[..., Any]]:
    """Create a deployment of the test's own on the shared endpoint, or change it; it is deleted afterwards."""

    def put(**options: Any) -> Any:
        options = {"environment": deployed.environment, "request_settings": PATIENT, **options}
        return finish(deploy(ml, deployed.endpoint, name, **options))

    yield put
    finish(ml.online_deployments.begin_delete(name, deployed.endpoint))


@pytest.fixture
def ask(deployed: Deployed, name: str) -> Callable[..., requests.Response]:
    """Ask the test's own deployment, on a connection of the request's own."""

    def post(**json: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {deployed.primary_key}", "azureml-model-deployment": name}
        return requests.post(deployed.scoring_uri, json=json or WHO, headers=headers, timeout=90)

    return post


def events(ml: MLClient, deployed: Deployed, name: str) -> str:
    return str(ml.online_deployments.get_logs(name, deployed.endpoint, lines=200)).partition("Container logs:")[0]


def test_scaled_out_and_in_without_a_failed_request(
    change: Callable[..., Any], ask: Callable[..., requests.Response], ml: MLClient, deployed: Deployed, name: str
) -> None:
    """What runs goes on running: only the count changes. So it does by PATCH of the sku (Azure Monitor's autoscale)
    and by the SDK's PUT. Three clients and the one that looks on are as many as one instance takes."""
    change(instance_count=1, request_settings={**PATIENT, "max_concurrent_requests_per_instance": 2})
    before = ask().json()[0]
    with under_load(ask, clients=3) as load:
        deployment = ml.online_deployments.get(name, deployed.endpoint)
        deployment.instance_count = 3
        finish(ml.online_deployments.begin_create_or_update(deployment))
        three = {ask().json()[0] for _ in range(12)}
        assert before in three
        assert len(three) == 3
        deployment = ml.online_deployments.get(name, deployed.endpoint)
        deployment.instance_count = 1
        finish(ml.online_deployments.begin_create_or_update(deployment))
        (after,) = {ask().json()[0] for _ in range(12)}
        assert after in three
    assert set(load.statuses) == {200}


def test_patch_scales_and_changed_settings_leave_instances_running(
    change: Callable[..., Any], ask: Callable[..., requests.Response], arm: Arm, deployed: Deployed, name: str
) -> None:
    change()
    before = ask().json()[0]
    path = f"/onlineEndpoints/{deployed.endpoint}/deployments/{name}"
    begun = arm.request("PATCH", path, json={"sku": {"name": "Default", "capacity": 2}})
    assert begun.status_code == 202
    assert arm.ended(begun)["status"] == "Succeeded"
    two = {ask().json()[0] for _ in range(8)}
    assert len(two) == 2
    assert before in two
    change(instance_count=2, request_settings={**PATIENT, "request_timeout_ms": 500})
    assert {ask().json()[0] for _ in range(8)} == two
    assert ask(sleep=1.5).status_code == 408


@pytest.fixture
def change_first(change: Callable[..., Any]) -> Callable[..., Any]:
    change(environment_variables={"DEPLOYMENT": "first"})
    return change


def test_new_version_replaces_the_old_one_without_a_failed_request(
    change_first: Callable[..., Any], ask: Callable[..., requests.Response]
) -> None:
    with under_load(ask) as load:
        change_first(environment_variables={"DEPLOYMENT": "second"})
        load.wait_for_more()
    assert set(load.statuses) == {200}
    for client in load.answers:
        versions = [body[1] for _, body in client]
        assert versions == sorted(versions)  # from the first to the second, and never back
        assert set(versions) == {"first", "second"}


def test_request_that_runs_as_its_instance_is_replaced_is_answered(
    change_first: Callable[..., Any], ask: Callable[..., requests.Response], gate: Path
) -> None:
    two = {
        "environment_variables": {"DEPLOYMENT": "first", "WORKER_COUNT": "2"},
        "request_settings": {**PATIENT, "max_concurrent_requests_per_instance": 2},
    }
    change_first(**two)
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(ask, pid=1, wait_for=str(gate))
        replacing = pool.submit(change_first, **{**two, "environment_variables": {"DEPLOYMENT": "second"}})
        wait_for(lambda: ask().json()[1] == "second", timeout=60)
        assert not running.done()
        gate.touch()
        assert running.result().json()[1] == "first"
        replacing.result()


def test_version_that_fails_leaves_the_old_one_and_its_log_says_why(
    change_first: Callable[..., Any],
    ask: Callable[..., requests.Response],
    ml: MLClient,
    deployed: Deployed,
    name: str,
) -> None:
    before = ask().json()
    with under_load(ask) as load:
        with pytest.raises(HttpResponseError, match="ResourceNotReady"):
            change_first(script="init_raises.py")
        assert ml.online_deployments.get(name, deployed.endpoint).provisioning_state == "Failed"
        assert "the weights are of another shape" in ml.online_deployments.get_logs(name, deployed.endpoint, lines=200)
        # Back to what serves: nothing has to be started for it.
        change_first(environment_variables={"DEPLOYMENT": "first"})
    assert set(load.statuses) == {200}
    assert load.bodies[-1] == before
    assert ml.online_deployments.get(name, deployed.endpoint).provisioning_state == "Succeeded"
    assert "UserContainerStart: Succeeded" in events(ml, deployed, name)


def test_switch_of_traffic_and_deletion_of_the_old_one_without_a_failed_request(
    ml: MLClient, deployed: Deployed, scorer: Scorer, name: str
) -> None:
    finish(deploy(ml, deployed.endpoint, name, environment=deployed.environment, request_settings=PATIENT))
    endpoint = ml.online_endpoints.get(deployed.endpoint)
    try:
        endpoint.traffic = {name: 100}
        finish(ml.online_endpoints.begin_create_or_update(endpoint))
        # Two clients at most are in flight: as many as blue takes, too.
        with under_load(functools.partial(scorer.post, {"pid": 1, "sleep": 0.01})) as load:
            endpoint.traffic = {"blue": 100, name: 0}
            finish(ml.online_endpoints.begin_create_or_update(endpoint))
            finish(ml.online_deployments.begin_delete(name, deployed.endpoint))
        assert set(load.statuses) == {200}
        assert {body[1] for body in load.bodies} == {name, "blue"}
    finally:
        endpoint.traffic = {"blue": 100, "green": 0}
        finish(ml.online_endpoints.begin_create_or_update(endpoint))


def test_64_clients_at_concurrency_1(
    change: Callable[..., Any], ask: Callable[..., requests.Response], name: str
) -> None:
    change()
    with ThreadPoolExecutor(64) as pool:
        answers = [one.result() for one in [pool.submit(ask, sleep=0.05) for _ in range(256)]]
    counted = collections.Counter(answer.status_code for answer in answers)
    assert set(counted) == {200, 429}
    for answer in answers:
        if answer.status_code == 429:
            assert answer.headers["ms-azureml-model-error-reason"] == "too_many_pending_request"
            assert answer.headers["azureml-model-deployment"] == name
            assert answer.content == b""
    assert ask().status_code == 200


def test_workers_answer_at_the_same_time(
    change: Callable[..., Any], ask: Callable[..., requests.Response], gate: Path
) -> None:
    """``WORKER_COUNT`` with as many concurrent requests: reference-yaml-deployment-managed-online, RequestSettings."""
    change(
        environment_variables={"DEPLOYMENT": "two", "WORKER_COUNT": "2"},
        request_settings={**PATIENT, "max_concurrent_requests_per_instance": 2},
    )
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, pid=1, wait_for=str(gate))
        wait_for(Path(f"{gate}.waits").exists)
        other = ask().json()[0]
        assert not waiting.done()
        gate.touch()
        assert waiting.result().json()[0] != other


def test_request_whose_time_runs_out_while_it_waits_never_reaches_the_model(
    change: Callable[..., Any],
    ask: Callable[..., requests.Response],
    ml: MLClient,
    deployed: Deployed,
    name: str,
    gate: Path,
) -> None:
    """The worker is still at the first one, so its place is not given away before it has ended."""
    change(request_settings={**PATIENT, "request_timeout_ms": 1000})
    assert ask(wait_for=str(gate)).status_code == 408
    assert ask(marker="never seen").status_code == 408
    gate.touch()
    wait_for(lambda: ask().status_code == 200, timeout=30)
    assert "never seen" not in ml.online_deployments.get_logs(name, deployed.endpoint, lines=500)


def test_hung_worker_is_found_by_the_liveness_probe_and_replaced(
    change: Callable[..., Any],
    ask: Callable[..., requests.Response],
    ml: MLClient,
    deployed: Deployed,
    name: str,
) -> None:
    """ "Giving up in the case of a liveness probe means the container will be restarted": ProbeSettings. The only
    worker cannot answer the probe while it runs a request, as on Azure, whose server is the same."""
    change(liveness_probe=ProbeSettings(initial_delay=30, period=1, timeout=1, failure_threshold=3))
    before = ask().json()[0]
    hung = ask(hang=1)
    assert hung.status_code == 424
    assert hung.headers["ms-azureml-model-error-reason"] == "model_error"
    wait_for(lambda: ask().status_code == 200, timeout=60)
    assert ask().json()[0] != before
    told = events(ml, deployed, name)
    assert told.count("Name: LivenessProbeFailed, Type: Warning") >= 3
    assert "Name: Killing" in told
    assert "Message: Container inference-server failed liveness probe, will be restarted" in told


def test_instance_whose_readiness_probe_fails_gets_no_requests_until_it_passes(
    change: Callable[..., Any],
    ask: Callable[..., requests.Response],
    ml: MLClient,
    deployed: Deployed,
    name: str,
    gate: Path,
) -> None:
    """ "In the case of a readiness probe the container will be marked Unready": ProbeSettings."""
    change(readiness_probe=ProbeSettings(initial_delay=30, period=1, timeout=1, failure_threshold=1))
    before = ask().json()[0]
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, pid=1, wait_for=str(gate))
        wait_for(lambda: "ReadinessProbeFailed" in events(ml, deployed, name), timeout=30)
        refused = ask()
        assert refused.status_code == 424
        assert refused.headers["ms-azureml-model-error-reason"] == "model_not_ready"
        gate.touch()
        assert running.result().json()[0] == before
    wait_for(lambda: ask().status_code == 200, timeout=30)
    assert ask().json()[0] == before


def test_clients_that_go_away_leave_nothing_behind(
    change: Callable[..., Any],
    ask: Callable[..., requests.Response],
    service: RunningService,
    deployed: Deployed,
    name: str,
    gate: Path,
) -> None:
    """One while it uploads, one while its request runs, one while it waits. Places are free once the model answered."""
    change()
    host = deployed.scoring_uri.split("/")[2]
    body = f'{{"wait_for": "{gate}"}}'.encode()
    head = (
        f"POST /score HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {deployed.primary_key}\r\n"
        f"azureml-model-deployment: {name}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    log = service.home.logs / "service.log"
    logged = log.stat().st_size
    for sent in (head + body[:5], head + body, head + body):
        with tunnel(service, host) as connection:
            connection.sendall(sent)
    wait_for(lambda: ask(wait_for=str(gate)).status_code == 429, "both places are taken", 30)
    gate.touch()
    wait_for(lambda: ask().status_code == 200, timeout=30)
    assert {ask().status_code for _ in range(5)} == {200}
    with log.open() as file:
        file.seek(logged)
        assert "Traceback" not in file.read()
