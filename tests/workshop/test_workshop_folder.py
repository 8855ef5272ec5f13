"""The workshop's folder: who may pass through it."""

from __future__ import annotations

from pathlib import Path

import pytest

from workshop.folder import Folder, FolderError


def test_learners_could_not_get_through_a_private_folder(tmp_path: Path) -> None:
    """As below a home that is its owner's only: the notebooks could not be brought into theirs."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(FolderError, match=rf"chmod o\+x {private}"):
        Folder(private / "workshop").create()
