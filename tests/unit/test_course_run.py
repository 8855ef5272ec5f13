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

import course
from course import child
from course.catalogue import Notebook, find
from course.events import Event
from course.execute import Result, execute
from course.readiness import Readiness
from course.run import _time_limit, main
from written_course import list_lessons, write_lesson

# A kernel and a process that a cell left behind; the lesson's cells 2, 3 and 4 are parameters, this and a hang.
NOTE_PROCESSES = """
import os, pathlib, subprocess
left = subprocess.Popen(["sleep", "600"])
pathlib.Path("pids").write_text(f"{os.getpid()} {left.pid}")
"""
HANG = "import threading; threading.Event().wait()"


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
        return self.process.communicate(timeout=300)[0]

    @property
    def summary(self) -> list[dict[str, Any]]:
        summary: dict[str, Any] = json.loads((self.folder / "runs/latest/summary.json").read_text(encoding="utf-8"))
        assert summary["schema"] == 1
        return summary["notebooks"]

    def processes(self) -> list[psutil.Process]:
        files = self.folder.glob("notebooks/*/pids")
        pids = [pid for file in files for pid in file.read_text().split()]
        return [psutil.Process(int(pid)) for pid in pids if psutil.pid_exists(int(pid))]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(course.__file__).parents[1])} | COMPILED


def still_running(processes: list[psutil.Process]) -> list[psutil.Process]:
    return psutil.wait_procs(processes, timeout=10)[1]


def start_hanging(folder: Path, *arguments: str, **listed: object) -> Run:
    write_lesson(folder, "00_start/01_hangs", NOTE_PROCESSES, HANG)
    write_lesson(folder, "01_next/01_hangs_too", NOTE_PROCESSES, HANG)
    list_lessons(folder, **listed)
    return Run.start(folder, *arguments)


def meet(mine: str, other: str) -> str:
    """A cell that ends when another lesson, run at the same time, has come as far."""
    return f"""
import pathlib, time
pathlib.Path("../{mine}").touch()
while not pathlib.Path("../{other}").exists():
    time.sleep(0.05)
"""


SOLUTIONS = """
# %% first_model/read_the_log
### BEGIN SOLUTION
line = "KeyError: 'images'"
### END SOLUTION
helpers.check("first_model/read_the_log", line)
"""
# The judge that the exercise names is the course's own, so its lesson must be in this course too.
CHECKED = "import helpers"


def write_exercise(folder: Path, name: str, solutions: str) -> None:
    path = write_lesson(folder, name, CHECKED, "line = ...\nhelpers.check('first_model/read_the_log', line)")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].metadata["exercise"] = "first_model/read_the_log"
    nbformat.write(notebook, path)
    file = path.parent / "solutions" / f"{path.stem}.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(solutions)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    mixed = tmp_path_factory.mktemp("mixed")
    write_lesson(mixed, "00_start/01_passes", "open('beside.txt', 'w').write(f'{backend} {fast}')")
    write_lesson(mixed, "00_start/02_fails", "1 + 1", "raise ValueError('<script>\\n in /usr/bin/x')", "'never'")
    write_lesson(mixed, "01_next/01_dies", "import os; os._exit(3)")
    write_lesson(mixed, "01_next/02_undeclared", "1", declared="backend = 'local'")
    list_lessons(mixed)
    beside = tmp_path_factory.mktemp("beside")
    write_lesson(beside, "00_start/01_one", meet("one", "two"))
    write_lesson(beside, "00_start/02_fails", "raise ValueError('alone')")
    write_lesson(beside, "01_next/01_two", meet("two", "one"))
    list_lessons(beside, side_by_side=True)
    solved = tmp_path_factory.mktemp("solved")
    write_exercise(solved, "00_start/01_right", SOLUTIONS)
    write_exercise(solved, "00_start/02_wrong", SOLUTIONS.replace("KeyError", "ValueError"))
    write_exercise(solved, "00_start/03_another", SOLUTIONS.replace("read_the_log", "another"))
    write_lesson(solved, "00_start/04_without", "1")
    course_file = list_lessons(solved)
    course_file.write_text(course_file.read_text().replace("lesson_00_start_01_right", "first_model"))
    hung = start_hanging(tmp_path_factory.mktemp("hung"), "--part", "00", timeout_seconds=12)
    hung.wait_for("cell 3 of 4")  # alone on the machine so far: on a slow one the time-out is not to come earlier
    started = {
        "hung": hung,
        "orphaned": start_hanging(tmp_path_factory.mktemp("orphaned")),
        "interrupted": start_hanging(tmp_path_factory.mktemp("interrupted"), "--jobs", "2", side_by_side=True),
        "beside": Run.start(beside, "--jobs", "3"),
        "solved": Run.start(solved, "--solutions"),
        "mixed": Run.start(mixed, "--set", "full"),
    }
    yield started
    for run in started.values():
        run.process.kill()
        run.process.communicate()


@pytest.fixture(scope="module")
def mixed(runs: dict[str, Run]) -> tuple[Run, str]:
    return runs["mixed"], runs["mixed"].finish()


@pytest.mark.slow
def test_runner_that_is_killed_leaves_no_process(runs: dict[str, Run]) -> None:
    run = runs["orphaned"]
    run.wait_for("cell 3 of 4")
    processes = psutil.Process(run.process.pid).children() + run.processes()
    assert len(processes) == 3
    run.process.kill()
    run.finish()
    assert still_running(processes) == []


