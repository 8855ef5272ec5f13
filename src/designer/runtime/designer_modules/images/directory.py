"""A directory of images, as it goes through ports of the type ``ImageDirectory``.

In a folder, it is ``images.lst`` (a line of JSON an image: file, id, category), the files in ``images/``, and
``schema.json``, which says what a web service is sent for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from ..dataset import LABEL
from ..errors import ModuleError
from . import decoding

FOLDER, LIST, SCHEMA, TYPE = "images", "images.lst", "schema.json", "ImageDirectory"
IMAGE, ID, CATEGORY = "image", "id", "category"  # the columns of a row that a web service is sent
INVALID_DATASET, UNKNOWN_COLUMN = 18, 1
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class LabeledImage:
    """An image.

    Args:
        id: what tells it from the others, e.g. ``cats/7.png``.
        source: its file, a file's content, or the image itself as RGB.
        category: the class that it belongs to; None where that is not known.
    """

    id: str
    source: Path | bytes | Image.Image
    category: str | None = None

    def picture(self) -> Image.Image:
        """Return the image itself as RGB, read when it is asked for.

        Raises:
            ModuleError: the file is no image, is broken, or too large.
        """
        return self.source if isinstance(self.source, Image.Image) else self._ask(decoding.decode)

    def size(self) -> tuple[int, int]:
        """Return its width and height, for which its pixels are not read.

        Raises:
            ModuleError: as for ``picture``.
        """
        return self.source.size if isinstance(self.source, Image.Image) else self._ask(decoding.size)

    def _ask(self, question: Callable[[Any], Answer]) -> Answer:
        try:
            return question(self.source)
        except ModuleError as error:
            raise ModuleError(error.code, f"Image {self.id!r}: {error.reason}") from error

    def content(self) -> bytes:
        """Return it as the content of a file: as it came, or a PNG."""
        if isinstance(self.source, bytes):
            return self.source
        return self.source.read_bytes() if isinstance(self.source, Path) else decoding.to_png(self.source)


@dataclass(frozen=True)
class ImageDirectory:
    """Images in an order."""

    images: tuple[LabeledImage, ...]

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def categories(self) -> list[str]:
        """The classes that its images belong to, sorted."""
        return sorted({image.category for image in self.images if image.category is not None})

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        lines = [_saved(image, folder, f"{FOLDER}/{number:06}") for number, image in enumerate(self.images)]
        (folder / LIST).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        (folder / SCHEMA).write_text(json.dumps(self.schema(), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> ImageDirectory:
        """Read it from a folder that ``save`` has written.

        Raises:
            ModuleError: the folder holds something else, or a line leads out of it.
        """
        if not (folder / LIST).is_file():
            raise ModuleError(INVALID_DATASET, "This is no image directory: connect Convert to Image Directory.")
        lines = (folder / LIST).read_text(encoding="utf-8").splitlines()
        return cls(tuple(_loaded(json.loads(line), folder) for line in lines))

    def schema(self) -> dict[str, Any]:
        """Return what a row of it is: an image as a data URI, and where they are known, its id and category."""
        columns: list[dict[str, Any]] = [
            {"name": IMAGE, "type": "Image"},
            {"name": ID, "type": "String"},
            {"name": CATEGORY, "type": "String", "role": LABEL},
        ]
        return {"type": TYPE, "columns": columns, "properties": {}}

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, Any]]) -> ImageDirectory:
        """Return the images of a web service's request: ``{"image": "data:image/png;base64,...", "id": "7"}`` a row.

        Only ``image`` is needed; without an ``id``, the row's number is its id.

        Raises:
            ModuleError: a row is wrong; it says which, and why.
        """
        images: list[LabeledImage] = []
        pixels = 0
        for number, row in enumerate(rows):
            images.append(_received(number, row))
            width, height = images[-1].size()
            pixels += width * height
            if pixels > decoding.MAX_PIXELS:
                reason = f"The images up to here have {pixels} pixels together; at most {decoding.MAX_PIXELS} fit."
                raise ModuleError(decoding.TOO_LARGE, reason, row=number, column=IMAGE)
        return cls(tuple(images))

    def to_rows(self) -> list[dict[str, Any]]:
        """Return its images as a web service answers with them."""
        return [{IMAGE: decoding.to_data_uri(one.picture()), ID: one.id, CATEGORY: one.category} for one in self.images]


def _saved(image: LabeledImage, folder: Path, name: str) -> str:
    file = name + (".png" if isinstance(image.source, Image.Image) else Path(image.id).suffix.lower())
    (folder / file).write_bytes(image.content())
    return json.dumps({"file": file, ID: image.id, CATEGORY: image.category})


def _loaded(line: Mapping[str, Any], folder: Path) -> LabeledImage:
    path = folder / line["file"]
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModuleError(INVALID_DATASET, f"The image directory lists a file outside of it: {line['file']!r}.")
    return LabeledImage(line[ID], path, line[CATEGORY])


def _received(number: int, row: Mapping[str, Any]) -> LabeledImage:
    unknown = [name for name in row if name not in (IMAGE, ID, CATEGORY)]
    if unknown:
        reason = f"{unknown[0]!r} is not known; a row has {IMAGE!r}, and may have {ID!r} and {CATEGORY!r}."
        raise ModuleError(UNKNOWN_COLUMN, reason, column=unknown[0], row=number)
    try:
        picture = decoding.from_data_uri(row.get(IMAGE))
    except ModuleError as error:
        raise ModuleError(error.code, error.reason, column=IMAGE, row=number) from error
    return LabeledImage(_text(number, row, ID) or str(number), picture, _text(number, row, CATEGORY))


def _text(number: int, row: Mapping[str, Any], column: str) -> str | None:
    value = row.get(column)
    if value is None or isinstance(value, str | int):
        return None if value in (None, "") else str(value)
    reason = f"Text is wanted; this is of type {type(value).__name__}."
    raise ModuleError(decoding.NO_TEXT, reason, column=column, row=number)
