"""Managed identities of online endpoints: who they are, and the tokens that scoring scripts get as them.

https://learn.microsoft.com/azure/machine-learning/how-to-access-resources-from-endpoints-managed-identities, and the
official clients' own code: azure-mgmt-msi, azure-identity.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import (
    Environment,
    IdentityConfiguration,
    ManagedIdentityConfiguration,
    ManagedOnlineEndpoint,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.mgmt.msi.models import Identity
from azure.storage.blob import BlobServiceClient
from support import Arm, Scorer, deploy, finish, quick_session

from azureml_local import admin
from running_service import RunningService

STORAGE = "https://storage.azure.com"
BLOB_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


class Endpoint:
    """An endpoint whose one deployment, ``blue``, does what a request asks, as the endpoint's identity."""

    def __init__(self, ml: MLClient, name: str, identity: IdentityConfiguration | None, tiny: Environment) -> None:
        self.name = name
        created = ManagedOnlineEndpoint(name=name, identity=identity)
        endpoint = finish(ml.online_endpoints.begin_create_or_update(created))
        finish(deploy(ml, name, "blue", environment=tiny, script="with_identity.py"))
        self.identity = endpoint.identity
        self.scorer = Scorer(quick_session(), endpoint.scoring_uri, ml.online_endpoints.get_keys(name).primary_key)

    def ask(self, do: str, **asked: Any) -> requests.Response:
        return self.scorer.post({"do": do, **asked}, deployment="blue")

    def claims(self, **asked: Any) -> dict[str, Any]:
        answer = self.ask("token", scope=f"{STORAGE}/.default", **asked)
        assert answer.status_code == 200, answer.text
        claims: dict[str, Any] = jwt.decode(answer.json(), options={"verify_signature": False})
        return claims


@pytest.fixture(scope="module")
def msi(service: RunningService, credential: ClientSecretCredential) -> ManagedServiceIdentityClient:
    return ManagedServiceIdentityClient(credential, service.settings.subscription_id)


@pytest.fixture(scope="module")
def roles(service: RunningService, credential: ClientSecretCredential) -> AuthorizationManagementClient:
    return AuthorizationManagementClient(credential, service.settings.subscription_id, api_version="2022-04-01")


@pytest.fixture(scope="module")
def tiny(ml: MLClient) -> Environment:
    image = "mcr.microsoft.com/azureml/minimal-py311-inference"
    return ml.environments.create_or_update(Environment(name="tiny", image=image))


@pytest.fixture(scope="module")
def user_assigned(msi: ManagedServiceIdentityClient, service: RunningService) -> Iterator[list[Identity]]:
    """Two user-assigned identities."""
    group = service.settings.resource_group
    names = ["u" + uuid.uuid4().hex[:10] for _ in range(2)]
    yield [
        msi.user_assigned_identities.create_or_update(group, name, Identity(location="eastus", tags={"a": "b"}))
        for name in names
    ]
    for name in names:
        msi.user_assigned_identities.delete(group, name)


def assigned(*identities: Identity) -> IdentityConfiguration:
    return IdentityConfiguration(
        type="user_assigned",
        user_assigned_identities=[ManagedIdentityConfiguration(resource_id=one.id) for one in identities],
    )


@pytest.fixture(scope="module")
def own(ml: MLClient, tiny: Environment) -> Iterator[Endpoint]:
    """An endpoint with a system-assigned identity, which is the default."""
    endpoint = Endpoint(ml, "e" + uuid.uuid4().hex[:10], None, tiny)
    yield endpoint
    finish(ml.online_endpoints.begin_delete(endpoint.name))


@pytest.fixture(scope="module")
def others(ml: MLClient, user_assigned: list[Identity], tiny: Environment) -> Iterator[Endpoint]:
    """An endpoint with two user-assigned identities."""
    endpoint = Endpoint(ml, "e" + uuid.uuid4().hex[:10], assigned(*user_assigned), tiny)
    yield endpoint
    finish(ml.online_endpoints.begin_delete(endpoint.name))


