"""Spark drivers: each task of a cluster is one process with a Spark of its own, and ends with all that it started.

What a driver is told lies in its folder: ``task.json``, and ``conf/spark-defaults.conf``, so that a script's own
``SparkSession.builder.getOrCreate()`` gets the cluster's Spark. Everything listens on loopback; with a Spark master
elsewhere, on the address by which that is reached.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from azureml_local import spark_master
from azureml_local.engines.environments import Environments, Interpreter
from azureml_local.engines.process import GuardedProcess, base_environment, uninterrupted
from azureml_local.engines.requirements import EnvironmentBuildError
from azureml_local.engines.spark import runtimes

RUN_TASK = Path(__file__).with_name("runtime") / "run_task.py"
LOOPBACK = "127.0.0.1"
SPARK = "pyspark"
NOT_INSTALLED = (
    "Spark is not installed here. Run azureml-local doctor --install spark (about 900 MB on the disk, most of it Spark "
    "and Java), then start the cluster again."
)
LOG = "driver.log"  # what the task prints
TASK, OUTCOME, CONF = "task.json", "outcome.json", "conf"
SHARE_OF_MEMORY = 4  # a driver has at most a part of this machine's
LEAST_MEMORY = 1024  # MiB
# Most of what a short task takes is Java's, to compile itself: of fitting a small pipeline, 40 s of processor time with
# Java's defaults, 23 s so. A cluster's spark_conf can say otherwise.
SHORT_TASKS = {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
GRACE = 5.0  # seconds between SIGTERM and SIGKILL


@dataclass(frozen=True)
class Cluster:
    """What drivers need to know of a cluster: its runtime, cores, memory (MiB), settings and further packages."""

    runtime: str
    cores: int
    memory: int
    conf: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """What a driver runs: the kind (``python``, ``notebook``, ``probe``), a file, its parameters or widgets.

    ``name`` is the Spark application's; ``folder`` is the working directory, where it is not the driver's own.
    """

    kind: str
    name: str
    file: Path | None = None
    parameters: Sequence[str] = ()
    widgets: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """How a task ended; ``error`` is None where it succeeded, ``result`` is what a notebook has exited with."""

    error: str | None = None
    trace: str | None = None
    result: str | None = None
    spark_version: str | None = None
    master: str | None = None


class Drivers:
    """Starts drivers.

    Args:
        environments: builds what runtimes consist of.
        network: the variables that let code reach this service.
    """

    def __init__(self, environments: Environments, network: Callable[[], Mapping[str, str]]) -> None:
        self._environments = environments
        self._network = network

    async def interpreter(self, cluster: Cluster, log: Path) -> Interpreter:
        """Return the interpreter of a cluster, building its environment where it is missing.

        Spark and Java are large: only who has asked for them (``azureml-local doctor``) has them downloaded.

        Raises:
            EnvironmentBuildError: it cannot be had.
        """
        if not self._environments.have(SPARK):
            raise EnvironmentBuildError(NOT_INSTALLED)
        image = runtimes.image(cluster.runtime)
        return await self._environments.interpreter_for({"image": image}, log, *cluster.libraries)

    async def run(self, cluster: Cluster, interpreter: Interpreter, task: Task, folder: Path, dbfs: Path) -> Outcome:
        """Run a task to its end; cancelled, it is ended with all that it started.

        Args:
            cluster: where it runs.
            interpreter: the cluster's.
            task: what it runs.
            folder: the driver's own, for its settings, its log and what Spark spills.
            dbfs: what ``dbfs:/`` is.
        """
        _prepare(cluster, interpreter, task, folder, dbfs)
        process = await GuardedProcess.start(
            [interpreter.python, "-u", str(RUN_TASK), str(folder / TASK)],
            log=folder / LOG,
            environment={
                **base_environment(),
                **self._network(),
                "DATABRICKS_RUNTIME_VERSION": runtimes.short(cluster.runtime),
                **cluster.variables,
                "SPARK_CONF_DIR": str(folder / CONF),
                "SPARK_LOCAL_IP": _driver_address(),
                "PYSPARK_PYTHON": cluster.variables.get("PYSPARK_PYTHON", interpreter.python),
            },
            cwd=task.folder or folder,
            grace=GRACE,
            merge=True,
        )
        try:
            status = await asyncio.shield(process.ended)
        finally:
            await uninterrupted(_stop(process, folder / "spill"))
        return _read(folder / OUTCOME, status)


async def _stop(process: GuardedProcess, spill: Path) -> None:
    await process.stop()
    shutil.rmtree(spill, ignore_errors=True)


# The log of Spark itself lies beside the task's, as on Databricks (log4j-active.log).
LOGGING = """
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = {file}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{yy/MM/dd HH:mm:ss}} %p %c{{1}}: %m%n%ex
"""


def _prepare(cluster: Cluster, interpreter: Interpreter, task: Task, folder: Path, dbfs: Path) -> None:
    """Write what a driver is told."""
    (folder / CONF).mkdir(parents=True, exist_ok=True)
    dbfs.mkdir(parents=True, exist_ok=True)
    (folder / OUTCOME).unlink(missing_ok=True)
    written = {
        "kind": task.kind,
        "file": str(task.file) if task.file else None,
        "parameters": list(task.parameters),
        "widgets": dict(task.widgets),
        "outcome": str(folder / OUTCOME),
    }
    (folder / TASK).write_text(json.dumps(written))
    (folder / CONF / "spark-defaults.conf").write_text(_defaults(cluster, interpreter, task, folder, dbfs))
    (folder / CONF / "log4j2.properties").write_text(LOGGING.format(file=folder / "spark.log"))


def _driver_address() -> str:
    """Return the address that a driver listens on: that by which the operator's master is reached, or loopback."""
    host = spark_master.host()
    if host is None:
        return LOOPBACK
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))  # nothing is sent; it shows which way packets would go
        return str(probe.getsockname()[0])


