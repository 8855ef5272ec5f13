"""Roles: what identities may do, and how administrators give them roles, through the official clients.

What each role grants is Microsoft's: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles, and of
Azure ML https://learn.microsoft.com/azure/machine-learning/how-to-assign-roles. Role assignments are made by
azure-mgmt-authorization, as https://learn.microsoft.com/azure/role-based-access-control/role-assignments-rest says.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import BatchEndpoint, ManagedOnlineEndpoint, Model, Workspace
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential, ManagedIdentityCredential
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.authorization.v2022_04_01.models import RoleAssignmentCreateParameters
from azure.storage.blob import BlobServiceClient
from support import PROVIDER, Arm, Scorer, finish

import helpers
from azureml_local import admin
from raw_client import exchange
from running_service import RunningService, command_line, start_service

NewIdentity = Callable[..., "Identity"]
ARM_SCOPE = "https://management.azure.com/.default"
READER, CONTRIBUTOR = "acdd72a7-3385-48ef-bd42-f606fba81ae7", "b24988ac-6180-42a0-ab88-20f7382dd24c"


class Identity:
    """A service principal as its owner has it: the variables that the command printed."""

    def __init__(self, service: RunningService, name: str, variables: dict[str, str]) -> None:
        self.name = name
        self.secret = variables["AZURE_CLIENT_SECRET"]
        self.client_id = variables["AZURE_CLIENT_ID"]
        self.credential = ClientSecretCredential(variables["AZURE_TENANT_ID"], self.client_id, self.secret)
        settings = service.settings
        self.ml = MLClient(
            self.credential,
            settings.subscription_id,
            settings.resource_group,
            settings.workspace,
            enable_telemetry=False,
        )
        listed = admin.call(service.home, "GET", "/identities")
        self.object_id = next(one["object_id"] for one in listed if one["name"] == name)

    def arm(self, arm: Arm) -> Arm:
        """Plain requests as this identity."""
        return Arm(arm.session, arm.settings, self.credential.get_token(ARM_SCOPE).token)


@pytest.fixture(scope="module")
def new_identity(service: RunningService, client_variables: None) -> Iterator[NewIdentity]:
    """Make an identity as the command line does, with a role at a scope or without any."""
    names = []

    def create(role: str | None = None, scope: str | None = None) -> Identity:
        name = "i" + uuid.uuid4().hex[:10]
        made = admin.call(service.home, "POST", "/identities", {"name": name, "role": role, "scope": scope})
        names.append(name)
        return Identity(service, name, made)

    yield create
    for name in names:
        admin.call(service.home, "DELETE", f"/identities/{name}")


@pytest.fixture(scope="module")
def reader(new_identity: NewIdentity) -> Identity:
    return new_identity("Reader")


@pytest.fixture(scope="module")
def scientist(new_identity: NewIdentity, arm: Arm) -> Identity:
    return new_identity("AzureML Data Scientist", arm.workspace)


@pytest.fixture(scope="module")
def nobody(new_identity: NewIdentity) -> Identity:
    return new_identity()


@pytest.fixture(scope="module")
def roles(service: RunningService, credential: ClientSecretCredential) -> AuthorizationManagementClient:
    """The installation's own identity as an administrator of roles."""
    return AuthorizationManagementClient(credential, service.settings.subscription_id, api_version="2022-04-01")


def parameters(arm: Arm, role: str, object_id: str, kind: str | None = "ServicePrincipal") -> Any:
    definition = f"{arm.subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    return RoleAssignmentCreateParameters(role_definition_id=definition, principal_id=object_id, principal_type=kind)


def refusal(identity: Identity, action: str, scope: str) -> str:
    """Azure's message to a caller without permission."""
    return (
        f"The client '{identity.object_id}' with object id '{identity.object_id}' does not have authorization to "
        f"perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, "
        "please refresh your credentials."
    )


# --- what a role allows ---


