"""Components by which data comes in."""

from __future__ import annotations

import io

import pandas as pd

from .dataset import Dataset


def enter_data_manually(data: str, has_header: bool = True) -> Dataset:
    """Make a small dataset of typed text."""
    return Dataset(pd.read_csv(io.StringIO(data), header=0 if has_header else None))
