"""Pipeline jobs through azure-ai-ml: what their steps are given and leave, in what order, and how they fail.

Truth: https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-pipeline, how-to-create-component-pipeline-
python, how-to-manage-inputs-outputs-pipeline, how-to-debug-pipeline-reuse-issues; what azure-ai-ml's own code needs
(operations/_job_operations.py, _job_ops_helper.py).
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, MLClient, Output, command, dsl
from azure.ai.ml.dsl._group_decorator import group
from azure.ai.ml.entities import AmlCompute, CommandComponent, Data
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from job_support import Ended, Jobs
from mlflow import MlflowClient
from pipeline_support import ENVIRONMENT, FOLDER, Pipelines, Ran, fail, wait, write
from support import Arm, finish

from running_service import RunningService, wait_for

CLUSTER = "pipelines-cluster"


@pytest.fixture(scope="module")
def pipelines(ml: MLClient, arm: Arm, service: RunningService) -> Iterator[Pipelines]:
    cluster = AmlCompute(name=CLUSTER, size="Standard_DS3_v2", max_instances=3, idle_time_before_scale_down=600)
    finish(ml.compute.begin_create_or_update(cluster))
    settings = service.settings
    address = f"https://{settings.storage_account}.blob.core.windows.net"
    yield Pipelines(Jobs(ml, arm, BlobServiceClient(address, settings.storage_key)))
    finish(ml.compute.begin_delete(CLUSTER))


@pytest.fixture(scope="module")
def data(ml: MLClient, tmp_path_factory: pytest.TempPathFactory) -> Input:
    """A registered folder with one file."""
    folder = tmp_path_factory.mktemp("pipeline-data")
    (folder / "text").write_text("given\n")
    asset = ml.data.create_or_update(Data(name="pipeline-data", path=str(folder), type="uri_folder"))
    return Input(type="uri_folder", path=asset.id)


@dsl.pipeline(name="two_steps", compute=CLUSTER)
def two_steps(data: FOLDER, number: int, *, fixed: int = 7) -> Any:  # type: ignore[valid-type]
    first = write(data=data, number=number)
    second = write(data=first.outputs.out, number=fixed)
    return {"result": second.outputs.out}


@pytest.fixture(scope="module")
def ran(pipelines: Pipelines, data: Input) -> Ran:
    """A pipeline of two steps that has completed."""
    return pipelines.run(two_steps(data=data, number=3), force_rerun=True)


# --- what a pipeline and its steps leave ---


def test_data_goes_from_step_to_step(ran: Ran) -> None:
    """An input of the pipeline, a literal of it, another's output, and a default."""
    assert (ran.status, ran.statuses) == ("Completed", {"first": "Completed", "second": "Completed"})
    assert ran.child("first").text("out") == "given\n3\n"
    assert ran.child("second").text("out") == ran.text("result") == "given\n3\n7\n"


def test_steps_are_children(ran: Ran, ml: MLClient) -> None:
    """A list of jobs has the pipeline only, its children are asked for; one of them azure-ai-ml gets from its run."""
    children = list(ml.jobs.list(parent_job_name=ran.name))
    assert [child.display_name for child in children] == ["first", "second"]
    assert {child.status for child in children} == {"Completed"}
    listed = [job.name for job in ml.jobs.list()]
    assert ran.name in listed
    assert not {child.name for child in children} & set(listed)
    child = ml.jobs.get(children[0].name)
    assert (child.name, child.type, child.compute) == (children[0].name, "base", CLUSTER)


def test_runs_know_their_place(ran: Ran) -> None:
    first = ran.children["first"]
    assert (first["parentRunId"], first["rootRunId"]) == (ran.name, ran.name)
    assert first["properties"]["azureml.pipelinerunid"] == ran.name
    assert (first["runType"], ran.run["runTypeV2"]["orchestrator"]) == ("azureml.StepRun", "Pipelines")
    whole = ran._history(f"/runs/{ran.name}")
    assert (whole["parentRunId"], whole["rootRunId"], whole["runType"]) == (None, ran.name, "azureml.PipelineRun")


def test_outputs_are_downloaded(ran: Ran, ml: MLClient, tmp_path: Path) -> None:
    ml.jobs.download(ran.name, output_name="result", download_path=tmp_path)
    assert (tmp_path / "named-outputs/result/text").read_text() == "given\n3\n7\n"
    first = ran.children["first"]["runId"]
    ml.jobs.download(first, all=True, download_path=tmp_path / "first")
    assert (tmp_path / "first/named-outputs/out/text").read_text() == "given\n3\n"
    assert (tmp_path / "first/artifacts/user_logs/std_log.txt").exists()


