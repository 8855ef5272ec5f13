"""What happens when a process that the service depends on is killed (design.md, "engines": supervised children).

tests/faults kills every kind of process at random moments; here is what needs a moment of its own.
"""

from __future__ import annotations

import psutil
import pytest
import requests
from azure.identity import ClientSecretCredential
from azure.storage.blob import BlobBlock, BlobServiceClient

from running_service import RunningService, command_of, wait_for


def lives(process: psutil.Process) -> bool:
    """Say whether a process runs; one that has ended may wait for its parent to take notice."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def storage_processes(service: RunningService) -> list[psutil.Process]:
    """Return Azurite's guard and Azurite itself, the guard first."""
    found = [
        process
        for process in psutil.Process(service.pid).children(recursive=True)
        if lives(process) and "without_unused.cjs" in command_of(process)
    ]
    return sorted(found, key=lambda process: process.pid)


@pytest.mark.parametrize("position", [0, 1], ids=["guard", "azurite"])
def test_killed_storage_comes_back_with_all_that_it_acknowledged(
    position: int, service: RunningService, credential: ClientSecretCredential, name: str
) -> None:
    """Azurite writes its metadata every five seconds. What it acknowledged since survives all the same: every kind of
    change, right before the SIGKILL. Requests meanwhile are answered 503."""
    account = f"https://{service.settings.storage_account}.blob.core.windows.net"
    blobs = BlobServiceClient(account, credential)
    container = blobs.create_container(name)
    gone = blobs.create_container(f"{name}-gone")
    for number in range(20):
        container.upload_blob(f"blob{number}", str(number).encode())
        gone.upload_blob(f"blob{number}", b"gone")
    container.upload_blob("blob1", b"overwritten", overwrite=True)
    container.get_blob_client("blob2").set_blob_metadata({"kept": "yes"})
    container.delete_blob("blob3")
    large = container.get_blob_client("in blocks")
    for block in ("a", "b"):
        large.stage_block(block, block.encode() * 1000)
    large.commit_block_list([BlobBlock("b"), BlobBlock("a")])
    large.stage_block("c", b"c")
    gone.delete_container()
    killed = storage_processes(service)
    assert len(killed) == 2
    killed[position].kill()

    wait_for(lambda: not any(lives(process) for process in killed))
    wait_for(lambda: len(storage_processes(service)) == 2)
    # azure-storage-blob would wait 15 s after the first 503.
    wait_for(lambda: requests.get(f"{account}/{name}", timeout=10).status_code != 503)
    container.upload_blob("after", b"new")
    expected = {f"blob{number}": str(number).encode() for number in range(20) if number != 3}
    expected |= {"blob1": b"overwritten", "in blocks": b"b" * 1000 + b"a" * 1000, "after": b"new"}
    assert {found: container.download_blob(found).readall() for found in container.list_blob_names()} == expected
    assert container.get_blob_client("blob2").get_blob_properties().metadata == {"kept": "yes"}
    assert [block.id for block in large.get_block_list("uncommitted")[1]] == ["c"]
    assert not gone.exists()
    again = blobs.create_container(f"{name}-gone")
    assert list(again.list_blob_names()) == []
