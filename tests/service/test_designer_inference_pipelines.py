"""From a training pipeline to inference pipelines, as real jobs: what they score is what the training run scored.

Truth: the scored data of the training run itself, on the same rows.
"""

# No postponed annotations: azure-ai-ml reads those of pipeline functions.
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from azure.ai.ml import Input, MLClient, dsl
from azure.ai.ml.entities import BatchEndpoint, Data, PipelineComponentBatchDeployment
from support import finish

import designer
from running_service import wait_for

pytestmark = pytest.mark.slow

ENDED = ("Completed", "Failed", "Canceled")
FOLDER = Input(type="uri_folder")
LABEL, SCORES = "late", ["Scored Labels", "Scored Probabilities"]
components = designer.load_components()


def flights(rows: int = 60) -> pd.DataFrame:
    """Rows that are told apart by ``number``, with values that are missing."""
    frame = pd.DataFrame({"number": range(rows), "distance": [(17 * row) % 41 / 4 for row in range(rows)]})
    frame["wind"] = [None if row % 7 == 3 else (13 * row) % 23 / 2 for row in range(rows)]
    frame[LABEL] = [int(row) for row in frame["distance"] + frame["wind"].fillna(5) > 10]
    return frame


@dsl.pipeline
def training(data: FOLDER, share: float = 0.5) -> None:  # type: ignore[valid-type]
    read = components.import_data(data=data)
    select = components.select_columns_in_dataset(
        dataset=read.outputs.dataset, select_columns="number,distance,wind,late"
    )
    clean = components.clean_missing_data(
        dataset=select.outputs.results_dataset, columns_to_be_cleaned="wind", cleaning_mode="Replace with mean"
    )
    split = components.split_data(
        dataset=clean.outputs.cleaned_dataset, fraction_of_rows_in_the_first_output_dataset=share
    )
    normalize = components.normalize_data(dataset=split.outputs.results_dataset1, columns_to_transform="distance,wind")
    learner = components.two_class_logistic_regression(random_number_seed=1)
    train = components.train_model(
        untrained_model=learner.outputs.untrained_model,
        dataset=normalize.outputs.transformed_dataset,
        label_column="late",
    )
    apply = components.apply_transformation(
        transformation=normalize.outputs.transformation_function, dataset=split.outputs.results_dataset2
    )
    score = components.score_model(trained_model=train.outputs.trained_model, dataset=apply.outputs.transformed_dataset)
    components.evaluate_model(scored_dataset=score.outputs.scored_dataset)


@dataclass(frozen=True)
class Trained:
    """A training pipeline that has run, twice: the second time its steps were not run again."""

    ml: MLClient
    cluster: str
    name: str
    data: str
    folder: Path
    first: str = ""
    second: str = ""

    def pipeline(self) -> Any:
        """Return the training pipeline."""
        pipeline = training(data=Input(type="uri_folder", path=self.data))
        pipeline.display_name, pipeline.settings.default_compute = self.name, self.cluster
        return pipeline

    def run(self, pipeline: Any) -> str:
        """Submit a pipeline and wait for its end; it must complete."""
        return self.completed(self.ml.jobs.create_or_update(pipeline).name)

    def completed(self, name: str) -> str:
        """Wait for a job's end; it must complete."""
        status = wait_for(
            lambda: found if (found := self.ml.jobs.get(name).status) in ENDED else None, f"{name} ends", 300
        )
        steps = {child.display_name: child.status for child in self.ml.jobs.list(parent_job_name=name)}
        assert status == "Completed", steps
        return name

    def step(self, job: str, step: str) -> str:
        """Return the name of the job of a step."""
        return next(child.name for child in self.ml.jobs.list(parent_job_name=job) if child.display_name == step)

    def scored(self, job: str, output: str) -> pd.DataFrame:
        """Return a dataset that a job has made, by ``number``."""
        folder = self.folder / f"{job}-{output}"
        self.ml.jobs.download(job, download_path=folder, output_name=output)
        return pd.read_parquet(next(folder.rglob("data.parquet"))).set_index("number").sort_index()

    @property
    def truth(self) -> pd.DataFrame:
        """What the training run scored: the rows that it did not train with."""
        return self.scored(self.step(self.first, "score"), "scored_dataset")