def test_reader_reads_and_changes_nothing(reader: Identity, arm: Arm, name: str) -> None:
    assert reader.ml.workspaces.get(arm.settings.workspace).name == arm.settings.workspace
    assert list(reader.ml.online_endpoints.list()) is not None
    with pytest.raises(HttpResponseError) as refused:
        reader.ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)).result()
    assert refused.value.status_code == 403
    error = refused.value.error
    assert error is not None and error.code == "AuthorizationFailed"
    scope = f"{arm.workspace}/onlineEndpoints/{name}"
    action = f"{PROVIDER}/workspaces/onlineEndpoints/write"
    assert error.message == refusal(reader, action, scope)
    assert arm.get(f"/onlineEndpoints/{name}").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("POST", "/listKeys", "listKeys/action"),
        ("POST", "/datastores/workspaceblobstore/listSecrets", "datastores/listSecrets/action"),
        ("PATCH", "", "write"),
        ("DELETE", "", "delete"),
        ("PUT", "/models/m/versions/1", "models/versions/write"),
    ],
)
def test_reader_is_told_what_is_missing(method: str, path: str, action: str, reader: Identity, arm: Arm) -> None:
    answer = reader.arm(arm).request(method, path, json={} if method in ("PUT", "PATCH") else None)
    assert answer.status_code == 403
    scope = arm.workspace + (path.rpartition("/")[0] if method == "POST" else path)
    assert answer.json()["error"]["message"] == refusal(reader, f"{PROVIDER}/workspaces/{action}", scope)


def test_data_scientist_works_in_the_workspace_but_not_on_it(
    scientist: Identity, arm: Arm, name: str, tmp_path: Path
) -> None:
    (tmp_path / "m.txt").write_text("m")
    assert scientist.ml.models.create_or_update(Model(name=name, path=str(tmp_path))).version == "1"
    finish(scientist.ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)))
    assert scientist.ml.online_endpoints.get_keys(name).primary_key
    finish(scientist.ml.online_endpoints.begin_delete(name))
    own = scientist.arm(arm)
    assert own.get("").status_code == 200
    assert own.request("PATCH", "", json={"tags": {}}).status_code == 403
    assert own.request("POST", "/listKeys").status_code == 403
    assert own.request("GET", arm.group).status_code == 403
    assert own.get("/providers/Microsoft.Authorization/roleAssignments").status_code == 403


def test_without_a_role_nothing_is_told(nobody: Identity, arm: Arm) -> None:
    """Whether a resource exists is not told either: 403 comes before 404."""
    own = nobody.arm(arm)
    workspaces = f"{arm.group}/providers/{PROVIDER}/workspaces"
    for path in ("", "/models", "/onlineEndpoints/no-such-endpoint", workspaces, f"{workspaces}/no-such-workspace"):
        assert own.get(path).status_code == 403, path


def test_lists_of_workspaces_hold_what_the_caller_may_read(
    new_identity: NewIdentity, ml: MLClient, arm: Arm, name: str
) -> None:
    finish(ml.workspaces.begin_create(Workspace(name=name)))
    one_only = new_identity("Reader", f"{arm.group}/providers/{PROVIDER}/workspaces/{name}")
    for scope in (arm.subscription, arm.group):
        listed = one_only.arm(arm).get(f"{scope}/providers/{PROVIDER}/workspaces").json()["value"]
        assert [workspace["name"] for workspace in listed] == [name]
    assert {arm.settings.workspace, name} <= {workspace.name for workspace in ml.workspaces.list()}
    with pytest.raises(HttpResponseError) as refused:
        one_only.ml.workspaces.get(arm.settings.workspace)
    assert refused.value.status_code == 403
    assert arm.request("DELETE", f"{arm.group}/providers/{PROVIDER}/workspaces/{name}").status_code == 200
    # Its role went with the workspace.
    assert one_only.arm(arm).get(f"{arm.group}/providers/{PROVIDER}/workspaces").status_code == 403


def test_template_needs_permission_for_what_it_creates(new_identity: NewIdentity, name: str) -> None:
    """Azure AI Developer may deploy templates, but not write workspaces."""
    developer = new_identity("Azure AI Developer")
    with pytest.raises(HttpResponseError, match="does not have permission to perform action") as refused:
        developer.ml.workspaces.begin_create(Workspace(name=name, location="eastus")).result()
    assert refused.value.status_code == 403


