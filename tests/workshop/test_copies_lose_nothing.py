"""Whatever learners and trainers do, in whatever order, and however a bring ends: nothing of the learner's is lost.

The truth is a model of who wrote which bytes: the learner's begin with L, the trainer's with T.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from learners_home import as_learner, give, newest, snapshot

from workshop.copying.bringing import STAGING, bring
from workshop.copying.manifest import NAME

pytestmark = pytest.mark.slow

COURSE = "course.yml"
# "c" is a file in one version of the trainer's and a folder in another.
TAUGHT = ("a/one.ipynb", "a/two.py", "b/deep/one.ipynb", "c", "c/three.py", "top.md")
LEARNERS = (*TAUGHT, COURSE, "a", "b", "b/deep", "a/one (new version).ipynb", "top (new version).md", "mine/own.txt")
MODES = (0o000, 0o400, 0o500, 0o600, 0o644, 0o700, 0o755)
CALLS = ("mkdir", "replace", "unlink", "rmdir", "rename")  # of a path; between any two a bring may end

paths = st.sampled_from(TAUGHT) | st.sampled_from(LEARNERS)  # most often what is taught


class Workshop(RuleBasedStateMachine):
    """One learner's copy, which the trainer's newest is brought into again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.no_power_is_lost = mock.patch("os.fsync")  # which is all that it would help against
        self.no_power_is_lost.start()
        self.home = give(Path(tempfile.mkdtemp(prefix="azl-copy-", dir="/tmp")))
        self.root = self.home / "workbook" / "notebooks"
        self.taught: dict[str, bytes] = {COURSE: b"T course"}
        self.written = 0
        self.untouched: set[str] = set()  # brought, and as it was then
        self.arrived: set[str] = set()  # brought once, as the copy's own notes have it
        self.deleted: set[str] = set()  # by the learner, after that
        self.unclear: set[str] = set()  # a broken bring may have noted that it had come, or not

    def teardown(self) -> None:
        shutil.rmtree(self.home)
        self.no_power_is_lost.stop()

    # The trainer ----------------------------------------------------------------------------------------------------

    @initialize(files=st.sets(st.sampled_from(TAUGHT)))
    def begins(self, files: set[str]) -> None:
        for path in sorted(files):
            self.trainer_writes(path)

    @rule(path=st.sampled_from((*TAUGHT, COURSE)))
    def trainer_writes(self, path: str) -> None:
        for other in [
            other for other in self.taught if f"{other}/".startswith(f"{path}/") or path.startswith(f"{other}/")
        ]:
            self.trainer_deletes(other)
        self.taught[path] = self._bytes(b"T")

    @rule(path=st.sampled_from(TAUGHT))
    def trainer_deletes(self, path: str) -> None:
        self.taught.pop(path, None)

    # The learner ----------------------------------------------------------------------------------------------------

    @rule(path=paths)
    def writes(self, path: str) -> None:
        def write(place: Path) -> None:
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.is_fifo():  # which would wait for a reader
                place.write_bytes(self._bytes(b"L"))

        self._learner(write, path)

    @rule(path=paths)
    def deletes(self, path: str) -> None:
        self._learner(lambda place: shutil.rmtree(place) if place.is_dir() else place.unlink(), path)

    @rule(path=paths, to=paths)
    def renames(self, path: str, to: str) -> None:
        self._learner(lambda place: place.rename(self.root / to), path, to)

    @rule(path=paths, to=paths)
    def links(self, path: str, to: str) -> None:
        self._learner(lambda place: place.symlink_to(self.root / to), path)

    @rule(path=paths, mode=st.sampled_from(MODES))
    def changes_mode(self, path: str, mode: int) -> None:
        self._learner(lambda place: place.chmod(mode), path)

    @rule(path=paths)
    def makes_a_pipe(self, path: str) -> None:
        self._learner(os.mkfifo, path)

    @rule(
        text=st.sampled_from(
            ["", "{}", "[]", '{"schema": 1, "files": {"../../x": {}}}', '{"schema": 1, "files": {"a": 1}}']
        )
    )
    def spoils_the_manifest(self, text: str) -> None:
        self._learner(lambda place: place.write_text(text), NAME)
        self.untouched.clear()  # nobody knows any more
        self._forget()

    @rule()
    def deletes_the_copy(self) -> None:
        self._learner(lambda place: shutil.rmtree(place, ignore_errors=True), ".")
        self.untouched &= set(self._files())
        if not (self.root / NAME).exists():
            self._forget()

    @rule()
    def puts_a_link_in_place_of_the_workbook(self) -> None:
        self._bytes(b"L")
        with as_learner():
            workbook = self.home / "workbook"
            if os.path.lexists(workbook):
                workbook.rename(self.home / f"old{self.written}")
            workbook.symlink_to(f"old{self.written}")
        self.untouched.clear()
        self._forget()

    # Bringing -------------------------------------------------------------------------------------------------------

    @rule()
    def is_brought(self) -> None:
        before = snapshot(self.home)
        with as_learner():
            bring(newest(self.taught), self.home)
        self._lost_nothing(before)
        self._is_up_to_date()
        after = snapshot(self.home)
        with as_learner():
            told = bring(newest(self.taught), self.home)
        assert _without_manifest(snapshot(self.home)) == _without_manifest(after), "a second bring changes nothing"
        assert all("could not be" in sentence for sentence in told), "and has no news"

    @rule(after=st.integers(0, 16))
    def is_killed_while_bringing(self, after: int) -> None:
        before = snapshot(self.home)
        child = os.fork()
        if child == 0:
            try:
                with as_learner(), _interrupted(after, lambda: os._exit(9)):
                    bring(newest(self.taught), self.home)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        self._lost_nothing(before)
        self._forget_what_is_gone()

    @rule(after=st.integers(0, 16))
    def has_a_full_disk(self, after: int) -> None:
        def fail() -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        before = snapshot(self.home)
        with as_learner(), _interrupted(after, fail):
            bring(newest(self.taught), self.home)
        self._lost_nothing(before)
        self._forget_what_is_gone()

    # What has to hold -----------------------------------------------------------------------------------------------

    def _lost_nothing(self, before: dict[str, tuple[str, int, bytes]]) -> None:
        after = snapshot(self.home)
        for path, (kind, mode, data) in before.items():
            if (kind == "file" and data.startswith(b"L")) or kind in ("link", "other"):
                aside = path.replace("workbook", "workbook (yours", 1)
                assert after.get(path) == (kind, mode, data) or any(
                    found.startswith(aside) and after[found] == (kind, mode, data) for found in after
                ), f"the learner's {path} is lost"

    def _is_up_to_date(self) -> None:
        found = snapshot(self.root)
        for path in sorted(self.untouched | set(self.taught)):
            if not self._may_be_written(path):
                continue
            kind, _, data = found.get(path, ("missing", 0, b""))
            if path in self.untouched:
                assert data == self.taught.get(path, b""), f"{path} was not touched, and is not the newest"
            elif path in self.deleted and path != COURSE:
                assert kind == "missing", f"{path} was deleted by the learner, and is there again"
            elif kind == "missing" and path in self.unclear:
                self.deleted.add(path)
            elif kind == "missing":
                raise AssertionError(f"{path} was not brought")
        assert not [path for path in found if STAGING in path], "nothing half-done is left"
        self.untouched = {path for path in self.taught if found.get(path, ("", 0, b""))[2] == self.taught[path]}
        self.arrived = (self.arrived | self.untouched) & set(self.taught)
        self.deleted &= set(self.taught)  # what is taught again is another one
        self.unclear.clear()

    def _may_be_written(self, path: str) -> bool:
        """Whether all above is a folder that the learner may write to, and the file one that they may read."""
        for above in [self.root / path, *(self.root / path).parents]:
            if above == self.home:
                return True
            if os.path.lexists(above) and (above.is_symlink() or not _usable(above, above == self.root / path)):
                return False
        raise AssertionError(path)

    # The model ------------------------------------------------------------------------------------------------------

    def _learner(self, act: Callable[[Path], object], path: str, *others: str) -> None:
        """Let the learner act on a path, and note of what has changed that it is theirs now."""
        before = self._files()
        with as_learner(), contextlib.suppress(OSError):  # they may not, or it is not there
            act(self.root / path)
        after = self._files()
        for changed in {name for name in {*before, *after} if before.get(name) != after.get(name)}:
            if changed in self.arrived and changed not in after:
                self.deleted.add(changed)
            if changed in after:
                self.deleted.discard(changed)
            self.untouched.discard(changed)

    def _forget_what_is_gone(self) -> None:
        """An interrupted bring may have taken away what is no longer taught, or have been about to."""
        found = self._files()
        self.unclear |= (self.arrived | self.deleted) - set(self.taught)
        self.unclear |= found.keys() & self.taught.keys()  # it may have noted that these have come
        self.arrived &= set(self.taught)
        self.deleted &= set(self.taught)
        self.untouched = {path for path in self.untouched if path in found}

    def _forget(self) -> None:
        """The copy's own notes are gone."""
        self.arrived.clear()
        self.deleted.clear()
        self.unclear.clear()

    def _files(self) -> dict[str, tuple[str, bytes]]:
        return {path: (kind, data) for path, (kind, _, data) in snapshot(self.root).items() if kind != "folder"}

    def _bytes(self, whose: bytes) -> bytes:
        self.written += 1
        return b"%s %d" % (whose, self.written)


