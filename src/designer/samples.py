"""What the sample of a Web Service Input says of a request: its columns, which may be left out, and an example."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EXAMPLE_SIDE = 16  # pixels of an example image at most: it stands in documents and programs


def sample(folder: Path, label: str | None) -> dict[str, Any]:
    """Return the ``schema``, ``optional`` columns and ``example`` row of what a component has left in a folder.

    Args:
        folder: a dataset, or an image directory.
        label: the column that a request need not bring, where the data itself does not say it.

    Raises:
        ModuleError: the folder holds something else.
    """
    path = folder / "schema.json"
    schema = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return _of_images(folder) if schema.get("type") == "ImageDirectory" else _of_rows(folder, label)


def _of_rows(folder: Path, label: str | None) -> dict[str, Any]:
    """Take the first row without a missing value for the example, where there is one."""
    from designer_modules import Dataset
    from designer_modules.serving.answers import rows_of
    from designer_modules.web_service import web_service_input

    dataset = web_service_input(Dataset.load(folder), label_column=label or "")
    optional = [name for name in (dataset.label,) if name in dataset.frame.columns]
    frame = dataset.frame.drop(columns=optional)
    complete = frame.dropna()
    example = rows_of("sample", (frame if complete.empty else complete).head(1))
    return {"schema": dataset.schema(), "optional": optional, "example": example}


def _of_images(folder: Path) -> dict[str, Any]:
    """Take the first image, made small, for the example."""
    from designer_modules.images.decoding import to_data_uri
    from designer_modules.images.directory import CATEGORY, ID, IMAGE, ImageDirectory

    directory = ImageDirectory.load(folder)
    example = []
    for image in directory.images[:1]:
        picture = image.picture().copy()
        picture.thumbnail((EXAMPLE_SIDE, EXAMPLE_SIDE))
        example.append({IMAGE: to_data_uri(picture), ID: image.id})
    return {"schema": directory.schema(), "optional": [ID, CATEGORY], "example": example}
