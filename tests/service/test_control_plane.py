"""Resource Manager's own manners: authentication, routing, bodies, errors.

Codes and texts: section 2 of the notes on Azure's wire shapes (2.2: answers of ARM's gateway); error format:
https://github.com/Azure/azure-resource-manager-rpc/blob/master/v1.0/common-api-details.md#error-response-content
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any

import jwt
import pytest
from azure.identity import ClientSecretCredential
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support import Arm, Deployed

from running_service import RunningService


def error(answer: Any) -> dict[str, Any]:
    body = answer.json()
    assert set(body) == {"error"}
    assert body["error"]["message"]
    found: dict[str, Any] = body["error"]
    return found


# --- who is calling ---


def test_no_token_401_with_a_challenge(arm: Arm) -> None:
    for headers in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}):
        answer = arm.request("GET", "", headers=headers)
        assert answer.status_code == 401
        assert error(answer)["code"] == "AuthenticationFailed"
        challenge = answer.headers["WWW-Authenticate"]
        assert challenge.startswith("Bearer authorization_uri=")
        assert arm.settings.tenant_id in challenge


def claims(arm: Arm) -> dict[str, Any]:
    return jwt.decode(arm.token, options={"verify_signature": False})


def resigned(arm: Arm, service: RunningService, **changes: Any) -> str:
    """Return a token of the service's own key with changed claims: what only a clock or a thief could make."""
    key = serialization.load_pem_private_key(service.home.signing_key.read_bytes(), None)
    return jwt.encode({**claims(arm), **changes}, key, "RS256", headers=jwt.get_unverified_header(arm.token))


