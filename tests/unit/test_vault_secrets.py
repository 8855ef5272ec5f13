"""What time does to deleted vaults and secrets: https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview.

Their days pass on the service's clock (azureml_local/clock.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from azureml_local.arm import ids
from azureml_local.arm.access import key_vaults
from azureml_local.dataplane.vault_secrets import KeyVaultError, VaultSecrets
from azureml_local.home import Settings
from azureml_local.identity.authorizer import Authorizer
from azureml_local.identity.tokens import TokenService
from azureml_local.store import Resource, Store

SETTINGS = Settings.generate()
VAULT = ids.VAULT.format(
    subscription=SETTINGS.subscription_id, resource_group=SETTINGS.resource_group, vault="the-vault"
)
DAY = 24 * 3600


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def secrets(store: Store, tmp_path: Path) -> VaultSecrets:
    tokens = TokenService(tmp_path / "key.pem", SETTINGS.tenant_id)
    return VaultSecrets(store, SETTINGS, Authorizer(store), tokens)


@pytest.fixture
def vault(store: Store) -> Resource:
    properties = {"tenantId": SETTINGS.tenant_id, "softDeleteRetentionInDays": 7}
    return key_vaults.provision(store, VAULT, location="eastus", properties=properties, tags={}, by="somebody")


def later(patch: pytest.MonkeyPatch, days: float) -> None:
    now = time.time
    patch.setattr(time, "time", lambda: now() + days * DAY)


def test_deleted_secret_is_purged_when_its_days_are_over(
    secrets: VaultSecrets, vault: Resource, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZUREML_LOCAL_CLOCK_FACTOR", raising=False)
    version = secrets.set(vault, "s", {"value": "v"}, "somebody")
    secrets.delete(vault, secrets.live(vault, "s"), "somebody")
    later(monkeypatch, 6.9)
    assert [one.name for one in secrets.all(vault, deleted=True)] == ["s"]
    later(monkeypatch, 0.2)
    assert secrets.all(vault, deleted=True) == []
    with pytest.raises(KeyVaultError, match="Deleted Secret not found"):
        secrets.deleted(vault, "s")
    assert store.get_secret(version.id) is None
    assert secrets.value(secrets.set(vault, "s", {"value": "w"}, "somebody")) == "w"


def test_recovered_secret_stays(secrets: VaultSecrets, vault: Resource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZUREML_LOCAL_CLOCK_FACTOR", raising=False)
    secrets.set(vault, "s", {"value": "v"}, "somebody")
    secrets.delete(vault, secrets.live(vault, "s"), "somebody")
    secrets.recover(vault, secrets.deleted(vault, "s"), "somebody")
    later(monkeypatch, 8)
    assert secrets.value(secrets.version(secrets.live(vault, "s"), None)) == "v"


def test_deleted_vault_goes_with_its_secrets_when_its_days_are_over(
    secrets: VaultSecrets, vault: Resource, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZUREML_LOCAL_CLOCK_FACTOR", raising=False)
    version = secrets.set(vault, "s", {"value": "v"}, "somebody")
    store.put(VAULT, key_vaults.TYPE, "", {**vault.body, "deleted": key_vaults.deletion(7)}, "somebody")
    assert key_vaults.live(store, VAULT) is None
    assert store.get_secret(version.id) == {"value": "v"}
    later(monkeypatch, 7.1)
    assert key_vaults.live(store, VAULT) is None
    assert store.get(VAULT) is None
    assert store.get_secret(version.id) is None


def test_days_pass_on_the_services_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_LOCAL_CLOCK_FACTOR", "60")
    deletion = key_vaults.deletion(7)
    assert deletion["purgeAt"] - deletion["at"] == pytest.approx(7 * DAY / 60)
