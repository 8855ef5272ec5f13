"""azureml_local.engines.staging: a file and a folder keep their name (service-behaviour.md, ``AZUREML_MODEL_DIR``),
and no blob's name leads out of its folder (CWE-22)."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from azureml_local.engines import staging
from azureml_local.engines.blobs import BlobStorage
from azureml_local.engines.staging import BlobPath, StagingError, download, inside
from azureml_local.http.upstream import UpstreamError


class Blobs:
    """Stands for the storage: names and their content."""

    def __init__(self, *names: str) -> None:
        self.names = names

    async def list_blobs(self, _: str, prefix: str) -> list[str]:
        return [name for name in self.names if name.startswith(prefix)]

    async def read_blob(self, _: str, name: str) -> AsyncIterator[bytes]:
        yield name.encode()[:3]
        yield name.encode()[3:]


def stage(path: str, folder: Path, *names: str) -> Path:
    return asyncio.run(download(cast(BlobStorage, Blobs(*names)), BlobPath("c", path), folder))


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_file_keeps_its_name(tmp_path: Path) -> None:
    assert stage("a/b/model.pkl", tmp_path, "a/b/model.pkl", "a/b/model.pkl.bak") == tmp_path / "model.pkl"
    assert tree(tmp_path) == {"model.pkl": "a/b/model.pkl"}


def test_folder_keeps_its_name(tmp_path: Path) -> None:
    assert stage("a/net", tmp_path, "a/net/x", "a/net/y/z", "a/network/no") == tmp_path / "net"
    assert tree(tmp_path) == {"net/x": "a/net/x", "net/y/z": "a/net/y/z"}


def test_whole_container(tmp_path: Path) -> None:
    assert stage("", tmp_path, "score.py", "sub/x") == tmp_path
    assert tree(tmp_path) == {"score.py": "score.py", "sub/x": "sub/x"}


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(StagingError, match="a/net"):
        stage("a/net", tmp_path, "a/network/no")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a", "a/../../evil"),
        ("a", "a/../../../evil"),
        ("", "../evil"),
        ("", "/evil"),
        ("", "//evil"),
        ("", "x/../../evil"),
    ],
)
def test_names_that_lead_out_are_refused(path: str, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"
    folder.mkdir(parents=True)
    with pytest.raises(StagingError):
        stage(path, folder, name)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("relative", ["../x", "a/../../x", "/etc/passwd", "..", "a/b/../../..", "a\0b"])
def test_paths_that_lead_out_are_refused(relative: str, tmp_path: Path) -> None:
    with pytest.raises(StagingError):
        inside(tmp_path, relative)


@pytest.mark.parametrize("relative", ["x", "a/b", "a/../b", "..x", "."])
def test_paths_that_stay_inside(relative: str, tmp_path: Path) -> None:
    assert inside(tmp_path, relative).is_relative_to(tmp_path.resolve())


@pytest.mark.parametrize(
    "names",
    [
        ("a", "a/b"),  # a file that is a folder, too
        ("a/b", "a//b"),
        ("a/b", "a/./b"),
        ("a/b", "a/c/../b"),
        ("x" * 300,),  # longer than a file's name may be
        ("a/" * 3000 + "b",),
        ("a\0b",),
    ],
    ids=lambda names: repr(names)[:40],
)
def test_names_that_are_no_separate_files_here(names: tuple[str, ...], tmp_path: Path) -> None:
    """A blob's name is any text (https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata);
    none may silently take another one's place."""
    with pytest.raises(StagingError):
        stage("", tmp_path / "f", *names)


@pytest.mark.parametrize(
    "name", ["..\\..\\evil", "%2e%2e%2fevil", "..%2fevil", "C:\\evil", "~/evil", "...", ". ", "é", "e\u0301"]
)
def test_names_that_only_look_like_a_way_out(name: str, tmp_path: Path) -> None:
    """Names are not decoded a second time, and a backslash separates nothing here."""
    stage("", tmp_path, name)
    assert set(tree(tmp_path).values()) == {name}


def test_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to("/etc")
    with pytest.raises(StagingError):
        inside(tmp_path / "folder", "link/passwd")


class ComesBack(Blobs):
    """Stands for storage that is being started again: it answers after so many attempts."""

    def __init__(self, failures: int, *names: str) -> None:
        super().__init__(*names)
        self.failures = failures

    async def list_blobs(self, container: str, prefix: str) -> list[str]:
        self.failures -= 1
        if self.failures >= 0:
            raise UpstreamError("nothing answers")
        return await super().list_blobs(container, prefix)


def test_storage_that_is_started_again_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "LOOK_AGAIN_AFTER", 0.0)
    blobs = cast(BlobStorage, ComesBack(3, "a/x"))
    assert asyncio.run(download(blobs, BlobPath("c", "a"), tmp_path)) == tmp_path / "a"
    assert tree(tmp_path) == {"a/x": "a/x"}


class BreaksInTheMiddle(Blobs):
    """Stands for storage that ends while a blob is read, once."""

    has_broken = False

    async def read_blob(self, container: str, name: str) -> AsyncIterator[bytes]:
        async for piece in super().read_blob(container, name):
            yield piece
            if not self.has_broken and name.endswith("2"):
                self.has_broken = True
                raise UpstreamError("it ended in the middle")


def test_download_goes_on_where_storage_ended_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "LOOK_AGAIN_AFTER", 0.0)
    blobs = BreaksInTheMiddle("a/file1", "a/file2", "a/file3")
    asyncio.run(download(cast(BlobStorage, blobs), BlobPath("c", "a"), tmp_path))
    assert blobs.has_broken
    assert tree(tmp_path) == {name: name for name in blobs.names}


def test_storage_that_does_not_come_back_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "LOOK_AGAIN_AFTER", 0.0)
    monkeypatch.setattr(staging, "STORAGE_IS_BACK_WITHIN", 0.05)
    with pytest.raises(UpstreamError):
        asyncio.run(download(cast(BlobStorage, ComesBack(10**9, "a/x")), BlobPath("c", "a"), tmp_path))


def test_full_disk_is_not_taken_for_a_missing_blob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space left") as caught:
        stage("a", tmp_path, "a/x")
    assert caught.value.errno == errno.ENOSPC


def test_file_whose_name_is_no_text_is_named(tmp_path: Path) -> None:
    """A file's name on Linux is bytes, a blob's is text."""
    Path(os.fsdecode(bytes(tmp_path / "caf") + b"\xe9")).touch()
    with pytest.raises(StagingError, match=r"caf\\udce9' cannot be brought into storage"):
        asyncio.run(staging.upload(cast(BlobStorage, Blobs()), tmp_path, BlobPath("c", "f")))