def test_expired_token(arm: Arm, service: RunningService) -> None:
    token = resigned(arm, service, exp=int(time.time()) - 1)
    answer = arm.request("GET", "", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert error(answer)["code"] == "ExpiredAuthenticationToken"
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    good = resigned(arm, service, exp=int(time.time()) + 60)
    assert arm.request("GET", "", headers={"Authorization": f"Bearer {good}"}).status_code == 200


def test_token_for_another_audience(arm: Arm, credential: ClientSecretCredential) -> None:
    for resource in ("https://storage.azure.com", "https://ml.azure.com"):
        token = credential.get_token(f"{resource}/.default").token
        answer = arm.request("GET", "", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
        assert error(answer)["code"] == "InvalidAuthenticationTokenAudience"
        assert resource in error(answer)["message"]


def unpadded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("forgery", ["rubbish", "foreign key", "no algorithm", "public key as secret", "changed claim"])
def test_forged_token(forgery: str, arm: Arm, service: RunningService) -> None:
    """RFC 8725: the algorithm is the verifier's choice, never the token's."""
    head, body, signature = arm.token.split(".")
    if forgery == "rubbish":
        token = "a.b.c"
    elif forgery == "foreign key":
        stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        token = jwt.encode(claims(arm), stranger, "RS256", headers=jwt.get_unverified_header(arm.token))
    elif forgery == "no algorithm":
        token = f"{unpadded({'alg': 'none', 'typ': 'JWT'})}.{body}."
    elif forgery == "public key as secret":
        key = serialization.load_pem_private_key(service.home.signing_key.read_bytes(), None)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        message = f"{unpadded({'alg': 'HS256', 'typ': 'JWT'})}.{body}"
        mac = hmac.new(public, message.encode(), hashlib.sha256).digest()
        token = f"{message}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    else:
        token = f"{head}.{unpadded({**claims(arm), 'exp': int(time.time()) + 999999})}.{signature}"
    answer = arm.request("GET", "", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert error(answer)["code"] == "InvalidAuthenticationToken"


def test_token_of_another_tenant(arm: Arm, service: RunningService) -> None:
    other = str(uuid.uuid4())
    token = resigned(arm, service, tid=other, iss=f"https://sts.windows.net/{other}/")
    assert arm.request("GET", "", headers={"Authorization": f"Bearer {token}"}).status_code == 401


# --- what is asked ---


def test_every_answer_names_its_request(arm: Arm) -> None:
    mine = str(uuid.uuid4())
    headers = {"Authorization": f"Bearer {arm.token}", "x-ms-correlation-request-id": mine}
    for path in ("", "/models/absent", "/frobnicators/x"):
        answer = arm.request("GET", path, headers=headers)
        assert str(uuid.UUID(answer.headers["x-ms-request-id"])) == answer.headers["x-ms-request-id"]
        assert answer.headers["x-ms-correlation-request-id"] == mine


def test_api_version_is_required(arm: Arm) -> None:
    answer = arm.request("GET", "", params={})
    assert answer.status_code == 400
    assert error(answer)["code"] == "MissingApiVersionParameter"
    assert error(arm.request("GET", "", params={"api-version": ""}))["code"] == "MissingApiVersionParameter"
    assert arm.request("GET", "", params={"API-Version": "2021-01-01"}).status_code == 200


@pytest.mark.parametrize("version", ["2024", "latest", "2024-10-01-", "2024-10-01; drop", "v1.0", "2024-1-1"])
def test_api_version_must_be_one(version: str, arm: Arm) -> None:
    answer = arm.request("GET", "", params={"api-version": version})
    assert answer.status_code == 400
    assert error(answer)["code"] == "InvalidApiVersionParameter"
    assert version in error(answer)["message"]
    assert arm.request("GET", "", params={"api-version": "2022-02-01-preview"}).status_code == 200


@pytest.mark.parametrize("path", ["frobnicators", "frobnicators/x", "workspaces/{ws}/frobnicators/x"])
def test_resource_type_that_azure_lacks(path: str, arm: Arm) -> None:
    base = arm.workspace.rpartition("/workspaces/")[0]
    answer = arm.get(f"{base}/{path.format(ws=arm.settings.workspace)}")
    assert answer.status_code == 404
    assert error(answer)["code"] == "InvalidResourceType"
    assert "Microsoft.MachineLearningServices" in error(answer)["message"]
    assert "2024-10-01" in error(answer)["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/computes/cpu/resize"),
        ("GET", "/connections"),
        ("GET", "/featuresets/f/versions/1"),
        # Operations of resources that are served.
        ("GET", "/onlineEndpoints/e/deployments/d/skus"),
        ("POST", "/diagnose"),
    ],
)
def test_what_azure_has_and_this_lacks_501_by_name(method: str, path: str, arm: Arm) -> None:
    """design.md: "A route that we lack answers 501 and names the operation". All of these are operations of Azure
    (https://learn.microsoft.com/rest/api/azureml/operation-groups), so that 405 or 404 would be untrue."""
    answer = arm.request(method, path)
    assert answer.status_code == 501, answer.text
    assert error(answer)["code"] == "NotImplemented"
    assert f"{method} " in error(answer)["message"]
    assert path in error(answer)["message"]


def test_other_providers_501(arm: Arm) -> None:
    answer = arm.get(f"{arm.group}/providers/Microsoft.Compute/virtualMachines/v")
    assert answer.status_code == 501
    assert "Microsoft.Compute" in error(answer)["message"]


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("PUT", "/models"), ("TRACE", "/models")])
def test_method_that_a_resource_does_not_take_405(method: str, path: str, arm: Arm) -> None:
    answer = arm.request(method, path)
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"[]",
        b'"text"',
        b"5",
        b"\xff\xfe{}",
        b'{"properties": {"modelUri": "azureml://datastores/x/paths/y", "kept": {"a": Infinity}}}',
        b'{"properties": {"modelUri": "azureml://datastores/x/paths/y", "kept": {"a": NaN}}}',
        b'{"properties": {"modelUri": "azureml://datastores/x/paths/y", "kept": {"a": 1e999}}}',
        b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    ],
    ids=lambda body: repr(body[-24:]),
)
def test_malformed_json_400(body: bytes, arm: Arm, name: str) -> None:
    """``InvalidRequestContent``, also for what Python would take: ``'Error parsing Infinity value. …'`` [C]."""
    headers = {"Authorization": f"Bearer {arm.token}", "Content-Type": "application/json"}
    answer = arm.request("PUT", f"/models/{name}/versions/1", data=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert error(answer)["code"] == "InvalidRequestContent"


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", None])
def test_body_that_is_not_said_to_be_json_415(media_type: str | None, arm: Arm, name: str) -> None:
    """Resource Manager's words: https://learn.microsoft.com/azure/chaos-studio/chaos-studio-faq."""
    headers = {"Authorization": f"Bearer {arm.token}"} | ({"Content-Type": media_type} if media_type else {})
    body = b'{"properties": {"modelUri": "azureml://datastores/x/paths/y"}}'
    answer = arm.request("PUT", f"/models/{name}/versions/1", data=body, headers=headers)
    assert answer.status_code == 415
    assert error(answer)["code"] == "UnsupportedMediaType"
    assert error(answer)["message"] == (
        f"The content media type '{media_type or '<null>'}' is not supported. Only 'application/json' is supported."
    )
    headers["Content-Type"] = "Application/JSON; charset=utf-8"
    assert arm.request("PUT", f"/models/{name}/versions/1", data=body, headers=headers).status_code == 201


def test_text_that_is_no_unicode_400(arm: Arm, name: str) -> None:
    """A lone surrogate cannot be sent back in UTF-8 (RFC 8259, 8.2)."""
    headers = {"Authorization": f"Bearer {arm.token}", "Content-Type": "application/json"}
    body = b'{"properties": {"modelUri": "azureml://datastores/x/paths/y", "description": "\\ud800"}}'
    answer = arm.request("PUT", f"/models/{name}/versions/1", data=body, headers=headers)
    assert answer.status_code == 400
    assert arm.get(f"/models/{name}/versions/1").status_code == 404


def test_body_over_4_mb_413_and_the_next_request_goes_through(arm: Arm, name: str) -> None:
    """https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits: the size
    of a request is limited to 4 MB."""
    path = f"/models/{name}/versions/1"
    uri = {"modelUri": "azureml://datastores/workspaceblobstore/paths/x"}
    headers = {"Authorization": f"Bearer {arm.token}", "Content-Type": "application/json"}
    large = json.dumps({"properties": {**uri, "description": "x" * (4 * 1024 * 1024)}}).encode()
    assert arm.request("PUT", path, data=large, headers=headers).status_code == 413
    assert arm.request("PUT", path, data=iter([large[:1000], large[1000:]]), headers=headers).status_code == 413
    fits = json.dumps({"properties": {**uri, "description": "x" * (4 * 1024 * 1024 - 1000)}}).encode()
    assert arm.request("PUT", path, data=fits, headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/models/m/versions/1", {}),
        ("PUT", "/models/m/versions/1", None),
        ("PUT", "/models/m/versions/1", {"properties": {"modelUri": "u", "colour": "red"}}),
        ("PUT", "/models/m/versions/1", {"properties": {"modelUri": "u"}, "colour": "red"}),
        ("PATCH", "", {"colour": "red"}),
        ("PATCH", "", {"tags": {"a/b": "c"}}),
        ("PATCH", "", {"tags": {"a": "c" * 257}}),
        ("PATCH", "", {"tags": {"a" * 513: "c"}}),
        ("PATCH", "", {"tags": {f"tag{number}": "" for number in range(51)}}),
        ("PUT", "/onlineEndpoints/good-name", {"properties": {"authMode": "Key"}}),
        ("PUT", "/onlineEndpoints/good-name", {"location": "eastus", "properties": {"authMode": "Key", "Colour": 1}}),
        ("PUT", "/datastores/d", {"properties": {"datastoreType": "AzureBlob"}}),
        ("PUT", "/models/m/versions/1", {"properties": []}),
        ("PUT", "/models/m", {"properties": "x"}),
        ("PUT", "/onlineEndpoints/good-name", {}),
        ("PUT", "/onlineEndpoints/good-name", {"location": "eastus", "properties": {}}),
        ("PUT", "/onlineEndpoints/good-name", {"location": "eastus", "properties": {"authMode": "Password"}}),
        ("PUT", "/onlineEndpoints/good-name", {"location": "eastus", "properties": {"authMode": "Key", "keys": "k"}}),
        (
            "PUT",
            "/onlineEndpoints/good-name",
            {"location": "eastus", "properties": {"authMode": "Key", "properties": 5}},
        ),
        ("PUT", "/onlineEndpoints/good-name", {"identity": "me", "properties": {"authMode": "Key"}}),
        ("PUT", "/onlineEndpoints/good-name", {"tags": "t", "properties": {"authMode": "Key"}}),
        ("PUT", "/onlineEndpoints/good-name", {"location": ["eastus"], "properties": {"authMode": "Key"}}),
        ("PATCH", "", {"properties": "x"}),
        ("PATCH", "", {"tags": "x"}),
        ("PUT", "/datastores/d", {"properties": {}}),
        ("PUT", "/datastores/d", {"properties": {"datastoreType": "Tape"}}),
        ("PUT", "/datastores/d", {"properties": {"datastoreType": "AzureBlob", "credentials": "x"}}),
        ("PUT", "/codes/c/versions/1", {"properties": {}}),
        ("PUT", "/codes/c/versions/1", {"properties": {"codeUri": ["a"]}}),
    ],
    ids=str,
)
def test_wrong_bodies_are_refused_and_nothing_is_made(method: str, path: str, body: Any, arm: Arm) -> None:
    before = arm.get("").json()
    try:
        answer = arm.request(method, path, json=body)
        assert answer.status_code == 400, answer.text
        assert error(answer)["code"]
        if path.startswith("/onlineEndpoints"):
            assert arm.get(path).status_code == 404
        assert arm.get("").json() == before
    finally:
        if path.startswith("/onlineEndpoints"):
            begun = arm.request("DELETE", path)
            if begun.status_code == 202:
                arm.ended(begun)
        elif method == "PATCH":
            arm.request("PATCH", path, json={"tags": {}})


