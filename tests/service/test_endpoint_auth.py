"""The three authentication modes of an endpoint, through the SDK and over plain HTTP.

https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-online-endpoint and
concept-endpoints-online-auth; statuses: how-to-troubleshoot-online-endpoints#http-status-codes. Without deployments
the router's 404 says that the caller was let in.
"""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import EndpointAadToken, EndpointAuthKeys, EndpointAuthToken, ManagedOnlineEndpoint
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from support import Arm, Deployed, Scorer, finish, quick_session

from azureml_local import admin
from running_service import RunningService, command_line, start_service, wait_for

ML_SCOPE = "https://ml.azure.com/.default"
MODES = ("key", "aml_token", "aad_token")
LIFETIME = 3600
NewEndpoint = Callable[..., ManagedOnlineEndpoint]


@pytest.fixture(scope="module")
def new_endpoint(ml: MLClient) -> Iterator[NewEndpoint]:
    """Make an endpoint without deployments."""
    names = []

    def create(mode: str, name: str | None = None, **options: str) -> ManagedOnlineEndpoint:
        names.append(name or "a-" + uuid.uuid4().hex[:8])
        endpoint = ManagedOnlineEndpoint(name=names[-1], auth_mode=mode, **options)
        return finish(ml.online_endpoints.begin_create_or_update(endpoint))

    yield create
    for name in set(names):
        finish(ml.online_endpoints.begin_delete(name))


@pytest.fixture(scope="module")
def token_endpoint(new_endpoint: NewEndpoint) -> ManagedOnlineEndpoint:
    return new_endpoint("aml_token")


@pytest.fixture
def restored(ml: MLClient, deployed: Deployed) -> Iterator[ManagedOnlineEndpoint]:
    """The shared endpoint, to change its mode or its network; it is as it was when the test ends."""
    endpoint = ml.online_endpoints.get(deployed.endpoint)
    yield endpoint
    endpoint.auth_mode, endpoint.public_network_access = "key", "enabled"
    finish(ml.online_endpoints.begin_create_or_update(endpoint))


# --- aml_token ---


def test_token_has_azures_fields(arm: Arm, token_endpoint: ManagedOnlineEndpoint) -> None:
    """EndpointAuthToken of the OpenAPI: two texts and two whole numbers, Unix time stamps (its .NET client reads them
    by FromUnixTimeSeconds); the contract's checker holds the answer against the clients' models."""
    before = int(time.time())
    answer = arm.request("POST", f"/onlineEndpoints/{token_endpoint.name}/token")
    assert answer.status_code == 200
    token = answer.json()
    assert set(token) == {"accessToken", "tokenType", "expiryTimeUtc", "refreshAfterTimeUtc"}
    assert token["tokenType"] == "Bearer"
    assert type(token["expiryTimeUtc"]) is type(token["refreshAfterTimeUtc"]) is int
    assert before + LIFETIME <= token["expiryTimeUtc"] <= time.time() + LIFETIME + 1
    assert before < token["refreshAfterTimeUtc"] < token["expiryTimeUtc"]
    claims = jwt.decode(token["accessToken"], options={"verify_signature": False})
    assert claims["exp"] == token["expiryTimeUtc"]


def test_sdk_gets_the_token_and_it_opens_the_endpoint(
    ml: MLClient, token_endpoint: ManagedOnlineEndpoint, scorer: Scorer
) -> None:
    assert token_endpoint.auth_mode == "aml_token"
    token = ml.online_endpoints.get_keys(token_endpoint.name)
    assert isinstance(token, EndpointAuthToken)
    assert token.token_type == "Bearer"
    assert time.time() < token.refresh_after_time_utc < token.expiry_time_utc
    scorer.uri, scorer.key = token_endpoint.scoring_uri, token.access_token
    assert scorer.post({}).status_code == 404