def _defaults(cluster: Cluster, interpreter: Interpreter, task: Task, folder: Path, dbfs: Path) -> str:
    """Return ``spark-defaults.conf``; what a cluster sets itself counts, but for where Spark listens."""
    address, master = _driver_address(), spark_master.address()
    limit = psutil.virtual_memory().total // 2**20 // SHARE_OF_MEMORY
    settings = {
        "spark.app.name": task.name,
        "spark.driver.memory": f"{max(LEAST_MEMORY, min(cluster.memory // 2, limit))}m",
        "spark.cores.max": str(cluster.cores),
        "spark.pyspark.python": interpreter.python,
        "spark.authenticate": "false" if master else "true",
        **({} if master else SHORT_TASKS),
        "spark.sql.warehouse.dir": "dbfs:/user/hive/warehouse",
        "spark.sql.session.timeZone": "Etc/UTC",  # Databricks' default
        **cluster.conf,
        "spark.master": master or f"local[{min(cluster.cores, os.cpu_count() or 1)}]",
        "spark.driver.host": address,
        "spark.driver.bindAddress": address,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(folder / "spill"),
        **_file_systems(dbfs),
    }
    return "".join(f"{_escaped(name, ' =:#!')} {_escaped(value)}\n" for name, value in settings.items())


def _escaped(text: str, separators: str = "") -> str:
    """Return a name or a value as java.util.Properties reads it from one line."""
    signs: dict[str, str | int | None] = {
        "\\": r"\\",
        "\n": r"\n",
        "\r": r"\r",
        **{sign: f"\\{sign}" for sign in separators},
    }
    escaped = text.translate(str.maketrans(signs))
    return f"\\{escaped}" if text.startswith(" ") and not separators else escaped


def _file_systems(dbfs: Path) -> dict[str, str]:
    """Return what makes ``dbfs:/``, Databricks' default file system, a folder of this machine.

    Hadoop's ViewFileSystemOverloadScheme lets a scheme lie on another file system: the raw local one, which writes no
    checksums beside files. https://hadoop.apache.org/docs/r3.3.4/hadoop-project-dist/hadoop-hdfs/ViewFsOverloadScheme.html
    """
    return {
        "spark.hadoop.fs.defaultFS": "dbfs:///",
        "spark.hadoop.fs.dbfs.impl": "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme",
        "spark.hadoop.fs.viewfs.overload.scheme.target.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
        "spark.hadoop.fs.viewfs.mounttable.default.linkFallback": dbfs.as_uri(),
    }


def _read(file: Path, status: int) -> Outcome:
    """Return how a driver says that its task ended; one that says nothing was ended by somebody, or by itself."""
    try:
        said: dict[str, Any] = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        message = f"The driver ended with the exit status {status} before its task did."
        return Outcome(error=message, trace=message)
    return Outcome(
        said.get("error"), said.get("error_trace"), said.get("result"), said.get("spark_version"), said.get("master")
    )
