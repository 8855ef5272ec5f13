"""What Microsoft's public notebooks of pipelines do, and simpler tests do not.

Truth: sdk/python/jobs/pipelines of Azure/azureml-examples (1a: curated environments of the registry; 1b: functions that
return values; 1e: functions without an environment; 1g: MLTables in the mode ``eval_mount``) and mldesigner itself,
which writes what a function returns into its run's properties (``azureml.pipeline.control``).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, MLClient, Output
from azure.ai.ml.dsl import pipeline
from azure.ai.ml.entities import Environment, Job
from azure.ai.ml.parallel import RunFunction, parallel_run_function
from azure.storage.blob import ContainerClient
from support import SCRIPTS, SECONDS_TO_BUILD, Arm

from running_service import wait_for

IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
ENDED = ("Completed", "Failed", "Canceled")


def ended(ml: MLClient, job: Job) -> Any:
    """Return how a job ended."""
    return wait_for(lambda: (found := ml.jobs.get(job.name).status) in ENDED and found, timeout=SECONDS_TO_BUILD)


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPTS / "hands_over"))
    import functions

    yield functions
    sys.modules.pop("functions")


@pytest.mark.slow
def test_functions_hand_over_values(
    functions: Any, ml: MLClient, cluster: str, blobstore: ContainerClient, name: str
) -> None:
    @pipeline(default_compute=cluster, force_rerun=True)
    def of_functions(words):
        counted = functions.count(words=words)
        written = functions.write(number=counted.outputs.output, text="words and one:")
        return {"written": written.outputs.written}

    job = of_functions(words="three small words")
    job.outputs.written = Output(type="uri_folder", path=f"azureml://datastores/workspaceblobstore/paths/{name}")
    assert ended(ml, ml.jobs.create_or_update(job)) == "Completed"
    assert blobstore.download_blob(f"{name}/said").readall() == b"words and one: 4"


@pytest.mark.slow
def test_a_function_that_returns_nothing_it_promised(functions: Any, ml: MLClient, cluster: str) -> None:
    """Its step fails, and what waits for its value never begins."""

    @pipeline(default_compute=cluster, force_rerun=True)
    def of_functions() -> None:
        functions.write(number=1, text=functions.fail().outputs.output)

    job = ml.jobs.create_or_update(of_functions())
    assert ended(ml, job) == "Failed"
    assert [child.display_name for child in ml.jobs.list(parent_job_name=job.name)] == ["fail"]


def test_a_value_of_the_wrong_type_is_refused(functions: Any, ml: MLClient, cluster: str, arm: Arm) -> None:
    @pipeline(default_compute=cluster)
    def of_functions() -> None:
        functions.write(number=functions.fail().outputs.output, text="words:")

    with pytest.raises(Exception, match=r"number.*(integer|string)"):
        ml.jobs.create_or_update(of_functions())


@pytest.mark.slow
def test_steps_are_found_by_their_components(functions: Any, ml: MLClient, cluster: str) -> None:
    """As the notebooks of batch endpoints find them; azure-ai-ml stores a component that is not registered nameless."""
    registered = ml.components.create_or_update(functions.count)

    @pipeline(default_compute=cluster, force_rerun=True)
    def of_both() -> None:
        one = registered(words="a b")
        functions.write(number=one.outputs.output, text="words:")

    job = ml.jobs.create_or_update(of_both())
    assert ended(ml, job) == "Completed"
    steps = {step.properties["azureml.moduleName"]: step for step in ml.jobs.list(parent_job_name=job.name)}
    assert {name: step.display_name for name, step in steps.items()} == {"count": "one", "write": "write"}


@pytest.mark.parametrize("mode", ["eval_mount", "eval_download", "direct", "ro_mount"])
def test_table_of_files(
    mode: str, ml: MLClient, cluster: str, blobstore: ContainerClient, tmp_path: Path, name: str
) -> None:
    """Its files are split; the model beside it is downloaded to each node."""
    table, model = tmp_path / "table", tmp_path / "model"
    table.mkdir()
    model.mkdir()
    for file in "abc":
        (table / f"{file}.csv").write_text("1\n" * (ord(file) - ord("a") + 1))
    (table / "MLTable").write_text("paths:\n  - pattern: ./*.csv\n")
    (model / "weights.txt").write_text("none")
    count = parallel_run_function(
        name="count_lines",
        inputs={"table": Input(type="mltable", mode=mode), "model": Input(type="uri_folder", mode="download")},
        outputs={"counted": Output(type="uri_file", mode="rw_mount")},
        input_data="${{inputs.table}}",
        mini_batch_size="1",
        instance_count=2,
        max_concurrency_per_instance=1,
        task=RunFunction(
            code=str(SCRIPTS),
            entry_script="count_lines.py",
            program_arguments="--model ${{inputs.model}}",
            environment=Environment(image=IMAGE),
            append_row_to="${{outputs.counted}}",
        ),
    )

    @pipeline(default_compute=cluster, force_rerun=True)
    def of_tables() -> Any:
        counted = count(table=Input(type="mltable", path=str(table), mode=mode), model=Input(path=str(model)))
        return {"counted": counted.outputs.counted}

    job = of_tables()
    job.outputs.counted = Output(type="uri_file", path=f"azureml://datastores/workspaceblobstore/paths/{name}/rows.txt")
    assert ended(ml, ml.jobs.create_or_update(job)) == "Completed"
    rows = blobstore.download_blob(f"{name}/rows.txt").readall().decode().splitlines()
    assert sorted(rows) == ["a.csv 1", "b.csv 2", "c.csv 3"]