def give(roles: AuthorizationManagementClient, scope: str, role: str, object_id: str) -> str:
    """Assign a role, without saying what kind of principal it is for: the directory knows."""
    definition = f"/{'/'.join(scope.split('/')[1:3])}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    parameters = {"properties": {"roleDefinitionId": definition, "principalId": object_id}}
    made = roles.role_assignments.create(scope, str(uuid.uuid4()), parameters)
    assert made.principal_type == "ServicePrincipal"
    return str(made.id)


# --- who they are ---


def test_system_assigned_identity_is_in_the_directory_and_goes_with_its_endpoint(
    ml: MLClient,
    msi: ManagedServiceIdentityClient,
    roles: AuthorizationManagementClient,
    service: RunningService,
    arm: Arm,
    name: str,
) -> None:
    endpoint = finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)))
    assert (endpoint.identity.type, endpoint.identity.tenant_id) == ("system_assigned", service.settings.tenant_id)
    scope = f"{arm.workspace}/onlineEndpoints/{name}"
    found = msi.system_assigned_identities.get_by_scope(scope.lstrip("/"))
    assert (found.principal_id, found.tenant_id) == (endpoint.identity.principal_id, service.settings.tenant_id)
    give(roles, arm.group, READER, endpoint.identity.principal_id)
    finish(ml.online_endpoints.begin_create_or_update(endpoint))  # an update keeps it
    again = ml.online_endpoints.get(name)
    assert again.identity.principal_id == endpoint.identity.principal_id
    finish(ml.online_endpoints.begin_delete(name))
    with pytest.raises(ResourceNotFoundError):
        msi.system_assigned_identities.get_by_scope(scope.lstrip("/"))
    with pytest.raises(HttpResponseError, match="does not exist in the directory"):
        give(roles, arm.group, BLOB_READER, endpoint.identity.principal_id)
    finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)))
    assert ml.online_endpoints.get(name).identity.principal_id != endpoint.identity.principal_id
    finish(ml.online_endpoints.begin_delete(name))


def test_system_assigned_identity_has_roles_from_the_beginning_and_user_assigned_ones_none(
    ml: MLClient, roles: AuthorizationManagementClient, own: Endpoint, user_assigned: list[Identity], arm: Arm
) -> None:
    """concept-endpoints-online-auth, "Automatic role assignment for endpoint identity"."""
    workspace = ml.workspaces.get(arm.settings.workspace)

    def held(object_id: str | None) -> set[tuple[str, str]]:
        listed = roles.role_assignments.list_for_scope(arm.subscription, filter=f"principalId eq '{object_id}'")
        return {(one.role_definition_id.rpartition("/")[2], one.scope) for one in listed}

    assert held(own.identity.principal_id) == {
        (ACR_PULL, workspace.container_registry),
        (BLOB_READER, workspace.storage_account),
    }
    assert held(user_assigned[0].principal_id) == set()


def test_user_assigned_identities_through_their_client(
    msi: ManagedServiceIdentityClient, user_assigned: list[Identity], service: RunningService, name: str
) -> None:
    group = service.settings.resource_group
    identity = msi.user_assigned_identities.get(group, user_assigned[0].name)
    assert identity.as_dict() == user_assigned[0].as_dict()
    assert identity.tenant_id == service.settings.tenant_id
    assert len({identity.principal_id, identity.client_id, user_assigned[1].principal_id}) == 3
    for listed in (
        msi.user_assigned_identities.list_by_subscription(),
        msi.user_assigned_identities.list_by_resource_group(group),
    ):
        assert {one.name for one in user_assigned} <= {one.name for one in listed}
    again = msi.user_assigned_identities.create_or_update(group, str(identity.name), Identity(location="eastus"))
    assert (again.principal_id, again.client_id, again.tags) == (identity.principal_id, identity.client_id, {})
    changed = msi.user_assigned_identities.update(group, str(identity.name), {"location": "eastus", "tags": {"c": "d"}})
    assert (changed.tags, changed.principal_id) == ({"c": "d"}, identity.principal_id)
    msi.user_assigned_identities.create_or_update(group, str(identity.name), user_assigned[0])
    with pytest.raises(ResourceNotFoundError, match=f"userAssignedIdentities/{name}'"):
        msi.user_assigned_identities.get(group, name)
    msi.user_assigned_identities.delete(group, name)  # none is there; no error
    with pytest.raises(HttpResponseError, match="is invalid"):
        msi.user_assigned_identities.create_or_update(group, "a", Identity(location="eastus"))