def test_token_of_one_endpoint_opens_no_other(
    ml: MLClient, arm: Arm, token_endpoint: ManagedOnlineEndpoint, new_endpoint: NewEndpoint, scorer: Scorer
) -> None:
    token = ml.online_endpoints.get_keys(token_endpoint.name).access_token
    for other in (new_endpoint("aml_token"), new_endpoint("key"), new_endpoint("aad_token")):
        scorer.uri, scorer.key = other.scoring_uri, token
        assert scorer.post({}).status_code == 401, other.auth_mode
    assert arm.request("GET", "", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_token_does_not_outlive_its_endpoint(ml: MLClient, new_endpoint: NewEndpoint, scorer: Scorer) -> None:
    """One that is made anew under the same name is another endpoint."""
    endpoint = new_endpoint("aml_token")
    scorer.uri, scorer.key = endpoint.scoring_uri, ml.online_endpoints.get_keys(endpoint.name).access_token
    assert scorer.post({}).status_code == 404
    finish(ml.online_endpoints.begin_delete(endpoint.name))
    new_endpoint("aml_token", endpoint.name)
    assert scorer.post({}).status_code == 401
    scorer.key = ml.online_endpoints.get_keys(endpoint.name).access_token
    assert scorer.post({}).status_code == 404


def test_tokens_stay_valid_when_the_endpoint_is_changed(
    ml: MLClient, token_endpoint: ManagedOnlineEndpoint, scorer: Scorer
) -> None:
    scorer.uri, scorer.key = (
        token_endpoint.scoring_uri,
        ml.online_endpoints.get_keys(token_endpoint.name).access_token,
    )
    token_endpoint.tags = {"changed": "yes"}
    finish(ml.online_endpoints.begin_create_or_update(token_endpoint))
    assert scorer.post({}).status_code == 404


@pytest.mark.parametrize("scope", [ML_SCOPE, "https://management.azure.com/.default"])
def test_entra_token_does_not_open_an_endpoint_with_tokens_of_its_own(
    scope: str, credential: ClientSecretCredential, token_endpoint: ManagedOnlineEndpoint, scorer: Scorer
) -> None:
    scorer.uri, scorer.key = token_endpoint.scoring_uri, credential.get_token(scope).token
    answer = scorer.post({})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "wrong audience" in answer.text


def test_token_needs_its_action_and_scoring_with_it_no_role(
    service: RunningService, arm: Arm, token_endpoint: ManagedOnlineEndpoint, scorer: Scorer, name: str
) -> None:
    """concept-endpoints-online-auth: "onlineEndpoints/token/action", which Reader lacks; "Doesn't require a role"."""
    path = f"/onlineEndpoints/{token_endpoint.name}/token"
    scope = f"{arm.workspace}/onlineEndpoints/{token_endpoint.name}"
    answers = {}
    for role in ("Reader", "AzureML Data Scientist"):
        made = admin.call(service.home, "POST", "/identities", {"name": name, "role": role, "scope": scope})
        credential = ClientSecretCredential(*(made[f"AZURE_{k}"] for k in ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET")))
        token = credential.get_token("https://management.azure.com/.default").token
        answers[role] = arm.request("POST", path, headers={"Authorization": f"Bearer {token}"})
        admin.call(service.home, "DELETE", f"/identities/{name}")
    assert answers["Reader"].status_code == 403
    assert "onlineEndpoints/token/action" in answers["Reader"].json()["error"]["message"]
    scorer.uri, scorer.key = token_endpoint.scoring_uri, answers["AzureML Data Scientist"].json()["accessToken"]
    assert scorer.post({}).status_code == 404  # though its holder is gone, and its role with it


# --- what belongs to which mode ---


def test_credentials_of_another_mode_are_refused(arm: Arm, new_endpoint: NewEndpoint) -> None:
    actions = {"listKeys": "key", "regenerateKeys": "key", "token": "aml_token"}
    for mode, (action, its_mode) in itertools.product(MODES, actions.items()):
        name = new_endpoint(mode).name
        body = {"keyType": "Primary"} if action == "regenerateKeys" else None
        answer = arm.request("POST", f"/onlineEndpoints/{name}/{action}", json=body)
        assert answer.status_code == (200 if mode == its_mode else 400), (mode, action)
        if mode != its_mode:
            assert name in answer.json()["error"]["details"][0]["message"]
    assert arm.request("POST", "/onlineEndpoints/absent/token").status_code == 404


@pytest.mark.parametrize("key", ["with space", " led", "trailing ", "new\nline", "tab\t", "grüße", "nul\0"])
def test_key_that_nobody_could_send_is_refused(key: str, arm: Arm, new_endpoint: NewEndpoint, name: str) -> None:
    properties = {"authMode": "Key", "keys": {"primaryKey": key}}
    answer = arm.put(f"/onlineEndpoints/{name}", {"location": "eastus", "properties": properties})
    assert answer.status_code == 400
    assert "keys.primaryKey" in answer.json()["error"]["details"][0]["message"]
    assert arm.get(f"/onlineEndpoints/{name}").status_code == 404


def test_regenerated_key_that_nobody_could_send_is_refused(arm: Arm, deployed: Deployed, scorer: Scorer) -> None:
    path = f"/onlineEndpoints/{deployed.endpoint}/regenerateKeys"
    answer = arm.request("POST", path, json={"keyType": "Primary", "keyValue": "with space"})
    assert answer.status_code == 400
    assert "keyValue" in answer.json()["error"]["details"][0]["message"]
    assert scorer.post({}).status_code == 200  # by the key that it had


def test_invoke_works_in_each_mode_and_a_change_costs_no_downtime(
    ml: MLClient, restored: ManagedOnlineEndpoint, scorer: Scorer, tmp_path: Path
) -> None:
    """ "update the existing endpoint and specify auth_mode": how-to-authenticate-online-endpoint, "Create an
    endpoint". The deployments serve on; who shows the former mode's credential is refused."""
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"data": [1]}))
    kinds = {"aml_token": EndpointAuthToken, "aad_token": EndpointAadToken, "key": EndpointAuthKeys}
    for mode, kind in kinds.items():
        former = scorer.key
        restored.auth_mode = mode
        finish(ml.online_endpoints.begin_create_or_update(restored))
        credential = ml.online_endpoints.get_keys(restored.name)
        assert isinstance(credential, kind)
        assert scorer.post({}).status_code == 401
        scorer.key = credential.primary_key if mode == "key" else credential.access_token
        assert scorer.key != former
        assert scorer.post({}).status_code == 200
        answer = ml.online_endpoints.invoke(restored.name, request_file=str(request))
        assert json.loads(answer)["asked"] == {"data": [1]}


