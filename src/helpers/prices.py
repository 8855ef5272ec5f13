"""What machines cost: the prices of ``notebooks/01_compute/vm_sizes.csv``."""

from __future__ import annotations

import csv
import functools

from helpers.folders import lesson_folder

DAYS = 30  # of a month


@functools.cache
def _usd() -> dict[str, float]:
    """USD an hour by the sizes' names in lower case, of those that can be had."""
    with (lesson_folder("01_compute") / "vm_sizes.csv").open(encoding="utf-8") as file:
        rows = csv.DictReader(line for line in file if line[0] != "#")
        return {row["name"].lower(): float(row["usd"]) for row in rows if row["usd"] and not row["retired"]}


def usd_a_month(size: str, hours_a_day: float = 24, machines: int = 1) -> float:
    """Return what machines of a size cost in a month of 30 days, in USD, pay as you go.

    Args:
        size: e.g. ``"Standard_DS2_v2"``, in any case.
        hours_a_day: for how long each of them is there; the work it has does not count.
        machines: how many.

    Raises:
        LookupError: the size has no price: it is misspelt, or retired.
    """
    if size.lower() not in _usd():
        raise LookupError(f"{size} is no size with a price in 01_compute/vm_sizes.csv.")
    return DAYS * hours_a_day * machines * _usd()[size.lower()]