def test_identity_that_does_not_exist_cannot_be_assigned(ml: MLClient, arm: Arm, name: str) -> None:
    missing = f"{arm.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
    with pytest.raises(HttpResponseError) as refused:
        ml.online_endpoints.begin_create_or_update(
            ManagedOnlineEndpoint(name=name, identity=assigned(Identity(location="eastus", id=missing)))
        )
    error = refused.value.error
    assert error is not None and (refused.value.status_code, error.code) == (400, "FailedIdentityOperation")
    assert arm.get(f"/onlineEndpoints/{name}").status_code == 404
    body = {
        "location": "eastus",
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {missing: {}}},
        "properties": {"authMode": "Key"},
    }
    answer = arm.put(f"/onlineEndpoints/{name}", body)
    assert f"Resource '{missing}' was not found." in answer.json()["error"]["message"]
    body["identity"] = {"type": "UserAssigned"}
    assert arm.put(f"/onlineEndpoints/{name}", body).status_code == 400


def test_assigning_an_identity_needs_permission_for_it(
    service: RunningService, arm: Arm, user_assigned: list[Identity], roles: AuthorizationManagementClient, name: str
) -> None:
    """As https://github.com/Azure/aad-pod-identity/issues/443 shows."""
    asked = {"name": name, "role": "AzureML Data Scientist", "scope": arm.workspace}
    made = admin.call(service.home, "POST", "/identities", asked)
    scientist = ClientSecretCredential(made["AZURE_TENANT_ID"], made["AZURE_CLIENT_ID"], made["AZURE_CLIENT_SECRET"])
    theirs = Arm(arm.session, arm.settings, scientist.get_token("https://management.azure.com/.default").token)
    body = {
        "location": "eastus",
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {user_assigned[0].id: {}}},
        "properties": {"authMode": "Key"},
    }
    refused = theirs.put(f"/onlineEndpoints/{name}", body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "LinkedAuthorizationFailed")
    listed = admin.call(service.home, "GET", "/identities")
    object_id = next(one["object_id"] for one in listed if one["name"] == name)
    give(
        roles, str(user_assigned[0].id), "f1a07417-d97a-45cb-824c-7a7467783830", object_id
    )  # Managed Identity Operator
    begun = theirs.put(f"/onlineEndpoints/{name}", body)
    assert begun.status_code == 201, begun.text
    arm.ended(begun)
    arm.ended(arm.request("DELETE", f"/onlineEndpoints/{name}"))
    admin.call(service.home, "DELETE", f"/identities/{name}")


def test_patch_that_leaves_out_the_type_changes_nothing_of_the_identity(
    others: Endpoint, user_assigned: list[Identity], arm: Arm
) -> None:
    """In PartialManagedServiceIdentity of the OpenAPI, no member is required."""
    path = f"/onlineEndpoints/{others.name}"
    before = arm.get(path).json()["identity"]
    for sent in ({"userAssignedIdentities": {str(one.id): {} for one in user_assigned}}, {"type": None}):
        answer = arm.request("PATCH", path, json={"identity": sent})
        assert (answer.status_code, answer.json()["identity"]) == (200, before), answer.text
    only_one = {"userAssignedIdentities": {str(user_assigned[0].id): {}}}
    assert "immutable" in arm.request("PATCH", path, json={"identity": only_one}).text


def test_refused_change_of_identity_leaves_no_identity_behind(
    msi: ManagedServiceIdentityClient, others: Endpoint, arm: Arm
) -> None:
    """One that stayed would be what tokens are given for from then on: a resource's own comes before others."""
    path = f"/onlineEndpoints/{others.name}"
    as_own = {"identity": {"type": "SystemAssigned"}}
    for change, body in (("PATCH", as_own), ("PUT", {**arm.get(path).json(), **as_own})):
        refused = arm.request(change, path, json=body)
        assert (refused.status_code, "immutable" in refused.text) == (400, True), refused.text
        with pytest.raises(ResourceNotFoundError):
            msi.system_assigned_identities.get_by_scope(f"{arm.workspace}{path}".lstrip("/"))