def test_bearer_is_the_only_form_of_the_header_in_each_mode(
    ml: MLClient, new_endpoint: NewEndpoint, scorer: Scorer
) -> None:
    """how-to-authenticate-online-endpoint: ``Authorization: Bearer``, key or token."""
    for mode in MODES:
        endpoint = new_endpoint(mode)
        found = ml.online_endpoints.get_keys(endpoint.name)
        credential = found.primary_key if mode == "key" else found.access_token
        scorer.uri = endpoint.scoring_uri
        for header, status in (
            (f"Bearer {credential}", 404),
            (f"bearer {credential}", 404),
            (f"token {credential}", 401),
            (f"Token {credential}", 401),
            (credential, 401),
            (f"Bearer {credential}x", 401),
            (f"Bearer x{credential}", 401),
            ("Bearer not.a.token", 401),
            ("Bearer", 401),
            ("", 401),
        ):
            answer = scorer.post({}, headers={"Authorization": header})
            assert answer.status_code == status, (mode, header[:7])
            assert credential not in answer.text


# --- keys ---


@pytest.fixture
def keys_of_the_shared_endpoint(arm: Arm, deployed: Deployed) -> Iterator[None]:
    """The shared endpoint has its keys again when the test ends."""
    yield
    for kind, key in (("Primary", deployed.primary_key), ("Secondary", deployed.secondary_key)):
        body = {"keyType": kind, "keyValue": key}
        assert arm.request("POST", f"/onlineEndpoints/{deployed.endpoint}/regenerateKeys", json=body).ok


