"""Brings the trainer's notebooks into a learner's copy, so that a byte of the learner's is never lost.

First it is planned what to write, then the plan is noted (which versions may be found from now on), then it is done,
each file whole by one rename. So a bring that was interrupted, wherever, leaves files that the next one knows as ours.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from workshop.copying.manifest import Entry, Manifest
from workshop.copying.news import Kind, News
from workshop.copying.trees import COURSE, NOTEBOOKS, Brought, Content, Found, Newest, blocked_at, look, signature

WORKBOOK = "workbook"
CODE = "src"
STAGING = ".bringing-"  # and what makes it unique
FULL = (errno.ENOSPC, errno.EDQUOT)

T = TypeVar("T")


def bring(newest: Newest, home: Path) -> list[str]:
    """Bring the trainer's newest into ``home``; see :func:`workshop.copies.bring`."""
    news = News()
    try:
        root = copy_in(home, news)
        with staging(root) as staged:
            Bring(newest, root, staged, news).run()
    except OSError as error:
        news.say(obstacle(error))
    return news.sentences()


def lead_to_code(workbook: Path, home: Path) -> None:
    """Let the copy find the workbook's code where the checkout has it: a component of part 4 names files of it.

    What the learner has there stays.
    """
    with suppress(OSError):  # something is there; or the disk is full, and the next start does it
        (home / WORKBOOK / CODE).symlink_to(workbook.resolve() / CODE)


def copy_in(home: Path, news: News) -> Path:
    """Return the copy's folder. What lies there and is none is moved aside, or JupyterLab could not start."""
    place = home
    for name in (WORKBOOK, NOTEBOOKS):
        place = place / name
        if os.path.lexists(place) and not stat.S_ISDIR(os.lstat(place).st_mode):
            aside = next(free for free in second_names(place, "yours") if not os.path.lexists(free))
            place.rename(aside)
            news.tell(Kind.MOVED, aside.relative_to(home).as_posix())
        place.mkdir(exist_ok=True)
    return place


def obstacle(error: OSError) -> str:
    """Return what to tell the learner where not everything could be brought."""
    if error.errno in FULL:
        return (
            "Your disk is full, so not all of the trainer's newest could be brought. Nothing of yours was touched. "
            "Delete what you no longer need, then start your server again."
        )
    return (
        f"The trainer's newest could not be brought: {error.strerror or error} ({error.filename}). "
        "Nothing of yours was touched. Look at the rights of the folder, or ask for a reset of your notebooks."
    )


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """Yield a folder in the copy, on the same file system, for files that are not whole yet; those left over go."""
    for left in root.glob(f"{STAGING}*"):
        if stat.S_ISDIR(os.lstat(left).st_mode):
            shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=STAGING, dir=root, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@dataclass(frozen=True)
class _Step:
    """To write the trainer's ``origin`` to ``path``, where ``found`` was; or, without an origin, to delete."""

    path: str
    found: Found
    kind: Kind
    origin: str = ""


