"""The room that the machine is examined for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from workshop.doctor import costs
from workshop.folder import Folder, Settings

GB = 1e9


@dataclass(frozen=True)
class Room:
    """What `start` would be given, and where it would lie."""

    settings: Settings
    folder: Folder

    @property
    def learners(self) -> int:
        """How many."""
        return self.settings.learners

    @cached_property
    def costs(self) -> costs.Costs:
        """What a learner costs. Raises CostsError."""
        return costs.read(Path(self.settings.workbook) / "notebooks")

    @property
    def place(self) -> Path:
        """The workshop's folder or, before it is there, the one in which it will be."""
        return next(folder for folder in (self.folder.root, *self.folder.root.parents) if folder.exists())


def gigabytes(size: float) -> str:
    """Return a size as people read it."""
    return f"{size / GB:.1f} GB"
