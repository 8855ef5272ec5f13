"""Entra ID and managed identities, through azure-identity and on the wire.

Section 7 of the notes on Azure's wire shapes: recording R3 and nock recordings of azure-sdk-for-js for the errors;
msal/managed_identity.py for the identity endpoint.
"""

from __future__ import annotations

import uuid

import jwt
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential, DefaultAzureCredential, ManagedIdentityCredential
from support import Arm

from running_service import RunningService

ARM_SCOPE = "https://management.azure.com/.default"


@pytest.fixture
def token_url(service: RunningService) -> str:
    return f"https://login.microsoftonline.com/{service.settings.tenant_id}/oauth2/v2.0/token"


@pytest.fixture
def form(service: RunningService) -> dict[str, str]:
    settings = service.settings
    return {
        "grant_type": "client_credentials",
        "client_id": settings.client_id,
        "client_secret": settings.client_secret,
        "scope": ARM_SCOPE,
    }


def test_right_secret(service: RunningService, credential: ClientSecretCredential) -> None:
    settings = service.settings
    token = credential.get_token(ARM_SCOPE)
    key = jwt.PyJWKClient(f"https://login.microsoftonline.com/{settings.tenant_id}/discovery/v2.0/keys")
    verified = jwt.decode(
        token.token,
        key.get_signing_key_from_jwt(token.token),
        ["RS256"],
        audience="https://management.azure.com",
        issuer=f"https://sts.windows.net/{settings.tenant_id}/",
    )
    assert (verified["tid"], verified["appid"], verified["oid"]) == (
        settings.tenant_id, settings.client_id, settings.client_object_id,
    )  # fmt: skip
    assert abs(verified["exp"] - token.expires_on) < 5


