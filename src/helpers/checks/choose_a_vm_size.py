"""The exercises of *Choose a VM size*."""

from __future__ import annotations

import csv
import functools
from typing import Any

from helpers.folders import lesson_folder
from helpers.verdicts import CheckResult, exercise, right, wrong

# What each workload needs: columns of vm_sizes.csv, and the least that they must have.
NEEDS: dict[str, dict[str, float]] = {
    "photos": {"gpus": 1, "gpu_memory": 10},
    "prepare": {"vcpus": 2, "memory": 7},
    "search": {"vcpus": 64, "memory": 128},
    "table": {"memory": 300},
    "shards": {"nvme": 3.5},
    "language": {"gpus": 1, "gpu_memory": 70},
    "eight": {"gpus": 8, "gpu_memory": 40},
    "legacy": {"gpus": 1, "gpu_memory": 16, "vcpus": 6, "memory": 50},
}
UNITS = {
    "gpus": "GPUs",
    "gpu_memory": "GiB of memory of a GPU",
    "vcpus": "vCPUs",
    "memory": "GiB of memory",
    "nvme": "TB of local NVMe disk",
}
TOO_DEAR = 2  # times the price of the cheapest size that fits


@functools.cache
def _sizes() -> dict[str, dict[str, str]]:
    """Return the rows of the lesson's vm_sizes.csv by the sizes' names in lower case."""
    with (lesson_folder("01_compute") / "vm_sizes.csv").open(encoding="utf-8") as file:
        return {row["name"].lower(): row for row in csv.DictReader(line for line in file if line[0] != "#")}


def _lack(size: dict[str, str], need: dict[str, float]) -> str:
    """Return what a size has too little of, in words; nothing where it fits."""
    for column, least in need.items():
        if float(size[column]) < least:
            return f"it has {float(size[column]):g} {UNITS[column]}; {least:g} are needed"
    return ""


@exercise("choose_a_vm_size/eight_workloads", "Assign a dictionary with the eight keys and names of sizes.")
def eight_workloads(answer: Any) -> CheckResult:
    """Accept for each workload any size that fits, can be had, and costs less than twice what the cheapest does."""
    if not isinstance(answer, dict):
        return wrong(f"a dictionary is wanted, this is of type {type(answer).__name__}.")
    if missing := [key for key in NEEDS if key not in answer]:
        return wrong(f"the keys are those of the table; missing: {', '.join(missing)}.")
    for key, need in NEEDS.items():
        size = _sizes().get(str(answer[key]).strip().lower())
        if size is None:
            return wrong(f'"{key}": {answer[key]} is no size of the list. A name looks like Standard_DS3_v2.')
        if size["retired"]:
            return wrong(f'"{key}": {size["name"]} was retired on {size["retired"]}; it cannot be created any more.')
        if lack := _lack(size, need):
            return wrong(f'"{key}": {size["name"]}: {lack}.')
        if "gpus" not in need and size["gpus"] != "0":
            return wrong(f'"{key}": {size["name"]} has GPUs, which this workload does not use.')
        fitting = [float(one["usd"]) for one in _sizes().values() if not one["retired"] and not _lack(one, need)]
        if float(size["usd"]) >= TOO_DEAR * min(fitting):
            times = float(size["usd"]) / min(fitting)
            return wrong(f'"{key}": {size["name"]} would do, but another size does it for 1/{times:.1f} of the price.')
    return right("what fits first, then the price; so it is done with the whole catalogue, too.")


@exercise("choose_a_vm_size/most_nodes", "Write a function of limit, used and vcpus that returns a whole number.")
def most_nodes(answer: Any) -> CheckResult:
    """Accept a function that returns how many whole machines fit into what is left of a quota."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    cases = {
        (64, 0, 4): (16, "a quota counts vCPUs, not machines"),
        (64, 8, 4): (14, "what is in use is no longer free"),
        (96, 24, 40): (1, "what does not fit as a whole machine does not count"),
        (0, 0, 6): (0, "without quota there is none"),
        (300, 310, 4): (0, "there cannot be fewer than none"),
    }
    for case, (expected, why) in cases.items():
        got = answer(*case)
        if got != int(got):
            return wrong(f"most_nodes{case} is {got:g}; half a machine is no machine.")
        if got != expected:
            return wrong(f"most_nodes{case} is {got}; {why}.")
    return right("so you know before Azure tells you.")


@exercise("choose_a_vm_size/cheapest_job", "Multiply hours by the prices in `sizes.usd`; assign a size's name.")
def cheapest_job(answer: Any) -> CheckResult:
    """Accept the name of the A100 size, in any case."""
    name = str(answer).strip().lower()
    why_not = {
        "standard_nc4as_t4_v3": "the lowest price of an hour. What do its 5.2 hours cost?",
        "standard_d16s_v3": "no GPU to pay for, but 41 hours.",
        "standard_nd96asr_v4": "it is done first. Is it also the cheapest?",
    }
    if name in why_not:
        return wrong(why_not[name])
    if name != "standard_nc24ads_a100_v4":
        return wrong(f"the name of one of the four sizes is wanted, not {answer!r}.")
    return right("seven times the price of the T4 by the hour, and yet less for the job.")
