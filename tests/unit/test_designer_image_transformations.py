"""Init and Apply Image Transformation.

What each operation is, torchvision's documentation of transforms says (Microsoft's reference names it); sizes here are
those that torchvision 0.28 gives for the same images. Which are left out for inference: apply-image-transformation.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
from designer_modules import ModuleError
from designer_modules.images.directory import ImageDirectory, LabeledImage
from designer_modules.images.transformation import (
    FOR_INFERENCE,
    FOR_TRAINING,
    OPERATIONS,
    ImageTransformation,
    Operation,
    apply_image_transformation,
    init_image_transformation,
)
from PIL import Image

NOTHING = {
    name: False for name, one in inspect.signature(init_image_transformation).parameters.items() if one.default is True
}
AT_RANDOM = [name for name in OPERATIONS if name.startswith("random_")] + ["color_jitter"]


def _noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def _only(name: str, amount: int = 0) -> ImageTransformation:
    return ImageTransformation((Operation(name, amount),))


def _after(
    transformation: ImageTransformation, image: Image.Image, mode: str = FOR_TRAINING, id: str = "1"
) -> np.ndarray:
    images = ImageDirectory((LabeledImage(id, image, "cat"),))
    (result,) = apply_image_transformation(transformation, images, mode).images
    assert (result.id, result.category) == (id, "cat")
    return np.array(result.picture())


@pytest.mark.parametrize(
    ("name", "amount", "size", "wanted"),
    [
        ("resize", 32, (37, 50), (32, 43)),
        ("resize", 32, (50, 37), (43, 32)),
        ("resize", 32, (9, 200), (32, 711)),
        ("center_crop", 20, (37, 50), (20, 20)),
        ("center_crop", 33, (16, 16), (33, 33)),
        ("pad", 3, (37, 50), (43, 56)),
        ("random_resized_crop", 24, (37, 50), (24, 24)),
        ("random_crop", 24, (37, 50), (24, 24)),
        ("random_rotation", 30, (37, 50), (37, 50)),
        ("random_erasing", 0, (37, 50), (37, 50)),
        ("random_perspective", 0, (37, 50), (37, 50)),
    ],
)
def test_an_operation_gives_the_size_that_torchvision_gives(
    name: str, amount: int, size: tuple[int, int], wanted: tuple[int, int]
) -> None:
    assert _after(_only(name, amount), _noise(*size)).shape == (wanted[1], wanted[0], 3)


def test_a_center_crop_is_the_middle_and_black_around_what_is_too_small() -> None:
    image = _noise(10, 4)
    cropped = _after(_only("center_crop", 6), image)
    assert (cropped[1:5] == np.array(image)[:, 2:8]).all()
    assert not cropped[0].any()
    assert not cropped[5].any()


def test_grayscale_has_three_equal_channels() -> None:
    gray = _after(_only("grayscale"), _noise(8, 8))
    assert (gray[..., 0] == gray[..., 1]).all()
    assert (gray[..., 0] == np.array(_noise(8, 8).convert("L"))).all()


@pytest.mark.parametrize("name", AT_RANDOM)
def test_for_inference_what_is_at_random_is_left_out(name: str) -> None:
    image = _noise(16, 16)
    assert (_after(_only(name, 8), image, FOR_INFERENCE) == np.array(image)).all()


@pytest.mark.parametrize("name", AT_RANDOM)
def test_for_training_what_is_at_random_differs_between_images_and_is_the_same_each_time(name: str) -> None:
    image, transformation = _noise(16, 16), _only(name, 8)
    results = [_after(transformation, image, id=str(n)) for n in range(40)]
    assert len({result.tobytes() for result in results}) > 1
    again = [_after(transformation, image, id=str(n)) for n in range(40)]
    assert all((one == two).all() for one, two in zip(results, again, strict=True))


@pytest.mark.parametrize(("name", "flip"), [("random_horizontal_flip", np.fliplr), ("random_vertical_flip", np.flipud)])
def test_a_flip_gives_the_image_or_its_mirror_image(name: str, flip: object) -> None:
    image = np.array(_noise(8, 8))
    assert callable(flip)
    mirrored = [_after(_only(name), _noise(8, 8), id=str(n)) for n in range(100)]
    assert all((one == image).all() or (one == flip(image)).all() for one in mirrored)
    assert 30 < sum((one == image).all() for one in mirrored) < 70


def test_erasing_makes_one_rectangle_black() -> None:
    white = Image.new("RGB", (20, 20), "white")
    results = [_after(_only("random_erasing"), white, id=str(n)) for n in range(20)]
    erased = [np.argwhere(result[..., 0] == 0) for result in results]
    assert any(len(one) for one in erased)
    for one in erased:
        if len(one):
            assert len(one) == np.prod(np.ptp(one, axis=0) + 1)
            assert len(one) <= 0.4 * 400


def test_the_defaults_are_those_of_microsofts_reference() -> None:
    assert init_image_transformation().operations == (
        Operation("resize", 256),
        Operation("center_crop", 224),
        Operation("random_horizontal_flip"),
    )


def test_operations_come_in_the_order_of_the_parameters() -> None:
    everything = {
        name: True
        for name, one in inspect.signature(init_image_transformation).parameters.items()
        if one.annotation == "bool"
    }
    assert (
        [one.name for one in init_image_transformation(**everything).operations] == list(OPERATIONS) == list(everything)
    )


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"resize": True, "size": 0}, "resize is asked for with 0; wanted is at least 1"),
        ({"pad": True, "padding": -1}, "pad is asked for with -1; wanted is at least 0"),
        ({"random_rotation": True, "random_rotation_degrees": 181}, "random_rotation .* 181; wanted is from 0 to 180"),
    ],
)
def test_an_amount_out_of_bounds_is_refused(parameters: dict[str, int], reason: str) -> None:
    with pytest.raises(ModuleError, match=f"Error 0008: {reason}"):
        init_image_transformation(**{**NOTHING, **parameters})


def test_a_random_crop_larger_than_the_image_is_refused() -> None:
    with pytest.raises(ModuleError, match="random_crop_size is 20; the image has only 16 x 40 pixels"):
        _after(_only("random_crop", 20), _noise(16, 40))


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ModuleError, match="mode is 'Training'; wanted is 'For training' or 'For inference'"):
        _after(_only("grayscale"), _noise(4, 4), "Training")


def test_a_transformation_comes_back_from_its_folder(tmp_path: Path) -> None:
    transformation = init_image_transformation(random_rotation=True, random_rotation_degrees=12)
    transformation.save(tmp_path)
    assert ImageTransformation.load(tmp_path) == transformation


def test_a_transformation_for_tables_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "transformation.json").write_text(json.dumps({"kind": "normalize"}))
    with pytest.raises(ModuleError, match=r"Error 0158: .*connect Init Image Transformation"):
        ImageTransformation.load(tmp_path)
