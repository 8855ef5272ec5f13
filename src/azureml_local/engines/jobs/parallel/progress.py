"""Tells how a whole parallel job goes on: in a log of it, and as metrics of its run. Its first node does that."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping

from azureml_local.engines.jobs.parallel.ledger import Tally
from azureml_local.engines.log_blob import LogBlob

SECONDS_BETWEEN_LINES = 1.0


class Progress:
    """The progress of a job, as one of its nodes tells it.

    Args:
        log: opens a log of the run by its name.
        log_metrics: takes what is measured of the job.
        prefix: what the names of metrics begin with.
        is_told: by this node.
    """

    def __init__(
        self,
        log: Callable[[str], LogBlob],
        log_metrics: Callable[[Mapping[str, float]], None],
        prefix: str,
        *,
        is_told: bool,
    ) -> None:
        self._log = log
        self._log_metrics = log_metrics
        self._prefix = prefix
        self._is_told = is_told
        self._begun = self._last_line = time.monotonic()
        self._name = f"logs/job_progress_overview.{datetime.datetime.now(datetime.UTC):%Y%m%d%H%M%S}.txt"
        self.items: int | None = None  # of all mini-batches, where that is known before they are read

    def say(self, text: str) -> None:
        """Add to the log."""
        if self._is_told:
            self._log(self._name).say(text)

    def show(self, tally: Tally) -> None:
        """Tell how the job stands, unless that was told just now."""
        now = time.monotonic()
        if now - self._last_line < SECONDS_BETWEEN_LINES and tally.finished < tally.total:
            return
        self._last_line = now
        self.measure(tally)
        elapsed = now - self._begun
        left = elapsed * (tally.total - tally.finished) / max(tally.finished, 1)
        self.say(
            f"Processed {tally.finished} of {tally.total} mini batches in {_time(elapsed)}. "
            f"Estimate remaining {_time(left)}."
        )

    def measure(self, tally: Tally) -> None:
        """Give the run the metrics that runs of ParallelRunStep show."""
        if not self._is_told:
            return
        metrics = {"Remaining Mini Batches": tally.total - tally.finished, "Failed Items": tally.failed_items}
        if self.items is not None:
            metrics["Remaining Items"] = self.items - tally.items
        self._log_metrics({f"{self._prefix}{name}": value for name, value in metrics.items()})


def _time(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds)))
