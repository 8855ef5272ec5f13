"""The networks themselves, in PyTorch.

They have the shapes and the parameter names of torchvision's, so that weights go from one to the other.
``resnet8`` and ``resnet20`` are the ones for small images of He et al. 2015 (https://arxiv.org/abs/1512.03385, 4.2):
on an image of 32 x 32 pixels, they cost a hundredth of a resnet18.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..errors import ModuleError
from .architectures import NOT_SUPPORTED, UntrainedNetwork


@dataclass(frozen=True)
class Shape:
    """A residual network's: blocks in each stage, whether they have a bottleneck, groups and width of each group."""

    blocks: tuple[int, ...]
    bottleneck: bool = False
    groups: int = 1
    width: int = 64
    small: bool = False


RESNETS = {
    "resnet8": Shape((1, 1, 1), small=True),
    "resnet20": Shape((3, 3, 3), small=True),
    "resnet18": Shape((2, 2, 2, 2)),
    "resnet34": Shape((3, 4, 6, 3)),
    "resnet50": Shape((3, 4, 6, 3), bottleneck=True),
    "resnet101": Shape((3, 4, 23, 3), bottleneck=True),
    "resnet152": Shape((3, 8, 36, 3), bottleneck=True),
    "resnext50_32x4d": Shape((3, 4, 6, 3), bottleneck=True, groups=32, width=4),
    "resnext101_32x8d": Shape((3, 4, 23, 3), bottleneck=True, groups=32, width=8),
    "wide_resnet50_2": Shape((3, 4, 6, 3), bottleneck=True, width=128),
    "wide_resnet101_2": Shape((3, 4, 23, 3), bottleneck=True, width=128),
}
EXPANSION = 4  # of the channels at a bottleneck


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)


class ResidualBlock(nn.Module):
    """Two or three convolutions, whose result is added to what came in."""

    def __init__(self, inputs: int, channels: int, stride: int, shape: Shape) -> None:
        super().__init__()
        if shape.bottleneck:
            inner, outputs = channels * shape.width // 64 * shape.groups, channels * EXPANSION
            layers = [(inputs, inner, 1, 1, 1), (inner, inner, 3, stride, shape.groups), (inner, outputs, 1, 1, 1)]
        else:
            outputs = channels
            layers = [(inputs, channels, 3, stride, 1), (channels, channels, 3, 1, 1)]
        for number, layer in enumerate(layers, 1):
            self.add_module(f"conv{number}", _convolution(*layer))
            self.add_module(f"bn{number}", nn.BatchNorm2d(layer[1]))
        self.depth, self.outputs = len(layers), outputs
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(_convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, images: Tensor) -> Tensor:
        """Return what the block makes of a batch (images x channels x height x width)."""
        result = images
        for number in range(1, self.depth + 1):
            result = self.get_submodule(f"bn{number}")(self.get_submodule(f"conv{number}")(result))
            if number < self.depth:
                result = torch.relu(result)
        return torch.relu(result + self.downsample(images))


