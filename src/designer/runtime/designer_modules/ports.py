"""What goes through the ports of components, and how each is kept in a folder between two of them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, runtime_checkable


@runtime_checkable
class Kept(Protocol):
    """Something that a component hands to another: in memory as it is, between two steps of a pipeline in a folder.

    Datasets, images, untrained and trained models and transformations are such.
    """

    def save(self, folder: Path) -> None:
        """Write it into a folder."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read it from a folder that ``save`` has written."""


@dataclass(frozen=True)
class AnyDirectory:
    """What a folder holds, whatever that is: it is passed on as it lies there."""

    folder: Path

    def save(self, folder: Path) -> None:
        """Copy it into a folder."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)

    @classmethod
    def load(cls, folder: Path) -> AnyDirectory:
        """Take what a folder holds."""
        return cls(folder)
