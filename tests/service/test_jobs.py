"""Command jobs through azure-ai-ml: submitted, streamed, downloaded, changed, listed, cancelled, deleted.

What is expected is what the client's own documentation says of ``MLClient.jobs`` and of ``command``, and, where a test
says so, a recording of the service.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, MLClient, Output, command
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import Data, Environment, Job, Model
from azure.ai.ml.exceptions import JobException
from azure.ai.ml.operations._run_history_constants import RunHistoryConstants
from azure.core.exceptions import ResourceNotFoundError
from support import Arm, finish

from running_service import wait_for

IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
ENDED = ("Completed", "Failed", "Canceled")
Submit = Callable[..., Job]


@pytest.fixture(scope="module", autouse=True)
def no_waiting() -> Iterator[None]:
    """Let the client look for new lines of a log at once, not after 2 s."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunHistoryConstants, "_WAIT_COMPLETION_POLLING_INTERVAL_MIN", "0")
        yield


@pytest.fixture(scope="module")
def submit(ml: MLClient, cluster: str) -> Submit:
    """Submit a command, by default on the cluster."""
    environment = ml.environments.create_or_update(Environment(name="jobs", image=IMAGE))

    def send(text: str, **options: Any) -> Job:
        options.setdefault("compute", cluster)
        options.setdefault("environment", f"{environment.name}:{environment.version}")
        return ml.jobs.create_or_update(command(command=text, **options))

    return send


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    (folder / "train.py").write_text(
        "import pathlib, sys\n"
        "data, lr, model, table = sys.argv[1:]\n"
        "text = (pathlib.Path(data) / 'a.txt').read_text() + lr\n"
        "print('trained on', text)\n"
        "(pathlib.Path(model) / 'weights.txt').write_text(text)\n"
        "(pathlib.Path(table) / 'table.csv').write_text('x\\n1\\n')\n"
        "pathlib.Path('outputs/metrics.txt').write_text('ok')\n"
    )
    return folder