def test_identity_of_an_endpoint_cannot_be_changed(
    ml: MLClient, own: Endpoint, others: Endpoint, user_assigned: list[Identity]
) -> None:
    """how-to-access-resources-from-endpoints-managed-identities, "Limitations"."""
    for endpoint, identity in ((own, assigned(*user_assigned)), (others, None)):
        with pytest.raises(HttpResponseError, match="immutable"):
            ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=endpoint.name, identity=identity))


# --- the tokens of scoring scripts ---


def test_script_gets_tokens_of_its_endpoint_and_of_nobody_else(
    own: Endpoint, msi: ManagedServiceIdentityClient, arm: Arm, service: RunningService
) -> None:
    identity = msi.system_assigned_identities.get_by_scope(f"{arm.workspace}/onlineEndpoints/{own.name}".lstrip("/"))
    claims = own.claims()
    assert (claims["oid"], claims["appid"], claims["aud"]) == (identity.principal_id, identity.client_id, STORAGE)
    assert claims["exp"] - claims["iat"] == 24 * 3600
    assert own.claims(client_id=identity.client_id)["oid"] == identity.principal_id
    refused = own.ask("token", scope=f"{STORAGE}/.default", client_id=service.settings.client_id)
    assert refused.status_code == 424
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_ID"):
        assert own.ask("variable", name=name).json() == "(absent)"


def test_token_by_rest_as_in_the_public_example(own: Endpoint, others: Endpoint, user_assigned: list[Identity]) -> None:
    status, answer = own.ask("token by REST", resource=f"{STORAGE}/").json()
    assert (status, answer["token_type"], answer["resource"]) == (200, "Bearer", f"{STORAGE}/")
    assert int(answer["expires_on"])
    for selector in ({"clientid": user_assigned[1].client_id}, {"msi_res_id": user_assigned[1].id}):
        status, answer = others.ask("token by REST", resource=f"{STORAGE}/", parameters=selector).json()
        assert (status, answer["client_id"]) == (200, user_assigned[1].client_id)


def test_script_chooses_among_user_assigned_identities(others: Endpoint, user_assigned: list[Identity]) -> None:
    for identity in user_assigned:
        claims = others.claims(client_id=identity.client_id)
        assert (claims["oid"], claims["appid"]) == (identity.principal_id, identity.client_id)
    undecided = others.ask("token by REST", resource=STORAGE).json()
    assert (undecided[0], "Multiple user assigned identities exist" in undecided[1]["message"]) == (400, True)


def test_identity_that_the_endpoint_lacks(own: Endpoint, user_assigned: list[Identity]) -> None:
    refused = own.ask("token", scope=f"{STORAGE}/.default", client_id=user_assigned[0].client_id)
    assert (refused.status_code, refused.headers["ms-azureml-model-error-statuscode"]) == (424, "500")
    chosen = {"clientid": user_assigned[0].client_id}
    answer = own.ask("token by REST", resource=STORAGE, parameters=chosen).json()
    assert answer == [400, {"statusCode": 400, "code": "invalid_request", "message": "Identity not found"}]


def test_refusals_of_the_endpoints_identity_endpoint(own: Endpoint, others: Endpoint, service: RunningService) -> None:
    theirs = others.ask("variable", name="MSI_SECRET").json()
    mine = own.ask("variable", name="MSI_SECRET").json()
    assert len(mine) >= 40 and mine != theirs
    for secret in ("wrong", "", mine[:-1], service.settings.identity_header):
        answer = own.ask("token by REST", resource=STORAGE, secret=secret).json()
        assert answer == [
            401,
            {"statusCode": 401, "code": "unauthorized", "message": "The secret header is missing or wrong."},
        ]
    assert own.ask("token by REST", resource="https://nobody.example").json()[0] == 400
    # The secret says whose identity it is, not where it is shown: another endpoint's script gains nothing by its own.
    unchosen = own.ask("token by REST", resource=STORAGE, secret=theirs).json()
    assert unchosen[0] == 400


