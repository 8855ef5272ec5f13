"""Key vaults and their secrets, through azure-mgmt-keyvault and azure-keyvault-secrets.

https://learn.microsoft.com/azure/key-vault/secrets/about-secrets, general/soft-delete-overview, general/rbac-guide,
general/access-control-default, https://learn.microsoft.com/rest/api/keyvault; errors as recorded in the repositories
that the code names.
"""

from __future__ import annotations

import datetime
import json
import re
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Workspace
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.keyvault.models import Vault
from support import Arm, finish

from azureml_local import admin
from running_service import RunningService

SCOPE = "https://vault.azure.net/.default"
SECRETS_USER, SECRETS_OFFICER = "4633458b-17de-408a-b874-0445c86b69e6", "b86a8fe4-44ce-4948-aee5-eccb2c155cd7"
VAULT_READER = "21090545-7ca7-4776-b22c-e363652d74d2"


@pytest.fixture(scope="module")
def vaults(service: RunningService, credential: ClientSecretCredential) -> KeyVaultManagementClient:
    return KeyVaultManagementClient(credential, service.settings.subscription_id)


NewVault = Callable[..., Vault]


@pytest.fixture(scope="module")
def new_vault(vaults: KeyVaultManagementClient, service: RunningService) -> Iterator[NewVault]:
    """Create a vault; where nothing else is said, the installation's own identity may do all with its secrets."""
    made = []
    settings = service.settings

    def create(name: str | None = None, **properties: Any) -> Vault:
        name = name or "v" + uuid.uuid4().hex[:12]
        all_of_it = {"objectId": settings.client_object_id, "permissions": {"secrets": ["all"]}}
        policies = [{"tenantId": settings.tenant_id, **all_of_it}]
        body = {
            "location": "eastus",
            "properties": {
                "tenantId": settings.tenant_id,
                "sku": {"name": "Standard", "family": "A"},
                "enableRbacAuthorization": False,
                "accessPolicies": policies,
                **properties,
            },
        }
        made.append(name)
        return finish(vaults.vaults.begin_create_or_update(settings.resource_group, name, body))

    yield create
    for name in made:
        vaults.vaults.delete(settings.resource_group, name)


@pytest.fixture(scope="module")
def vault(new_vault: NewVault) -> Vault:
    return new_vault()


@pytest.fixture(scope="module")
def secrets(vault: Vault, credential: ClientSecretCredential) -> SecretClient:
    return client(vault, credential)


def client(vault: Vault, credential: ClientSecretCredential) -> SecretClient:
    return SecretClient(vault.properties.vault_uri, credential)


@pytest.fixture
def somebody(service: RunningService, name: str) -> Iterator[tuple[ClientSecretCredential, str]]:
    """An identity without any role: its credential, and its object id."""
    made = admin.call(service.home, "POST", "/identities", {"name": name, "role": None, "scope": None})
    listed = admin.call(service.home, "GET", "/identities")
    credential = ClientSecretCredential(made["AZURE_TENANT_ID"], made["AZURE_CLIENT_ID"], made["AZURE_CLIENT_SECRET"])
    yield credential, next(one["object_id"] for one in listed if one["name"] == name)
    admin.call(service.home, "DELETE", f"/identities/{name}")


def inner_code(error: HttpResponseError) -> str:
    """The code within Key Vault's error."""
    code: str = json.loads(error.response.text())["error"]["innererror"]["code"]  # type: ignore[union-attr]
    return code


# --- secrets ---


def test_secret_with_its_versions(secrets: SecretClient, vault: Vault, name: str) -> None:
    first = secrets.set_secret(name, "one", content_type="text/plain", tags={"a": "b"})
    second = secrets.set_secret(name, "two")
    assert first.id == f"{vault.properties.vault_uri}secrets/{name}/{first.properties.version}"
    assert re.fullmatch(r"[0-9a-f]{32}", str(first.properties.version))
    assert secrets.get_secret(name).value == "two"
    assert secrets.get_secret(name.upper()).value == "two"  # names have no case
    old = secrets.get_secret(name, first.properties.version)
    assert (old.value, old.properties.content_type, old.properties.tags) == ("one", "text/plain", {"a": "b"})
    assert (old.properties.enabled, old.properties.recovery_level) == (True, "Recoverable+Purgeable")
    assert old.properties.recoverable_days == 90
    assert abs(old.properties.created_on.timestamp() - time.time()) < 60
    versions = {one.version for one in secrets.list_properties_of_secret_versions(name)}
    assert versions == {first.properties.version, second.properties.version}
    listed = [one for one in secrets.list_properties_of_secrets() if one.name == name]
    assert [(one.version, one.id) for one in listed] == [(None, f"{vault.properties.vault_uri}secrets/{name}")]


