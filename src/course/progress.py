"""What the terminal shows during a run: a live bar a notebook, or plain lines where nobody watches."""

import asyncio
import sys
import time
from typing import Protocol

from tqdm import tqdm

from course.catalogue import Notebook
from course.events import Event
from course.execute import Result


class Progress(Protocol):
    """Shows one notebook, of which several may run at once."""

    def __init__(self, position: str, notebook: Notebook) -> None:
        """The notebook's process is about to start; ``position`` is such as ``[2/7]``. Needs a running event loop."""

    def on_event(self, event: Event) -> None:
        """The notebook's process reported something."""

    def end(self, result: Result) -> None:
        """The notebook has ended, or was stopped."""


class Lines:
    """A line when the notebook starts, one for each code cell, one when it ends; no control characters."""

    def __init__(self, position: str, notebook: Notebook) -> None:
        self._position = position
        self._cells = 0
        self._cell_began = 0.0
        self._say(notebook.name)

    def on_event(self, event: Event) -> None:
        """Says which cell ended and how long it took."""
        if event["event"] == "opened":
            self._cells = event["cells"]
        elif event["event"] == "cell_started":
            self._cell_began = time.perf_counter()
        elif event["event"] == "cell_ended":
            seconds = time.perf_counter() - self._cell_began
            self._say(f"cell {event['number']} of {self._cells}: {seconds:.1f} s")

    def end(self, result: Result) -> None:
        """Says how the notebook ended."""
        self._say(outcome(result))

    def _say(self, words: str) -> None:
        print(f"{self._position} {words}", flush=True)


class Bar:
    """A bar with the notebook's title, the cell that runs and its seconds; at the end a line above takes its place."""

    def __init__(self, position: str, notebook: Notebook) -> None:
        self._position = position
        self._cells = 0
        self._number = 0
        self._cell_began = 0.0
        self._bar = tqdm(
            desc=f"{position} {notebook.path.stem}",
            bar_format="{desc} |{bar:20}| {elapsed}{postfix}",
            file=sys.stdout,
            leave=False,
            dynamic_ncols=True,
            total=1,
        )
        self._tick()

    def on_event(self, event: Event) -> None:
        """Moves the bar when a cell starts."""
        if event["event"] == "opened":
            self._cells = self._bar.total = event["cells"]
            self._bar.set_description_str(f"{self._position} {event['title']}")
        elif event["event"] == "cell_started":
            self._cell_began = time.perf_counter()
            self._number = event["number"]
            self._bar.n = self._number - 1
            self._show()

    def end(self, result: Result) -> None:
        """Replaces the bar with how the notebook ended."""
        self._timer.cancel()
        self._bar.close()
        tqdm.write(f"{self._position} {outcome(result)}", file=sys.stdout)

    def _tick(self) -> None:
        self._show()
        self._timer = asyncio.get_running_loop().call_later(1, self._tick)

    def _show(self) -> None:
        seconds = time.perf_counter() - self._cell_began
        cell = f"cell {self._number} of {self._cells}, {seconds:.0f} s" if self._number else "starting"
        self._bar.set_postfix_str(cell)


def outcome(result: Result) -> str:
    """One line: ``failed in 3.2 s: Deploy a model (cell 5: ValueError: no such size)``."""
    if result.reason is not None:
        return f"{result.status}: {result.title} ({result.reason})"
    line = f"{result.status} in {result.seconds:.1f} s: {result.title}"
    if result.error is None:
        return line
    cell = "" if result.cell is None else f"cell {result.cell}: "
    return f"{line} ({cell}{result.error})"
