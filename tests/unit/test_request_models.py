"""azureml_local.arm.request_models: bodies are read as Azure reads them.

What is known is the official clients' (tests/contract compares). How it is read is Json.NET's documentation, the
wording that of https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from azureml_local.arm.request_models import MisfitError, fit

ENDPOINT = {"location": "eastus", "properties": {"authMode": "Key"}}
DEPLOYMENT = {"location": "eastus", "properties": {"endpointComputeType": "Managed", "instanceType": "Standard_DS3_v2"}}
SECRETS = {"secretsType": "AccountKey", "key": "k"}
DATASTORE = {
    "properties": {
        "datastoreType": "AzureBlob",
        "credentials": {"credentialsType": "AccountKey", "secrets": SECRETS},
    }
}


def endpoint(**properties: Any) -> dict[str, Any]:
    return {"location": "eastus", "properties": {"authMode": "Key", **properties}}


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (ENDPOINT, "OnlineEndpoint"),
        (DEPLOYMENT, "OnlineDeployment"),
        (DATASTORE, "Datastore"),
        (endpoint(traffic={"blue": 100}, properties={"a": "b"}), "OnlineEndpoint"),
        ({"properties": {"modelUri": "u", "flavors": {"python_function": {"data": {"any": "thing"}}}}}, "ModelVersion"),
        ({"properties": {"componentSpec": {"any": [{"thing": None}]}}}, "ComponentVersion"),
        (
            {"properties": {"mode": "Incremental", "template": {"x": 1}, "parameters": {"a": {"value": 5}}}},
            "Deployment",
        ),
        # Members of earlier API versions, which azure-ai-ml may send to them.
        ({"properties": {"modelUri": "u", "autoDeleteSetting": {"condition": "CreatedGreaterThan"}}}, "ModelVersion"),
        ({}, "SecretExpiry"),
    ],
    ids=str,
)
def test_what_azure_knows_stays_as_it_was_sent(body: dict[str, Any], model: str) -> None:
    sent = copy.deepcopy(body)
    assert fit(body, model) == sent
    assert body == sent


@pytest.mark.parametrize(
    ("body", "model", "words"),
    [
        (
            {**ENDPOINT, "colour": "red"},
            "OnlineEndpoint",
            "'colour' on object of type 'OnlineEndpoint'. Path 'colour'.",
        ),
        (
            endpoint(color=1),
            "OnlineEndpoint",
            "'color' on object of type 'OnlineEndpointProperties'. Path 'properties.color'",
        ),
        (
            {"location": "e", "properties": {"endpointComputeType": "Managed", "containerResourceRequirements": {}}},
            "OnlineDeployment",
            "'containerResourceRequirements' on object of type 'ManagedOnlineDeployment'",
        ),
        (
            {"location": "e", "properties": {"endpointComputeType": "Managed", "livenessProbe": {"delay": "PT1S"}}},
            "OnlineDeployment",
            "'delay' on object of type 'ProbeSettings'. Path 'properties.livenessProbe.delay'",
        ),
        (
            {
                "properties": {
                    "datastoreType": "AzureFile",
                    "containerName": "c",
                    "credentials": {"credentialsType": "None"},
                }
            },
            "Datastore",
            "'containerName' on object of type 'AzureFileDatastore'",
        ),
        ({"properties": {"datasets": [{"id": "i", "uri": "u"}]}}, "ModelVersion", "Path 'properties.datasets[0].uri'"),
        ({"keyType": "Primary", "a" * 100: 1}, "RegenerateEndpointKeysRequest", f"'{'a' * 60}' on"),
    ],
    ids=str,
)
def test_members_that_azure_does_not_know_are_refused(body: dict[str, Any], model: str, words: str) -> None:
    with pytest.raises(MisfitError, match="Could not find member") as caught:
        fit(body, model)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("body", "model", "words"),
    [
        ({"properties": {"authMode": "Key"}}, "OnlineEndpoint", "Required property 'location' not found"),
        (
            {"location": "", "properties": {"authMode": "Key"}},
            "OnlineEndpoint",
            "Required property 'location' not found",
        ),
        ({"location": "eastus"}, "OnlineEndpoint", "Required property 'properties' not found"),
        (endpoint(authMode=None), "OnlineEndpoint", "Required property 'authMode' not found"),
        ({"properties": {"datastoreType": "AzureBlob"}}, "Datastore", "Required property 'credentials' not found"),
        ({"properties": {}}, "Datastore", "null is not valid; it must be one of AzureBlob, "),
        ({"properties": {"dataUri": "u"}}, "DataVersionBase", "it must be one of mltable, uri_file, uri_folder"),
    ],
    ids=str,
)
def test_required_members_must_be_there(body: dict[str, Any], model: str, words: str) -> None:
    with pytest.raises(MisfitError) as caught:
        fit(body, model)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("body", "model", "words"),
    [
        ([], "OnlineEndpoint", "The value [] is not valid; it must be an object."),
        ({"location": 5}, "OnlineEndpoint", "5 is not valid; it must be text. Path 'location'"),
        (endpoint(traffic=[]), "OnlineEndpoint", "it must be an object. Path 'properties.traffic'"),
        (endpoint(traffic={"blue": "5"}), "OnlineEndpoint", "it must be a whole number"),
        (endpoint(traffic={"blue": 5.0}), "OnlineEndpoint", "it must be a whole number"),
        (endpoint(traffic={"blue": True}), "OnlineEndpoint", "it must be a whole number"),
        (
            endpoint(traffic={"blue": 2**31}),
            "OnlineEndpoint",
            "2147483648 is not valid; it must be a whole number of 32 bits",
        ),
        (endpoint(authMode="Password"), "OnlineEndpoint", "it must be one of AMLToken, Key, AADToken"),
        (endpoint(authMode=["Key"]), "OnlineEndpoint", "it must be one of AMLToken, Key, AADToken"),
        (endpoint(properties={"a": ["b"]}), "OnlineEndpoint", "it must be text. Path 'properties.properties.a'"),
        ({"expirableSecret": "yes"}, "SecretExpiry", "it must be true or false"),
        ({"properties": {"datasets": {}}}, "ModelVersion", "it must be a list"),
        ({"properties": {"description": "d" * 9, "tags": "x" * 99}}, "ModelVersion", '"' + "x" * 59 + "... is not"),
    ],
    ids=str,
)
def test_wrong_types_are_refused(body: Any, model: str, words: str) -> None:
    with pytest.raises(MisfitError) as caught:
        fit(body, model)
    assert words in str(caught.value)


def test_null_is_no_item_of_a_list() -> None:
    body = {"properties": {"tenantId": "t", "sku": {"family": "A", "name": "standard"}, "accessPolicies": [None]}}
    with pytest.raises(MisfitError, match=r"null is not valid.* Path 'properties.accessPolicies\[0\]'"):
        fit({"location": "eastus", **body}, "KeyVaultVaultCreateOrUpdateParameters")
    assert fit({"properties": {"componentSpec": {"any": [None]}}}, "ComponentVersion")


def test_names_and_words_match_in_any_case_and_come_back_in_azures() -> None:
    body = {"LOCATION": "eastus", "Properties": {"AUTHMODE": "aadtoken", "publicnetworkaccess": "DISABLED"}}
    properties = {"authMode": "AADToken", "publicNetworkAccess": "Disabled"}
    assert fit(body, "OnlineEndpoint") == {"location": "eastus", "properties": properties}
    datastore = {"properties": {"DatastoreType": "azureblob", "credentials": {"CredentialsType": "none"}}}
    assert fit(datastore, "Datastore") == {
        "properties": {"datastoreType": "AzureBlob", "credentials": {"credentialsType": "None"}}
    }


def test_what_only_azure_sets_is_ignored() -> None:
    extra = {"id": "i", "name": 5, "type": [], "systemData": {"createdBy": "me"}}
    assert fit({**ENDPOINT, **extra}, "OnlineEndpoint") == ENDPOINT
    assert fit(endpoint(provisioningState="Failed", scoringUri="u"), "OnlineEndpoint") == ENDPOINT
    container = {"properties": {"isArchived": True, "latestVersion": "7", "nextVersion": "8"}}
    assert fit(container, "ModelContainer") == {"properties": {"isArchived": True}}


def test_dictionaries_keep_their_names_and_take_scalars_as_text() -> None:
    names = {"Ä.b/c": "x", "id": "kept", "n": 1, "f": 0.5, "nothing": None}
    fitted = fit({"properties": {"tags": names, "properties": names}}, "ModelVersion")["properties"]
    assert fitted["tags"] == fitted["properties"] == {**names, "n": "1", "f": "0.5"}


@pytest.mark.parametrize(
    ("body", "model"),
    [
        ({"properties": {"datastoreType": "AzureBlob", "credentials": {"credentialsType": "AccountKey", "secrets": {
            "secretsType": "AccountKey", "key": 12345678}}}}, "Datastore"),
        (endpoint(keys={"primaryKey": 12345678}), "OnlineEndpoint"),
        ({"keyType": "Primary", "keyValue": 12345678}, "RegenerateEndpointKeysRequest"),
    ],
    ids=str,
)  # fmt: skip
def test_no_message_shows_a_secret(body: dict[str, Any], model: str) -> None:
    with pytest.raises(MisfitError, match="must be text") as caught:
        fit(body, model)
    assert "12345678" not in str(caught.value)


def test_messages_stay_short() -> None:
    with pytest.raises(MisfitError) as caught:
        fit(endpoint(traffic={"x" * 100_000: []}), "OnlineEndpoint")
    assert len(str(caught.value)) < 400