def test_properties_of_a_secret_change_and_its_value_stays(secrets: SecretClient, name: str) -> None:
    secret = secrets.set_secret(name, "v")
    later = datetime.datetime(2031, 1, 1, tzinfo=datetime.UTC)
    changed = secrets.update_secret_properties(name, content_type="t", tags={"c": "d"}, expires_on=later)
    assert (changed.version, changed.content_type, changed.tags, changed.expires_on) == (
        secret.properties.version, "t", {"c": "d"}, later,
    )  # fmt: skip
    assert secrets.get_secret(name).value == "v"
    secrets.update_secret_properties(name, secret.properties.version, enabled=False)
    with pytest.raises(HttpResponseError, match="Operation get is not allowed on a disabled secret") as refused:
        secrets.get_secret(name)
    assert (refused.value.status_code, inner_code(refused.value)) == (403, "SecretDisabled")
    assert [one.enabled for one in secrets.list_properties_of_secrets() if one.name == name] == [False]


def test_expired_secret_is_given_out(secrets: SecretClient, name: str) -> None:
    """about-secrets, "Date-time controlled operations": nbf and exp inform, they do not withhold."""
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    secrets.set_secret(name, "old", expires_on=past)
    assert secrets.get_secret(name).value == "old"


def test_deleted_secret_comes_back_or_is_purged(secrets: SecretClient, name: str) -> None:
    version = secrets.set_secret(name, "v").properties.version
    deleted = secrets.begin_delete_secret(name).result()
    assert deleted.recovery_id.endswith(f".vault.azure.net/deletedsecrets/{name}")
    days = (deleted.scheduled_purge_date - deleted.deleted_date).total_seconds() / 86400
    assert days == pytest.approx(90)
    with pytest.raises(ResourceNotFoundError, match=r"A secret with \(name/id\) .* was not found in this key vault"):
        secrets.get_secret(name)
    with pytest.raises(ResourceExistsError, match="deleted but recoverable state") as refused:
        secrets.set_secret(name, "again")
    assert inner_code(refused.value) == "ObjectIsDeletedButRecoverable"
    assert name in {one.name for one in secrets.list_deleted_secrets()}
    assert name not in {one.name for one in secrets.list_properties_of_secrets()}
    assert secrets.get_deleted_secret(name).properties.version == version
    recovering = secrets.begin_recover_deleted_secret(name)
    recovering.wait()
    assert recovering.result().name == name
    assert secrets.get_secret(name).value == "v"
    secrets.begin_delete_secret(name).wait()
    secrets.purge_deleted_secret(name)
    with pytest.raises(ResourceNotFoundError, match="Deleted Secret not found"):
        secrets.get_deleted_secret(name)
    assert secrets.set_secret(name, "new").value == "new"
    assert len(list(secrets.list_properties_of_secret_versions(name))) == 1


def test_lists_have_pages(new_vault: NewVault, credential: ClientSecretCredential) -> None:
    many = client(new_vault(), credential)
    names = {f"s{number:02}" for number in range(30)}
    for one in names:
        many.set_secret(one, one)
    assert {one.name for one in many.list_properties_of_secrets()} == names
    pages = [len(list(page)) for page in many.list_properties_of_secrets(max_page_size=20).by_page()]
    assert pages == [20, 10]


@pytest.mark.parametrize(
    ("name", "value", "options", "message"),
    [
        ("under_score", "v", {}, "The request URI contains an invalid name: under_score"),
        ("a" * 128, "v", {}, "invalid name"),
        ("big", "x" * (25 * 1024 + 1), {}, "25601 bytes"),
        ("tags", "v", {"tags": {str(n): "" for n in range(16)}}, "at most 15 tags"),
        ("type", "v", {"content_type": "x" * 256}, "contentType"),
    ],
    ids=["underscore", "long name", "large value", "many tags", "long content type"],
)
def test_secret_that_a_vault_does_not_take(
    name: str, value: str, options: dict[str, Any], message: str, secrets: SecretClient
) -> None:
    with pytest.raises(HttpResponseError, match=re.escape(message)) as refused:
        secrets.set_secret(name, value, **options)
    assert refused.value.status_code == 400
    assert json.loads(refused.value.response.text())["error"]["code"] == "BadParameter"  # type: ignore[union-attr]


