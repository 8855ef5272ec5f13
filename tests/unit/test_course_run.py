"""Real runs of tiny notebooks. They start together and each test waits for the run that it is about."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import course
from course import child
from course.catalogue import Notebook
from course.events import Event
from course.execute import Result, execute
from course.run import main

DECLARED = 'backend = "local"  # where it runs\nfast = True  # smaller data'
# A kernel and a process that a cell left behind; the lesson's cells 2, 3 and 4 are parameters, this and a hang.
NOTE_PROCESSES = """
import os, pathlib, subprocess
left = subprocess.Popen(["sleep", "600"])
pathlib.Path("pids").write_text(f"{os.getpid()} {left.pid}")
"""
HANG = "import threading; threading.Event().wait()"


def write_lesson(folder: Path, name: str, *sources: str, declared: str = DECLARED) -> Path:
    parameters = new_code_cell(declared, metadata={"tags": ["parameters"]})
    cells = [new_markdown_cell(f"# Lesson {name}"), parameters, *map(new_code_cell, sources)]
    metadata = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    path = folder / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)
    return path


# Where compiled modules are not kept, each of these processes would compile Jupyter's anew, which takes 3 s.
COMPILED = (
    {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(Path(__file__).parents[2] / ".pytest_cache/compiled")}
    if sys.dont_write_bytecode
    else {}
)


@dataclass
class Run:
    folder: Path
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, folder: Path, *arguments: str) -> "Run":
        command = [sys.executable, "-m", "course.run", *arguments]
        return cls(folder, subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True))

    def wait_for(self, words: str) -> None:
        assert self.process.stdout is not None
        assert any(words in line for line in self.process.stdout)

    def finish(self) -> str:
        """What it has said since."""
        return self.process.communicate(timeout=60)[0]

    @property
    def summary(self) -> list[dict[str, Any]]:
        summary: dict[str, Any] = json.loads((self.folder / "runs/latest/summary.json").read_text(encoding="utf-8"))
        assert summary["schema"] == 1
        return summary["notebooks"]

    def processes(self) -> list[psutil.Process]:
        pids = (self.folder / "notebooks/00_start/pids").read_text().split()
        return [psutil.Process(int(pid)) for pid in pids if psutil.pid_exists(int(pid))]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(course.__file__).parents[1])} | COMPILED


def still_running(processes: list[psutil.Process]) -> list[psutil.Process]:
    return psutil.wait_procs(processes, timeout=10)[1]


def start_hanging(folder: Path, *arguments: str) -> Run:
    write_lesson(folder, "00_start/01_hangs", NOTE_PROCESSES, HANG)
    write_lesson(folder, "01_next/01_other", "1")
    return Run.start(folder, *arguments)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    mixed = tmp_path_factory.mktemp("mixed")
    write_lesson(mixed, "00_start/01_passes", "open('beside.txt', 'w').write(f'{backend} {fast}')")
    write_lesson(mixed, "00_start/02_fails", "1 + 1", "raise ValueError('<script>\\n in /usr/bin/x')", "'never'")
    write_lesson(mixed, "01_next/01_dies", "import os; os._exit(3)")
    write_lesson(mixed, "01_next/02_undeclared", "1", declared="backend = 'local'")
    hung = start_hanging(tmp_path_factory.mktemp("hung"), "--timeout", "12", "--part", "00")
    hung.wait_for("cell 3 of 4")  # alone on the machine so far: on a slow one the time-out is not to come earlier
    started = {
        "hung": hung,
        "orphaned": start_hanging(tmp_path_factory.mktemp("orphaned")),
        "interrupted": start_hanging(tmp_path_factory.mktemp("interrupted")),
        "mixed": Run.start(mixed, "--set", "full"),
    }
    yield started
    for run in started.values():
        run.process.kill()
        run.process.communicate()


@pytest.fixture(scope="module")
def mixed(runs: dict[str, Run]) -> tuple[Run, str]:
    return runs["mixed"], runs["mixed"].finish()


def test_runner_that_is_killed_leaves_no_process(runs: dict[str, Run]) -> None:
    run = runs["orphaned"]
    run.wait_for("cell 3 of 4")
    processes = psutil.Process(run.process.pid).children() + run.processes()
    assert len(processes) == 3
    run.process.kill()
    run.finish()
    assert still_running(processes) == []


def test_ctrl_c_ends_the_notebook_and_skips_the_rest(runs: dict[str, Run]) -> None:
    run = runs["interrupted"]
    run.wait_for("cell 3 of 4")
    processes = run.processes()
    run.process.send_signal(signal.SIGINT)
    assert "0 of 2 notebooks passed" in run.finish()
    assert run.process.returncode == 1
    assert [entry["status"] for entry in run.summary] == ["skipped", "skipped"]
    assert still_running(processes) == []


def test_run_goes_on_after_each_kind_of_failure(mixed: tuple[Run, str]) -> None:
    run, _ = mixed
    assert run.process.returncode == 1
    outcomes = [(entry["status"], entry["cell"], entry["error"]) for entry in run.summary]
    assert outcomes == [
        ("passed", None, None),
        ("failed", 4, "ValueError: <script> in …/x"),
        ("failed", 3, "DeadKernelError: Kernel died"),
        ("failed", None, "NameError: the notebook's parameters cell does not declare fast; it declares backend"),
    ]


def test_file_that_is_no_notebook_fails(tmp_path: Path) -> None:
    path = write_lesson(tmp_path, "00_start/01_broken")
    path.write_text("{")
    ended = child.run(path, tmp_path / "executed.ipynb", {}, print)
    assert ended["status"] == "failed"
    assert "JSON" in ended["error"]
    assert not (tmp_path / "executed.ipynb").exists()


def test_notebook_runs_in_its_folder_with_the_parameters(mixed: tuple[Run, str]) -> None:
    assert (mixed[0].folder / "notebooks/00_start/beside.txt").read_text() == "local False"


def test_plain_output_is_lines_without_control_characters(mixed: tuple[Run, str]) -> None:
    lines = mixed[1].splitlines()
    assert [line.split(":")[0] for line in lines[:4]] == [
        "[1/4] notebooks/00_start/01_passes.ipynb",
        "  cell 2 of 3",
        "  cell 3 of 3",
        lines[3].split(":")[0],
    ]
    assert lines[3].startswith("  passed in ")
    assert lines[3].endswith(": Lesson 00_start/01_passes")
    assert lines[-1] == "1 of 4 notebooks passed. Report: runs/latest/report.html"
    assert all(line.isprintable() for line in lines)


def test_report_of_a_run_shows_source_and_traceback(mixed: tuple[Run, str]) -> None:
    page = (mixed[0].folder / "runs/latest/report.html").read_text(encoding="utf-8")
    assert "raise ValueError(&#39;&lt;script&gt;" in page
    assert "Traceback (most recent call last)" in page
    assert "\x1b" not in page
    assert "<script" not in page
    for name in ("00_start/01_passes", "00_start/02_fails"):
        assert (mixed[0].folder / f"runs/latest/{name}.html").is_file()


def test_time_out_names_the_cell_and_ends_its_processes(runs: dict[str, Run]) -> None:
    run = runs["hung"]
    run.finish()
    assert run.process.returncode == 1
    (entry,) = run.summary
    assert (entry["status"], entry["cell"]) == ("timeout", 4)
    assert entry["error"] == "TimeoutError: not finished after 12 s"
    assert still_running(run.processes()) == []
    executed = nbformat.read(run.folder / "runs/latest/00_start/01_hangs.ipynb", as_version=4)
    assert executed.cells[3].execution_count is not None


def test_exit_status_of_a_run_that_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def passes(notebook: Notebook, output: Path, parameters: dict[str, object], *_: object) -> Result:
        assert parameters == {"backend": "azure", "fast": True}
        return Result(notebook, "passed", "A lesson")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("course.run.execute", passes)
    write_lesson(tmp_path, "00_start/01_passes")
    before = signal.getsignal(signal.SIGTERM)
    assert main(["--backend", "azure", "--output", "elsewhere"]) == 0
    signal.signal(signal.SIGTERM, before)
    assert (tmp_path / "elsewhere/latest/report.html").is_file()


def test_process_that_does_not_listen_is_killed_with_its_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lesson(tmp_path, "00_start/01_hangs", NOTE_PROCESSES, HANG)
    monkeypatch.chdir(tmp_path)
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("course.execute._GRACE_S", 0.1)
    processes: list[psutil.Process] = []

    def freeze(event: Event) -> None:
        if event["event"] == "cell_started" and event["number"] == 4:
            (runner,) = (one for one in psutil.Process().children() if "course.child" in one.cmdline())
            processes.extend([runner, *runner.children(recursive=True)])
            runner.suspend()
            raise RuntimeError("frozen")

    with pytest.raises(RuntimeError, match="frozen"):
        asyncio.run(execute(Notebook(path.relative_to(tmp_path)), tmp_path / "run/x.ipynb", {}, 60, freeze))
    assert len(processes) == 3
    assert still_running(processes) == []
