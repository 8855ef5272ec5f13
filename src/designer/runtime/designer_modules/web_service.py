"""Where a request's rows enter a graph, and where its answer leaves.

In a pipeline both pass their dataset on, so that an inference pipeline can be run like any other; in a web service the
rows of the request take the place of the first one's dataset, and what reaches the second is the answer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

from .columns import with_label
from .dataset import SCHEMA, Dataset
from .ports import AnyDirectory, Kept

IMAGES = "ImageDirectory"


class Rows(Kept, Protocol):
    """A dataset, or images: a row of a request is a row of the one, or an image."""

    @classmethod
    def load(cls, folder: Path) -> Dataset | AnyDirectory:
        """Read them from a folder. Images are not decoded, so that a graph of tables needs no library for them."""
        path = folder / SCHEMA
        schema = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return AnyDirectory.load(folder) if schema.get("type") == IMAGES else Dataset.load(folder)


def web_service_input(dataset: Rows, name: str = "WebServiceInput0", label_column: str = "") -> Rows:
    """Pass on the rows whose columns and types are those of a request's.

    Args:
        dataset: a sample, e.g. what the pipeline was trained with.
        name: what a request calls it.
        label_column: the column that a caller need not send: the model predicts it. Images say so themselves.
    """
    return with_label(dataset, label_column) if isinstance(dataset, Dataset) else dataset


def web_service_output(dataset: Rows, name: str = "WebServiceOutput0") -> Rows:
    """Pass on the rows that are the answer to a request.

    Args:
        dataset: e.g. what Score Model made.
        name: what the answer calls it.
    """
    return dataset