def test_largest_value(secrets: SecretClient, name: str) -> None:
    assert secrets.set_secret(name, "x" * 25 * 1024).properties.version
    assert len(str(secrets.get_secret(name).value)) == 25 * 1024


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"value": 1}',
        b"{}",
        b'{"value": "v", "attributes": 3}',
        b'{"value": "v", "tags": [1]}',
        b'{"value": "v", "attributes": {"enabled": "yes"}}',
        b'{"value": "v", "attributes": {"nbf": 9, "exp": 8}}',
    ],
)
def test_body_that_is_no_secret(body: bytes, vault: Vault, credential: ClientSecretCredential) -> None:
    headers = {"Authorization": f"Bearer {credential.get_token(SCOPE).token}", "Content-Type": "application/json"}
    url = f"{vault.properties.vault_uri}secrets/s?api-version=7.4"
    answer = requests.put(url, data=body, headers=headers, timeout=30)
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"code", "message"}


def test_what_is_lacking_names_itself(vault: Vault, credential: ClientSecretCredential) -> None:
    headers = {"Authorization": f"Bearer {credential.get_token(SCOPE).token}"}
    for method, path in (
        ("GET", "keys"),
        ("POST", "keys/k/create"),
        ("GET", "certificates"),
        ("POST", "secrets/s/backup"),
    ):
        url = f"{vault.properties.vault_uri}{path}?api-version=7.4"
        answer = requests.request(method, url, headers=headers, timeout=30)
        assert (answer.status_code, answer.json()["error"]["code"]) == (501, "NotImplemented")
        assert path in answer.json()["error"]["message"]


# --- who may ---


def test_challenge_says_where_to_get_a_token(vault: Vault, service: RunningService) -> None:
    """general/authentication-requests-and-responses."""
    answer = requests.get(f"{vault.properties.vault_uri}secrets?api-version=7.4", timeout=30)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "Unauthorized")
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer authorization="https://login.microsoftonline.com/{service.settings.tenant_id}", '
        'resource="https://vault.azure.net"'
    )


def test_tokens_that_prove_nothing(vault: Vault, credential: ClientSecretCredential) -> None:
    url = f"{vault.properties.vault_uri}secrets?api-version=7.4"
    foreign = credential.get_token("https://management.azure.com/.default").token
    for token, message in ((foreign, "AKV10022: Invalid audience"), ("x.y.z", "Error validating token")):
        answer = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
        assert answer.status_code == 401
        assert message in answer.json()["error"]["message"]
        assert "WWW-Authenticate" in answer.headers


def test_access_policies_decide(
    vaults: KeyVaultManagementClient,
    new_vault: NewVault,
    service: RunningService,
    credential: ClientSecretCredential,
    somebody: tuple[ClientSecretCredential, str],
) -> None:
    made = new_vault()
    client(made, credential).set_secret("s", "v")
    theirs, (_, object_id) = client(made, somebody[0]), somebody
    with pytest.raises(HttpResponseError, match=f"oid={object_id};.* does not have secrets get permission") as refused:
        theirs.get_secret("s")
    assert (refused.value.status_code, inner_code(refused.value)) == (403, "AccessDenied")
    group, name = service.settings.resource_group, str(made.name)

    def change(operation: str, *permissions: str) -> list[str]:
        policy = {
            "tenantId": service.settings.tenant_id,
            "objectId": object_id,
            "permissions": {"secrets": list(permissions)},
        }
        body = {"properties": {"accessPolicies": [policy]}}
        changed = vaults.vaults.update_access_policy(group, name, operation, body).properties.access_policies
        return [word for one in changed if one.object_id == object_id for word in one.permissions.secrets or []]

    assert change("add", "get") == ["get"]
    assert theirs.get_secret("s").value == "v"
    with pytest.raises(HttpResponseError, match="does not have secrets set permission"):
        theirs.set_secret("s", "w")
    with pytest.raises(HttpResponseError, match="does not have secrets list permission"):
        list(theirs.list_properties_of_secrets())
    assert change("add", "set", "list") == ["get", "set", "list"]
    theirs.set_secret("s", "w")
    assert [one.name for one in theirs.list_properties_of_secrets()] == ["s"]
    assert change("replace", "list") == ["list"]
    with pytest.raises(HttpResponseError, match="does not have secrets get permission"):
        theirs.get_secret("s")
    assert change("remove", "list") == []
    with pytest.raises(HttpResponseError, match="does not have secrets delete permission"):
        theirs.begin_delete_secret("s")
    assert client(made, credential).get_secret("s").value == "w"  # the others' policies stayed


