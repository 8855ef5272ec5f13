"""The judge of answers judges: each kind of violation is found where it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from checker import Contract

HOST = "https://management.azure.com"
WORKSPACE = f"{HOST}/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/"
ENDPOINT = {
    "id": "i",
    "name": "e",
    "type": "t",
    "location": "eastus",
    "tags": {"a": "b"},
    "identity": {"type": "SystemAssigned", "principalId": "p", "tenantId": "t"},
    "systemData": {"createdAt": "2026-11-22T13:20:30.1234567+00:00"},
    "properties": {"authMode": "Key", "traffic": {"blue": 100}, "keys": None, "provisioningState": "Succeeded"},
}


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract()


def check(contract: Contract, body: Any, path: str = "onlineEndpoints/e", status: int = 200) -> None:
    response = requests.Response()
    response.request = requests.Request("GET", WORKSPACE + path + "?api-version=1").prepare()
    response.status_code = status
    response.headers["x-ms-request-id"] = "r"
    response._content = json.dumps(body).encode()
    contract.check(response)


def test_what_azure_answers_is_taken(contract: Contract) -> None:
    check(contract, ENDPOINT)
    check(contract, {"value": [ENDPOINT], "nextLink": "https://host"}, "onlineEndpoints")
    error = {"code": "c", "message": "m", "target": "t", "details": [], "additionalInfo": [{"type": "t", "info": 1}]}
    check(contract, {"error": error}, status=404)


def changed(**properties: Any) -> dict[str, Any]:
    return {**ENDPOINT, "properties": {**ENDPOINT["properties"], **properties}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (changed(colour="red"), ".properties.colour: OnlineEndpointProperties has no such member"),
        (changed(AuthMode="Key"), ".properties.AuthMode: OnlineEndpointProperties has no such member"),
        (changed(authMode="key"), "'key' is no EndpointAuthMode"),
        (changed(authMode=None), ".properties.authMode: missing"),
        (changed(traffic={"blue": "100"}), ".properties.traffic.blue: '100' is no int"),
        (changed(traffic={"blue": True}), "True is no int"),
        (changed(traffic=[]), ".properties.traffic: [] is no {int}"),
        (changed(keys={"primaryKey": "k"}), ".properties.keys: never given out"),
        ({**ENDPOINT, "systemData": {"createdAt": "today"}}, "'today' is no datetime"),
        ({**ENDPOINT, "location": None}, ".location: missing"),
    ],
    ids=str,
)
def test_violations_are_found(body: dict[str, Any], words: str, contract: Contract) -> None:
    with pytest.raises(AssertionError) as caught:
        check(contract, body)
    assert words in str(caught.value)
    with pytest.raises(AssertionError):
        check(contract, {"value": [body]}, "onlineEndpoints")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"error": {}},
        {"error": {"code": "c"}},
        {"error": {"code": "", "message": "m"}},
        {"error": {"code": "c", "message": "m", "why": "w"}},
        {"error": {"code": "c", "message": "m"}, "more": 1},
        {"error": {"code": "c", "message": "m", "details": {"code": "c"}}},
        {"error": {"code": "c", "message": "m", "additionalInfo": [{"kind": "t"}]}},
    ],
    ids=str,
)
def test_errors_in_another_format_are_found(body: dict[str, Any], contract: Contract) -> None:
    with pytest.raises(AssertionError):
        check(contract, body, status=400)


def test_datastore_of_an_unknown_kind_is_found(contract: Contract) -> None:
    datastore = {"properties": {"datastoreType": "Tape", "credentials": {"credentialsType": "None"}}}
    with pytest.raises(AssertionError, match="'Tape' is no DatastoreProperties"):
        check(contract, datastore, "datastores/d")


def test_body_where_none_is_due_is_found(contract: Contract) -> None:
    with pytest.raises(AssertionError, match="a body where the OpenAPI has none"):
        check(contract, {"a": 1}, status=202)
