"""Train PyTorch Model: a network learns the categories of images."""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer, lr_scheduler
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from ..errors import ModuleError
from ..tracking import log_metrics
from . import networks
from .architectures import UntrainedNetwork
from .directory import ImageDirectory
from .model import TrainedNetwork, tensor

INVALID_DATASET, NOT_LABELED, OUT_OF_RANGE, TOO_FEW_ROWS, NO_NUMBER = 18, 24, 8, 21, 32
MOMENTUM = 0.9
# The metrics that are logged; the last two are named as in Microsoft's reference.
TRAIN_LOSS, VALIDATION_LOSS, ACCURACY, SPEED = (
    "Train loss",
    "Validation loss",
    "Top 1 accuracy",
    "Train images per second",
)
Batch = tuple[Tensor, Tensor]  # images, and the numbers of their classes


def train_pytorch_model(
    untrained_model: UntrainedNetwork,
    training_dataset: ImageDirectory,
    validation_dataset: ImageDirectory,
    epochs: int = 5,
    batch_size: int = 16,
    warmup_step_number: int = 0,
    learning_rate: float = 0.001,
    random_seed: int = 1,
    patience: int = 3,
    print_frequency: int = 10,
) -> TrainedNetwork:
    """Train a network by stochastic gradient descent; the epoch with the least validation loss is what is kept.

    Microsoft's component reference (``train-pytorch-model``) gives ports, parameters, the polynomial decay of the
    learning rate, and when to stop: after ``patience`` epochs in which the validation loss has not become less. Of its
    two defaults for the learning rate, 0.001 (its text) and 0.1 (its table), this is the first.
    """
    plan = _Plan(epochs, batch_size, warmup_step_number, learning_rate, patience, print_frequency)
    classes = _classes(training_dataset, validation_dataset)
    least = networks.LEAST_EDGE.get(untrained_model.architecture, 1)
    _size("training_dataset", training_dataset, least)
    size = _size("validation_dataset", validation_dataset, least)
    mean, deviation = _colours(training_dataset)
    device = _device()
    with torch.random.fork_rng():
        torch.manual_seed(random_seed)
        network = networks.build(untrained_model, len(classes))
        network.mean.copy_(mean)
        network.deviation.copy_(deviation)
        training, validation = (_Examples(images, classes) for images in (training_dataset, validation_dataset))
        _fit(network.to(device), training.loader(plan, shuffle=True), validation.loader(plan), plan)
    return TrainedNetwork(untrained_model, network.cpu().eval(), tuple(classes), size)