def test_roles_decide_where_the_vault_says_so(
    new_vault: NewVault, credential: ClientSecretCredential, somebody: tuple[ClientSecretCredential, str], arm: Arm
) -> None:
    """general/rbac-guide. Owner is a role of the control plane: it reads no secret."""
    made = new_vault(enableRbacAuthorization=True)
    own, (_, object_id) = client(made, credential), somebody
    with pytest.raises(HttpResponseError, match="Caller is not authorized to perform action on resource") as refused:
        own.set_secret("s", "v")
    assert (refused.value.status_code, inner_code(refused.value)) == (403, "ForbiddenByRbac")
    assert "Action: 'Microsoft.KeyVault/vaults/secrets/setSecret/action'" in str(refused.value)
    give(arm, str(made.id), SECRETS_OFFICER, arm.settings.client_object_id)
    own.set_secret("s", "v")
    own.set_secret("t", "w")
    theirs = client(made, somebody[0])
    reading = give(arm, str(made.id), VAULT_READER, object_id)
    assert {one.name for one in theirs.list_properties_of_secrets()} == {"s", "t"}
    with pytest.raises(HttpResponseError, match="getSecret"):
        theirs.get_secret("s")
    assert arm.request("DELETE", reading).status_code == 200
    give(arm, f"{made.id}/secrets/s", SECRETS_USER, object_id)  # a role at one secret
    assert theirs.get_secret("s").value == "v"
    with pytest.raises(HttpResponseError, match="/secrets/t'"):
        theirs.get_secret("t")
    with pytest.raises(HttpResponseError, match="readMetadata"):
        list(theirs.list_properties_of_secrets())
    with pytest.raises(HttpResponseError, match="setSecret"):
        theirs.set_secret("s", "x")


def give(arm: Arm, scope: str, role: str, object_id: str) -> str:
    definition = f"{arm.subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    body = {"properties": {"roleDefinitionId": definition, "principalId": object_id}}
    answer = arm.put(path, body)
    assert answer.status_code == 201, answer.text
    return path


def test_another_vaults_policy_opens_nothing(
    new_vault: NewVault, service: RunningService, credential: ClientSecretCredential, secrets: SecretClient, name: str
) -> None:
    secrets.set_secret(name, "v")
    closed = client(new_vault(accessPolicies=[]), credential)
    with pytest.raises(HttpResponseError, match="does not have secrets get permission"):
        closed.get_secret(name)
    nowhere = SecretClient(f"https://{name}.vault.azure.net", credential)
    with pytest.raises(ResourceNotFoundError, match=f"There is no key vault '{name}'"):
        nowhere.get_secret(name)


# --- vaults ---


