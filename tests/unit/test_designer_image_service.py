"""Images from the training graph to a web service's answers.

The request is the Designer's retired engine's (PyPI: azureml-designer-serving 0.0.19, ``converter``): a row's ``image``
is a data URI, or its base64 part alone.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from designer_images import bright_and_dark, in_format, picture, png
from designer_modules.images import decoding
from designer_modules.images.architectures import resnet
from designer_modules.images.directory import ImageDirectory, LabeledImage
from designer_modules.images.scoring import score_image_model
from designer_modules.images.training import train_pytorch_model
from designer_modules.images.transformation import init_image_transformation
from designer_modules.serving import WebService
from PIL import Image

from designer.declarations import Library
from designer.graph import Graph, GraphInput
from designer.packaging import Package, package
from designer.rewriting import batch_inference, realtime_inference
from designer.validation import problems, validate

SIZE = {"size": 8, "crop_size": 8}


def _training_graph() -> Graph:
    library = Library()
    photos = GraphInput("uri_folder", "azureml:photos:1")
    graph = Graph("photos", {}, {"photos": photos})
    graph = graph.add("convert", library["convert_to_image_directory"], input_dataset="photos")
    graph = graph.add("split", library["split_image_directory"], input_image_directory="convert")
    graph = graph.add("transformation", library["init_image_transformation"], **SIZE, random_vertical_flip=True)
    for name, rows, mode in (
        ("for_training", "split.output_image_directory1", "For training"),
        ("for_inference", "split.output_image_directory2", "For inference"),
    ):
        apply = library["apply_image_transformation"]
        ports = {"input_image_transformation": "transformation", "input_image_directory": rows}
        graph = graph.add(name, apply, **ports, mode=mode)
    graph = graph.add("network", library["resnet"], model_name="resnet8")
    ports = {"untrained_model": "network", "training_dataset": "for_training", "validation_dataset": "for_inference"}
    graph = graph.add("train", library["train_pytorch_model"], **ports)
    graph = graph.add("score", library["score_image_model"], trained_model="train", dataset="for_inference")
    return graph.add("evaluate", library["evaluate_model"], scored_dataset="score")


TRAINING = _training_graph()
INFERENCE = realtime_inference(TRAINING)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("photos")
    transformation = init_image_transformation(**SIZE, random_vertical_flip=True)
    images = transformation.apply(bright_and_dark(32), "For training")
    model = train_pytorch_model(
        resnet("resnet8"), images, transformation.apply(bright_and_dark(8), "For inference"), learning_rate=0.05
    )
    bright_and_dark(8).save(folder / "sample")
    transformation.save(folder / "transformation")
    model.save(folder / "model")
    data = {
        "convert_output_image_directory": folder / "sample",
        "transformation_output_image_transformation": folder / "transformation",
        "train_trained_model": folder / "model",
    }
    return package(INFERENCE, folder / "package", data=data)


@pytest.fixture(scope="module")
def service(made: Package) -> WebService:
    return WebService.load(Path(made.model))


def _answer(service: WebService, rows: list[dict[str, Any]], **query: str) -> tuple[int, Any]:
    body = json.dumps({"Inputs": {"WebServiceInput0": rows}}).encode()
    answer = service.answer("POST", body, query)
    return answer.status, json.loads(answer.body)


def _data_uri(content: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def test_the_training_graph_has_nothing_wrong() -> None:
    assert problems(TRAINING) == []


def test_the_inference_graph_takes_images_and_has_nothing_of_the_training() -> None:
    assert {name: node.component.display_name for name, node in INFERENCE.nodes.items()} == {
        "web_service_input": "Web Service Input",
        "for_inference": "Apply Image Transformation",
        "score": "Score Image Model",
        "web_service_output": "Web Service Output",
    }
    assert INFERENCE.nodes["for_inference"].bindings["mode"] == "For inference"
    assert {one.data_type for one in INFERENCE.inputs.values()} == {
        "ImageDirectory",
        "TransformationDirectory",
        "ModelDirectory",
    }
    validate(INFERENCE, data_may_be_missing=True)


def test_the_batch_graph_takes_a_folder_of_files() -> None:
    graph = batch_inference(TRAINING)
    assert list(graph.nodes) == ["convert", "for_inference", "score"]
    assert graph.inputs["photos"].type == "uri_folder"
    validate(graph, data_may_be_missing=True)


def test_images_do_not_fit_where_tables_are_taken() -> None:
    tables = INFERENCE.add("clean", Library()["clean_missing_data"], dataset="web_service_input")
    assert any("clean" in str(problem) and "ImageDirectory" in str(problem) for problem in problems(tables, True))


@pytest.mark.parametrize("kind", ["png", "jpeg", "bmp", "tiff", "webp"])
def test_an_image_of_each_format_is_scored(service: WebService, kind: str) -> None:
    status, answer = _answer(service, [{"image": _data_uri(in_format(kind.upper(), picture(210)), kind)}])
    (row,) = answer["Results"]["WebServiceOutput0"]
    assert (status, row["Scored Labels"], row["id"]) == (200, "bright", "0")
    assert row["Scored Probabilities_bright"] + row["Scored Probabilities_dark"] == pytest.approx(1)


def test_the_retired_engine_took_base64_alone_too(service: WebService) -> None:
    text = base64.encodebytes(png(20)).decode()  # in lines, as mail and the shell's base64 write it
    _, answer = _answer(service, [{"image": text, "id": "a", "category": "bright"}])
    (row,) = answer["Results"]["WebServiceOutput0"]
    assert (row["Scored Labels"], row["id"], row["category"]) == ("dark", "a", "bright")


def test_the_service_answers_what_the_components_give(service: WebService, made: Package) -> None:
    images = bright_and_dark(6)
    rows = [{"image": decoding.to_data_uri(image.picture()), "id": image.id} for image in images.images]
    _, answer = _answer(service, rows)
    from designer_modules.images.model import TrainedNetwork
    from designer_modules.images.transformation import ImageTransformation

    assets = Path(made.model) / "assets"
    transformation = ImageTransformation.load(assets / "transformation_output_image_transformation")
    model = TrainedNetwork.load(assets / "train_trained_model")
    scored = score_image_model(model, transformation.apply(images, "For inference")).frame
    found = answer["Results"]["WebServiceOutput0"]
    for name in ("id", "Scored Labels", "Scored Probabilities_bright"):
        assert [row[name] for row in found] == pytest.approx(scored[name].tolist())


def test_many_images_are_scored_at_once(service: WebService) -> None:
    status, answer = _answer(service, [{"image": _data_uri(png(n))} for n in (20, 200) * 100])
    labels = [row["Scored Labels"] for row in answer["Results"]["WebServiceOutput0"]]
    assert (status, labels) == (200, ["dark", "bright"] * 100)


GOOD = _data_uri(png(200))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("data:image/png;base64,!!!", "no valid base64"),
        ("data:image/png;base64,iVBORw0", "no valid base64"),
        ("data:image/png;base64,", "The content is no image"),
        ("data:image/png,iVBORw0KGgo=", "begins data:image/png;base64"),
        ("data:text/plain;base64,aGVsbG8=", "begins data:image/png;base64"),
        ("data:image/png;base64", "begins data:image/png;base64"),
        (_data_uri(b"hello"), "The content is no image"),
        (_data_uri(png()[:60]), "The image is broken"),
        (_data_uri(in_format("TIFF", Image.new("I;16", (4, 4))), "tiff"), "mode 'I;16'"),
        (_data_uri(in_format("PNG", Image.new("1", (20_000, 10_000)))), "more than 89478485 pixels"),
        (_data_uri(in_format("PNG", Image.new("1", (9_500, 9_500)))), "9500 x 9500 pixels; at most 89478485"),
        ("", "this is empty"),
        (None, "this is empty"),
        (7, "this is of type int"),
        (["a"], "this is of type list"),
    ],
)
def test_an_image_that_cannot_be_read_is_refused_by_row_and_reason(
    service: WebService, image: object, reason: str
) -> None:
    status, answer = _answer(service, [{"image": GOOD}, {"image": image}])
    (detail,) = answer["error"]["details"]
    assert (status, detail["input"], detail["column"], detail["row"]) == (400, "WebServiceInput0", "image", 1)
    assert reason in detail["reason"]
    assert reason in answer["error"]["message"]


@pytest.mark.parametrize(
    ("row", "named"), [({"id": "1"}, "image"), ({"picture": GOOD}, "picture"), ({"image": GOOD, "age": 1}, "age")]
)
def test_a_row_with_other_columns_is_refused_by_name(service: WebService, row: Mapping[str, Any], named: str) -> None:
    status, answer = _answer(service, [dict(row)])
    assert status == 400
    assert any(detail["column"] == named for detail in answer["error"]["details"])


@pytest.mark.parametrize(("row", "wanted"), [({}, "0"), ({"id": None}, "0"), ({"id": 12}, "12"), ({"id": "a"}, "a")])
def test_a_row_without_an_id_has_its_number(service: WebService, row: Mapping[str, Any], wanted: str) -> None:
    _, answer = _answer(service, [{"image": GOOD, **row}])
    assert answer["Results"]["WebServiceOutput0"][0]["id"] == wanted


def test_an_id_that_is_no_text_is_refused(service: WebService) -> None:
    status, answer = _answer(service, [{"image": GOOD, "id": [1]}])
    (detail,) = answer["error"]["details"]
    assert (status, detail["column"], detail["row"]) == (400, "id", 0)


def test_images_that_are_too_large_together_are_refused(service: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_PIXELS", 3 * 256)
    status, answer = _answer(service, [{"image": GOOD}] * 4)
    (detail,) = answer["error"]["details"]
    assert (status, detail["row"]) == (400, 3)
    assert "1024 pixels together; at most 768 fit" in detail["reason"]


def test_a_category_that_training_did_not_have_is_no_reason_to_refuse(service: WebService) -> None:
    status, answer = _answer(service, [{"image": GOOD, "category": "pale"}])
    assert (status, answer["Results"]["WebServiceOutput0"][0]["category"]) == (200, "pale")


def test_openapi_says_what_an_image_is(made: Package) -> None:
    for version in ("swagger2.json", "swagger3.json"):
        document = json.loads((Path(made.code) / version).read_text())
        schemas = document.get("definitions") or document["components"]["schemas"]
        row = schemas["WebServiceInput0Row"]
        assert row["required"] == ["image"]
        assert row["properties"]["image"]["type"] == "string"
        assert "data:image/png;base64," in row["properties"]["image"]["description"]
        assert set(schemas["WebServiceOutput0Row"]["properties"]) >= {"Scored Labels", "Scored Probabilities_dark"}


def test_its_example_is_an_image_of_the_sample(made: Package, service: WebService) -> None:
    (row,) = made.example["Inputs"]["WebServiceInput0"]
    assert row["image"].startswith("data:image/png;base64,")
    assert service.answer("POST", json.dumps(made.example).encode(), {}).status == 200


def test_images_can_be_the_answer(made: Package, tmp_path: Path) -> None:
    """The retired engine answered with data URIs, too (``processor``)."""
    graph = INFERENCE.connect("for_inference", "web_service_output.dataset")
    places = Path(made.model) / "assets"
    sample = ImageDirectory((LabeledImage("1.png", picture(200), "bright"),))
    sample.save(tmp_path / "sample")
    data = {path.name: path for path in places.iterdir()} | {"convert_output_image_directory": tmp_path / "sample"}
    service = WebService.load(Path(package(graph.remove("score"), tmp_path / "package", data=data).model))
    _, answer = _answer(service, [{"image": GOOD, "id": "x"}])
    (row,) = answer["Results"]["WebServiceOutput0"]
    assert decoding.from_data_uri(row["image"]).size == (8, 8)
    assert row["id"] == "x"
