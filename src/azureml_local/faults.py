"""Faults on purpose, from Python; :class:`azureml_local.edge.faults.Fault` says what there is.

>>> with faults.inject(host="*.inference.ml.azure.com", status=429, rate=0.3, seed=7):
...     requests.post(endpoint.scoring_uri, ...)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from azureml_local import admin
from azureml_local.daemon import DaemonError
from azureml_local.home import Home


def add(home: Home | None = None, **fault: Any) -> str:
    """Begin to inject a fault and return its id.

    Raises:
        DaemonError: an argument is wrong, or no service runs in the state folder.
    """
    added: dict[str, str] = admin.call(home or Home(), "POST", "/faults", fault)
    return added["id"]


def listed(home: Home | None = None) -> list[dict[str, Any]]:
    """Return the faults, each with its id and how often it was injected. Raises DaemonError where no service runs."""
    found: list[dict[str, Any]] = admin.call(home or Home(), "GET", "/faults")
    return found


def clear(home: Home | None = None, fault_id: str | None = None) -> None:
    """Remove a fault, or every one. Raises DaemonError where there is none of this id, or no service runs."""
    admin.call(home or Home(), "DELETE", f"/faults/{fault_id}" if fault_id else "/faults")


@contextmanager
def inject(home: Home | None = None, **fault: Any) -> Iterator[str]:
    """Inject a fault for as long as the block runs; see :func:`add`."""
    fault_id = add(home, **fault)
    try:
        yield fault_id
    except BaseException:
        with suppress(DaemonError):  # what failed in the block matters more
            clear(home, fault_id)
        raise
    clear(home, fault_id)
