"""Parallel jobs as steps of pipelines, submitted by azure-ai-ml.

What they do is tested by tests/unit/test_parallel_jobs.py; here what the service makes of them:
https://learn.microsoft.com/azure/machine-learning/how-to-use-parallel-job-in-pipeline
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, MLClient, Output, dsl
from azure.ai.ml.entities import AmlCompute, Environment
from azure.ai.ml.parallel import RunFunction, parallel_run_function
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient
from job_support import IMAGE, Ended, Jobs
from mlflow import MlflowClient
from support import Arm, finish

import helpers
from running_service import RunningService

pytestmark = pytest.mark.slow

CLUSTER = "parallel-cluster"

SCRIPT = """
import argparse
import os
import pandas
from azureml_user.parallel_run import EntryScript

def init():
    global model
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    model = open(parser.parse_known_args()[0].model + "/weight.txt").read()
    EntryScript().logger.info("the model is there")

def run(mini_batch):
    print("a mini-batch of", len(mini_batch))
    if isinstance(mini_batch, pandas.DataFrame):
        return mini_batch.assign(score=mini_batch["number"] * int(model))
    return [f"{os.path.basename(path)}:{open(path).read()}:{model}" for path in mini_batch if "bad" not in path]
"""
MLTABLE = """
paths:
  - pattern: ./*.csv
transformations:
  - read_delimited: {delimiter: ",", encoding: utf8, header: all_files_same_headers}
"""


@pytest.fixture(scope="module")
def jobs(ml: MLClient, arm: Arm, service: RunningService) -> Iterator[Jobs]:
    """Jobs on a cluster of two nodes, which stay while these tests run."""
    cluster = AmlCompute(
        name=CLUSTER, size="Standard_DS3_v2", min_instances=0, max_instances=2, idle_time_before_scale_down=600
    )
    finish(ml.compute.begin_create_or_update(cluster))
    settings = service.settings
    address = f"https://{settings.storage_account}.blob.core.windows.net"
    yield Jobs(ml, arm, BlobServiceClient(address, settings.storage_key))
    finish(ml.compute.begin_delete(CLUSTER))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parallel")
    files = {
        "code/score.py": SCRIPT,
        "model/weight.txt": "3",
        "table/MLTable": MLTABLE,
        "table/rows.csv": "number\n" + "".join(f"{number}\n" for number in range(1000)),
        **{f"files/{number}.txt": str(number) for number in range(10)},
        "files/bad.txt": "",
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return folder


def step(folder: Path, kind: str, **options: Any) -> Any:
    """Return a parallel component that scores ``data``."""
    output = options.pop("output", "uri_file")
    task = {
        "entry_script": "score.py",
        "append_row_to": "${{outputs.scores}}",
        "program_arguments": "--model ${{inputs.model}}",
        **options.pop("task", {}),
    }
    return parallel_run_function(
        name="score",
        inputs={"data": Input(type=kind), "model": Input(type="uri_folder")},
        outputs={"scores": Output(type=output)},
        input_data="${{inputs.data}}",
        instance_count=2,
        max_concurrency_per_instance=1,
        task=RunFunction(
            code=str(folder / "code"),
            environment=Environment(image=IMAGE),
            **task,
        ),
        **{"mini_batch_size": "3", "retry_settings": {"max_retries": 1, "timeout": 60}, **options},
    )


def pipeline(folder: Path, score: Any, kind: str, data: str, mode: str | None = None) -> Any:
    @dsl.pipeline(default_compute=CLUSTER)
    def scoring(data, model):  # type: ignore[no-untyped-def] # azure-ai-ml reads annotations itself
        node = score(data=data, model=model)
        if mode:
            node.inputs.data.mode = mode
        return {"scores": node.outputs.scores}

    return scoring(
        data=Input(type=kind, path=str(folder / data)),
        model=Input(type="uri_folder", path=str(folder / "model"), mode="download"),
    )


def ended_step(jobs: Jobs, made: Any) -> tuple[Ended, Ended]:
    """Return how a pipeline, and its one step, ended."""
    name = jobs.ml.jobs.create_or_update(made, experiment_name="parallel").name
    whole = jobs.ended(name)
    (child,) = jobs.ml.jobs.list(parent_job_name=name)
    return whole, jobs.step(child.name)


def test_files(jobs: Jobs, folder: Path) -> None:
    whole, child = ended_step(
        jobs, pipeline(folder, step(folder, "uri_folder", error_threshold=1), "uri_folder", "files")
    )
    assert (whole.status, child.status) == ("Completed", "Completed"), child.error
    artifacts = child.artifacts
    assert {
        "logs/job_result.txt",
        "logs/readme.txt",
        "logs/sys/job_report/processed_mini-batches.csv",
    } <= artifacts.keys()
    for log in ("stdout/{}/process000.stdout.txt", "entry_script_log/{}/process000.log.txt"):
        assert {f"logs/user/{log.format(node)}" for node in (0, 1)} & artifacts.keys()  # one may have had all the work
    assert any(name.startswith("logs/job_progress_overview.") for name in artifacts)
    (scores,) = child.output("scores").values()
    assert scores.decode().splitlines() == [f"{number}.txt:{number}:3" for number in range(10)]


def test_progress_is_among_the_metrics_of_the_run(jobs: Jobs, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = "--model ${{inputs.model}} --push_metrics_to_parent True"
    made = pipeline(folder, step(folder, "uri_folder", task={"program_arguments": arguments}), "uri_folder", "files")
    whole, child = ended_step(jobs, made)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "")  # which track() sets
    client = MlflowClient(helpers.track(jobs.ml))
    measured = {"Remaining Mini Batches": 0, "Remaining Items": 0, "Failed Items": 1}
    assert client.get_run(child.name).data.metrics == measured
    assert client.get_run(whole.name).data.metrics == measured


@pytest.mark.parametrize("mode", ["direct", "eval_mount", "ro_mount"])
def test_rows(jobs: Jobs, folder: Path, mode: str) -> None:
    made = pipeline(folder, step(folder, "mltable", mini_batch_size="1kb"), "mltable", "table", mode)
    whole, child = ended_step(jobs, made)
    assert whole.status == "Completed", child.error
    (scores,) = child.output("scores").values()
    assert scores.decode().splitlines() == [f"{number} {3 * number}" for number in range(1000)]


def test_job_over_its_threshold_fails_and_keeps_rows(jobs: Jobs, folder: Path) -> None:
    score = step(folder, "uri_folder", error_threshold=0, output="uri_folder", mini_batch_size="1")
    whole, child = ended_step(jobs, pipeline(folder, score, "uri_folder", "files"))
    assert (whole.status, child.status) == ("Failed", "Failed")
    assert child.error["code"] == "UserError"
    assert "The number of failed items is 1, which exceeds error threshold 0." in child.error["message"]
    assert b"9.txt:9:3" in child.output("scores")["/parallel_run_step.txt"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"mini_batch_error_threshold": -2}, "mini_batch_error_threshold of the parallel job is"),
        ({"task": {"append_row_to": "${{outputs.other}}"}}, "task.append_row_to of the parallel job"),
        ({"task": {"entry_script": "../score.py"}}, "task.entry_script of the parallel job is '../score.py'."),
        ({"retry_settings": {"max_retries": -1, "timeout": 60}}, "retry_settings.max_retries of the parallel job is"),
        ({"task": {"program_arguments": "--error_threshold x"}}, "error_threshold of the parallel job is 'x'."),
    ],
)
def test_wrong_settings_are_refused_as_they_are_submitted(
    jobs: Jobs, folder: Path, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(HttpResponseError) as refused:
        made = pipeline(folder, step(folder, "uri_folder", **options), "uri_folder", "files")
        jobs.ml.jobs.create_or_update(made, experiment_name="parallel")
    assert refused.value.status_code == 400
    assert why in str(refused.value)
    assert "Step 'score'" in str(refused.value)