def test_vault_through_its_client(
    vaults: KeyVaultManagementClient, new_vault: NewVault, service: RunningService, credential: ClientSecretCredential
) -> None:
    settings = service.settings
    made = new_vault()
    name = str(made.name)
    assert made.properties.vault_uri == f"https://{name}.vault.azure.net/"
    assert (made.properties.sku.name, made.properties.soft_delete_retention_in_days) == ("standard", 90)
    assert (made.properties.enable_soft_delete, made.properties.provisioning_state) == (True, "Succeeded")
    assert vaults.vaults.get(settings.resource_group, name).as_dict() == made.as_dict()
    for listed in (
        vaults.vaults.list_by_resource_group(settings.resource_group),
        vaults.vaults.list_by_subscription(),
    ):
        assert name in {one.name for one in listed}
    client(made, credential).set_secret("s", "v")
    changed = vaults.vaults.update(
        settings.resource_group, name, {"tags": {"a": "b"}, "properties": {"enabledForDeployment": True}}
    )
    assert (changed.tags, changed.properties.enabled_for_deployment) == ({"a": "b"}, True)
    assert changed.properties.access_policies == made.properties.access_policies
    again = new_vault(name)  # a vault that is put again keeps its secrets
    assert again.tags == {}
    assert client(made, credential).get_secret("s").value == "v"
    taken = vaults.vaults.check_name_availability({"name": name, "type": "Microsoft.KeyVault/vaults"})
    assert (taken.name_available, taken.reason) == (False, "AlreadyExists")
    free = vaults.vaults.check_name_availability(
        {"name": "v-" + uuid.uuid4().hex[:9], "type": "Microsoft.KeyVault/vaults"}
    )
    assert free.name_available is True


def test_deleted_vault_keeps_its_name_and_its_secrets(
    vaults: KeyVaultManagementClient,
    new_vault: NewVault,
    service: RunningService,
    credential: ClientSecretCredential,
    arm: Arm,
) -> None:
    group = service.settings.resource_group
    made = new_vault(softDeleteRetentionInDays=7)
    name = str(made.name)
    assert client(made, credential).set_secret("s", "v").properties.recovery_level == "CustomizedRecoverable+Purgeable"
    give(arm, str(made.id), VAULT_READER, service.settings.client_object_id)
    vaults.vaults.delete(group, name)
    with pytest.raises(ResourceNotFoundError):
        vaults.vaults.get(group, name)
    with pytest.raises(ResourceNotFoundError):
        client(made, credential).get_secret("s")
    deleted = vaults.vaults.get_deleted(name, "eastus")
    assert deleted.properties.vault_id == made.id
    kept = deleted.properties.scheduled_purge_date - deleted.properties.deletion_date
    assert kept == datetime.timedelta(days=7)
    assert name in {one.name for one in vaults.vaults.list_deleted()}
    with pytest.raises(
        HttpResponseError, match="A vault with the same name already exists in deleted state"
    ) as refused:
        new_vault(name)
    assert refused.value.status_code == 409
    new_vault(name, createMode="recover")
    assert client(made, credential).get_secret("s").value == "v"
    left = arm.get(f"{made.id}/providers/Microsoft.Authorization/roleAssignments", **{"$filter": "atScope()"}).json()
    assert made.id not in {one["properties"]["scope"] for one in left["value"]}  # roles do not come back
    vaults.vaults.delete(group, name)
    finish(vaults.vaults.begin_purge_deleted(name, "eastus"))
    with pytest.raises(ResourceNotFoundError):
        vaults.vaults.get_deleted(name, "eastus")
    new_vault(name)
    with pytest.raises(ResourceNotFoundError):
        client(made, credential).get_secret("s")


def test_purge_protection(
    vaults: KeyVaultManagementClient, new_vault: NewVault, service: RunningService, credential: ClientSecretCredential
) -> None:
    made = new_vault(enablePurgeProtection=True)
    name, own = str(made.name), client(made, credential)
    assert own.set_secret("s", "v").properties.recovery_level == "Recoverable"
    own.begin_delete_secret("s").wait()
    with pytest.raises(HttpResponseError, match="purge protection") as refused:
        own.purge_deleted_secret("s")
    assert refused.value.status_code == 403
    vaults.vaults.delete(service.settings.resource_group, name)
    with pytest.raises(HttpResponseError, match="DeletedVaultPurge"):
        vaults.vaults.begin_purge_deleted(name, "eastus")
    new_vault(name, createMode="recover")


def test_purge_protection_stays_when_a_vault_is_replaced_without_saying_so(new_vault: NewVault) -> None:
    """https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview#purge-protection: once enabled, it can
    be disabled by nobody."""
    made = new_vault(enablePurgeProtection=True)
    assert new_vault(str(made.name)).properties.enable_purge_protection is True


