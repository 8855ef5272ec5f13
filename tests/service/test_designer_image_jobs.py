"""Images through real jobs: a training pipeline, the inference pipelines made of it, and its web service.

Truth: the scored data of the training run itself, on the same images.
"""

# No postponed annotations: azure-ai-ml reads those of pipeline functions.
import base64
import io
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from azure.ai.ml import Input, MLClient, dsl
from azure.ai.ml.entities import Data
from designer_modules.serving import WebService
from PIL import Image

import designer
import helpers
from designer.rewriting import with_paths
from running_service import wait_for

pytestmark = pytest.mark.slow

ENDED = ("Completed", "Failed", "Canceled")
FOLDER = Input(type="uri_folder")
SCORES = ["Scored Labels", "Scored Probabilities_bright", "Scored Probabilities_dark"]
components = designer.load_components()


def png(brightness: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (12, 12), (brightness, brightness // 2, 40)).save(file, "PNG")
    return file.getvalue()


FILES = {f"{'bright' if n % 2 else 'dark'}/{n}.png": png(n * 4 + (120 if n % 2 else 0)) for n in range(24)}


@dsl.pipeline
def training(photos: FOLDER) -> None:  # type: ignore[valid-type]
    convert = components.convert_to_image_directory(input_dataset=photos)
    split = components.split_image_directory(
        input_image_directory=convert.outputs.output_image_directory, fraction_of_images_in_the_first_output=0.5
    )
    transformation = components.init_image_transformation(size=8, center_crop=False)
    for_training = components.apply_image_transformation(
        input_image_transformation=transformation.outputs.output_image_transformation,
        input_image_directory=split.outputs.output_image_directory1,
        mode="For training",
    )
    for_inference = components.apply_image_transformation(
        input_image_transformation=transformation.outputs.output_image_transformation,
        input_image_directory=split.outputs.output_image_directory2,
        mode="For inference",
    )
    network = components.resnet(model_name="resnet8")
    train = components.train_pytorch_model(
        untrained_model=network.outputs.untrained_model,
        training_dataset=for_training.outputs.output_image_directory,
        validation_dataset=for_inference.outputs.output_image_directory,
        epochs=2,
    )
    score = components.score_image_model(
        trained_model=train.outputs.trained_model, dataset=for_inference.outputs.output_image_directory
    )
    components.evaluate_model(scored_dataset=score.outputs.scored_dataset)


@dataclass(frozen=True)
class Trained:
    """A training pipeline for images that has run."""

    ml: MLClient
    cluster: str
    folder: Path
    name: str
    job: str = ""

    def data(self, name: str, files: dict[str, bytes]) -> Input:
        """Put files into the workspace."""
        folder = self.folder / name
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        data = self.ml.data.create_or_update(Data(name=f"{self.name}_{name}", path=str(folder), type="uri_folder"))
        return Input(type="uri_folder", path=f"azureml:{data.name}:{data.version}")

    def run(self, pipeline: Any) -> tuple[str, str]:
        """Submit a pipeline, wait for its end, and return its name and status."""
        job = self.ml.jobs.create_or_update(pipeline).name
        return job, wait_for(
            lambda: status if (status := self.ml.jobs.get(job).status) in ENDED else None, f"{job} ends", 300
        )

    def training(self, photos: Input) -> Any:
        pipeline = training(photos=photos)
        pipeline.display_name, pipeline.settings.default_compute = self.name, self.cluster
        return pipeline

    def scored(self, job: str, output: str = "scored_dataset") -> pd.DataFrame:
        """Return a scored dataset that a job has made, by the ids of its images."""
        folder = self.folder / f"{job}-{output}"
        self.ml.jobs.download(job, download_path=folder, output_name=output)
        return pd.read_parquet(next(folder.rglob("data.parquet"))).set_index("id").sort_index()

    def step(self, step: str) -> str:
        return str(helpers.steps(self.ml, self.job)[step].name)


@pytest.fixture(scope="module")
def trained(ml: MLClient, cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    name = "photos_" + uuid.uuid4().hex[:8]
    made = Trained(ml, cluster, tmp_path_factory.mktemp("photos"), name)
    job, status = made.run(made.training(made.data("labeled", FILES)))
    assert status == "Completed", {step: one.status for step, one in helpers.steps(ml, job).items()}
    yield Trained(ml, cluster, made.folder, name, job)


@pytest.fixture(scope="module")
def truth(trained: Trained) -> pd.DataFrame:
    """What the training run scored: the images that it did not train with."""
    return trained.scored(trained.step("score"))


def same(found: pd.DataFrame, truth: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found[SCORES].astype(truth[SCORES].dtypes), truth[SCORES], rtol=1e-5)


def test_half_of_the_images_are_scored_with_their_categories(truth: pd.DataFrame) -> None:
    assert len(truth) == len(FILES) // 2
    assert all(category == name.partition("/")[0] for name, category in truth["category"].items())


def test_the_metrics_of_each_epoch_are_the_jobs(trained: Trained) -> None:
    measured = helpers.metrics(trained.ml, trained.step("train"))
    assert list(measured.index) == [1, 2]
    assert {"Train loss", "Validation loss", "Top 1 accuracy"} <= {*measured}


def test_the_log_says_on_which_device_it_has_learned(trained: Trained) -> None:
    assert helpers.job_log(trained.ml, trained.step("train")).startswith("device: ")


def test_the_realtime_inference_pipeline_scores_the_same_as_a_job(trained: Trained, truth: pd.DataFrame) -> None:
    """Its sample are all images, which go through Web Service Input as they are."""
    graph = designer.create_realtime_inference_pipeline(trained.ml, trained.job)
    job, status = trained.run(designer.pipeline_job(graph, compute=trained.cluster))
    assert status == "Completed"
    found = trained.scored(job, "answer")
    assert len(found) == len(FILES)
    same(found.loc[truth.index], truth)


def test_the_web_service_scores_the_same(trained: Trained, truth: pd.DataFrame) -> None:
    graph = designer.create_realtime_inference_pipeline(trained.ml, trained.job)
    service = WebService.load(Path(designer.package(graph, trained.folder / "package", trained.ml).model))
    rows = [{"image": base64.b64encode(FILES[name]).decode(), "id": name} for name in truth.index]
    answer = service.answer("POST", json.dumps({"Inputs": {"WebServiceInput0": rows}}).encode(), {})
    assert answer.status == 200, answer.body
    same(pd.DataFrame(json.loads(answer.body)["Results"]["WebServiceOutput0"]).set_index("id"), truth)


def test_the_batch_inference_pipeline_scores_images_without_categories(trained: Trained, truth: pd.DataFrame) -> None:
    graph = designer.create_batch_inference_pipeline(trained.ml, trained.job)
    loose = {name.partition("/")[2]: FILES[name] for name in truth.index}
    graph = with_paths(graph, {"photos": trained.data("loose", loose).path})
    job, status = trained.run(designer.pipeline_job(graph, compute=trained.cluster))
    assert status == "Completed"
    found = trained.scored(job)
    assert "category" not in found
    same(found.loc[[name.partition("/")[2] for name in truth.index]].set_index(truth.index), truth)


def test_images_without_categories_cannot_be_learned_from(trained: Trained) -> None:
    loose = {name.partition("/")[2]: content for name, content in FILES.items()}
    job, status = trained.run(trained.training(trained.data("unlabeled", loose)))
    steps = helpers.steps(trained.ml, job)
    assert (status, steps["train"].status) == ("Failed", "Failed")
    log = helpers.job_log(trained.ml, steps["train"])
    assert "images.training.train_pytorch_model: Error 0024: Image '" in log.splitlines()[-1]
