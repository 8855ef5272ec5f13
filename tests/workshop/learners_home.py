"""A learner's home for tests: worked in with the rights of an ordinary user, looked at with the test's own."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from workshop.copying.trees import Brought, Content, Newest

NOBODY = 65534  # Debian's, Fedora's and Alpine's user without rights
Entry = tuple[str, int, bytes]  # kind, rights, and what it holds or leads to


@contextmanager
def as_learner() -> Iterator[None]:
    """Do what follows with an ordinary user's rights: root may read and write whatever the rights are."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def give(home: Path) -> Path:
    """Make the folder the learner's home, and return it."""
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)
    return home


def newest(files: Mapping[str, bytes]) -> Newest:
    """Return the trainer's tree that holds these files."""
    return {path: Brought(data, Content.of(data), False) for path, data in sorted(files.items())}


def snapshot(root: Path) -> dict[str, Entry]:
    """Return all that is in a folder, by path."""
    found: dict[str, Entry] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            place = Path(folder, name)
            found[place.relative_to(root).as_posix()] = _entry(place)
    return found


def _entry(place: Path) -> Entry:
    mode = place.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "link", 0, os.fsencode(os.readlink(place))  # noqa: PTH115 - bytes are compared
    kind = "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"
    return kind, stat.S_IMODE(mode), place.read_bytes() if kind == "file" else b""