def test_unknown_member_is_named_in_azures_format(arm: Arm, name: str) -> None:
    """service-behaviour.md: 400 ``RequestInvalid``, in the frontend's format."""
    body = {"location": "eastus", "properties": {"authMode": "Key", "colour": "red"}}
    answer = arm.put(f"/onlineEndpoints/{name}", body)
    assert answer.status_code == 400
    assert answer.headers["x-ms-response-type"] == "error"
    found = error(answer)
    assert (found["code"], found["target"], found["details"]) == ("RequestInvalid", "properties.colour", [])
    assert found["message"] == (
        "Could not find member 'colour' on object of type 'OnlineEndpointProperties'. Path 'properties.colour'."
    )
    assert [entry["type"] for entry in found["additionalInfo"]] == [
        "ComponentName", "Correlation", "Environment", "Location", "Time",
    ]  # fmt: skip


def test_what_was_got_can_be_put_again(arm: Arm, deployed: Deployed, name: str) -> None:
    """Read-only members are ignored, as Resource Manager's contract asks: "The RP must ignore readonly properties"."""
    arm.put(f"/models/{name}/versions/1", {"properties": {"modelUri": "azureml://datastores/x/paths/y"}})
    for path in (f"/models/{name}", f"/models/{name}/versions/1"):
        got = arm.get(path).json()
        put = arm.put(path, got)
        assert put.status_code == 200
        assert put.json()["properties"] == got["properties"]
    got = arm.get(f"/onlineEndpoints/{deployed.endpoint}").json()
    begun = arm.put(f"/onlineEndpoints/{deployed.endpoint}", got)
    assert begun.status_code == 201
    arm.ended(begun)
    again = arm.get(f"/onlineEndpoints/{deployed.endpoint}").json()
    assert {**again["properties"], "properties": None} == {**got["properties"], "properties": None}


