"""Networks that are not trained yet: which one, with which options. They are built when they are trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ModuleError

FILE = "untrained_network.json"
INVALID_MODEL, NOT_SUPPORTED = 159, 105


@dataclass(frozen=True)
class UntrainedNetwork:
    """A network that Train PyTorch Model can train.

    Args:
        architecture: e.g. ``resnet18``.
        options: what else it is built with.
    """

    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> UntrainedNetwork:
        """Read it from a folder that ``save`` has written.

        Raises:
            ModuleError: the folder holds something else, e.g. a learner for tables.
        """
        if not (folder / FILE).is_file():
            raise ModuleError(INVALID_MODEL, "This is no PyTorch model: connect ResNet or DenseNet.")
        return cls(**json.loads((folder / FILE).read_text(encoding="utf-8")))


def resnet(
    model_name: str = "resnet18", pretrained: bool = False, zero_init_residual: bool = False
) -> UntrainedNetwork:
    """Choose a residual network.

    Microsoft's defaults are ``resnext101_32x8d``, pre-trained: weights of ImageNet come with torchvision, which this
    library does without; from scratch, a small network learns more.
    """
    _refuse_pretrained(pretrained)
    return UntrainedNetwork(model_name, {"zero_init_residual": zero_init_residual})


def densenet(
    model_name: str = "densenet121", pretrained: bool = False, memory_efficient: bool = False
) -> UntrainedNetwork:
    """Choose a densely connected network; its defaults differ from Microsoft's as those of ``resnet`` do."""
    _refuse_pretrained(pretrained)
    return UntrainedNetwork(model_name, {"memory_efficient": memory_efficient})


def _refuse_pretrained(pretrained: bool) -> None:
    if pretrained:
        raise ModuleError(NOT_SUPPORTED, "pretrained is True: there are no weights of ImageNet here; set it to False.")
