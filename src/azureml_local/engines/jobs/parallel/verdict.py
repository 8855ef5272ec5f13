"""Says whether a parallel job fails, and why.

The rules: https://learn.microsoft.com/azure/machine-learning/how-to-use-parallel-job-in-pipeline#consider-automation-settings
The sentences are Azure's where public reports of such jobs, or its pages on troubleshooting, show them.
"""

from __future__ import annotations

from azureml_local.engines.jobs.parallel.ledger import Tally
from azureml_local.engines.jobs.spec import ParallelTask

IGNORE = -1  # of a threshold
STATUS = 42  # "Exit 42 means the job failed": how-to-debug-parallel-run-step
WHERE = "Please check logs at logs/user/error/* for details."
NOTHING = (
    "No succeeded mini batch item returned from run(). Please check 'response: run()' in "
    "https://aka.ms/batch-inference-documentation."
)
EMPTY = "No mini batch was created: the input {} holds no files or rows."


def counts_as_failed(task: ParallelTask, succeeded: int, items: int) -> bool:
    """Say whether a mini-batch whose ``run`` returned is a failed one: it returned fewer than there were items.

    An error threshold of -1 means that nothing is concluded from what ``run`` returns, as says Microsoft's sample that
    returns nothing of each partition (azureml-examples, jobs/parallel/1a_oj_sales_prediction).
    """
    return task.error_threshold != IGNORE and succeeded < items


def exceeded(task: ParallelTask, tally: Tally) -> str | None:
    """Return why a job is to be ended at once, or None."""
    allowed = IGNORE if task.error_threshold is None else task.error_threshold
    if allowed != IGNORE and tally.failed_items > allowed:
        return f"The number of failed items is {tally.failed_items}, which exceeds error threshold {allowed}."
    allowed = task.mini_batch_error_threshold
    if allowed != IGNORE and tally.failed > allowed:
        return f"The number of failed mini batches is {tally.failed}, which exceeds error threshold {allowed}."
    if tally.failed * 100 > tally.total * task.allowed_failed_percent:
        return (
            f"The percent of failed mini batches is {tally.failed * 100 / tally.total:.3g}, which exceeds the allowed "
            f"failed percent {task.allowed_failed_percent}."
        )
    return None


def at_the_end(task: ParallelTask, tally: Tally) -> str | None:
    """Return why a job whose mini-batches have all ended has failed, or None."""
    if not tally.total:
        return EMPTY.format(task.input)
    if task.rows_output and not tally.succeeded_items:
        return NOTHING
    if tally.failed == tally.total and not tally.succeeded_items:
        return f"The run() function in the entry script had raised exception for {tally.failed} times. {WHERE}"
    return exceeded(task, tally)


def as_error(log: str, why: str) -> str:
    """Return a job's error, as its run shows it; ``log`` is that of the node that tells."""
    return (
        f"Execution failed. User process 'python' exited with status code {STATUS}. "
        f"Please check log file '{log}' for error details. Error: {why}"
    )