def test_own_identity_may_do_all_as_a_managed_one_too(service: RunningService, arm: Arm) -> None:
    token = ManagedIdentityCredential().get_token(ARM_SCOPE).token
    assert Arm(arm.session, service.settings, token).get("").status_code == 200


def test_lessons_get_a_second_identity_without_a_role_and_a_new_one_each_time(
    service: RunningService, arm: Arm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As helpers.second_identity makes it on this machine: what a run has left that was ended does not stay."""
    monkeypatch.setenv("AZUREML_LOCAL_HOME", str(service.home.root))
    name = "second-" + uuid.uuid4().hex[:8]
    first = helpers.second_identity("local", name)
    token = first.get_token(ARM_SCOPE).token
    assert Arm(arm.session, arm.settings, token).get("").status_code == 403
    again = helpers.second_identity("local", name)
    assert again.get_token(ARM_SCOPE).token != token
    with pytest.raises(ClientAuthenticationError):
        first.get_token("https://storage.azure.com/.default")
    helpers.remove_identity("local", name)
    assert name not in {identity["name"] for identity in admin.call(service.home, "GET", "/identities")}
    helpers.remove_identity("local", name)  # none is there; no error


# --- data planes ---


def test_scoring_with_entra_needs_the_score_action(
    ml: MLClient, reader: Identity, new_identity: NewIdentity, scorer: Scorer, arm: Arm, name: str
) -> None:
    """https://learn.microsoft.com/azure/machine-learning/concept-endpoints-online-auth; 401 for a caller without the
    permission: how-to-troubleshoot-online-endpoints, "HTTP status codes". Without deployments, 404 says "let in"."""
    endpoint = finish(
        ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name, auth_mode="aad_token"))
    )
    scorer.uri = endpoint.scoring_uri
    on_endpoint = new_identity("AzureML Data Scientist", f"{arm.workspace}/onlineEndpoints/{name}")
    for identity, status in ((reader, 401), (on_endpoint, 404)):
        scorer.key = identity.credential.get_token("https://ml.azure.com/.default").token
        answer = scorer.post({})
        assert answer.status_code == status, answer.text
    finish(ml.online_endpoints.begin_delete(name))


def test_invoking_a_batch_endpoint_needs_to_write_its_jobs(
    ml: MLClient, reader: Identity, nobody: Identity, new_identity: NewIdentity, arm: Arm, name: str
) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-batch-endpoint has the actions. Without
    deployments, 404 says "let in"."""
    endpoint = finish(ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name=name)))
    on_endpoint = new_identity("AzureML Data Scientist", f"{arm.workspace}/batchEndpoints/{name}")
    for identity, method, path, status, said in (
        (reader, "POST", "", 403, "'Microsoft.MachineLearningServices/workspaces/batchEndpoints/jobs/write'"),
        (reader, "GET", "/absent", 404, "Job absent was not found"),
        (nobody, "GET", "/absent", 403, "'Microsoft.MachineLearningServices/workspaces/batchEndpoints/jobs/read'"),
        (on_endpoint, "POST", "", 404, "No valid deployments to route to."),
    ):
        token = identity.credential.get_token("https://ml.azure.com/.default").token
        body = {"properties": {}} if method == "POST" else None
        headers = {"Authorization": f"Bearer {token}"}
        answer = arm.session.request(method, endpoint.scoring_uri + path, json=body, headers=headers, timeout=60)
        assert (answer.status_code, said in answer.text) == (status, True), answer.text
    with pytest.raises(ResourceNotFoundError, match="No valid deployments to route to"):
        on_endpoint_client = MLClient(
            on_endpoint.credential, arm.settings.subscription_id, arm.settings.resource_group, arm.settings.workspace
        )
        on_endpoint_client.batch_endpoints.invoke(endpoint_name=name)
    assert reader.ml.batch_endpoints.list_jobs(name) == []
    jobs = f"https://eastus.api.azureml.ms/mferp/managementfrontend{arm.workspace}/batchEndpoints/{name}/jobs"
    answer = arm.session.get(jobs, headers={"Authorization": f"Bearer {nobody.arm(arm).token}"}, timeout=60)
    assert (answer.status_code, "batchEndpoints/jobs/read" in answer.text) == (403, True)
    finish(ml.batch_endpoints.begin_delete(name))


