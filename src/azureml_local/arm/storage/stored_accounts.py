"""The storage accounts on this machine: the installation's own, and those that were made. One Azurite serves all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from azureml_local.arm import ids
from azureml_local.engines.blobs import BlobStorage
from azureml_local.home import Settings
from azureml_local.store import Resource, Store

TYPE = "Microsoft.Storage/storageAccounts"
DOMAIN = ".blob.core.windows.net"


@dataclass(frozen=True)
class Account:
    """A storage account: its id, and its blobs as the service itself uses them."""

    id: str
    blobs: BlobStorage


class StorageAccounts:
    """Finds accounts, with their keys.

    Args:
        store: the accounts that were made.
        settings: say where accounts are, and have the own one's name.
        own: the own account's blobs.
    """

    def __init__(self, store: Store, settings: Settings, own: BlobStorage) -> None:
        self._store = store
        self._settings = settings
        self.own = Account(self._id(settings.storage_account), own)

    def keys(self) -> Mapping[str, Sequence[str]]:
        """Return the keys of every account, by its name."""
        return {account.name: tuple(self.keys_of(account).values()) for account in self._store.all_of(TYPE)}

    def keys_of(self, account: Resource) -> dict[str, str]:
        """Return an account's keys, by their names."""
        keys: dict[str, str] = (self._store.get_secret(account.id) or {})["keys"]
        return keys

    def at(self, host: str) -> Account | None:
        """Return the account whose blobs are at a host, in lower case."""
        if host == self.own.blobs.host:
            return self.own
        account = self._store.get(self._id(host.removesuffix(DOMAIN)))
        return self.of(account) if account else None

    def of(self, account: Resource) -> Account:
        """Return a stored account."""
        blobs = BlobStorage(account.name, self.keys_of(account)["key1"])
        blobs.upstream = self.own.blobs.upstream
        return Account(account.id, blobs)

    def _id(self, name: str) -> str:
        settings = self._settings
        return ids.STORAGE_ACCOUNT.format(
            subscription=settings.subscription_id, resource_group=settings.resource_group, account=name
        )
