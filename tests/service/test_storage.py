"""Blob storage through azure-storage-blob, by token, account key and shared access signature.

https://learn.microsoft.com/rest/api/storageservices/authorize-requests-to-azure-storage and
https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import os
import uuid
from collections.abc import Callable
from email.utils import formatdate

import pytest
import requests
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential
from azure.storage.blob import (
    BlobBlock,
    BlobServiceClient,
    ContainerClient,
    ContainerSasPermissions,
    generate_container_sas,
)
from support import Arm

from running_service import RunningService

MIB = 1024 * 1024
NAMES = ["plain", "a b/c+d", "grüße/日本", "100%/q?x=1&y#z", "dots/../up", "semi;colon,comma'quote"]


@pytest.fixture(scope="module")
def address(service: RunningService) -> str:
    return f"https://{service.settings.storage_account}.blob.core.windows.net"


@pytest.fixture(scope="module")
def blobs(service: RunningService, address: str) -> BlobServiceClient:
    return BlobServiceClient(address, service.settings.storage_key, retry_total=0)


@pytest.fixture
def container(blobs: BlobServiceClient) -> ContainerClient:
    return blobs.create_container("c" + uuid.uuid4().hex)


@pytest.fixture(params=["token", "key", "sas"])
def by(
    request: pytest.FixtureRequest,
    service: RunningService,
    credential: ClientSecretCredential,
    address: str,
    container: ContainerClient,
) -> ContainerClient:
    """The same container under each kind of authorization."""
    settings = service.settings
    credentials: dict[str, Callable[[], object]] = {
        "token": lambda: credential,
        "key": lambda: settings.storage_key,
        "sas": lambda: generate_container_sas(
            settings.storage_account,
            container.container_name,
            settings.storage_key,
            permission=ContainerSasPermissions(read=True, write=True, list=True, delete=True, create=True),
            expiry=datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1),
        ),
    }
    return ContainerClient(address, container.container_name, credential=credentials[request.param](), retry_total=0)


def test_blobs_of_any_name_are_written_read_listed_and_deleted(by: ContainerClient) -> None:
    names = [name for name in NAMES if ".." not in name]
    for name in names:
        by.upload_blob(name, name.encode(), metadata={"k": "v"})
    assert sorted(by.list_blob_names()) == sorted(names)
    assert list(by.list_blob_names(name_starts_with="a b/")) == ["a b/c+d"]
    for name in names:
        assert by.download_blob(name).readall() == name.encode()
        assert by.get_blob_client(name).get_blob_properties().metadata == {"k": "v"}
    with pytest.raises(ResourceExistsError):
        by.upload_blob(names[0], b"again")
    by.delete_blob(names[0])
    with pytest.raises(ResourceNotFoundError) as caught:
        by.download_blob(names[0])
    assert caught.value.error_code == "BlobNotFound"


def test_parts_are_downloaded_by_range(by: ContainerClient) -> None:
    data = bytes(range(256)) * 16
    by.upload_blob("ranged", data)
    assert by.download_blob("ranged", offset=300, length=1000).readall() == data[300:1300]
    assert by.download_blob("ranged", offset=4000).readall() == data[4000:]


def test_70_mb_in_blocks_and_back(container: ContainerClient, credential: ClientSecretCredential, address: str) -> None:
    """azure-storage-blob uploads in blocks above 64 MiB."""
    data = os.urandom(MIB) * 70
    client = ContainerClient(address, container.container_name, credential=credential, retry_total=0)
    client.upload_blob("large", data, max_concurrency=4)
    blocks, _ = client.get_blob_client("large").get_block_list()
    assert len(blocks) >= 18
    received = client.download_blob("large", max_concurrency=4).readall()
    assert hashlib.sha256(received).digest() == hashlib.sha256(data).digest()
    assert [blob.size for blob in container.list_blobs()] == [70 * MIB]


@pytest.fixture
def refusal(address: str, container: ContainerClient) -> HttpResponseError:
    """What an upload under a wrong key is answered."""
    wrong = base64.b64encode(b"x" * 64).decode()
    client = ContainerClient(address, container.container_name, credential=wrong, retry_total=0)
    with pytest.raises(HttpResponseError) as caught:
        client.upload_blob("b", b"1")
    return caught.value


def test_wrong_key_is_refused_403(refusal: HttpResponseError, container: ContainerClient) -> None:
    assert refusal.status_code == 403
    assert not container.get_blob_client("b").exists()


def test_wrong_key_has_azures_error_code(refusal: HttpResponseError) -> None:
    """https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes: AuthenticationFailed (403),
    "The value for the Authorization header is not formed correctly including the signature"; the client turns that
    code, and no other, into ClientAuthenticationError."""
    assert refusal.error_code == "AuthenticationFailed"
    assert isinstance(refusal, ClientAuthenticationError)


def test_refused_uploads_do_not_disturb_what_comes_after(
    address: str, container: ContainerClient, credential: ClientSecretCredential
) -> None:
    """A refusal may come before the request's body (RFC 9112, 9.3 and 9.6): the rest of that body must not be taken for
    a request, whoever sends the next one."""
    headers = {
        "x-ms-blob-type": "BlockBlob",
        "x-ms-version": "2021-12-02",
        "x-ms-date": formatdate(usegmt=True),
        "Authorization": f"SharedKey {container.account_name}:{base64.b64encode(b'x' * 32).decode()}",
    }
    smuggled = b"GET /nonsense HTTP/1.1\r\nhost: x\r\n\r\n"
    statuses = []
    for number in range(10):
        url = f"{address}/{container.container_name}/refused{number}"
        statuses.append(requests.put(url, data=smuggled, headers=headers, timeout=30).status_code)
        container.upload_blob(f"accepted{number}", str(number).encode())
    assert statuses == [403] * 10
    assert len(list(container.list_blob_names())) == 10


def test_expired_and_too_narrow_signatures_are_refused_403(
    service: RunningService, address: str, container: ContainerClient
) -> None:
    def client(hours: int, **permission: bool) -> ContainerClient:
        now = datetime.datetime.now(datetime.UTC)
        sas = generate_container_sas(
            service.settings.storage_account,
            container.container_name,
            service.settings.storage_key,
            permission=ContainerSasPermissions(**permission),
            start=now - datetime.timedelta(hours=2),
            expiry=now + datetime.timedelta(hours=hours),
        )
        return ContainerClient(address, container.container_name, credential=sas, retry_total=0)

    container.upload_blob("b", b"1")
    assert client(1, read=True).download_blob("b").readall() == b"1"
    for refused in (
        lambda: client(-1, read=True).download_blob("b"),
        lambda: client(1, read=True).upload_blob("new", b"1"),
        lambda: client(1, write=True).download_blob("b"),
    ):
        with pytest.raises(HttpResponseError) as caught:
            refused()
        assert caught.value.status_code == 403


@pytest.mark.parametrize("at_once", [True, False])
def test_a_copy_under_a_signature_needs_one_for_its_source(
    service: RunningService, address: str, blobs: BlobServiceClient, container: ContainerClient, at_once: bool
) -> None:
    """https://learn.microsoft.com/rest/api/storageservices/copy-blob, x-ms-copy-source: only the key opens it, too."""

    def signed(name: str, **permission: bool) -> str:
        expiry = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
        permissions, key = ContainerSasPermissions(**permission), service.settings.storage_key
        return generate_container_sas(
            service.settings.storage_account, name, key, permission=permissions, expiry=expiry
        )

    other = blobs.create_container("c" + uuid.uuid4().hex)
    other.upload_blob("b", b"secret")
    own, others = signed(container.container_name, read=True, write=True), signed(other.container_name, read=True)
    target = ContainerClient(address, container.container_name, credential=own, retry_total=0).get_blob_client("copy")
    source = f"{address}/{other.container_name}/b"
    narrow = signed(other.container_name, write=True)
    for refused in (source, f"{source}?{own}", f"{source}?{narrow}", f"{source}/../b?{others}"):
        with pytest.raises(HttpResponseError) as caught:
            target.start_copy_from_url(refused, requires_sync=at_once)
        assert 400 <= caught.value.status_code < 500
        assert not target.exists()
    target.start_copy_from_url(f"{source}?{others}", requires_sync=at_once)
    assert target.download_blob().readall() == b"secret"
    blobs.get_blob_client(container.container_name, "by key").start_copy_from_url(source, requires_sync=at_once)