@pytest.mark.usefixtures("keys_of_the_shared_endpoint")
def test_keys_are_rotated_under_load_without_a_refused_request(ml: MLClient, deployed: Deployed) -> None:
    """Callers change to the secondary key, the primary is replaced, they change to it, the secondary is replaced."""
    callers = range(2)  # an instance takes as many requests at a time
    keys = [deployed.primary_key]  # the last one is the one to use
    answers: list[list[tuple[str, int]]] = [[] for _ in callers]  # by caller: the key, and the status
    ended = threading.Event()

    def call(caller: int) -> None:
        with quick_session() as session:
            scorer = Scorer(session, deployed.scoring_uri, "")
            while not ended.is_set():
                scorer.key = keys[-1]
                answers[caller].append((scorer.key, scorer.post({"data": [1]}).status_code))

    def all_use_the_last_key() -> bool:
        return all(sum(key == keys[-1] for key, _ in given) >= 5 for given in answers)

    with ThreadPoolExecutor(len(callers)) as pool:
        running = [pool.submit(call, caller) for caller in callers]
        try:
            wait_for(all_use_the_last_key)
            for leaving, other in (("primary", "secondary_key"), ("secondary", "primary_key")):
                keys.append(getattr(ml.online_endpoints.get_keys(deployed.endpoint), other))
                wait_for(all_use_the_last_key)
                finish(ml.online_endpoints.begin_regenerate_keys(deployed.endpoint, key_type=leaving))
        finally:
            ended.set()
        for caller in running:
            caller.result()
    assert len(set(keys)) == 3
    assert {status for given in answers for _, status in given} == {200}
    assert not {deployed.primary_key, deployed.secondary_key} & set(
        vars(ml.online_endpoints.get_keys(deployed.endpoint)).values()
    )


# --- the network ---


def test_closed_endpoint_refuses_all_until_it_is_opened_and_its_deployments_stay(
    ml: MLClient, arm: Arm, deployed: Deployed, restored: ManagedOnlineEndpoint, scorer: Scorer, tmp_path: Path
) -> None:
    """concept-secure-online-endpoint: "the endpoint can't be reached from public networks", and every network that
    reaches this machine's service is one; the flag can be changed later. What is answered is not documented: as Azure's
    other services, 403."""
    log = ml.online_deployments.get_logs("blue", deployed.endpoint, lines=5000)
    restored.public_network_access = "disabled"
    finish(ml.online_endpoints.begin_create_or_update(restored))
    assert ml.online_endpoints.get(restored.name).public_network_access == "Disabled"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": ""}):
        answer = scorer.post({}, headers=headers)
        assert answer.status_code == 403  # before anything is said of the key
        assert "Public network access to this endpoint is disabled." in answer.json()["error"]["message"]
    request = tmp_path / "request.json"
    request.write_text("{}")
    with pytest.raises(HttpResponseError, match="Public network access to this endpoint is disabled"):
        ml.online_endpoints.invoke(restored.name, request_file=str(request))
    # The control plane is Resource Manager's, and public (includes/machine-learning-managed-vnet-online-endpoint-...).
    assert ml.online_endpoints.get_keys(restored.name).primary_key == deployed.primary_key
    restored.public_network_access = "enabled"
    finish(ml.online_endpoints.begin_create_or_update(restored))
    assert scorer.post({}).status_code == 200
    after = ml.online_deployments.get_logs("blue", deployed.endpoint, lines=5000)
    assert after.count("init of blue") == log.count("init of blue")  # the same process