@pytest.fixture(scope="module")
def trained(ml: MLClient, submit: Submit, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job that has completed, with inputs and outputs of several kinds."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "a.txt").write_text("rows ")
    data = ml.data.create_or_update(Data(name="train-" + uuid.uuid4().hex[:8], path=str(folder), type="uri_folder"))
    job = submit(
        "python train.py ${{inputs.data}} ${{inputs.lr}} ${{outputs.model}} ${{outputs.table}}",
        code=str(source),
        inputs={"data": Input(type="uri_folder", path=f"{data.name}@latest"), "lr": 0.5},
        outputs={
            "model": Output(type=AssetTypes.CUSTOM_MODEL, name="weights-" + uuid.uuid4().hex[:8]),
            "table": Output(type=AssetTypes.URI_FOLDER),
        },
        display_name="Train",
        experiment_name="trees",
        tags={"a": "b"},
    )
    assert ended(ml, job).status == "Completed"
    return ml.jobs.get(job.name)


def ended(ml: MLClient, job: Job) -> Job:
    return wait_for(
        lambda: found if (found := ml.jobs.get(job.name)).status in ENDED else None, f"the end of {job.name}"
    )


def test_job_runs_and_its_log_is_streamed(
    ml: MLClient, trained: Job, capsys: pytest.CaptureFixture[str], submit: Submit
) -> None:
    job = submit("echo said-while-it-ran; sleep 1")
    ml.jobs.stream(job.name)
    shown = capsys.readouterr().out
    assert "Streaming user_logs/std_log.txt" in shown
    assert "said-while-it-ran" in shown
    ml.jobs.stream(trained.name)  # of a job that has ended, the client shows the summary
    assert f"RunId: {trained.name}" in capsys.readouterr().out
    assert ml.jobs.show_services(trained.name) is None
    assert list(ml.jobs.list(parent_job_name=trained.name)) == []


def test_outputs_are_registered_and_downloaded(ml: MLClient, trained: Job, tmp_path: Path) -> None:
    ml.jobs.download(trained.name, download_path=tmp_path, all=True)
    assert (tmp_path / "named-outputs" / "table" / "table.csv").read_text() == "x\n1\n"
    assert (tmp_path / "artifacts" / "outputs" / "metrics.txt").read_text() == "ok"
    assert "trained on rows 0.5" in (tmp_path / "artifacts" / "user_logs" / "std_log.txt").read_text()
    ml.jobs.download(trained.name, download_path=tmp_path / "model", output_name="model")
    assert (tmp_path / "model" / "named-outputs" / "model" / "weights.txt").read_text() == "rows 0.5"
    model = ml.models.get(trained.outputs["model"].name, version="1")
    assert model.type == "custom_model"
    assert model.job_name == trained.name


def test_what_a_job_wrote_can_be_named_in_other_jobs_and_in_assets(
    ml: MLClient, submit: Submit, trained: Job, name: str
) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-manage-models"""
    base = f"azureml://jobs/{trained.name}/outputs"
    model = ml.models.create_or_update(Model(name=name, path=f"{base}/artifacts/paths/outputs", type="custom_model"))
    assert model.path.endswith(f"/datastores/workspaceartifactstore/paths/ExperimentRun/dcid.{trained.name}/outputs")
    of_run = ml.models.create_or_update(Model(name=name, path=f"runs:/{trained.name}/outputs", type="custom_model"))
    assert of_run.path == model.path
    assert of_run.job_name == trained.name
    data = ml.data.create_or_update(Data(name=name, path=f"{base}/table/paths/table.csv", type="uri_file"))
    job = submit(
        "cat ${{inputs.table}} ${{inputs.weights}}/weights.txt ${{inputs.metrics}}/metrics.txt > outputs/all.txt",
        inputs={
            "table": Input(type="uri_file", path=f"{data.name}:{data.version}"),
            "weights": Input(type="custom_model", path=f"{base}/model/paths/"),
            "metrics": Input(type="custom_model", path=f"{model.name}:{model.version}"),
        },
    )
    assert ended(ml, job).status == "Completed"


def test_job_that_fails_says_why_and_registers_nothing(ml: MLClient, submit: Submit, name: str) -> None:
    job = submit("echo partly > ${{outputs.table}}/x; exit 3", outputs={"table": Output(type="uri_folder", name=name)})
    with pytest.raises(JobException, match="exited with status code 3"):
        ml.jobs.stream(job.name)
    assert ml.jobs.get(job.name).status == "Failed"
    with pytest.raises(ResourceNotFoundError):
        ml.data.get(name, version="1")


def test_named_output_gets_the_next_version(ml: MLClient, submit: Submit, name: str) -> None:
    for _ in range(2):
        job = submit("echo 1 > ${{outputs.table}}/x", outputs={"table": Output(type="uri_folder", name=name)})
        assert ended(ml, job).status == "Completed"
    assert ml.data.get(name, label="latest").version == "2"


def test_running_job_is_cancelled(ml: MLClient, arm: Arm, submit: Submit) -> None:
    """The words on the wire are a recording's: 202 and ``null``, then 202 and ``{}``, at last 200 and nothing."""
    job = submit("touch outputs/begun; sleep 600")
    wait_for(lambda: ml.jobs.get(job.name).status == "Running", "the job runs")
    begun = arm.request("POST", f"/jobs/{job.name}/cancel")
    assert (begun.status_code, begun.text) == (202, "null")
    assert "Azure-AsyncOperation" not in begun.headers
    location = begun.headers["Location"].removeprefix("https://management.azure.com")
    assert "/mfeOperationResults/" in location
    answers = []

    def over() -> bool:
        answers.append(arm.request("GET", location, params={}))
        return answers[-1].status_code == 200

    wait_for(over, "the job's cancellation")
    assert answers[-1].content == b""
    assert all((one.status_code, one.json()) == (202, {}) for one in answers[:-1])
    assert ml.jobs.get(job.name).status == "Canceled"
    refused = arm.request("POST", f"/jobs/{job.name}/cancel")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "UserError")


def test_job_that_waits_for_nodes_is_cancelled_by_the_client(ml: MLClient, submit: Submit) -> None:
    holding = [submit("sleep 600", instance_count=2), submit("sleep 600")]
    wait_for(lambda: ml.jobs.get(holding[1].name).status == "Queued", "the second job waits")
    for job in reversed(holding):
        finish(ml.jobs.begin_cancel(job.name))
        assert ml.jobs.get(job.name).status == "Canceled"


def test_job_is_deleted(ml: MLClient, submit: Submit) -> None:
    job = submit("sleep 600")
    finish(ml.jobs.begin_delete(job.name))
    with pytest.raises(ResourceNotFoundError, match=f"Job {job.name} not found"):
        ml.jobs.get(job.name)
    finish(ml.jobs.begin_delete(job.name))  # 204


def test_job_is_archived_restored_and_updated(ml: MLClient, trained: Job) -> None:
    names = lambda view: [job.name for job in ml.jobs.list(list_view_type=view)]  # noqa: E731
    ml.jobs.archive(trained.name)
    assert trained.name not in names("ActiveOnly")
    assert trained.name in names("ArchivedOnly")
    assert trained.name in names("All")
    ml.jobs.restore(trained.name)
    assert trained.name in names("ActiveOnly")
    changed = ml.jobs.update(trained.name, display_name="Renamed", description="d", tags={"c": "d"})
    assert (changed.display_name, changed.description) == ("Renamed", "d")
    assert changed.tags == {"a": "b", "c": "d"}
    fetched = ml.jobs.get(trained.name)
    fetched.tags["e"] = "f"
    assert ml.jobs.create_or_update(fetched).tags == {"a": "b", "c": "d", "e": "f"}
