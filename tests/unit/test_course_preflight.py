"""Whether what Azure has said suffices for a lesson: sizes, limits, permissions, and the data of what lessons need.

The answers look like the examples of Azure's OpenAPI (specification/machinelearningservices, 2024-10-01:
VirtualMachineSize/list and Usage/list; specification/authorization, 2022-04-01: permissions).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from azureml_local.arm.compute import vm_sizes
from course.catalogue import Lesson, find
from course.documents import DocumentError
from course.preflight import needs
from course.preflight.checks import Row
from course.preflight.needs import Machines, Needs
from course.preflight.permissions import permits
from course.preflight.sizes import Region, choose
from course.readiness import readiness

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
LESSONS = find(NOTEBOOKS)
SUBSCRIPTION = "/subscriptions/34adfa4f"
ML = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.MachineLearningServices"
WORKSPACE = f"{ML}/workspaces/demo_workspace1"
ALL = {"AmlCompute", "ComputeInstance", "MIR"}


def size(name: str, family: str, cores: int, price: float = 0.1, uses: set[str] = ALL) -> dict[str, Any]:
    prices = [
        {"retailPrice": price * share, "osType": system, "vmTier": tier}
        for share, system, tier in ((0.2, "Linux", "LowPriority"), (1, "Linux", "Standard"), (2, "Windows", "Standard"))
    ]
    return {
        "name": name,
        "family": family,
        "vCPUs": cores,
        "supportedComputeTypes": sorted(uses),
        "estimatedVMPrices": {"billingCurrency": "USD", "unitOfMeasure": "OneHour", "values": prices},
    }


SIZES = {
    "standard_ds3_v2": size("Standard_DS3_v2", "standardDSv2Family", 4, 0.293),
    "standard_d4as_v4": size("Standard_D4as_v4", "standardDASv4Family", 4),
    "standard_nc4as_t4_v3": size("Standard_NC4as_T4_v3", "standard NCASv3_T4 Family", 4),
    "standard_fx4mds": size("Standard_FX4mds", "standardFXMDVSFamily", 4, uses={"AmlCompute"}),
}


def usage(name: str, used: int, limit: int, scope: str = SUBSCRIPTION) -> dict[str, Any]:
    segment = name.replace(" ", "_")
    return {
        "id": f"{scope}/usages/{segment}",
        "currentValue": used,
        "limit": limit,
        "name": {"value": name, "localizedValue": name},
    }


DSV2 = "Standard DSv2 Family Cluster Dedicated vCPUs"
TOTAL = "Total Cluster Dedicated Regional vCPUs"


def region(*usages: dict[str, Any]) -> Region:
    return Region(SIZES, usages, WORKSPACE)


@pytest.mark.parametrize(
    ("usages", "kinds", "reason"),
    [
        ([], {"cluster": 2}, ""),
        ([usage(DSV2, 2, 10)], {"cluster": 2}, ""),
        ([usage(DSV2, 3, 10)], {"cluster": 2}, "7 of 8 vCPUs are free"),
        # An update takes a fifth more: ceil(1.2 * 1) = 2 machines.
        ([usage(DSV2, 3, 10)], {"endpoint": 1}, "7 of 8 vCPUs are free"),
        ([usage(DSV2, 0, 10)], {"cluster": 1, "endpoint": 1}, "10 of 12 vCPUs are free"),
        ([usage(DSV2, 0, 100), usage(TOTAL, 95, 100)], {"cluster": 2}, "5 of 8 vCPUs are free"),
        # The limit of this workspace holds here, that of another one there; -1 is none.
        ([usage(DSV2, 0, 100), usage(DSV2, 0, 4, WORKSPACE)], {"cluster": 2}, "4 of 8 vCPUs are free"),
        ([usage(DSV2, 0, 100), usage(DSV2, 0, 4, WORKSPACE.upper())], {"cluster": 2}, "4 of 8 vCPUs are free"),
        ([usage(DSV2, 0, 100), usage(DSV2, 0, 4, f"{WORKSPACE}2")], {"cluster": 2}, ""),
        ([usage(DSV2, 5, -1)], {"cluster": 2}, ""),
        # Of low priority all families share one limit, whatever the dedicated one of the family is.
        ([usage(DSV2, 0, 0)], {"low_priority": 2}, ""),
        ([usage("Total Cluster LowPriority Regional vCPUs", 95, 100)], {"low_priority": 2}, "5 of 8 vCPUs are free"),
        ([usage(DSV2, 0, 0)], {"low_priority": 2, "cluster": 1}, "0 of 4 vCPUs are free"),
    ],
)
def test_limits_hold_for_what_counts_towards_them(
    usages: list[dict[str, Any]], kinds: dict[str, int], reason: str
) -> None:
    assert region(*usages).fit("Standard_DS3_v2", kinds).reason == reason


def test_families_are_known_by_the_names_of_their_limits() -> None:
    """``standard NCASv3_T4 Family`` has its limit under ``Standard NCASv3_T4 Family Cluster Dedicated vCPUs``."""
    none = region(usage("Standard NCASv3_T4 Family Cluster Dedicated vCPUs", 0, 0))
    assert none.fit("Standard_NC4as_T4_v3", {"cluster": 1}).reason == "0 of 4 vCPUs are free"


def test_a_size_that_is_not_there_or_not_for_that_does_not_fit() -> None:
    assert region().fit("Standard_NC6", {"cluster": 1}).reason == "is not to be had in this region"
    assert region().fit("Standard_FX4mds", {"endpoint": 1}).reason == "cannot be used for: endpoint"
    assert region().fit("Standard_FX4mds", {"cluster": 1}).reason == ""


def test_prices_are_those_of_dedicated_linux_machines_in_usd() -> None:
    assert region().price("standard_DS3_v2") == 0.293
    euros = {"a": {**SIZES["standard_ds3_v2"], "estimatedVMPrices": {"billingCurrency": "EUR", "values": []}}}
    assert Region(euros, [], WORKSPACE).price("a") is None
    assert Region({"a": {**SIZES["standard_ds3_v2"], "estimatedVMPrices": None}}, [], WORKSPACE).price("a") is None


@pytest.mark.parametrize(
    ("usages", "chosen", "tried"),
    [
        ([], "Standard_DS3_v2", []),
        ([usage(DSV2, 0, 4)], "Standard_D4as_v4", ["Standard_DS3_v2"]),
        ([usage(TOTAL, 0, 4)], None, ["Standard_DS3_v2", "Standard_D4as_v4", "Standard_E4s_v3"]),
    ],
)
def test_the_first_size_that_fits_is_chosen(usages: list[dict[str, Any]], chosen: str | None, tried: list[str]) -> None:
    known = Needs({}, {"Standard_DS3_v2": ["Standard_D4as_v4", "Standard_E4s_v3"]})
    fit, refused = choose(region(*usages), known, Machines(LESSONS[0], "cpu_size", "Standard_DS3_v2", {"cluster": 2}))
    assert (fit.size if fit else None) == chosen
    assert [one.size for one in refused] == tried


@pytest.mark.parametrize(
    ("granted", "permitted"),
    [
        ([{"actions": ["*"], "notActions": []}], True),
        ([{"actions": ["*/read"], "notActions": []}], False),
        ([{"actions": ["*"], "notActions": ["microsoft.keyvault/VAULTS/*"]}], False),
        # What one role takes away, another one grants.
        (
            [
                {"actions": ["*"], "notActions": ["Microsoft.KeyVault/*"]},
                {"actions": ["Microsoft.KeyVault/*/write"], "notActions": []},
            ],
            True,
        ),
        ([{"actions": ["Microsoft.KeyVault/vaults/*/write"]}], True),  # between slashes the star may be nothing
        ([], False),
    ],
)
def test_permissions_add_up(granted: list[dict[str, list[str]]], permitted: bool) -> None:
    assert permits(granted, "Microsoft.KeyVault/vaults/write") == permitted


@pytest.mark.parametrize("lesson", LESSONS, ids=[lesson.id for lesson in LESSONS])
def test_what_a_lesson_makes_is_among_its_needs(lesson: Lesson) -> None:
    """By its own code: whoever writes a lesson that makes something else is reminded to say so in course.yml."""
    notebook = nbformat.read(lesson.path, as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    signs = {
        "online_endpoints": "online_endpoints.begin_create",
        "batch_endpoints": "batch_endpoints.begin_create",
        "schedules": "schedules.begin_create",
        "registries": "registries.begin_create",
        "roles": "role_assignments.create",
        "logs": "LogAnalyticsManagementClient",
        "autoscale": "autoscale_settings.create",
        "key_vault": "KeyVaultManagementClient",
        "databricks": "helpers.databricks_workspace",
        "second_identity": "helpers.second_identity",
        "virtual_machine": "helpers.virtual_machine",
        "kubernetes": "helpers.kubectl_apply",
        "docker": "helpers.docker_engine",
        "computes": "compute.begin_create",
    }
    made = {name for name, sign in signs.items() if sign in code}
    if lesson.id == "put_it_together":  # it needs two
        made = made - {"second_identity"} | {"clinic_identities"}
    on_this_machine = {"online_endpoints"} if "local=True" in code else set()
    assert made - on_this_machine <= set(lesson.needs)


@pytest.mark.parametrize("lesson", LESSONS, ids=[lesson.id for lesson in LESSONS])
def test_each_size_that_a_lesson_takes_as_a_parameter_has_its_machines(lesson: Lesson) -> None:
    (parameters,) = [
        cell.source
        for cell in nbformat.read(lesson.path, as_version=4).cells
        if "parameters" in cell.metadata.get("tags", [])
    ]
    declared = {line.partition(" =")[0] for line in parameters.splitlines() if '"Standard_' in line}
    assert declared == set(lesson.machines)


def test_each_size_and_what_replaces_it_is_one_that_azure_ml_has() -> None:
    """As much memory and as many cores, for the same uses; a GPU for a GPU."""
    found = needs.find(NOTEBOOKS, LESSONS)
    for wanted in needs.machines(LESSONS):
        own = vm_sizes.find(wanted.size)
        assert own is not None
        replacing = [vm_sizes.find(name) for name in found.fallbacks[wanted.size]]
        for other in replacing:
            assert other is not None and not other.retired, wanted.size
            assert set(other.compute_types()) >= set(own.compute_types()), other.name
            assert (other.vcpus, other.memory, other.gpus) >= (own.vcpus, own.memory, own.gpus), other.name
        assert len({own.family, *(other.family for other in replacing if other)}) > 3, "other families: other quotas"


def test_a_need_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "azure.yml").write_text("needs: {workspace: {actions: [a/read]}}\nfallbacks: {}\n")
    (lesson,) = [one for one in LESSONS if one.id == "first_model"]
    with pytest.raises(DocumentError, match="lacks the need online_endpoints of first_model; it has workspace"):
        needs.find(tmp_path, [lesson])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("needs: {}\nfallbacks: {}\n", "needs lacks workspace: a mapping of what every lesson needs"),
        ("needs: {workspace: {roles: [Owner]}}\nfallbacks: {}\n", "has roles, which is not known"),
        ("needs: {workspace: {actions: []}}\nfallbacks: {}\n", "right is a list of actions"),
    ],
)
def test_a_file_that_is_not_right_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "azure.yml").write_text(text)
    with pytest.raises(DocumentError, match=said):
        needs.find(tmp_path, [])


def test_what_some_lessons_lack_keeps_only_these_from_running(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        Row("config.json", "ok", "demo_workspace1"),
        Row("SECRET", "lacking", "not set", next="set it", lessons=["one", "two"]),
        Row("kubectl", "lacking", "not here", next="install it", lessons=["two"]),
        Row("kubectl", "ok", "here", lessons=["three"]),
    ]
    monkeypatch.setattr("course.preflight.examination.examine", lambda *_: iter(rows))
    found = readiness("azure", LESSONS)
    assert found.shortcomings == []
    assert found.of_lessons == {
        "one": ["SECRET: not set. set it."],
        "two": ["SECRET: not set. set it.", "kubectl: not here. install it."],
    }
    rows.append(Row("workspace", "lacking", "404", next="look at the names"))
    assert readiness("azure", LESSONS).shortcomings == ["workspace: 404. look at the names."]