@pytest.fixture(scope="module")
def account(service: RunningService) -> str:
    return f"https://{service.settings.storage_account}.blob.core.windows.net"


def test_storage_by_token_needs_a_data_role(
    service: RunningService, new_identity: NewIdentity, account: str, arm: Arm
) -> None:
    """https://learn.microsoft.com/azure/storage/blobs/assign-azure-role-data-access: not even a Contributor of the
    account reads its blobs; AuthorizationPermissionMismatch is the service's word for it."""
    own = BlobServiceClient(account, service.settings.storage_key)
    container = own.create_container("c" + uuid.uuid4().hex)
    container.upload_blob("a", b"a")
    other = own.create_container("c" + uuid.uuid4().hex)
    other.upload_blob("b", b"b")
    account_id = f"{arm.group}/providers/Microsoft.Storage/storageAccounts/{service.settings.storage_account}"
    scope = f"{account_id}/blobServices/default/containers/{container.container_name}"
    data_reader = new_identity("Storage Blob Data Reader", scope)
    client = BlobServiceClient(account, data_reader.credential).get_container_client(container.container_name)
    assert client.download_blob("a").readall() == b"a"
    assert [blob.name for blob in client.list_blobs()] == ["a"]
    refused_calls: tuple[Callable[[], object], ...] = (
        lambda: client.upload_blob("b", b"b"),
        lambda: client.delete_blob("a"),
        lambda: BlobServiceClient(account, data_reader.credential).get_blob_client(other.container_name, "b").exists(),
        lambda: next(iter(BlobServiceClient(account, new_identity("Contributor").credential).get_container_client(
            container.container_name
        ).list_blobs())),
    )  # fmt: skip
    for call in refused_calls:
        with pytest.raises(HttpResponseError) as refused:
            call()
        assert refused.value.status_code == 403
    assert [blob.name for blob in container.list_blobs()] == ["a"]


def test_refusal_of_storage_has_its_own_format(nobody: Identity, account: str, arm: Arm) -> None:
    token = nobody.credential.get_token("https://storage.azure.com/.default").token
    headers = {"Authorization": f"Bearer {token}", "x-ms-version": "2024-11-04"}
    answer = arm.session.get(f"{account}/?comp=list", headers=headers, timeout=60)
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (403, "AuthorizationPermissionMismatch")
    assert "This request is not authorized to perform this operation using this permission." in answer.text


def test_copy_does_not_read_what_its_caller_may_not(
    service: RunningService, new_identity: NewIdentity, account: str, arm: Arm
) -> None:
    own = BlobServiceClient(account, service.settings.storage_key)
    secret, target = (own.create_container("c" + uuid.uuid4().hex) for _ in range(2))
    secret.upload_blob("a", b"a")
    account_id = f"{arm.group}/providers/Microsoft.Storage/storageAccounts/{service.settings.storage_account}"
    writer = new_identity(
        "Storage Blob Data Contributor", f"{account_id}/blobServices/default/containers/{target.container_name}"
    )
    blob = BlobServiceClient(account, writer.credential).get_blob_client(target.container_name, "b")
    with pytest.raises(HttpResponseError) as refused:
        blob.start_copy_from_url(f"{account}/{secret.container_name}/a")
    assert refused.value.status_code == 403
    assert list(target.list_blobs()) == []


@pytest.mark.parametrize(
    "path",
    [
        "/{own}/../{other}/b",
        "/{own}/%2e%2e/{other}/b",
        "/{own}%2F..%2F{other}/b",
        "//{other}/b",
        "/%2F{other}/b",
    ],
)
def test_no_way_to_write_a_path_leads_to_another_container(
    path: str, service: RunningService, new_identity: NewIdentity, account: str, arm: Arm
) -> None:
    client = BlobServiceClient(account, service.settings.storage_key)
    own, other = (client.create_container("c" + uuid.uuid4().hex) for _ in range(2))
    own.upload_blob("a", b"a")
    other.upload_blob("b", b"b")
    account_id = f"{arm.group}/providers/Microsoft.Storage/storageAccounts/{service.settings.storage_account}"
    data_reader = new_identity(
        "Storage Blob Data Reader", f"{account_id}/blobServices/default/containers/{own.container_name}"
    )
    token = data_reader.credential.get_token("https://storage.azure.com/.default").token
    statuses = []
    for written in ("/{own}/a", path):
        target = written.format(own=own.container_name, other=other.container_name)
        host = account.removeprefix("https://")
        head = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nx-ms-version: 2024-11-04"
        answer = exchange(service, host, f"{head}\r\nConnection: close\r\n\r\n".encode())
        assert answer is not None
        statuses.append(answer.status)
    assert statuses[0] == 200
    assert statuses[1] in (400, 403, 404)


