"""The two trees: the trainer's notebooks, as they are now, and the learner's, of whatever has become of them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

NOTEBOOKS = "notebooks"
COURSE = "course.yml"  # what makes a folder the course's
NOT_BROUGHT = frozenset({"__pycache__", "config.json"})  # the latter names the trainer's workspace on Azure


class TreeError(Exception):
    """The trainer's folder, or the home, is not as it has to be."""


@dataclass(frozen=True)
class Content:
    """What a regular file holds."""

    size: int
    digest: str

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Return the content that these bytes are."""
        return cls(len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class Found:
    """What lies at a place of the learner's.

    Attributes:
        content: of a regular file that could be ours; else None.
        signature: what tells whether it is still what was looked at; None where nothing is there.
        mode: its rights.
    """

    content: Content | None
    signature: tuple[int, ...] | None
    mode: int = 0o644

    @property
    def missing(self) -> bool:
        """Whether nothing is there."""
        return self.signature is None


@dataclass(frozen=True)
class Brought:
    """A file of the trainer's."""

    data: bytes
    content: Content
    executable: bool

    @classmethod
    def of(cls, file: Path) -> Brought:
        """Read a file."""
        data = file.read_bytes()
        return cls(data, Content.of(data), bool(file.stat().st_mode & stat.S_IXUSR))


Newest = Mapping[str, Brought]  # by path, with "/"

MISSING = Found(None, None)
BLOCKED = Found(None, ())  # a parent is no folder


def trainers(source: Path) -> Newest:
    """Return the trainer's notebooks and what lies beside them.

    All at once: they are ten megabytes, and what is written later is then what was planned to be.

    Raises:
        TreeError: this is no workbook, or may not be read.
    """
    root = source / NOTEBOOKS
    try:
        if not (root / COURSE).is_file():
            raise TreeError(f"There is no {NOTEBOOKS}/{COURSE} in {source}: it has to be the workbook's folder.")
        return {file.relative_to(root).as_posix(): Brought.of(file) for file in sorted(_files(root))}
    except OSError as error:
        raise TreeError(f"{error.filename} of the workbook cannot be read: {error.strerror}.") from error


def _files(root: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(root, onerror=fail):
        folders[:] = [name for name in folders if _is_brought(name)]
        for name in filter(_is_brought, files):
            file = Path(folder, name)
            if stat.S_ISREG(file.lstat().st_mode):
                yield file


def _is_brought(name: str) -> bool:
    return not name.startswith(".") and not name.endswith("~") and name not in NOT_BROUGHT


def look(root: Path, path: str, sizes: frozenset[int]) -> Found:
    """Return what lies at a path of the learner's, without following a link; its content only if of one of ``sizes``.

    Raises:
        OSError: a folder on the way may not be searched.
    """
    if blocked_at(root, path):
        return BLOCKED
    place = root / path
    try:
        status = os.lstat(place)
    except FileNotFoundError:
        return MISSING
    except NotADirectoryError:
        return BLOCKED
    content = _content(place) if stat.S_ISREG(status.st_mode) and status.st_size in sizes else None
    return Found(content, signature(status), stat.S_IMODE(status.st_mode))


def signature(status: os.stat_result) -> tuple[int, ...]:
    """Return what differs once somebody has changed the file or put another one there."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _content(place: Path) -> Content | None:
    """Return the content; None where its owner has taken away the right to read it, or it has just become no file."""
    try:
        # A named pipe that has just taken its place would keep us waiting, a link would lead elsewhere.
        with os.fdopen(os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return Content.of(file.read()) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except OSError:
        return None


def blocked_at(root: Path, path: str) -> str:
    """Return the path of what is no folder though the path leads through it; "" where there is nothing of the kind."""
    parts = path.split("/")
    for length in range(1, len(parts)):
        above = "/".join(parts[:length])
        try:
            if not stat.S_ISDIR(os.lstat(root / above).st_mode):
                return above
        except FileNotFoundError:
            return ""
    return ""
