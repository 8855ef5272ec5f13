"""azureml_local.arm.quotas: which limit a compute meets, whatever kind of compute it is.

https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas: cores are limited by family and in total, both
by region; those of low priority by "a single value across VM families".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from azureml_local.arm import ids, quotas, vm_sizes
from azureml_local.arm.quotas import Shortage, Use
from azureml_local.arm.store import Store

GROUP = "/subscriptions/s/resourceGroups/g"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with the workspaces a and b in East US, and c in West Europe."""
    store = Store(tmp_path / "store.db")
    for name, location in (("a", "eastus"), ("b", "eastus"), ("c", "westeurope")):
        store.put(workspace(name), "workspaces", GROUP, {"location": location}, "p")
    yield store
    store.close()


@pytest.fixture
def uses(monkeypatch: pytest.MonkeyPatch) -> list[Use]:
    """What is in use; the only kind of compute there is."""
    uses: list[Use] = []
    monkeypatch.setattr(quotas, "_consumers", [])
    quotas.consumer(lambda _: uses)
    return uses


def workspace(name: str) -> str:
    return f"{GROUP}/providers/{ids.PROVIDER}/workspaces/{name}"


def use(compute: str, size: str, machines: int, *, low_priority: bool = False) -> Use:
    """Return what ``a/cpu``, a compute of the workspace a, takes."""
    found = vm_sizes.find(size)
    assert found is not None
    of_workspace = workspace(compute.partition("/")[0])
    return Use(f"{of_workspace}/computes/{compute}", of_workspace, found, machines * found.vcpus, low_priority)


def test_the_last_core_can_be_had_and_no_more(store: Store, uses: list[Use]) -> None:
    assert quotas.shortage(store, use("a/cpu", "Standard_D4s_v3", 75)) is None
    uses.append(use("b/other", "Standard_D2s_v3", 1))
    assert quotas.shortage(store, use("a/cpu", "Standard_D4s_v3", 74)) is None
    assert quotas.shortage(store, use("a/cpu", "Standard_D4s_v3", 75)) == Shortage(used=2, limit=300, needed=300)


def test_families_share_the_region(store: Store, uses: list[Use]) -> None:
    uses += [use("a/one", "Standard_D64s_v3", 4), use("b/two", "Standard_E8s_v3", 5)]  # 256 and 40
    assert quotas.shortage(store, use("a/cpu", "Standard_F4s_v2", 1)) is None
    assert quotas.shortage(store, use("a/cpu", "Standard_F8s_v2", 1)) == Shortage(used=296, limit=300, needed=8)


def test_regions_share_nothing(store: Store, uses: list[Use]) -> None:
    uses.append(use("c/full", "Standard_D4s_v3", 75))
    assert quotas.shortage(store, use("a/cpu", "Standard_D4s_v3", 75)) is None
    assert quotas.shortage(store, use("c/cpu", "Standard_D4s_v3", 1)) == Shortage(used=300, limit=300, needed=4)


def test_low_priority_has_a_limit_of_its_own_for_all_families(store: Store, uses: list[Use]) -> None:
    uses += [use("a/dedicated", "Standard_D4s_v3", 75), use("b/cheap", "Standard_D64s_v3", 46, low_priority=True)]
    assert vm_sizes.families()["standardMSFamily"].quota == 0
    assert quotas.shortage(store, use("a/cheap", "Standard_M32ls", 1, low_priority=True)) is None
    refused = quotas.shortage(store, use("a/cheap", "Standard_M64ls", 1, low_priority=True))
    assert refused == Shortage(used=2944, limit=3000, needed=64)


def test_compute_that_grows_needs_only_the_rest(store: Store, uses: list[Use]) -> None:
    uses.append(use("a/cpu", "Standard_D4s_v3", 70))
    assert quotas.shortage(store, use("A/CPU", "Standard_D4s_v3", 75)) is None
    assert quotas.shortage(store, use("a/cpu", "Standard_D4s_v3", 76)) == Shortage(used=280, limit=300, needed=24)


def test_compute_that_changes_its_family_needs_all_of_the_new_one(store: Store, uses: list[Use]) -> None:
    uses.append(use("a/gpu", "Standard_D64s_v3", 4))
    assert quotas.shortage(store, use("a/gpu", "Standard_NC64as_T4_v3", 1)) is None
    refused = quotas.shortage(store, use("a/gpu", "Standard_NC64as_T4_v3", 2))
    assert refused == Shortage(used=0, limit=64, needed=128)


def test_quota_of_a_workspace_holds_for_it_alone(store: Store, uses: list[Use]) -> None:
    own = f"{workspace('a')}/quotas/Standard_DSv3_Family_Cluster_Dedicated_vCPUs"
    store.put(own, quotas.TYPE, workspace("a"), {"limit": 8}, "p")
    uses += [use("a/one", "Standard_D4s_v3", 1), use("b/two", "Standard_D4s_v3", 9)]
    assert quotas.shortage(store, use("a/cpu", "Standard_D4s_v3", 1)) is None
    assert quotas.shortage(store, use("a/cpu", "Standard_D4s_v3", 2)) == Shortage(used=4, limit=8, needed=8)
    assert quotas.shortage(store, use("a/cpu", "Standard_E4s_v3", 9)) is None
    assert quotas.shortage(store, use("b/cpu", "Standard_D4s_v3", 9)) is None
