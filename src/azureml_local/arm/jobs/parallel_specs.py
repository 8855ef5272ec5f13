"""Reads the settings of a parallel job: those of its node or component in a pipeline, in azure-ai-ml's REST form.

A stored job that is a parallel one has them under ``parallel``, beside the ``properties`` of a command job.
https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-parallel
https://learn.microsoft.com/azure/machine-learning/how-to-use-parallel-job-in-pipeline#consider-automation-settings
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shlex
from collections.abc import Mapping
from typing import Any, NoReturn

from azureml_local.arm.compute import vm_sizes
from azureml_local.engines.jobs.spec import InputMode, OutputMode, ParallelTask, TableMode
from azureml_local.http.errors import FrontendError
from azureml_local.store import Resource

SETTINGS = "parallel"  # the member of a stored job
INPUT = re.compile(r"\s*\$\{\{\s*(?:parent\.)?inputs\.([A-Za-z_]\w*)\s*\}\}\s*")
OUTPUT = re.compile(r"\s*\$\{\{\s*outputs\.([A-Za-z_]\w*)\s*\}\}(?:/(.+?))?\s*")
SIZE = re.compile(r"\s*\d+\s*([kmg]?b)?\s*", re.IGNORECASE)
LEVELS = ("DEBUG", "INFO", "WARNING")
# Azure's kinds of a task: that of a script, and that of a model of MLflow's, which is scored without.
RUN_FUNCTION, MODEL = "run_function", "model"
# Of an append_row_to that names a folder: the default of ParallelRunConfig's append_row_file_name.
ROWS_FILE = "parallel_run_step.txt"
TABLES = "mltable"
LONGEST = 259_200  # seconds, of each time limit
# Azure reads them from program_arguments. What only says where logs go has no effect here.
ARGUMENTS = (
    "error_threshold",
    "allowed_failed_percent",
    "task_overhead_timeout",
    "progress_update_timeout",
    "metrics_name_prefix",
    "push_metrics_to_parent",
)


def is_parallel(job: Resource) -> bool:
    """Say whether a stored job is a parallel one."""
    return bool(job.body.get(SETTINGS))


def task(job: Resource, vm_size: str = "") -> ParallelTask | None:
    """Return what a stored parallel job does; None for any other.

    Args:
        job: as stored.
        vm_size: of its nodes.

    Raises:
        FrontendError: 400, a setting is wrong.
    """
    settings = job.body.get(SETTINGS)
    return read(settings, job.properties["inputs"], job.properties["outputs"], _workers(vm_size)) if settings else None


def read(
    settings: Mapping[str, Any], inputs: Mapping[str, Any], outputs: Mapping[str, Any], workers: int = 1
) -> ParallelTask:
    """Judge the settings of a parallel job. A pipeline does so with each of its parallel nodes as it is submitted.

    Args:
        settings: in azure-ai-ml's REST form of a node; what a component's says may be text.
        inputs: the job's, in the form in which jobs are stored.
        outputs: the job's.
        workers: how many a node has where the settings do not say.

    Raises:
        FrontendError: 400, a setting is wrong.
    """
    given = settings.get("task") or {}
    kind = given.get("type") or RUN_FUNCTION
    if kind not in (RUN_FUNCTION, MODEL):
        _refuse("task.type", kind, f"It must be {RUN_FUNCTION} or {MODEL}.")
    retries = settings.get("retry_settings") or {}
    arguments = given.get("program_arguments") or ""
    advanced = _advanced(arguments)
    split = _split(settings, inputs)
    keys = _partition_keys(settings.get("partition_keys"))
    size = settings.get("mini_batch_size")
    if keys and str(size) == "0":
        size = None  # azure-ai-ml sends it beside keys, which take effect (entities/_builders/parallel.py)
    is_table = inputs[split]["jobInputType"] == TABLES
    rows_output, rows_file = _rows(given.get("append_row_to"), outputs)
    return ParallelTask(
        entry_script=_entry_script(given.get("entry_script")) if kind == RUN_FUNCTION else "",
        arguments=arguments,
        input=split,
        model=_model(given.get("model"), inputs, is_needed=kind == MODEL),
        is_table=is_table,
        mini_batch_size=_size(size),
        partition_keys=keys,
        rows_output=rows_output,
        rows_file=rows_file,
        rows_must_be_new=bool(given.get("rows_must_be_new")),
        workers=_integer(
            "max_concurrency_per_instance", settings.get("max_concurrency_per_instance"), workers, least=1
        ),
        error_threshold=_integer(
            "error_threshold", advanced.get("error_threshold", settings.get("error_threshold")), None, least=-1
        ),
        mini_batch_error_threshold=_integer(
            "mini_batch_error_threshold", settings.get("mini_batch_error_threshold"), -1, least=-1
        ),
        allowed_failed_percent=_integer(
            "allowed_failed_percent", advanced.get("allowed_failed_percent"), 100, most=100
        ),
        max_retries=_integer("retry_settings.max_retries", retries.get("max_retries"), 2),
        timeout=_integer("retry_settings.timeout", retries.get("timeout"), 60, least=1, most=LONGEST),
        overhead_timeout=_integer(
            "task_overhead_timeout", advanced.get("task_overhead_timeout"), 600, least=1, most=LONGEST
        ),
        progress_timeout=_integer(
            "progress_update_timeout", advanced.get("progress_update_timeout"), None, least=1, most=LONGEST
        ),
        logging_level=_level(settings.get("logging_level")),
        metrics_prefix=advanced.get("metrics_name_prefix", ""),
        pushes_metrics=advanced.get("push_metrics_to_parent", "").lower() == "true",
    )


def inputs(job: Resource) -> dict[str, Any]:
    """Return a job's inputs. The MLTable that a parallel one splits comes with its files, whatever its mode."""
    found: dict[str, Any] = dict(job.properties["inputs"])
    if is_parallel(job):
        split = _split(job.body[SETTINGS], found)
        if found[split]["jobInputType"] == TABLES and found[split]["mode"] in (InputMode.DIRECT, *TableMode):
            found[split] = {**found[split], "mode": InputMode.MOUNT}
    return found