def test_deleted_identity_gives_no_more_tokens(
    ml: MLClient, msi: ManagedServiceIdentityClient, tiny: Environment, service: RunningService, name: str
) -> None:
    group = service.settings.resource_group
    identity = msi.user_assigned_identities.create_or_update(group, name, Identity(location="eastus"))
    endpoint = Endpoint(ml, name, assigned(identity), tiny)
    # It is the only one, so that the script need not choose.
    assert endpoint.ask("token by REST", resource=STORAGE).json()[1]["client_id"] == identity.client_id
    secret = endpoint.ask("variable", name="MSI_SECRET").json()
    msi.user_assigned_identities.delete(group, name)
    assert endpoint.ask("token by REST", resource=STORAGE).json()[0] == 400
    finish(ml.online_endpoints.begin_delete(name))
    url = f"http://127.0.0.1:{service.port}/msi/endpoint/token"
    assert requests.get(url, params={"resource": STORAGE}, headers={"secret": secret}, timeout=30).status_code == 401


def test_nothing_of_it_is_written_down(own: Endpoint, service: RunningService) -> None:
    secret = own.ask("variable", name="MSI_SECRET").json().encode()
    files = [path for path in service.home.root.rglob("*") if path.is_file() and "storage" not in path.parts]
    assert [path for path in files if secret in path.read_bytes()] == []


# --- what they may read ---


def test_script_reads_a_blob_only_with_a_role(
    own: Endpoint,
    others: Endpoint,
    user_assigned: list[Identity],
    roles: AuthorizationManagementClient,
    service: RunningService,
    credential: ClientSecretCredential,
    arm: Arm,
    name: str,
) -> None:
    account = service.settings.storage_account
    blobs = BlobServiceClient(f"https://{account}.blob.core.windows.net", credential)
    blobs.create_container(name).upload_blob("hello.txt", b"hello")
    asked = {
        "url": f"https://{account}.blob.core.windows.net/{name}/hello.txt",
        "client_id": user_assigned[0].client_id,
    }
    refused = others.ask("read blob", **asked)
    assert (refused.status_code, refused.headers["ms-azureml-model-error-statuscode"]) == (424, "500")
    scope = f"{arm.group}/providers/Microsoft.Storage/storageAccounts/{account}/blobServices/default/containers/{name}"
    assignment = give(roles, scope, BLOB_READER, str(user_assigned[0].principal_id))
    assert others.ask("read blob", **asked).json() == "hello"
    assert others.ask("read blob", **{**asked, "client_id": user_assigned[1].client_id}).status_code == 424
    roles.role_assignments.delete_by_id(assignment)
    assert others.ask("read blob", **asked).status_code == 424
    # A system-assigned identity may read the workspace's storage from the beginning, and not write there.
    assert own.ask("read blob", url=asked["url"]).json() == "hello"
    token = own.ask("token", scope=f"{STORAGE}/.default").json()
    headers = {"Authorization": f"Bearer {token}", "x-ms-version": "2023-11-03", "x-ms-blob-type": "BlockBlob"}
    assert requests.put(asked["url"], data=b"x", headers=headers, timeout=30).status_code == 403
    blobs.delete_container(name)


def test_deployment_fails_whose_init_may_not_read(
    ml: MLClient, others: Endpoint, user_assigned: list[Identity], tiny: Environment, service: RunningService
) -> None:
    url = f"https://{service.settings.storage_account}.blob.core.windows.net/azureml/nothing"
    first = {"do": "read blob", "url": url, "client_id": user_assigned[1].client_id}
    variables = {"IN_INIT": json.dumps(first)}
    poller = deploy(
        ml, others.name, "denied", environment=tiny, script="with_identity.py", environment_variables=variables
    )
    with pytest.raises(HttpResponseError, match="ResourceNotReady"):
        finish(poller)
    log = ml.online_deployments.get_logs("denied", others.name, lines=500)
    assert "AuthorizationPermissionMismatch" in log, log[-2000:]
    finish(ml.online_deployments.begin_delete(name="denied", endpoint_name=others.name))
