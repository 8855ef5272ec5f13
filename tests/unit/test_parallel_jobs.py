"""azureml_local.engines.jobs.parallel: mini-batches, workers, what fails, and what is left.

What is expected: https://learn.microsoft.com/azure/machine-learning/how-to-use-parallel-job-in-pipeline,
reference-yaml-job-parallel, how-to-debug-parallel-run-step, how-to-batch-scoring-script and reference-yaml-mltable.
"""

from __future__ import annotations

import ast
import asyncio
import csv
import os
import signal
import textwrap
from pathlib import Path

import pandas
import psutil
import pytest

from azureml_local.engines.jobs.parallel.ledger import Ledger
from azureml_local.engines.jobs.parallel.messages import MLFLOW_SCRIPT
from azureml_local.engines.jobs.parallel.scripts import imports
from azureml_local.engines.jobs.parallel.supervisor import JobFailedError, Supervisor
from azureml_local.engines.jobs.parallel.workers import PROGRAM
from azureml_local.engines.staging import BlobPath
from parallel_runs import INPUT, ParallelRun, job

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


def test_progress_is_measured(tmp_path: Path) -> None:
    """By the names that runs of ParallelRunStep show."""
    run = job(tmp_path, FAILS, TEN, mini_batch_size="1", max_retries=0, metrics_prefix="mine ")
    assert run.run() is None
    assert run.metrics[0] == {"mine Remaining Mini Batches": 10, "mine Remaining Items": 10, "mine Failed Items": 0}
    assert run.metrics[-1] == {"mine Remaining Mini Batches": 0, "mine Remaining Items": 0, "mine Failed Items": 2}
    overview = run.log("logs/job_progress_overview.")
    assert "Scheduled 10 mini batches." in overview
    assert "Processed 10 of 10 mini batches in" in overview
    assert "All 10 mini batches have been processed. The job succeeded." in overview


# --- what scripts return ---


def test_elements_of_lists_are_lines_and_tables_have_spaces_and_no_names(tmp_path: Path) -> None:
    """How-to-batch-scoring-script: "the output file doesn't include those names"; its notebooks read ``sep=" "``."""
    script = """
        import pandas as pd

        def run(mini_batch):
            names = [path.rsplit("/")[-1] for path in mini_batch]
            if names[0] < "2":
                return [(name, len(name)) for name in names]
            return pd.DataFrame({"file": names, "text": ["a b"] * len(names), "half": 0.5})
    """
    run = job(tmp_path, script, dict.fromkeys(["1.a", "1.b", "3.a", "3.b"], ""), mini_batch_size="2")
    assert run.run() is None
    assert run.rows == ["('1.a', 3)", "('1.b', 3)", '3.a "a b" 0.5', '3.b "a b" 0.5']


@pytest.mark.parametrize("returned", ["(name for name in names)", "tuple(names)", "numpy.array(names)"])
def test_whatever_has_a_length_is_taken(tmp_path: Path, returned: str) -> None:
    script = f"""
        import numpy

        def run(mini_batch):
            names = mini_batch
            return {returned}
    """
    if returned.startswith("(name for"):
        script = script.replace("return (name for name in names)", "yield from names")
    run = job(tmp_path, script, TEN, mini_batch_size="5")
    assert run.run() is None
    assert len(run.rows) == 10


@pytest.mark.parametrize("returned", ["None", "'text'", "3"])
def test_what_has_no_items_is_an_error(tmp_path: Path, returned: str) -> None:
    run = job(tmp_path, f"def run(mini_batch):\n    return {returned}", {"a": ""}, max_retries=1)
    why = run.run()
    assert why is not None
    assert "No succeeded mini batch item returned from run()." in why
    assert "should return a list or a pandas DataFrame" in run.log("logs/user/error/0/process000.txt")
    assert run.tally.failed == 1


def test_rows_are_left_out_of_a_summary(tmp_path: Path) -> None:
    run = job(tmp_path, NAMES, TEN, rows_output=None)
    assert run.run() is None
    assert list(run.output.iterdir()) == []
    assert run.tally.succeeded_items == 10


