"""Where the paths that a container would see lie on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class PathsHere:
    """Translates a container's paths.

    Args:
        binds: what is mounted, each ``source:target[:options]`` as Docker writes it; the first that has a path counts.
        root: the files of the image.
    """

    binds: Sequence[str]
    root: Path

    def __post_init__(self) -> None:
        """Raise ValueError for a bind that is none."""
        for bind in self.binds:
            if ":" not in bind:
                raise ValueError(f"the bind {bind} must be source:target")

    def __call__(self, text: str) -> str:
        """Return where a path lies on this machine; any other text, and a path that only this machine has, as it is."""
        for source, target, *_ in (bind.split(":") for bind in self.binds):
            if PurePosixPath(text).is_relative_to(target):
                return str(Path(source, PurePosixPath(text).relative_to(target)))
        copied = self.root / text.lstrip("/")
        return str(copied) if text.startswith("/") and copied.exists() else text