def mlflow_task(model: str, append_row_to: str | None) -> dict[str, Any]:
    """Return the ``task`` that scores files with a model of MLflow's, without a script.

    Its rows are ``row,prediction,file`` of each row of a table, ``prediction,file`` of each image:
    https://learn.microsoft.com/azure/machine-learning/how-to-mlflow-batch#analyze-outputs

    Args:
        model: the name of the input that is the model, of type ``mlflow_model``.
        append_row_to: the file that rows go to, such as ``${{outputs.score}}/predictions.csv``; None for none.
    """
    return {"type": MODEL, "model": f"${{{{inputs.{model}}}}}", "append_row_to": append_row_to}


def _entry_script(given: Any) -> str:
    parts = given.split("/") if isinstance(given, str) else []
    if not given or not given.endswith(".py") or given.startswith("/") or ".." in parts:
        _refuse("task.entry_script", given, "It must be a Python file in the code of the task, such as score.py.")
    return str(given)


def _model(given: Any, inputs: Mapping[str, Any], *, is_needed: bool) -> str | None:
    """Return the name of the input that is the model."""
    if not given and not is_needed:
        return None
    named = INPUT.fullmatch(given) if isinstance(given, str) else None
    if named is None or named[1] not in inputs:
        _refuse("task.model", given, "It must be ${{inputs.<name>}} of one of the inputs.")
    return named[1]


def _split(settings: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    """Return the name of the input that is split."""
    given = settings.get("input_data")
    named = INPUT.fullmatch(given) if isinstance(given, str) else None
    if named is None or named[1] not in inputs:
        _refuse("input_data", given, f"It must be ${{{{inputs.<name>}}}} of one of the inputs: {', '.join(inputs)}.")
    if inputs[named[1]]["jobInputType"] == "literal":
        _refuse("input_data", given, "That input is a literal; it must be a file, a folder or an MLTable.")
    if inputs[named[1]].get("mode") == InputMode.DIRECT and inputs[named[1]]["jobInputType"] != TABLES:
        _refuse("input_data", given, "That input has the mode direct; it must be ro_mount or download.")
    return named[1]


def _rows(given: Any, outputs: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return which output rows are appended to, and the file in it."""
    if not given:
        return None, ""
    named = OUTPUT.fullmatch(given) if isinstance(given, str) else None
    if named is None or named[1] not in outputs:
        _refuse("task.append_row_to", given, "It must be ${{outputs.<name>}} of one of the outputs.")
    if outputs[named[1]].get("mode") == OutputMode.DIRECT:
        _refuse("task.append_row_to", given, "That output has the mode direct; it must be rw_mount or upload.")
    file = named[2] or ROWS_FILE
    if ".." in file.split("/") or file.startswith("/"):
        _refuse("task.append_row_to", given, "The file must lie in the output.")
    return named[1], file


def _advanced(arguments: str) -> dict[str, str]:
    """Return the settings among the arguments of the script."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in ARGUMENTS:
        parser.add_argument(f"--{name}")
    try:
        found, _ = parser.parse_known_args(shlex.split(arguments))
    except (argparse.ArgumentError, ValueError) as error:
        _refuse("task.program_arguments", arguments, f"{error}.")
    return {name: value for name, value in vars(found).items() if value is not None}


def _size(given: Any) -> str:
    text = "" if given is None else str(given)
    if text and (not SIZE.fullmatch(text) or not int(re.sub(r"\D", "", text))):
        _refuse("mini_batch_size", given, "It must be a count of files such as 10, or a size of a table such as 100kb.")
    return text.strip()


def _partition_keys(given: Any) -> tuple[str, ...]:
    if isinstance(given, str):
        try:
            given = json.loads(given) if given else []
        except ValueError:
            _refuse("partition_keys", given, "It must be a list of names of columns.")
    if not isinstance(given or [], list) or not all(isinstance(name, str) for name in given or []):
        _refuse("partition_keys", given, "It must be a list of names of columns.")
    return tuple(given or ())


def _integer(name: str, given: Any, default: Any, *, least: int = 0, most: float = math.inf) -> Any:
    """Return a setting that must be an integer, or be missing."""
    if given is None or given == "":
        return default
    try:
        value = int(str(given))
    except ValueError:
        _refuse(name, given, "It must be an integer.")
    if not least <= value <= most:
        _refuse(name, given, f"It must be at least {least}{'' if most == math.inf else f' and at most {most}'}.")
    return value


def _level(given: Any) -> str:
    level = str(given or "INFO").upper()
    return level if level in LEVELS else _refuse("logging_level", given, f"It must be one of {', '.join(LEVELS)}.")


def _workers(vm_size: str) -> int:
    """Return how many workers a node has where the job does not say: one with a GPU, else one for each core.

    Those are cores that the node has on Azure and this machine, too.
    """
    size, here = vm_sizes.find(vm_size), os.cpu_count() or 1
    if size is None:
        return here
    return 1 if size.gpus else min(size.vcpus, here)


def _refuse(name: str, given: Any, right: str) -> NoReturn:
    raise FrontendError(400, "UserError", f"{name} of the parallel job is {given!r}. {right}")
