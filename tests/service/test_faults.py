"""What happens when a process that the service depends on is killed (design.md, "engines": supervised children)."""

from __future__ import annotations

import psutil
import pytest
import requests
from azure.identity import ClientSecretCredential
from azure.storage.blob import BlobServiceClient
from support import wait_for

from running_service import RunningService


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
        if lives(process) and any("without_telemetry.cjs" in word for word in process.cmdline())
    ]
    return sorted(found, key=lambda process: process.pid)


@pytest.mark.parametrize("position", [0, 1], ids=["guard", "azurite"])
def test_killed_storage_comes_back(
    position: int, service: RunningService, credential: ClientSecretCredential, name: str
) -> None:
    """Requests meanwhile are answered 503; what was on disk is there again."""
    account = f"https://{service.settings.storage_account}.blob.core.windows.net"
    blobs = BlobServiceClient(account, credential)
    container = blobs.create_container(name)
    container.upload_blob("before", b"kept")
    killed = storage_processes(service)
    assert len(killed) == 2
    # Azurite writes its metadata every five seconds; what it has not written yet cannot survive a SIGKILL.
    metadata = service.home.storage / "__azurite_db_blob__.json"
    wait_for(lambda: name in metadata.read_text())
    killed[position].kill()
    wait_for(lambda: not any(lives(process) for process in killed))
    wait_for(lambda: len(storage_processes(service)) == 2)
    # azure-storage-blob would wait 15 s after the first 503.
    wait_for(lambda: requests.get(f"{account}/{name}", timeout=10).status_code != 503)
    container.upload_blob("after", b"new")
    assert container.download_blob("before").readall() == b"kept"
    assert container.download_blob("after").readall() == b"new"
