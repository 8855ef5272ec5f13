"""azureml_local.arm.registries.registries.delete: what interrupts it leaves a registry that can be deleted again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from azureml_local.arm.registries import registries
from azureml_local.engines.blobs import BlobError
from azureml_local.store import Store

GROUP = "/subscriptions/s/resourceGroups/g"
ID = f"{GROUP}/providers/Microsoft.MachineLearningServices/registries/r"


class Blobs:
    """A storage that refuses its first request."""

    def __init__(self) -> None:
        self.left = ["12345678-a", "12345678-b"]
        self.is_out_of_order = True

    async def containers(self, prefix: str) -> list[Any]:
        return [SimpleNamespace(name=name) for name in self.left if name.startswith(prefix)]

    async def delete_container(self, name: str) -> None:
        if self.is_out_of_order:
            self.is_out_of_order = False
            raise BlobError(500, name)
        self.left.remove(name)


def test_files_go_before_the_registry(tmp_path: Path) -> None:
    store, blobs = Store(tmp_path / "state.db"), Blobs()
    store.put(ID, registries.TYPE, GROUP, {"properties": {}, "identity": {"principalId": "12345678-9"}}, "author")
    request: Any = SimpleNamespace(context=SimpleNamespace(store=store, blobs=blobs), root_id=ID)
    with pytest.raises(BlobError):
        asyncio.run(registries.delete(request))
    assert store.get(ID)
    assert asyncio.run(registries.delete(request)).status_code == 200
    assert (store.get(ID), blobs.left) == (None, [])
    store.close()
