"""Storage accounts that a learner makes, through azure-mgmt-storage and azure-storage-blob.

https://learn.microsoft.com/rest/api/storagerp/storage-accounts, and the public notebook
azureml-examples/sdk/python/endpoints/online/managed/managed-identities/online-endpoints-managed-identity-sai.ipynb.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.storage import StorageManagementClient
from azure.mgmt.storage.models import BlobContainer, Sku, StorageAccount, StorageAccountCreateParameters
from azure.storage.blob import BlobServiceClient, ContainerClient, generate_container_sas
from support import Arm, finish

from azureml_local import admin
from running_service import RunningService, command_line, start_service, survivors

BLOB_READER, BLOB_CONTRIBUTOR = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
NewAccount = Callable[..., StorageAccount]


@pytest.fixture(scope="module")
def storage(service: RunningService, credential: ClientSecretCredential) -> StorageManagementClient:
    return StorageManagementClient(credential, service.settings.subscription_id)


@pytest.fixture(scope="module")
def new_account(storage: StorageManagementClient, service: RunningService) -> Iterator[NewAccount]:
    made = []
    group = service.settings.resource_group

    def create(name: str | None = None, **properties: Any) -> StorageAccount:
        name = name or "s" + uuid.uuid4().hex[:12]
        parameters = StorageAccountCreateParameters(
            sku=Sku(name="Standard_LRS"), kind="Storage", location="eastus", tags={"a": "b"}, **properties
        )
        made.append(name)
        return finish(storage.storage_accounts.begin_create(group, name, parameters))

    yield create
    for name in made:
        storage.storage_accounts.delete(group, name)


def keys(storage: StorageManagementClient, service: RunningService, account: StorageAccount) -> list[str]:
    listed = storage.storage_accounts.list_keys(service.settings.resource_group, str(account.name)).keys_property
    return [str(one.value) for one in listed or []]


def blobs(account: StorageAccount, credential: Any) -> BlobServiceClient:
    return BlobServiceClient(account.primary_endpoints.blob, credential, retry_total=0)


def test_account_with_a_container_and_a_blob(
    storage: StorageManagementClient, new_account: NewAccount, service: RunningService
) -> None:
    group, account = service.settings.resource_group, new_account()
    name = str(account.name)
    assert account.primary_endpoints.blob == f"https://{name}.blob.core.windows.net/"
    assert (account.provisioning_state, account.sku.tier, account.tags) == ("Succeeded", "Standard", {"a": "b"})
    assert storage.storage_accounts.get_properties(group, name).as_dict() == account.as_dict()
    made = storage.blob_containers.create(group, name, "hello", BlobContainer())
    assert (made.name, made.public_access) == ("hello", "None")
    assert storage.blob_containers.get(group, name, "hello").etag == made.etag
    assert [one.name for one in storage.blob_containers.list(group, name)] == ["hello"]
    for key in keys(storage, service, account):
        container = ContainerClient(account.primary_endpoints.blob, "hello", credential=key)
        container.upload_blob("hello.txt", b"hello", overwrite=True)
        assert container.download_blob("hello.txt").readall() == b"hello"
    storage.blob_containers.create(group, name, "hello", BlobContainer())  # one that exists stays as it is
    assert [blob.name for blob in container.list_blobs()] == ["hello.txt"]
    storage.blob_containers.delete(group, name, "hello")
    with pytest.raises(ResourceNotFoundError, match="ContainerNotFound"):
        storage.blob_containers.get(group, name, "hello")
    for listed in (storage.storage_accounts.list(), storage.storage_accounts.list_by_resource_group(group)):
        assert {name, service.settings.storage_account} <= {one.name for one in listed}


def test_accounts_are_apart(storage: StorageManagementClient, new_account: NewAccount, service: RunningService) -> None:
    """Each has its own containers and keys, also apart from the account that workspaces use."""
    first, second = new_account(), new_account()
    own = blobs(first, keys(storage, service, first)[0])
    own.create_container("box").upload_blob("b", b"first")
    theirs = blobs(second, keys(storage, service, second)[0])
    assert list(theirs.list_containers()) == []
    theirs.create_container("box").upload_blob("b", b"second")
    assert own.get_blob_client("box", "b").download_blob().readall() == b"first"
    for key in (keys(storage, service, second)[0], service.settings.storage_key):
        with pytest.raises(ClientAuthenticationError, match="AuthenticationFailed"):
            list(blobs(first, key).list_containers())
    sas = generate_container_sas(
        str(second.name), "box", account_key=keys(storage, service, second)[0], permission="r", expiry="2099-01-01"
    )
    assert blobs(second, sas).get_blob_client("box", "b").download_blob().readall() == b"second"
    with pytest.raises(ClientAuthenticationError):
        blobs(first, sas).get_blob_client("box", "b").download_blob()


def test_new_key_is_good_and_the_old_one_dead_at_once(
    storage: StorageManagementClient, new_account: NewAccount, service: RunningService
) -> None:
    account = new_account()
    first, second = keys(storage, service, account)
    answer = storage.storage_accounts.regenerate_key(
        service.settings.resource_group, str(account.name), {"keyName": "key1"}
    )
    renewed = [str(one.value) for one in answer.keys_property or []]
    assert renewed[0] != first and renewed[1] == second
    assert list(blobs(account, renewed[0]).list_containers()) == []
    assert list(blobs(account, second).list_containers()) == []
    with pytest.raises(ClientAuthenticationError, match="AuthenticationFailed"):
        list(blobs(account, first).list_containers())
    again = new_account(str(account.name))  # one that is put again keeps its keys
    assert keys(storage, service, again) == renewed
    with pytest.raises(HttpResponseError, match="key3"):
        storage.storage_accounts.regenerate_key(service.settings.resource_group, str(account.name), {"keyName": "key3"})


def test_a_role_at_one_account_opens_no_other(
    storage: StorageManagementClient, new_account: NewAccount, service: RunningService, arm: Arm, name: str
) -> None:
    first, second = new_account(), new_account()
    for account in (first, second):
        blobs(account, keys(storage, service, account)[0]).create_container("box").upload_blob("b", b"x")
    made = admin.call(service.home, "POST", "/identities", {"name": name, "role": None, "scope": None})
    somebody = ClientSecretCredential(made["AZURE_TENANT_ID"], made["AZURE_CLIENT_ID"], made["AZURE_CLIENT_SECRET"])
    listed = admin.call(service.home, "GET", "/identities")
    object_id = next(one["object_id"] for one in listed if one["name"] == name)
    reader = f"{arm.subscription}/providers/Microsoft.Authorization/roleDefinitions/{BLOB_READER}"
    path = f"{first.id}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    assert arm.put(path, {"properties": {"roleDefinitionId": reader, "principalId": object_id}}).status_code == 201
    assert blobs(first, somebody).get_blob_client("box", "b").download_blob().readall() == b"x"
    for account, refused in ((second, "download_blob"), (first, "delete_blob")):
        with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
            getattr(blobs(account, somebody).get_blob_client("box", "b"), refused)()
    admin.call(service.home, "DELETE", f"/identities/{name}")


def test_deleted_account_is_gone_with_its_data(
    storage: StorageManagementClient, new_account: NewAccount, service: RunningService
) -> None:
    group, account = service.settings.resource_group, new_account()
    key = keys(storage, service, account)[0]
    blobs(account, key).create_container("box").upload_blob("b", b"x")
    storage.storage_accounts.delete(group, str(account.name))
    storage.storage_accounts.delete(group, str(account.name))  # none is there; no error
    with pytest.raises(ResourceNotFoundError):
        storage.storage_accounts.get_properties(group, str(account.name))
    with pytest.raises(HttpResponseError, match="There is no storage account"):
        list(blobs(account, key).list_containers())
    again = new_account(str(account.name))
    assert list(blobs(again, keys(storage, service, again)[0]).list_containers()) == []
    with pytest.raises(ClientAuthenticationError):
        list(blobs(again, key).list_containers())


def test_the_account_of_workspaces_stays(storage: StorageManagementClient, service: RunningService) -> None:
    group, own = service.settings.resource_group, service.settings.storage_account
    listed = storage.storage_accounts.list_keys(group, own).keys_property or []
    assert listed[0].value == service.settings.storage_key
    second = BlobServiceClient(f"https://{own}.blob.core.windows.net", str(listed[1].value))
    assert "azureml" in {container.name for container in second.list_containers()}
    with pytest.raises(HttpResponseError, match="every workspace"):
        storage.storage_accounts.delete(group, own)
    with pytest.raises(HttpResponseError, match="every workspace"):
        storage.storage_accounts.regenerate_key(group, own, {"keyName": "key1"})


@pytest.mark.parametrize(
    ("name", "properties", "code"),
    [
        ("Upper", {}, "AccountNameInvalid"),
        ("ab", {}, "AccountNameInvalid"),
        ("a-b-c", {}, "AccountNameInvalid"),
        (None, {"isHnsEnabled": True}, "NotImplemented"),
        (None, {"allowSharedKeyAccess": False}, "NotImplemented"),
        (None, {"publicNetworkAccess": "Disabled"}, "NotImplemented"),
        (None, {"minimumTlsVersion": "SSL3"}, "InvalidRequestPropertyValue"),
    ],
    ids=str,
)
def test_account_that_cannot_be_made(
    name: str | None, properties: dict[str, Any], code: str, new_account: NewAccount
) -> None:
    with pytest.raises(HttpResponseError) as refused:
        new_account(name, properties=properties)
    assert refused.value.error is not None and refused.value.error.code == code


def test_container_that_cannot_be_made(
    storage: StorageManagementClient, new_account: NewAccount, service: RunningService
) -> None:
    group, account = service.settings.resource_group, str(new_account().name)
    with pytest.raises(HttpResponseError, match="The container name 'Upper' is invalid"):
        storage.blob_containers.create(group, account, "Upper", BlobContainer())
    with pytest.raises(HttpResponseError, match="public access"):
        storage.blob_containers.create(group, account, "open", {"properties": {"publicAccess": "Blob"}})


@pytest.mark.slow
def test_accounts_survive_a_killed_service() -> None:
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        before = start_service(root)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in before.environment.items():
                patch.setenv(name, value)
            account, key = made_in(before)
            blobs(account, key).create_container("box").upload_blob("b", b"kept")
            processes = psutil.Process(before.pid).children(recursive=True)
            psutil.Process(before.pid).kill()
            assert survivors(processes) == []
        after = start_service(root)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in after.environment.items():
                patch.setenv(name, value)
            assert blobs(account, key).get_blob_client("box", "b").download_blob().readall() == b"kept"
    finally:
        command_line(root, "stop")
        shutil.rmtree(root, ignore_errors=True)


def made_in(service: RunningService) -> tuple[StorageAccount, str]:
    """Return a new account of a service, and a key."""
    settings = service.settings
    credential = ClientSecretCredential(settings.tenant_id, settings.client_id, settings.client_secret)
    storage = StorageManagementClient(credential, settings.subscription_id)
    parameters = StorageAccountCreateParameters(sku=Sku(name="Standard_LRS"), kind="StorageV2", location="eastus")
    account = finish(storage.storage_accounts.begin_create(settings.resource_group, "killed", parameters))
    return account, keys(storage, service, account)[0]
