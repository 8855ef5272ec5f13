"""A component of the airline's own: in which part of the day a flight leaves."""

import pandas as pd
from designer_modules import Dataset
from designer_modules.columns import select

PARTS = {"night": 5, "morning": 11, "afternoon": 17, "evening": 23}  # the last hour of each


def time_of_day(dataset: Dataset, hour_column: str = "hour") -> Dataset:
    """Add the column time_of_day, one of four categories."""
    (hour,) = select(dataset, hour_column)
    parts = pd.cut(dataset.frame[hour], bins=[-1, *PARTS.values()], labels=list(PARTS))
    return dataset.with_frame(dataset.frame.assign(time_of_day=parts))