# --- role definitions and assignments ---


def test_definitions_are_listed_and_found_by_name(roles: AuthorizationManagementClient, arm: Arm) -> None:
    listed = {role.role_name: role for role in roles.role_definitions.list(arm.workspace)}
    assert {"Owner", "Contributor", "Reader", "AzureML Data Scientist"} <= set(listed)
    (found,) = roles.role_definitions.list(arm.subscription, filter="roleName eq 'Reader'")
    assert (found.name, found.role_type, found.permissions[0].actions) == (READER, "BuiltInRole", ["*/read"])
    assert roles.role_definitions.get(arm.group, READER).role_name == "Reader"
    assert list(roles.role_definitions.list(arm.group, filter="type eq 'CustomRole'")) == []
    with pytest.raises(ResourceNotFoundError, match="RoleDefinitionDoesNotExist"):
        roles.role_definitions.get(arm.group, str(uuid.uuid4()))


def test_role_is_given_found_and_taken_away(
    roles: AuthorizationManagementClient, new_identity: NewIdentity, arm: Arm
) -> None:
    person, name = new_identity(), str(uuid.uuid4())
    assert person.arm(arm).get("").status_code == 403
    made = roles.role_assignments.create(arm.workspace, name, parameters(arm, READER, person.object_id))
    assert (made.name, made.scope, made.principal_id) == (name, arm.workspace, person.object_id)
    assert made.principal_type == "ServicePrincipal"
    assert made.created_on and made.created_by == arm.settings.client_object_id
    assert person.arm(arm).get("").status_code == 200
    assert roles.role_assignments.get(arm.workspace, name).id == made.id == roles.role_assignments.get_by_id(made.id).id
    again = roles.role_assignments.create(arm.workspace, name, parameters(arm, READER, person.object_id))
    assert again.id == made.id
    deleted = roles.role_assignments.delete(arm.workspace, name)
    assert deleted is not None and deleted.id == made.id
    assert person.arm(arm).get("").status_code == 403
    assert roles.role_assignments.delete(arm.workspace, name) is None
    with pytest.raises(ResourceNotFoundError, match="RoleAssignmentNotFound"):
        roles.role_assignments.get(arm.workspace, name)


