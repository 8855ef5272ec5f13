"""ResNet, DenseNet, Train PyTorch Model, Score Image Model.

The numbers of parameters are those that torchvision's documentation gives for its models of these names.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from designer_images import bright_and_dark, picture
from designer_modules import ModuleError
from designer_modules.evaluation import evaluate_model
from designer_modules.images import networks, training
from designer_modules.images.architectures import UntrainedNetwork, densenet, resnet
from designer_modules.images.directory import ImageDirectory, LabeledImage
from designer_modules.images.model import TrainedNetwork
from designer_modules.images.scoring import score_image_model
from designer_modules.images.training import train_pytorch_model
from sklearn.metrics import accuracy_score, recall_score

SMALL = resnet("resnet8")
PROBABILITIES = ["Scored Probabilities_bright", "Scored Probabilities_dark"]


@pytest.fixture(scope="module")
def trained() -> TrainedNetwork:
    return train_pytorch_model(SMALL, bright_and_dark(48), bright_and_dark(8), epochs=3, learning_rate=0.05)


@pytest.mark.parametrize(
    ("untrained", "parameters"),
    [
        (resnet("resnet18"), 11_689_512),
        (resnet("resnet34"), 21_797_672),
        (resnet("resnet50"), 25_557_032),
        (resnet("resnext50_32x4d"), 25_028_904),
        (resnet("wide_resnet50_2"), 68_883_240),
        (densenet("densenet121"), 7_978_856),
        (densenet("densenet161"), 28_681_000),
    ],
)
def test_a_network_has_as_many_parameters_as_torchvisions(untrained: UntrainedNetwork, parameters: int) -> None:
    with torch.device("meta"):
        network = networks.build(untrained, classes=1000)
    assert sum(one.numel() for one in network.parameters()) == parameters


@pytest.mark.parametrize("untrained", [SMALL, resnet("resnet18"), resnet("resnext50_32x4d"), densenet("densenet121")])
def test_a_network_gives_a_score_for_each_class(untrained: UntrainedNetwork) -> None:
    assert networks.build(untrained, classes=3)(torch.rand(2, 3, 32, 32)).shape == (2, 3)


def test_zero_init_residual_makes_each_block_an_identity() -> None:
    network = networks.build(resnet("resnet8", zero_init_residual=True), classes=2).eval()
    block = network.get_submodule("network.layer1.0")
    images = torch.rand(1, 16, 8, 8)
    assert torch.equal(block(images), images)


def test_memory_efficient_layers_learn_the_same() -> None:
    gradients = []
    for memory_efficient in (False, True):
        torch.manual_seed(0)
        layer = networks.DenseLayer(4, 2, memory_efficient)
        layer(torch.rand(2, 4, 8, 8)).square().sum().backward()
        gradients.append(layer.get_parameter("conv1.weight").grad)
    assert torch.equal(*gradients)


def test_weights_of_imagenet_are_refused_for_there_are_none() -> None:
    with pytest.raises(ModuleError, match="no weights of ImageNet here; set it to False"):
        resnet(pretrained=True)


def test_an_unknown_network_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ModuleError, match="no network 'resnet19'; there are: resnet8,"):
        networks.build(UntrainedNetwork("resnet19"), classes=2)


def test_it_learns_to_tell_images_apart(trained: TrainedNetwork) -> None:
    unseen = ImageDirectory(tuple(LabeledImage(str(n), picture(n)) for n in (210, 30)))
    assert list(score_image_model(trained, unseen).frame["Scored Labels"]) == ["bright", "dark"]


def test_a_scored_dataset_has_the_designers_columns(trained: TrainedNetwork) -> None:
    images = bright_and_dark(4)
    scored = score_image_model(trained, images)
    assert list(scored.frame) == ["id", "category", *PROBABILITIES, "Scored Labels"]
    assert list(scored.frame["id"]) == [image.id for image in images.images]
    assert scored.label == "category"
    probabilities = scored.frame[PROBABILITIES].to_numpy()
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert list(scored.frame["Scored Labels"]) == [["bright", "dark"][n] for n in probabilities.argmax(axis=1)]


def test_probabilities_are_the_softmax_of_the_network(trained: TrainedNetwork) -> None:
    images = bright_and_dark(4)
    pixels = torch.from_numpy(np.stack([np.array(one.picture()) for one in images.images])).movedim(3, 1) / 255
    with torch.no_grad():
        wanted = torch.softmax(trained.network(pixels), dim=1)
    scored = score_image_model(trained, images).frame[PROBABILITIES].to_numpy()
    assert np.allclose(scored, wanted.numpy(), atol=1e-6)


def test_without_categories_no_column_is_made_up(trained: TrainedNetwork) -> None:
    scored = score_image_model(trained, ImageDirectory((LabeledImage("1", picture(9)),)))
    assert "category" not in scored.frame


def test_no_image_at_all_is_refused(trained: TrainedNetwork) -> None:
    with pytest.raises(ModuleError, match="Error 0021: There is no image to score"):
        score_image_model(trained, ImageDirectory(()))


def test_evaluate_model_measures_as_scikit_learn_does(trained: TrainedNetwork) -> None:
    images = ImageDirectory(
        tuple(LabeledImage(str(n), picture(n), "bright" if n % 3 else "dark") for n in range(10, 250, 20))
    )
    scored = score_image_model(trained, images)
    metrics = evaluate_model(scored).frame.iloc[0]
    truth, predicted = scored.frame["category"], scored.frame["Scored Labels"]
    assert metrics["Overall_Accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    assert metrics["Macro_Recall"] == pytest.approx(recall_score(truth, predicted, average="macro"))


def test_an_image_of_another_size_than_it_was_validated_on_is_refused(trained: TrainedNetwork) -> None:
    images = ImageDirectory((*bright_and_dark(2).images, LabeledImage("wide", picture(9, (20, 16)))))
    with pytest.raises(ModuleError, match=r"'wide' has 20 x 16 pixels; .* validated on images of 16 x 16.*row 2"):
        score_image_model(trained, images)


def test_a_trained_model_comes_back_from_its_folder(trained: TrainedNetwork, tmp_path: Path) -> None:
    trained.save(tmp_path)
    images = bright_and_dark(6)
    loaded = score_image_model(TrainedNetwork.load(tmp_path), images)
    assert loaded.frame.equals(score_image_model(trained, images).frame)


def test_weights_that_would_run_code_are_not_read(trained: TrainedNetwork, tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "harm"),)

    trained.save(tmp_path)
    torch.save({"network.fc.weight": Harmful()}, tmp_path / "weights.pt")
    with pytest.raises(ModuleError, match=r"Error 0082: weights\.pt"):
        TrainedNetwork.load(tmp_path)
    assert not (tmp_path / "harm").exists()


def test_weights_of_another_network_are_refused(trained: TrainedNetwork, tmp_path: Path) -> None:
    trained.save(tmp_path)
    torch.save(networks.build(resnet("resnet20"), 2).state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ModuleError, match=r"Error 0082: weights\.pt"):
        TrainedNetwork.load(tmp_path)


@pytest.mark.parametrize("kind", [UntrainedNetwork, TrainedNetwork])
def test_a_model_for_tables_is_refused_by_name(kind: type[UntrainedNetwork | TrainedNetwork], tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ModuleError, match=r"Error 0159: .*: connect "):
        kind.load(tmp_path)


def test_each_epoch_is_logged_with_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = f"sqlite:///{tmp_path}/mlflow.db"
    client = mlflow.MlflowClient(store)
    run = client.create_run(client.create_experiment("images"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    train_pytorch_model(SMALL, bright_and_dark(8), bright_and_dark(4), epochs=2)
    for name in ("Train loss", "Validation loss", "Top 1 accuracy", "Train images per second"):
        assert [one.step for one in client.get_metric_history(run.info.run_id, name)] == [1, 2]
    assert client.get_run(run.info.run_id).info.status == "RUNNING"


def test_the_same_seed_gives_the_same_model_and_another_one_another() -> None:
    def weights(seed: int) -> torch.Tensor:
        model = train_pytorch_model(SMALL, bright_and_dark(16), bright_and_dark(4), epochs=1, random_seed=seed)
        return model.network.get_parameter("network.fc.weight")

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_the_random_numbers_of_others_stay_as_they_are() -> None:
    torch.manual_seed(7)
    wanted = torch.rand(1)
    torch.manual_seed(7)
    train_pytorch_model(SMALL, bright_and_dark(8), bright_and_dark(4), epochs=1)
    assert torch.equal(torch.rand(1), wanted)


def test_training_stops_when_validation_gets_no_better_and_keeps_the_best(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    losses = iter([3.0, 2.0, 2.5, 2.0, 1.0])
    weights = []

    def validate(network: torch.nn.Module, _: object) -> dict[str, float]:
        weights.append(network.get_parameter("network.fc.weight").detach().clone())
        return {training.VALIDATION_LOSS: next(losses), training.ACCURACY: 0.5}

    monkeypatch.setattr(training, "_validate", validate)
    model = train_pytorch_model(SMALL, bright_and_dark(16), bright_and_dark(4), epochs=5, patience=2)
    assert len(weights) == 4  # the fifth epoch is not run
    assert torch.equal(model.network.get_parameter("network.fc.weight"), weights[1])
    assert "stopped: the validation loss has not become less for 2 epochs" in capsys.readouterr().out


@pytest.mark.parametrize(("warmup", "rates"), [(0, [1.0, 0.75, 0.5, 0.25]), (2, [1 / 3, 2 / 3, 1.0, 0.5])])
def test_the_learning_rate_rises_then_decays(warmup: int, rates: list[float]) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = training._Plan(4, 16, warmup, 1.0, 3, 10).schedule(optimizer)
    found = []
    for _ in range(4):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert found == pytest.approx(rates)


def test_a_learning_rate_that_is_too_large_is_named() -> None:
    with pytest.raises(ModuleError, match=r"Error 0032: The train loss is .* a learning_rate below 1e"):
        train_pytorch_model(SMALL, bright_and_dark(16), bright_and_dark(4), batch_size=2, learning_rate=1e30)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"epochs": 0}, "epochs is 0; wanted is 1 or more"),
        ({"batch_size": 1}, "batch_size is 1; wanted is 2 or more"),
        ({"patience": 0}, "patience is 0"),
        ({"print_frequency": 0}, "print_frequency is 0"),
        ({"warmup_step_number": 5}, "warmup_step_number is 5; wanted is less than the 5 epochs"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; wanted is more than 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan; wanted is more than 0"),
    ],
)
def test_a_parameter_out_of_bounds_is_refused(parameters: dict[str, float], reason: str) -> None:
    with pytest.raises(ModuleError, match=reason):
        train_pytorch_model(SMALL, bright_and_dark(4), bright_and_dark(4), **parameters)  # type: ignore[arg-type]


UNLABELED = ImageDirectory((*bright_and_dark(4).images, LabeledImage("lost.png", picture(1))))
GREEN = ImageDirectory((*bright_and_dark(4).images, LabeledImage("green.png", picture(1), "green")))
WIDE = ImageDirectory((*bright_and_dark(4).images, LabeledImage("wide.png", picture(1, (20, 16)), "dark")))


@pytest.mark.parametrize(
    ("images", "validation", "reason"),
    [
        (UNLABELED, bright_and_dark(4), "Error 0024: Image 'lost.png' has no category.*port 'training_dataset'"),
        (bright_and_dark(4), UNLABELED, "Error 0024: Image 'lost.png' has no category.*port 'validation_dataset'"),
        (bright_and_dark(4), GREEN, "'green' is not among the training images' bright, dark.*'validation_dataset'"),
        (WIDE, bright_and_dark(4), r"'bright/0.png' and 'wide.png' differ in size.*\(16, 16\) and \(20, 16\)"),
        (ImageDirectory(()), bright_and_dark(4), "Error 0021: 0 images cannot be learned from"),
    ],
)
def test_images_that_cannot_be_learned_from_are_named(
    images: ImageDirectory, validation: ImageDirectory, reason: str
) -> None:
    with pytest.raises(ModuleError, match=reason):
        train_pytorch_model(SMALL, images, validation)


def test_images_too_small_for_a_network_are_refused() -> None:
    with pytest.raises(ModuleError, match=r"Images have \(16, 16\) pixels; this network needs 29 or more an edge"):
        train_pytorch_model(densenet(), bright_and_dark(4), bright_and_dark(4))


def test_one_image_left_over_does_not_stop_a_training() -> None:
    train_pytorch_model(SMALL, bright_and_dark(10), bright_and_dark(4), epochs=1, batch_size=9)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("images.scoring", {"sklearn", "skops", "scipy", "duckdb", "mlflow"}),
        ("images.training", {"sklearn", "skops", "scipy", "duckdb", "mlflow"}),
        ("images.architectures", {"torch", "sklearn", "PIL"}),
        ("images.transformation", {"torch", "sklearn"}),
        ("web_service", {"torch", "sklearn", "PIL"}),
    ],
)
def test_a_step_imports_only_what_it_needs(module: str, absent: set[str]) -> None:
    """The environment for images has none of the first, and PyTorch takes two seconds to import."""
    program = f"import sys, designer_modules.{module}; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not absent & {*imported.split()}