# --- what scripts find ---


def test_arguments_context_and_helper(tmp_path: Path) -> None:
    script = """
        import argparse, logging, os, sys
        from azureml_user.parallel_run import EntryScript

        def init():
            global given
            parser = argparse.ArgumentParser()
            parser.add_argument("--threshold", type=float)
            parser.add_argument("--out")
            parser.add_argument("--logging_level")
            given, _ = parser.parse_known_args()
            assert EntryScript() is EntryScript()
            EntryScript().logger.info("in init")
            logging.info("by logging")
            print("printed")
            print("to stderr", file=sys.stderr)

        def run(mini_batch, mini_batch_context):
            return [(given.threshold, given.out, given.logging_level, mini_batch_context.minibatch_index,
                     EntryScript().agent_name, os.environ["AZUREML_BI_OUTPUT_PATH"],
                     os.environ["AZURE_ML_OUTPUT_scores"])]

        def shutdown():
            EntryScript().logger.info("in shutdown")
    """
    arguments = "--threshold ${{inputs.limit}} --out ${{outputs.scores}} --error_threshold 5"
    run = job(tmp_path, script, {"a": ""}, arguments=arguments)
    run.values = {"inputs.limit": "0.25"}
    assert run.run() is None
    assert (
        run.rows == [str((0.25, str(run.output), "INFO", 0, "process000", str(run.output), str(run.output)))]
        or "process001" in run.rows[0]
    )
    kept = "".join(path.read_text() for path in run.kept("user/entry_script_log/0").iterdir())
    assert "in init" in kept
    assert "in shutdown" in kept
    assert "INFO:root:by logging" in run.log("logs/user/stdout/0/")
    assert "printed" in run.log("logs/user/stdout/0/")
    assert "to stderr" in run.log("logs/user/stderr/0/")


def test_script_is_loaded_once_a_worker(tmp_path: Path) -> None:
    script = """
        import os

        def init():
            with open(os.environ["AZUREML_BI_OUTPUT_PATH"] + "/inits", "a") as file:
                file.write("x")

        def run(mini_batch):
            return mini_batch
    """
    run = job(tmp_path, script, TEN, mini_batch_size="1", workers=2)
    run.nodes = 2
    assert run.run() is None
    assert len((run.output / "inits").read_text()) <= 4
    assert len(run.rows) == 10


def test_no_more_workers_start_than_there_is_work_or_room_for(tmp_path: Path) -> None:
    run = job(tmp_path, NAMES, {"a": ""}, workers=500)
    assert run.run() is None
    ledger = Ledger(run.folder)
    assert ledger.new_process(0) <= (os.cpu_count() or 1)  # as many have started
    ledger.close()


def test_what_scripts_import_as_they_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "own.py").touch()
    script = tmp_path / "score.py"
    script.write_text(
        "import os, own.part\nfrom pandas.api import types\nfrom . import near\nimport os\ndef init():\n    import json"
    )
    assert imports(script, tmp_path) == ["os", "pandas.api"]
    script.write_text("import (")
    assert imports(script, tmp_path) == []
    assert imports(tmp_path / "absent.py", tmp_path) == []


# --- what fails ---

FAILS = """
    def run(mini_batch):
        if any(path.endswith(("3.txt", "7.txt")) for path in mini_batch):
            raise ValueError("bad file")
        return mini_batch
"""


