"""How pytest treats the notebooks (nbval)."""

import pytest


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Leave standard error out of the comparison: it holds progress bars and warnings, no results."""
    if collector.nodeid.endswith(".ipynb"):
        collector.skip_compare += ("stderr",)  # type: ignore[attr-defined]