def test_log(ran: Ran, ml: MLClient, tmp_path: Path) -> None:
    """Its lines are those of a public log of such a run: https://kedro-azureml.readthedocs.io (Quickstart)."""
    assert list(ran.run["logFiles"]) == ["logs/azureml/executionlogs.txt"]
    ml.jobs.download(ran.name, download_path=tmp_path)
    lines = (tmp_path / "artifacts/logs/azureml/executionlogs.txt").read_text().splitlines()
    first, second = (ran.children[step]["runId"] for step in ("first", "second"))
    time, node = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ\]", "[0-9a-f]{8}"
    expected = [
        f"{time} Submitting 1 runs, first five are: {node}:{first}",
        f"{time} Completing processing run id {first}\\.",
        f"{time} Submitting 1 runs, first five are: {node}:{second}",
        f"{time} Completing processing run id {second}\\.",
    ]
    assert len(lines) == 4
    assert all(re.fullmatch(pattern, line) for pattern, line in zip(expected, lines, strict=True)), lines


def test_stream(pipelines: Pipelines, ml: MLClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It shows the log of a pipeline that ends while it is looked at."""
    gate = tmp_path / "gate"

    @dsl.pipeline(compute=CLUSTER)
    def waiting() -> None:
        wait(gate=str(gate))

    name = pipelines.submit(waiting())
    pipelines.jobs.reaches(name, "Running")
    gate.touch()
    ml.jobs.stream(name)
    shown = capsys.readouterr().out
    assert "Streaming logs/azureml/executionlogs.txt" in shown
    assert "Completing processing run id" in shown


def test_the_job_again(ran: Ran, ml: MLClient, pipelines: Pipelines) -> None:
    """What is got of a pipeline says what it is made of, and can be submitted under another name."""
    job: Any = ml.jobs.get(ran.name)
    assert list(job.jobs) == ["first", "second"]
    assert job.jobs["second"].inputs.data._data == "${{parent.jobs.first.outputs.out}}"
    assert (job.inputs.number._data, job.experiment_name) == ("3", ml.jobs.get(ran.name).experiment_name)
    job.name, job._id = f"{ran.name}-again", None
    again = Ran(pipelines.jobs, ml.jobs.create_or_update(job).name)
    pipelines.jobs.ended(again.name)
    assert again.text("result") == "given\n3\n7\n"


def test_changed_and_archived(ran: Ran, ml: MLClient, arm: Arm) -> None:
    job: Any = ml.jobs.get(ran.name)
    job.tags["by"] = "me"
    assert ml.jobs.create_or_update(job).tags["by"] == "me"
    ml.jobs.archive(ran.name)
    assert ran.name not in [one.name for one in ml.jobs.list()]
    ml.jobs.restore(ran.name)
    body = arm.get(f"/jobs/{ran.name}").json()
    assert arm.put(f"/jobs/{ran.name}", body).status_code == 200
    body["properties"]["settings"]["force_rerun"] = False
    refused = arm.put(f"/jobs/{ran.name}", body)
    assert (refused.status_code, "{Settings}" in refused.text) == (400, True)


def test_a_step_can_be_changed_or_deleted_with_its_pipeline_only(ran: Ran, arm: Arm) -> None:
    child = ran.children["first"]["runId"]
    assert arm.get(f"/jobs/{child}").json().get("properties") is None
    body = arm.get(f"/jobs/{ran.name}").json()
    for refused in (arm.put(f"/jobs/{child}", body), arm.request("DELETE", f"/jobs/{child}")):
        assert (refused.status_code, ran.name in refused.text) == (400, True)


def test_what_a_step_is_told(pipelines: Pipelines, ml: MLClient) -> None:
    """Its settings before its component's, its place in the pipeline, and MLflow's run."""
    tell: Any = command(
        name="tell",
        command="python -c 'import json, os; print(json.dumps(dict(os.environ)))'",
        environment=ENVIRONMENT,
        environment_variables={"A": "builder", "B": "builder"},
        inputs={"word": Input(type="string", default="unused")},
        is_deterministic=False,
    )

    @dsl.pipeline(compute=CLUSTER, experiment_name="telling")
    def telling(word: str = "w") -> None:
        one = tell(word=word)
        one.environment_variables = {"A": "builder", "B": "node"}
        one.display_name = "Told"
        one.set_resources(instance_count=1, shm_size="1g")
        one.set_limits(timeout=100)

    told = pipelines.run(telling(word="hello"))
    child = told.child("Told")
    found = json.loads(Ended(pipelines.jobs, child.name, child.status, {}).log)
    expected = {
        "A": "builder",
        "B": "node",
        "AZUREML_PARAMETER_word": "hello",
        "AZUREML_RUN_ID": child.name,
        "AZUREML_ROOT_RUN_ID": told.name,
        "AZUREML_ARM_PROJECT_NAME": "telling",
        "MLFLOW_RUN_ID": child.name,
    }
    assert expected.items() <= found.items()


def test_runs_in_mlflow(ran: Ran, ml: MLClient, arm: Arm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each job is a run, and a step's says which its parent is:
    https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow.
    """
    uri = ml.workspaces.get(ml.workspace_name).mlflow_tracking_uri.replace("azureml://", "https://", 1)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", arm.token)
    client = MlflowClient(uri)
    experiment = client.get_run(ran.name).info.experiment_id
    found = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{ran.name}'")
    assert {run.info.run_id for run in found} == {run["runId"] for run in ran.children.values()}
    assert {(run.info.status, run.data.tags["mlflow.rootRunId"]) for run in found} == {("FINISHED", ran.name)}
    assert client.get_run(ran.name).info.status == "FINISHED"


# --- graphs ---


def test_branches_run_at_the_same_time(pipelines: Pipelines, tmp_path: Path) -> None:
    """Each waits for the file that the other makes."""
    one, other = tmp_path / "one", tmp_path / "other"

    @dsl.pipeline(compute=CLUSTER)
    def branches() -> Any:
        left = wait(gate=str(other), here=str(one))
        right = wait(gate=str(one), here=str(other))
        joined = write(data=left.outputs.out)
        return {"left": joined.outputs.out, "right": right.outputs.out}

    ended = pipelines.run(branches())
    assert ended.statuses == {"left": "Completed", "right": "Completed", "joined": "Completed"}
    assert ended.text("left") == "\n1\n"


def test_on_serverless_compute(pipelines: Pipelines) -> None:
    """https://learn.microsoft.com/azure/machine-learning/how-to-use-serverless-compute#pipeline-job"""

    @dsl.pipeline(default_compute="serverless")
    def alone() -> None:
        write()

    assert pipelines.run(alone()).statuses == {"write": "Completed"}


def test_pipeline_within_a_pipeline(pipelines: Pipelines, data: Input) -> None:
    """It is a child with children of its own; what it returns can go on, and be what the outer one returns."""

    @dsl.pipeline(compute=CLUSTER)
    def outer(data: FOLDER) -> Any:  # type: ignore[valid-type]
        inner = two_steps(data=data, number=5)
        after = write(data=inner.outputs.result, number=9)
        return {"inner_result": inner.outputs.result, "result": after.outputs.out}

    ended = pipelines.run(outer(data=data))
    assert ended.statuses == {"inner": "Completed", "after": "Completed"}
    inner = ended.child("inner")
    assert inner.statuses == {"first": "Completed", "second": "Completed"}
    assert {run["rootRunId"] for run in inner.children.values()} == {ended.name}
    assert {run["parentRunId"] for run in inner.children.values()} == {inner.name}
    assert (ended.text("inner_result"), ended.text("result")) == ("given\n5\n7\n", "given\n5\n7\n9\n")


def test_registered_components(pipelines: Pipelines, ml: MLClient, data: Input, name: str) -> None:
    """By their entity, and a pipeline of them that is one itself, by its latest version."""
    step: Any = ml.components.create_or_update(
        CommandComponent(
            name=f"c{name}",
            command="cat ${{inputs.data}}/* > ${{outputs.out}}/text; echo ${{inputs.number}} >> ${{outputs.out}}/text",
            environment=ENVIRONMENT,
            inputs={"data": FOLDER, "number": Input(type="integer")},
            outputs={"out": Output(type="uri_folder")},
        )
    )

    @dsl.pipeline(name=f"p{name}")
    def registered(data: FOLDER) -> Any:  # type: ignore[valid-type]
        return {"result": step(data=data, number=2).outputs.out}

    ml.components.create_or_update(registered)
    job: Any = ml.components.get(f"p{name}", label="latest")(data=data)
    job.settings.default_compute = CLUSTER
    assert pipelines.run(job).text("result") == "given\n2\n"


def test_groups_of_inputs(pipelines: Pipelines) -> None:
    @group
    class Sizes:
        width: int = 3
        depth: Input(type="number", optional=True)  # type: ignore[valid-type]

    show: Any = command(
        name="show",
        command="echo w=${{inputs.width}} > ${{outputs.out}}/text",
        environment=ENVIRONMENT,
        inputs={"width": Input(type="integer")},
        outputs={"out": Output(type="uri_folder")},
    )

    @dsl.pipeline
    def sized(sizes: Sizes) -> Any:
        return {"out": show(width=sizes.width).outputs.out}

    @dsl.pipeline(compute=CLUSTER)
    def grouped(sizes: Sizes) -> Any:
        return {"out": sized(sizes=sizes).outputs.out}

    assert pipelines.run(grouped(sizes=Sizes(width=8))).text("out") == "w=8\n"


def test_functions_as_components(pipelines: Pipelines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of mldesigner: https://learn.microsoft.com/azure/machine-learning/how-to-create-component-pipeline-python."""
    (tmp_path / "doubling.py").write_text(
        "from mldesigner import command_component, Input, Output\n"
        "@command_component(name='double', environment={'image': 'IMAGE'})\n"
        "def double(number: Input(type='integer'), out: Output(type='uri_folder')):\n"
        "    open(f'{out}/text', 'w').write(f'{number * 2}')\n".replace("IMAGE", str(ENVIRONMENT.image))
    )
    monkeypatch.syspath_prepend(tmp_path)
    from doubling import double  # type: ignore[import-not-found]

    @dsl.pipeline(compute=CLUSTER)
    def doubled(number: int) -> Any:
        return {"out": double(number=number).outputs.out}

    assert pipelines.run(doubled(number=21)).text("out") == "42"


def test_named_outputs(pipelines: Pipelines, ml: MLClient, name: str) -> None:
    """A step's and the pipeline's are registered under their names; a path may be a template."""

    @dsl.pipeline(compute=CLUSTER)
    def named() -> Any:
        one = write(number=1)
        one.outputs.out = Output(
            type="uri_folder",
            path="azureml://datastores/${{default_datastore}}/paths/named/${{name}}/${{output_name}}",
            name=f"step{name}",
            version="4",
        )
        return {"result": write(number=2).outputs.out}

    job: Any = named()
    job.outputs.result = Output(type="uri_folder", path=f"azureml://datastores/workspaceblobstore/paths/{name}/result")
    job.outputs.result.name = f"pipeline{name}"
    ended = pipelines.run(job)
    step = ml.data.get(f"step{name}", version="4")
    assert step.path.endswith(f"/paths/named/{ended.children['one']['runId']}/out")
    whole = ml.data.get(f"pipeline{name}", version="1")
    assert whole.path.endswith(f"/paths/{name}/result")
    assert ended.text("result") == "2\n"


# --- failures ---


def test_others_go_on_where_a_step_fails(pipelines: Pipelines) -> None:
    """By default, those that do not need it; one that does has no job, and the pipeline's error names the step."""

    @dsl.pipeline(compute=CLUSTER)
    def failing() -> None:
        bad = fail()
        needing = write(data=write(number=4).outputs.out)
        needing.name = "good"
        never: Any = command(
            name="never",
            command="cat ${{inputs.data}}/text",
            environment=ENVIRONMENT,
            inputs={"data": Input(type="uri_folder")},
        )
        never(data=bad.outputs.out).name = "lost"

    ended = pipelines.run(failing())
    assert ended.status == "Failed"
    assert ended.statuses == {"bad": "Failed", "write": "Completed", "good": "Completed"}
    assert ended.error.startswith("Pipeline has failed child jobs. Failed nodes: /bad.")
    assert "status code 3" in ended.child("bad").error


def test_all_end_where_a_step_fails(pipelines: Pipelines, tmp_path: Path) -> None:
    """continue_on_step_failure=False: "the entire pipeline stops running and any currently running steps will be
    canceled if one step fails" (reference-yaml-job-pipeline).
    """

    @dsl.pipeline(compute=CLUSTER)
    def failing() -> None:
        fail().name = "bad"
        wait(gate=str(tmp_path / "never")).name = "running"

    ended = pipelines.run(failing(), continue_on_step_failure=False)
    assert ended.statuses == {"bad": "Failed", "running": "Canceled"}
    assert "/bad" in ended.error


def test_an_optional_input_fails(pipelines: Pipelines) -> None:
    """The step that would have it runs without, unless the pipeline's settings say otherwise."""

    @dsl.pipeline(compute=CLUSTER)
    def failing() -> Any:
        return {"result": write(data=fail().outputs.out, number=6).outputs.out}

    ended = pipelines.run(failing())
    assert ended.statuses == {"fail": "Failed", "write": "Completed"}
    assert ended.child("write").text("out") == "6\n"
    strict = pipelines.run(failing(), continue_run_on_failed_optional_input=False)
    assert strict.statuses == {"fail": "Failed"}


def test_inner_failure(pipelines: Pipelines) -> None:
    @dsl.pipeline
    def inner() -> None:
        fail().name = "bad"

    @dsl.pipeline(compute=CLUSTER)
    def outer() -> None:
        inner().name = "within"

    ended = pipelines.run(outer())
    assert (ended.status, ended.statuses) == ("Failed", {"within": "Failed"})
    assert "/within" in ended.error
    assert "/bad" in ended.child("within").error


def test_cancel_reaches_every_step(pipelines: Pipelines, ml: MLClient, tmp_path: Path) -> None:
    here = tmp_path / "here"

    @dsl.pipeline
    def inner() -> None:
        wait(gate=str(tmp_path / "never"), here=str(here)).name = "waiting"

    @dsl.pipeline(compute=CLUSTER)
    def outer() -> None:
        inner().name = "within"

    name = pipelines.submit(outer())
    wait_for(here.exists, "the step runs")
    finish(ml.jobs.begin_cancel(name))
    canceled = Ran(pipelines.jobs, name)
    assert (canceled.status, canceled.statuses) == ("Canceled", {"within": "Canceled"})
    assert canceled.child("within").statuses == {"waiting": "Canceled"}


def test_deleted_with_its_steps(pipelines: Pipelines, ml: MLClient, arm: Arm, tmp_path: Path) -> None:
    here = tmp_path / "here"

    @dsl.pipeline(compute=CLUSTER)
    def waiting() -> None:
        wait(gate=str(tmp_path / "never"), here=str(here))

    name = pipelines.submit(waiting())
    wait_for(here.exists, "the step runs")
    child = Ran(pipelines.jobs, name).children["wait"]["runId"]
    finish(ml.jobs.begin_delete(name))
    assert [arm.get(f"/jobs/{one}").status_code for one in (name, child)] == [404, 404]
    with pytest.raises(ResourceNotFoundError):
        ml.jobs.get(name)


# --- reuse ---


def reused(ran: Ran) -> dict[str, str | None]:
    """Return the run that each step has taken over; None where it ran itself."""
    return {step: run["properties"].get("azureml.reusedrunid") for step, run in ran.children.items()}


@pytest.mark.slow
def test_reuse(pipelines: Pipelines, ml: MLClient, data: Input, tmp_path: Path) -> None:
    """What has not changed, as far as what comes before it has not; not what a forced run has left, nor for one."""

    def submit(number: int, fixed: int, **settings: Any) -> Ran:
        return pipelines.run(two_steps(data=data, number=number, fixed=fixed), **settings)

    forced = submit(11, 12, force_rerun=True)
    first = submit(11, 12)
    assert reused(forced) == reused(first) == {"first": None, "second": None}
    again = submit(11, 12)
    ids = {step: run["runId"] for step, run in first.children.items()}
    assert reused(again) == ids
    assert again.text("result") == "given\n11\n12\n"
    properties = again.children["first"]["properties"]
    assert (properties["azureml.isreused"], properties["azureml.reusedpipelinerunid"]) == ("true", first.name)
    ml.jobs.download(again.children["second"]["runId"], output_name="out", download_path=tmp_path)
    assert (tmp_path / "named-outputs/out/text").read_text() == "given\n11\n12\n"
    later = submit(11, 13)
    assert reused(later) == {"first": ids["first"], "second": None}
    assert later.text("result") == "given\n11\n13\n"
    assert reused(submit(14, 12)) == {"first": None, "second": None}
    assert reused(submit(11, 12, force_rerun=True)) == {"first": None, "second": None}


def test_what_is_not_deterministic_runs_again(pipelines: Pipelines, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.touch()

    @dsl.pipeline(compute=CLUSTER)
    def waiting() -> None:
        wait(gate=str(gate))

    assert [reused(pipelines.run(waiting())) for _ in range(2)] == [{"wait": None}] * 2


def test_a_deleted_job_is_not_reused(pipelines: Pipelines, ml: MLClient) -> None:
    @dsl.pipeline(compute=CLUSTER)
    def writing() -> None:
        write(number=77)

    first = pipelines.run(writing())
    finish(ml.jobs.begin_delete(first.name))
    assert reused(pipelines.run(writing())) == {"write": None}