def test_failing_mini_batches_within_the_threshold(tmp_path: Path) -> None:
    run = job(tmp_path, FAILS, TEN, mini_batch_size="1", error_threshold=2, mini_batch_error_threshold=2, max_retries=1)
    assert run.run() is None
    assert len(run.rows) == 8
    assert (run.tally.failed, run.tally.failed_items) == (2, 2)
    with run.kept("sys/job_report/processed_mini-batches.csv").open() as file:
        tries = list(csv.DictReader(file))
    assert [(row["Picked Count"], row["Status"]) for row in tries if row["Mini-batch Id"] == "3"] == [
        ("1", "RUN_EXCEPTION"),
        ("2", "RUN_EXCEPTION"),
    ]
    assert "4 x ValueError: bad file" in run.kept("job_error.txt").read_text()
    assert "The job succeeded." in run.kept("job_result.txt").read_text()
    assert "line 4, in run" in run.log("logs/user/error/0/")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"error_threshold": 1}, "The number of failed items is 2, which exceeds error threshold 1."),
        ({"mini_batch_error_threshold": 1}, "The number of failed mini batches is 2, which exceeds error threshold 1."),
        ({"allowed_failed_percent": 10}, "The percent of failed mini batches is 20, which exceeds"),
    ],
)
def test_job_over_a_threshold_fails_and_keeps_its_rows(tmp_path: Path, settings: dict[str, int], why: str) -> None:
    run = job(tmp_path, FAILS, TEN, mini_batch_size="1", max_retries=0, workers=1, **settings)
    error = run.run()
    assert error is not None
    assert error.startswith("Execution failed. User process 'python' exited with status code 42.")
    assert why in error
    assert len(run.rows) == 6  # those before 7.txt, but 3.txt
    assert why in run.kept("job_result.txt").read_text()
    assert why in run.log("user_logs/std_log_0.txt")


def test_fewer_rows_than_items_fail_that_many_items(tmp_path: Path) -> None:
    script = "def run(mini_batch):\n    return mini_batch[:1]"
    run = job(tmp_path, script, TEN, mini_batch_size="5", error_threshold=8, mini_batch_error_threshold=2)
    assert run.run() is None
    assert len(run.rows) == 2
    assert (run.tally.failed, run.tally.failed_items, run.tally.succeeded_items) == (2, 8, 2)


def test_what_is_returned_is_not_counted_where_the_error_threshold_is_minus_one(tmp_path: Path) -> None:
    """As in Microsoft's sample 1a_oj_sales_prediction, which returns nothing of 99 partitions and allows 10 to fail."""
    run = job(
        tmp_path, "def run(mini_batch):\n    return []", TEN, rows_output=None, error_threshold=-1,
        mini_batch_error_threshold=0, mini_batch_size="1",
    )  # fmt: skip
    assert run.run() is None


def test_all_mini_batches_fail(tmp_path: Path) -> None:
    run = job(tmp_path, "def run(mini_batch):\n    raise OSError('x')", TEN, rows_output=None, max_retries=0)
    error = run.run()
    assert error is not None
    assert "The run() function in the entry script had raised exception for 10 times." in error


def test_hanging_run_is_ended_and_tried_again(tmp_path: Path) -> None:
    script = """
        import os, time

        def run(mini_batch):
            marker = os.environ["AZUREML_BI_OUTPUT_PATH"] + "/seen"
            if mini_batch[0].endswith("3.txt") and not os.path.exists(marker):
                open(marker, "w").close()
                time.sleep(600)
            return mini_batch
    """
    run = job(tmp_path, script, TEN, mini_batch_size="1", workers=1, timeout=1.0)
    assert run.run() is None
    assert len(set(run.rows)) == len(run.rows) == 10
    assert "did not finish in 1 seconds" in run.log("user_logs/std_log_0.txt")