@dataclass(frozen=True)
class _Plan:
    """How a network is trained: the parameters of the component."""

    epochs: int
    batch_size: int
    warmup_step_number: int
    learning_rate: float
    patience: int
    print_frequency: int

    def __post_init__(self) -> None:
        # Batch normalisation compares the images of a batch.
        least = {"epochs": 1, "batch_size": 2, "warmup_step_number": 0, "patience": 1, "print_frequency": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ModuleError(OUT_OF_RANGE, f"{name} is {getattr(self, name)}; wanted is {low} or more.")
        if not 0 < self.learning_rate < math.inf:
            raise ModuleError(OUT_OF_RANGE, f"learning_rate is {self.learning_rate}; wanted is more than 0.")
        if self.warmup_step_number >= self.epochs:
            raise ModuleError(
                OUT_OF_RANGE,
                f"warmup_step_number is {self.warmup_step_number}; wanted is less than the {self.epochs} epochs.",
            )

    def schedule(self, optimizer: Optimizer) -> lr_scheduler.LRScheduler:
        """Return how the learning rate changes with the epochs: it rises to its full value, then decays."""
        warm, left = self.warmup_step_number, self.epochs - self.warmup_step_number
        decay = lr_scheduler.PolynomialLR(optimizer, total_iters=left)
        if not warm:
            return decay
        rise = lr_scheduler.LinearLR(optimizer, start_factor=1 / (warm + 1), total_iters=warm)
        return lr_scheduler.SequentialLR(optimizer, [rise, decay], milestones=[warm])


class _Examples(TorchDataset[Batch]):
    """Images and the numbers of their classes, as PyTorch reads them."""

    def __init__(self, images: ImageDirectory, classes: list[str]) -> None:
        self.images, self.numbers = images.images, {name: number for number, name in enumerate(classes)}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Batch:
        image = self.images[index]
        return tensor(image), torch.tensor(self.numbers[str(image.category)])

    def loader(self, plan: _Plan, shuffle: bool = False) -> DataLoader[Batch]:
        """Return batches of them. One image alone, which batch normalisation cannot take, waits for another epoch."""
        rest_is_one = shuffle and len(self) % plan.batch_size == 1
        workers = (os.cpu_count() or 1) if torch.cuda.is_available() else 0  # a CPU has enough to do
        return DataLoader(self, plan.batch_size, shuffle, drop_last=rest_is_one, num_workers=workers)


def _classes(training: ImageDirectory, validation: ImageDirectory) -> list[str]:
    for port, images in (("training_dataset", training), ("validation_dataset", validation)):
        _check_labels(port, images)
    unknown = sorted({*validation.categories} - {*training.categories})
    if unknown:
        raise ModuleError(
            INVALID_DATASET,
            f"Category {unknown[0]!r} is not among the training images' {', '.join(training.categories)}.",
            port="validation_dataset",
        )
    return training.categories


def _check_labels(port: str, images: ImageDirectory) -> None:
    if len(images) < 2:
        raise ModuleError(
            TOO_FEW_ROWS, f"{len(images)} images cannot be learned from; wanted are 2 or more.", port=port
        )
    unlabeled = next((image for image in images.images if image.category is None), None)
    if unlabeled:
        raise ModuleError(NOT_LABELED, f"Image {unlabeled.id!r} has no category: its folder would name it.", port=port)


def _size(port: str, images: ImageDirectory, least: int) -> tuple[int, int]:
    """Return the one width and height of all images."""
    first, size = images.images[0], images.images[0].size()
    other = next((image for image in images.images if image.size() != size), None)
    if other:
        reason = f"Images {first.id!r} and {other.id!r} differ in size, {size} and {other.size()} pixels"
        advice = "connect Apply Image Transformation, with a resize and a center crop"
        raise ModuleError(INVALID_DATASET, f"{reason}: {advice}.", port=port)
    if min(size) < least:
        raise ModuleError(
            INVALID_DATASET, f"Images have {size} pixels; this network needs {least} or more an edge.", port=port
        )
    return size


def _colours(images: ImageDirectory) -> tuple[Tensor, Tensor]:
    """Return the mean and the deviation of each channel."""
    total, squares = torch.zeros(3), torch.zeros(3)
    for image in images.images:
        colours = tensor(image)
        total += colours.mean(dim=(1, 2))
        squares += colours.square().mean(dim=(1, 2))
    mean = total / len(images)
    deviation = (squares / len(images) - mean.square()).clamp(min=1e-6).sqrt()
    return mean.reshape(3, 1, 1), deviation.reshape(3, 1, 1)


def _device() -> torch.device:
    if torch.cuda.is_available():
        print(f"device: cuda, {torch.cuda.get_device_name()}")
        return torch.device("cuda")
    print("device: cpu, for PyTorch finds no CUDA GPU on this node")
    return torch.device("cpu")


def _fit(network: nn.Module, training: DataLoader[Batch], validation: DataLoader[Batch], plan: _Plan) -> None:
    optimizer = SGD(network.parameters(), plan.learning_rate, momentum=MOMENTUM)
    schedule = plan.schedule(optimizer)
    best, least, worse = copy.deepcopy(network.state_dict()), math.inf, 0
    for epoch in range(1, plan.epochs + 1):
        learned = _learn(network, training, optimizer, f"epoch {epoch}", plan)
        validated = _validate(network, validation)
        schedule.step()
        _report(epoch, learned | validated)
        if validated[VALIDATION_LOSS] < least:
            best, least, worse = copy.deepcopy(network.state_dict()), validated[VALIDATION_LOSS], 0
        else:
            worse += 1
        if worse == plan.patience:
            print(f"stopped: the validation loss has not become less for {worse} epochs")
            break
    network.load_state_dict(best)


def _learn(
    network: nn.Module, batches: DataLoader[Batch], optimizer: Optimizer, epoch: str, plan: _Plan
) -> dict[str, float]:
    """Go through all images once."""
    network.train()
    began, total, seen = time.perf_counter(), 0.0, 0
    for number, (images, classes) in enumerate(_on_device(network, batches), 1):
        loss = nn.functional.cross_entropy(network(images), classes)
        if not torch.isfinite(loss):
            reason = f"The train loss is {loss.item()} in {epoch}: a learning_rate below {plan.learning_rate} may help."
            raise ModuleError(NO_NUMBER, reason)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total, seen = total + loss.item() * len(images), seen + len(images)
        if number % plan.print_frequency == 0:
            print(f"{epoch}, batch {number} of {len(batches)}: train loss {total / seen:.4f}", flush=True)
    return {TRAIN_LOSS: total / seen, SPEED: seen / (time.perf_counter() - began)}


def _validate(network: nn.Module, batches: DataLoader[Batch]) -> dict[str, float]:
    """Ask about images that are not learned from."""
    network.eval()
    total, right, seen = 0.0, 0, 0
    with torch.inference_mode():
        for images, classes in _on_device(network, batches):
            scores = network(images)
            total += nn.functional.cross_entropy(scores, classes, reduction="sum").item()
            right += int((scores.argmax(dim=1) == classes).sum())
            seen += len(images)
    return {VALIDATION_LOSS: total / seen, ACCURACY: right / seen}


def _on_device(network: nn.Module, batches: DataLoader[Batch]) -> Iterator[Batch]:
    device = next(network.parameters()).device
    return ((images.to(device), classes.to(device)) for images, classes in batches)


def _report(epoch: int, metrics: dict[str, float]) -> None:
    """Print metrics; in a job, log them, too."""
    print(f"epoch {epoch}: " + ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()), flush=True)
    log_metrics(metrics, step=epoch)
