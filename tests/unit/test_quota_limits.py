"""azureml_local.arm.compute.quotas: which limit a compute meets, whatever kind of compute it is.

https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas: cores are limited by family and in total, both
by region; those of low priority by "a single value across VM families".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from azureml_local.arm import ids
from azureml_local.arm.compute import quotas, vm_sizes
from azureml_local.arm.compute.quotas import Shortage, Use
from azureml_local.arm.context import Context
from azureml_local.store import Store

GROUP = "/subscriptions/s/resourceGroups/g"


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """What quotas need of a service: a store with the workspaces a and b in East US, and c in West Europe."""
    store = Store(tmp_path / "store.db")
    for name, location in (("a", "eastus"), ("b", "eastus"), ("c", "westeurope")):
        store.put(workspace(name), "workspaces", GROUP, {"location": location}, "p")
    yield cast(Context, SimpleNamespace(store=store))
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


def test_the_last_core_can_be_had_and_no_more(context: Context, uses: list[Use]) -> None:
    assert quotas.shortage(context, use("a/cpu", "Standard_D4s_v3", 75)) is None
    uses.append(use("b/other", "Standard_D2s_v3", 1))
    assert quotas.shortage(context, use("a/cpu", "Standard_D4s_v3", 74)) is None
    assert quotas.shortage(context, use("a/cpu", "Standard_D4s_v3", 75)) == Shortage(used=2, limit=300, needed=300)


def test_families_share_the_region(context: Context, uses: list[Use]) -> None:
    uses += [use("a/one", "Standard_D64s_v3", 4), use("b/two", "Standard_E8s_v3", 5)]  # 256 and 40
    assert quotas.shortage(context, use("a/cpu", "Standard_F4s_v2", 1)) is None
    assert quotas.shortage(context, use("a/cpu", "Standard_F8s_v2", 1)) == Shortage(used=296, limit=300, needed=8)


def test_regions_share_nothing(context: Context, uses: list[Use]) -> None:
    uses.append(use("c/full", "Standard_D4s_v3", 75))
    assert quotas.shortage(context, use("a/cpu", "Standard_D4s_v3", 75)) is None
    assert quotas.shortage(context, use("c/cpu", "Standard_D4s_v3", 1)) == Shortage(used=300, limit=300, needed=4)


def test_low_priority_has_a_limit_of_its_own_for_all_families(context: Context, uses: list[Use]) -> None:
    uses += [use("a/dedicated", "Standard_D4s_v3", 75), use("b/cheap", "Standard_D64s_v3", 46, low_priority=True)]
    assert vm_sizes.families()["standardMSFamily"].quota == 0
    assert quotas.shortage(context, use("a/cheap", "Standard_M32ls", 1, low_priority=True)) is None
    refused = quotas.shortage(context, use("a/cheap", "Standard_M64ls", 1, low_priority=True))
    assert refused == Shortage(used=2944, limit=3000, needed=64)


def test_compute_that_grows_needs_only_the_rest(context: Context, uses: list[Use]) -> None:
    uses.append(use("a/cpu", "Standard_D4s_v3", 70))
    assert quotas.shortage(context, use("A/CPU", "Standard_D4s_v3", 75)) is None
    assert quotas.shortage(context, use("a/cpu", "Standard_D4s_v3", 76)) == Shortage(used=280, limit=300, needed=24)


def test_compute_that_changes_its_family_needs_all_of_the_new_one(context: Context, uses: list[Use]) -> None:
    uses.append(use("a/gpu", "Standard_D64s_v3", 4))
    assert quotas.shortage(context, use("a/gpu", "Standard_NC64as_T4_v3", 1)) is None
    refused = quotas.shortage(context, use("a/gpu", "Standard_NC64as_T4_v3", 2))
    assert refused == Shortage(used=0, limit=64, needed=128)


def test_quota_of_a_workspace_holds_for_it_alone(context: Context, uses: list[Use]) -> None:
    own = f"{workspace('a')}/quotas/Standard_DSv3_Family_Cluster_Dedicated_vCPUs"
    context.store.put(own, quotas.TYPE, workspace("a"), {"limit": 8}, "p")
    uses += [use("a/one", "Standard_D4s_v3", 1), use("b/two", "Standard_D4s_v3", 9)]
    assert quotas.shortage(context, use("a/cpu", "Standard_D4s_v3", 1)) is None
    assert quotas.shortage(context, use("a/cpu", "Standard_D4s_v3", 2)) == Shortage(used=4, limit=8, needed=8)
    assert quotas.shortage(context, use("a/cpu", "Standard_E4s_v3", 9)) is None
    assert quotas.shortage(context, use("b/cpu", "Standard_D4s_v3", 9)) is None


def test_room_is_what_the_tightest_limit_leaves(context: Context, uses: list[Use]) -> None:
    uses += [use("a/one", "Standard_D4s_v3", 10), use("b/two", "Standard_E8s_v3", 20)]  # 40 and 160
    assert quotas.room(context, use("a/cpu", "Standard_D4s_v3", 0)) == 300 - 200
    assert quotas.room(context, use("a/gpu", "Standard_NC64as_T4_v3", 0)) == 64
    assert quotas.room(context, use("a/cheap", "Standard_D4s_v3", 0, low_priority=True)) == 3000
    own = f"{workspace('a')}/quotas/Standard_DSv3_Family_Cluster_Dedicated_vCPUs"
    context.store.put(own, quotas.TYPE, workspace("a"), {"limit": 8}, "p")
    assert quotas.room(context, use("a/cpu", "Standard_D4s_v3", 0)) == 8 - 40


def test_the_ceiling_does_not_ask_what_is_in_use(context: Context, uses: list[Use]) -> None:
    uses.append(use("a/one", "Standard_D64s_v3", 4))
    assert quotas.ceiling(context, use("a/cpu", "Standard_D4s_v3", 0)) == 300
    assert quotas.ceiling(context, use("a/gpu", "Standard_NC64as_T4_v3", 0)) == 64
