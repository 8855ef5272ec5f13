"""How pytest treats the notebooks: nbval runs each, against a service of the test session's own.

It runs them as they are stored, exercises still to be done, and compares every output. After each exercise its solution
runs in the same kernel, as a learner would solve it: one execution of a lesson shows both. The kernel works in the
course's folder, as with papermill; when a lesson is stored, it works in the lesson's, as in JupyterLab.
"""

from __future__ import annotations

import gc
import inspect
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import hypothesis
import nbformat
import pytest
from nbval.plugin import IPyNbCell, IPyNbFile

from course import exercises
from course.processors import SIDE_BY_SIDE

# For the workers of the tests, and what they start.
for _variable, _value in SIDE_BY_SIDE.items():
    os.environ.setdefault(_variable, _value)

# How long an example takes is a matter of what else the machine does.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

HOME = "AZUREML_LOCAL_HOME"
PROGRESS = "AZUREML_WORKBOOK_PROGRESS"
PREFIX = "azl-"  # of the session's state folder; short, because sockets lie in it
# A file of the first takes a minute, one of those that are not named a second or two.
LONGEST_FIRST = (
    ("notebooks", "04_designer"),
    ("notebooks", "03_batch"),
    ("tests", "service", "test_serving_under_load.py"),
    ("tests", "service", "test_samples_of_pipelines.py"),
    ("tests", "service", "test_schedules.py"),
    ("notebooks",),
    ("tests", "notebooks"),
    ("tests", "browser"),
    ("tests", "workshop", "test_workshop_in_chromium.py"),
    ("tests", "faults"),
    ("tests", "service"),
    ("tests", "fuzz"),
    ("tests", "unit", "test_course_checks.py"),
    ("tests", "unit", "test_parallel_jobs.py"),
    ("tests", "unit", "test_kusto.py"),
    ("tests", "unit", "test_course_run.py"),
)
SLOW_FOLDERS = {("tests", "faults"), ("tests", "browser"), ("tests", "fuzz")}  # every test: see pyproject.toml
UNCOMPARED = defaultdict(bool)  # nbval's options for a cell that has no stored outputs


def stack(context: int = 0) -> list[inspect.FrameInfo]:
    """Return the caller's frames as ``inspect.stack`` does, but for the lines of source around them."""
    frame, frames = inspect.currentframe(), []
    while frame := frame.f_back:
        code = frame.f_code
        frames.append(inspect.FrameInfo(frame, code.co_filename, frame.f_lineno, code.co_name, None, None))
    return frames


# azure-ai-ml asks for it at each pipeline, and uses the frames only. To find the sources of pytest's took a second.
inspect.stack = stack


def pytest_sessionstart(session: pytest.Session) -> None:
    """Keep the lessons away from the user's own service and progress; what is named is used only if a lesson runs.

    A shell makes what it starts in the background deaf to Ctrl-C, which some tests send.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ[HOME] = tempfile.mkdtemp(prefix=PREFIX, dir="/tmp")
    os.environ[PROGRESS] = f"{os.environ[HOME]}.progress.db"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """End what the lessons have started."""
    subprocess.run([sys.executable, "-m", "azureml_local", "stop"], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(os.environ[HOME])
    Path(os.environ[PROGRESS]).unlink(missing_ok=True)


class InCoursesFolder(IPyNbCell):
    """Moves the kernel to the course's folder."""

    @classmethod
    def of(cls, notebook: IPyNbFile) -> InCoursesFolder:
        """Return the cell to run before the notebook's own."""
        cell = nbformat.v4.new_code_cell(f"import os\nos.chdir({str(notebook.config.rootpath)!r})")
        return cls.from_parent(notebook, name="In the course's folder", cell_num=0, cell=cell, options=UNCOMPARED)


class Solution(IPyNbCell):
    """Runs an exercise solved, whose check must say that it is right."""

    @classmethod
    def of(cls, stub: IPyNbCell) -> Solution:
        """Return the cell to run after an exercise that is still to be done."""
        notebook, exercise = stub.parent, stub.cell.metadata.exercise
        solved = exercises.read(notebook.path.parent / "solutions" / f"{notebook.path.stem}.py")[exercise]
        cell = nbformat.v4.new_code_cell(exercises.solution(exercise, solved), metadata=stub.cell.metadata)
        name = f"{stub.name}, solved"
        return cls.from_parent(notebook, name=name, cell_num=stub.cell_num, cell=cell, options=UNCOMPARED)

    def runtest(self) -> None:
        """Run it as nbval runs cells, then read what the check has said."""
        super().runtest()
        said = [(one.exercise, one.ok, one.why) for one in exercises.verdicts([{"outputs": self.test_outputs}])]
        assert [(exercise, ok) for exercise, ok, _ in said] == [(self.cell.metadata.exercise, True)], said


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Search no garbage while modules are imported: a sixth of the time, as nothing of them ever is. Nor later on."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        # Tests import what lies in folders that others upload meanwhile: with bytecode in it, a folder is another code.
        sys.dont_write_bytecode = True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the cells that no notebook holds beside those that it does, and begin with what takes longest.

    pytest-xdist hands out files in this order (--no-loadscope-reorder): a long one that came last would run alone.
    Before pytest looks at marks, as those of the slow folders are set here.
    """
    for item in items:
        if _file(item)[:2] in SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)
    placed: list[pytest.Item] = []
    for item in sorted(items, key=_place):
        if isinstance(item, IPyNbCell) and item.cell_num == 0:
            placed.append(InCoursesFolder.of(item.parent))
        placed.append(item)
        if isinstance(item, IPyNbCell) and "exercise" in item.cell.metadata:
            placed.append(Solution.of(item))
    items[:] = placed


def _file(item: pytest.Item) -> tuple[str, ...]:
    """Return the parts of the path of a test's file, as the project has it."""
    return item.path.relative_to(item.config.rootpath).parts


def _place(item: pytest.Item) -> int:
    """Return the place of a test's file among ``LONGEST_FIRST``."""
    file = _file(item)
    return next((n for n, path in enumerate(LONGEST_FIRST) if file[: len(path)] == path), len(LONGEST_FIRST))


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Leave standard error out of the comparison: it holds progress bars and warnings, no results."""
    if collector.nodeid.endswith(".ipynb"):
        collector.skip_compare += ("stderr",)  # type: ignore[attr-defined]
