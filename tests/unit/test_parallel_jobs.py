"""azureml_local.engines.jobs.parallel: mini-batches, workers, what fails, and what is left.

What is expected: https://learn.microsoft.com/azure/machine-learning/how-to-use-parallel-job-in-pipeline,
reference-yaml-job-parallel, how-to-debug-parallel-run-step, how-to-batch-scoring-script and reference-yaml-mltable.
"""

from __future__ import annotations

from pathlib import Path

from parallel_runs import job

NAMES = """
    import os

    def run(mini_batch):
        return [os.path.basename(path) for path in mini_batch]
"""
TEN = {f"{number}.txt": str(number) for number in range(10)}


def test_each_file_once_in_order(tmp_path: Path) -> None:
    run = job(tmp_path, NAMES, TEN, mini_batch_size="3")
    assert run.run() is None
    assert run.rows == sorted(TEN)
    assert (run.tally.total, run.tally.done, run.tally.succeeded_items) == (4, 4, 10)
