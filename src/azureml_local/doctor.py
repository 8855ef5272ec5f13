"""Checks whether this machine can run the service, and says what to do where it cannot."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

from azureml_local import daemon
from azureml_local.engines import azurite
from azureml_local.engines.environments import Environments
from azureml_local.engines.requirements import EnvironmentBuildError
from azureml_local.engines.spark.driver import SPARK
from azureml_local.engines.spark.runtimes import DEFAULT, image
from azureml_local.home import Home, HomeError
from node_packages import NpmError

SPARK_LOG = "spark-installation.log"
NEEDED_DISK = 2 * 2**30  # bytes: a few models, environments and logs
NEEDED_MEMORY = 1 * 2**30  # bytes: the service, storage, and two small models
LIBRARIES = ("azureml-inference-server-http", "distributed", "mlflow")
CLIENT = "azure-ai-ml"  # of those who use the service, which itself does without


@dataclass(frozen=True)
class Finding:
    """The result of a check; ``remedy`` is empty where all is well."""

    what: str
    found: str
    remedy: str = ""


def check(home: Home) -> list[Finding]:
    """Run every check."""
    return [finding for one in CHECKS for finding in one(home)]


def main(home: Home, *, install: str | None) -> int:
    """Print the checks, installing what is missing where asked to. Returns 0 where all is well.

    Args:
        home: the state folder.
        install: what to install, one of :data:`INSTALLATIONS`; or None.
    """
    try:
        if install:
            INSTALLATIONS[install](home)
    except (NpmError, EnvironmentBuildError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    findings = check(home)
    for finding in findings:
        print(f"{'  ' if not finding.remedy else '! '}{finding.what:16} {finding.found}")
        if finding.remedy:
            print(f"{'':18} -> {finding.remedy}")
    problems = sum(bool(finding.remedy) for finding in findings)
    print("This machine is ready." if not problems else f"{problems} thing(s) to mend.")
    return 1 if problems else 0


def _install_azurite(_: Home) -> None:
    if not azurite.is_installed():
        print("Installing Azurite (Microsoft's storage emulator) with npm: about 30 seconds ...", flush=True)
        azurite.install()


def _install_spark(home: Home) -> None:
    """Build what clusters of Databricks with the default runtime run on; from then on, that of others is built, too."""
    home.create()
    print(
        "Installing Spark and Java for clusters of Databricks: about 900 MB, one to five minutes where nothing of it "
        f"is there yet. What is done stands in {home.logs / SPARK_LOG} ...",
        flush=True,
    )
    began = time.monotonic()
    built = Environments(home.environments).interpreter_for({"image": image(DEFAULT)}, home.logs / SPARK_LOG)
    python = asyncio.run(built).python
    print(f"Spark is installed, in {time.monotonic() - began:.0f} s: {Path(python).parents[1]}")


INSTALLATIONS: Mapping[str, Callable[[Home], None]] = {"azurite": _install_azurite, "spark": _install_spark}


def _python(_: Home) -> list[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    right = (3, 11) <= sys.version_info[:2] < (3, 14)
    return [Finding("Python", version, "" if right else "Use Python 3.11, 3.12 or 3.13.")]


def _platform(_: Home) -> list[Finding]:
    right = sys.platform in ("linux", "darwin")
    return [Finding("system", sys.platform, "" if right else "Use Linux, macOS, or on Windows the WSL.")]


def _libraries(_: Home) -> list[Finding]:
    findings = []
    for name in LIBRARIES:
        try:
            findings.append(Finding(name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            findings.append(Finding(name, "missing", f"pip install {name}"))
    return findings


def _client(_: Home) -> list[Finding]:
    try:
        return [Finding(CLIENT, metadata.version(CLIENT))]
    except metadata.PackageNotFoundError:
        return [Finding(CLIENT, f"not in this environment (for programs that use it: pip install {CLIENT})")]


def _storage(_: Home) -> list[Finding]:
    ready = azurite.is_installed()
    return [Finding("Azurite", "installed" if ready else "missing", "" if ready else "azureml-local doctor --install")]


def _spark(home: Home) -> list[Finding]:
    how = "for clusters of Databricks: azureml-local doctor --install spark"
    return [Finding("Spark", "installed" if Environments(home.environments).have(SPARK) else f"not installed ({how})")]


def _memory(_: Home) -> list[Finding]:
    available = psutil.virtual_memory().available
    remedy = "" if available >= NEEDED_MEMORY else "Close other programs: less than 1 GiB of memory is free."
    return [Finding("free memory", f"{available / 2**30:.1f} GiB", remedy)]


def _disk(home: Home) -> list[Finding]:
    place = next(folder for folder in (home.root, *home.root.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    remedy = "" if free >= NEEDED_DISK else "Make room: less than 2 GiB is free where the state folder lies."
    return [Finding("free disk", f"{free / 2**30:.1f} GiB", remedy)]


def _state(home: Home) -> list[Finding]:
    try:
        home.require_own_folder()
    except HomeError as error:
        return [Finding("state folder", str(home.root), str(error))]
    if not home.settings_file.exists():
        return [Finding("state folder", f"{home.root} (made at the first start)")]
    if stat.S_IMODE(home.root.stat().st_mode) & 0o077:
        return [Finding("state folder", f"{home.root} is open to others", f"chmod 700 {home.root}")]
    try:
        home.settings()
    except HomeError as error:
        return [Finding("state folder", str(home.root), str(error))]
    return [Finding("state folder", str(home.root))]


def _loopback(_: Home) -> list[Finding]:
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError as error:
        return [Finding("loopback", str(error), "Programs must be allowed to listen on 127.0.0.1.")]
    return [Finding("loopback", "free ports")]


def _proxy(_: Home) -> list[Finding]:
    proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
    return [Finding("your proxy", "none" if not proxy else "set; hosts other than Azure's go through it")]


def _service(home: Home) -> list[Finding]:
    running = daemon.find(home) if home.root.exists() else None
    beyond = f" and {running.listens_at}" if running and running.listens_at else ""
    return [Finding("service", f"runs on 127.0.0.1:{running.port}{beyond}" if running else "not running")]


CHECKS: tuple[Callable[[Home], list[Finding]], ...] = (
    _python,
    _platform,
    _libraries,
    _client,
    _storage,
    _spark,
    _memory,
    _disk,
    _loopback,
    _proxy,
    _state,
    _service,
)