def test_blocks_are_read_from_another_blob(service: RunningService, address: str, container: ContainerClient) -> None:
    """https://learn.microsoft.com/rest/api/storageservices/put-block-from-url; by Azurite's own HTTP client."""
    container.upload_blob("source", b"0123456789")
    signature = generate_container_sas(
        service.settings.storage_account,
        container.container_name,
        service.settings.storage_key,
        permission=ContainerSasPermissions(read=True),
        expiry=datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1),
    )
    target, source = container.get_blob_client("target"), f"{address}/{container.container_name}/source?{signature}"
    target.stage_block_from_url("a", source, source_offset=2, source_length=3)
    target.commit_block_list([BlobBlock("a")])
    assert target.download_blob().readall() == b"234"


def test_without_authorization_nothing_is_told(address: str, container: ContainerClient) -> None:
    container.upload_blob("b", b"secret")
    answer = requests.get(f"{address}/{container.container_name}/b", timeout=30)
    assert answer.status_code in (401, 403, 404, 409)
    assert b"secret" not in answer.content


@pytest.mark.parametrize("token", ["x", "a.b.c", "arm"])
def test_token_that_proves_nothing_401(token: str, address: str, container: ContainerClient, arm: Arm) -> None:
    """A token for another audience is refused like one that nobody signed."""
    container.upload_blob("b", b"secret")
    headers = {"Authorization": f"Bearer {arm.token if token == 'arm' else token}", "x-ms-version": "2021-12-02"}
    answer = requests.get(f"{address}/{container.container_name}/b", headers=headers, timeout=30)
    assert answer.status_code == 401
    assert answer.headers["x-ms-error-code"] == "InvalidAuthenticationInfo"
    assert b"secret" not in answer.content


