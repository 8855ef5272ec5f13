"""The secrets of a run are where they belong and nowhere else.

They belong in: ``settings.json`` (client secret, identity header, storage key), ``identity/`` and ``tls/`` (keys),
``state.db`` (endpoint keys, datastore secrets), and the environment of Azurite, which is its owner's to read. Whoever
is this user can read them all, deployments' code included (design.md, "One user"); nobody else can read any.
"""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from azure.storage.blob import BlobServiceClient
from targets import Endpoint

from running_service import RunningService, command_line, family, start_service

BELONGS = {
    "accounts": ("storage key",),
    "settings.json": ("client secret", "identity header", "storage key"),
    "state.db": ("key of an endpoint", "second key of an endpoint", "storage key"),
    "state.db-wal": ("key of an endpoint", "second key of an endpoint", "storage key"),
    "signing-key.pem": ("signing key",),
    "ca.key": ("key of the authority",),
}


@pytest.fixture(scope="module")
def secrets(
    service: RunningService,
    session: requests.Session,
    token_for: Callable[[str], str],
    arm: Callable[..., requests.Response],
    key_endpoint: Endpoint,
) -> dict[str, str]:
    """Everything that must not be found, after each of it was used rightly and wrongly."""
    settings = service.settings
    token, storage_token = token_for("https://management.azure.com"), token_for("https://storage.azure.com")
    signature = arm(
        "POST", "/datastores/workspaceblobstore/listSecrets", {"expirableSecret": True, "expireAfterHours": 1}
    )
    sas = signature.json()["sasToken"]
    account = f"https://{settings.storage_account}.blob.core.windows.net"
    name = uuid.uuid4().hex
    for url, headers, method in (
        (f"{account}/azureml/{name}{sas}", {"x-ms-blob-type": "BlockBlob"}, "PUT"),
        (f"{account}/azureml/{name}{sas}", {}, "GET"),
        (f"{account}/nothing/{name}{sas}", {}, "GET"),
        (f"{account}/azureml/{name}{sas}x", {}, "GET"),
        (f"{account}/azureml/{name}", {"Authorization": f"Bearer {storage_token}x"}, "GET"),
        (f"https://{key_endpoint.host}/score", {"Authorization": f"Bearer {key_endpoint.keys['primaryKey']}"}, "POST"),
        (f"https://{key_endpoint.host}/score?key={key_endpoint.keys['secondaryKey']}", {}, "POST"),
        (f"https://management.azure.com/subscriptions?access_token={token}", {}, "GET"),
        ("https://management.azure.com/nothing", {"Authorization": f"Bearer {token}"}, "GET"),
        ("https://management.azure.com/nothing", {"Authorization": f"Bearer {token[:-3]}"}, "GET"),
    ):
        answer = session.request(method, url, headers=headers, timeout=60)
        for word in (token, storage_token, settings.storage_key, *key_endpoint.keys.values()):
            assert word not in answer.text
    form = {"client_id": settings.client_id, "client_secret": settings.client_secret + "x", "scope": "x",
            "grant_type": "client_credentials"}  # fmt: skip
    refused = session.post(
        f"https://login.microsoftonline.com/{settings.tenant_id}/oauth2/v2.0/token", form, timeout=60
    )
    assert settings.client_secret not in refused.text

    def inner(path: Path) -> str:
        return path.read_text().splitlines()[5]  # a line of the key's own

    return {
        "client secret": settings.client_secret,
        "identity header": settings.identity_header,
        "storage key": settings.storage_key,
        "key of an endpoint": key_endpoint.keys["primaryKey"],
        "second key of an endpoint": key_endpoint.keys["secondaryKey"],
        "token": token.rpartition(".")[2],
        "token for the storage": storage_token.rpartition(".")[2],
        "signature": sas.partition("sig=")[2].partition("&")[0],
        "signing key": inner(service.home.signing_key),
        "key of the authority": (service.home.tls / "ca.key").read_text().splitlines()[1],
    }


def found_in(content: bytes, secrets: dict[str, str]) -> set[str]:
    return {name for name, secret in secrets.items() if secret.encode() in content}


def test_search_finds_what_is_there(service: RunningService, secrets: dict[str, str]) -> None:
    """Without this, the tests below would prove nothing."""
    assert all(len(secret) >= 20 for secret in secrets.values())
    assert found_in(service.home.settings_file.read_bytes(), secrets) == set(BELONGS["settings.json"])
    assert found_in(service.home.signing_key.read_bytes(), secrets) == {"signing key"}


def test_state_folder_holds_secrets_in_their_own_files_only(service: RunningService, secrets: dict[str, str]) -> None:
    for path in service.home.root.rglob("*"):
        if path.is_file():
            misplaced = found_in(path.read_bytes(), secrets) - set(BELONGS.get(path.name, ()))
            assert not misplaced, (path, misplaced)


def test_no_command_line_and_no_environment(service: RunningService, secrets: dict[str, str]) -> None:
    """``ps`` shows command lines to every user; environments are their owner's (proc(5))."""
    for process in family(service.pid):
        assert not found_in("\0".join(process.cmdline()).encode(), secrets)
        assert not found_in("\0".join(process.environ().values()).encode(), secrets), process


def test_what_the_commands_print(service: RunningService, secrets: dict[str, str]) -> None:
    """``env`` gives out the caller's own credentials; nothing else does."""
    printed = {
        name: command_line(service.home.root, *name.split())
        for name in ("status", "status --json", "config", "env", "doctor")
    }
    for name, finished in printed.items():
        allowed = {"client secret", "identity header"} if name == "env" else set()
        assert found_in((finished.stdout + finished.stderr).encode(), secrets) == allowed, name


def modes(root: Path) -> Iterator[tuple[Path, int]]:
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            yield path, stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(scope="module")
def carefree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that was started by somebody whose files are everybody's to write (umask 0)."""
    before = os.umask(0)
    root = Path(tmp_path_factory.mktemp("azl")) / "h"
    try:
        started = start_service(root)
        settings = started.settings
        account = f"https://{settings.storage_account}.blob.core.windows.net"
        proxies = {"https": f"http://127.0.0.1:{started.port}"}
        blobs = BlobServiceClient(
            account, settings.storage_key, proxies=proxies, connection_verify=str(started.home.tls / "ca.pem")
        )
        blobs.create_container("some").upload_blob("blob", b"content")
        yield started
    finally:
        command_line(root, "stop")
        os.umask(before)


def test_every_file_is_its_users_alone_whatever_the_umask(carefree: RunningService) -> None:
    found = list(modes(carefree.home.root))
    assert len(found) > 15
    open_to_others = {str(path.relative_to(carefree.home.root)): oct(mode) for path, mode in found if mode & 0o077}
    assert open_to_others == {}


def test_children_inherit_a_careful_umask(carefree: RunningService) -> None:
    """What deployments write is theirs alone, too."""
    for process in family(carefree.pid):
        status = Path(f"/proc/{process.pid}/status")
        if not status.exists():
            pytest.skip("this system does not tell a process's umask")
        line = next(line for line in status.read_text().splitlines() if line.startswith("Umask"))
        assert line.split()[1] == "0077"
