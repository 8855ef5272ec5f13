"""The table of VM sizes: whole, consistent with itself, and the same as what Azure has published."""

from __future__ import annotations

import datetime
import re

import pytest

from azureml_local.arm.compute import vm_sizes
from azureml_local.arm.compute.vm_sizes import Family, Size

FAMILIES = list(vm_sizes.families().values())
SIZES = [size for family in FAMILIES for size in family.sizes]
# Azure/azure-rest-api-specs, machinelearningservices, stable/2024-10-01, examples/VirtualMachineSize/list.json: vCPUs,
# GB of memory, MB of the resource volume, prices on Linux, dedicated and of low priority.
PUBLISHED = {
    "Standard_DS1_v2": (1, 3.5, 7168, 0.07, 0.01),
    "Standard_DS2_v2": (2, 7.0, 14336, 0.15, 0.03),
    "Standard_DS3_v2": (4, 14.0, 28672, 0.29, 0.06),
    "Standard_DS4_v2": (8, 28.0, 57344, 0.58, 0.12),
    "Standard_DS5_v2": (16, 56.0, 114688, 1.17, 0.23),
    "Standard_DS11_v2": (2, 14.0, 28672, 0.18, 0.04),
    "Standard_DS12_v2": (4, 28.0, 57344, 0.37, 0.07),
    "Standard_DS13_v2": (8, 56.0, 114688, 0.74, 0.15),
    "Standard_DS14_v2": (16, 112.0, 229376, 1.48, 0.3),
}
# Azure's list of Compute SKUs in southcentralus on 2025-06-03: vCPUs, MemoryGB, MaxResourceVolumeMB, GPUs, PremiumIO.
COMPUTE_SKUS = {
    "Standard_D2s_v3": (2, 8, 16384, 0, True),
    "Standard_D2_v2": (2, 7, 102400, 0, False),
    "Standard_D2_v3": (2, 8, 51200, 0, False),
    "Standard_D64s_v3": (64, 256, 524288, 0, True),
    "Standard_F16s_v2": (16, 32, 131072, 0, True),
    "Standard_NC6s_v3": (6, 112, 753664, 1, True),
    "Standard_NC16as_T4_v3": (16, 110, 360448, 1, True),
    "Standard_NC24ads_A100_v4": (24, 220, 65536, 1, True),
}
# What Azure/azureml-examples and the Azure ML documentation deploy on and train on, but for what was retired.
IN_EXAMPLES = """
    Standard_D2_v2 Standard_D3_v2 Standard_D12_v2 Standard_D4s_v3 Standard_D2a_v4 Standard_D4as_v4 Standard_DS2_v2
    Standard_DS3_v2 Standard_DS4_v2 Standard_DS5_v2 Standard_DS12_v2 Standard_DS15_v2 Standard_E4s_v3 Standard_E8s_v3
    Standard_E16s_v3 Standard_E32s_v3 Standard_E64s_v3 Standard_F2s_v2 Standard_F4s_v2 Standard_NC4as_T4_v3
    Standard_NC24ads_A100_v4 Standard_NC48ads_A100_v4 Standard_NC96ads_A100_v4 Standard_NC40ads_H100_v5
    Standard_ND40rs_v2 Standard_ND96asr_v4 Standard_ND96amsr_A100_v4 Standard_ND96isr_H100_v5
"""


def test_there_are_many_and_no_name_twice() -> None:
    assert len(SIZES) >= 60
    assert len({size.name.lower() for size in SIZES}) == len(SIZES)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_size_is_plausible(size: Size) -> None:
    assert re.fullmatch(r"Standard_[A-Z]+\d+[a-z]*(_[A-Z]+\d+)?(_v\d)?", size.name)
    assert 1 <= size.vcpus <= 128
    assert 1.5 <= size.memory / size.vcpus <= 32  # Fsv2 has least, M has most
    assert size.disk > 0
    assert (size.gpus > 0) == (size.gpu is not None) == size.name.startswith("Standard_N")
    assert (size.retired is None) == (size.retirement is None)
    if size.retired:
        assert size.retired <= datetime.date.today()
    else:
        assert size.price is not None
        assert 0.02 <= size.price / size.vcpus <= 1.1


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_family_is_consistent(family: Family) -> None:
    assert family.name.startswith("standard")
    assert family.name.endswith("Family")
    assert family.series.startswith("https://learn.microsoft.com/azure/virtual-machines/")
    assert family.quota >= 0
    for member in ("gpu", "premium_io", "retired", "retirement", "upgrade_reserve"):
        assert len({getattr(size, member) for size in family.sizes}) == 1, member
    assert family.quota == 0 or max(size.vcpus for size in family.sizes) <= family.quota


@pytest.mark.parametrize("name", PUBLISHED)
def test_size_is_as_in_the_openapis_example(name: str) -> None:
    vcpus, memory, disk, dedicated, low_priority = PUBLISHED[name]
    size = vm_sizes.find(name)
    assert size is not None
    answer = size.to_json()
    assert (answer["vCPUs"], answer["memoryGB"], answer["maxResourceVolumeMB"]) == (vcpus, memory, disk)
    assert (answer["family"], answer["osVhdSizeMB"], answer["gpus"]) == ("standardDSv2Family", 1047552, 0)
    assert answer["lowPriorityCapable"]
    assert answer["premiumIO"]
    assert answer["supportedComputeTypes"][:2] == ["AmlCompute", "ComputeInstance"]
    assert answer["estimatedVMPrices"] == {
        "billingCurrency": "USD",
        "unitOfMeasure": "OneHour",
        "values": [
            {"retailPrice": dedicated, "osType": "Linux", "vmTier": "Standard"},
            {"retailPrice": low_priority, "osType": "Linux", "vmTier": "LowPriority"},
        ],
    }


@pytest.mark.parametrize("name", COMPUTE_SKUS)
def test_size_is_as_in_azures_list_of_compute_skus(name: str) -> None:
    size = vm_sizes.find(name)
    assert size is not None
    answer = size.to_json()
    members = ("vCPUs", "memoryGB", "maxResourceVolumeMB", "gpus", "premiumIO")
    assert tuple(answer[member] for member in members) == COMPUTE_SKUS[name]


@pytest.mark.parametrize("name", IN_EXAMPLES.split())
def test_what_public_examples_use_can_be_had(name: str) -> None:
    size = vm_sizes.find(name.upper())
    assert size is not None
    assert size.name == name
    assert size.retired is None
    assert vm_sizes.families()[size.family].quota >= size.vcpus
