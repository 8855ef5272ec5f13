"""The Spark master that the operator has named, for clusters of Databricks; without one, Spark runs on this machine.

``AZUREML_LOCAL_SPARK_MASTER``, or ``azureml-local start --spark-master``. Its workers need a Python and packages of the
same versions; a cluster's ``spark_env_vars`` say where (``PYSPARK_PYTHON``).
"""

from __future__ import annotations

import os
import re

VARIABLE = "AZUREML_LOCAL_SPARK_MASTER"
ADDRESS = re.compile(r"spark://(?P<host>[A-Za-z0-9.-]+):[0-9]{1,5}")


def address() -> str | None:
    """Return the master's address, or None. Raises ValueError where the variable holds something else."""
    text = os.environ.get(VARIABLE)
    return parse(text) if text else None


def host() -> str | None:
    """Return the master's host, or None. Raises ValueError as :func:`address` does."""
    found = ADDRESS.fullmatch(address() or "")
    return found["host"] if found else None


def parse(text: str) -> str:
    """Return an address of a Spark master. Raises ValueError for anything else."""
    if not ADDRESS.fullmatch(text):
        raise ValueError(f"The Spark master is '{text}'; it must be spark://HOST:PORT, that of a standalone cluster.")
    return text
