"""What the terminal shows during a run: a live bar, or plain lines where nobody watches."""

import asyncio
import sys
import time
from typing import Protocol

from tqdm import tqdm

from course.catalogue import Notebook
from course.events import Event
from course.execute import Result


class Progress(Protocol):
    """Shows one notebook after the other."""

    def begin(self, position: str, notebook: Notebook) -> None:
        """A notebook's process is about to start; ``position`` is such as ``[2/7]``."""

    def on_event(self, event: Event) -> None:
        """The notebook's process reported something."""

    def end(self, result: Result) -> None:
        """The notebook that began has ended, or was stopped."""


class Lines:
    """A line when a notebook starts, one for each code cell, one when it ends; no control characters."""

    _cells = 0
    _cell_began = 0.0

    def begin(self, position: str, notebook: Notebook) -> None:
        """Says which notebook starts."""
        print(f"{position} {notebook.name}", flush=True)

    def on_event(self, event: Event) -> None:
        """Says which cell ended and how long it took."""
        if event["event"] == "opened":
            self._cells = event["cells"]
        elif event["event"] == "cell_started":
            self._cell_began = time.perf_counter()
        elif event["event"] == "cell_ended":
            seconds = time.perf_counter() - self._cell_began
            print(f"  cell {event['number']} of {self._cells}: {seconds:.1f} s", flush=True)

    def end(self, result: Result) -> None:
        """Says how the notebook ended."""
        print(f"  {outcome(result)}", flush=True)


class Bar:
    """A bar with the notebook's title, the cell that runs and its seconds; at the end a line takes its place."""

    _cells = 0
    _number = 0
    _cell_began = 0.0

    def begin(self, position: str, notebook: Notebook) -> None:
        """Shows an empty bar and starts its clock. Needs a running event loop."""
        self._position = position
        self._number = 0
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
        print(f"{self._position} {outcome(result)}", flush=True)

    def _tick(self) -> None:
        self._show()
        self._timer = asyncio.get_running_loop().call_later(1, self._tick)

    def _show(self) -> None:
        seconds = time.perf_counter() - self._cell_began
        cell = f"cell {self._number} of {self._cells}, {seconds:.0f} s" if self._number else "starting"
        self._bar.set_postfix_str(cell)


def outcome(result: Result) -> str:
    """One line: ``failed in 3.2 s: Deploy a model (cell 5: ValueError: no such size)``."""
    line = f"{result.status} in {result.seconds:.1f} s: {result.title}"
    if result.error is None:
        return line
    cell = "" if result.cell is None else f"cell {result.cell}: "
    return f"{line} ({cell}{result.error})"