def test_template_deployment_is_read_by_resource_manager_itself(arm: Arm) -> None:
    """``InvalidRequestContent`` there: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/
    common-deployment-errors."""
    path = f"{arm.group}/providers/Microsoft.Resources/deployments/d"
    for properties in ({"mode": "Incremental", "colour": "red"}, {"mode": "Incremental", "parameters": {"a": 5}}, {}):
        answer = arm.put(path, {"properties": properties})
        assert answer.status_code == 400
        assert set(error(answer)) == {"code", "message"}
        assert error(answer)["code"] == "InvalidRequestContent"
    parameters = {"workspaceName": {"value": "never-made"}, "location": {"value": 5}}
    answer = arm.put(path, {"properties": {"mode": "Incremental", "parameters": parameters}})
    assert (answer.status_code, error(answer)["code"]) == (400, "InvalidTemplate")
    assert "location" in error(answer)["message"]


def test_operation_that_does_not_exist(arm: Arm) -> None:
    base = f"{arm.subscription}/providers/Microsoft.MachineLearningServices/locations/eastus"
    assert arm.get(f"{base}/mfeOperationsStatus/oe:absent").status_code == 404
    assert arm.get(f"{base}/mfeOperationResults/oe:absent").status_code == 404


def test_paths_match_in_any_case_and_with_a_trailing_slash(arm: Arm) -> None:
    answer = arm.get(
        f"{arm.workspace.replace('resourceGroups', 'RESOURCEGROUPS').replace('workspaces', 'WorkSpaces')}/"
    )
    assert answer.status_code == 200
    assert answer.json()["id"] == arm.workspace


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/onlineEndpoints/a%2Fdeployments%2Fb", "/models/m%2Fversions%2F1", "/jobs%2fx/codes/c"]
)
def test_encoded_slash_cannot_change_which_resource_is_meant(method: str, path: str, arm: Arm) -> None:
    answer = arm.request(method, path, json={"properties": {}})
    assert answer.status_code in (400, 404), answer.text


def test_workspace_name_with_an_encoded_slash(arm: Arm) -> None:
    answer = arm.request("DELETE", f"{arm.workspace}%2FonlineEndpoints%2Fep")
    assert answer.status_code == 400
    assert error(answer)["code"] == "InvalidResourceName"


@pytest.mark.parametrize(
    ("path", "setting"),
    [
        ("/onlineEndpoints/{endpoint}/deployments/private", {"egressPublicNetworkAccess": "Disabled"}),
        ("/onlineEndpoints/{endpoint}/deployments/private", {"modelMountPath": "/models"}),
        ("/onlineEndpoints/{endpoint}/deployments/private", {"startupProbe": {"period": "PT1S"}}),
        (
            "/onlineEndpoints/{endpoint}/deployments/private",
            {"dataCollector": {"collections": {"a": {"clientId": "b"}}}},
        ),
    ],
    ids=str,
)
def test_settings_that_would_not_be_kept_are_refused_by_name(
    path: str, setting: dict[str, object], arm: Arm, deployed: Deployed
) -> None:
    """design.md: nothing is pretended."""
    path = path.format(endpoint=deployed.endpoint)
    setting = {"endpointComputeType": "Managed", **setting}
    answer = arm.put(path, {"location": "eastus", "properties": setting})
    assert answer.status_code == 501
    assert list(setting)[-1] in error(answer)["message"]
    assert arm.get(path).status_code == 404