@pytest.mark.parametrize(
    ("name", "properties", "code"),
    [
        ("1starts", {}, "VaultNameNotValid"),
        ("two--hyphens", {}, "VaultNameNotValid"),
        ("x" * 25, {}, "VaultNameNotValid"),
        (None, {"softDeleteRetentionInDays": 6}, "BadRequest"),
        (None, {"enablePurgeProtection": False}, "BadRequest"),
        (None, {"enableSoftDelete": False}, "BadRequest"),
        (None, {"tenantId": "11111111-2222-3333-4444-555555555555"}, "BadRequest"),
        (None, {"accessPolicies": None}, "BadRequest"),
        (None, {"sku": {"name": "gold", "family": "A"}}, "BadRequest"),
        (None, {"networkAcls": {"defaultAction": "Deny"}}, "NotImplemented"),
        (None, {"publicNetworkAccess": "Disabled"}, "NotImplemented"),
        (None, {"createMode": "recover"}, "DeletedVaultNotFound"),
    ],
    ids=str,
)
def test_vault_that_cannot_be_made(
    name: str | None, properties: dict[str, Any], code: str, new_vault: NewVault
) -> None:
    with pytest.raises(HttpResponseError) as refused:
        new_vault(name, **properties)
    assert refused.value.error is not None and refused.value.error.code == code


def test_policy_for_nobody(new_vault: NewVault, service: RunningService) -> None:
    policy = {"tenantId": service.settings.tenant_id, "objectId": "me", "permissions": {"secrets": ["get"]}}
    with pytest.raises(HttpResponseError, match="An invalid value was provided for 'accessPolicies'"):
        new_vault(accessPolicies=[policy])


def test_new_vaults_use_roles_since_2026(arm: Arm, service: RunningService) -> None:
    """general/access-control-default."""
    tenant = service.settings.tenant_id
    for version, uses_roles in (("2025-05-01", False), ("2026-02-01", True)):
        name = "v" + uuid.uuid4().hex[:12]
        path = f"{arm.group}/providers/Microsoft.KeyVault/vaults/{name}"
        properties = {"tenantId": tenant, "sku": {"family": "A", "name": "standard"}, "accessPolicies": []}
        body = {"location": "eastus", "properties": properties}
        answer = arm.request("PUT", path, json=body, params={"api-version": version})
        assert answer.json()["properties"]["enableRbacAuthorization"] is uses_roles
        assert arm.request("DELETE", path).status_code == 200


def test_each_workspace_has_a_vault_and_a_registry(
    ml: MLClient, vaults: KeyVaultManagementClient, service: RunningService, arm: Arm, name: str
) -> None:
    """concept-workspace, "Associated resources": they stay when the workspace is deleted."""
    finish(ml.workspaces.begin_create(Workspace(name=name)))
    for workspace in (ml.workspaces.get(name), ml.workspaces.get(service.settings.workspace)):
        made = vaults.vaults.get(service.settings.resource_group, workspace.key_vault.rpartition("/")[2])
        assert made.id == workspace.key_vault
        registry = arm.request("GET", workspace.container_registry)
        assert registry.json()["properties"]["loginServer"] == f"{registry.json()['name']}.azurecr.io"
    created = ml.workspaces.get(name)
    assert arm.request("DELETE", f"{arm.group}/providers/Microsoft.MachineLearningServices/workspaces/{name}").ok
    assert arm.request("GET", created.key_vault).status_code == 200
    assert arm.request("DELETE", created.key_vault).status_code == 200
    assert arm.request("DELETE", created.container_registry).status_code == 200
    assert arm.request("GET", created.container_registry).status_code == 404


# --- at rest ---


def test_values_lie_in_the_stores_secrets_only(secrets: SecretClient, service: RunningService, name: str) -> None:
    value = uuid.uuid4().hex
    secrets.set_secret(name, value)
    with sqlite3.connect(f"file:{service.home.database}?mode=ro", uri=True) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        holders = [
            table for table in tables if any(value in str(row) for row in database.execute(f'SELECT * FROM "{table}"'))
        ]
    assert holders == ["secrets"]
    logs = [path for path in service.home.logs.rglob("*") if path.is_file()]
    assert [path for path in logs if value.encode() in path.read_bytes()] == []
    secrets.begin_delete_secret(name).wait()
    secrets.purge_deleted_secret(name)
    with sqlite3.connect(f"file:{service.home.database}?mode=ro", uri=True) as database:
        assert not any(value in str(row) for row in database.execute("SELECT * FROM secrets"))