def test_assignments_are_listed_at_above_and_below_a_scope(
    roles: AuthorizationManagementClient, new_identity: NewIdentity, arm: Arm
) -> None:
    """https://learn.microsoft.com/azure/role-based-access-control/role-assignments-list-rest"""
    person = new_identity("Reader", arm.workspace)
    own = f"principalId eq '{person.object_id}'"
    assigned = f"assignedTo('{person.object_id}')"
    (found,) = roles.role_assignments.list_for_subscription(filter=own)
    assert found.scope == arm.workspace and found.role_definition_id.endswith(READER)
    assert [one.id for one in roles.role_assignments.list_for_scope(arm.group, filter=assigned)] == [found.id]
    assert list(roles.role_assignments.list_for_scope(arm.group, filter=f"atScope() and {assigned}")) == []
    inherited = {one.scope for one in roles.role_assignments.list_for_scope(arm.workspace, filter="atScope()")}
    assert inherited == {arm.subscription, arm.group, arm.workspace} | inherited
    assert arm.workspace in {one.scope for one in roles.role_assignments.list_for_scope(arm.subscription)}
    with pytest.raises(HttpResponseError, match="UnsupportedQuery"):
        list(roles.role_assignments.list_for_scope(arm.group, filter="createdOn gt '2020'"))


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"name": "no-guid"}, 400, "InvalidRoleAssignmentId"),
        ({"role": str(uuid.UUID(int=1))}, 400, "RoleDefinitionDoesNotExist"),
        ({"role_definition_id": READER}, 400, "BadRequestFormat"),
        ({"object_id": "me"}, 400, "InvalidPrincipalId"),
        ({"object_id": str(uuid.UUID(int=1)), "kind": None}, 400, "PrincipalNotFound"),
        ({"kind": "User"}, 400, "UnmatchedPrincipalType"),
        ({"kind": "Robot"}, 400, "BadRequestFormat"),
        ({"scope": "/onlineEndpoints/no-such-endpoint"}, 404, "ResourceNotFound"),
        ({"condition": "@Resource[a] StringEquals 'b'"}, 501, "NotImplemented"),
    ],
    ids=str,
)
def test_bad_assignments_are_refused(
    change: dict[str, Any], status: int, code: str, roles: AuthorizationManagementClient, nobody: Identity, arm: Arm
) -> None:
    asked = parameters(
        arm,
        change.get("role", READER),
        change.get("object_id", nobody.object_id),
        change.get("kind", "ServicePrincipal"),
    )
    asked.role_definition_id = change.get("role_definition_id", asked.role_definition_id)
    asked.condition = change.get("condition")
    with pytest.raises(HttpResponseError) as refused:
        roles.role_assignments.create(
            arm.workspace + change.get("scope", ""), change.get("name", str(uuid.uuid4())), asked
        )
    error = refused.value.error
    assert error is not None and (refused.value.status_code, error.code) == (status, code)
    assert nobody.arm(arm).get("").status_code == 403


def test_principal_that_is_not_known_is_taken_with_its_type(roles: AuthorizationManagementClient, arm: Arm) -> None:
    """https://github.com/Azure/bicep/issues/11025: with ``principalType``, Azure does not look for the principal."""
    name = str(uuid.uuid4())
    made = roles.role_assignments.create(arm.group, name, parameters(arm, READER, str(uuid.uuid4()), "User"))
    assert made.principal_type == "User"
    assert roles.role_assignments.delete(arm.group, name) is not None


def test_same_assignment_twice_and_another_under_its_name_are_refused(
    roles: AuthorizationManagementClient, new_identity: NewIdentity, arm: Arm
) -> None:
    person, name = new_identity(), str(uuid.uuid4())
    roles.role_assignments.create(arm.group, name, parameters(arm, READER, person.object_id))
    with pytest.raises(HttpResponseError) as refused:
        roles.role_assignments.create(arm.group, str(uuid.uuid4()), parameters(arm, READER, person.object_id))
    assert refused.value.status_code == 409 and refused.value.error is not None
    assert refused.value.error.code == "RoleAssignmentExists"
    assert name.replace("-", "") in refused.value.message
    for scope, role in ((arm.group, CONTRIBUTOR), (arm.workspace, READER)):
        with pytest.raises(HttpResponseError, match="RoleAssignmentUpdateNotPermitted"):
            roles.role_assignments.create(scope, name, parameters(arm, role, person.object_id))


def test_who_may_not_assign_roles_gets_none_by_it(new_identity: NewIdentity, arm: Arm) -> None:
    contributor = new_identity("Contributor")
    own = AuthorizationManagementClient(contributor.credential, arm.settings.subscription_id, api_version="2022-04-01")
    name = str(uuid.uuid4())
    with pytest.raises(HttpResponseError) as refused:
        own.role_assignments.create(arm.group, name, parameters(arm, READER, contributor.object_id))
    assert refused.value.status_code == 403 and refused.value.error is not None
    scope = f"{arm.group}/providers/Microsoft.Authorization/roleAssignments/{name}"
    action = "Microsoft.Authorization/roleAssignments/write"
    assert refused.value.error.message == refusal(contributor, action, scope)


