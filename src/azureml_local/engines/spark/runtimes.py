"""Databricks runtimes that clusters can have here; ``engines/image_packages.yml`` says what is in each.

https://learn.microsoft.com/azure/databricks/release-notes/runtime/: those with Spark 3.5 and long-term support.
"""

from __future__ import annotations

from collections.abc import Mapping

IMAGE = "databricks-runtime/{version}"
# spark_version: what Databricks calls it.
RUNTIMES: Mapping[str, str] = {
    "16.4.x-scala2.12": "16.4 LTS (includes Apache Spark 3.5.2, Scala 2.12)",
    "15.4.x-scala2.12": "15.4 LTS (includes Apache Spark 3.5.0, Scala 2.12)",
    "14.3.x-scala2.12": "14.3 LTS (includes Apache Spark 3.5.0, Scala 2.12)",
}
DEFAULT = "15.4.x-scala2.12"  # the newest whose Python is that which most machines here have


def image(version: str) -> str:
    """Return the name under which ``engines/image_packages.yml`` has a runtime's packages."""
    return IMAGE.format(version=version)


def short(version: str) -> str:
    """Return what a runtime calls itself in ``DATABRICKS_RUNTIME_VERSION``: ``15.4``."""
    return version.partition(".x-")[0]