@pytest.mark.parametrize("death", ["os._exit(3)", "os.kill(os.getpid(), signal.SIGKILL)", "sys.exit(3)"])
def test_script_that_dies_is_started_again_and_its_mini_batch_is_tried_again(tmp_path: Path, death: str) -> None:
    script = f"""
        import os, signal, sys

        def run(mini_batch):
            if mini_batch[0].endswith("3.txt"):
                {death}
            return mini_batch
    """
    run = job(tmp_path, script, TEN, mini_batch_size="1", workers=1, max_retries=1)
    assert run.run() is None
    assert len(set(run.rows)) == len(run.rows) == 9
    assert f"exits with returncode {-9 if 'KILL' in death else 3}." in run.log("user_logs/std_log_0.txt")
    assert run.log("user_logs/std_log_0.txt").count("try 2") == 1


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("def init(): 1 / 0\ndef run(x): return x", "init() function in the entry script had raised exception for 3"),
        ("import nothing_of_this_name\ndef run(x): return x", "No module named 'nothing_of_this_name'"),
        ("def run(:", "SyntaxError"),
        ("def init(): pass", "The entry script score.py has no function run(mini_batch)."),
        ("import os\nos._exit(5)", "exits with returncode 5."),
    ],
)  # fmt: skip
def test_script_that_cannot_be_loaded(tmp_path: Path, script: str, why: str) -> None:
    run = job(tmp_path, script, TEN, workers=1)
    error = run.run()
    assert error is not None
    assert why in error
    assert run.tally.finished == 0
    result = run.kept("job_result.txt").read_text()
    assert why in result
    assert "10 mini batches were not processed." in result


def test_missing_script(tmp_path: Path) -> None:
    run = job(tmp_path, NAMES, TEN)
    supervisors = asyncio.run(_without_script(run))
    assert supervisors == ["The entry script score.py does not exist in the code of the job."]


async def _without_script(run: ParallelRun) -> list[str]:
    nodes = run.begin()
    (run.folder / "1-0/exe/wd/score.py").unlink()
    return [str(why).rpartition("Error: ScriptError: ")[2] for why in await run.attempt(nodes)]


def test_no_progress(tmp_path: Path) -> None:
    script = "import time\ndef run(mini_batch):\n    time.sleep(600)"
    run = job(tmp_path, script, TEN, progress_timeout=1.0)
    error = run.run()
    assert error is not None
    assert "No progress update in 1 seconds." in error


def test_only_the_time_of_mini_batches_counts_as_one_without_progress(tmp_path: Path) -> None:
    """Inputs took an hour to come."""

    async def attempt() -> list[str | None]:
        nodes = run.begin()
        loop = asyncio.get_running_loop()
        now = loop.time
        loop.time = lambda: now() + 3600  # type: ignore[method-assign]
        return await run.attempt(nodes)

    run = job(tmp_path, NAMES, TEN, progress_timeout=600.0)
    assert asyncio.run(attempt()) == [None]


def test_failure_is_told_although_another_worker_ends_at_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def attempt() -> list[str | None]:
        nodes = run.begin()
        moment = asyncio.Event()
        asyncio.get_running_loop().call_later(0.01, moment.set)
        serving = iter(range(2))

        async def serve(_: Supervisor) -> None:
            is_second = next(serving) == 1
            await moment.wait()
            if is_second:
                raise JobFailedError("too many")

        monkeypatch.setattr(Supervisor, "_serve", serve)
        return await run.attempt(nodes)

    run = job(tmp_path, NAMES, TEN)
    (error,) = asyncio.run(attempt())
    assert error is not None
    assert "too many" in error


def test_empty_input(tmp_path: Path) -> None:
    error = job(tmp_path, NAMES, {}).run()
    assert error is not None
    assert "No mini batch was created: the input data holds no files or rows." in error


def test_what_a_script_has_started_ends_with_the_job(tmp_path: Path) -> None:
    script = """
        import subprocess

        def run(mini_batch):
            process = subprocess.Popen(["sleep", "600"], start_new_session=True)
            return [process.pid]
    """
    run = job(tmp_path, script, {"a": ""})
    assert run.run() is None
    assert not psutil.pid_exists(int(run.rows[0])) or psutil.Process(int(run.rows[0])).status() == psutil.STATUS_ZOMBIE


# --- attempts ---


