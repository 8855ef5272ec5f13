"""What a worker process is told before it loads the entry script."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from azureml_local.engines.jobs import data
from azureml_local.engines.jobs.command import fill_in
from azureml_local.engines.jobs.parallel import splitting
from azureml_local.engines.jobs.spec import Attempt, ParallelTask

OUTPUT_VARIABLE = "AZUREML_BI_OUTPUT_PATH"  # how-to-deploy-model-custom-output
MODEL_VARIABLE = "AZUREML_MODEL_DIR"  # how-to-batch-scoring-script
MLFLOW_SCRIPT = Path(__file__).parents[2] / "mlflow_resources" / "mlflow_batch_script.py"


def script(task: ParallelTask, work: Path) -> Path:
    """Return the entry script: the job's, or that of models of MLflow's.

    Args:
        task: the job's.
        work: the folder with the job's code.
    """
    return work / task.entry_script if task.entry_script else MLFLOW_SCRIPT


def root(task: ParallelTask, values: Mapping[str, str]) -> Path:
    """Return where the input that is split lies, of all that stands for inputs and outputs."""
    return Path(values[f"inputs.{task.input}"])


def to_load(attempt: Attempt, task: ParallelTask, work: Path, values: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the message by which a worker process loads the entry script.

    Args:
        attempt: what the node does of it.
        task: the job's.
        work: the folder with the job's code.
        values: what stands for each input and output.

    Raises:
        SplitError: the MLTable file of the input cannot be read.
    """
    input_root = root(task, values)
    table = splitting.describe(task, input_root)
    return {
        "script": str(script(task, work)),
        "arguments": [*shlex.split(fill_in(task.arguments, values)), *_own_arguments(task)],
        "environment": _variables(attempt, task, values),
        "root": str(input_root),
        "table": {"format": table.format, "options": table.options, "steps": table.steps}
        if table and table.format
        else None,
        "keeps_rows": task.rows_output is not None,
        "place": {
            "node": attempt.rank,
            "working_dir": str(work),
            "log_dir": str(work / "logs" / "user" / "entry_script_log" / str(attempt.rank)),
            "logging_level": task.logging_level,
        },
    }


def _own_arguments(task: ParallelTask) -> list[str]:
    """Return the arguments that Azure adds; for their sake scripts must use ``parse_known_args``."""
    own = {
        "mini_batch_size": task.mini_batch_size,
        "partition_keys": ",".join(task.partition_keys),
        "output_action": "append_row" if task.rows_output else "summary_only",
        "logging_level": task.logging_level,
        "process_count_per_node": task.workers,
        "run_invocation_timeout": f"{task.timeout:g}",
        "run_max_try": task.max_retries + 1,
    }
    return [text for name, value in own.items() if value != "" for text in (f"--{name}", str(value))]


def _variables(attempt: Attempt, task: ParallelTask, values: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables that the inputs and outputs add to a process's environment."""
    outputs = attempt.spec.outputs
    variables = data.variables(attempt.spec, values)
    if task.model:
        variables[MODEL_VARIABLE] = values[f"inputs.{task.model}"]
    name = task.rows_output or next(iter(outputs), None)
    if name:
        place = Path(values[f"outputs.{name}"])
        variables[OUTPUT_VARIABLE] = str(place.parent if outputs[name].is_file else place)
    users = attempt.spec.environment_variables
    return {name: users.get(name, value) for name, value in variables.items()}