class Bring:
    """Brings ``newest`` into a copy once; ``untold`` is what its learner expects to find there, so needs no word."""

    def __init__(
        self, newest: Newest, root: Path, staging: Path, news: News, untold: frozenset[str] = frozenset()
    ) -> None:
        self._newest = newest
        self._root = root
        self._staging = staging
        self._news = news
        self._manifest = Manifest.read(root)
        self._untold = untold if self._manifest else frozenset(newest)
        self._steps: list[_Step] = []

    def run(self) -> None:
        """Bring it.

        Raises:
            OSError: the disk is full, or the copy's own folder cannot be written; what was done is noted nevertheless.
        """
        before = dict(self._manifest)
        # First what makes room: a folder of the trainer's may have become a file.
        for path, entry in before.items():
            if (entry.beside or path) not in self._newest:
                self._guarded(path, self._plan_farewell, entry)
        self._perform_plan()
        for path, brought in self._newest.items():
            self._guarded(path, self._plan, brought.content)
        for path, entry in before.items():
            if entry.beside in self._newest:
                self._guarded(path, self._plan_beside, entry)
        self._perform_plan()

    def _perform_plan(self) -> None:
        """Note the plan, do it, and note what was done."""
        steps, self._steps = self._steps, []
        self._manifest.write(self._root, self._staging)
        try:
            for step in steps:
                self._guarded(step.path, self._perform, step)
        finally:
            self._manifest.write(self._root, self._staging)

    def _guarded(self, path: str, action: Callable[[str, T], None], about: T) -> None:
        """Go on with the others where a file's folder may not be searched or written; but not on a full disk."""
        try:
            action(path, about)
        except OSError as error:
            if error.errno in FULL:
                raise
            self._news.tell_obstacle(path, error)

    def _plan(self, path: str, content: Content) -> None:
        entry = self._manifest.setdefault(path, Entry())
        found = look(self._root, path, entry.sizes | {content.size})
        if found.content == content:
            self._settle(path, content)
        elif found.missing and (not entry.arrived or path == COURSE):  # without the latter no helper works
            self._write(path, found, Kind.NEW, content)
        elif found.content in entry.versions:
            self._write(path, found, Kind.UPDATED, content)
        elif entry.offered != content.digest:
            self._do_without(path, found, content)

    def _do_without(self, path: str, found: Found, content: Content) -> None:
        if not found.missing:
            self._lay_beside(path, content)
        else:
            self._news.tell(Kind.DELETED, path)
            self._manifest[path].offered = content.digest

    def _lay_beside(self, path: str, content: Content) -> None:
        for name in self._names_beside(path):
            entry = self._manifest.get(name, Entry())
            found = look(self._root, name, entry.sizes | {content.size})
            if found.missing or found.content == content or found.content in entry.versions:
                break
        self._manifest[name] = entry
        entry.beside = path
        if found.content == content:
            self._settle(name, content)
        else:
            self._write(name, found, Kind.BESIDE, content)

    def _names_beside(self, path: str) -> Iterator[str]:
        """Yield names for a new version: of the file or, where it has no folder to lie in, of what is in its place."""
        above = blocked_at(self._root, path)
        renamed = above or path
        for name in second_names(Path(renamed), "new version"):
            if (beside := name.as_posix() + path[len(renamed) :]) not in self._newest:
                yield beside

    def _plan_beside(self, path: str, entry: Entry) -> None:
        """Bring a new version up to date that was laid beside earlier, and that the learner has not touched."""
        content = self._newest[entry.beside].content
        found = look(self._root, path, entry.sizes)
        planned = any(step.path == path for step in self._steps)
        if not planned and found.content in entry.versions and found.content != content:
            self._write(path, found, Kind.UPDATED, content)

    def _plan_farewell(self, path: str, entry: Entry) -> None:
        found = look(self._root, path, entry.sizes)
        if found.content in entry.versions:
            entry.arrived = False  # if it is missing next time, we have deleted it
            self._steps.append(_Step(path, found, Kind.REMOVED))
            return
        del self._manifest[path]
        if not found.missing:
            self._news.tell(Kind.KEPT, path)

    def _write(self, path: str, found: Found, kind: Kind, content: Content) -> None:
        entry = self._manifest[path]
        if content not in entry.versions:
            entry.versions.append(content)
        self._steps.append(_Step(path, found, kind, entry.beside or path))

    def _perform(self, path: str, step: _Step) -> None:
        done = self._put(step) if step.origin else self._delete(step)
        if not done:
            self._news.tell(Kind.LATER, step.origin or path)
        elif not (step.kind is Kind.NEW and path in self._untold):
            self._news.tell(step.kind, step.origin if step.kind is Kind.BESIDE else path)

    def _delete(self, step: _Step) -> bool:
        place = self._root / step.path
        if not self._is_as_found(step):
            return False
        place.unlink()
        del self._manifest[step.path]
        for folder in itertools.takewhile(lambda above: above != self._root, place.parents):
            try:
                folder.rmdir()
            except OSError:  # something is in it
                break
        return True

    def _put(self, step: _Step) -> bool:
        brought, place = self._newest[step.origin], self._root / step.path
        place.parent.mkdir(parents=True, exist_ok=True)
        staged = self._staging / "file"
        with staged.open("wb") as file:
            file.write(brought.data)
            file.flush()
            os.fchmod(file.fileno(), _mode(step.found, brought))
            os.fsync(file.fileno())
        if not self._is_as_found(step):
            return False
        staged.replace(place)
        self._settle(step.path, brought.content)
        return True

    def _is_as_found(self, step: _Step) -> bool:
        """Whether it is still what was looked at: the learner's programs may run."""
        try:
            return signature(os.lstat(self._root / step.path)) == step.found.signature
        except FileNotFoundError:
            return step.found.missing

    def _settle(self, path: str, content: Content) -> None:
        """Note that the learner has this version, and of another file's new version, that they have it there."""
        entry = self._manifest[path]
        entry.versions, entry.arrived, entry.offered = [content], True, content.digest
        if entry.beside in self._manifest:
            self._manifest[entry.beside].offered = content.digest


def _mode(found: Found, brought: Brought) -> int:
    """Return the rights that the learner has given the file; for a new one, those of any file."""
    if not found.missing:
        return found.mode
    return 0o755 if brought.executable else 0o644


def second_names(place: Path, what: str) -> Iterator[Path]:
    """Yield names for a second file beside one: ``score (new version).py``, ``score (new version 2).py``, ..."""
    for number in itertools.count(1):
        yield place.with_name(f"{place.stem} ({what}{f' {number}' if number > 1 else ''}){place.suffix}")