@pytest.mark.slow
def test_ctrl_c_ends_all_notebooks(runs: dict[str, Run]) -> None:
    run = runs["interrupted"]
    run.wait_for("cell 3 of 4")
    run.wait_for("cell 3 of 4")
    processes = run.processes()
    assert len(processes) == 4
    run.process.send_signal(signal.SIGINT)
    assert "0 of 2 notebooks passed" in run.finish()
    assert run.process.returncode == 130
    assert [(entry["status"], entry["reason"]) for entry in run.summary] == [
        ("skipped", "interrupted before its end")
    ] * 2
    assert still_running(processes) == []


@pytest.mark.slow
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


@pytest.mark.slow
def test_notebooks_that_may_run_side_by_side_and_one_fails_alone(runs: dict[str, Run]) -> None:
    """Two of them end only when both run at once; the failure of the third disturbs neither."""
    run = runs["beside"]
    said = run.finish()
    assert [(entry["status"], entry["error"]) for entry in run.summary] == [
        ("passed", None),
        ("failed", "ValueError: alone"),
        ("passed", None),
    ]
    assert "2 of 3 notebooks passed" in said


@pytest.mark.slow
def test_solutions_are_put_in_place_and_must_be_right(runs: dict[str, Run]) -> None:
    run = runs["solved"]
    run.finish()
    right, wrong, another, without = run.summary
    assert right["status"] == "passed"
    assert wrong["status"] == "failed"
    assert wrong["cell"] == 4
    assert wrong["error"].startswith("AssertionError: first_model/read_the_log: that is the error of the image")
    assert "its solutions are first_model/another" in another["error"]
    assert "FileNotFoundError" in without["error"]
    assert "line = ..." in (run.folder / "notebooks/00_start/01_right.ipynb").read_text()  # the lesson is as it was


def test_file_that_is_no_notebook_fails(tmp_path: Path) -> None:
    path = write_lesson(tmp_path, "00_start/01_broken")
    path.write_text("{")
    ended = child.run(path, tmp_path / "executed.ipynb", {}, print)
    assert ended["status"] == "failed"
    assert "JSON" in ended["error"]
    assert not (tmp_path / "executed.ipynb").exists()


@pytest.mark.slow
def test_notebook_runs_in_its_folder_with_the_parameters(mixed: tuple[Run, str]) -> None:
    assert (mixed[0].folder / "notebooks/00_start/beside.txt").read_text() == "local False"


@pytest.mark.slow
def test_plain_output_is_lines_without_control_characters(mixed: tuple[Run, str]) -> None:
    lines = mixed[1].splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == [
        "[1/4] notebooks/00_start/01_passes.ipynb",
        "[1/4] cell 2 of 3",
        "[1/4] cell 3 of 3",
    ]
    assert lines[3].startswith("[1/4] passed in ")
    assert lines[3].endswith(": Lesson 00_start/01_passes")
    assert lines[-1].startswith("1 of 4 notebooks passed in ")
    assert lines[-1].endswith(" s. Report: runs/latest/report.html")
    assert all(line.isprintable() for line in lines)


@pytest.mark.slow
def test_report_of_a_run_shows_source_and_traceback(mixed: tuple[Run, str]) -> None:
    page = (mixed[0].folder / "runs/latest/report.html").read_text(encoding="utf-8")
    assert "raise ValueError(&#39;&lt;script&gt;" in page
    assert "Traceback (most recent call last)" in page
    assert "\x1b" not in page
    assert "<script" not in page
    for name in ("00_start/01_passes", "00_start/02_fails"):
        assert (mixed[0].folder / f"runs/latest/{name}.html").is_file()


@pytest.mark.slow
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
    async def passes(
        notebook: Notebook, output: Path, parameters: dict[str, object], timeout_s: float, *others: object
    ) -> Result:
        assert others[-1] == {
            "AZUREML_WORKBOOK_RUN": "weekly-1",
            "AZUREML_WORKBOOK_LESSON": "lesson_00_start_01_passes",
        }
        assert parameters == {"backend": "azure", "fast": True, "cpu_size": "Standard_D2as_v4"}
        assert timeout_s == 42
        return Result(notebook, "passed", "A lesson")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("course.run.execute", passes)
    found = Readiness(parameters={"lesson_00_start_01_passes": {"cpu_size": "Standard_D2as_v4"}})
    monkeypatch.setattr("course.run.readiness", lambda backend, lessons: found)
    write_lesson(tmp_path, "00_start/01_passes")
    list_lessons(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    assert main(["--backend", "azure", "--output", "elsewhere", "--timeout", "42", "--run", "weekly-1"]) == 0
    signal.signal(signal.SIGTERM, before)
    assert {path.name for path in (tmp_path / "elsewhere/latest/").iterdir()} >= {"report.html", "junit.xml"}


@pytest.mark.parametrize(("backend", "seconds"), [("local", 300), ("azure", 3600)])
def test_on_azure_a_lesson_may_take_twice_what_it_is_said_to_take(backend: str, seconds: float, tmp_path: Path) -> None:
    """A lesson whose time is up never reaches its clean-up, and leaves behind what costs money."""
    write_lesson(tmp_path, "00_start/01_passes")
    list_lessons(tmp_path, azure={"minutes": 30, "usd": 0.1})
    (lesson,) = find(tmp_path / "notebooks")
    assert _time_limit(lesson, backend) == seconds


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
