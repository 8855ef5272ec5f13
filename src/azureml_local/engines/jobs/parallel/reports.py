"""What a parallel job leaves, written from its ledger: its rows, and reports for whoever looks into its logs.

https://learn.microsoft.com/azure/machine-learning/how-to-debug-parallel-run-step#debugging-scripts-from-remote-context
The columns of the table of processed mini-batches are those of the ParallelRunStep performance tuning guide.
"""

from __future__ import annotations

import csv
import datetime
from collections.abc import Iterator
from pathlib import Path
from sqlite3 import Row

from azureml_local.engines.jobs.parallel import verdict
from azureml_local.engines.jobs.parallel.ledger import Ledger, Tally
from azureml_local.engines.jobs.spec import ParallelTask

MOST_ERRORS = 100  # kinds of them in the summary
README = """What is in these folders:
job_progress_overview.<time>.txt        how many mini-batches there are, and how many have been processed
job_result.txt                          how the job ended, and why it failed where it did
job_error.txt                           a summary of the errors in the entry script
sys/job_report/processed_mini-batches.csv   each try at a mini-batch: where, how long, how it ended
user/entry_script_log/<node>/<process>.log.txt    what the script has logged with EntryScript().logger
user/stdout/<node>/<process>.stdout.txt           what it has printed
user/stderr/<node>/<process>.stderr.txt           what it has written to standard error
user/error/<node>/<process>.txt                   the tracebacks of what it has raised
"""
COLUMNS = (
    "Mini-batch Id",
    "Picked Count",
    "Process",
    "Start Time",
    "Total",
    "Succeeded",
    "Failed",
    "Elapsed Seconds",
    "Process Seconds",
    "Run Method Seconds",
    "Status",
    "Error Category",
    "Error Message",
    "Mini-batch Detail",
)


def write_rows(ledger: Ledger, target: Path) -> None:
    """Write what ``run`` has returned into a file, in the order of the mini-batches. Nothing is written of nothing."""
    rows = ledger.rows()
    first = next(rows, None)
    if first is None:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.write(first)
        file.writelines(rows)


def result_lines(task: ParallelTask, tally: Tally, why: str | None) -> Iterator[str]:
    """Yield how a job has ended."""
    threshold = verdict.IGNORE if task.error_threshold is None else task.error_threshold
    yield (
        f"There are {tally.total} mini batches. Processed {tally.finished} mini batches containing {tally.items} "
        f"items, {tally.succeeded_items} succeeded, {tally.failed_items} failed. The error threshold is {threshold}."
    )
    if why:
        yield f"The job failed. {why}"
    else:
        yield f"All {tally.total} mini batches have been processed. The job succeeded."


def write(ledger: Ledger, task: ParallelTask, why: str | None, folder: Path) -> None:
    """Write the reports.

    Args:
        ledger: the job's.
        task: the job's.
        why: it failed; None where it did not.
        folder: that of the logs.
    """
    report = folder / "sys" / "job_report"
    report.mkdir(parents=True, exist_ok=True)
    with (report / "processed_mini-batches.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for tried in ledger.tries():
            table.writerow(_line(tried))
    (folder / "readme.txt").write_text(README)
    (folder / "job_result.txt").write_text("\n".join([*result_lines(task, ledger.tally(), why), ""]))
    errors = [f"{count} x {error}\n" for error, count in ledger.errors(MOST_ERRORS)]
    if errors:
        (folder / "job_error.txt").write_text("".join(errors))


def _line(tried: Row) -> tuple[object, ...]:
    items = tried["items"]
    return (
        tried["mini_batch"],
        tried["number"],
        f"{tried['node']}/{tried['process']}",
        datetime.datetime.fromtimestamp(tried["started_at"], datetime.UTC).isoformat().removesuffix("+00:00"),
        items,
        tried["succeeded"],
        None if items is None else max(0, items - tried["succeeded"]),
        round(tried["elapsed"], 6),
        tried["process_seconds"],
        tried["run_seconds"],
        tried["status"],
        "User" if tried["error"] else None,
        tried["error"],
        tried["detail"],
    )
