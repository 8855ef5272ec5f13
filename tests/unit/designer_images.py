"""Images for tests of the Designer's components: bright ones and dark ones, which any network can tell apart."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random

from designer_modules.images.directory import ImageDirectory, LabeledImage
from PIL import Image


def picture(brightness: int, size: tuple[int, int] = (16, 16)) -> Image.Image:
    return Image.new("RGB", size, (brightness, brightness // 2, 255 - brightness))


def png(brightness: int = 0, size: tuple[int, int] = (16, 16)) -> bytes:
    return in_format("PNG", picture(brightness, size))


def in_format(name: str, image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, name)
    return file.getvalue()


def bright_and_dark(count: int = 24, size: tuple[int, int] = (16, 16)) -> ImageDirectory:
    """Return images of two categories, in turns."""
    random = Random(0)
    return ImageDirectory(
        tuple(
            LabeledImage(f"{category}/{n}.png", picture(base + random.randint(0, 40), size), category)
            for n in range(count // 2)
            for category, base in (("bright", 200), ("dark", 20))
        )
    )


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