def test_endpoint_can_be_closed_from_the_start(ml: MLClient, new_endpoint: NewEndpoint, scorer: Scorer) -> None:
    endpoint = new_endpoint("key", public_network_access="disabled")
    assert endpoint.public_network_access == "Disabled"
    scorer.uri, scorer.key = endpoint.scoring_uri, ml.online_endpoints.get_keys(endpoint.name).primary_key
    assert scorer.post({}).status_code == 403


def test_a_workspaces_own_flag_does_not_close_its_endpoints(arm: Arm, scorer: Scorer) -> None:
    """concept-secure-online-endpoint: workspace and endpoint each have a flag, for what comes to each."""
    try:
        changed = arm.request("PATCH", "", json={"properties": {"publicNetworkAccess": "Disabled"}})
        assert changed.json()["properties"]["publicNetworkAccess"] == "Disabled"
        assert scorer.post({}).status_code == 200
    finally:
        arm.request("PATCH", "", json={"properties": {"publicNetworkAccess": "Enabled"}})


def test_deployment_without_public_egress_is_said_to_be_lacking(arm: Arm, deployed: Deployed, name: str) -> None:
    """The legacy isolation, a virtual network for each deployment: there is none here."""
    body = arm.get(f"/onlineEndpoints/{deployed.endpoint}/deployments/blue").json()
    body["properties"]["egressPublicNetworkAccess"] = "Disabled"
    answer = arm.put(f"/onlineEndpoints/{deployed.endpoint}/deployments/{name}", body)
    assert answer.status_code == 501
    assert "egressPublicNetworkAccess" in answer.json()["error"]["message"]


# --- expiry ---

FACTOR = 600  # the hour of an endpoint's token takes six seconds


@dataclass(frozen=True)
class Fast:
    """A service whose endpoints' tokens live six seconds, and its clients."""

    ml: MLClient
    credential: ClientSecretCredential
    session: requests.Session


@pytest.fixture(scope="module")
def fast() -> Iterator[Fast]:
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        started = start_service(root, {"AZUREML_LOCAL_CLOCK_FACTOR": str(FACTOR)})
        settings = started.settings
        with pytest.MonkeyPatch.context() as patch, quick_session() as session:
            for variable, value in started.environment.items():
                patch.setenv(variable, value)
            credential = ClientSecretCredential(settings.tenant_id, settings.client_id, settings.client_secret)
            names = (settings.subscription_id, settings.resource_group, settings.workspace)
            yield Fast(MLClient(credential, *names, enable_telemetry=False), credential, session)
    finally:
        command_line(root, "stop")
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.slow
def test_tokens_expire_and_the_clients_get_new_ones(fast: Fast) -> None:
    """A token is good until it expires and never after; azure-identity and azure-ai-ml renew theirs unasked."""
    endpoints = [
        finish(fast.ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name, auth_mode=mode)))
        for name, mode in (("expiring-1", "aml_token"), ("expiring-2", "aad_token"))
    ]
    first = [fast.ml.online_endpoints.get_keys(endpoint.name) for endpoint in endpoints]
    scorers = [
        Scorer(fast.session, endpoint.scoring_uri, token.access_token)
        for endpoint, token in zip(endpoints, first, strict=True)
    ]
    assert [scorer.post({}).status_code for scorer in scorers] == [404, 404]
    for endpoint, scorer, token in zip(endpoints, scorers, first, strict=True):
        wait_for(lambda scorer=scorer: scorer.post({}).status_code != 404, "the token's end")
        assert time.time() >= token.expiry_time_utc
        refused = scorer.post({})
        assert (refused.status_code, refused.text) == (401, "The access token expiry UTC time is in the past.")
        second = fast.ml.online_endpoints.get_keys(endpoint.name)
        assert second.expiry_time_utc > token.expiry_time_utc
        scorer.key = second.access_token
        assert scorer.post({}).status_code == 404
