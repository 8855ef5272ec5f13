"""The process that runs one notebook: ``python -m course.child NOTEBOOK OUTPUT PARAMETERS_AS_JSON [SOLUTIONS]``.

With a file of solutions it runs the lesson with its exercises solved, and fails it unless each check says that its
solution is right.

Events leave by standard output. The process ends itself, its kernel first, when its standard input is closed: on
purpose or because the parent died, which closes it too.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import papermill
from papermill.exceptions import PapermillExecutionError
from papermill.iorw import load_notebook_node, write_ipynb
from traitlets.config import Config

from course.cells import authored, is_authored, number_of, title_of
from course.events import Ended, Event
from course.exercises import read, verdicts, write_solved

# The environment that runs this runs the notebook, whatever kernel its author happened to save it with.
_KERNEL = "python3"
# Keys and tokens that a lesson handles pass between this process and its kernel.
_ENCRYPTED = Config(KernelManager={"transport_encryption": "auto"})


class _Run:
    """One execution, seen through the hooks of papermill's notebook client."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self.notebook: Any = None  # with the outputs so far; None until the kernel answers
        self.number: int | None = None  # of the cell that started last
        self._numbers: dict[int, int] = {}
        self._emit = emit

    def execute(self, source: Path, folder: Path, parameters: Mapping[str, object]) -> None:
        papermill.execute_notebook(
            source,
            None,
            parameters,
            kernel_name=_KERNEL,
            cwd=folder,
            progress_bar=False,
            request_save_on_cell_execute=False,
            autosave_cell_every=0,
            shutdown_kernel="immediate",
            config=_ENCRYPTED,
            on_notebook_start=self._on_notebook_start,
            on_cell_execute=self._on_cell_execute,
            on_cell_executed=self._on_cell_executed,
        )

    def number_at(self, index: int) -> int:
        """The number of the cell that papermill ran at ``index``."""
        return self._numbers[index]

    def _on_notebook_start(self, notebook: Any) -> None:
        self.notebook = notebook

    def _on_cell_execute(self, cell: Any, cell_index: int) -> None:
        self.number = self._numbers[cell_index] = number_of(self.notebook.cells, cell_index)
        if is_authored(cell):
            self._emit({"event": "cell_started", "number": self.number, "source": cell.source})

    def _on_cell_executed(self, cell: Any, cell_index: int, execute_reply: Any) -> None:
        if is_authored(cell):
            self._emit({"event": "cell_ended", "number": self._numbers[cell_index]})


def run(
    source: Path,
    output: Path,
    parameters: Mapping[str, object],
    emit: Callable[[Event], None],
    solutions: Path | None = None,
) -> Ended:
    """Executes the notebook in its own folder and writes what ran to ``output``, also when it is interrupted.

    A parameter that its ``parameters`` cell does not declare fails it before anything runs.
    """
    run = _Run(emit)
    folder = source.parent
    solved = output.with_suffix(".solved.ipynb")
    try:
        if solutions is not None:
            write_solved(source, solutions, solved)
            source = solved
        cells = load_notebook_node(str(source)).cells
        emit({"event": "opened", "title": title_of(cells, source.stem), "cells": len(authored(cells))})
        _refuse_unknown(source, parameters)
        run.execute(source, folder, parameters)
    except PapermillExecutionError as error:
        message = f"{error.ename}: {error.evalue}"
        return _failed(run.number_at(error.cell_index), message, "\n".join(error.traceback))
    except Exception as error:  # a file that is no notebook, a kernel that died: the next notebook still runs
        return {**_failed(run.number, f"{type(error).__name__}: {error}", ""), "broken": True}
    finally:
        solved.unlink(missing_ok=True)
        if run.notebook is not None:
            _save(run.notebook, output)
    if solutions is not None and (refused := _refused(run.notebook.cells, read(solutions))):
        return refused
    return {"event": "ended", "status": "passed", "broken": False, "cell": None, "error": "", "traceback": ""}


def _refuse_unknown(source: Path, parameters: Mapping[str, object]) -> None:
    declared = papermill.inspect_notebook(source)
    unknown = [name for name in parameters if name not in declared]
    if unknown:
        raise NameError(
            f"the notebook's parameters cell does not declare {', '.join(unknown)}; "
            f"it declares {', '.join(declared) or 'nothing'}"
        )


def _refused(cells: Sequence[Any], exercises: Iterable[str]) -> Ended | None:
    """The failure that the first exercise stands for whose check did not say that its solution is right."""
    said = {verdict.exercise: verdict for verdict in verdicts(authored(cells))}
    for exercise in exercises:
        if exercise not in said:
            return _failed(None, f"AssertionError: {exercise} was not checked", "")
        if not said[exercise].ok:
            return _failed(said[exercise].number, f"AssertionError: {exercise}: {said[exercise].why}", "")
    return None


def _failed(cell: int | None, error: str, traceback: str) -> Ended:
    return {"event": "ended", "status": "failed", "broken": False, "cell": cell, "error": error, "traceback": traceback}


def _save(notebook: Any, output: Path) -> None:
    # In two steps, so that a process that is killed while it writes leaves no half of a notebook.
    unfinished = output.with_suffix(".unfinished.ipynb")
    write_ipynb(notebook, str(unfinished))
    unfinished.replace(output)


def _take_standard_output() -> Callable[[Event], None]:
    """Keeps standard output for events: what libraries and the kernel write there goes to standard error."""
    events = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return lambda event: print(json.dumps(event), file=events)


def _interrupt_at_end_of_input() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main = threading.get_ident()

    def wait() -> None:
        os.read(0, 1)  # not sys.stdin: its lock, held at exit, would abort the process
        signal.pthread_kill(main, signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def main() -> int:
    """Runs the notebook that the command line names; the exit status says only whether it was interrupted."""
    source, output, parameters, *solutions = sys.argv[1:]
    emit = _take_standard_output()
    _interrupt_at_end_of_input()
    try:
        emit(run(Path(source), Path(output), json.loads(parameters), emit, *map(Path, solutions)))
    except KeyboardInterrupt:
        return 128 + signal.SIGTERM
    return 0


if __name__ == "__main__":
    sys.exit(main())