@pytest.mark.parametrize("ends", [1, 3])
def test_further_attempt_goes_on_where_the_last_one_was(tmp_path: Path, ends: int) -> None:
    """Each time, the attempt is broken off in the middle of mini-batches, as where a node is preempted."""
    script = """
        import time

        def run(mini_batch):
            time.sleep(0.02)
            with open(f"{mini_batch[0]}.runs", "a") as file:
                file.write("x")
            return [path.rsplit("/")[-1] for path in mini_batch]
    """
    files = {f"{number:03}": "" for number in range(60)}
    run = job(tmp_path, script, files, mini_batch_size="1")
    run.nodes = 2

    async def broken_off(done: int) -> None:
        attempt = asyncio.ensure_future(run.attempt())
        while len(list(run.input.glob("*.runs"))) < done:  # noqa: ASYNC110 - other processes write them
            await asyncio.sleep(0.01)
        attempt.cancel()
        await asyncio.wait([attempt])

    for number in range(ends):
        asyncio.run(broken_off(10 * (number + 1)))
    assert run.run() is None
    assert run.rows == sorted(files)
    runs = [len(path.read_text()) for path in run.input.glob("*.runs")]
    assert sum(runs) <= 60 + ends * 4  # no more than each worker was at


@pytest.mark.parametrize(("is_file", "blob"), [(False, "o/rows.txt"), (True, "o")])
def test_rows_must_be_new_for_the_first_attempt_only(tmp_path: Path, is_file: bool, blob: str) -> None:
    """A later one may find there what the job has brought into storage itself, before the service was killed."""
    run = job(tmp_path, NAMES, TEN, rows_must_be_new=True)
    run.is_file = is_file

    async def looked_for() -> BlobPath | None:
        return await run.supervisor(0).new_rows_target()

    assert asyncio.run(looked_for()) == BlobPath("c", blob)
    assert run.run() is None
    assert asyncio.run(looked_for()) is None


def test_attempt_that_finds_everything_done_ends_as_the_last_did(tmp_path: Path) -> None:
    run = job(tmp_path, FAILS, TEN, mini_batch_size="1", max_retries=0, error_threshold=1, workers=1)
    first = asyncio.run(run.attempt())
    second = run.run()
    assert first[0] is not None
    assert second is not None
    assert first[0].rpartition("Error:")[2] == second.rpartition("Error:")[2].replace("is 2", "is 2")


def test_killed_workers_of_a_large_job(tmp_path: Path) -> None:
    """A thousand mini-batches; workers are killed while it runs. Each row is there once."""
    script = """
        import os

        def run(mini_batch):
            return [f"{os.getpid()} {path.rsplit('/')[-1]}" for path in mini_batch]
    """
    files = {f"{number:04}": "" for number in range(1000)}
    run = job(tmp_path, script, files, mini_batch_size="1", max_retries=5)
    run.nodes = 2

    async def main() -> None:
        supervisors = run.begin()
        attempt = asyncio.ensure_future(run.attempt(supervisors))
        for done in (100, 300, 500):
            while not run.is_planned or run.tally.finished < done:  # noqa: ASYNC110 - processes do
                await asyncio.sleep(0.005)
            for worker in [worker for one in supervisors for worker in one._workers][:2]:
                for child in psutil.Process(worker._process.session).children():
                    os.kill(child.pid, signal.SIGKILL)
        assert await attempt == [None, None]
        for rank, one in enumerate(supervisors):
            await one.finish(is_first=rank == 0)

    asyncio.run(main())
    assert [row.split()[1] for row in run.rows] == sorted(files)


# --- tables ---

TABLE = """
    import pandas

    def run(mini_batch):
        assert isinstance(mini_batch, pandas.DataFrame)
        return mini_batch
"""
MLTABLE = """
paths:
  - pattern: ./*.csv
transformations:
  - read_delimited:
      delimiter: ","
      header: all_files_same_headers
"""


def rows_of(count: int, start: int = 0) -> str:
    return "number,text\n" + "".join(f"{number},t{number}\n" for number in range(start, start + count))