@pytest.fixture(scope="module")
def trained(ml: MLClient, cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    folder = tmp_path_factory.mktemp("designer")
    name = "flights_" + uuid.uuid4().hex[:8]
    (folder / "data").mkdir()
    flights().to_csv(folder / "data" / "flights.csv", index=False)
    data = ml.data.create_or_update(Data(name=name, path=str(folder / "data"), type="uri_folder"))
    made = Trained(ml, cluster, name, f"azureml:{data.name}:{data.version}", folder)
    first = made.run(made.pipeline())
    yield replace(made, first=first, second=made.run(made.pipeline()))


def same(found: pd.DataFrame, truth: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found.loc[truth.index, SCORES], truth[SCORES], rtol=1e-12)


def test_the_graph_of_a_job_is_that_of_its_pipeline(trained: Trained) -> None:
    """Of what was sent nothing is lost; the workspace's components, which have lost their names, are still known."""
    sent, found = designer.read_graph(trained.pipeline()), designer.graph_of_job(trained.ml, trained.first)
    assert (found.name, found.inputs, found.outputs) == (sent.name, sent.inputs, sent.outputs)
    assert {name: node.bindings for name, node in found.nodes.items()} == {
        name: node.bindings for name, node in sent.nodes.items()
    }
    assert found.settings.keys() == {"experiment_name", "settings"}, "what the job says of its run is left out"
    assert found.settings["settings"]["default_compute"] == f"azureml:{trained.cluster}"
    for name, node in found.nodes.items():
        version = node.component.id.rpartition(":")[2]
        assert node.component.id == f"azureml:azureml_anonymous:{version}"
        assert replace(node.component, id="", version="1.0.0") == sent.nodes[name].component


def test_the_graph_of_a_job_can_be_submitted_again(trained: Trained) -> None:
    """It is the same job: no step is run again."""
    job = trained.run(designer.pipeline_job(designer.graph_of_job(trained.ml, trained.first)))
    steps = trained.ml.jobs.list(parent_job_name=job)
    assert {step.display_name: step.properties.get("azureml.isreused") for step in steps} == dict.fromkeys(
        designer.graph_of_job(trained.ml, job).nodes, "true"
    )


def test_a_pipeline_of_registered_components_is_read_before_and_after_it_was_sent(trained: Trained) -> None:
    """What is registered under a name of its own is still known, and is sent by that name."""
    suffix = "_" + uuid.uuid4().hex[:6]
    ours = designer.register_components(trained.ml, names=["import_data", "split_data"], suffix=suffix)
    again = designer.register_components(trained.ml, names=["import_data", "split_data"], suffix=suffix)
    assert {name: one.id for name, one in ours.items()} == {name: one.id for name, one in again.items()}

    @dsl.pipeline
    def halves(data: FOLDER) -> None:  # type: ignore[valid-type]
        read = ours["import_data"](data=data)
        ours["split_data"](dataset=read.outputs.dataset)

    pipeline = halves(data=Input(type="uri_folder", path=trained.data))
    pipeline.settings.default_compute = trained.cluster
    graph = designer.read_graph(pipeline)
    assert [node.component.id for node in graph.nodes.values()] == [
        f"azureml:import_data{suffix}:1.0.0",
        f"azureml:split_data{suffix}:1.0.0",
    ]
    sent = designer.graph_of_job(trained.ml, trained.ml.jobs.create_or_update(designer.pipeline_job(graph)))
    assert sent.nodes == graph.nodes
    library = designer.Library()
    assert [node.component.module for node in sent.nodes.values()] == [
        library[name].module for name in ("import_data", "split_data")
    ]
    trained.ml.jobs.begin_cancel(trained.ml.jobs.create_or_update(pipeline).name)


def test_the_graph_of_no_pipeline_is_refused(trained: Trained) -> None:
    with pytest.raises(designer.GraphError, match="only a pipeline has a graph"):
        designer.graph_of_job(trained.ml, trained.step(trained.first, "split"))


def test_only_a_run_that_has_completed_makes_an_inference_pipeline(trained: Trained) -> None:
    failing = designer.read_graph(trained.pipeline()).set("select", select_columns="nowhere")
    job = trained.ml.jobs.create_or_update(designer.pipeline_job(failing, compute=trained.cluster))
    wait_for(lambda: trained.ml.jobs.get(job.name).status == "Failed", f"{job.name} fails", 300)
    with pytest.raises(
        designer.GraphError, match=f"The job {job.name} is Failed; an inference pipeline is made of one"
    ):
        designer.create_realtime_inference_pipeline(trained.ml, job)


def test_the_realtime_inference_pipeline_scores_the_same(trained: Trained) -> None:
    graph = designer.create_realtime_inference_pipeline(trained.ml, trained.first)
    job = trained.run(designer.pipeline_job(graph, compute=trained.cluster))
    same(trained.scored(job, "answer"), trained.truth)


def test_assets_of_a_run_whose_steps_were_reused_are_those_of_the_first(trained: Trained) -> None:
    graphs = [designer.create_realtime_inference_pipeline(trained.ml, job) for job in (trained.first, trained.second)]
    assert graphs[0].inputs == graphs[1].inputs
    assert {one.path.rpartition(":")[0] for one in graphs[0].inputs.values()} == {
        f"azureml:MD-{trained.name}-train-trained_model",
        f"azureml:TD-{trained.name}-clean-cleaning_transformation",
        f"azureml:TD-{trained.name}-normalize-transformation_function",
        f"azureml:DS-{trained.name}-read-dataset",
    }


def test_assets_are_named_as_one_likes(trained: Trained) -> None:
    """In one workspace the runs of two teams may have pipelines of one name."""
    inference = designer.create_realtime_inference_pipeline(trained.ml, trained.first, saved_as=f"{trained.name}_b")
    paths = [one.path for one in inference.inputs.values() if one.data_type == "ModelDirectory"]
    assert paths == [f"azureml:MD-{trained.name}_b-train-trained_model:1"]
    assert inference.name == f"{trained.name}-real time inference"


def test_the_batch_inference_pipeline_scores_data_of_a_caller(trained: Trained) -> None:
    ml, name = trained.ml, trained.name.replace("_", "-")
    graph = designer.create_batch_inference_pipeline(ml, trained.first)
    component = ml.components.create_or_update(designer.pipeline_component(graph, trained.name))
    finish(ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name=name)))
    finish(
        ml.batch_deployments.begin_create_or_update(
            PipelineComponentBatchDeployment(
                name="one", endpoint_name=name, component=component, settings={"default_compute": trained.cluster}
            )
        )
    )
    unlabelled = trained.folder / "unlabelled"
    unlabelled.mkdir()
    flights().drop(columns=LABEL).to_csv(unlabelled / "flights.csv", index=False)
    data = ml.data.create_or_update(Data(name=f"{trained.name}_new", path=str(unlabelled), type="uri_folder"))
    invoked = ml.batch_endpoints.invoke(
        endpoint_name=name, deployment_name="one", inputs={"data": Input(type="uri_folder", path=data.id)}
    )
    same(trained.scored(trained.completed(invoked.name), "scored_dataset"), trained.truth)
    ran = designer.graph_of_job(ml, invoked.name)
    assert {name: node.bindings for name, node in ran.nodes.items()}.keys() == graph.nodes.keys()
    assert ran.inputs["data"].path.endswith(f"{data.name}:{data.version}")
    finish(ml.batch_endpoints.begin_delete(name))