def test_environment_is_enough_for_the_default_credential(arm: Arm) -> None:
    token = DefaultAzureCredential().get_token(ARM_SCOPE).token
    assert arm.request("GET", "", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def refused(tenant: str, client: str, secret: str) -> str:
    with pytest.raises(ClientAuthenticationError) as caught:
        ClientSecretCredential(tenant, client, secret).get_token(ARM_SCOPE)
    return str(caught.value)


def test_wrong_secret(service: RunningService) -> None:
    settings = service.settings
    message = refused(settings.tenant_id, settings.client_id, "wrong")
    assert "AADSTS7000215: Invalid client secret provided." in message
    assert settings.client_secret not in message


def test_unknown_application(service: RunningService) -> None:
    unknown = str(uuid.uuid4())
    message = refused(service.settings.tenant_id, unknown, "x")
    assert f"AADSTS700016: Application with identifier '{unknown}' was not found in the directory" in message


def test_unknown_tenant(service: RunningService) -> None:
    unknown = str(uuid.uuid4())
    message = refused(unknown, service.settings.client_id, service.settings.client_secret)
    # msal's own words for a 400 of the discovery document (msal/authority.py).
    assert f"Unable to get authority configuration for https://login.microsoftonline.com/{unknown}" in message
    configuration = f"https://login.microsoftonline.com/{unknown}/v2.0/.well-known/openid-configuration"
    answer = requests.get(configuration, timeout=30)
    assert (answer.status_code, answer.json()["error"], answer.json()["error_codes"]) == (
        400,
        "invalid_tenant",
        [90002],
    )


def test_token_answer_has_entras_fields(token_url: str, form: dict[str, str]) -> None:
    answer = requests.post(token_url, data=form, timeout=30)
    assert answer.status_code == 200
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert isinstance(body["expires_in"], int)
    assert body["expires_in"] >= 3599
    assert body["ext_expires_in"] == body["expires_in"]
    assert answer.headers["Cache-Control"] == "no-store, no-cache"


def test_older_endpoint_takes_a_resource(service: RunningService, form: dict[str, str], arm: Arm) -> None:
    """As how-to-authenticate-batch-endpoint asks for tokens by REST; numbers are texts, and the resource is said."""
    url = f"https://login.microsoftonline.com/{service.settings.tenant_id}/oauth2/token"
    del form["scope"]
    answer = requests.post(url, data={**form, "resource": "https://management.azure.com/"}, timeout=30)
    body = answer.json()
    assert (answer.status_code, body["token_type"], body["resource"]) == (
        200,
        "Bearer",
        "https://management.azure.com/",
    )
    assert int(body["expires_on"]) - int(body["not_before"]) == int(body["expires_in"]) == int(body["ext_expires_in"])
    assert all(isinstance(value, str) for value in body.values())
    assert arm.request("GET", "", headers={"Authorization": f"Bearer {body['access_token']}"}).status_code == 200
    for change, number in ({"resource": "https://nobody.example"}, 500011), ({}, 900144):
        refusal = requests.post(url, data={**form, **change}, timeout=30)
        assert (refusal.status_code, refusal.json()["error_codes"]) == (400, [number])


def test_client_may_authenticate_by_header(token_url: str, form: dict[str, str]) -> None:
    """RFC 6749, 2.3.1: client_secret_basic, which the discovery document offers."""
    pair = (form.pop("client_id"), form.pop("client_secret"))
    assert requests.post(token_url, data=form, auth=pair, timeout=30).status_code == 200
    assert requests.post(token_url, data=form, auth=(pair[0], "wrong"), timeout=30).status_code == 401


@pytest.mark.parametrize(
    ("change", "status", "error", "number"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": None}, 401, "invalid_client", 7000216),
        ({"client_id": "00000000-0000-0000-0000-000000000000"}, 400, "unauthorized_client", 700016),
        ({"client_id": None}, 400, "invalid_request", 900144),
        ({"grant_type": None}, 400, "invalid_request", 900144),
        ({"scope": None}, 400, "invalid_request", 900144),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"scope": "https://nobody.example/.default"}, 400, "invalid_resource", 500011),
        ({"scope": "https://management.azure.com/user_impersonation"}, 400, "invalid_scope", 1002012),
    ],
    ids=str,
)
def test_refusals_of_the_token_endpoint(
    change: dict[str, str | None], status: int, error: str, number: int, token_url: str, form: dict[str, str]
) -> None:
    data = {name: value for name, value in {**form, **change}.items() if value is not None}
    answer = requests.post(token_url, data=data, timeout=30)
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, error, [number])
    assert set(body) >= {"error_description", "timestamp", "trace_id", "correlation_id", "error_uri"}
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    assert "Trace ID: " in body["error_description"]
    assert body["error_uri"] == f"https://login.microsoftonline.com/error?code={number}"
    assert form["client_secret"] not in answer.text


def test_managed_identity_gets_a_token_that_works(
    service: RunningService, monkeypatch: pytest.MonkeyPatch, arm: Arm
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{service.port}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", service.settings.identity_header)
    token = ManagedIdentityCredential().get_token(ARM_SCOPE).token
    assert arm.request("GET", "", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    with pytest.raises(ClientAuthenticationError):
        ManagedIdentityCredential().get_token(ARM_SCOPE)


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({}, {"resource": "https://management.azure.com"}, 401),
        ({"X-IDENTITY-HEADER": "wrong"}, {"resource": "https://management.azure.com"}, 401),
        ({"X-IDENTITY-HEADER": None}, {"resource": "https://nobody.example"}, 400),
        ({"X-IDENTITY-HEADER": None}, {}, 400),
        ({"X-IDENTITY-HEADER": None}, {"resource": "https://management.azure.com", "client_id": "another"}, 400),
    ],
    ids=str,
)
def test_refusals_of_the_identity_endpoint(
    headers: dict[str, str | None], query: dict[str, str], status: int, service: RunningService
) -> None:
    """``{"statusCode", "message"}``, always JSON: msal raises for anything else."""
    right = {name: value or service.settings.identity_header for name, value in headers.items()}
    url = f"http://127.0.0.1:{service.port}/msi/token"
    answer = requests.get(url, params={"api-version": "2019-08-01", **query}, headers=right, timeout=30)
    assert answer.status_code == status
    assert answer.json()["statusCode"] == status
    assert answer.json()["message"]