def test_account_of_somebody_else_is_not_served() -> None:
    answer = requests.get("https://somebodyelse.blob.core.windows.net/c/b", timeout=30)
    assert answer.status_code == 501
    assert "somebodyelse" in answer.text


def test_missing_blob_head_has_no_body(blobs: BlobServiceClient, container: ContainerClient) -> None:
    """[R1] HEAD of a missing blob: 404, no body, ``x-ms-error-code: BlobNotFound``."""
    assert not container.get_blob_client("absent").exists()
    with pytest.raises(ResourceNotFoundError) as caught:
        blobs.get_container_client("absent").get_container_properties()
    assert caught.value.status_code == 404


def test_upload_signature_is_for_its_container_only(arm: Arm, container: ContainerClient, name: str) -> None:
    """startPendingUpload, sdk-rest-surface B5: a container of its own, a signature that writes to it."""
    body = {"pendingUploadType": "TemporaryBlobReference"}
    answer = arm.request("POST", f"/codes/{name}/versions/1/startPendingUpload", json=body).json()
    reference = answer["blobReferenceForConsumption"]
    client = ContainerClient.from_container_url(reference["credential"]["sasUri"], retry_total=0)
    client.upload_blob("score.py", b"1")
    assert client.download_blob("score.py").readall() == b"1"
    other = reference["credential"]["sasUri"].replace(client.container_name, container.container_name)
    with pytest.raises(HttpResponseError) as caught:
        ContainerClient.from_container_url(other, retry_total=0).upload_blob("b", b"1")
    assert caught.value.status_code == 403