def test_last_administrator_stays(roles: AuthorizationManagementClient, arm: Arm) -> None:
    """412 in https://github.com/hashicorp/terraform-provider-azurerm/issues/26122."""
    own = f"atScope() and principalId eq '{arm.settings.client_object_id}'"
    assignments = list(roles.role_assignments.list_for_scope(arm.subscription, filter=own))
    owner = next(one for one in assignments if one.role_definition_id.endswith("8e3af657-a8ff-443c-a75c-2fe8c4bcb635"))
    with pytest.raises(HttpResponseError) as refused:
        roles.role_assignments.delete_by_id(owner.id)
    assert refused.value.status_code == 412 and refused.value.error is not None
    assert refused.value.error.code == "CannotDeleteLastRbacAdminAssignment"


# --- the command line ---


def test_identity_is_made_listed_and_deleted(service: RunningService, arm: Arm, name: str) -> None:
    root = service.home.root
    made = command_line(root, "identity", "create", name, "--role", "reader")
    assert made.returncode == 0, made.stderr
    variables = dict(line.removeprefix("export ").split("=", 1) for line in made.stdout.splitlines())
    assert list(variables) == ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"]
    assert f"{variables['AZURE_CLIENT_ID']} Reader at {arm.group}" in command_line(root, "identity", "list").stdout
    person = Identity(service, name, variables)
    assert person.arm(arm).get("").status_code == 200
    assert command_line(root, "identity", "delete", name).returncode == 0
    assert person.arm(arm).get("").status_code == 403  # its token is still valid, its role is gone
    fresh = ClientSecretCredential(variables["AZURE_TENANT_ID"], person.client_id, person.secret)
    with pytest.raises(ClientAuthenticationError, match="AADSTS700016"):
        fresh.get_token(ARM_SCOPE)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("create", "no/name"), "The name 'no/name' is invalid"),
        (("create", "n", "--role", "King"), "There is no role 'King'. The roles are: AcrPull, Azure AI Developer,"),
        (("create", "n", "--role", "Reader", "--scope", "/subscriptions/x"), "There is no scope '/subscriptions/x'"),
        (("create",), "needs a name"),
        (("delete", "no-such-identity"), "There is no identity 'no-such-identity'"),
    ],
    ids=str,
)
def test_commands_that_cannot_be_carried_out_say_why(
    arguments: tuple[str, ...], reason: str, service: RunningService
) -> None:
    refused = command_line(service.home.root, "identity", *arguments)
    assert refused.returncode == 1
    assert reason in refused.stderr and "Traceback" not in refused.stderr
    assert '"n"' not in command_line(service.home.root, "identity", "list", "--json").stdout


def test_name_of_an_identity_is_its_own(nobody: Identity, service: RunningService) -> None:
    refused = command_line(service.home.root, "identity", "create", nobody.name.upper())
    assert (refused.returncode, "already" in refused.stderr) == (1, True)


def test_secret_is_nowhere_and_only_it_is_taken(nobody: Identity, service: RunningService) -> None:
    """Neither files nor logs hold it: the command's output was its only copy."""
    wrong = ClientSecretCredential(service.settings.tenant_id, nobody.client_id, service.settings.client_secret)
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        wrong.get_token(ARM_SCOPE)
    holders = [
        path
        for path in service.home.root.rglob("*")
        if path.is_file() and nobody.secret.encode() in path.read_bytes()
    ]  # fmt: skip
    assert holders == []


@pytest.mark.slow
def test_folder_of_a_version_without_roles_works_on(arm: Arm) -> None:
    """Identities outlive a restart. Without assignments, as such a version left it, the own identity has its roles."""
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        start_service(root)
        made = command_line(root, "identity", "create", "person", "--json")
        assert made.returncode == 0, made.stderr
        assert command_line(root, "stop").returncode == 0
        with sqlite3.connect(root / "state.db") as database:
            database.execute("DELETE FROM resources WHERE type = 'Microsoft.Authorization/roleAssignments'")
        database.close()
        service = start_service(root)
        settings = service.settings
        with requests.Session() as session:
            session.trust_env = False
            session.proxies = {"https": f"http://127.0.0.1:{service.port}"}
            session.verify = str(service.home.tls / "ca.pem")
            person = json.loads(made.stdout)
            clients = {
                settings.client_id: (settings.client_secret, 200),
                person["AZURE_CLIENT_ID"]: (person["AZURE_CLIENT_SECRET"], 403),
            }
            for client_id, (secret, status) in clients.items():
                token = session.post(
                    f"https://login.microsoftonline.com/{settings.tenant_id}/oauth2/v2.0/token",
                    data={
                        "grant_type": "client_credentials",
                        "client_id": client_id,
                        "client_secret": secret,
                        "scope": ARM_SCOPE,
                    },
                    timeout=60,
                ).json()["access_token"]
                assert Arm(session, settings, token).get("").status_code == status
    finally:
        command_line(root, "stop")
        shutil.rmtree(root, ignore_errors=True)


