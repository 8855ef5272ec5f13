"""What a graph's inputs name, fetched from a workspace that holds it; a store that would write elsewhere is refused."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from designer import downloads
from designer.downloads import download
from designer.errors import GraphError
from designer.graph import GraphInput

STORE = (
    "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/workspaceblobstore/paths/LocalUpload/1/model"
)
FILES = {
    "LocalUpload/1/model/model.json": b"{}",
    "LocalUpload/1/model/inner dir/weights.bin": b"12",
    "LocalUpload/1/model2/other.json": b"other",
    "evil/../../outside.txt": b"evil",
}


class Container:
    """Blobs by their names, as a container client hands them out."""

    def list_blob_names(self, name_starts_with: str) -> list[str]:
        return [name for name in FILES if name.startswith(name_starts_with)]

    def download_blob(self, name: str) -> Any:
        return SimpleNamespace(readinto=lambda file: file.write(io.BytesIO(FILES[name]).read()))


class Assets:
    """Assets by name, each at its path."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.asked: list[tuple[str, Any, Any]] = []

    def get(self, name: str, version: str | None = None, label: str | None = None) -> Any:
        self.asked.append((name, version, label))
        return SimpleNamespace(path=STORE)


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(downloads, "datastore_files", lambda ml_client, name: Container())
    return SimpleNamespace(models=Assets("models"), data=Assets("data"))


def test_a_model_is_fetched_with_its_folders(workspace: Any, tmp_path: Path) -> None:
    place = download(workspace, "model", GraphInput("custom_model", "azureml:MD-prices:3"), tmp_path / "model")
    found = {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert found == {"model.json": b"{}", "inner dir/weights.bin": b"12"}
    assert workspace.models.asked == [("MD-prices", "3", None)]
    assert not workspace.data.asked


def test_data_is_fetched_by_its_label(workspace: Any, tmp_path: Path) -> None:
    download(workspace, "data", GraphInput("uri_folder", "azureml:flights@latest"), tmp_path)
    assert workspace.data.asked == [("flights", None, "latest")]


@pytest.mark.parametrize("path", [STORE, "azureml://datastores/workspaceblobstore/paths/LocalUpload/1/model/"])
def test_a_place_in_a_datastore_is_fetched(workspace: Any, tmp_path: Path, path: str) -> None:
    download(workspace, "data", GraphInput("uri_folder", path), tmp_path)
    assert (tmp_path / "model.json").is_file()


def test_a_folder_of_this_machine_is_taken_as_it_is(workspace: Any, tmp_path: Path) -> None:
    assert download(workspace, "data", GraphInput("uri_folder", str(tmp_path)), tmp_path / "to") == tmp_path


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (None, "no asset, no place in a datastore, and no folder"),
        ("https://example.com/flights.csv", "no asset, no place in a datastore, and no folder"),
        ("azureml://datastores/workspaceblobstore/paths/nowhere", "There is nothing at"),
        ("azureml://datastores/workspaceblobstore/paths/evil", "leads out of its folder"),
    ],
)
def test_refuses_what_it_cannot_fetch(workspace: Any, tmp_path: Path, path: str | None, said: str) -> None:
    with pytest.raises(GraphError, match=said):
        download(workspace, "data", GraphInput("uri_folder", path), tmp_path / "a" / "b")
    assert not list(tmp_path.rglob("outside.txt"))
