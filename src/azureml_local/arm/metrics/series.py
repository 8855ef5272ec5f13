"""What a metric was over time: its minutes, filtered by dimensions, put together to longer grains.

Where a metric has several series, those that add up (requests by status code) are summed in each minute before anything
else is done with them; the others (CPU by instance) are values side by side.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from azureml_local.arm.metrics.definitions import Metric
from azureml_local.engines.metric_store import Point, Sample


def minutes(metric: Metric, points: Iterable[Point]) -> dict[float, list[Sample]]:
    """Return the samples of each minute, by when it began: one where the metric adds up, else one a series."""
    found: defaultdict[float, list[Sample]] = defaultdict(list)
    for point in points:
        found[point.start].append(point.sample)
    if metric.adds_up:
        return {start: [Sample.of(sum(one.total for one in samples))] for start, samples in found.items()}
    return dict(found)


def grains(samples: Mapping[float, Sequence[Sample]], length: float) -> dict[float, list[Sample]]:
    """Return the samples of each grain of so many real seconds, by when it began, in order."""
    found: defaultdict[float, list[Sample]] = defaultdict(list)
    for start, those in sorted(samples.items()):
        found[math.floor(start / length + 1e-9) * length].extend(those)
    return dict(found)


def merged(samples: Iterable[Sample]) -> Sample:
    """Return several samples as one."""
    count, total, minimum, maximum = zip(
        *((one.count, one.total, one.minimum, one.maximum) for one in samples), strict=True
    )
    return Sample(sum(count), sum(total), min(minimum), max(maximum))
