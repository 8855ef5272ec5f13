"""What is done to images before a network sees them: declared once, applied in training and in inference.

The operations, their order and what they mean are those of torchvision's transforms, which Microsoft's Init Image
Transformation names; they are done by Pillow. At random are only those that make new samples for training: mode "For
inference" leaves them out. What is at random depends on an image's id alone, so that a step gives the same each time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from PIL import Image, ImageEnhance, ImageOps

from ..errors import ModuleError
from .directory import ImageDirectory, LabeledImage

FILE, TYPE = "image_transformation.json", "ImageTransformation"
FOR_TRAINING, FOR_INFERENCE = "For training", "For inference"
OUT_OF_RANGE, INVALID_TRANSFORMATION, UNKNOWN_MODE = 8, 158, 2
BILINEAR, NEAREST = Image.Resampling.BILINEAR, Image.Resampling.NEAREST


@dataclass(frozen=True)
class Operation:
    """One operation: its name, and its only argument (a size or padding in pixels, or degrees), if it has one."""

    name: str
    amount: int = 0


@dataclass(frozen=True)
class ImageTransformation:
    """Operations, in their order."""

    operations: tuple[Operation, ...]

    def apply(self, images: ImageDirectory, mode: str) -> ImageDirectory:
        """Return the images, transformed; ``mode`` is ``For training`` or ``For inference``."""
        operations = [one for one in self.operations if mode == FOR_TRAINING or one.name not in TRAINING_ONLY]
        return ImageDirectory(tuple(_transformed(image, operations) for image in images.images))

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        body = {"type": TYPE, "operations": [asdict(one) for one in self.operations]}
        (folder / FILE).write_text(json.dumps(body, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> ImageTransformation:
        """Read it from a folder that ``save`` has written.

        Raises:
            ModuleError: the folder holds something else, e.g. what Normalize Data has fitted.
        """
        if not (folder / FILE).is_file():
            raise ModuleError(
                INVALID_TRANSFORMATION, "This is no image transformation: connect Init Image Transformation."
            )
        body = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return cls(tuple(Operation(one["name"], one["amount"]) for one in body["operations"]))


def init_image_transformation(
    resize: bool = True,
    size: int = 256,
    center_crop: bool = True,
    crop_size: int = 224,
    pad: bool = False,
    padding: int = 0,
    color_jitter: bool = False,
    grayscale: bool = False,
    random_resized_crop: bool = False,
    random_size: int = 256,
    random_crop: bool = False,
    random_crop_size: int = 224,
    random_horizontal_flip: bool = True,
    random_vertical_flip: bool = False,
    random_rotation: bool = False,
    random_rotation_degrees: int = 0,
    random_affine: bool = False,
    random_affine_degrees: int = 0,
    random_grayscale: bool = False,
    random_perspective: bool = False,
    random_erasing: bool = False,
) -> ImageTransformation:
    """Say how images are to be transformed."""
    chosen = (
        ("resize", resize, size),
        ("center_crop", center_crop, crop_size),
        ("pad", pad, padding),
        ("color_jitter", color_jitter, 0),
        ("grayscale", grayscale, 0),
        ("random_resized_crop", random_resized_crop, random_size),
        ("random_crop", random_crop, random_crop_size),
        ("random_horizontal_flip", random_horizontal_flip, 0),
        ("random_vertical_flip", random_vertical_flip, 0),
        ("random_rotation", random_rotation, random_rotation_degrees),
        ("random_affine", random_affine, random_affine_degrees),
        ("random_grayscale", random_grayscale, 0),
        ("random_perspective", random_perspective, 0),
        ("random_erasing", random_erasing, 0),
    )
    return ImageTransformation(tuple(_checked(name, amount) for name, wanted, amount in chosen if wanted))


def apply_image_transformation(
    input_image_transformation: ImageTransformation, input_image_directory: ImageDirectory, mode: str
) -> ImageDirectory:
    """Transform images: for training with all operations, for inference without those that are at random."""
    if mode not in (FOR_TRAINING, FOR_INFERENCE):
        raise ModuleError(UNKNOWN_MODE, f"mode is {mode!r}; wanted is {FOR_TRAINING!r} or {FOR_INFERENCE!r}.")
    return input_image_transformation.apply(input_image_directory, mode)


def _checked(name: str, amount: int) -> Operation:
    low, high = BOUNDS.get(name, (0, math.inf))
    if not low <= amount <= high:
        wanted = f"at least {low}" if high == math.inf else f"from {low} to {high}"
        raise ModuleError(OUT_OF_RANGE, f"{name} is asked for with {amount}; wanted is {wanted}.")
    return Operation(name, amount)


def _transformed(image: LabeledImage, operations: list[Operation]) -> LabeledImage:
    picture, random = image.picture(), Random(image.id)  # noqa: S311 - no secret
    for one in operations:
        picture = OPERATIONS[one.name](picture, one.amount, random)
    return LabeledImage(image.id, picture, image.category)


def _resize(picture: Image.Image, size: int, _: Random) -> Image.Image:
    """Make the smaller edge ``size`` pixels, and keep the proportions."""
    smaller = min(picture.size)
    width, height = (int(size * edge / smaller) for edge in picture.size)
    return picture.resize((width, height), BILINEAR)


def _center_crop(picture: Image.Image, size: int, _: Random) -> Image.Image:
    """Cut a square out of the middle; where the image is smaller, black surrounds it."""
    left, top = (round((edge - size) / 2) if edge >= size else -((size - edge) // 2) for edge in picture.size)
    return picture.crop((left, top, left + size, top + size))


def _pad(picture: Image.Image, padding: int, _: Random) -> Image.Image:
    return ImageOps.expand(picture, padding)


def _color_jitter(picture: Image.Image, _: int, random: Random) -> Image.Image:
    """Change brightness, contrast and saturation, each by up to 40 % (as is usual for ImageNet)."""
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(random.uniform(0.6, 1.4))
    return picture


def _grayscale(picture: Image.Image, _: int, random: Random) -> Image.Image:
    return picture.convert("L").convert("RGB")


def _random_resized_crop(picture: Image.Image, size: int, random: Random) -> Image.Image:
    """Cut out 8 to 100 % of the area, 3:4 to 4:3, and make it ``size`` square."""
    width, height = _part(picture, random, (0.08, 1.0), (3 / 4, 4 / 3))
    left, top = random.randint(0, picture.width - width), random.randint(0, picture.height - height)
    return picture.resize((size, size), BILINEAR, box=(left, top, left + width, top + height))


def _part(
    picture: Image.Image, random: Random, areas: tuple[float, float], ratios: tuple[float, float]
) -> tuple[int, int]:
    """Return the size of a part of an image, at random: its share of the area, and its width to its height."""
    area = picture.width * picture.height * random.uniform(*areas)
    ratio = math.exp(random.uniform(*map(math.log, ratios)))
    width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
    return max(1, min(width, picture.width)), max(1, min(height, picture.height))


def _random_crop(picture: Image.Image, size: int, random: Random) -> Image.Image:
    if min(picture.size) < size:
        wide, high = picture.size
        raise ModuleError(OUT_OF_RANGE, f"random_crop_size is {size}; the image has only {wide} x {high} pixels.")
    left, top = (random.randint(0, edge - size) for edge in picture.size)
    return picture.crop((left, top, left + size, top + size))


def _flip(how: Image.Transpose) -> Callable[[Image.Image, int, Random], Image.Image]:
    def flip(picture: Image.Image, _: int, random: Random) -> Image.Image:
        return picture.transpose(how) if random.random() < 0.5 else picture

    return flip


def _rotate(picture: Image.Image, degrees: int, random: Random) -> Image.Image:
    return picture.rotate(random.uniform(-degrees, degrees), NEAREST)


def _random_grayscale(picture: Image.Image, amount: int, random: Random) -> Image.Image:
    return _grayscale(picture, amount, random) if random.random() < 0.1 else picture


def _random_perspective(picture: Image.Image, _: int, random: Random) -> Image.Image:
    """See it, every second time, from aside: each corner is moved inwards by up to a quarter of the edge."""
    if random.random() >= 0.5:
        return picture
    wide, high = picture.size
    corners = [
        (abs(x - random.randint(0, wide // 4)), abs(y - random.randint(0, high // 4)))
        for x, y in ((0, 0), (0, high - 1), (wide - 1, high - 1), (wide - 1, 0))
    ]
    return picture.transform(picture.size, Image.Transform.QUAD, [n for corner in corners for n in corner], BILINEAR)


def _random_erasing(picture: Image.Image, _: int, random: Random) -> Image.Image:
    """Make, every second time, a rectangle of 2 to 33 % of the area black."""
    if random.random() >= 0.5:
        return picture
    width, height = _part(picture, random, (0.02, 0.33), (0.3, 3.3))
    left, top = random.randint(0, picture.width - width), random.randint(0, picture.height - height)
    erased = picture.copy()
    erased.paste((0, 0, 0), (left, top, left + width, top + height))
    return erased


OPERATIONS: dict[str, Callable[[Image.Image, int, Random], Image.Image]] = {
    "resize": _resize,
    "center_crop": _center_crop,
    "pad": _pad,
    "color_jitter": _color_jitter,
    "grayscale": _grayscale,
    "random_resized_crop": _random_resized_crop,
    "random_crop": _random_crop,
    "random_horizontal_flip": _flip(Image.Transpose.FLIP_LEFT_RIGHT),
    "random_vertical_flip": _flip(Image.Transpose.FLIP_TOP_BOTTOM),
    "random_rotation": _rotate,
    "random_affine": _rotate,  # Microsoft's has degrees only: a rotation about the centre
    "random_grayscale": _random_grayscale,
    "random_perspective": _random_perspective,
    "random_erasing": _random_erasing,
}
# Microsoft's list has no colour jitter, though it is at random: a prediction would depend on chance.
TRAINING_ONLY = {name for name in OPERATIONS if name.startswith("random_")} | {"color_jitter"}
BOUNDS: dict[str, tuple[float, float]] = {
    "resize": (1, math.inf),
    "center_crop": (1, math.inf),
    "random_resized_crop": (1, math.inf),
    "random_crop": (1, math.inf),
    "random_rotation": (0, 180),
    "random_affine": (0, 180),
}