def resnet(shape: Shape, classes: int, zero_init_residual: bool = False) -> nn.Module:
    """Build a residual network for RGB images."""
    channels = 16 if shape.small else 64
    layers: list[tuple[str, nn.Module]] = [
        ("conv1", _convolution(3, channels, 3) if shape.small else _convolution(3, channels, 7, 2)),
        ("bn1", nn.BatchNorm2d(channels)),
        ("relu", nn.ReLU()),
    ]
    if not shape.small:
        layers.append(("maxpool", nn.MaxPool2d(3, 2, padding=1)))
    inputs = channels
    for stage, count in enumerate(shape.blocks):
        blocks: list[ResidualBlock] = []
        for number in range(count):
            stride = 2 if stage and not number else 1
            blocks.append(ResidualBlock(inputs, channels * 2**stage, stride, shape))
            inputs = blocks[-1].outputs
        layers.append((f"layer{stage + 1}", nn.Sequential(*blocks)))
    layers += [("avgpool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten()), ("fc", nn.Linear(inputs, classes))]
    network = nn.Sequential(OrderedDict(layers))
    _initialise(network, zero_init_residual)
    return network


def _initialise(network: nn.Module, zero_init_residual: bool = False) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, ResidualBlock) and zero_init_residual:
            nn.init.zeros_(module.get_parameter(f"bn{module.depth}.weight"))


@dataclass(frozen=True)
class DenseShape:
    """A densely connected network's: layers in each block, what each adds to the channels, channels to begin with."""

    layers: tuple[int, ...]
    growth: int = 32
    channels: int = 64


DENSENETS = {
    "densenet121": DenseShape((6, 12, 24, 16)),
    "densenet161": DenseShape((6, 12, 36, 24), growth=48, channels=96),
    "densenet169": DenseShape((6, 12, 32, 32)),
    "densenet201": DenseShape((6, 12, 48, 32)),
}
LEAST_EDGE = dict.fromkeys(DENSENETS, 29)  # pixels; of fewer, nothing is left after four times half


class DenseLayer(nn.Sequential):
    """Two convolutions, whose result is put beside what came in."""

    def __init__(self, inputs: int, growth: int, memory_efficient: bool) -> None:
        super().__init__(
            OrderedDict(
                norm1=nn.BatchNorm2d(inputs),
                relu1=nn.ReLU(),
                conv1=_convolution(inputs, EXPANSION * growth, 1),
                norm2=nn.BatchNorm2d(EXPANSION * growth),
                relu2=nn.ReLU(),
                conv2=_convolution(EXPANSION * growth, growth, 3),
            )
        )
        self.memory_efficient = memory_efficient

    def forward(self, images: Tensor) -> Tensor:
        """Return the channels that came in, and after them the layer's own."""
        if self.memory_efficient and self.training:
            own = checkpoint(super().forward, images, use_reentrant=False)
        else:
            own = super().forward(images)  # type: ignore[no-untyped-call]
        return torch.cat([images, own], dim=1)


def densenet(shape: DenseShape, classes: int, memory_efficient: bool = False) -> nn.Module:
    """Build a densely connected network for RGB images."""
    channels = shape.channels
    features: OrderedDict[str, nn.Module] = OrderedDict(
        conv0=_convolution(3, channels, 7, 2),
        norm0=nn.BatchNorm2d(channels),
        relu0=nn.ReLU(),
        pool0=nn.MaxPool2d(3, 2, padding=1),
    )
    for block, count in enumerate(shape.layers, 1):
        if block > 1:
            features[f"transition{block - 1}"] = _transition(channels)
            channels //= 2
        layers = [DenseLayer(channels + n * shape.growth, shape.growth, memory_efficient) for n in range(count)]
        features[f"denseblock{block}"] = nn.Sequential(OrderedDict(_numbered("denselayer", layers)))
        channels += count * shape.growth
    features |= {"norm5": nn.BatchNorm2d(channels), "relu5": nn.ReLU()}
    pooled = {"avgpool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "classifier": nn.Linear(channels, classes)}
    network = nn.Sequential(OrderedDict(features=nn.Sequential(features), **pooled))
    _initialise(network)
    return network


def _transition(channels: int) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(channels),
            relu=nn.ReLU(),
            conv=_convolution(channels, channels // 2, 1),
            pool=nn.AvgPool2d(2),
        )
    )


def _numbered(name: str, modules: Sequence[nn.Module]) -> list[tuple[str, nn.Module]]:
    return [(f"{name}{number}", module) for number, module in enumerate(modules, 1)]


class Normalized(nn.Module):
    """A network that sees each channel of its images with mean 0 and deviation 1."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.zeros(3, 1, 1))
        self.register_buffer("deviation", torch.ones(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return a score (logit) for each class of a batch of images, whose colours are 0 to 1."""
        return self.network((images - self.mean) / self.deviation)  # type: ignore[no-any-return]


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    **{name: partial(resnet, shape) for name, shape in RESNETS.items()},
    **{name: partial(densenet, shape) for name, shape in DENSENETS.items()},
}


def build(untrained: UntrainedNetwork, classes: int) -> Normalized:
    """Build a network for so many classes, its weights at random.

    Raises:
        ModuleError: there is no network of that name.
    """
    name = untrained.architecture
    if name not in NETWORKS:
        raise ModuleError(NOT_SUPPORTED, f"There is no network {name!r}; there are: {', '.join(NETWORKS)}.")
    return Normalized(NETWORKS[name](classes=classes, **untrained.options))
