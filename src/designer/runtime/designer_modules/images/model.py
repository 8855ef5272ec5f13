"""A trained network and the classes that it tells apart. In a folder, it is ``network.json`` and ``weights.pt``."""

from __future__ import annotations

import json
import pickle  # only its error; torch.load with weights_only runs nothing
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ModuleError
from . import networks
from .architectures import INVALID_MODEL, UntrainedNetwork
from .directory import ImageDirectory, LabeledImage

DESCRIPTION, WEIGHTS = "network.json", "weights.pt"
BATCH = 64  # images that are scored at once
INVALID_DATASET, UNREADABLE = 18, 82


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that is trained.

    Args:
        untrained: what it was built from.
        network: it, on the CPU, ready to score.
        classes: what it tells apart, in the order of its outputs.
        size: width and height of the images that it was validated on.
    """

    untrained: UntrainedNetwork
    network: nn.Module
    classes: tuple[str, ...]
    size: tuple[int, int]

    def probabilities(self, images: ImageDirectory) -> np.ndarray:
        """Return how likely each of one or more images is of each class, as images x classes.

        Raises:
            ModuleError: an image is not as large as those that it was validated on.
        """
        for row, image in enumerate(images.images):
            self._check_size(row, image)
        with torch.inference_mode():
            scores = [self.network(torch.stack([tensor(one) for one in batch])) for batch in _batches(images)]
        return torch.softmax(torch.cat(scores), dim=1).numpy()

    def _check_size(self, row: int, image: LabeledImage) -> None:
        found = image.size()
        if found != self.size:
            raise ModuleError(
                INVALID_DATASET,
                f"Image {image.id!r} has {found[0]} x {found[1]} pixels; the model was validated on images of"
                f" {self.size[0]} x {self.size[1]}: connect Apply Image Transformation.",
                row=row,
            )

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        described = {**asdict(self.untrained), "classes": self.classes, "size": self.size}
        (folder / DESCRIPTION).write_text(json.dumps(described, indent=1), encoding="utf-8")
        torch.save(self.network.state_dict(), folder / WEIGHTS)

    @classmethod
    def load(cls, folder: Path) -> TrainedNetwork:
        """Read it from a folder that ``save`` has written; weights are read as such, nothing else can be in them.

        Raises:
            ModuleError: the folder holds something else, e.g. a model of Train Model.
        """
        if not (folder / DESCRIPTION).is_file():
            raise ModuleError(INVALID_MODEL, "This is no image model: connect Train PyTorch Model.")
        found = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        untrained = UntrainedNetwork(found["architecture"], found["options"])
        network = networks.build(untrained, len(found["classes"]))
        _read_weights(network, folder / WEIGHTS)
        width, height = found["size"]
        return cls(untrained, network.eval(), tuple(found["classes"]), (width, height))


def _read_weights(network: nn.Module, path: Path) -> None:
    try:
        network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError) as error:
        reason = f"{path.name} does not hold the weights of this network, and nothing else: {str(error)[:200]}"
        raise ModuleError(UNREADABLE, reason) from error


def tensor(image: LabeledImage) -> Tensor:
    """Return an image as a network takes it: 3 x height x width, colours 0 to 1."""
    return torch.from_numpy(np.array(image.picture())).permute(2, 0, 1).float() / 255


def _batches(images: ImageDirectory) -> Iterator[tuple[LabeledImage, ...]]:
    return (images.images[start : start + BATCH] for start in range(0, len(images), BATCH))
