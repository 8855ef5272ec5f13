"""A folder that stands for a file system of its own: what is in it is named by absolute paths that cannot leave it."""

from __future__ import annotations

import io
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

LONGEST_NAME = 255  # bytes
LONGEST_PATH = os.pathconf("/", "PC_PATH_MAX") - 64  # bytes; with room for a draft's name


class PathError(Exception):
    """The path names nothing that could be in the tree; the message says why."""


class FileTree:
    """The files below a folder, which is made when something is first put there.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def at(self, path: str) -> Path:
        """Return where ``path``, which begins with a slash, lies. Raises PathError."""
        if not path.startswith("/"):
            raise PathError(f"Path ({path}) must be absolute: it begins with '/'.")
        parts = PurePosixPath(path).parts[1:]
        if ".." in parts or "\0" in path or any(len(os.fsencode(part)) > LONGEST_NAME for part in parts):
            raise PathError(f"Path ({path}) is no path: it has '..', a null character or a name that is too long.")
        found = self.root.joinpath(*parts)
        if len(os.fsencode(found)) > LONGEST_PATH:
            raise PathError(f"Path ({path[:LONGEST_NAME]}...) is too long.")
        for folder in (found, *found.parents):  # a task may have made a link to anywhere
            if folder == self.root:
                return found
            if folder.is_symlink():
                raise PathError(f"Path ({path}) leads through a symbolic link.")
        raise PathError(f"Path ({path}) is no path.")

    def entries(self, path: str) -> Iterator[tuple[str, Path]]:
        """Yield what a folder holds, by name: each path and where it lies. Links are left out."""
        folder = self.at(path)
        for entry in sorted(folder.iterdir()):
            if not entry.is_symlink():
                yield f"{path.rstrip('/')}/{entry.name}", entry

    def write(self, path: str, content: bytes | IO[bytes]) -> None:
        """Write a file, and make the folders that it lies in: a reader finds the old content or the new."""
        file = self.at(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{uuid.uuid4().hex}.draft")
        try:
            with draft.open("wb") as written:
                shutil.copyfileobj(io.BytesIO(content) if isinstance(content, bytes) else content, written)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)

    def delete(self, path: str) -> None:
        """Delete a file or a folder with all in it."""
        found = self.at(path)
        if found.is_dir():
            shutil.rmtree(found)
        else:
            found.unlink()
