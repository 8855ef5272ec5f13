"""What needs a real Docker engine, Spark, network namespaces or the like: of `make test-all`, not of `make test`.

One after the other, on a machine that does nothing else: an engine and a network namespace are the machine's, not a
test's own.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import wheelhouses


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark this folder's tests, so that `-m "not heavy"` leaves them out wherever they are collected."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.heavy)


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the set-up takes from a network, in a folder whose name has a blank."""
    return wheelhouses.make(tmp_path_factory.mktemp("stick") / "the wheelhouse")
