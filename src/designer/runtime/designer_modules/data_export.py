"""Export Data: writes a dataset as a file that other programs read.

https://learn.microsoft.com/azure/machine-learning/component-reference/export-data
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from .data_sources import import_data
from .dataset import Dataset
from .values import chosen


def _write_json_lines(frame: pd.DataFrame, path: Path) -> None:
    frame.to_json(path, orient="records", lines=True, date_format="iso")


_WRITERS: dict[str, tuple[str, Callable[[pd.DataFrame, Path], Any]]] = {
    "CSV": ("data.csv", lambda frame, path: frame.to_csv(path, index=False)),
    "TSV": ("data.tsv", lambda frame, path: frame.to_csv(path, index=False, sep="\t")),
    "Parquet": ("data.parquet", lambda frame, path: frame.to_parquet(path, index=False)),
    "JsonLines": ("data.jsonl", _write_json_lines),
}


@dataclass(frozen=True)
class ExportedData:
    """A table as one file of a format."""

    frame: pd.DataFrame
    file_format: str

    def save(self, folder: Path) -> None:
        """Write the file into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        name, write = _WRITERS[self.file_format]
        write(self.frame, folder / name)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read it from a folder that ``save`` has written."""
        (file_format,) = (kind for kind, (name, _) in _WRITERS.items() if (folder / name).is_file())
        return cls(import_data(folder).frame, file_format)


def export_data(dataset: Dataset, file_format: str = "CSV") -> ExportedData:
    """Write a dataset as one file, ``data.csv``, ``data.tsv``, ``data.parquet`` or ``data.jsonl``."""
    chosen("file_format", file_format, _WRITERS)
    return ExportedData(dataset.frame, file_format)