# --- logs ---

LOG_WORKSPACES = "Microsoft.OperationalInsights/workspaces"
SETTING = "/providers/Microsoft.Insights/diagnosticSettings/s"


def log_sink(arm: Arm) -> str:
    return f"{arm.group}/providers/{LOG_WORKSPACES}/{arm.settings.log_workspace}"


@pytest.mark.parametrize(
    ("role", "may_set", "may_delete_workspaces"),
    [
        ("Reader", False, False),
        ("Monitoring Reader", False, False),
        ("Log Analytics Reader", False, False),
        ("Monitoring Contributor", True, False),
        ("Log Analytics Contributor", True, True),
    ],
)
def test_roles_of_monitoring(
    role: str, may_set: bool, may_delete_workspaces: bool, new_identity: NewIdentity, arm: Arm, name: str
) -> None:
    """https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/monitor"""
    identity = new_identity(role)
    own = identity.arm(arm)
    assert own.get(f"{log_sink(arm)}").status_code == 200
    body = {"properties": {"workspaceId": log_sink(arm), "logs": []}}
    answer = own.put(SETTING, body)
    assert answer.status_code == (200 if may_set else 403)
    if not may_set:
        action = "Microsoft.Insights/diagnosticSettings/write"
        assert answer.json()["error"]["message"] == refusal(identity, action, arm.workspace + SETTING)
    assert own.request("DELETE", SETTING).status_code == (200 if may_set else 403)
    absent = f"{arm.group}/providers/{LOG_WORKSPACES}/{name}"
    assert own.request("DELETE", absent).status_code == (204 if may_delete_workspaces else 403)


def test_setting_needs_permission_on_its_sink(new_identity: NewIdentity, arm: Arm) -> None:
    """https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-linked-authorization-failed"""
    owner = new_identity("Owner", arm.workspace)
    answer = owner.arm(arm).put(SETTING, {"properties": {"workspaceId": log_sink(arm), "logs": []}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "LinkedAuthorizationFailed")
    message = answer.json()["error"]["message"]
    assert f"'{LOG_WORKSPACES}/sharedKeys/action' on the linked scope(s) '{log_sink(arm)}'" in message
    assert arm.get(SETTING).status_code == 404


def test_lists_of_log_workspaces_hold_what_may_be_read(new_identity: NewIdentity, arm: Arm) -> None:
    inside = new_identity("Reader", arm.workspace).arm(arm)
    for scope in (arm.group, arm.subscription):
        path = f"{scope}/providers/{LOG_WORKSPACES}"
        assert inside.get(path).json() == {"value": []}
        assert log_sink(arm) in {one["id"] for one in arm.get(path).json()["value"]}


@pytest.mark.parametrize("member", ["keyVault", "storageAccount"])
def test_lists_of_what_a_workspace_uses_hold_what_may_be_read(member: str, new_identity: NewIdentity, arm: Arm) -> None:
    used = arm.get("").json()["properties"][member]
    kind = used.partition("/providers/")[2].rpartition("/")[0]
    inside = new_identity("Reader", arm.workspace).arm(arm)
    reader = new_identity("Reader", used).arm(arm)
    for scope in (arm.group, arm.subscription):
        path = f"{scope}/providers/{kind}"
        assert inside.get(path).json() == {"value": []}
        assert [one["id"] for one in reader.get(path).json()["value"]] == [used]


def test_lists_of_identities_hold_what_may_be_read(new_identity: NewIdentity, arm: Arm) -> None:
    inside = new_identity("Reader", arm.workspace).arm(arm)
    for scope in (arm.group, arm.subscription):
        assert inside.get(f"{scope}/providers/Microsoft.ManagedIdentity/userAssignedIdentities").json() == {"value": []}