def _usable(place: Path, is_file: bool) -> bool:
    if is_file and place.is_file():
        return bool(place.stat().st_mode & 0o400)
    return place.is_dir() and place.stat().st_mode & 0o700 == 0o700 and not is_file


def _without_manifest(found: dict[str, tuple[str, int, bytes]]) -> dict[str, tuple[str, int, bytes]]:
    return {path: entry for path, entry in found.items() if not path.endswith(NAME)}


def _interrupted(after: int, end: Callable[[], None]) -> Any:
    """Patch what a bring changes the disk by, so that ``end`` is called in place of the call number ``after``."""
    left = [after]

    def counted(name: str) -> Callable[..., object]:
        original = getattr(Path, name)

        def call(*arguments: object, **options: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                end()
            return original(*arguments, **options)

        return call

    return mock.patch.multiple(Path, **{name: counted(name) for name in CALLS})


@mock.patch("os.fsync")
def test_wherever_a_bring_is_killed_the_next_mends_it(_: mock.Mock) -> None:
    """Between any two changes of the disk, with a file of each fate, and a still newer version to come."""
    for after in itertools.count():
        home = give(Path(tempfile.mkdtemp(prefix="azl-copy-", dir="/tmp")))
        root = home / "workbook" / "notebooks"
        first = {COURSE: b"T1", "same": b"T1", "untouched": b"T1", "changed": b"T1", "deleted": b"T1", "gone/x": b"T1"}
        second = {COURSE: b"T1", "same": b"T1"} | dict.fromkeys(("untouched", "changed", "deleted", "new/x"), b"T2")
        with as_learner():
            bring(newest(first), home)
            (root / "changed").write_bytes(b"L")
            (root / "deleted").unlink()
        child = os.fork()
        if child == 0:
            with as_learner(), _interrupted(after, lambda: os._exit(9)):
                bring(newest(second), home)
            os._exit(0)
        was_killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        with as_learner():
            bring(newest(second | dict.fromkeys(("untouched", "changed", "deleted", "new/x"), b"T3")), home)
        found = {path: data for path, (kind, _, data) in snapshot(root).items() if kind == "file" and path != NAME}
        assert found == {
            COURSE: b"T1", "same": b"T1", "untouched": b"T3", "changed": b"L", "changed (new version)": b"T3",
            "new/x": b"T3",
        }, f"killed in place of call {after}"  # fmt: skip
        shutil.rmtree(home)
        if not was_killed:
            assert after > len(second), "it was killed between any two files"
            return


Workshop.TestCase.settings = settings(
    max_examples=int(os.environ.get("COPIES_EXAMPLES", "20")),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestWorkshop = Workshop.TestCase
