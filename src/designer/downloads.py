"""What the inputs of a graph name, fetched from a workspace: registered models and data, and places in datastores."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from designer.errors import GraphError, Problem
from designer.graph import GraphInput
from helpers.datastores import datastore_files

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

ASSET = re.compile(r"azureml:(?P<name>[^/:@]+)(:(?P<version>[^/:]+)|@(?P<label>[^/:]+))")
PLACE = re.compile(r"azureml://(.*/)?datastores/(?P<datastore>[^/]+)/paths/(?P<path>.*)")


def download(ml_client: MLClient, name: str, wanted: GraphInput, folder: Path) -> Path:
    """Fetch what an input of a graph names, and return the folder that it is in.

    Args:
        ml_client: the connected workspace.
        name: the input's, as an error names it.
        wanted: the input; its path names a model or data (``azureml:<name>:<version>``), a place in a datastore
            (``azureml://datastores/<datastore>/paths/<path>``), or a folder on this machine.
        folder: where to put it.

    Raises:
        GraphError: the path is none of these, or there is nothing.
    """
    path = str(wanted.path or "")
    if path and Path(path).is_dir():
        return Path(path)
    if found := ASSET.fullmatch(path):
        path = _path_of_asset(ml_client, wanted.type, found)
    place = PLACE.fullmatch(path)
    if place is None:
        raise GraphError(Problem(f"{path or 'Nothing'!r} is no asset, no place in a datastore, and no folder.", name))
    if not _download(ml_client, place["datastore"], place["path"].strip("/") + "/", folder):
        raise GraphError(Problem(f"There is nothing at {path}.", name))
    return folder


def _path_of_asset(ml_client: MLClient, type_name: str, found: re.Match[str]) -> str:
    operations = ml_client.models if type_name.endswith("_model") else ml_client.data
    return str(operations.get(found["name"], version=found["version"], label=found["label"]).path)


def _download(ml_client: MLClient, datastore: str, prefix: str, folder: Path) -> int:
    """Write the files whose names begin with a prefix; return how many there are."""
    container = datastore_files(ml_client, datastore)
    names = [name for name in container.list_blob_names(name_starts_with=prefix) if not name.endswith("/")]
    for name in names:
        target = folder.joinpath(PurePosixPath(name.removeprefix(prefix)))
        if not target.resolve().is_relative_to(folder.resolve()):
            raise GraphError(Problem(f"{name} leads out of its folder."))
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            container.download_blob(name).readinto(file)
    return len(names)
