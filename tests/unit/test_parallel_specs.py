"""azureml_local.arm.jobs.parallel_specs: what may be said of a parallel job, and what holds where nothing is.

Names and defaults: https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-parallel, and what azure-ai-ml
sends of a node (entities/_builders/parallel.py).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from azureml_local.arm.jobs import parallel_specs
from azureml_local.engines.jobs.spec import ParallelTask
from azureml_local.http.errors import FrontendError

INPUTS = {
    "data": {"jobInputType": "uri_folder", "mode": "ReadOnlyMount"},
    "table": {"jobInputType": "mltable", "mode": "Direct"},
    "model": {"jobInputType": "mlflow_model", "mode": "Download"},
    "limit": {"jobInputType": "literal", "value": "1"},
    "direct": {"jobInputType": "uri_folder", "mode": "Direct"},
}
OUTPUTS = {"scores": {"mode": "ReadWriteMount"}, "direct": {"mode": "Direct"}}


def read(**settings: Any) -> ParallelTask:
    task = {"entry_script": "score.py", **settings.pop("task", {})}
    given = {"task": task, "input_data": "${{inputs.data}}", **settings}
    return parallel_specs.read(given, INPUTS, OUTPUTS, 4)


def test_defaults() -> None:
    assert read() == ParallelTask("score.py", "", "data", workers=4)


def test_settings_that_may_be_text() -> None:
    """A component's come back as text."""
    task = read(
        task={
            "program_arguments": "--model ${{inputs.model}} --error_threshold 7 --allowed_failed_percent 30 "
            "--task_overhead_timeout 1200 --progress_update_timeout 600 --metrics_name_prefix a_ "
            "--push_metrics_to_parent True --copy_logs_to_parent True --resource_monitor_interva 20",
            "append_row_to": "${{outputs.scores}}/predictions.csv",
        },
        mini_batch_size="100 kb",
        input_data="${{ inputs.table }}",
        partition_keys='["Store", "Brand"]',
        max_concurrency_per_instance="2",
        error_threshold="5",
        mini_batch_error_threshold="3",
        retry_settings={"max_retries": "0", "timeout": "9"},
        logging_level="debug",
    )
    assert (task.input, task.is_table, task.mini_batch_size) == ("table", True, "100 kb")
    assert (task.partition_keys, task.workers, task.error_threshold) == (("Store", "Brand"), 2, 7)
    assert (task.mini_batch_error_threshold, task.allowed_failed_percent) == (3, 30)
    assert (task.max_retries, task.timeout, task.overhead_timeout, task.progress_timeout) == (0, 9, 1200, 600)
    assert (task.rows_output, task.rows_file, task.logging_level) == ("scores", "predictions.csv", "DEBUG")
    assert (task.metrics_prefix, task.pushes_metrics) == ("a_", True)


@pytest.mark.parametrize("size", [0, "0"])
def test_no_size_beside_partition_keys(size: Any) -> None:
    """As azure-ai-ml sends the sample oj_sales_prediction of Microsoft's."""
    task = read(input_data="${{inputs.table}}", partition_keys=["Store"], mini_batch_size=size)
    assert (task.partition_keys, task.mini_batch_size) == (("Store",), "")


def test_model_without_a_script() -> None:
    task = parallel_specs.mlflow_task("model", "${{outputs.scores}}/predictions.csv")
    found = parallel_specs.read({"task": task, "input_data": "${{inputs.data}}"}, INPUTS, OUTPUTS)
    assert (found.entry_script, found.model, found.rows_file) == ("", "model", "predictions.csv")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"input_data": None}, "input_data of the parallel job is None. It must be ${{inputs.<name>}}"),
        ({"input_data": "${{inputs.absent}}"}, "one of the inputs: data, table"),
        ({"input_data": "${{inputs.limit}}"}, "That input is a literal"),
        ({"input_data": "${{inputs.direct}}"}, "has the mode direct"),
        ({"mini_batch_size": "0"}, "mini_batch_size of the parallel job is '0'."),
        ({"mini_batch_size": "ten"}, "It must be a count of files such as 10"),
        ({"partition_keys": "Store"}, "It must be a list of names of columns."),
        ({"partition_keys": [1]}, "It must be a list of names of columns."),
        ({"max_concurrency_per_instance": 0}, "It must be at least 1."),
        ({"error_threshold": -2}, "It must be at least -1."),
        ({"retry_settings": {"timeout": 259_201}}, "at most 259200"),
        ({"logging_level": "loud"}, "It must be one of DEBUG, INFO, WARNING."),
        ({"task": {"type": "function"}}, "It must be run_function or model."),
        ({"task": {"type": "model"}}, "task.model of the parallel job is None."),
        ({"task": {"entry_script": None}}, "It must be a Python file in the code of the task"),
        ({"task": {"entry_script": "/etc/a.py"}}, "It must be a Python file in the code of the task"),
        ({"task": {"append_row_to": "scores"}}, "It must be ${{outputs.<name>}}"),
        ({"task": {"append_row_to": "${{outputs.scores}}/../a"}}, "The file must lie in the output."),
        ({"task": {"append_row_to": "${{outputs.direct}}"}}, "That output has the mode direct"),
        ({"task": {"program_arguments": "--error_threshold"}}, "task.program_arguments"),
        ({"task": {"program_arguments": "'"}}, "No closing quotation."),
    ],
)
def test_wrong_settings(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(FrontendError) as refused:
        read(**settings)
    assert refused.value.status == 400
    assert why in refused.value.message


@pytest.mark.parametrize("mode", ["Direct", "EvalMount", "EvalDownload"])
def test_table_that_is_split_comes_with_its_files(mode: str) -> None:
    table = {**INPUTS["table"], "mode": mode}
    job = SimpleNamespace(
        body={"parallel": {"input_data": "${{inputs.table}}"}},
        properties={"inputs": {"table": table, "other": table, "data": INPUTS["data"]}},
    )
    found = parallel_specs.inputs(cast(Any, job))
    assert {name: given["mode"] for name, given in found.items()} == {
        "table": "ReadOnlyMount",
        "other": mode,
        "data": "ReadOnlyMount",
    }


def test_workers_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """One with a GPU, else one for each core: reference-yaml-job-parallel."""
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    sizes = {"Standard_DS3_v2": 4, "Standard_DS1_v2": 1, "Standard_NC4as_T4_v3": 1, "Standard_D32s_v3": 8, "": 8}
    assert {size: parallel_specs._workers(size) for size in sizes} == sizes