def test_table_is_cut_by_size_at_the_ends_of_lines_and_never_across_files(tmp_path: Path) -> None:
    files = {"MLTable": MLTABLE, "a.csv": rows_of(1000), "b.csv": rows_of(10, 1000), "empty.csv": "number,text\n"}
    run = job(tmp_path, TABLE, files, is_table=True, mini_batch_size="1kb")
    assert run.run() is None
    assert run.rows == [f"{number} t{number}" for number in range(1010)]
    assert (run.tally.total, run.tally.items) == (len(rows_of(1000)) // 1024 + 1 + 1, 1010)


@pytest.mark.parametrize(
    ("header", "files", "rows"),
    [
        ("no_header", {"a.csv": "1,2\n3,4", "b.csv": "5,6\n"}, ["1 2", "3 4", "5 6"]),
        ("from_first_file", {"a.csv": "x,y\n1,2\n", "b.csv": "3,4\n"}, ["1 2", "3 4"]),
        ("all_files_different_headers", {"a.csv": "x,y\n1,2\n", "b.csv": "y,x\n3,4\n"}, ["1 2", "3 4"]),
    ],
)
def test_headers(tmp_path: Path, header: str, files: dict[str, str], rows: list[str]) -> None:
    table = MLTABLE.replace("all_files_same_headers", header)
    run = job(tmp_path, TABLE, {"MLTable": table, **files}, is_table=True)
    assert run.run() is None
    assert run.rows == rows


def test_line_breaks_between_quotes(tmp_path: Path) -> None:
    lines = "".join(f'{number},"line\n{number} ""q"""\n' for number in range(200))
    table = MLTABLE.rstrip() + "\n      support_multi_line: true\n"
    script = "def run(mini_batch):\n    return list(mini_batch['number'])"
    run = job(
        tmp_path, script, {"MLTable": table, "a.csv": f"number,text\n{lines}"}, is_table=True, mini_batch_size="100"
    )
    assert run.run() is None
    assert run.rows == [str(number) for number in range(200)]
    assert run.tally.total > 10


def test_transformations(tmp_path: Path) -> None:
    table = """
        paths:
          - folder: .
        transformations:
          - read_delimited:
              delimiter: ";"
              empty_as_string: true
              include_path_column: true
          - extract_columns_from_partition_format:
              partition_format: "{store}/{day:yyyy-MM-dd}/{rest}.csv"
          - drop_columns: [rest, gone]
          - convert_column_types:
              - columns: [given]
                column_type: {boolean: {true_values: [j], false_values: [n]}}
              - columns: n
                column_type: float
              - columns: date
                column_type: {datetime: {formats: ["%d/%m/%Y"]}}
    """
    script = """
        def run(mini_batch):
            return [str(row) for row in mini_batch.to_dict("records")]
    """
    files = {"MLTable": textwrap.dedent(table), "s1/2024-02-03/x.csv": "n;gone;text;given;date\n1;2;;j;04/05/2024\n"}
    run = job(tmp_path, script, files, is_table=True)
    assert run.run() is None, run.log("error")
    (row,) = run.rows
    assert row == str({
        "Path": "/s1/2024-02-03/x.csv", "store": "s1", "day": pandas.Timestamp("2024-02-03"), "n": 1.0, "text": "",
        "given": True, "date": pandas.Timestamp("2024-05-04"),
    })  # fmt: skip


def test_json_lines(tmp_path: Path) -> None:
    table = "paths: [{file: a.jsonl}]\ntransformations: [read_json_lines: {invalid_lines: drop}, keep_columns: [n]]\n"
    lines = "".join(f'{{"n": {number}, "m": 1}}\n' for number in range(100)) + "no json\n"
    run = job(tmp_path, TABLE, {"MLTable": table, "a.jsonl": lines}, is_table=True, mini_batch_size="200b")
    assert run.run() is None
    assert run.rows == [str(number) for number in range(100)]
    assert run.tally.total > 3


def test_parquet_is_cut_at_row_groups(tmp_path: Path) -> None:
    table = "paths: [{pattern: '*.parquet'}]\ntransformations: [read_parquet]\n"
    run = job(tmp_path, TABLE, {"MLTable": table}, is_table=True, mini_batch_size="1")
    frame = pandas.DataFrame({"n": range(100)})
    frame.to_parquet(run.input / "a.parquet", row_group_size=30)
    assert run.run() is None
    assert run.rows == [str(number) for number in range(100)]
    assert run.tally.total == 4


def test_unreadable_file_among_good_ones(tmp_path: Path) -> None:
    table = "paths: [{pattern: '*.parquet'}]\ntransformations: [read_parquet]\n"
    run = job(tmp_path, TABLE, {"MLTable": table, "b.parquet": b"none"}, is_table=True, max_retries=0)
    pandas.DataFrame({"n": [1, 2]}).to_parquet(run.input / "a.parquet")
    assert run.run() is None
    assert run.rows == ["1", "2"]
    assert run.tally.failed == 1
    assert "Error processing input file" in run.log("logs/user/stdout/")


def test_table_of_files(tmp_path: Path) -> None:
    files = {"MLTable": "paths:\n  - file: ./1.txt\n  - file: ./0.txt\n", **TEN}
    run = job(tmp_path, NAMES, files, is_table=True, mini_batch_size="1")
    assert run.run() is None
    assert run.rows == ["1.txt", "0.txt"]


def test_partition_keys(tmp_path: Path) -> None:
    """As in Microsoft's sample 1a_oj_sales_prediction."""
    table = """
paths:
  - pattern: ./**/*.csv
transformations:
  - read_delimited: {delimiter: ",", header: all_files_same_headers, encoding: ascii, include_path_column: true}
  - extract_columns_from_partition_format: {partition_format: "{Store}/{Brand}/{file_name}.{extension}"}
  - drop_columns: [Path, file_name, extension]
"""
    script = """
        def run(input_data, mini_batch_context):
            return [(mini_batch_context.partition_key_value, list(input_data.columns), len(input_data))]
    """
    files = {f"{store}/{brand}/{part}.csv": "q\n1\n2\n" for store in (1, 2) for brand in "ab" for part in "xy"}
    run = job(
        tmp_path, script, {"MLTable": table, **files}, is_table=True, partition_keys=("Store", "Brand"),
        error_threshold=-1,
    )  # fmt: skip
    assert run.run() is None
    assert run.rows == [
        str(({"Store": str(store), "Brand": brand}, ["Store", "Brand", "q"], 4)) for store in (1, 2) for brand in "ab"
    ]


@pytest.mark.parametrize(
    ("table", "settings", "why"),
    [
        (None, {}, "There is no file MLTable"),
        ("- a", {}, "no YAML mapping"),
        ("paths: [{file: b.csv}]", {}, "The file b.csv, which the file MLTable names, does not exist."),
        ("paths: [{file: ../a.csv}]", {}, "outside the folder"),
        ("paths: [{file: 'https://example.org/a.csv'}]", {}, "outside the folder"),
        (MLTABLE + "  - filter: col('a') > 1\n", {}, "azureml-local lacks the transformation filter"),
        (MLTABLE.replace("read_delimited", "read_delta_lake"), {}, "lacks the transformation read_delta_lake"),
        (MLTABLE.replace("all_files_same_headers", "none"), {}, "It must be one of no_header"),
        (MLTABLE, {"partition_keys": ("a",)}, "partition_keys has a, and the paths of the files do not say that."),
        ("paths: a.csv", {}, "paths of the file MLTable is a.csv. It must be a list."),
        ("transformations: 5", {}, "transformations of the file MLTable is 5. It must be a list."),
        ("transformations: [read_delimited: ';']", {}, "read_delimited has ;. It must have options"),
        ("paths: [{pattern: ''}]", {}, "The pattern '' of the file MLTable is wrong"),
        ("paths: [{pattern: '**a'}]", {}, "The pattern '**a' of the file MLTable is wrong"),
        (f"paths: [{{file: {'x' * 5000}}}]", {}, "of the file MLTable is wrong"),
        ("[" * 5000, {}, "The file MLTable cannot be read"),
        ("since: 2026-99-99", {}, "The file MLTable cannot be read"),
        ("paths: [{pattern: '*.csv'}]", {"mini_batch_size": "1kb"}, "it must be a count of files"),
    ],
)
def test_input_that_cannot_be_split(tmp_path: Path, table: str | None, settings: dict[str, object], why: str) -> None:
    files = {"a.csv": "a\n1\n"} | ({"MLTable": table} if table else {})
    run = job(tmp_path, TABLE, files, is_table=True, **settings)
    error = run.run()
    assert error is not None
    assert why in error


def test_single_file(tmp_path: Path) -> None:
    """A uri_file is a mini-batch of one file."""
    run = job(tmp_path, NAMES, {"a.csv": "1"})
    run.values = {f"inputs.{INPUT}": str(run.input / "a.csv")}
    assert run.run() is None
    assert run.rows == ["a.csv"]


def test_output_that_is_a_file(tmp_path: Path) -> None:
    run = job(tmp_path, NAMES, TEN)
    run.is_file = True
    assert run.run() is None
    assert len(run.output.read_text().splitlines()) == 10


# --- models without a script ---


@pytest.mark.slow
def test_mlflow_model_without_a_script(tmp_path: Path) -> None:
    """Columns and files: how-to-mlflow-batch#analyze-outputs and #review-support-for-file-types."""
    mlflow = pytest.importorskip("mlflow")
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(pandas.DataFrame({"x": [0.0, 1.0]}), [0.0, 2.0])
    signature = mlflow.models.infer_signature(pandas.DataFrame({"x": [0.0]}), [0.0])
    mlflow.sklearn.save_model(model, tmp_path / "model" / "mine", signature=signature)
    files = {"a.csv": "x\n1\n2\n", "c.avro": "?", "d.csv": "x\nnone\n"}
    (tmp_path / "job").mkdir()
    run = job(tmp_path / "job", "", files, entry_script="", model="model", mini_batch_size="4")
    pandas.DataFrame({"x": [3]}).to_parquet(run.input / "b.parquet")
    run.values = {"inputs.model": str(tmp_path / "model")}
    assert run.run() is None, run.log("error")
    assert [line.split(",")[0::2] for line in run.rows] == [["0", "a.csv"], ["1", "a.csv"], ["0", "b.parquet"]]
    assert [round(float(line.split(",")[1]), 6) for line in run.rows] == [2, 4, 6]
    said = run.log("logs/user/stdout/")
    assert "c.avro'. File type 'avro' is not supported." in said
    assert "Error processing input file" in said
    assert "d.csv" in said


@pytest.mark.slow
def test_mlflow_model_of_images(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    numpy = pytest.importorskip("numpy")
    image = pytest.importorskip("PIL.Image")
    from mlflow.types.schema import Schema, TensorSpec
    from sklearn.dummy import DummyClassifier

    model = DummyClassifier(strategy="constant", constant=7).fit(numpy.zeros((2, 64)), [7, 1])
    signature = mlflow.models.ModelSignature(inputs=Schema([TensorSpec(numpy.dtype("uint8"), (-1, 64))]))
    mlflow.sklearn.save_model(model, tmp_path / "model" / "mine", signature=signature)
    (tmp_path / "job").mkdir()
    run = job(tmp_path / "job", "", {}, entry_script="", model="model", mini_batch_size="2")
    for name in ("0.png", "1.png"):
        image.fromarray(numpy.zeros((8, 8), "uint8")).save(run.input / name)
    run.values = {"inputs.model": str(tmp_path / "model")}
    assert run.run() is None, run.log("error")
    assert run.rows == ["7,0.png", "7,1.png"]


@pytest.mark.parametrize("path", [*PROGRAM.parents[1].rglob("*.py"), MLFLOW_SCRIPT], ids=lambda path: path.name)
def test_what_runs_in_users_interpreters_is_python_of_old(path: Path) -> None:
    """An environment's conda file may name Python 3.8."""
    ast.parse(path.read_text(), feature_version=(3, 8))
